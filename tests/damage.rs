//! Damaged and cut files of every container: what is missing or broken is told, and `--strict` fails.

mod common;

use std::path::Path;

use common::clip::Clip;
use common::damage::{damaged, truncated};
use common::program::{names, redact, run};
use common::scene::Scene;
use common::{ffmpeg, run_tool, temp_dir};

fn lost_or_damaged(input: &Path, folder: &Path) -> u64 {
    let report = run(redact(input, &folder.join("o.mkv")).args(["--json", "--overwrite"]))
        .succeeded()
        .report();
    let number = |key: &str| report[key].as_u64().expect("a number");
    number("frames_lost") + number("frames_damaged")
}

#[test]
fn no_container_hides_damage() {
    let dir = temp_dir();
    let plain = Clip::new(Scene::new(320, 240, 48))
        .key_interval(12)
        .write(dir.path(), "plain.mkv");
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("a folder can be made");
    for (name, codec) in [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.avi", "mpeg4"),
        ("a.flv", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.ts", "libx264"),
        ("a.wmv", "wmv2"),
    ] {
        let whole = dir.path().join(name);
        let mut command = ffmpeg();
        command
            .arg("-i")
            .arg(&plain)
            .args(["-c:v", codec, "-b:v", "2M"]);
        run_tool(command.args(["-g", "12"]).arg(&whole));
        run(redact(&whole, &out.join("strict.mkv")).args(["--strict", "--overwrite"])).succeeded();
        assert_eq!(lost_or_damaged(&whole, &out), 0, "{name}");
        std::fs::remove_file(out.join("strict.mkv")).expect("it is there");

        let length = std::fs::metadata(&whole).expect("made").len() as f64;
        let broken = damaged(
            &whole,
            &format!("broken-{name}"),
            0.5,
            0.5 + 6000.0 / length,
        );
        assert!(
            lost_or_damaged(&broken, &out) > 0,
            "{name}: damage is not told"
        );
        let mut strict = redact(&broken, &out.join("strict.mkv"));
        run(strict.arg("--strict")).failed(&[&format!("broken-{name}"), "strict"]);

        // Of these the beginning can be read; the others are refused, see `bad_input.rs`.
        if matches!(name, "a.flv" | "a.mpg" | "a.ts" | "a.wmv") {
            let cut = truncated(&whole, &format!("cut-{name}"), 0.6);
            assert!(
                lost_or_damaged(&cut, &out) > 0,
                "{name}: the cut is not told"
            );
            let mut strict = redact(&cut, &out.join("strict.mkv"));
            run(strict.arg("--strict")).failed(&[&format!("cut-{name}"), "strict"]);
        }
        assert_eq!(names(&out), ["o.mkv"], "{name}");
    }
}

#[test]
fn packets_that_a_recorder_never_got_are_told() {
    let dir = temp_dir();
    let plain = Clip::new(Scene::new(320, 240, 48)).write(dir.path(), "plain.mkv");
    for (name, size, options) in [
        ("a.ts", 188, ["-mpegts_m2ts_mode", "0"]),
        ("a.mts", 192, ["-mpegts_m2ts_mode", "1"]),
    ] {
        let whole = dir.path().join(name);
        let mut command = ffmpeg();
        command
            .arg("-i")
            .arg(&plain)
            .args(["-c:v", "libx264", "-f", "mpegts"]);
        run_tool(command.args(options).arg(&whole));
        assert_eq!(lost_or_damaged(&whole, dir.path()), 0, "{name}");

        let mut bytes = std::fs::read(&whole).expect("readable");
        let lost = bytes.len() / size / 2 * size;
        bytes.drain(lost..lost + size);
        let broken = dir.path().join(format!("broken-{name}"));
        std::fs::write(&broken, bytes).expect("written");
        assert!(
            lost_or_damaged(&broken, dir.path()) > 0,
            "{name}: a packet is missing"
        );
        let mut strict = redact(&broken, &dir.path().join("strict.mkv"));
        run(strict.arg("--strict")).failed(&[&format!("broken-{name}"), "strict"]);
    }
}
