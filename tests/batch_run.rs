//! A batch on one machine: every file once, what changed is noticed, and what fails is told.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use common::batch::{FOLDER, account, bare, batch, clips, results, settings};
use common::clip::Clip;
use common::program::{names, redact, run, start};
use common::scene::Scene;
use common::temp_dir;

fn times(output: &Path) -> BTreeMap<String, SystemTime> {
    results(output)
        .into_keys()
        .map(|name| {
            let found = std::fs::metadata(output.join(&name)).expect("it is there");
            let time = found.modified().expect("it has a time");
            (name, time)
        })
        .collect()
}

fn hash(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("it can be read");
    blake3::hash(&bytes).to_hex().to_string()
}

#[test]
fn files_are_done_once_and_accounted_for() {
    let dir = temp_dir();
    let input = clips(dir.path(), 3);
    let picture = Scene::new(160, 120, 1).on_grid(16);
    Clip::new(picture).write(&input, "still.mp4");
    std::fs::write(input.join("broken.mp4"), "no video").expect("written");
    std::fs::write(input.join("notes"), "words").expect("written");
    let out = dir.path().join("out");
    let first = run(&mut batch(&input, &out));
    assert_eq!(first.code, Some(3), "{first:?}");
    let done = ["clip-00.mp4", "clip-01.mp4", "clip-02.mp4", "still.mp4"];
    assert_eq!(results(&out).into_keys().collect::<Vec<_>>(), done);
    assert!(first.stdout.contains("failed: ") && first.stdout.contains("broken.mp4"));
    assert!(first.stdout.contains("left out: ") && first.stdout.contains("notes"));

    let told = account(&out.join(FOLDER));
    assert_eq!(told["total"]["states"]["done"], 4, "{told}");
    assert_eq!(told["total"]["states"]["failed"], 1, "{told}");
    assert_eq!(told["total"]["frames"], 6 + 7 + 8 + 1);
    for file in told["files"].as_array().expect("files") {
        let path = |name: &str| Path::new(file[name].as_str().expect("a path")).to_owned();
        if file["state"] == "failed" {
            // A first try and one more.
            assert_eq!(file["attempts"], 2);
            continue;
        }
        assert_eq!(file["input_identity"]["blake3"], hash(&path("input")));
        assert_eq!(file["output_identity"]["blake3"], hash(&path("output")));
        let (regions, tally) = (&file["regions"], &file["tally"]);
        let sum = |values: &serde_json::Value| -> u64 {
            let values = values.as_array().expect("numbers");
            values.iter().filter_map(serde_json::Value::as_u64).sum()
        };
        for class in ["face", "plate"] {
            assert!(regions[class].as_u64() > Some(0), "{file}");
            assert_eq!(regions[class], sum(&tally[class]["height"]));
            assert_eq!(regions[class], sum(&tally[class]["confidence"]));
            assert!(tally["tracks"][class].as_u64() > Some(0), "{file}");
            assert!(tally["tracks"][class].as_u64() <= regions[class].as_u64());
        }
    }
    let page = std::fs::read_to_string(out.join(FOLDER).join("report.html")).expect("a page");
    assert!(page.contains("broken.mp4") && page.contains("clip-02.mp4"));
    for foreign in ["<img", "<script", "http:", "https:", "data:", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let table = std::fs::read_to_string(out.join(FOLDER).join("report.csv")).expect("a table");
    assert_eq!(table.lines().count(), 1 + 5);

    // What is complete is left alone, what is missing is done.
    let before = times(&out);
    std::fs::copy(input.join("clip-00.mp4"), input.join("broken.mp4")).expect("copied");
    // Also from another folder.
    let mut elsewhere = batch(Path::new("./in"), Path::new("out"));
    run(elsewhere.current_dir(dir.path())).succeeded();
    let after = times(&out);
    assert_eq!(after.len(), 5);
    for (name, time) in before {
        assert_eq!(after[&name], time, "{name}");
    }
}

#[test]
fn a_batch_redacts_as_redact_does() {
    let dir = temp_dir();
    let input = clips(dir.path(), 1);
    let out = dir.path().join("out");
    run(&mut batch(&input, &out)).succeeded();
    let single = dir.path().join("single.mp4");
    let mut command = redact(&input.join("clip-00.mp4"), &single);
    run(command.args(["--preset", "ultrafast"])).succeeded();
    assert_eq!(
        results(&out)["clip-00.mp4"],
        std::fs::read(single).expect("read")
    );
}

#[test]
fn what_changed_is_redone_or_reported() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    let out = dir.path().join("out");
    run(&mut batch(&input, &out)).succeeded();
    let (before, at) = (results(&out), times(&out));

    // Another time alone is no change, and neither is a copy of the same content.
    std::fs::copy(input.join("clip-00.mp4"), input.join("c")).expect("copied");
    std::fs::rename(input.join("c"), input.join("clip-00.mp4")).expect("renamed");
    run(&mut batch(&input, &out)).succeeded();
    assert_eq!(times(&out), at);

    // Another input.
    let other = Clip::new(Scene::new(160, 120, 9).on_grid(16)).write(dir.path(), "other.mp4");
    std::fs::rename(other, input.join("clip-00.mp4")).expect("renamed");
    let reported = run(batch(&input, &out).args(["--changed", "report"]));
    assert_eq!(reported.code, Some(3));
    assert!(
        reported
            .stdout
            .contains("clip-00.mp4: the input has changed"),
        "{reported:?}"
    );
    assert_eq!(times(&out), at);
    run(&mut batch(&input, &out)).succeeded();
    let redone = times(&out);
    assert_ne!(redone["clip-00.mp4"], at["clip-00.mp4"]);
    assert_eq!(redone["clip-01.mp4"], at["clip-01.mp4"]);

    // Another output: changed by somebody, or gone.
    std::fs::write(out.join("clip-01.mp4"), "not what it was").expect("written");
    let reported = run(batch(&input, &out).args(["--changed", "report"]));
    assert_eq!(reported.code, Some(3));
    run(&mut batch(&input, &out)).succeeded();
    assert_eq!(results(&out)["clip-01.mp4"], before["clip-01.mp4"]);
    std::fs::remove_file(out.join("clip-01.mp4")).expect("removed");
    run(&mut batch(&input, &out)).succeeded();
    assert_eq!(results(&out)["clip-01.mp4"], before["clip-01.mp4"]);

    // Another setting; another model.
    let at = times(&out);
    let reported = run(batch(&input, &out).args(["--changed", "report", "--style", "fill"]));
    assert_eq!(reported.code, Some(3));
    assert!(reported.stdout.contains("settings"), "{reported:?}");
    assert_eq!(times(&out), at);
    run(batch(&input, &out).args(["--style", "fill"])).succeeded();
    assert!(
        times(&out)
            .values()
            .all(|time| !at.values().any(|old| old == time))
    );
    let model = dir.path().join("model.onnx");
    for extension in ["onnx", "toml"] {
        let from = common::program::fixture("marker-detector").with_extension(extension);
        let text = std::fs::read(from).expect("read");
        std::fs::write(model.with_extension(extension), text).expect("written");
    }
    let with_model = |words: &[&str]| {
        let mut command = bare([]);
        command.arg(&input).arg("-o").arg(&out).args(words);
        command.args(
            settings()
                .into_iter()
                .filter(|word| !word.starts_with("--model")),
        );
        command.args(["--style", "fill"]).arg("--model").arg(&model);
        run(&mut command)
    };
    // The same model under another name is the same model.
    let at = times(&out);
    with_model(&[]).succeeded();
    assert_eq!(times(&out), at);
    let described = model.with_extension("toml");
    let text = std::fs::read_to_string(&described).expect("read");
    let other = text.replace("0.5", "0.45");
    assert_ne!(text, other, "the description has a threshold of 0.5");
    std::fs::write(&described, other).expect("written");
    let reported = with_model(&["--changed", "report"]);
    assert_eq!(reported.code, Some(3));
    assert!(
        reported.stdout.contains("the model is another"),
        "{reported:?}"
    );
}

#[test]
fn names_need_not_be_text() {
    let dir = temp_dir();
    let made = clips(dir.path(), 4);
    let input = dir.path().join(OsStr::from_bytes(b"dep\xf4t"));
    std::fs::create_dir(&input).expect("made");
    let named = [
        &b"caf\xe8.mp4"[..],
        b"caf\xe9.mp4",
        b"\xff\\x41.mp4",
        b"a\\x41.mp4",
    ];
    for (index, name) in named.iter().enumerate() {
        let from = made.join(format!("clip-{index:02}.mp4"));
        std::fs::rename(from, input.join(OsStr::from_bytes(name))).expect("renamed");
    }
    let out = dir.path().join("out");
    run(&mut batch(&input, &out)).succeeded();
    for name in named {
        assert!(out.join(OsStr::from_bytes(name)).is_file(), "{name:?}");
    }
    let told = account(&out.join(FOLDER));
    let all = told.to_string();
    for name in [
        "caf\\xe8.mp4",
        "caf\\xe9.mp4",
        "\\xff\\x5cx41.mp4",
        "a\\x5cx41.mp4",
        "dep\\xf4t",
    ] {
        let quoted = serde_json::to_string(name).expect("text");
        assert!(all.contains(quoted.trim_matches('"')), "{name}: {all}");
    }
    // They are known again.
    let again = run(batch(&input, &out).arg("--verify")).succeeded();
    assert!(!again.stderr.contains(" -> "), "{again:?}");

    // By pattern, list and manifest, in a folder whose name is no text either.
    std::fs::write(input.join("list"), b"caf\xe9.mp4\r\n").expect("written");
    std::fs::write(
        input.join("rows.csv"),
        b"input,output\ncaf\xe8.mp4,\xe8.mp4\n",
    )
    .expect("written");
    let job = "inputs = [\"?\\\\x41.mp4\"]\nlists = [\"list\"]\nmanifests = [\"rows.csv\"]\noutput = \"named\"\n";
    std::fs::write(input.join("job.toml"), job).expect("written");
    run(bare(["-c"]).arg(input.join("job.toml")).args(settings())).succeeded();
    for name in [
        &b"caf\xe9.mp4"[..],
        b"\xe8.mp4",
        b"\xff\\x41.mp4",
        b"a\\x41.mp4",
    ] {
        let path = input.join("named").join(OsStr::from_bytes(name));
        assert!(path.is_file(), "{}", path.display());
    }
}

#[test]
fn job_files_lists_patterns_and_manifests() {
    let dir = temp_dir();
    clips(&dir.path().join("a"), 2);
    clips(&dir.path().join("b"), 2);
    std::fs::write(
        dir.path().join("list.txt"),
        "a/in/clip-00.mp4\nb/in/clip-00.mp4\n",
    )
    .expect("written");
    let rows =
        "input,output,style,strict\na/in/clip-01.mp4,x/filled.mp4,fill,true\nb/in/clip-01.mp4,,,\n";
    std::fs::write(dir.path().join("rows.csv"), rows).expect("written");
    let model = common::program::fixture("marker-detector");
    let job = format!(
        "inputs = [\"b/i?/clip-*.mp4\"]\noutput = \"out\"\nlists = [\"list.txt\"]\nmanifests = [\"rows.csv\"]\njobs = 2\n\
         [settings]\nmodel = {:?}\ninput-size = \"native\"\nlook-ahead = 0\nhold = 0\npreset = \"ultrafast\"\n",
        model.display().to_string()
    );
    let path = dir.path().join("job.toml");
    std::fs::write(&path, &job).expect("written");
    let outcome = run(bare(["-c"]).arg(&path).arg("--dry-run")).succeeded();
    assert!(outcome.stdout.contains(" files, "), "{outcome:?}");
    assert!(!dir.path().join("out").exists());
    run(bare(["-c"]).arg(&path)).succeeded();
    let out = dir.path().join("out");
    assert_eq!(
        results(&out).into_keys().collect::<Vec<_>>(),
        [
            "a/in/clip-00.mp4",
            "b/in/clip-00.mp4",
            "b/in/clip-01.mp4",
            "x/filled.mp4"
        ]
    );
    let told = account(&out.join(FOLDER));
    assert_eq!(told["files"][3]["settings"]["style"], "fill", "{told}");
    assert_eq!(told["settings"]["look-ahead"], "0", "{told}");

    for (text, word) in [
        (job.replace("native", "nativ"), "input-size"),
        (job.replace("look-ahead", "look-behind"), "look-behind"),
        (job.replace("inputs", "imputs"), "imputs"),
        (job.replace("clip-*", "clop-*"), "clop-"),
        (job.replace("jobs = 2", "jobs = 0"), "jobs"),
    ] {
        std::fs::write(&path, text).expect("written");
        let failed = run(bare(["-c"]).arg(&path));
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert!(failed.stderr.contains(word), "{word}: {failed:?}");
    }
}

#[test]
fn outputs_of_others_are_kept() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("made");
    std::fs::write(out.join("clip-00.mp4"), "somebody's").expect("written");
    let outcome = run(&mut batch(&input, &out));
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stdout.contains("--overwrite"), "{outcome:?}");
    assert_eq!(results(&out)["clip-00.mp4"], b"somebody's");
    run(batch(&input, &out).arg("--overwrite")).succeeded();
    assert_ne!(results(&out)["clip-00.mp4"], b"somebody's");
}

#[test]
fn any_number_of_files_at_once_gives_the_same_bytes() {
    let dir = temp_dir();
    let input = clips(dir.path(), 4);
    for (name, codec) in [("v.webm", "vp9"), ("m.mkv", "h264"), ("q.mov", "h264")] {
        let clip = Clip::new(Scene::new(320, 240, 30).on_grid(16));
        let clip = match codec {
            "vp9" => clip.codec(common::codec::Codec::Vp9),
            _ => clip,
        };
        clip.write(&input, name);
    }
    let mut all = Vec::new();
    for jobs in ["1", "3", "auto"] {
        let out = dir.path().join(format!("out-{jobs}"));
        let mut command = bare([]);
        command.arg(&input).arg("-o").arg(&out).args(settings());
        run(command.args(["--jobs", jobs])).succeeded();
        all.push(results(&out));
    }
    assert_eq!(all[0].len(), 7);
    for other in &all[1..] {
        for (name, bytes) in other {
            assert!(all[0][name] == *bytes, "{name}");
        }
    }
}

#[test]
fn another_terminal_sees_how_far_it_is() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    let long = common::clip::Clip::new(Scene::new(320, 240, 50)).write(dir.path(), "short.mp4");
    let mut command = common::ffmpeg();
    command.args(["-stream_loop", "400", "-i"]).arg(long);
    common::run_tool(command.args(["-c", "copy"]).arg(input.join("long.mp4")));
    let out = dir.path().join("out");
    let mut child = start(&mut batch(&input, &out));
    let seen = loop {
        assert_eq!(child.try_wait().expect("it can be asked"), None);
        let mut command = bare(["status", "--json"]);
        let status = command.arg(&out).output().expect("it runs");
        if status.status.success() {
            let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
            let running = status["running"].as_array().expect("a list");
            if running.iter().any(|file| file["frames"].as_u64() > Some(0)) {
                break status;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(seen["total"]["files"], 3);
    // Nobody else works on it meanwhile.
    let second = run(&mut batch(&input, &out));
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("another process"), "{second:?}");
    // An orderly stop leaves nothing half done.
    let id = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("signalled");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(
        names(&out)
            .iter()
            .all(|name| !name.contains("partial") && !name.contains(".floutage-"))
    );
    run(bare(["status"]).arg(&out)).succeeded();
    let nothing = run(bare(["status"]).arg(dir.path().join("in")));
    assert!(nothing.stderr.contains("no journal"), "{nothing:?}");
}

#[test]
fn nothing_to_do_is_an_error() {
    let dir = temp_dir();
    let out = dir.path().join("out");
    for words in [&["status"][..], &[]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        let outcome = run(command.arg("batch").args(words));
        assert!(matches!(outcome.code, Some(1 | 2)), "{outcome:?}");
    }
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).expect("made");
    let outcome = run(&mut batch(&empty, &out));
    assert!(outcome.stderr.contains("nothing to redact"), "{outcome:?}");
    assert!(!out.exists());
}
