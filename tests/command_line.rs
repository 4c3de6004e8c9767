//! `floutage redact` by its command line: options, folders, outputs that exist, side channels, signals.

mod common;

use std::path::Path;
use std::process::Command;

use common::clip::{Clip, SECRET};
use common::codec::Codec;
use common::damage::damaged;
use common::look::{self, decode_frames, ffprobe_json, find_markers, stream};
use common::program::{Run, names, redact, redact_with, run, start};
use common::scene::Scene;
use common::{contains_bytes, ffmpeg, run_tool, temp_dir};
use floutage::detect::Class;

fn scene() -> Scene {
    Scene::new(320, 240, 12).on_grid(16)
}

fn nothing_shows(path: &Path) {
    for (index, frame) in decode_frames(path).iter().enumerate() {
        for class in Class::ALL {
            let found = find_markers(frame, scene().matrix, class);
            assert!(
                found.is_empty(),
                "{}, frame {index}: {found:?}",
                path.display()
            );
        }
    }
}

#[test]
fn side_channels_are_closed() {
    let dir = temp_dir();
    for (name, codec) in [
        ("in.mp4", Codec::H264),
        ("in.mkv", Codec::H264),
        ("in.webm", Codec::Vp9),
        ("in.mov", Codec::H264),
        ("in.ts", Codec::H264),
    ] {
        let extension = name.split_once('.').expect("an extension").1;
        let input = Clip::new(scene())
            .codec(codec)
            .all_side_channels(extension)
            .write(dir.path(), name);
        let bytes = std::fs::read(&input).expect("readable");
        assert!(
            contains_bytes(&bytes, SECRET.as_bytes()),
            "{name} has something to hide"
        );
        for out in ["mp4", "mkv", "webm"] {
            for audio in ["drop", "keep"] {
                let output = dir.path().join(format!("{extension}-{audio}.{out}"));
                let mut command = redact(&input, &output);
                let report = run(command.args(["--audio", audio, "--json"]))
                    .succeeded()
                    .report();
                let label = format!("{name}, --audio {audio}, .{out}");
                let bytes = std::fs::read(&output).expect("readable");
                for secret in [SECRET, "48.8577", "01:02:03:04"] {
                    assert!(
                        !contains_bytes(&bytes, secret.as_bytes()),
                        "{label}: {secret}"
                    );
                }
                let probe = ffprobe_json(&output);
                let kinds: Vec<&str> = probe["streams"]
                    .as_array()
                    .expect("streams")
                    .iter()
                    .filter_map(|stream| stream["codec_type"].as_str())
                    .collect();
                let expected: &[&str] = if audio == "keep" {
                    &["video", "audio"]
                } else {
                    &["video"]
                };
                assert_eq!(kinds, expected, "{label}");
                assert_eq!(report["audio_kept"], expected.len() - 1, "{label}");
                assert_eq!(
                    probe["chapters"].as_array().map(Vec::len),
                    Some(0),
                    "{label}"
                );
                let dropped = report["streams_dropped"].to_string();
                assert_eq!(
                    dropped.contains("audio"),
                    audio == "drop",
                    "{label}: {dropped}"
                );
                if audio == "keep" {
                    let length = |kind| {
                        let text = stream(&probe, kind)?["duration"].as_str()?;
                        text.parse::<f64>().ok()
                    };
                    if let (Some(sound), Some(pictures)) = (length("audio"), length("video")) {
                        assert!(
                            (sound - pictures).abs() < 0.2,
                            "{label}: {sound} s, {pictures} s"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn folders_with_pictures_and_videos() {
    let dir = temp_dir();
    let root = dir.path().join("in");
    std::fs::create_dir_all(root.join("deep/er")).expect("folders can be made");
    let clip = Clip::new(scene());
    clip.write(&root, "a.mp4");
    clip.clone()
        .codec(Codec::Mpeg4)
        .write(&root.join("deep"), "b.avi");
    for name in ["c.png", "deep/er/d.JPG"] {
        let quality = ["-frames:v", "1", "-q:v", "2"];
        run_tool(
            ffmpeg()
                .arg("-i")
                .arg(root.join("a.mp4"))
                .args(quality)
                .arg(root.join(name)),
        );
    }
    std::fs::write(root.join("notes.txt"), "x").expect("written");
    let out = dir.path().join("out");
    let outcome = run(redact(&root, &out).args(["--style", "fill", "--json"])).succeeded();
    let json = outcome.json();
    let files = json["files"].as_array().expect("files");
    assert_eq!(files.len(), 4, "{json}");
    assert!(
        files
            .iter()
            .all(|file| file["regions"]["face"].as_u64() > Some(0)),
        "{json}"
    );
    assert_eq!(json["errors"].as_array().map(Vec::len), Some(0));
    assert!(
        json["left_out"][0]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("notes.txt"))
    );
    assert_eq!(
        names(&out),
        ["a.mp4", "c.png", "deep/b.avi.mp4", "deep/er/d.JPG"]
    );
    for name in names(&out) {
        let path = out.join(&name);
        if name.ends_with("mp4") {
            nothing_shows(&path);
        } else {
            let frame = &decode_frames(&path)[0];
            for (class, area) in scene().truth(0) {
                for matrix in [
                    floutage::frame::Matrix::Bt601,
                    floutage::frame::Matrix::Bt709,
                ] {
                    assert_eq!(
                        look::marker_share(frame, matrix, class, &area),
                        0.0,
                        "{name}: {class}"
                    );
                }
            }
        }
    }

    // A file that cannot be read does not stop the others, and is told.
    std::fs::write(root.join("broken.mp4"), "no video").expect("written");
    let outcome = run(redact(&root, &out).args(["--style", "fill", "--overwrite"]));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("broken.mp4"), "{outcome:?}");
    assert!(
        outcome.stdout.contains("4 files redacted, 1 failed"),
        "{outcome:?}"
    );
    assert_eq!(names(&out).len(), 4);
}

#[test]
fn quiet_says_nothing_and_plain_runs_say_the_numbers() {
    let dir = temp_dir();
    let input = Clip::new(scene()).audio().write(dir.path(), "in.mp4");
    let outcome = run(redact(&input, &dir.path().join("a.mp4")).arg("--quiet")).succeeded();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let outcome = run(&mut redact(&input, &dir.path().join("b.mp4"))).succeeded();
    // No terminal, and too short for lines of progress.
    assert_eq!(outcome.stderr, "");
    for word in [
        "in.mp4",
        "b.mp4",
        "12 frames",
        "faces",
        "plates",
        "left out: audio",
        "times real time",
    ] {
        assert!(
            outcome.stdout.contains(word),
            "no {word:?} in {}",
            outcome.stdout
        );
    }
    let report = run(redact(&input, &dir.path().join("c.mp4")).args(["--json", "--quiet"]))
        .succeeded()
        .report();
    assert_eq!(report["frames"], 12);
    assert_eq!(report["streams_dropped"][0], "audio");
}

#[test]
fn outputs_that_exist_are_kept() {
    let dir = temp_dir();
    let input = Clip::new(scene()).write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    std::fs::write(&output, "mine").expect("written");
    run(&mut redact(&input, &output)).failed(&["out.mp4", "exists", "--overwrite"]);
    assert_eq!(std::fs::read(&output).expect("readable"), b"mine");
    // A failure does not harm it either.
    let text = dir.path().join("text.mp4");
    std::fs::write(&text, "no video").expect("written");
    run(redact(&text, &output).arg("--overwrite")).failed(&["text.mp4"]);
    assert_eq!(std::fs::read(&output).expect("readable"), b"mine");
    run(redact(&input, &output).args(["--overwrite", "--style", "fill"])).succeeded();
    nothing_shows(&output);
    assert_eq!(names(dir.path()), ["in.mp4", "out.mp4", "text.mp4"]);
}

#[test]
fn the_input_is_never_the_output() {
    let dir = temp_dir();
    let input = Clip::new(scene()).write(dir.path(), "in.mp4");
    let before = std::fs::read(&input).expect("readable");
    let (hard, soft) = (dir.path().join("hard.mp4"), dir.path().join("soft.mp4"));
    std::fs::hard_link(&input, &hard).expect("linked");
    std::os::unix::fs::symlink(&input, &soft).expect("linked");
    for output in [&input, &hard, &soft, &dir.path().join("./in.mp4")] {
        let name = output.file_name().expect("a name").to_string_lossy();
        run(redact(&input, output).arg("--overwrite")).failed(&[&name, "input"]);
    }
    let folder = run(redact(&input, dir.path()).arg("--overwrite"));
    folder.failed(&["in.mp4"]);
    assert_eq!(std::fs::read(&input).expect("readable"), before);
    assert_eq!(names(dir.path()), ["hard.mp4", "in.mp4", "soft.mp4"]);
}

#[test]
fn outlines_are_drawn_over_redacted_pixels_only() {
    let dir = temp_dir();
    let input = Clip::new(scene()).write(dir.path(), "in.mp4");
    let (plain, drawn) = (dir.path().join("plain.mp4"), dir.path().join("drawn.mp4"));
    let style = ["--style", "fill", "--quality", "12"];
    run(redact(&input, &plain).args(style)).succeeded();
    run(redact(&input, &drawn).args(style).arg("--draw")).succeeded();
    let (plain, drawn) = (decode_frames(&plain), decode_frames(&drawn));
    for (index, (plain, drawn)) in plain.iter().zip(&drawn).enumerate() {
        for (class, area) in scene().truth(index) {
            let matrix = scene().matrix;
            assert_eq!(
                look::marker_share(drawn, matrix, class, &area),
                0.0,
                "frame {index}: {class}"
            );
        }
        assert!(
            look::psnr(plain, drawn, &[]) < 35.0,
            "frame {index}: there are outlines"
        );
    }
}

#[test]
fn zones_are_always_filled() {
    let dir = temp_dir();
    let input = Clip::new(Scene::empty(320, 240, 6)).write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    let zones = [
        "--zone",
        "0,0 0.5,0 0.5,0.25 0,0.25",
        "--zone",
        "0.75,0.5 1,0.5 1,1",
    ];
    run(redact(&input, &output)
        .args(zones)
        .args(["--fill-colour", "ffffff"]))
    .succeeded();
    let original = decode_frames(&input);
    for (index, frame) in decode_frames(&output).iter().enumerate() {
        let dark = |points: &mut dyn Iterator<Item = (usize, usize)>| {
            points.filter(|&(x, y)| frame.pixel(x, y)[0] < 225).count()
        };
        let rectangle = dark(&mut (0..60).flat_map(|y| (0..160).map(move |x| (x, y))));
        let triangle = dark(
            &mut (121..240).flat_map(|y| (240 + (y - 120) * 2 / 3 + 2..320).map(move |x| (x, y))),
        );
        assert_eq!((rectangle, triangle), (0, 0), "frame {index}");
        let zones = [
            floutage::geometry::BBox::new(0.0, 0.0, 176.0, 76.0),
            floutage::geometry::BBox::new(224.0, 104.0, 320.0, 240.0),
        ];
        assert!(
            look::psnr(frame, &original[index], &zones) > 30.0,
            "frame {index}"
        );
    }
}

#[test]
fn every_option_refuses_what_it_cannot_take() {
    let dir = temp_dir();
    let input = Clip::new(Scene::new(64, 64, 2)).write(dir.path(), "in.mp4");
    for (option, value, allowed) in [
        ("confidence-threshold", "1.5", "0.99"),
        ("confidence-threshold", "NaN", "0.99"),
        ("face-threshold", "-0.1", "0.01"),
        ("plate-threshold", "much", "0.99"),
        ("iou-threshold", "2", "0.95"),
        ("input-size", "33", "multiple of 32"),
        ("input-size", "big", "native"),
        ("scales", "9", "4"),
        ("scales", "1,x", "4"),
        ("tiles", "0x3", "auto"),
        ("inference-threads", "-1", "0"),
        ("provider", "abacus", "cpu"),
        ("style", "pretty", "mosaic"),
        ("face-style", "pretty", "mosaic"),
        ("plate-style", "pretty", "mosaic"),
        ("face-shape", "star", "ellipse"),
        ("plate-shape", "star", "ellipse"),
        ("margin", "3.5", "3"),
        ("face-margin", "-1", "3"),
        ("plate-margin", "inf", "3"),
        ("feather", "1.1", "1"),
        ("cells", "5", "4"),
        ("levels", "0", "32"),
        ("fill-colour", "grey", "hexadecimal"),
        ("zone", "0,0 1,1", "0 to 1"),
        ("zone", "0,0 2,0 2,2", "0 to 1"),
        ("codec", "h266", "h264"),
        ("quality", "52", "51"),
        ("preset", "warp", "veryfast"),
        ("picture-quality", "0", "1"),
        ("picture-quality", "101", "100"),
        ("audio", "loud", "keep"),
        ("detect-every", "31", "30"),
        // Of what `redact_with` says, no frame waits.
        ("detect-every", "2", "at most 1 with a look-ahead of 0"),
    ] {
        let mut command = redact_with("marker-detector");
        command
            .arg(&input)
            .arg("-o")
            .arg(dir.path().join("out.mp4"));
        // `--input-size` is there already; a later one would be refused for being the second.
        if option == "input-size" {
            command = Command::new(env!("CARGO_BIN_EXE_floutage"));
            command
                .arg("redact")
                .arg(&input)
                .arg("-o")
                .arg(dir.path().join("out.mp4"));
        }
        let outcome = run(command.arg(format!("--{option}")).arg(value));
        assert!(
            matches!(outcome.code, Some(1 | 2)),
            "--{option} {value}: {outcome:?}"
        );
        let shown = value
            .rsplit(',')
            .next()
            .filter(|_| option == "scales")
            .unwrap_or(value);
        for word in [option, shown, allowed] {
            assert!(
                outcome.stderr.contains(word),
                "--{option} {value}: no {word:?} in {}",
                outcome.stderr
            );
        }
        assert_eq!(names(dir.path()), ["in.mp4"]);
    }
    for (name, codec) in [("out.mov", "vp9"), ("out.webm", "h264")] {
        run(redact(&input, &dir.path().join(name)).args(["--codec", codec])).failed(
            &["codec", codec, "h26"].map(|word| {
                if codec == "h264" && word == "h26" {
                    "vp9"
                } else {
                    word
                }
            }),
        );
    }
    let missing = run(Command::new(env!("CARGO_BIN_EXE_floutage"))
        .arg("redact")
        .arg(&input));
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("--output"), "{missing:?}");
}

#[test]
fn interrupted_it_leaves_nothing() {
    let dir = temp_dir();
    let short = Clip::new(Scene::new(320, 240, 50)).write(dir.path(), "short.mp4");
    let input = dir.path().join("long.mp4");
    run_tool(
        ffmpeg()
            .args(["-stream_loop", "200", "-i"])
            .arg(&short)
            .args(["-c", "copy"])
            .arg(&input),
    );
    let out = dir.path().join("out");
    std::fs::create_dir(&out).expect("a folder can be made");
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let mut child = start(&mut redact(&input, &out.join("out.mp4")));
        let written = || {
            let sizes = names(&out)
                .into_iter()
                .map(|name| std::fs::metadata(out.join(name)));
            sizes
                .filter_map(Result::ok)
                .map(|file| file.len())
                .sum::<u64>()
        };
        while written() == 0 {
            assert_eq!(
                child.try_wait().expect("it can be asked"),
                None,
                "it ended before it wrote anything"
            );
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert_eq!(names(&out), [".out.mp4.floutage-partial"]);
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal)
            .expect("signalled");
        let outcome = Run::of(&child.wait_with_output().expect("it ends"));
        assert_eq!(outcome.code, Some(130), "{outcome:?}");
        assert!(names(&out).is_empty());
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn strict_keeps_no_output_of_a_damaged_file() {
    let dir = temp_dir();
    let whole = Clip::new(Scene::new(320, 240, 40))
        .key_interval(8)
        .write(dir.path(), "whole.mkv");
    let input = damaged(&whole, "broken.mkv", 0.5, 0.6);
    let output = dir.path().join("out.mp4");
    run(redact(&input, &output).arg("--strict")).failed(&["broken.mkv"]);
    assert!(!output.exists());
    let outcome = run(&mut redact(&input, &output)).succeeded();
    assert!(
        outcome.stdout.contains("the input is damaged"),
        "{}",
        outcome.stdout
    );
    // The whole one satisfies strictness.
    run(redact(&whole, &output).args(["--strict", "--overwrite"])).succeeded();
    assert_eq!(names(dir.path()), ["broken.mkv", "out.mp4", "whole.mkv"]);
}
