//! A long video in chunks: what is redacted, and when every picture is shown, is as where it is not split.

mod common;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::batch::{FOLDER, account, batch, results};
use common::clip::Clip;
use common::codec::Codec;
use common::look::{decode_frames, ffprobe, ffprobe_json, frame_times, stream};
use common::program::{fixture, names, run};
use common::scene::{Marker, Scene};
use common::watch::{pieces, watch};
use common::{ffmpeg, run_tool, temp_dir};
use floutage::detect::{Class, DetectorSettings, open};
use floutage::geometry::BBox;
use floutage::media::pipeline::Tracking;
use floutage::media::regions::find_regions;
use floutage::media::report::Stop;
use floutage::media::split::{cuts, decide, find};
use floutage::redact::Settings;

/// Five seconds in which markers come, go, and are there for a moment only; one is there all the time.
fn scene() -> Scene {
    let mut scene = Scene::new(160, 120, 125);
    let mut add = |class, from: usize, to: usize, y: f64| {
        let mut marker = Marker::new(class, (16, 16), (8.0, y), (1.4, 0.1));
        marker.visible = from..to;
        scene.markers.push(marker);
    };
    for (index, start) in (4..120).step_by(9).enumerate() {
        let class = Class::ALL[index % 2];
        add(class, start, start + 1 + index % 5, (8 * index % 96) as f64);
    }
    scene.on_grid(8)
}

/// The scene with key frames 20 pictures apart, in `name` as ffmpeg's `words` make it.
fn clip(folder: &Path, clip: &Clip, name: &str, words: &[&str]) -> PathBuf {
    let plain = clip.write(folder, &format!("plain-{name}"));
    let path = folder.join(name);
    let mut command = ffmpeg();
    command.arg("-i").arg(&plain);
    command.args([
        "-map",
        "0:v",
        "-map",
        "0:a?",
        "-c:a",
        "copy",
        "-fps_mode",
        "passthrough",
    ]);
    command.args(words);
    run_tool(command.arg(&path));
    std::fs::remove_file(plain).expect("removed");
    path
}

/// H.264 with pictures that are coded in another order than shown.
const REORDERED: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "medium",
    "-bf",
    "3",
    "-g",
    "20",
    "-enc_time_base",
    "1/1000",
];

/// `floutage redact` that tracks, and writes pictures as they are.
fn whole(input: &Path, output: &Path) -> Command {
    whole_with("marker-detector", input, output)
}

fn whole_with(model: &str, input: &Path, output: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["redact", "--input-size", "native", "--model"]);
    command.arg(fixture(model));
    command.env_remove("FLOUTAGE_MODELS_DIR");
    command.args(["--quality", "0", "--json", "--tally"]);
    command.arg(input).arg("-o").arg(output);
    command
}

fn packets(path: &Path, kind: &str) -> Vec<serde_json::Value> {
    let probe = ffprobe(
        path,
        &[
            "-select_streams",
            kind,
            "-show_entries",
            "packet=pts,dts,duration,flags,size",
        ],
    );
    probe["packets"].as_array().expect("packets").clone()
}

/// Redacts `input` in both ways, and checks that nothing tells one from the other but where key frames are.
fn check_alike(input: &Path, extension: &str, words: &[&str]) {
    let name = format!(
        "{}{}",
        input.file_name().expect("a name").display(),
        words.join("")
    );
    let folder = input.parent().expect("a folder");
    let (one, split) = (
        folder.join(format!("{name}-one.{extension}")),
        folder.join(format!("{name}-split.{extension}")),
    );
    let first = run(whole(input, &one).args(words)).succeeded().report();
    let second = run(whole(input, &split).args(words).arg("--split=1"))
        .succeeded()
        .report();
    for field in [
        "frames",
        "regions",
        "frames_failed_closed",
        "frames_lost",
        "frames_damaged",
        "streams_dropped",
        "audio_kept",
        "width",
        "height",
        "encoder",
        "duration_s",
        "warnings",
        "tally",
    ] {
        assert_eq!(first[field], second[field], "{name}: {field}");
    }
    assert!(first["regions"]["face"].as_u64() > Some(100), "{first}");
    assert_eq!(frame_times(&one), frame_times(&split), "{name}");
    let (a, b) = (packets(&one, "v"), packets(&split, "v"));
    assert_eq!(a.len(), b.len());
    let keys = |all: &[serde_json::Value]| {
        let key = |one: &&serde_json::Value| one["flags"].as_str().expect("flags").contains('K');
        all.iter().filter(key).count()
    };
    assert!(keys(&b) >= keys(&a) + 2, "{name}: {} key frames", keys(&b));
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a["duration"], b["duration"], "{name}");
    }
    let sorted = |all: &[serde_json::Value]| {
        let mut times: Vec<i64> = all.iter().filter_map(|one| one["pts"].as_i64()).collect();
        times.sort_unstable();
        times
    };
    assert_eq!(sorted(&a), sorted(&b), "{name}");
    for pair in b.windows(2) {
        assert!(
            pair[0]["dts"].as_i64() <= pair[1]["dts"].as_i64(),
            "{pair:?}"
        );
    }
    let sound = |path| packets(path, "a");
    assert_eq!(sound(&one), sound(&split), "{name}");
    // A strict player is content.
    let mut play = ffmpeg();
    play.args(["-xerror", "-err_detect", "explode", "-i"])
        .arg(&split);
    play.args([
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/90000",
        "-f",
        "null",
        "-",
    ]);
    let said = play.output().expect("ffmpeg runs");
    assert!(said.status.success() && said.stderr.is_empty(), "{said:?}");
    let of = |path: &Path| {
        let probe = ffprobe_json(path);
        let video = stream(&probe, "video").expect("a video").clone();
        let length = probe["format"]["duration"].clone();
        [
            "codec_name",
            "width",
            "height",
            "avg_frame_rate",
            "time_base",
            "duration",
            "nb_frames",
        ]
        .map(|field| video[field].clone())
        .into_iter()
        .chain([length])
        .collect::<Vec<_>>()
    };
    assert_eq!(of(&one), of(&split), "{name}");
    assert!(
        names(folder)
            .iter()
            .all(|name| !name.contains(".floutage-"))
    );
    if !words.contains(&"--codec") {
        // Lossless, so what is redacted is the same to the last pixel.
        for (index, (a, b)) in decode_frames(&one)
            .iter()
            .zip(decode_frames(&split))
            .enumerate()
        {
            assert!(a.data == b.data, "{name}: frame {index}");
        }
    }
}

#[test]
fn pictures_coded_in_another_order_are_redacted_alike_and_sound_is_kept() {
    let dir = temp_dir();
    let sounding = Clip::new(scene()).audio();
    let input = clip(dir.path(), &sounding, "a.mp4", REORDERED);
    check_alike(&input, "mp4", &[]);
    check_alike(&input, "mkv", &["--audio", "keep"]);
    check_alike(
        &input,
        "mov",
        &["--audio", "keep", "--look-ahead", "40", "--hold", "30"],
    );
}

#[test]
fn times_that_vary_stay_as_they_are() {
    let dir = temp_dir();
    let varying = Clip::new(scene()).intervals(&[40, 35, 90, 20, 20, 41]);
    let input = clip(dir.path(), &varying, "a.mkv", REORDERED);
    check_alike(&input, "mp4", &[]);
    check_alike(&input, "mkv", &["--look-ahead", "0", "--hold", "0"]);
    // Its encoder codes pictures in another order.
    check_alike(&input, "mp4", &["--codec", "h265"]);
}

#[test]
fn other_codecs_are_split_too() {
    let dir = temp_dir();
    let turned = Clip::new(scene()).codec(Codec::H265).rotation(90);
    let input = turned.key_interval(20).write(dir.path(), "turned.mp4");
    check_alike(&input, "mp4", &[]);
    let input = Clip::new(scene()).codec(Codec::Vp9).key_interval(20);
    let input = input.write(dir.path(), "b.webm");
    check_alike(&input, "mp4", &[]);
    check_alike(&input, "webm", &["--codec", "vp9"]);
}

/// The boxes, tracks and states of every frame, by the library alone.
#[test]
fn tracks_and_boxes_are_those_of_the_whole() {
    let dir = temp_dir();
    let plain = clip(dir.path(), &Clip::new(scene()), "a.mp4", REORDERED);
    // Another scene, by way of black at the end of a chunk and the beginning of the next.
    let mut words = REORDERED.to_vec();
    words.extend(["-sc_threshold", "0", "-vf"]);
    words.push("negate=enable='gte(n,40)',drawbox=t=fill:color=black:enable='between(n,38,41)'");
    let cut = clip(dir.path(), &Clip::new(scene()), "cut.mp4", &words);
    assert!(tracks_over_cuts(&plain) >= 2);
    tracks_over_cuts(&cut);
}

/// Compares the decisions of chunks of `input` with those of the whole; the tracks that go on from one chunk to the next.
fn tracks_over_cuts(input: &Path) -> usize {
    floutage::init().expect("GStreamer starts");
    let settings = DetectorSettings {
        models: vec![fixture("marker-detector").display().to_string()],
        input_size: "native".parse().expect("a size"),
        tracked: true,
        ..DetectorSettings::default()
    };
    let detector = || {
        let detector = open(&settings).expect("a detector");
        std::sync::Arc::new(std::sync::Mutex::new(detector)) as floutage::detect::SharedDetector
    };
    let (stop, tracking) = (Stop::new(), Tracking::default());
    let (frames, _) = find_regions(
        input,
        detector(),
        &Settings::default(),
        tracking,
        &stop,
        &mut |_| {},
    )
    .expect("found");
    let chunks = cuts(input, 1, &stop).expect("read").expect("split");
    assert_eq!(chunks.len(), 3, "{chunks:?}");
    let found: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            find(input, chunk, detector(), &stop, &mut |_| {})
                .expect("read")
                .expect("split")
        })
        .collect();
    let (decided, _) = decide(&chunks, &found, tracking.settings)
        .expect("decided")
        .expect("split");
    let mut at = frames.iter();
    let mut spanning = 0;
    let mut before = Vec::new();
    for part in &decided {
        for (index, (_, regions)) in part.frames().enumerate() {
            let whole = at.next().expect("a frame");
            let regions = regions.expect("analysed");
            let ids: Vec<i32> = regions.iter().map(|region| region.id.0 as i32).collect();
            if index == 0 {
                spanning += ids.iter().filter(|id| before.contains(*id)).count();
            }
            let seen: Vec<_> = whole
                .regions
                .iter()
                .map(|marked| (marked.track, marked.state.clone(), marked.region.class))
                .collect();
            let expected: Vec<_> = regions
                .iter()
                .map(|it| {
                    (
                        Some(it.id.0 as i32),
                        Some(it.state.name().to_owned()),
                        it.class,
                    )
                })
                .collect();
            assert_eq!(seen, expected);
            for (marked, region) in whole.regions.iter().zip(regions) {
                let place = floutage::gst::meta::placed(region.bbox, 160, 120).expect("inside");
                let place = BBox::from_xywh(
                    place.x1 as f32,
                    place.y1 as f32,
                    place.width() as f32,
                    place.height() as f32,
                );
                assert_eq!(marked.region.bbox, place);
            }
            before = ids;
        }
    }
    assert!(at.next().is_none());
    // Another video's findings are noticed.
    let mut wrong = found;
    wrong.swap(1, 2);
    assert!(
        decide(&chunks, &wrong, tracking.settings)
            .expect("decided")
            .is_err()
    );
    spanning
}

#[test]
fn what_cannot_be_split_is_redacted_as_a_whole_and_says_so() {
    let dir = temp_dir();
    let long = |name: &str, words: &[&str]| clip(dir.path(), &Clip::new(scene()), name, words);
    let one_key = [
        "-c:v",
        "libx264",
        "-preset",
        "medium",
        "-g",
        "999",
        "-sc_threshold",
        "0",
    ];
    let other = ["-c:v", "mpeg2video", "-g", "20"];
    let open = [
        "-c:v",
        "libx264",
        "-preset",
        "medium",
        "-bf",
        "3",
        "-g",
        "20",
        "-x264-params",
        "open-gop=1:b-adapt=0",
    ];
    let a = long("a.mp4", REORDERED);
    for (input, words, reason) in [
        (long("b.mp4", &one_key), &[][..], "no picture in its middle"),
        (long("c.ts", &other), &[], "its container does not say"),
        (long("d.mp4", &open), &[], "not every key frame"),
        (a.clone(), &["--detect-every", "2"], "--detect-every"),
        (
            a.clone(),
            &["--levels", "8", "--i-accept-reversible"],
            "frozen",
        ),
    ] {
        let one = dir.path().join("one.mp4");
        let split = dir.path().join("split.mp4");
        run(whole(&input, &one).args(words)).succeeded();
        let run = run(whole(&input, &split).args(words).arg("--split=1")).succeeded();
        let report = run.report();
        let told = report["warnings"].to_string();
        assert!(
            told.contains("not split") && told.contains(reason) && !told.contains("damage"),
            "{told}"
        );
        assert!(std::fs::read(&one).expect("read") == std::fs::read(&split).expect("read"));
        for path in [&one, &split] {
            std::fs::remove_file(path).expect("removed");
        }
    }
    // What is short needs no reason.
    let mut short = whole(&a, &dir.path().join("short.mp4"));
    let report = run(short.arg("--split")).succeeded().report();
    assert_eq!(
        report["warnings"].as_array().map(Vec::len),
        Some(0),
        "{report}"
    );
}

#[test]
fn frames_that_cannot_be_analysed_are_filled_in_any_chunk() {
    let dir = temp_dir();
    // The detector fails on blue: within a chunk, and on both sides of a cut.
    let blue =
        "drawbox=x=0:y=96:w=160:h=24:color=blue:t=fill:enable='between(n,7,11)+between(n,74,81)'";
    let words: Vec<&str> = ["-vf", blue]
        .into_iter()
        .chain(REORDERED.iter().copied())
        .collect();
    let input = clip(dir.path(), &Clip::new(scene()), "a.mp4", &words);
    let outputs = ["one.mp4", "split.mp4"].map(|name| {
        let output = dir.path().join(name);
        let mut command = whole_with("nan-on-blue", &input, &output);
        command.args(["--split=1"].iter().filter(|_| name == "split.mp4"));
        let report = run(&mut command).succeeded().report();
        assert_eq!(report["frames_failed_closed"], 5 + 8, "{report}");
        assert_eq!(
            report["warnings"].as_array().map(Vec::len),
            Some(0),
            "{report}"
        );
        decode_frames(&output)
    });
    for (index, (a, b)) in outputs[0].iter().zip(&outputs[1]).enumerate() {
        assert!(a.data == b.data, "frame {index}");
    }
    let strict = dir.path().join("strict.mp4");
    let mut command = whole_with("nan-on-blue", &input, &strict);
    run(command.args(["--split=1", "--strict", "--quiet"])).failed(&["a.mp4", "13 frames filled"]);
    assert!(
        names(dir.path())
            .iter()
            .all(|name| !name.contains("strict") && !name.contains(".floutage-"))
    );
}

/// A batch of one long clip.
fn archive(folder: &Path) -> PathBuf {
    let input = folder.join("in");
    std::fs::create_dir_all(&input).expect("made");
    clip(&input, &Clip::new(scene()), "long.mp4", REORDERED);
    input
}

fn split_batch(input: &Path, output: &Path) -> Command {
    let mut command = batch(input, output);
    command.args(["--split=1", "--style", "fill"]);
    command
}

#[test]
fn any_number_of_processes_writes_the_same_bytes() {
    let dir = temp_dir();
    let input = archive(dir.path());
    let outputs: Vec<_> = ["1", "3"]
        .iter()
        .map(|jobs| {
            let out = dir.path().join(format!("out-{jobs}"));
            let mut command = common::batch::bare([]);
            command.arg(&input).arg("-o").arg(&out);
            command.args(common::batch::settings());
            command.args(["--jobs", jobs, "--split=1"]);
            run(&mut command).succeeded();
            let told = account(&out.join(FOLDER));
            assert_eq!(told["total"]["frames"], 125);
            assert_eq!(
                told["files"][0]["warnings"].as_array().map(Vec::len),
                Some(0)
            );
            results(&out)
        })
        .collect();
    assert_eq!(outputs[0].len(), 1);
    assert!(outputs[0] == outputs[1]);
}

#[test]
fn killed_among_its_chunks_it_leaves_nothing_that_looks_finished_and_is_done_again() {
    let dir = temp_dir();
    let input = archive(dir.path());
    let reference = dir.path().join("reference");
    run(&mut split_batch(&input, &reference)).succeeded();
    let out = dir.path().join("out");
    std::fs::create_dir_all(&out).expect("made");
    let (pieces, stop) = (pieces(&input), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&out, &pieces, &stop));
        for files in [1, 2] {
            let mut child = split_batch(&input, &out)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .expect("it starts");
            let began = Instant::now();
            let coded = || {
                names(&out)
                    .iter()
                    .filter(|name| name.contains(".chunks/"))
                    .count()
            };
            while coded() < files {
                assert!(
                    began.elapsed() < Duration::from_secs(200),
                    "no chunk is written"
                );
                std::thread::sleep(Duration::from_millis(2));
            }
            let id = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
            rustix::process::kill_process_group(id, rustix::process::Signal::KILL).expect("killed");
            child.wait().expect("it ends");
            for name in names(&out) {
                let own = name.starts_with(FOLDER) || name.starts_with(".floutage-");
                assert!(
                    own || name.starts_with("..floutage-"),
                    "{name} looks finished"
                );
            }
        }
        run(&mut split_batch(&input, &out)).succeeded();
        stop.store(true, Ordering::SeqCst);
        let seen = watching.join().expect("nothing unredacted was on the disk");
        assert!(seen.names.iter().any(|name| name.ends_with(".coded")));
    });
    assert!(results(&out) == results(&reference), "{:?}", names(&out));
    assert_eq!(account(&out.join(FOLDER))["total"]["states"]["done"], 1);
}
