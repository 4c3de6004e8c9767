//! `floutage verify`: finds a secret in every place of every container; and no output of ours has any, wherever its
//! input had them.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::clip::{Clip, SECRET};
use common::codec::Codec;
use common::look::ffprobe;
use common::program::{Run, fixture, redact, run};
use common::scene::Scene;
use common::{contains_bytes, ffmpeg, run_tool, temp_dir};
use floutage::verify::{Finding, inspect};

const OUTPUTS: [(&str, &str); 12] = [
    ("mp4", "h264"),
    ("mp4", "h265"),
    ("mp4", "vp9"),
    ("mp4", "av1"),
    ("mov", "h264"),
    ("mov", "h265"),
    ("mkv", "h264"),
    ("mkv", "h265"),
    ("mkv", "vp9"),
    ("mkv", "av1"),
    ("webm", "vp9"),
    ("webm", "av1"),
];

fn scene() -> Scene {
    Scene::new(160, 128, 8).on_grid(16)
}

fn findings(path: &Path) -> Vec<Finding> {
    inspect(path).expect("it can be read").findings
}

fn has_secret(path: &Path) -> bool {
    contains_bytes(
        &std::fs::read(path).expect("it can be read"),
        SECRET.as_bytes(),
    )
}

/// A box of MP4.
fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    bytes
}

/// Where the boxes of `path` begin, each in the one before; the index must be the last box of the file.
fn boxes_at(bytes: &[u8], path: &[&[u8; 4]]) -> Vec<usize> {
    let (mut at, mut end) = (0, bytes.len());
    let mut places = Vec::new();
    for kind in path {
        while &bytes[at + 4..at + 8] != *kind {
            at += size_at(bytes, at);
            assert!(at < end, "no {}", String::from_utf8_lossy(*kind));
        }
        places.push(at);
        end = at + size_at(bytes, at);
        at += 8;
    }
    places
}

fn size_at(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize
}

/// The file with `more` at the end of the box at `path`.
fn with_box(bytes: &[u8], path: &[&[u8; 4]], more: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places = boxes_at(&bytes, path);
    let last = *places.last().expect("a path");
    let end = last + size_at(&bytes, last);
    for place in places {
        let size = (size_at(&bytes, place) + more.len()) as u32;
        bytes[place..place + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.splice(end..end, more.iter().copied());
    bytes
}

/// Secrets in every place of an MP4 or QuickTime file whose index is its last box.
fn planted_in_mp4(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let secret = SECRET.as_bytes();
    let behind = |kind| [bytes, &boxed(kind, secret)].concat();
    let uuid = [&[7u8; 16], secret].concat();
    let full = [&[0u8; 4], secret].concat();
    vec![
        ("free", behind(b"free")),
        ("skip", behind(b"skip")),
        ("wide", behind(b"wide")),
        ("second mdat", behind(b"mdat")),
        ("uuid", [bytes, &boxed(b"uuid", &uuid)].concat()),
        ("meta", [bytes, &boxed(b"meta", &full)].concat()),
        ("emsg", behind(b"emsg")),
        (
            "udta",
            with_box(
                bytes,
                &[b"moov"],
                &boxed(b"udta", &boxed(b"\xa9xyz", secret)),
            ),
        ),
        (
            "track's udta",
            with_box(
                bytes,
                &[b"moov", b"trak"],
                &boxed(b"udta", &boxed(b"name", secret)),
            ),
        ),
        (
            "uuid in the index",
            with_box(bytes, &[b"moov"], &boxed(b"uuid", &uuid)),
        ),
        (
            "free in the index",
            with_box(bytes, &[b"moov", b"trak", b"mdia"], &boxed(b"free", secret)),
        ),
        ("iods", with_box(bytes, &[b"moov"], &boxed(b"iods", &full))),
        (
            "subtitle sample table",
            with_box(
                bytes,
                &[b"moov", b"trak", b"mdia", b"minf", b"stbl"],
                &boxed(b"sgpd", &full),
            ),
        ),
    ]
}

/// An element of Matroska; identifiers are as in the specification.
fn element(id: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = id
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect();
    bytes.extend((body.len() as u64 | 1 << 56).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Secrets at the end of a Matroska or WebM file, inside the segment.
fn planted_in_matroska(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let secret = SECRET.as_bytes();
    let segment = bytes
        .windows(4)
        .position(|window| window == [0x18, 0x53, 0x80, 0x67])
        .expect("a segment");
    // GStreamer and ffmpeg both write its size with eight bytes.
    assert_eq!(bytes[segment + 4], 1, "a size of eight bytes");
    let inside = |more: &[u8]| {
        let mut bytes = bytes.to_vec();
        let size = u64::from_be_bytes(bytes[segment + 4..segment + 12].try_into().expect("eight"));
        bytes[segment + 4..segment + 12].copy_from_slice(&(size + more.len() as u64).to_be_bytes());
        bytes.extend(more);
        bytes
    };
    let tag = element(
        0x67c8,
        &[element(0x45a3, b"COMMENT"), element(0x4487, secret)].concat(),
    );
    let tags = element(
        0x1254_c367,
        &element(0x7373, &[element(0x63c0, b""), tag].concat()),
    );
    let file = [
        element(0x466e, b"a.txt"),
        element(0x4660, b"text/plain"),
        element(0x465c, secret),
        element(0x46ae, &[9]),
    ];
    let attachment = element(0x1941_a469, &element(0x61a7, &file.concat()));
    let display = element(
        0x80,
        &[element(0x85, secret), element(0x437c, b"und")].concat(),
    );
    let atom = element(
        0xb6,
        &[element(0x73c4, &[1]), element(0x91, &[0]), display].concat(),
    );
    let chapters = element(0x1043_a770, &element(0x45b9, &atom));
    let info = element(
        0x1549_a966,
        &[element(0x2a_d7b1, &[15, 66, 64]), element(0x7ba9, secret)].concat(),
    );
    vec![
        ("Void", inside(&element(0xec, secret))),
        ("CRC-32", inside(&element(0xbf, secret))),
        ("Tags", inside(&tags)),
        ("Attachments", inside(&attachment)),
        ("Chapters", inside(&chapters)),
        ("Title", inside(&info)),
    ]
}

/// A JPEG segment, or a PNG chunk (whose checksum nobody looks at here).
fn planted_in_picture(extension: &str, bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let secret = SECRET.as_bytes();
    let at = |place: usize, more: Vec<u8>| [&bytes[..place], &more, &bytes[place..]].concat();
    let mut all = vec![("bytes behind", [bytes, secret].concat())];
    match extension {
        "jpg" => {
            for (name, marker, head) in [
                ("EXIF", 0xe1, &b"Exif\0\0"[..]),
                ("XMP", 0xe1, b"http://ns.adobe.com/xap/1.0/\0"),
                ("ICC", 0xe2, b"ICC_PROFILE\0\x01\x01"),
                ("IPTC", 0xed, b"Photoshop 3.0\0"),
                ("comment", 0xfe, b""),
            ] {
                let body = [head, secret].concat();
                let mut segment = vec![0xff, marker];
                segment.extend((body.len() as u16 + 2).to_be_bytes());
                segment.extend(body);
                all.push((name, at(2, segment)));
            }
        }
        "png" => {
            for (name, kind, head) in [
                ("tEXt", b"tEXt", &b"Comment\0"[..]),
                ("eXIf", b"eXIf", b"II*\0"),
                ("iCCP", b"iCCP", b"x\0\0"),
                ("private", b"prVt", b""),
            ] {
                let body = [head, secret].concat();
                let mut chunk = (body.len() as u32).to_be_bytes().to_vec();
                chunk.extend(kind);
                chunk.extend(&body);
                let mut crc = flate2::Crc::new();
                crc.update(&chunk[4..]);
                chunk.extend(crc.sum().to_be_bytes());
                all.push((name, at(33, chunk)));
            }
        }
        "webp" => {
            for (name, kind) in [("EXIF", b"EXIF"), ("XMP", b"XMP "), ("private", b"prVt")] {
                let mut chunk = kind.to_vec();
                chunk.extend((secret.len() as u32).to_le_bytes());
                chunk.extend(secret);
                chunk.resize(chunk.len().next_multiple_of(2), 0);
                let mut changed = [bytes, &chunk].concat();
                let size = changed.len() as u32 - 8;
                changed[4..8].copy_from_slice(&size.to_le_bytes());
                all.push((name, changed));
            }
        }
        _ => {}
    }
    all
}

/// The file `path` with a secret in each place of its format.
fn planted(path: &Path, extension: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("it can be read");
    match extension {
        "mp4" | "mov" => planted_in_mp4(&bytes),
        "mkv" | "webm" => planted_in_matroska(&bytes),
        other => planted_in_picture(other, &bytes),
    }
}

/// Every output that is written is clean, its sound and pictures included; and verify finds what is planted in it.
#[test]
fn every_container_and_codec_is_clean_and_every_secret_in_it_is_found() {
    let dir = temp_dir();
    let input = Clip::new(scene())
        .all_side_channels("mp4")
        .write(dir.path(), "in.mp4");
    for (extension, codec) in OUTPUTS {
        let output = dir.path().join(format!("{codec}.{extension}"));
        run(redact(&input, &output).args(["--codec", codec, "--audio", "keep"])).succeeded();
        let inspection = inspect(&output).expect("it can be read");
        assert_eq!(inspection.findings, [], "{codec} in {extension}");
        assert_eq!(inspection.tracks.len(), 2, "{inspection:?}");
        assert!(inspection.packets > 8, "{inspection:?}");
        for (place, bytes) in planted(&output, extension) {
            let changed = dir.path().join(format!("planted.{extension}"));
            std::fs::write(&changed, &bytes).expect("written");
            let found = findings(&changed);
            assert!(!found.is_empty(), "{codec} in {extension}: {place}");
            let secret = bytes
                .windows(SECRET.len())
                .rposition(|window| window == SECRET.as_bytes());
            let secret = secret.expect("planted") as u64;
            let near = found
                .iter()
                .any(|finding| finding.offset <= secret && finding.offset + 120 >= secret);
            assert!(
                near,
                "{codec} in {extension}: {place} at {secret}: {found:?}"
            );
        }
        std::fs::remove_file(&output).expect("removed");
    }
}

#[test]
fn pictures_are_clean_and_every_secret_in_them_is_found() {
    let dir = temp_dir();
    let input = dir.path().join("in.png");
    run_tool(
        ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc2=s=160x128", "-frames:v", "1"])
            .arg(&input),
    );
    for extension in ["jpg", "png", "webp"] {
        let output = dir.path().join(format!("out.{extension}"));
        run(&mut redact(&input, &output)).succeeded();
        assert_eq!(findings(&output), [], "{extension}");
        for (place, bytes) in planted(&output, extension) {
            let changed = dir.path().join(format!("planted.{extension}"));
            std::fs::write(&changed, &bytes).expect("written");
            let found = findings(&changed);
            assert!(!found.is_empty(), "{extension}: {place}");
            // And none of it gets through.
            let again = dir.path().join(format!("again.{extension}"));
            run(redact(&changed, &again).arg("--overwrite")).succeeded();
            assert!(!has_secret(&again), "{extension}: {place}");
            assert_eq!(findings(&again), [], "{extension}: {place}");
        }
    }
}

/// Secrets in places that ffmpeg does not write, in inputs of every container; all outputs take turns.
#[test]
fn nothing_planted_in_an_input_comes_through() {
    let dir = temp_dir();
    let mut outputs = OUTPUTS.into_iter().cycle();
    let mut written = std::collections::BTreeSet::new();
    for (extension, codec) in [
        ("mp4", Codec::H264),
        ("mov", Codec::H264),
        ("mkv", Codec::H264),
        ("webm", Codec::Vp9),
    ] {
        let clip = Clip::new(scene()).codec(codec).audio();
        let input = clip.write(dir.path(), &format!("in.{extension}"));
        for (place, bytes) in planted(&input, extension) {
            let changed = dir.path().join(format!("planted.{extension}"));
            std::fs::write(&changed, bytes).expect("written");
            assert!(has_secret(&changed));
            let (container, coding) = outputs.next().expect("it goes round");
            let output = dir.path().join(format!("out.{container}"));
            let mut command = redact(&changed, &output);
            command.args(["--overwrite", "--audio", "keep", "--codec", coding]);
            let outcome = run(&mut command);
            if outcome.code != Some(0) {
                // Refused: nothing is there then.
                assert!(!output.exists(), "{place}");
                continue;
            }
            let way = format!("{place} of {extension} to {coding} in {container}");
            assert!(!has_secret(&output), "{way}");
            assert_eq!(findings(&output), [], "{way}");
            std::fs::remove_file(&output).expect("removed");
            written.insert((container, coding));
        }
    }
    assert_eq!(written.len(), OUTPUTS.len(), "{written:?}");
}

/// Supplemental information of H.264 and H.265, of types that no decoder uses, and MPEG transport streams with private
/// data and telemetry.
#[test]
fn what_codecs_and_transport_streams_carry_stays_behind() {
    let dir = temp_dir();
    let mut inputs: Vec<(&str, PathBuf)> = Vec::new();
    for (name, codec) in [("h265.mp4", Codec::H265), ("h265.mkv", Codec::H265)] {
        let input = Clip::new(scene()).codec(codec).write(dir.path(), name);
        // x265 says what it is in supplemental information; the secret takes the place of its words.
        let mut bytes = std::fs::read(&input).expect("readable");
        let words = bytes.windows(8).position(|window| window == b"x265 (bu");
        let words = words.expect("x265 names itself");
        bytes[words..words + SECRET.len()].copy_from_slice(SECRET.as_bytes());
        std::fs::write(&input, bytes).expect("written");
        inputs.push((name, input));
    }
    let clip = Clip::new(scene()).sei().audio().data_track();
    inputs.push(("private data", clip.write(dir.path(), "private.ts")));
    let telemetry = dir.path().join("telemetry.klv");
    std::fs::write(&telemetry, SECRET.repeat(20)).expect("written");
    let klv = dir.path().join("klv.ts");
    let plain = Clip::new(scene()).write(dir.path(), "plain.ts");
    run_tool(
        ffmpeg()
            .arg("-i")
            .arg(&plain)
            .args(["-f", "data", "-i"])
            .arg(&telemetry)
            .args([
                "-map", "0:v", "-map", "1:d", "-c", "copy", "-tag:d", "KLVA", "-f", "mpegts",
            ])
            .arg(&klv),
    );
    inputs.push(("telemetry", klv));
    for (name, input) in inputs {
        assert!(has_secret(&input), "{name}");
        for out in ["mp4", "mkv"] {
            let output = dir.path().join(format!("out.{out}"));
            run(redact(&input, &output).args(["--overwrite", "--audio", "keep"])).succeeded();
            assert!(!has_secret(&output), "{name} to {out}");
            assert_eq!(findings(&output), [], "{name} to {out}");
        }
    }
}

/// Data that hides inside the packets of sound.
#[test]
fn no_packet_of_the_inputs_sound_is_in_the_output() {
    let dir = temp_dir();
    for (name, codec) in [
        ("aac.mp4", "aac"),
        ("mp3.mkv", "libmp3lame"),
        ("opus.mkv", "libopus"),
        ("ac3.mkv", "ac3"),
        ("flac.mkv", "flac"),
    ] {
        let plain = Clip::new(scene()).write(dir.path(), &format!("plain-{name}"));
        let input = dir.path().join(name);
        run_tool(
            ffmpeg()
                .arg("-i")
                .arg(&plain)
                .args([
                    "-f",
                    "lavfi",
                    "-i",
                    "anoisesrc=d=0.4:a=0.3",
                    "-c:v",
                    "copy",
                    "-c:a",
                    codec,
                ])
                .arg(&input),
        );
        let bytes = std::fs::read(&input).expect("readable");
        let probe = ffprobe(
            &input,
            &["-select_streams", "a:0", "-show_entries", "packet=pos,size"],
        );
        let number =
            |value: &serde_json::Value| value.as_str().and_then(|text| text.parse::<usize>().ok());
        let packets: Vec<&[u8]> = probe["packets"]
            .as_array()
            .expect("packets")
            .iter()
            .filter_map(|packet| Some((number(&packet["pos"])?, number(&packet["size"])?)))
            .filter(|(_, size)| *size > 100)
            // Whole ones: encoded anew by the same encoder, part of the sound may come out the same.
            .map(|(at, size)| &bytes[at..at + size])
            .collect();
        assert!(packets.len() > 3, "{name}: {probe}");
        for out in ["mp4", "mkv", "webm", "mov"] {
            let output = dir.path().join(format!("{name}.{out}"));
            run(redact(&input, &output).args(["--audio", "keep"])).succeeded();
            let written = std::fs::read(&output).expect("readable");
            for packet in &packets {
                assert!(
                    !contains_bytes(&written, packet),
                    "{name} to {out}: a packet came through"
                );
            }
        }
    }
}

fn verify(arguments: &[&str], files: &[&Path]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.arg("verify").args(arguments).args(files);
    command.args([
        "--input-size",
        "native",
        "--look-ahead",
        "0",
        "--hold",
        "0",
        "--model",
    ]);
    run(command.arg(fixture("marker-detector")))
}

#[test]
fn the_original_tells_what_is_not_redacted() {
    let dir = temp_dir();
    let input = Clip::new(scene()).write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    run(redact(&input, &output).args(["--style", "fill"])).succeeded();
    let original = format!("--original={}", input.display());
    let outcome = verify(&["--json", &original], &[&output])
        .succeeded()
        .json();
    assert_eq!(outcome["ok"], true, "{outcome}");
    let residual = &outcome["residual"];
    assert_eq!(
        (&residual["outside"], &residual["unchanged"]),
        (&0.into(), &0.into()),
        "{outcome}"
    );
    assert!(residual["compared"].as_u64() > Some(0), "{outcome}");
    // Not redacted at all, though coded anew: every region looks as before.
    let plain = dir.path().join("plain.mp4");
    let copy = [
        "-c:v",
        "libx264",
        "-crf",
        "20",
        "-bsf:v",
        "filter_units=remove_types=6",
        "-fflags",
        "+bitexact",
    ];
    run_tool(ffmpeg().arg("-i").arg(&input).args(copy).arg(&plain));
    let outcome = verify(&["--json", &original], &[&plain]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let residual = &outcome.json()["residual"];
    assert!(residual["unchanged"].as_u64() > Some(0), "{residual}");
    // Another length is told.
    let short = Clip::new(Scene::new(160, 128, 4).on_grid(16)).write(dir.path(), "short.mp4");
    let outcome = verify(
        &["--json", &format!("--original={}", short.display())],
        &[&output],
    );
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

#[test]
fn people_are_told_where_and_what() {
    let dir = temp_dir();
    let input = Clip::new(scene()).write(dir.path(), "in.mp4");
    let output = dir.path().join("out.mp4");
    run(&mut redact(&input, &output)).succeeded();
    let mut bytes = std::fs::read(&output).expect("readable");
    let length = bytes.len();
    bytes.extend(SECRET.as_bytes());
    std::fs::write(&output, bytes).expect("written");
    let outcome = verify(&["--structure-only"], &[&output]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stdout.contains(&format!("byte {length}: file:")),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains(SECRET) && outcome.stdout.contains("NOT AS IT SHOULD BE"));
    let missing = verify(&[], &[&dir.path().join("none.mp4")]);
    missing.failed(&["none.mp4", "no such file"]);
}
