//! Several files at once, and what surrounds the program: links, pipes, odd names, closed outputs, crashes.

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::clip::Clip;
use common::program::{Run, names, redact, redact_with, run, start};
use common::scene::Scene;
use common::{ffmpeg, run_tool, temp_dir};

fn clip(folder: &Path, name: &str) -> PathBuf {
    Clip::new(Scene::new(320, 240, 12).on_grid(16)).write(folder, name)
}

/// A clip that takes seconds.
fn long_clip(folder: &Path, name: &str) -> PathBuf {
    let short = Clip::new(Scene::new(320, 240, 50)).write(folder, "short.mp4");
    let path = folder.join(name);
    let mut command = ffmpeg();
    command.args(["-stream_loop", "200", "-i"]).arg(&short);
    run_tool(command.args(["-c", "copy"]).arg(&path));
    std::fs::remove_file(short).expect("a file of our own");
    path
}

/// The processes that `parent` started.
fn children(parent: u32) -> Vec<i32> {
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: state, parent.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    std::fs::read_dir("/proc")
        .expect("there are processes")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

#[test]
fn a_crash_costs_one_file() {
    let dir = temp_dir();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).expect("a folder can be made");
    long_clip(&input, "a.mp4");
    clip(&input, "b.mp4");
    let out = dir.path().join("out");
    let mut child = start(redact(&input, &out).arg("--json"));
    let partial = ".a.mp4.floutage-partial";
    while !out.join(partial).exists() {
        assert_eq!(child.try_wait().expect("it can be asked"), None);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let workers = children(child.id());
    assert_eq!(workers.len(), 1);
    for worker in workers {
        let worker = rustix::process::Pid::from_raw(worker).expect("a process");
        rustix::process::kill_process(worker, rustix::process::Signal::ABORT).expect("signalled");
    }
    let outcome = Run::of(&child.wait_with_output().expect("it ends"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(names(&out), ["b.mp4"]);
    assert!(
        outcome.stderr.contains("a.mp4") && outcome.stderr.contains("crashed"),
        "{outcome:?}"
    );
    let json = outcome.json();
    assert_eq!(json["files"][0]["frames"], 12);
    assert!(
        json["errors"][0]["input"]
            .as_str()
            .is_some_and(|path| path.ends_with("a.mp4"))
    );
}

/// GStreamer 1.22 crashes on these; others may read them, or say what is wrong.
#[test]
fn formats_that_gstreamer_does_not_know_harm_no_other_file() {
    let dir = temp_dir();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).expect("a folder can be made");
    clip(&input, "z.mp4");
    for format in ["yuv420p16le", "gray10le", "gbrp16le"] {
        let mut command = ffmpeg();
        command.args([
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=160x120:r=25:d=0.4",
            "-c:v",
            "ffv1",
        ]);
        run_tool(
            command
                .args(["-pix_fmt", format])
                .arg(input.join(format!("{format}.mkv"))),
        );
    }
    let out = dir.path().join("out");
    // Not `run`: GLib has a word of its own before the crash.
    let output = redact(&input, &out)
        .arg("--json")
        .output()
        .expect("it runs");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (done, failed) = (json["files"].as_array(), json["errors"].as_array());
    let (done, failed) = (done.expect("files").len(), failed.expect("errors").len());
    assert_eq!(done + failed, 4, "{json}");
    assert_eq!(names(&out).len(), done, "{json}");
    assert!(out.join("z.mp4").exists());
}

#[test]
fn closed_and_full_outputs_stop_nothing() {
    let dir = temp_dir();
    let input = dir.path().join("in");
    std::fs::create_dir(&input).expect("a folder can be made");
    clip(&input, "a.mp4");
    std::fs::write(input.join("b.mp4"), "no video").expect("written");
    clip(&input, "c.mp4");
    for json in [false, true] {
        for closed in [true, false] {
            let out = dir.path().join(format!("out-{json}-{closed}"));
            let sink = || -> Stdio {
                if closed {
                    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
                    drop(reader);
                    writer.into()
                } else {
                    let full = std::fs::File::options().write(true).open("/dev/full");
                    full.expect("it can be opened").into()
                }
            };
            let mut command = redact(&input, &out);
            command.args(json.then_some("--json"));
            let status = command.stdout(sink()).stderr(sink()).status();
            assert_eq!(status.expect("it runs").code(), Some(1));
            assert_eq!(names(&out), ["a.mp4", "c.mp4"]);
        }
    }
    // Where only the summary is lost, that is told.
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = redact(&input.join("a.mp4"), &dir.path().join("a.mp4"));
    let output = command
        .arg("--json")
        .stdout(full.expect("it can be opened"))
        .output()
        .expect("it runs");
    let outcome = Run::of(&output);
    assert!(outcome.stderr.contains("standard output"), "{outcome:?}");
    assert_eq!(outcome.code, Some(1));
}

#[test]
fn names_that_are_no_text_and_very_long_ones() {
    let dir = temp_dir();
    let plain = clip(dir.path(), "in.mp4");
    let odd = dir.path().join(OsStr::from_bytes(b"in-\xff\xfe.mp4"));
    std::fs::rename(&plain, &odd).expect("renamed");
    let output = dir.path().join(OsStr::from_bytes(b"out-\xff.mp4"));
    let report = run(redact(&odd, &output).arg("--json"))
        .succeeded()
        .report();
    assert!(
        report["input"]
            .as_str()
            .is_some_and(|path| path.ends_with("in-\u{fffd}\u{fffd}.mp4"))
    );
    assert!(output.exists());
    let long = dir.path().join(format!("{}.mp4", "x".repeat(251)));
    run(&mut redact(&odd, &long)).succeeded();
    assert!(long.exists());
}

#[test]
fn everything_in_a_folder_is_accounted_for() {
    let dir = temp_dir();
    let (input, elsewhere) = (dir.path().join("in"), dir.path().join("elsewhere"));
    for folder in [&input, &elsewhere] {
        std::fs::create_dir(folder).expect("a folder can be made");
    }
    clip(&elsewhere, "far.mp4");
    symlink(&elsewhere, input.join("linked")).expect("linked");
    symlink(elsewhere.join("far.mp4"), input.join("link.mp4")).expect("linked");
    symlink("nowhere", input.join("dead.mp4")).expect("linked");
    symlink(&input, input.join("round")).expect("linked");
    std::fs::copy(elsewhere.join("far.mp4"), input.join("nameless")).expect("copied");
    run_tool(Command::new("mkfifo").arg(input.join("pipe.mp4")));
    std::fs::write(input.join("scan.bmp"), b"BM\x40\0\0\0\0\0\0\0data").expect("written");
    std::fs::write(input.join("scan.tif"), b"II*\0data").expect("written");
    std::fs::write(input.join("notes"), "words").expect("written");
    let out = dir.path().join("out");
    let outcome = run(&mut redact(&input, &out)).succeeded();
    assert_eq!(names(&out), ["link.mp4", "linked/far.mp4", "nameless.mp4"]);
    let left = [
        ("dead.mp4", "nothing"),
        ("notes", "neither"),
        ("pipe.mp4", "pipe"),
        ("round", "link"),
        ("scan.bmp", "BMP"),
        ("scan.tif", "TIFF"),
    ];
    for (name, reason) in left {
        let told = outcome.stdout.lines().any(|line| {
            line.starts_with("left out: ")
                && line.contains(&format!("/{name}: "))
                && line.contains(reason)
        });
        assert!(told, "{name}: {}", outcome.stdout);
    }
    let json = run(redact(&input, &out).args(["--json", "--overwrite"]))
        .succeeded()
        .json();
    let told = json["left_out"].as_array().expect("a list");
    assert_eq!(told.len(), left.len(), "{json}");
    for (entry, (name, reason)) in told.iter().zip(left) {
        assert!(
            entry["path"]
                .as_str()
                .is_some_and(|path| path.ends_with(name)),
            "{entry}"
        );
        assert!(
            entry["reason"]
                .as_str()
                .is_some_and(|text| text.contains(reason)),
            "{entry}"
        );
    }
    // Named one by one they are refused, and nothing waits for a pipe's other end.
    for (name, word) in [
        ("pipe.mp4", "pipe"),
        ("scan.bmp", "BMP"),
        ("scan.tif", "TIFF"),
    ] {
        run(&mut redact(&input.join(name), &dir.path().join("o.mp4"))).failed(&[name, word]);
    }
}

#[test]
fn outputs_that_do_not_fit_are_explained() {
    let dir = temp_dir();
    let input = clip(dir.path(), "in.mp4");
    let picture = dir.path().join("out.jpg");
    run(&mut redact(&input, &picture)).failed(&["in.mp4", "taken for a video", "out.jpg"]);
    let below = input.join("x.mp4");
    run(redact(&input, &below).arg("--overwrite")).failed(&["x.mp4", "in.mp4 is a file"]);
    let tone = dir.path().join("tone.mkv");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "sine=duration=1"])
            .arg(&tone),
    );
    let outcome = run(&mut redact(&tone, &dir.path().join("o.mp4"))).failed(&["no video"]);
    assert!(!outcome.stderr.contains("MP4"), "{outcome:?}");
}

#[test]
fn uncompressed_video_with_a_palette_is_refused() {
    let dir = temp_dir();
    let input = dir.path().join("palette.avi");
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=0.4"]);
    run_tool(
        command
            .args(["-c:v", "rawvideo", "-pix_fmt", "pal8"])
            .arg(&input),
    );
    let output = dir.path().join("o.mp4");
    run(&mut redact(&input, &output)).failed(&["palette.avi", "palette"]);
    assert_eq!(names(dir.path()), ["palette.avi"]);
}

#[test]
fn quiet_keeps_warnings_back_and_files_get_no_colours() {
    let dir = temp_dir();
    let input = dir.path().join("in.mp4");
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "color=c=blue:s=320x240:r=25:d=0.4"]);
    run_tool(command.args(["-pix_fmt", "yuv420p"]).arg(&input));
    let output = dir.path().join("out.mp4");
    let frames = |quiet: bool| {
        let mut command = redact_with("nan-on-blue");
        command
            .arg(&input)
            .arg("-o")
            .arg(&output)
            .arg("--overwrite");
        run(command.args(quiet.then_some("--quiet")))
    };
    let (loud, quiet) = (frames(false), frames(true));
    assert!(loud.stderr.contains("WARN"), "{loud:?}");
    assert!(!loud.stderr.contains('\u{1b}'), "{loud:?}");
    assert_eq!(quiet.stderr, "");
}
