//! Frame counts, times and pixels of awkward streams.

mod common;
mod redaction;

use std::path::Path;

use common::clip::Clip;
use common::codec::Codec;
use common::look::{each_frame, frame_times, psnr};
use common::scene::{Picture, Scene};
use common::{ffmpeg, run_tool, shared, skip, temp_dir};
use floutage::geometry::BBox;
use floutage::media::report::Report;
use redaction::{Scripted, redact};

fn redacted(input: &Path, output: &Path) -> Report {
    let report =
        redact(input, output, Scripted::nothing(), false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.frames_lost, 0, "{}", input.display());
    report
}

/// The frames of `path` are at `wanted` seconds, counted from the first, to a tick of the container.
fn check_times(path: &Path, wanted: &[f64]) {
    let times = frame_times(path);
    assert_eq!(times.len(), wanted.len(), "{}: frames", path.display());
    for (index, (time, wanted)) in times.iter().zip(wanted).enumerate() {
        let time = time - times[0];
        assert!(
            (time - wanted).abs() < 0.0021,
            "{}: frame {index} is at {time}, should be at {wanted}",
            path.display()
        );
    }
}

#[test]
fn times_survive() {
    let folder = temp_dir();
    let scene = || Scene::new(160, 120, 40);
    let clips = [
        ("vfr.mkv", Clip::new(scene()).intervals(&[20, 70, 60])),
        ("vfr.mp4", Clip::new(scene()).intervals(&[20, 70, 60])),
        ("ntsc.mp4", Clip::new(scene()).rate("60000/1001")),
        ("interlaced.mp4", Clip::new(scene()).interlaced()),
        ("slow.mp4", Clip::new(scene()).rate("1")),
        ("mpeg4.avi", Clip::new(scene()).codec(Codec::Mpeg4)),
    ];
    for (name, clip) in clips {
        let input = clip.write(folder.path(), name);
        let wanted: Vec<f64> = (0..40).map(|index| clip.time(index)).collect();
        for extension in ["mp4", "mkv", "webm"] {
            let output = folder.path().join(format!("{name}.{extension}"));
            assert_eq!(redacted(&input, &output).frames, 40, "{name}");
            check_times(&output, &wanted);
        }
    }
}

#[test]
fn pictures_in_another_order_and_without_times_survive() {
    let folder = temp_dir();
    let wanted: Vec<f64> = (0..50).map(|index| f64::from(index) / 25.0).collect();
    for (name, options) in [
        ("b.mp4", &["-c:v", "libx264", "-bf", "3"][..]),
        ("b.ts", &["-c:v", "libx264", "-bf", "3"]),
        ("b.avi", &["-c:v", "mpeg4", "-bf", "2"]),
        (
            "hevc.mkv",
            &["-c:v", "libx265", "-x265-params", "log-level=error"],
        ),
        ("bare.h264", &["-c:v", "libx264"]),
        ("bare.m2v", &["-c:v", "mpeg2video"]),
    ] {
        let input = folder.path().join(name);
        let mut command = ffmpeg();
        command.args(["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2"]);
        run_tool(
            command
                .args(options)
                .args(["-pix_fmt", "yuv420p"])
                .arg(&input),
        );
        let output = folder.path().join(format!("{name}.mkv"));
        assert_eq!(redacted(&input, &output).frames, 50, "{name}");
        check_times(&output, &wanted);
    }
}

/// `path` with its edit list replaced: each part's length in milliseconds and where it starts in ticks of the media.
fn with_edits(path: &Path, name: &str, parts: &[(u32, i32)]) -> std::path::PathBuf {
    let mut bytes = std::fs::read(path).expect("made");
    let find = |bytes: &[u8], kind: &[u8]| {
        let at = bytes.windows(4).rposition(|window| window == kind);
        at.expect("the box is there") - 4
    };
    let list = find(&bytes, b"elst");
    let size =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4"));
    let old = size(&bytes, list);
    let mut new = vec![0u8; 4];
    new.extend(b"elst\0\0\0\0");
    new.extend((parts.len() as u32).to_be_bytes());
    for (length, start) in parts {
        new.extend(length.to_be_bytes());
        new.extend(start.to_be_bytes());
        new.extend([0, 1, 0, 0]);
    }
    let length = new.len() as u32;
    new[..4].copy_from_slice(&length.to_be_bytes());
    // The index is behind the media, so nothing else moves.
    for kind in [b"moov", b"trak", b"edts"] {
        let at = find(&bytes[..list + 8], kind);
        let changed = size(&bytes, at) + length - old;
        bytes[at..at + 4].copy_from_slice(&changed.to_be_bytes());
    }
    bytes.splice(list..list + old as usize, new);
    let edited = path.with_file_name(name);
    std::fs::write(&edited, bytes).expect("written");
    edited
}

/// Parts of a file in another order, overlapping, with gaps, and after nothing: as editors and phones write them.
#[test]
fn edit_lists_are_followed() {
    let folder = temp_dir();
    let whole = folder.path().join("whole.mp4");
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2"]);
    command.args(["-c:v", "libx264", "-bf", "2", "-g", "20", "-crf", "12"]);
    run_tool(command.args(["-pix_fmt", "yuv420p"]).arg(&whole));
    let mut originals: Vec<Picture> = Vec::new();
    each_frame(&whole, |_, picture| originals.push(picture));
    assert_eq!(originals.len(), 50);
    // 512 ticks a frame, and the first one at 1024, for pictures are in another order than coded.
    let at = |frame: i32| 1024 + 512 * frame;
    for (name, parts, wanted) in [
        (
            "back.mp4",
            &[(400, at(30)), (600, at(5))][..],
            (30..40).chain(5..20).collect::<Vec<usize>>(),
        ),
        (
            "twice.mp4",
            &[(400, at(0)), (400, at(3))],
            (0..10).chain(3..13).collect(),
        ),
        ("late.mp4", &[(1000, -1), (400, at(12))], (12..22).collect()),
    ] {
        let input = with_edits(&whole, name, parts);
        for extension in ["mp4", "mkv"] {
            let output = folder.path().join(format!("{name}.{extension}"));
            let report = redacted(&input, &output);
            assert_eq!(report.frames as usize, wanted.len(), "{name}");
            let times: Vec<f64> = (0..wanted.len()).map(|index| index as f64 / 25.0).collect();
            check_times(&output, &times);
            each_frame(&output, |index, picture| {
                let likeness = psnr(&originals[wanted[index]], &picture, &[]);
                assert!(likeness > 32.0, "{name}: frame {index}: {likeness} dB");
            });
        }
    }
}

/// What a demuxer leaves out without a word shows by the length that the container states.
#[test]
fn streams_that_end_before_their_container_are_told() {
    let folder = temp_dir();
    let whole = Clip::new(Scene::new(160, 120, 50)).write(folder.path(), "whole.mkv");
    let mut bytes = std::fs::read(&whole).expect("made");
    // Matroska's Duration: its id, 8 bytes of length, milliseconds.
    let head = bytes
        .windows(3)
        .position(|window| window == [0x44, 0x89, 0x88]);
    let length = head.expect("it is there") + 3;
    bytes[length..length + 8].copy_from_slice(&6000f64.to_be_bytes());
    let input = folder.path().join("short.mkv");
    std::fs::write(&input, bytes).expect("written");
    let output = folder.path().join("o.mp4");
    let report = redact(&input, &output, Scripted::nothing(), false).expect("it can be read");
    assert_eq!(report.frames, 50);
    assert!((90..=110).contains(&report.frames_lost), "{report:?}");
    assert!(
        report.warnings.iter().any(|text| text.contains("6.0 s")),
        "{report:?}"
    );
}

#[test]
fn a_size_that_changes_in_the_middle_becomes_the_first_one() {
    let folder = temp_dir();
    let mut parts = Vec::new();
    for (name, size, offset) in [("a.ts", "320x240", "0"), ("b.ts", "640x480", "1")] {
        let path = folder.path().join(name);
        let mut command = ffmpeg();
        command.args(["-f", "lavfi", "-i", &format!("testsrc2=s={size}:r=25:d=1")]);
        command.args(["-c:v", "libx264", "-pix_fmt", "yuv420p"]);
        run_tool(command.args(["-output_ts_offset", offset]).arg(&path));
        parts.push(std::fs::read(path).expect("made"));
    }
    for (name, order, size) in [("up", [0, 1], (320, 240)), ("down", [1, 0], (640, 480))] {
        let input = folder.path().join(format!("{name}.ts"));
        std::fs::write(&input, [&parts[order[0]][..], &parts[order[1]]].concat())
            .expect("the folder can be written");
        let output = folder.path().join(format!("{name}.mp4"));
        let report = redacted(&input, &output);
        assert_eq!((report.width, report.height), size, "{name}");
        let frames = each_frame(&output, |index, picture| {
            assert_eq!(
                (picture.width as u32, picture.height as u32),
                size,
                "frame {index}"
            );
        });
        assert_eq!(frames, 50, "{name}");
    }
}

#[test]
fn animations_come_whole_and_in_time() {
    let folder = temp_dir();
    let input = folder.path().join("in.gif");
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=2"]);
    run_tool(
        command
            .args(["-vf", "setpts=N*0.1/TB+mod(N\\,2)*0.05/TB"])
            .args(["-vsync", "passthrough"])
            .arg(&input),
    );
    let wanted = frame_times(&input);
    assert_eq!(wanted.len(), 20);
    let output = folder.path().join("out.mp4");
    assert_eq!(redacted(&input, &output).frames, 20);
    check_times(&output, &wanted);

    let bytes = std::fs::read(&input).expect("made");
    let cut = folder.path().join("cut.gif");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("the folder can be written");
    let report = redact(&cut, &output, Scripted::nothing(), false).expect("some of it is left");
    assert!(
        (1..20).contains(&report.frames) && report.frames_lost > 0,
        "{report:?}"
    );
    for length in [6, 13, 200] {
        std::fs::write(&cut, &bytes[..length]).expect("the folder can be written");
        assert!(
            redact(&cut, &output, Scripted::nothing(), false).is_err(),
            "{length} bytes"
        );
    }

    let Some(clips) = shared("clips") else {
        skip!("no real animations in ../shared/clips");
    };
    for (name, frames) in [
        ("intel_preview_classroom.gif", 45),
        ("intel_preview_face-demographics-walking.gif", 35),
        ("intel_preview_person-bicycle-car-detection.gif", 41),
    ] {
        let input = clips.join(name);
        assert_eq!(redacted(&input, &output).frames, frames, "{name}");
        check_times(&output, &frame_times(&input));
    }
}

/// Decoders keep pictures to predict others from: redaction in place must never reach those.
#[test]
fn redaction_never_reaches_the_decoders_references() {
    let folder = temp_dir();
    let area = BBox::new(64.0, 48.0, 192.0, 144.0);
    // Blocks and chroma filters of the encoders reach a little over the edge.
    let excluded = [BBox::new(32.0, 16.0, 224.0, 176.0)];
    for (codec, name) in [
        (Codec::H264, "h264.mp4"),
        (Codec::H265, "h265.mp4"),
        (Codec::Vp8, "vp8.webm"),
        (Codec::Vp9, "vp9.webm"),
        (Codec::Av1, "av1.mkv"),
        (Codec::Mpeg2, "mpeg2.ts"),
        (Codec::Mpeg4, "mpeg4.avi"),
        (Codec::Mjpeg, "mjpeg.avi"),
    ] {
        // Markers move through the area, so that what is predicted from it goes on to be seen outside.
        let clip = Clip::new(Scene::new(320, 240, 60))
            .codec(codec)
            .key_interval(600);
        let input = clip.write(folder.path(), name);
        let plain = folder.path().join(format!("{name}.plain.mkv"));
        let covered = folder.path().join(format!("{name}.covered.mkv"));
        redacted(&input, &plain);
        let report = redact(&input, &covered, Scripted::plate(area), false).expect("it works");
        assert_eq!((report.frames, report.regions.plate), (60, 60), "{name}");
        let mut originals: Vec<Picture> = Vec::new();
        each_frame(&plain, |_, picture| originals.push(picture));
        let frames = each_frame(&covered, |index, picture| {
            let likeness = psnr(&originals[index], &picture, &excluded);
            assert!(likeness > 40.0, "{name}: frame {index}: {likeness} dB");
            let inside = psnr(&originals[index], &picture, &[]);
            assert!(inside < 35.0, "{name}: frame {index} is not redacted");
        });
        assert_eq!((frames, originals.len()), (60, 60), "{name}");
    }
}
