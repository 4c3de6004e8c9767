//! Planning again over what earlier plans and batches have done, and what is told before anything is done.

mod common;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use common::batch::{FOLDER, account, bare, batch, clips, results, settings};
use common::clip::Clip;
use common::program::{Run, run, start};
use common::scene::Scene;
use common::temp_dir;

fn plan(input: &Path, output: &Path, shards: usize) -> Run {
    let mut command = bare(["plan"]);
    command.arg(format!("--shards={shards}"));
    command.arg(input).arg("-o").arg(output).args(settings());
    run(&mut command)
}

fn shards(output: &Path, count: usize) {
    for shard in 1..=count {
        run(bare(["run", "--shard"])
            .arg(format!("{shard}/{count}"))
            .arg(output))
        .succeeded();
    }
}

/// When each result was written.
fn times(output: &Path) -> BTreeMap<String, SystemTime> {
    results(output)
        .into_keys()
        .map(|name| {
            let found = std::fs::metadata(output.join(&name)).expect("it is there");
            (name, found.modified().expect("a time"))
        })
        .collect()
}

/// The states in the account, with their counts.
fn states(output: &Path) -> serde_json::Value {
    run(bare(["report"]).arg(output));
    account(&output.join(FOLDER))["total"]["states"].clone()
}

#[test]
fn planning_again_keeps_what_is_done() {
    let dir = temp_dir();
    let input = clips(dir.path(), 5);
    let out = dir.path().join("out");
    plan(&input, &out, 2).succeeded();
    shards(&out, 2);
    let before = times(&out);

    // One more, one longer than all, so that shards change hands; one is gone.
    Clip::new(Scene::new(160, 120, 30).on_grid(16)).write(&input, "clip-09.mp4");
    std::fs::remove_file(input.join("clip-04.mp4")).expect("removed");
    let again = plan(&input, &out, 2).succeeded();
    assert!(again.stdout.contains("taken over"), "{again:?}");
    assert_eq!(states(&out), serde_json::json!({ "done": 4, "pending": 1 }));
    let told = account(&out.join(FOLDER))["left_out"].to_string();
    assert!(
        told.contains("not counted") && told.contains("clip-04"),
        "{told}"
    );
    shards(&out, 2);
    // Another number of shards, and none at all.
    plan(&input, &out, 3).succeeded();
    assert_eq!(states(&out), serde_json::json!({ "done": 5 }));
    shards(&out, 3);
    assert_eq!(states(&out), serde_json::json!({ "done": 5 }));
    let refused = run(&mut batch(&input, &out));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("plan.json"), "{refused:?}");
    std::fs::remove_file(out.join(FOLDER).join("plan.json")).expect("removed");
    run(&mut batch(&input, &out)).succeeded();
    assert_eq!(states(&out), serde_json::json!({ "done": 5 }));

    let mut after = times(&out);
    after.remove("clip-09.mp4").expect("it was done");
    assert_eq!(before, after, "nothing was done twice");
}

#[test]
fn a_batch_goes_on_as_a_plan() {
    let dir = temp_dir();
    let input = clips(dir.path(), 3);
    let out = dir.path().join("out");
    run(&mut batch(&input, &out)).succeeded();
    let before = times(&out);
    plan(&input, &out, 2).succeeded();
    shards(&out, 2);
    assert_eq!(times(&out), before);
    assert_eq!(states(&out), serde_json::json!({ "done": 3 }));
    // Settings that changed are noticed there, too.
    let mut command = bare(["plan", "--shards=2", "--style=fill"]);
    command.arg(&input).arg("-o").arg(&out).args(settings());
    run(&mut command).succeeded();
    shards(&out, 2);
    assert!(
        times(&out)
            .into_iter()
            .all(|(name, time)| time > before[&name])
    );
}

#[test]
fn outputs_of_a_redo_that_was_cut_off_are_still_this_batch_s_own() {
    let dir = temp_dir();
    let input = clips(dir.path(), 3);
    let out = dir.path().join("out");
    plan(&input, &out, 1).succeeded();
    shards(&out, 1);
    let with_margin = |shards: usize| {
        let mut command = bare(["plan", "--margin=1"]);
        command.arg(format!("--shards={shards}"));
        command.arg(&input).arg("-o").arg(&out).args(settings());
        run(&mut command).succeeded();
    };
    with_margin(1);
    // What is done is done otherwise.
    let report = run(bare(["report"]).arg(&out));
    assert_eq!(report.code, Some(3), "{report:?}");
    assert!(
        report.stdout.contains("the settings are others"),
        "{report:?}"
    );
    // The redo of one of them fails.
    let whole = std::fs::read(input.join("clip-01.mp4")).expect("read");
    std::fs::write(input.join("clip-01.mp4"), &whole[..whole.len() / 3]).expect("written");
    let partial = run(bare(["run", "--shard=1/1", "--retries=0"]).arg(&out));
    assert_eq!(partial.code, Some(3), "{partial:?}");
    std::fs::write(input.join("clip-01.mp4"), &whole).expect("written");
    with_margin(2);
    shards(&out, 2);
    assert_eq!(states(&out), serde_json::json!({ "done": 3 }));
    // Likewise when a batch leaves it out for a while.
    std::fs::remove_file(out.join(FOLDER).join("plan.json")).expect("removed");
    std::fs::write(input.join("clip-02.mp4"), "broken").expect("written");
    run(batch(&input, &out).arg("--margin=1"));
    let one = |names: &[&str]| {
        let mut command = bare([]);
        command.args(names.iter().map(|name| input.join(name)));
        run(command
            .arg("-o")
            .arg(&out)
            .arg("--margin=1")
            .args(settings()))
    };
    one(&["clip-00.mp4"]).succeeded();
    std::fs::write(input.join("clip-02.mp4"), &whole).expect("written");
    one(&["clip-00.mp4", "clip-02.mp4"]).succeeded();
}

#[test]
fn another_input_of_the_same_name_replaces_nothing() {
    let dir = temp_dir();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let (first, second) = (clips(&one, 2), clips(&two, 2));
    std::fs::copy(first.join("clip-01.mp4"), second.join("clip-00.mp4")).expect("copied");
    let out = dir.path().join("out");
    run(&mut batch(&first, &out)).succeeded();
    let before = results(&out);
    let told = run(&mut batch(&second, &out));
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(
        told.stdout
            .contains("clip-00.mp4: it was made of another input")
            && told.stdout.contains("--overwrite"),
        "{told:?}"
    );
    assert!(
        !told.stdout.contains("clip-01.mp4: it was made"),
        "the same content by another name: {told:?}"
    );
    assert!(results(&out) == before);
    let dry = run(batch(&second, &out).arg("--dry-run"));
    assert!(
        dry.code == Some(3) && dry.stdout.contains("made of another input"),
        "{dry:?}"
    );
    // Neither after a redo that failed.
    let whole = std::fs::read(first.join("clip-00.mp4")).expect("read");
    std::fs::write(first.join("clip-00.mp4"), &whole[..whole.len() / 3]).expect("written");
    run(batch(&first, &out).args(["--margin=1", "--retries=0"]));
    let told = run(&mut batch(&second, &out));
    assert!(
        told.code != Some(0) && results(&out)["clip-00.mp4"] == before["clip-00.mp4"],
        "{told:?}"
    );
    run(batch(&second, &out).arg("--overwrite")).succeeded();
    assert_ne!(results(&out)["clip-00.mp4"], before["clip-00.mp4"]);
}

#[test]
fn files_added_beside_others_move_nothing() {
    let dir = temp_dir();
    clips(&dir.path().join("f/one"), 2);
    let out = dir.path().join("f/red");
    let pattern = || {
        let mut command = bare(["f/**/*.mp4", "-o", "f/red"]);
        run(command.current_dir(dir.path()).args(settings())).succeeded()
    };
    pattern();
    // Its folder is no input, however it is called.
    let mut command = bare([]);
    command
        .arg(dir.path().join("f/**/*.mp4"))
        .args(["-o", "f/one/../red", "--dry-run"]);
    let dry = run(command.current_dir(dir.path()).args(settings()));
    assert!(dry.stdout.contains("2 files"), "{dry:?}");
    let before = times(&out);
    assert!(before.contains_key("one/in/clip-00.mp4"), "{before:?}");
    clips(&dir.path().join("f/two"), 1);
    pattern();
    let mut after = times(&out);
    after.remove("two/in/clip-00.mp4").expect("it was added");
    assert_eq!(before, after);
}

#[test]
fn a_row_of_a_manifest_says_how_a_file_of_a_folder_is_done() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    let rows = dir.path().join("rows.csv");
    std::fs::write(&rows, "input,style\nin/clip-01.mp4,fill\n").expect("written");
    let out = dir.path().join("out");
    let with_rows = || {
        let mut command = batch(&input, &out);
        run(command.arg("--manifest").arg(&rows))
    };
    with_rows().succeeded();
    let told = account(&out.join(FOLDER));
    assert_eq!(told["total"]["files"], 2, "{told}");
    assert_eq!(told["files"][1]["settings"]["style"], "fill", "{told}");
    assert!(told["files"][0]["settings"]["style"].is_null(), "{told}");
    let text = "input,style,output\nin/clip-01.mp4,fill,\nin/clip-01.mp4,blur,\n";
    std::fs::write(&rows, text).expect("written");
    let refused = with_rows();
    assert!(
        refused.stderr.contains("line 3") && refused.stderr.contains("line 2"),
        "{refused:?}"
    );
    // One file in two ways, under two names.
    std::fs::write(&rows, text.replace("blur,", "blur,b.mp4")).expect("written");
    with_rows().succeeded();
    std::os::unix::fs::symlink(&input, dir.path().join("other")).expect("linked");
    std::fs::write(&rows, "input,output\nother/clip-01.mp4,c.mp4\n").expect("written");
    let dry = run(batch(&input, &out)
        .arg("--manifest")
        .arg(&rows)
        .arg("--dry-run"));
    assert!(
        dry.stdout.contains("2 files") && dry.stdout.contains("c.mp4"),
        "{dry:?}"
    );
    assert!(out.join("b.mp4").exists() && out.join("clip-01.mp4").exists());
}

#[test]
fn journals_that_were_not_begun_or_are_others_harm_nothing() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    // Neither text nor plain: SQLite's addresses begin so.
    let name = std::ffi::OsString::from_vec(b"file:o\xe9".to_vec());
    let out = dir.path().join(name);
    plan(&input, &out, 2).succeeded();
    let place = out.join(FOLDER);
    shards(&out, 2);
    std::fs::write(place.join("journal-old.sqlite"), "words").expect("written");
    std::fs::write(
        place.join("journal-1-of-7.sqlite"),
        "words and words ".repeat(99),
    )
    .expect("written");
    let report = run(bare(["report"]).arg(&out)).succeeded();
    assert!(report.stdout.contains("journal-1-of-7"), "{report:?}");
    let refused = plan(&input, &out, 3);
    assert!(refused.stderr.contains("move it away"), "{refused:?}");
    std::fs::remove_file(place.join("journal-1-of-7.sqlite")).expect("removed");
    plan(&input, &out, 3).succeeded();
    for shard in 1..=3 {
        let _ = std::fs::File::options()
            .create(true)
            .append(true)
            .open(place.join(format!("journal-{shard}-of-3.sqlite")));
    }
    assert_eq!(states(&out), serde_json::json!({ "done": 2 }));
    // Without the plan they belong to several.
    std::fs::remove_file(place.join("plan.json")).expect("removed");
    let refused = run(bare(["status"]).arg(&out));
    assert!(refused.stderr.contains("several plans"), "{refused:?}");
    let dry = run(batch(&input, &out).arg("--dry-run")).succeeded();
    assert!(dry.stdout.contains("2 done already"), "{dry:?}");
    run(&mut batch(&input, &out)).succeeded();
    assert_eq!(states(&out), serde_json::json!({ "done": 2 }));
    let mut command = bare(["in", "-o", "file:p"]);
    run(command.current_dir(dir.path()).args(settings())).succeeded();
    run(bare(["report", "file:p"]).current_dir(dir.path())).succeeded();
    // Who may only read sees it, too.
    if rustix::process::geteuid().is_root() {
        let mut reader = std::process::Command::new("setpriv");
        reader.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        reader
            .arg(env!("CARGO_BIN_EXE_floutage"))
            .args(["batch", "status"])
            .arg(&out);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
        let status = run(&mut reader).succeeded();
        assert!(status.stdout.contains("2 done"), "{status:?}");
    }
}

#[test]
fn an_array_that_does_not_fit_the_plan_is_told_of() {
    let dir = temp_dir();
    let input = clips(dir.path(), 2);
    let out = dir.path().join("out");
    plan(&input, &out, 2).succeeded();
    let task = |last: &str| {
        run(bare(["run"])
            .arg(&out)
            .env("SLURM_ARRAY_TASK_ID", "0")
            .env("SLURM_ARRAY_TASK_MIN", "0")
            .env("SLURM_ARRAY_TASK_MAX", last))
        .succeeded()
    };
    assert!(!task("1").stderr.contains("array"));
    let told = task("3");
    assert!(told.stderr.contains("--array=0-1"), "{told:?}");
}

#[test]
fn a_dry_run_tells_what_would_become_of_each_file() {
    let dir = temp_dir();
    let input = clips(dir.path(), 4);
    let out = dir.path().join("out");
    run(&mut batch(&input, &out)).succeeded();
    std::fs::remove_file(out.join("clip-01.mp4")).expect("removed");
    std::fs::copy(input.join("clip-00.mp4"), input.join("clip-02.mp4")).expect("copied");
    std::fs::write(input.join("empty.mp4"), "").expect("written");
    Clip::new(Scene::new(160, 120, 6).on_grid(16)).write(&input, "new.mp4");
    Clip::new(Scene::new(160, 120, 6).on_grid(16)).write(&input, "other.mp4");
    std::fs::write(out.join("other.mp4"), "somebody's").expect("written");

    let told = |words: &[&str]| {
        let outcome = run(batch(&input, &out)
            .args(["--dry-run", "--json"])
            .args(words));
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        let files = told["files"].as_array().expect("a list").iter();
        let each: BTreeMap<String, String> = files
            .map(|file| {
                let name = Path::new(file["input"].as_str().expect("a path"));
                let name = name.file_name().expect("a name").to_string_lossy();
                (name.into_owned(), file["will"].to_string())
            })
            .collect();
        (outcome.code, each)
    };
    let (code, each) = told(&[]);
    assert_eq!(code, Some(3), "some would fail");
    for (name, word) in [
        ("clip-00.mp4", "stay"),
        ("clip-01.mp4", "the output is missing"),
        ("clip-02.mp4", "compare"),
        ("empty.mp4", "is empty"),
        ("new.mp4", "do"),
        ("other.mp4", "--overwrite"),
    ] {
        assert!(each[name].contains(word), "{name}: {each:?}");
    }
    let (_, each) = told(&["--overwrite", "--style=fill"]);
    assert!(each["other.mp4"].contains("do"), "{each:?}");
    assert!(each["clip-00.mp4"].contains("settings"), "{each:?}");
    let (_, each) = told(&["--changed=report", "--style=fill"]);
    assert!(each["clip-00.mp4"].contains("report"), "{each:?}");
    // People read the same.
    let outcome = run(batch(&input, &out).arg("--dry-run"));
    let line = "of them: 2 done already, 1 to be compared, 1 to be done again, 2 that would fail";
    assert!(outcome.stdout.contains(line), "{outcome:?}");
    assert!(!out.join("new.mp4").exists());
}

#[test]
fn outputs_that_cannot_be_made_are_refused_before_the_work() {
    let dir = temp_dir();
    clips(dir.path(), 1);
    let out = dir.path().join("out");
    for (row, word) in [
        ("noext,h264", ".mp4, .mov, .mkv or .webm"),
        ("a.jpg,h264", ".mp4, .mov, .mkv or .webm"),
        ("a.webm,h264", "webmmux"),
        ("floutage-batch/journal.mp4,h264", "journal"),
    ] {
        let rows = dir.path().join("rows.csv");
        let text = format!("input,output,codec\nin/clip-00.mp4,{row}\n");
        std::fs::write(&rows, text).expect("written");
        let mut command = bare(["--manifest"]);
        command.arg(&rows).arg("-o").arg(&out).args(settings());
        let refused = run(&mut command);
        assert_eq!(refused.code, Some(1), "{row}: {refused:?}");
        assert!(refused.stderr.contains(word), "{row}: {refused:?}");
        assert!(!out.exists(), "{row}");
    }
    for (columns, word) in [
        (
            "input,input\nin/clip-00.mp4,in/clip-00.mp4\n",
            "two columns",
        ),
        ("input,model\nin/clip-00.mp4,nothing\n", "line 2"),
        ("input,no-sandbox\nin/clip-00.mp4,true\n", "no-sandbox"),
    ] {
        let rows = dir.path().join("rows.csv");
        std::fs::write(&rows, columns).expect("written");
        let refused = run(bare(["--manifest"])
            .arg(&rows)
            .arg("-o")
            .arg(&out)
            .args(settings()));
        assert!(refused.stderr.contains(word), "{refused:?}");
    }
    // A name that no file system takes costs no work.
    let long = "n".repeat(251);
    let rows = dir.path().join("rows.csv");
    std::fs::write(
        &rows,
        format!("input,output\nin/clip-00.mp4,{long}.x.mp4\n"),
    )
    .expect("written");
    let mut command = bare(["--manifest"]);
    command.arg(&rows).arg("-o").arg(&out).args(settings());
    let dry = run(command.arg("--dry-run"));
    assert!(
        dry.code == Some(1) && dry.stdout.contains("255 bytes"),
        "{dry:?}"
    );
    std::fs::write(
        &rows,
        "input,output\nin/clip-00.mp4,a.mp4\nin/clip-01.mp4,a.mp4/b.mp4\n",
    )
    .expect("written");
    let mut command = bare(["--manifest"]);
    let both = run(command.arg(&rows).arg("-o").arg(&out).args(settings()));
    assert!(both.stderr.contains("and the folder of"), "{both:?}");
    // Two names of one file are one, and a quoted pattern is resolved.
    let mut command = bare([
        "in/clip-00.mp4",
        "./in/clip-00.mp4",
        "in/clip-*.mp4",
        "-o",
        "out",
    ]);
    let one = run(command.current_dir(dir.path()).args(settings())).succeeded();
    assert!(one.stdout.contains("1 files: 1 done"), "{one:?}");
}

#[test]
fn names_do_not_command_the_terminal() {
    let dir = temp_dir();
    let input = clips(dir.path(), 1);
    let evil = "a\x1b]0;owned\x07\n\u{202e}b.mp4";
    std::fs::rename(input.join("clip-00.mp4"), input.join(evil)).expect("renamed");
    std::fs::write(input.join("\x1b[31m.mp4"), "no video").expect("written");
    let out = dir.path().join("out");
    let outcome = run(&mut batch(&input, &out));
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(out.join(evil).exists(), "the name itself is kept");
    let hidden = |text: &str| text.contains(['\x1b', '\x07', '\u{202e}']);
    assert!(
        !hidden(&outcome.stdout) && !hidden(&outcome.stderr),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("\\x1b[31m"), "{outcome:?}");
    for name in ["report.csv", "report.html", "report.json"] {
        let text = std::fs::read_to_string(out.join(FOLDER).join(name)).expect("text");
        assert!(!hidden(&text) && text.contains("\\x1b"), "{name}");
    }
    // It is known again.
    let again = run(batch(&input, &out).arg("--dry-run"));
    assert!(again.stdout.contains("1 done already"), "{again:?}");
}

#[test]
fn a_killed_batch_is_not_called_running() {
    let dir = temp_dir();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).expect("made");
    let short = Clip::new(Scene::new(320, 240, 50)).write(dir.path(), "short.mp4");
    let mut command = common::ffmpeg();
    command.args(["-stream_loop", "400", "-i"]).arg(short);
    common::run_tool(command.args(["-c", "copy"]).arg(input.join("long.mp4")));
    let out = dir.path().join("out");
    let mut child = start(&mut batch(&input, &out));
    let status = || run(bare(["status"]).arg(&out));
    while !status().stdout.contains("1 running") {
        assert_eq!(child.try_wait().expect("it can be asked"), None);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let told = status();
    assert!(
        told.stdout.contains("1 pending") && told.stdout.contains("cut off: "),
        "{told:?}"
    );
}
