//! Recordings in the tamper-evident record: every file has an entry, whatever ended the gateway, and whoever changes a file
//! or the record is found out.

mod common;
mod gateway;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::codec::Codec;
use common::program::{Run, names, run};
use common::temp_dir;
use floutage::verify::inspect;
use gateway::*;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

struct Place {
    dir: TempDir,
    config: PathBuf,
    log: PathBuf,
    kept: PathBuf,
}

/// A gateway of two cameras, to be run as a program: one after the other, with one record.
fn place(record: &str) -> Place {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let (kept, log) = (dir.path().join("kept"), dir.path().join("audit.jsonl"));
    let config_file = dir.path().join("floutage.toml");
    let text = config(&format!(
        "{RTSP}[audit]\nlog = \"{}\"\n\n[record]\nenabled = true\ndirectory = \"{}\"\n{record}\n\n{}{}",
        log.display(),
        kept.display(),
        looped("door", &path),
        looped("yard", &path),
    ));
    std::fs::write(&config_file, text).expect("it can be written");
    Place {
        dir,
        config: config_file,
        log,
        kept,
    }
}

impl Place {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.dir.path().join("state"))
            .env_remove("FLOUTAGE_AUDIT_LOG");
        command
    }

    fn serve(&self) -> Serving {
        let child = self
            .command(&["serve", "-c"])
            .arg(&self.config)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        Serving(child)
    }

    /// The recordings, by their path below the folder, in the order of cameras and time.
    fn files(&self) -> Vec<String> {
        if self.kept.exists() {
            names(&self.kept)
        } else {
            Vec::new()
        }
    }

    fn entries(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn segments(&self) -> Vec<Value> {
        let is_segment = |entry: &Value| entry["what"] == "segment";
        self.entries().into_iter().filter(is_segment).collect()
    }

    fn verify(&self) -> Run {
        let mut command = self.command(&["audit", "verify", "--json", "--recordings"]);
        run(command.arg(&self.kept).arg(&self.log))
    }

    fn found(&self, problem: &str) {
        let outcome = self.verify();
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        let said = outcome.json()["recordings"]["problems"].to_string();
        assert!(said.contains(problem), "{problem}: {said}");
    }
}

/// The running program; a test that fails leaves none behind.
struct Serving(Child);

impl Serving {
    fn stop(mut self) {
        let id = Pid::from_child(&self.0);
        kill_process(id, Signal::TERM).expect("it runs");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_file_is_entered_and_whoever_changes_one_is_found_out() {
    let place = place("segment = \"2s\"");
    let serving = place.serve();
    wait_for("two entries of each camera", || {
        let segments = place.segments();
        let of = |camera: &str| segments.iter().filter(|it| it["source"] == camera).count();
        (of("door") >= 2 && of("yard") >= 2).then_some(())
    });
    // While it runs, what is being written is no problem.
    let running = place.verify().succeeded().json();
    assert!(
        running["recordings"]["as_recorded"].as_u64() >= Some(4),
        "{running}"
    );
    // Nobody else writes notes into the same record.
    let second = run(place.command(&["serve", "-c"]).arg(&place.config));
    second.failed(&["another gateway records in this log"]);
    serving.stop();
    let files = place.files();
    let outcome = place.verify().succeeded().json();
    assert_eq!(
        outcome["recordings"]["as_recorded"],
        files.len(),
        "{outcome}"
    );
    assert_eq!(outcome["recordings"]["open"], 0, "{outcome}");
    let entries = place.entries();
    let events: Vec<&str> = entries
        .iter()
        .filter_map(|it| it["event"].as_str())
        .collect();
    assert_eq!(events[..2], ["opened", "started"], "{events:?}");
    assert_eq!(events.last(), Some(&"stopped"), "{events:?}");
    for entry in place.segments() {
        let model = &entry["models"][0];
        assert_eq!(model["name"], "marker-detector.onnx", "{entry}");
        assert_eq!(model["sha256"].as_str().map(str::len), Some(64), "{entry}");
        assert_eq!(entry["settings"]["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(
            entry["settings"]["face"], "fill, ellipse, margin 0.4",
            "{entry}"
        );
        assert!(entry["frames"].as_u64() >= Some(10), "{entry}");
        assert!(entry["duration_s"].as_f64() > Some(0.5), "{entry}");
        assert!(entry["begin"].as_str() < entry["end"].as_str(), "{entry}");
        assert!(
            !entry.to_string().contains(".mp4"),
            "no names of files: {entry}"
        );
    }
    let faces: u64 = place
        .segments()
        .iter()
        .filter_map(|it| it["faces"].as_u64())
        .sum();
    assert!(faces > 0, "regions are counted");
    for file in &files {
        let path = place.kept.join(file);
        is_redacted(&path, 10);
        let inspection = inspect(&path).expect("it can be read");
        assert_eq!(inspection.findings, [], "{file}");
    }
    // What an entry says of frames is true.
    let first = place.kept.join(&files[0]);
    let stem = first
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .replace('-', "");
    let entry = place.segments().into_iter().find(|it| {
        let begin = it["begin"].as_str().unwrap_or_default();
        it["source"] == "door" && begin.replace(['-', ':'], "") == stem
    });
    let entry = entry.expect("it is entered");
    let frames = packet_times(&first).len();
    assert_eq!(entry["frames"].as_u64(), Some(frames as u64), "{entry}");

    let bytes = std::fs::read(&first).expect("it can be read");
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&first, changed).expect("it can be written");
    place.found("not as it was recorded");
    std::fs::remove_file(&first).expect("it can be removed");
    place.found("was not purged, and is missing");
    std::fs::write(&first, &bytes).expect("it can be written");
    place.verify().succeeded();
    let added = place.kept.join("yard/2020-01-01T00-00-00.000Z.mp4");
    std::fs::write(&added, &bytes).expect("it can be written");
    place.found("not in the record");
    std::fs::remove_file(&added).expect("it can be removed");
    std::fs::rename(place.kept.join("yard"), place.dir.path().join("yard")).expect("it moves");
    place.found("yard, ");
    std::fs::rename(place.dir.path().join("yard"), place.kept.join("yard")).expect("it moves");
    place.verify().succeeded();
    let text = std::fs::read_to_string(&place.log).expect("it can be read");
    std::fs::write(&place.log, text.replace("\"door\"", "\"gate\"")).expect("written");
    assert_eq!(place.verify().code, Some(1));
}

#[test]
fn a_file_cut_off_by_a_kill_is_entered_at_the_next_start_and_purges_leave_the_record_valid() {
    let place = place("segment = \"10s\"\nretention = { size = \"150kB\" }");
    let mut killed = place.serve();
    let growing = wait_for("a growing file", || {
        let files = place.files();
        let file = files.first()?;
        let path = place.kept.join(file);
        let length = std::fs::metadata(&path).ok()?.len();
        (length > 20_000 && files.len() == 2).then_some(path)
    });
    killed.0.kill().expect("it runs");
    killed.0.wait().expect("it ends");
    assert_eq!(place.segments().len(), 0);
    let before = place.verify().succeeded().json();
    assert_eq!(before["recordings"]["open"], 2, "{before}");
    // As if it had been killed in the middle of a fragment.
    let whole = std::fs::read(&growing).expect("it can be read");
    let torn = [&whole[..], &[0, 0, 1, 0], b"moof", &[0; 20]].concat();
    std::fs::write(&growing, torn).expect("it can be written");
    let serving = place.serve();
    let unfinished = wait_for("the entries", || {
        let segments = place.segments();
        (segments
            .iter()
            .filter(|it| it["unfinished"] == true)
            .count()
            == 2)
            .then_some(segments)
    });
    assert_eq!(std::fs::read(&growing).expect("it can be read"), whole);
    let frames = unfinished[0]["frames"].as_u64().expect("a number");
    assert_eq!(
        frames as usize,
        packet_times(&growing).len(),
        "{unfinished:?}"
    );
    assert!(
        inspect(&growing)
            .expect("it can be read")
            .findings
            .is_empty()
    );
    // The oldest go when there are too many.
    wait_for("a purge", || {
        let purged = place.entries().iter().any(|it| it["event"] == "purged");
        purged.then_some(())
    });
    serving.stop();
    let outcome = place.verify().succeeded().json();
    let recordings = &outcome["recordings"];
    assert!(recordings["purged"].as_u64() >= Some(1), "{outcome}");
    assert_eq!(recordings["as_recorded"], place.files().len(), "{outcome}");
    let starts = place
        .entries()
        .iter()
        .filter(|it| it["event"] == "started")
        .count();
    assert_eq!(starts, 2, "one chain over both runs");
}

#[test]
fn where_no_record_can_be_kept_nothing_is_begun() {
    let place = place("segment = \"2s\"");
    let nowhere = Path::new("/dev/null/audit.jsonl");
    let mut command = place.command(&["serve", "-c"]);
    run(command.arg(&place.config).arg("--audit-log").arg(nowhere)).failed(&["audit.jsonl"]);
    assert!(place.files().is_empty() && !place.log.exists());
    // A record that was changed is not gone on with.
    std::fs::write(&place.log, "{\"event\":\"opened\"}\n").expect("it can be written");
    run(place.command(&["serve", "-c"]).arg(&place.config)).failed(&["changed"]);
    assert!(place.files().is_empty());
}
