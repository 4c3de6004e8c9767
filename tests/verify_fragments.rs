//! `floutage verify` on fragmented MP4, as the gateway records it: clean as it is written, and a secret in any box is found.

mod common;

use std::path::{Path, PathBuf};

use common::clip::SECRET;
use common::program::run;
use common::temp_dir;
use floutage::serve::config::camera::Encode;
use floutage::serve::worker::live_encoder;
use floutage::verify::{Finding, inspect, inspect_source};
use gst::prelude::*;

/// Two seconds of fragmented MP4, coded as the gateway does.
fn fragmented(folder: &Path, codec: &str) -> PathBuf {
    floutage::init().expect("GStreamer starts");
    let encode = Encode {
        codec: Some(codec.into()),
        ..Encode::default()
    };
    let encoding = encode.resolve().expect("a codec");
    let path = folder.join(format!("{codec}.mp4"));
    let caps = gst::Caps::builder("video/x-raw")
        .field("width", 160)
        .field("height", 128)
        .field("framerate", gst::Fraction::new(15, 1))
        .build();
    let element = gst::ElementFactory::make;
    let mut chain = vec![
        element("videotestsrc").property("num-buffers", 30).build(),
        element("capsfilter").property("caps", caps).build(),
    ];
    chain.extend(
        live_encoder(&encoding)
            .expect("an encoder")
            .into_iter()
            .map(Ok),
    );
    chain.extend([
        element(if codec == "h264" {
            "h264parse"
        } else {
            "h265parse"
        })
        .build(),
        element("mp4mux")
            .property("fragment-duration", 500u32)
            .build(),
        element("filesink").property("location", &path).build(),
    ]);
    let chain: Vec<gst::Element> = chain.into_iter().map(|it| it.expect("installed")).collect();
    let pipeline = gst::Pipeline::new();
    pipeline.add_many(&chain).expect("added");
    gst::Element::link_many(&chain).expect("linked");
    pipeline.set_state(gst::State::Playing).expect("starts");
    let message = pipeline.bus().expect("a bus").timed_pop_filtered(
        gst::ClockTime::from_seconds(60),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(message.expect("ends").type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).expect("stops");
    path
}

fn findings(bytes: &[u8]) -> Vec<Finding> {
    inspect_source(&bytes).expect("memory can be read").findings
}

/// Place, kind and end of each box of the file.
fn boxes(bytes: &[u8], from: usize, to: usize) -> Vec<(usize, [u8; 4], usize)> {
    let mut all = Vec::new();
    let mut at = from;
    while at < to {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        all.push((
            at,
            bytes[at + 4..at + 8].try_into().expect("four"),
            at + size,
        ));
        at += size;
    }
    all
}

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
    bytes.extend(kind);
    bytes.extend(body);
    bytes
}

/// Every box of `bytes` with those that it is in, as far as the index, fragments and their index go.
fn tree(bytes: &[u8]) -> Vec<Vec<usize>> {
    const HOLDERS: [&[u8; 4]; 9] = [
        b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"mfra",
    ];
    let mut all = Vec::new();
    let mut open: Vec<(Vec<usize>, usize, usize)> = vec![(Vec::new(), 0, bytes.len())];
    while let Some((about, from, to)) = open.pop() {
        for (at, kind, end) in boxes(bytes, from, to) {
            let path = [&about[..], &[at]].concat();
            if HOLDERS.contains(&&kind) {
                open.push((path.clone(), at + 8, end));
            }
            all.push(path);
        }
    }
    all
}

/// `bytes` with `more` at the end of the last box of `path`, whose lengths grow.
fn planted(bytes: &[u8], path: &[usize], more: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut end = 0;
    for &at in path {
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        end = at + size as usize;
        bytes[at..at + 4].copy_from_slice(&(size + more.len() as u32).to_be_bytes());
    }
    bytes.splice(end..end, more.iter().copied());
    bytes
}

#[test]
fn fragments_are_clean_and_a_secret_in_any_box_of_them_is_found() {
    let dir = temp_dir();
    for codec in ["h264", "h265"] {
        let path = fragmented(dir.path(), codec);
        let inspection = inspect(&path).expect("it can be read");
        assert_eq!(inspection.findings, [], "{codec}");
        assert_eq!(inspection.packets, 30, "{inspection:?}");
        let bytes = std::fs::read(&path).expect("it can be read");
        let tree = tree(&bytes);
        let kinds: Vec<&[u8]> = tree
            .iter()
            .map(|path| &bytes[path[path.len() - 1] + 4..][..4])
            .collect();
        for kind in [
            &b"moof"[..],
            b"mfhd",
            b"tfhd",
            b"tfdt",
            b"trun",
            b"mdat",
            b"mvex",
            b"mehd",
            b"trex",
            b"mfra",
            b"tfra",
            b"mfro",
        ] {
            assert!(kinds.contains(&kind), "{}", String::from_utf8_lossy(kind));
        }
        for (path, kind) in tree.iter().zip(kinds) {
            let kind = String::from_utf8_lossy(kind);
            for (how, more) in [
                ("bytes", SECRET.as_bytes().to_vec()),
                ("a box", boxed(b"free", SECRET.as_bytes())),
                ("a known box", boxed(b"trun", SECRET.as_bytes())),
            ] {
                let changed = planted(&bytes, path, &more);
                let found = findings(&changed);
                assert!(!found.is_empty(), "{codec}: {how} in {kind} at {path:?}");
            }
        }
        for kind in [
            b"uuid", b"emsg", b"styp", b"sidx", b"moof", b"mfra", b"prft", b"moov",
        ] {
            for (at, ..) in boxes(&bytes, 0, bytes.len()) {
                let mut changed = bytes.clone();
                changed.splice(at..at, boxed(kind, SECRET.as_bytes()));
                assert!(!findings(&changed).is_empty(), "{kind:?} at {at}");
            }
        }
    }
}

/// Values in place of others, in the fields of fragments: four letters wherever no sample's size or place stands.
#[test]
fn a_secret_in_a_field_of_a_fragment_is_found() {
    let dir = temp_dir();
    let path = fragmented(dir.path(), "h264");
    let bytes = std::fs::read(&path).expect("it can be read");
    for path in tree(&bytes) {
        let at = path[path.len() - 1];
        let kind: [u8; 4] = bytes[at + 4..at + 8].try_into().expect("four");
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four")) as usize;
        let about = [
            b"mfhd", b"tfhd", b"tfdt", b"trun", b"mehd", b"trex", b"tfra", b"mfro",
        ];
        if !about.contains(&&kind) {
            continue;
        }
        for field in (at + 8..at + size)
            .step_by(4)
            .filter(|field| field + 4 <= at + size)
        {
            let mut changed = bytes.clone();
            changed[field..field + 4].copy_from_slice(b"Eve!");
            let name = String::from_utf8_lossy(&kind);
            assert!(
                !findings(&changed).is_empty(),
                "{name} at {at}, field at {field}"
            );
        }
    }
}

#[test]
fn an_index_of_segments_must_be_right() {
    let dir = temp_dir();
    let path = fragmented(dir.path(), "h264");
    let bytes = std::fs::read(&path).expect("it can be read");
    let top = boxes(&bytes, 0, bytes.len());
    let first = top
        .iter()
        .position(|(_, kind, _)| kind == b"moof")
        .expect("a fragment");
    let scale = scale(&bytes);
    // As DASH has it: before the fragments, with the size and length of each. The index at the end is in the way.
    let end = top.last().expect("boxes").0;
    let mut entries = Vec::new();
    for pair in top[first..top.len() - 1].as_chunks::<2>().0 {
        entries.extend(((pair[1].2 - pair[0].0) as u32).to_be_bytes());
        entries.extend((scale / 2).to_be_bytes());
        entries.extend([0x90, 0, 0, 0]);
    }
    let count = (entries.len() / 12) as u16;
    let body = [
        &[0, 0, 0, 0, 0, 0, 0, 1][..],
        &scale.to_be_bytes(),
        &[0; 8],
        &[0, 0],
        &count.to_be_bytes(),
        &entries,
    ]
    .concat();
    let with = |body: &[u8]| {
        [
            &bytes[..top[first].0],
            &boxed(b"sidx", body),
            &bytes[top[first].0..end],
        ]
        .concat()
    };
    assert_eq!(findings(&with(&body)), []);
    for field in (0..body.len() - 3).step_by(4) {
        let mut changed = body.clone();
        changed[field..field + 4].copy_from_slice(b"Eve!");
        assert!(!findings(&with(&changed)).is_empty(), "field at {field}");
    }
    assert!(!findings(&with(&[&body[..], SECRET.as_bytes()].concat())).is_empty());
}

fn scale(bytes: &[u8]) -> u32 {
    let at = bytes
        .windows(4)
        .position(|it| it == b"mdhd")
        .expect("a track");
    u32::from_be_bytes(bytes[at + 16..at + 20].try_into().expect("four"))
}

#[test]
fn the_program_looks_at_the_pictures_of_fragments_too() {
    let dir = temp_dir();
    let path = fragmented(dir.path(), "h264");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["verify", "--json", "--input-size", "native", "--model"]);
    command.arg(common::program::fixture("marker-detector"));
    let outcome = run(command.arg(&path)).succeeded().json();
    assert_eq!(outcome["residual"]["frames"], 30, "{outcome}");
    // A fragment that is cut off is told.
    let bytes = std::fs::read(&path).expect("it can be read");
    let last = boxes(&bytes, 0, bytes.len())
        .into_iter()
        .rfind(|(_, kind, _)| kind == b"mdat")
        .expect("media data");
    assert!(!findings(&bytes[..last.0 + 20]).is_empty());
    assert!(
        !findings(&bytes[..last.0]).is_empty(),
        "its data is missing"
    );
    let whole = boxes(&bytes, 0, bytes.len());
    let before = whole
        .iter()
        .rfind(|(_, kind, _)| kind == b"moof")
        .expect("one")
        .0;
    assert_eq!(
        findings(&bytes[..before]),
        [],
        "whole fragments need no end"
    );
}
