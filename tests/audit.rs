//! The tamper-evident record by the command line.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::batch::{batch, clips};
use common::clip::Clip;
use common::program::{Run, redact, run};
use common::scene::Scene;
use common::{ffmpeg, run_tool, skip, temp_dir};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    input: PathBuf,
    log: PathBuf,
}

fn place() -> Place {
    let folder = temp_dir();
    let input = folder.path().join("clear.png");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1"])
            .arg(&input),
    );
    let log = folder.path().join("audit.jsonl");
    Place { folder, input, log }
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with_state<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("XDG_STATE_HOME", self.at("state"))
    }

    fn redact(&self, output: &str) -> Run {
        let mut command = redact(&self.input, &self.at(output));
        run(self
            .with_state(&mut command)
            .arg("--audit-log")
            .arg(&self.log))
    }

    fn audit(&self, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        command.arg("audit").args(arguments).arg(&self.log);
        run(self.with_state(&mut command))
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).expect("the log can be read");
        text.lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&self.log, text).expect("the log can be written");
    }
}

#[test]
fn a_batch_records_every_file_and_does_none_anew_for_another_log() {
    let place = place();
    let input = clips(place.folder.path(), 2);
    std::fs::write(input.join("broken.mp4"), "no video").expect("it can be written");
    let output = place.at("redacted");
    let files = |log: &Path| {
        let mut command = batch(&input, &output);
        place.with_state(&mut command);
        run(command.args(["--retries", "0", "--audit-log"]).arg(log))
    };
    assert_eq!(files(&place.log).code, Some(3), "two are done, one is not");
    place.audit(&["verify"]).succeeded();
    let entries: Vec<serde_json::Value> = place
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |event: &str| entries.iter().filter(|it| it["event"] == event).count();
    assert_eq!((of("redacted"), of("failed")), (2, 1), "{entries:?}");
    for name in ["clip-00.mp4", "clip-01.mp4"] {
        let (input, output) = (sha256(&input.join(name)), sha256(&output.join(name)));
        let is_it = |it: &&serde_json::Value| {
            it["input"]["sha256"] == input && it["output"]["sha256"] == output
        };
        let entry = entries.iter().find(is_it).expect("it is recorded");
        assert_ne!(entry["confinement"], "off", "its process was confined");
    }
    // The log is no setting that bears on the result.
    let other = place.at("other.jsonl");
    std::fs::remove_file(input.join("broken.mp4")).expect("it can be removed");
    files(&other).succeeded();
    assert!(!other.exists(), "nothing was done, and nothing recorded");
    // Where nothing can be recorded, nothing is redacted.
    clips(place.folder.path(), 3);
    let nowhere = files(&place.at("nowhere/audit.jsonl"));
    assert_eq!(nowhere.code, Some(3), "{nowhere:?}");
    assert!(!output.join("clip-02.mp4").exists());
}

fn sha256(path: &Path) -> String {
    let said = run_tool(Command::new("sha256sum").arg(path));
    String::from_utf8_lossy(&said)
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn files_are_recorded_by_what_they_hold_and_not_by_name() {
    let mut place = place();
    place.redact("one.png").succeeded();
    let picture = place.input.clone();
    place.input =
        Clip::new(Scene::new(160, 128, 6).on_grid(16)).write(place.folder.path(), "clear.mp4");
    place.redact("two.mp4").succeeded();
    let lines = place.lines();
    assert_eq!(lines.len(), 3);
    let entries: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for (entry, input, output, what) in [
        (&entries[1], &picture, "one.png", "picture"),
        (&entries[2], &place.input, "two.mp4", "video"),
    ] {
        assert_eq!(entry["event"], "redacted");
        assert_eq!(entry["what"], what);
        assert_eq!(entry["input"]["sha256"], sha256(input));
        assert_eq!(entry["output"]["sha256"], sha256(&place.at(output)));
        assert_eq!(entry["models"][0]["name"], "marker-detector.onnx");
        assert_eq!(
            entry["models"][0]["sha256"].as_str().map(str::len),
            Some(64)
        );
        assert!(
            !entry["versions"]["onnxruntime"]
                .as_str()
                .expect("a version")
                .is_empty()
        );
    }
    assert_eq!(entries[2]["frames"], 6);
    assert!(entries[2]["faces"].as_u64() >= Some(6), "{}", entries[2]);
    let text = lines.concat();
    for name in ["clear", "one.png", "two.mp4", "floutage-test"] {
        assert!(!text.contains(name), "{name}");
    }
    let said = place.audit(&["verify"]).succeeded().stdout;
    assert!(
        said.contains("3 entries") && said.ends_with("intact\n"),
        "{said}"
    );
}

#[test]
fn every_kind_of_change_is_found() {
    let place = place();
    for name in ["a.png", "b.png", "c.png"] {
        place.redact(name).succeeded();
    }
    let whole = place.lines();
    assert_eq!(place.audit(&["verify"]).code, Some(0));
    type Change = fn(&mut Vec<String>);
    // Who appends looks at both ends of the log only.
    let changes: [(&str, bool, Change); 6] = [
        ("edit", false, |lines| {
            lines[1] = lines[1].replacen("\"frames\":1", "\"frames\":2", 1);
        }),
        ("removal", false, |lines| drop(lines.remove(1))),
        ("order", false, |lines| lines.swap(1, 2)),
        ("copy", false, |lines| lines.insert(1, lines[1].clone())),
        ("cut end", true, |lines| drop(lines.pop())),
        ("cut start", true, |lines| drop(lines.remove(0))),
    ];
    for (what, refused, change) in changes {
        let mut lines = whole.clone();
        change(&mut lines);
        assert_ne!(lines, whole, "{what}");
        place.write(&lines);
        let outcome = place.audit(&["verify"]);
        assert_eq!(outcome.code, Some(1), "{what}");
        let said = &outcome.stdout;
        assert!(said.contains("NOT INTACT"), "{what}: {said}");
        if refused {
            // Nothing is added to it, and nothing is redacted without being recorded.
            assert_eq!(place.redact("d.png").code, Some(1), "{what}");
            assert!(!place.at("d.png").exists(), "{what}");
        }
    }
    place.write(&whole);
    assert_eq!(place.audit(&["verify"]).code, Some(0));
}

#[test]
fn elsewhere_a_public_key_and_a_noted_head_do() {
    let place = place();
    place.redact("a.png").succeeded();
    let said = place.audit(&["verify", "--json"]).succeeded().json();
    let key = said["record"]["keys"][0]
        .as_str()
        .expect("a key")
        .to_owned();
    let head = &said["record"]["head"];
    let head = format!("{}:{}", head[0], head[1].as_str().expect("a hash"));
    place.audit(&["rotate"]).succeeded();
    place.redact("b.png").succeeded();
    let elsewhere = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        command
            .args(["audit", "verify"])
            .args(arguments)
            .arg(&place.log);
        run(command.env("XDG_STATE_HOME", place.at("elsewhere"))).code
    };
    assert_eq!(elsewhere(&["--public-key", &key, "--head", &head]), Some(0));
    assert_eq!(
        elsewhere(&["--public-key", &key, "--without-head"]),
        Some(0)
    );
    assert_eq!(
        elsewhere(&["--public-key", &key]),
        Some(1),
        "the end is not known"
    );
    assert_eq!(elsewhere(&["--without-head"]), Some(1), "nobody is trusted");
    assert_eq!(
        elsewhere(&["--public-key", &"0".repeat(64), "--without-head"]),
        Some(1)
    );
    let cut = place.lines()[..1].to_vec();
    place.write(&cut);
    assert_eq!(
        elsewhere(&["--public-key", &key, "--head", &head]),
        Some(1),
        "the end is cut"
    );
}

#[test]
fn failures_are_recorded_too() {
    let mut place = place();
    place.input = place.at("broken.png");
    std::fs::write(&place.input, b"\x89PNG\r\n\x1a\nbroken").expect("written");
    assert_eq!(place.redact("a.png").code, Some(1));
    let entry: serde_json::Value = serde_json::from_str(&place.lines()[1]).expect("JSON");
    assert_eq!(
        (&entry["event"], &entry["reason"]),
        (&"failed".into(), &"media".into()),
        "{entry}"
    );
    assert_eq!(place.audit(&["verify"]).code, Some(0));
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let place = place();
    // Nothing is redacted that could not be recorded.
    let mut command = redact(&place.input, &place.at("a.png"));
    let outcome = run(place
        .with_state(&mut command)
        .args(["--audit-log", "/dev/full"]));
    assert_eq!(outcome.code, Some(1));
    assert!(!place.at("a.png").exists());
    // Full only when it comes to recording: the output stays, and the failure is told.
    let disk = place.at("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "none"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        skip!("no small file system can be mounted");
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg(&self.0).status();
        }
    }
    let unmount = Unmount(disk.clone());
    let log = disk.join("audit.jsonl");
    let redacted = |name: &str| {
        let mut command = redact(&place.input, &place.at(name));
        run(place.with_state(&mut command).arg("--audit-log").arg(&log))
    };
    redacted("b.png").succeeded();
    let whole = std::fs::read(&log).expect("the log");
    // To the last byte: the log's own page has room left that must not be used up by half an entry.
    let mut room = 1 << 16;
    for index in 0.. {
        let name = disk.join(format!("filler-{index}"));
        if std::fs::write(&name, vec![0; room]).is_err() {
            let _ = std::fs::remove_file(&name);
            room /= 2;
        }
        if room == 0 {
            break;
        }
    }
    let mut outcome = redacted("c0.png");
    for index in 1..20 {
        if outcome.code != Some(0) {
            break;
        }
        outcome = redacted(&format!("c{index}.png"));
    }
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("could not be recorded"),
        "{}",
        outcome.stderr
    );
    let now = std::fs::read(&log).expect("the log");
    assert!(
        now.starts_with(&whole) && now.ends_with(b"\n"),
        "the log has whole lines"
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["audit", "verify"]).arg(&log);
    assert_eq!(run(place.with_state(&mut command)).code, Some(0));
    drop(unmount);
}

#[test]
fn the_page_is_written_in_both_languages() {
    let place = place();
    place.redact("a.png").succeeded();
    for (language, words) in [("fr", "Registre du floutage"), ("en", "Redaction record")] {
        let page = place.at(&format!("{language}.html"));
        let output = page.to_string_lossy().into_owned();
        place
            .audit(&["report", "--lang", language, "-o", &output])
            .succeeded();
        let html = std::fs::read_to_string(&page).expect("the page");
        assert!(
            html.contains(words) && html.contains("marker-detector.onnx"),
            "{html}"
        );
    }
}
