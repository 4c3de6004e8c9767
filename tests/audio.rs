//! Audio that is kept: right length, none of its tags, whatever the containers.

mod common;
mod redaction;

use std::path::Path;
use std::process::Command;

use common::look::{ffprobe, ffprobe_json, stream};
use common::{contains_bytes, ffmpeg, run_tool, temp_dir};
use redaction::{Scripted, redact};

const SECRET: &str = "FLOUTAGE-TEST-SECRET";
const PICTURES: &str = "testsrc2=s=160x120:r=25:d=2";
const SOUND: &str = "sine=f=440:r=48000:d=2";

/// Makes `path` from ffmpeg's arguments, with tags on file and streams.
fn make(path: &Path, arguments: &[&str]) {
    let mut command = ffmpeg();
    command.args(arguments).args(["-pix_fmt", "yuv420p"]);
    for key in ["title", "artist", "comment"] {
        command.args(["-metadata", &format!("{key}={SECRET}")]);
        command.args(["-metadata:s:a:0", &format!("{key}={SECRET}")]);
    }
    run_tool(command.arg(path));
    assert!(contains_bytes(
        &std::fs::read(path).expect("made"),
        SECRET.as_bytes()
    ));
}

fn lavfi<'a>(pictures: &'a str, sound: &'a str) -> Vec<&'a str> {
    vec!["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound]
}

/// Seconds from the first packet's start to the last one's end of the first stream of `kind` ("v", "a").
fn span(path: &Path, kind: &str) -> (f64, f64) {
    let entries = ["-show_entries", "packet=pts_time,duration_time"];
    let probe = ffprobe(
        path,
        &[&["-select_streams", &format!("{kind}:0")], &entries[..]].concat(),
    );
    let packets = probe["packets"].as_array().expect("there are packets");
    let number = |packet: &serde_json::Value, key: &str| {
        packet[key]
            .as_str()
            .and_then(|text| text.parse::<f64>().ok())
    };
    let starts = packets
        .iter()
        .filter_map(|packet| number(packet, "pts_time"));
    let first = starts.clone().fold(f64::INFINITY, f64::min);
    let length = packets
        .last()
        .and_then(|packet| number(packet, "duration_time"));
    let last = starts.fold(0.0, f64::max) + length.unwrap_or(0.0);
    (first, last)
}

fn frames(path: &Path) -> usize {
    common::look::frame_times(path).len()
}

#[test]
fn every_container_takes_every_others_sound() {
    let folder = temp_dir();
    for (name, codecs) in [
        ("aac.mp4", ["libx264", "aac"]),
        ("opus.webm", ["libvpx", "libopus"]),
        ("flac.mkv", ["libx264", "flac"]),
        ("mp3.avi", ["mpeg4", "libmp3lame"]),
        ("pcm.mov", ["libx264", "pcm_s16le"]),
    ] {
        let input = folder.path().join(name);
        let coding = ["-c:v", codecs[0], "-c:a", codecs[1]];
        make(&input, &[&lavfi(PICTURES, SOUND)[..], &coding].concat());
        for extension in ["mp4", "mkv", "webm"] {
            let output = folder.path().join(format!("{name}.{extension}"));
            let report = redact(&input, &output, Scripted::nothing(), true)
                .unwrap_or_else(|error| panic!("{name} to {extension}: {error}"));
            assert_eq!(report.audio_kept, 1, "{name} to {extension}");
            assert_eq!(
                (report.frames, report.frames_lost),
                (50, 0),
                "{name} to {extension}"
            );
            assert_eq!(frames(&output), 50, "{name} to {extension}");
            let (start, end) = span(&output, "a");
            assert!(
                start.abs() < 0.05,
                "{name} to {extension}: sound from {start}"
            );
            assert!(
                (1.9..2.15).contains(&end),
                "{name} to {extension}: sound to {end}"
            );
            let bytes = std::fs::read(&output).expect("the output is there");
            assert!(
                !contains_bytes(&bytes, SECRET.as_bytes()),
                "{name} to {extension}: tags came along"
            );
        }
    }
}

/// Name, ffmpeg's inputs, from when to when in seconds there are pictures, and sound.
type Case<'a> = (&'a str, Vec<&'a str>, (f64, f64), (f64, f64));

#[test]
fn sound_and_pictures_may_start_and_end_apart() {
    let folder = temp_dir();
    let coding = ["-map", "0", "-map", "1", "-c:v", "libx264", "-c:a", "aac"];
    let pictures = ["-f", "lavfi", "-i", PICTURES];
    let sound = |length: &'static str| ["-f", "lavfi", "-i", length];
    let late = ["-itsoffset", "3"];
    let cases: [Case<'_>; 3] = [
        (
            "late-sound.mkv",
            [&pictures[..], &late, &sound(SOUND)].concat(),
            (0.0, 2.0),
            (3.0, 5.0),
        ),
        (
            "late-pictures.mkv",
            [&late[..], &pictures, &sound("sine=r=48000:d=5")].concat(),
            (3.0, 5.0),
            (0.0, 5.0),
        ),
        (
            "long-sound.mp4",
            [&pictures[..], &sound("sine=r=48000:d=9")].concat(),
            (0.0, 2.0),
            (0.0, 9.0),
        ),
    ];
    for (name, inputs, video, audio) in cases {
        let input = folder.path().join(name);
        make(&input, &[&inputs[..], &coding].concat());
        for extension in ["mp4", "webm"] {
            let output = folder.path().join(format!("{name}.{extension}"));
            let report = redact(&input, &output, Scripted::nothing(), true)
                .unwrap_or_else(|error| panic!("{name} to {extension}: {error}"));
            assert_eq!((report.frames, report.frames_lost), (50, 0), "{name}");
            for (kind, wanted) in [("v", video), ("a", audio)] {
                let found = span(&output, kind);
                assert!(
                    (found.0 - wanted.0).abs() < 0.06 && (found.1 - wanted.1).abs() < 0.1,
                    "{name} to {extension}: {kind} is {found:?}, should be {wanted:?}"
                );
            }
        }
    }
}

#[test]
fn one_video_is_taken_and_everything_else_reported() {
    let folder = temp_dir();
    let input = folder.path().join("many.mkv");
    let subtitles = folder.path().join("lines.srt");
    std::fs::write(
        &subtitles,
        format!("1\n00:00:00,100 --> 00:00:01,000\n{SECRET}\n"),
    )
    .expect("the folder can be written");
    let subtitles = subtitles.to_string_lossy();
    let second = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=s=320x240:r=25:d=2",
        "-i",
        &subtitles,
    ];
    let maps = [
        "-map", "0", "-map", "2", "-map", "1", "-map", "3", "-c:v", "libx264",
    ];
    make(
        &input,
        &[
            &lavfi(PICTURES, SOUND)[..],
            &second,
            &maps,
            &["-c:a", "aac"],
        ]
        .concat(),
    );
    for keep in [false, true] {
        let output = folder.path().join(format!("{keep}.mp4"));
        let report =
            redact(&input, &output, Scripted::nothing(), keep).expect("it can be redacted");
        assert_eq!(
            (report.width, report.height),
            (160, 120),
            "the first video is taken"
        );
        let mut dropped = report.streams_dropped.clone();
        dropped.sort();
        let wanted: &[&str] = if keep {
            &["subtitle", "video"]
        } else {
            &["audio", "subtitle", "video"]
        };
        assert_eq!(dropped, wanted);
        let probe = ffprobe_json(&output);
        assert_eq!(
            probe["streams"].as_array().map(Vec::len),
            Some(1 + usize::from(keep))
        );
        assert!(stream(&probe, "subtitle").is_none());
        let bytes = std::fs::read(&output).expect("the output is there");
        assert!(!contains_bytes(&bytes, SECRET.as_bytes()));
    }
}

/// Codecs whose headers hold tags and a picture, which demuxers hand on inside the caps.
#[test]
fn headers_of_coded_sound_hold_nothing() {
    let folder = temp_dir();
    let at = |name: &str| folder.path().join(name);
    const COVER: &str = "FLOUTAGE-COVER-TEXT";
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1"])
            .arg(at("plain.png")),
    );
    // A PNG with a text behind its end, so that it is found again byte by byte.
    let mut png = std::fs::read(at("plain.png")).expect("made");
    png.extend(COVER.as_bytes());
    std::fs::write(at("cover.png"), png).expect("written");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", SOUND, "-f", "png_pipe", "-i"])
            .arg(at("cover.png"))
            .args(["-map", "0", "-map", "1", "-c:a", "flac", "-c:v", "copy"])
            .args(["-disposition:v", "attached_pic"])
            .args(["-metadata", &format!("title={SECRET}")])
            .arg(at("cover.flac")),
    );
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", PICTURES, "-c:v", "libx264"])
            .arg(at("pictures.mp4")),
    );
    let mut join = Command::new("gst-launch-1.0");
    join.args(["-q", "matroskamux", "name=m", "!", "filesink"])
        .arg(format!("location={}", at("flac.mkv").display()))
        .arg("filesrc")
        .arg(format!("location={}", at("cover.flac").display()))
        .args(["!", "flacparse", "!", "m.", "filesrc"])
        .arg(format!("location={}", at("pictures.mp4").display()))
        .args(["!", "qtdemux", "!", "h264parse", "!", "m."]);
    run_tool(&mut join);
    for (name, codecs) in [
        ("vorbis.ogv", ["libtheora", "libvorbis"]),
        ("vorbis.mkv", ["libx264", "libvorbis"]),
        ("speex.ogv", ["libtheora", "libspeex"]),
        ("opus.ogv", ["libtheora", "libopus"]),
        ("flac.ogv", ["libtheora", "flac"]),
        ("ac3.mkv", ["libx264", "ac3"]),
        ("mp3.mov", ["libx264", "libmp3lame"]),
        ("aac.mkv", ["libx264", "aac"]),
    ] {
        let coding = ["-c:v", codecs[0], "-c:a", codecs[1]];
        make(&at(name), &[&lavfi(PICTURES, SOUND)[..], &coding].concat());
    }
    for name in [
        "flac.mkv",
        "vorbis.ogv",
        "vorbis.mkv",
        "speex.ogv",
        "opus.ogv",
        "flac.ogv",
        "ac3.mkv",
        "mp3.mov",
        "aac.mkv",
    ] {
        for extension in ["mkv", "webm", "mp4", "mov"] {
            let output = at(&format!("{name}.{extension}"));
            let report = redact(&at(name), &output, Scripted::nothing(), true)
                .unwrap_or_else(|error| panic!("{name} to {extension}: {error}"));
            assert_eq!(report.audio_kept, 1, "{name} to {extension}");
            let (start, end) = span(&output, "a");
            assert!(
                start.abs() < 0.1 && (1.85..2.2).contains(&end),
                "{name} to {extension}: sound from {start} to {end}"
            );
            let bytes = std::fs::read(&output).expect("the output is there");
            for secret in [SECRET, COVER, "PNG"] {
                assert!(
                    !contains_bytes(&bytes, secret.as_bytes()),
                    "{name} to {extension}: {secret} came along"
                );
            }
        }
    }
}

/// What GStreamer and GLib say of misused objects must stay silent: they are memory errors elsewhere.
#[test]
fn nothing_complains_about_memory() {
    let folder = temp_dir();
    let input = folder.path().join("in.mp4");
    make(
        &input,
        &[
            &lavfi(PICTURES, SOUND)[..],
            &["-c:v", "libx264", "-c:a", "aac"],
        ]
        .concat(),
    );
    let program = std::env::current_exe().expect("this test is a file");
    if std::env::var_os("FLOUTAGE_TEST_INNER").is_some() {
        let output = folder.path().join("out.webm");
        redact(&input, &output, Scripted::nothing(), true).expect("it can be redacted");
        return;
    }
    let mut inner = Command::new(program);
    inner.args(["--exact", "nothing_complains_about_memory"]);
    inner
        .env("G_DEBUG", "fatal-criticals")
        .env("FLOUTAGE_TEST_INNER", "1");
    run_tool(&mut inner);
}
