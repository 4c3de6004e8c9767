//! `floutage evaluate --redacted`: what other tools redact is told from what encoding does to a picture. Part of a rendered
//! clip, so that there is detail as in real pictures; tools are played by ffmpeg's filters.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::program::run;
use common::{ffmpeg, repository, run_tool, temp_dir};
use floutage::evaluate::Truth;
use serde_json::Value;

const FRAMES: usize = 8;
/// Tracks of which the tools redact every box, and such that they leave; none of them meets one of the others.
const REDACTED: [u64; 2] = [1, 102];

struct Setting {
    folder: tempfile::TempDir,
    clip: PathBuf,
    truth: PathBuf,
    /// Left, top, width, height about all boxes of each redacted track.
    areas: Vec<[u32; 4]>,
}

fn setting() -> Setting {
    let folder = temp_dir();
    let clip = folder.path().join("clip.mp4");
    let mut tool = ffmpeg();
    tool.arg("-i").arg(repository("fixtures/street-day.mp4"));
    tool.args([
        "-frames:v",
        &FRAMES.to_string(),
        "-c:v",
        "libx264",
        "-crf",
        "10",
        "-preset",
        "veryfast",
    ]);
    run_tool(tool.arg(&clip));
    let source = repository("fixtures/street-day.csv");
    let text = std::fs::read_to_string(&source).expect("readable");
    let early = |line: &&str| {
        let frame = line
            .split(',')
            .next()
            .and_then(|it| it.parse::<usize>().ok());
        frame.is_some_and(|frame| frame <= FRAMES)
    };
    let lines: Vec<&str> = text.lines().filter(early).collect();
    let truth = folder.path().join("truth.csv");
    std::fs::write(&truth, lines.join("\n")).expect("written");
    let boxes = Truth::read(&truth).expect("a truth");
    let area = |track: u64| {
        let of_track = (0..FRAMES)
            .flat_map(|index| boxes.frame(index))
            .filter(|it| it.track == track);
        let (x1, y1, x2, y2) =
            of_track
                .map(|it| it.bbox)
                .fold((f32::MAX, f32::MAX, 0f32, 0f32), |all, it| {
                    (
                        all.0.min(it.x1),
                        all.1.min(it.y1),
                        all.2.max(it.x2),
                        all.3.max(it.y2),
                    )
                });
        let (left, top) = (
            (x1 as u32).saturating_sub(4) / 2 * 2,
            (y1 as u32).saturating_sub(4) / 2 * 2,
        );
        [
            left,
            top,
            (x2 as u32 + 6 - left).next_multiple_of(2),
            (y2 as u32 + 6 - top).next_multiple_of(2),
        ]
    };
    let areas = REDACTED.map(area).to_vec();
    Setting {
        folder,
        clip,
        truth,
        areas,
    }
}

impl Setting {
    /// The clip with `filter` over each area, encoded as `encoder` says.
    fn version(&self, name: &str, filter: Option<&str>, encoder: &[&str]) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut tool = ffmpeg();
        tool.arg("-i").arg(&self.clip);
        if let Some(filter) = filter {
            let mut graph = String::from("[0:v]null[v0]");
            for (index, [x, y, w, h]) in self.areas.iter().enumerate() {
                graph += &format!(
                    ";[v{index}]split[a{index}][b{index}];[b{index}]crop={w}:{h}:{x}:{y},{filter}[c{index}];\
                     [a{index}][c{index}]overlay={x}:{y}[v{}]",
                    index + 1
                );
            }
            tool.args([
                "-filter_complex",
                &graph,
                "-map",
                &format!("[v{}]", self.areas.len()),
            ]);
        }
        run_tool(tool.args(encoder).arg(&path));
        path
    }

    fn measure(&self, version: &Path) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        command.arg("evaluate").arg(&self.clip).arg("--json");
        command
            .arg("--truth")
            .arg(&self.truth)
            .arg("--redacted")
            .arg(version);
        run(&mut command).succeeded().json()
    }
}

/// Leaks and boxes of each track.
fn tracks(json: &Value) -> BTreeMap<u64, (u64, u64)> {
    let lists = ["face", "plate"].map(|class| json["tracks"][class].as_array().expect("a list"));
    let number = |it: &Value, name: &str| it[name].as_u64().expect("a number");
    let all = lists.into_iter().flatten();
    all.map(|it| (number(it, "id"), (number(it, "leaks"), number(it, "boxes"))))
        .collect()
}

const X264: [&str; 6] = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23"];

#[test]
fn encoding_anew_covers_nothing() {
    let setting = setting();
    for (name, encoder) in [
        ("same.mp4", &X264[..]),
        (
            "coarse.mp4",
            &["-c:v", "libx264", "-preset", "veryfast", "-crf", "30"],
        ),
        ("mpeg4.mp4", &["-c:v", "mpeg4", "-q:v", "5"]),
        (
            "vp9.webm",
            &[
                "-c:v",
                "libvpx-vp9",
                "-cpu-used",
                "5",
                "-deadline",
                "good",
                "-crf",
                "24",
                "-b:v",
                "0",
            ],
        ),
    ] {
        let json = setting.measure(&setting.version(name, None, encoder));
        assert!(json["false_areas"].is_null() && json["false_areas_per_frame"].is_null());
        let tracks = tracks(&json);
        assert!(tracks.len() >= 5, "{tracks:?}");
        for (track, (leaks, boxes)) in tracks {
            assert_eq!(leaks, boxes, "{name}: track {track}");
        }
        let altered = json["over_redaction"].as_f64().expect("a share");
        assert!(altered < 0.005, "{name}: {altered}");
    }
}

#[test]
fn what_tools_redact_is_covered_and_the_rest_is_not() {
    let setting = setting();
    for (name, filter) in [
        ("fill", "drawbox=t=fill:color=gray"),
        ("black", "drawbox=t=fill:color=black"),
        ("blur", "gblur=sigma=9"),
        ("box", "boxblur=luma_radius=6:luma_power=2:chroma_radius=2"),
        ("mosaic", "scale=3:3:flags=area,scale=iw:ih:flags=neighbor"),
    ] {
        // Back to its size: each area has its own.
        let filters: Vec<String> = setting
            .areas
            .iter()
            .map(|[_, _, w, h]| filter.replace("scale=iw:ih", &format!("scale={w}:{h}")))
            .collect();
        let version = if name == "mosaic" {
            // The areas one after the other, for each has a filter of its own.
            let mut clip = setting.clip.clone();
            for (index, (area, filter)) in setting.areas.iter().zip(&filters).enumerate() {
                let one = Setting {
                    folder: temp_dir(),
                    clip,
                    truth: setting.truth.clone(),
                    areas: vec![*area],
                };
                let made = one.version(
                    "part.mp4",
                    Some(filter),
                    &["-c:v", "libx264", "-preset", "veryfast", "-crf", "18"],
                );
                clip = setting.folder.path().join(format!("mosaic-{index}.mp4"));
                std::fs::rename(made, &clip).expect("renamed");
            }
            clip
        } else {
            setting.version(&format!("{name}.mp4"), Some(filter), &X264)
        };
        let json = setting.measure(&version);
        for (track, (leaks, boxes)) in tracks(&json) {
            let wanted = if REDACTED.contains(&track) { 0 } else { boxes };
            assert_eq!(leaks, wanted, "{name}: track {track} of {boxes} boxes");
        }
        let altered = json["over_redaction"].as_f64().expect("a share");
        assert!((0.0005..0.01).contains(&altered), "{name}: {altered}");
    }
}

/// `frames_out_of_step` and what is said of a version of `clip` that `filter` makes.
fn out_of_step(dir: &Path, clip: &str, name: &str, filter: &str) -> (u64, String) {
    let version = dir.join(format!("{clip}-{name}.mp4"));
    let source = repository(&format!("fixtures/{clip}.mp4"));
    let mut tool = ffmpeg();
    tool.arg("-i").arg(&source).args(["-vf", filter]);
    run_tool(tool.args(X264).arg(&version));
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.arg("evaluate").arg(&source).arg("--json");
    command
        .arg("--truth")
        .arg(repository(&format!("fixtures/{clip}.csv")));
    let said = run(command.arg("--redacted").arg(&version)).succeeded();
    let frames = said.json()["frames_out_of_step"].as_u64();
    (frames.expect("a number"), said.stderr)
}

#[test]
fn frames_that_show_another_time_are_warned_of() {
    let dir = temp_dir();
    let fill = "drawbox=x=300:y=200:w=90:h=80:t=fill:color=gray";
    let late =
        |frames: usize| format!("{fill},tpad=start={frames}:start_mode=clone,trim=end_frame=");
    // Of a camera that moves and one that stands; wholly, from the middle on, and every other frame.
    let part = "loop=loop=1:size=1:start=100,setpts=N/25/TB,trim=end_frame=200".to_owned();
    let twice = "select='not(mod(n,2))',fps=25".to_owned();
    let cases = [
        (
            "parking",
            "late",
            late(1) + "205",
            190..=205,
            "1 frame(s) late",
        ),
        (
            "street-day",
            "later",
            late(20) + "200",
            150..=200,
            "20 frame(s) late",
        ),
        ("street-day", "part", part, 75..=100, "1 frame(s) late"),
        ("street-day", "twice", twice, 75..=100, "1 frame(s) late"),
    ];
    for (clip, name, filter, likely, says) in cases {
        let (found, said) = out_of_step(dir.path(), clip, name, &filter);
        assert!(likely.contains(&found), "{clip} {name}: {found}");
        assert!(said.contains(says), "{clip} {name}: {said}");
    }
    // Filled over what fills much of the picture and moves.
    let large = "drawbox=x=220:y=40:w=200:h=240:t=fill:color=0x806050";
    for (clip, fill) in [("parking", fill), ("entrance", large)] {
        let (found, said) = out_of_step(dir.path(), clip, "same", fill);
        assert_eq!(found, 0, "{clip}: {said}");
        assert!(!said.contains("warning"), "{clip}: {said}");
    }
}

#[test]
fn other_pictures_are_not_taken_for_redaction() {
    let setting = setting();
    let version = setting.folder.path().join("other.mp4");
    let mut tool = ffmpeg();
    tool.arg("-i")
        .arg(&setting.clip)
        .args(["-vf", "negate,hflip"]);
    run_tool(tool.args(X264).arg(&version));
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .arg("evaluate")
        .arg(&setting.clip)
        .arg("--truth")
        .arg(&setting.truth);
    let said = run(command.arg("--redacted").arg(&version)).succeeded();
    assert!(
        said.stderr.contains("do not show the same"),
        "{}",
        said.stderr
    );
}
