//! The elements under a harness: what comes out after failures, events, other elements in between.

use std::sync::{Arc, Mutex};

use floutage::detect::{Certainty, Class, Detection, Detector, SharedDetector, StageTimes};
use floutage::frame::Frame;
use floutage::geometry::BBox;
use floutage::gst::bin::FloutageBin;
use floutage::gst::detect::FloutageDetect;
use floutage::gst::meta::{self, State};
use floutage::{Error, Result};
use glib::object::Cast;
use gst::prelude::*;
use gst_check::Harness;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
/// The place the scripted detector always names: left of the middle.
const BOX: BBox = BBox::new(40.0, 60.0, 100.0, 140.0);

/// Names [`BOX`] in every frame, but does what `script` says in some.
struct Scripted {
    frame: usize,
    script: fn(usize) -> Step,
}

#[derive(Clone, Copy)]
enum Step {
    Find,
    Nothing,
    Fail,
    Panic,
}

impl Detector for Scripted {
    fn detect(&mut self, _: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let step = (self.script)(self.frame);
        self.frame += 1;
        let detection = Detection {
            bbox: BOX,
            class: Class::Face,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        match step {
            Step::Find => Ok((vec![detection], StageTimes::default())),
            Step::Nothing => Ok((Vec::new(), StageTimes::default())),
            Step::Fail => Err(Error::Detection("scripted".into())),
            Step::Panic => panic!("scripted panic"),
        }
    }
}

fn scripted(script: fn(usize) -> Step) -> SharedDetector {
    Arc::new(Mutex::new(Scripted { frame: 0, script }))
}

fn bin(script: fn(usize) -> Step) -> FloutageBin {
    floutage::init().expect("GStreamer starts");
    let bin: FloutageBin = glib::Object::new();
    bin.detect().set_detector(scripted(script));
    // What each frame's own detections make of it; tests/tracking.rs is about the rest.
    bin.set_property("look-ahead", 0u32);
    bin.set_property("hold", 0u32);
    bin.set_property("face-style", "fill");
    bin.set_property("face-shape", "rectangle");
    bin
}

fn harness(element: &impl IsA<gst::Element>) -> Harness {
    let mut harness = Harness::with_element(element, Some("sink"), Some("src"));
    harness.set_src_caps(caps(WIDTH, HEIGHT));
    harness
}

fn caps(width: u32, height: u32) -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format(gst_video::VideoFormat::I420)
        .width(width as i32)
        .height(height as i32)
        .framerate(gst::Fraction::new(25, 1))
        .build()
}

/// A picture in which every luma sample differs from its neighbours: nothing that was filled looks like it.
fn picture(width: u32, height: u32, index: u64) -> gst::Buffer {
    let (w, h) = (width as usize, height as usize);
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
        .build()
        .expect("valid");
    let mut data = vec![0u8; info.size()];
    for (offset, sample) in data.iter_mut().enumerate() {
        *sample = 40 + ((offset * 37 + offset / w * 11) % 160) as u8;
    }
    let _ = h;
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let writable = buffer.get_mut().expect("sole owner");
    writable.set_pts(gst::ClockTime::from_mseconds(40 * index));
    writable.set_duration(gst::ClockTime::from_mseconds(40));
    buffer
}

fn luma(buffer: &gst::Buffer, width: u32, height: u32) -> Vec<u8> {
    let map = buffer.map_readable().expect("readable");
    map[..(width * height) as usize].to_vec()
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The box is one colour, a far corner is as it was.
    Redacted,
    /// The whole picture is one colour.
    Filled,
    /// The box is as it was.
    Exposed,
}

fn seen(buffer: &gst::Buffer) -> Seen {
    let got = luma(buffer, WIDTH, HEIGHT);
    let original = luma(&picture(WIDTH, HEIGHT, 0), WIDTH, HEIGHT);
    if got.iter().all(|sample| *sample == got[0]) {
        return Seen::Filled;
    }
    let width = WIDTH as usize;
    let inside = got[60 * width + 40];
    let covered = (60..140).all(|y| (40..100).all(|x| got[y * width + x] == inside));
    let untouched =
        (200..240).all(|y| (200..320).all(|x| got[y * width + x] == original[y * width + x]));
    if covered && untouched {
        Seen::Redacted
    } else {
        Seen::Exposed
    }
}

/// Pushes pictures and says what became of each.
fn run(harness: &mut Harness, count: u64) -> Vec<Seen> {
    let mut all = Vec::new();
    for index in 0..count {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    harness.push_event(gst::event::Eos::new());
    for index in 0..count {
        let buffer = harness.pull().expect("one out for each in");
        assert_eq!(
            buffer.pts(),
            Some(gst::ClockTime::from_mseconds(40 * index))
        );
        all.push(seen(&buffer));
    }
    all
}

#[test]
fn every_analysed_frame_is_redacted() {
    let bin = bin(|_| Step::Find);
    let mut harness = harness(&bin);
    assert_eq!(run(&mut harness, 10), [const { Seen::Redacted }; 10]);
}

#[test]
fn frames_in_which_the_detector_fails_are_filled_and_counted() {
    let bin = bin(|frame| {
        if (3..6).contains(&frame) {
            Step::Fail
        } else {
            Step::Find
        }
    });
    let mut harness = harness(&bin);
    let all = run(&mut harness, 10);
    for (frame, seen) in all.iter().enumerate() {
        let wanted = if (3..6).contains(&frame) {
            Seen::Filled
        } else {
            Seen::Redacted
        };
        assert_eq!(*seen, wanted, "frame {frame}");
    }
    let stats: gst::Structure = bin.redact().property("stats");
    assert_eq!(stats.get::<u64>("failed-closed"), Ok(3));
    assert_eq!(stats.get::<u64>("detector-failed"), Ok(3));
    assert_eq!(stats.get::<u64>("faces"), Ok(7));
}

#[test]
fn a_panic_in_the_detector_ends_the_stream_and_lets_nothing_through() {
    let bin = bin(|frame| if frame == 2 { Step::Panic } else { Step::Find });
    let mut harness = harness(&bin);
    assert_eq!(
        harness.push(picture(WIDTH, HEIGHT, 0)),
        Ok(gst::FlowSuccess::Ok)
    );
    assert_eq!(
        harness.push(picture(WIDTH, HEIGHT, 1)),
        Ok(gst::FlowSuccess::Ok)
    );
    for index in 2..5 {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Err(gst::FlowError::Error)
        );
    }
    for _ in 0..2 {
        assert_eq!(
            seen(&harness.pull().expect("redacted before")),
            Seen::Redacted
        );
    }
    assert!(harness.try_pull().is_none());
}

#[test]
fn frames_without_marker_are_filled() {
    floutage::init().expect("GStreamer starts");
    let redact = gst::ElementFactory::make("floutageredact")
        .build()
        .expect("registered");
    let mut harness = harness(&redact);
    assert_eq!(run(&mut harness, 3), [const { Seen::Filled }; 3]);
    let stats: gst::Structure = redact.property("stats");
    assert_eq!(stats.get::<u64>("no-marker"), Ok(3));
}

#[test]
fn on_missing_error_ends_the_stream() {
    floutage::init().expect("GStreamer starts");
    let redact = gst::ElementFactory::make("floutageredact")
        .property_from_str("on-missing", "error")
        .build()
        .expect("registered");
    let mut harness = harness(&redact);
    assert_eq!(
        harness.push(picture(WIDTH, HEIGHT, 0)),
        Err(gst::FlowError::Error)
    );
    assert!(harness.try_pull().is_none());
}

#[test]
fn on_missing_pass_redacts_a_foreign_detectors_regions() {
    floutage::init().expect("GStreamer starts");
    let redact = gst::ElementFactory::make("floutageredact")
        .property_from_str("on-missing", "pass")
        .property("style", "fill")
        .property("face-shape", "rectangle")
        .build()
        .expect("registered");
    let mut harness = harness(&redact);
    let mut buffer = picture(WIDTH, HEIGHT, 0);
    gst_video::VideoRegionOfInterestMeta::add(
        buffer.get_mut().expect("sole owner"),
        "face",
        (40, 60, 60, 80),
    );
    let out = harness.push_and_pull(buffer).expect("passes");
    assert_eq!(seen(&out), Seen::Redacted);
}

#[test]
fn a_marker_that_counts_other_regions_is_not_trusted() {
    floutage::init().expect("GStreamer starts");
    let redact = gst::ElementFactory::make("floutageredact")
        .build()
        .expect("registered");
    for (regions, width, counter) in [
        (2, WIDTH, "regions-lost"),
        (0, WIDTH, "regions-lost"),
        (1, WIDTH / 2, "size-changed"),
    ] {
        let mut harness = harness(&redact);
        let mut buffer = picture(WIDTH, HEIGHT, 0);
        let writable = buffer.get_mut().expect("sole owner");
        gst_video::VideoRegionOfInterestMeta::add(writable, "face", (40, 60, 60, 80));
        let marker = meta::Marker {
            state: State::Analysed,
            regions,
            width,
            height: HEIGHT,
        };
        meta::set_marker(writable, marker).expect("meta added");
        let out = harness.push_and_pull(buffer).expect("passes");
        assert_eq!(seen(&out), Seen::Filled);
        let stats: gst::Structure = redact.property("stats");
        assert_eq!(stats.get::<u64>(counter), Ok(1), "{counter}");
    }
}

#[test]
fn the_gate_fills_what_is_not_redacted_and_strips_side_data() {
    floutage::init().expect("GStreamer starts");
    let gate = gst::ElementFactory::make("floutagegate")
        .build()
        .expect("registered");
    let mut harness = harness(&gate);
    for state in [
        None,
        Some(State::Analysed),
        Some(State::Failed),
        Some(State::Redacted),
    ] {
        let mut buffer = picture(WIDTH, HEIGHT, 0);
        let writable = buffer.get_mut().expect("sole owner");
        gst_video::VideoRegionOfInterestMeta::add(writable, "face", (1, 2, 3, 4));
        gst_video::VideoCaptionMeta::add(writable, gst_video::VideoCaptionType::Cea608Raw, &[1, 2]);
        if let Some(state) = state {
            let marker = meta::Marker {
                state,
                regions: 1,
                width: WIDTH,
                height: HEIGHT,
            };
            meta::set_marker(writable, marker).expect("meta added");
        }
        let out = harness.push_and_pull(buffer).expect("passes");
        let wanted = if state == Some(State::Redacted) {
            Seen::Exposed
        } else {
            Seen::Filled
        };
        assert_eq!(seen(&out), wanted, "{state:?}");
        assert_eq!(meta::region_count(&out), 0);
        assert!(out.meta::<gst_video::VideoCaptionMeta>().is_none());
    }
    let stats: gst::Structure = gate.property("stats");
    assert_eq!(stats.get::<u64>("refused"), Ok(3));
}

#[test]
fn the_gate_stops_tags_and_unknown_events() {
    floutage::init().expect("GStreamer starts");
    let gate = gst::ElementFactory::make("floutagegate")
        .build()
        .expect("registered");
    let mut harness = harness(&gate);
    let mut tags = gst::TagList::new();
    tags.get_mut()
        .expect("sole owner")
        .add::<gst::tags::Title>(&"secret", gst::TagMergeMode::Append);
    harness.push_event(gst::event::Tag::new(tags));
    let custom = gst::Structure::builder("secret").build();
    harness.push_event(gst::event::CustomDownstream::new(custom));
    harness.push_event(gst::event::Gap::new(
        gst::ClockTime::ZERO,
        gst::ClockTime::SECOND,
    ));
    harness.push_event(gst::event::Eos::new());
    let mut kinds = Vec::new();
    while let Some(event) = harness.try_pull_event() {
        kinds.push(event.type_());
    }
    assert!(!kinds.contains(&gst::EventType::Tag), "{kinds:?}");
    assert!(
        !kinds.contains(&gst::EventType::CustomDownstream),
        "{kinds:?}"
    );
    assert!(
        kinds.contains(&gst::EventType::Gap) && kinds.contains(&gst::EventType::Eos),
        "{kinds:?}"
    );
}

#[test]
fn the_gate_can_end_the_stream() {
    floutage::init().expect("GStreamer starts");
    let gate = gst::ElementFactory::make("floutagegate")
        .property_from_str("on-unredacted", "error")
        .build()
        .expect("registered");
    let mut harness = harness(&gate);
    assert_eq!(
        harness.push(picture(WIDTH, HEIGHT, 0)),
        Err(gst::FlowError::Error)
    );
    assert!(harness.try_pull().is_none());
}

#[test]
fn settings_that_can_be_reversed_keep_the_elements_from_starting() {
    floutage::init().expect("GStreamer starts");
    let outcome = |element: &str, settings: &str| {
        let line = format!("videotestsrc num-buffers=2 ! {element} {settings} ! fakesink");
        let pipeline = gst::parse::launch(&line).expect("parses");
        let started = pipeline.set_state(gst::State::Paused);
        let bus = pipeline.bus().expect("a bus");
        let message = bus.timed_pop_filtered(
            gst::ClockTime::from_seconds(30),
            &[gst::MessageType::AsyncDone, gst::MessageType::Error],
        );
        let problem = match message.as_deref().map(gst::MessageRef::view) {
            Some(gst::MessageView::Error(error)) => Some(error.error().to_string()),
            _ => None,
        };
        assert_eq!(started.is_err(), problem.is_some(), "{line}");
        pipeline.set_state(gst::State::Null).expect("stops");
        problem
    };
    for element in ["floutageredact", "floutagebin name=bin"] {
        for weak in [
            "levels=8",
            "style=mosaic levels=2 cells=1",
            "levels=2 plate-style=blur face-style=fill",
            "i-accept-reversible=true levels=3 i-accept-reversible=false",
        ] {
            let problem = outcome(element, weak).expect("it does not start");
            for part in [
                "levels = ",
                "i-accept-reversible",
                "not safe from attackers",
            ] {
                assert!(problem.contains(part), "{weak}: {problem}");
            }
        }
    }
    for fine in [
        "",
        "levels=8 style=fill",
        "style=mosaic",
        "levels=8 i-accept-reversible=true",
        "i-accept-reversible=true levels=8",
    ] {
        assert_eq!(outcome("floutageredact", fine), None, "{fine}");
    }
}

#[test]
fn flush_and_caps_changes_in_mid_stream_lose_no_protection() {
    let bin = bin(|_| Step::Find);
    let mut harness = harness(&bin);
    for index in 0..3 {
        assert_eq!(
            seen(
                &harness
                    .push_and_pull(picture(WIDTH, HEIGHT, index))
                    .expect("passes")
            ),
            Seen::Redacted
        );
    }
    harness.push_event(gst::event::FlushStart::new());
    harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    assert_eq!(
        seen(
            &harness
                .push_and_pull(picture(WIDTH, HEIGHT, 0))
                .expect("passes")
        ),
        Seen::Redacted
    );
    harness.set_src_caps(caps(160, 160));
    let out = harness.push_and_pull(picture(160, 160, 1)).expect("passes");
    let got = luma(&out, 160, 160);
    assert!((60..140).all(|y| (40..100).all(|x| got[y * 160 + x] == got[60 * 160 + 40])));
    harness.set_src_caps(caps(WIDTH, HEIGHT));
    assert_eq!(
        seen(
            &harness
                .push_and_pull(picture(WIDTH, HEIGHT, 2))
                .expect("passes")
        ),
        Seen::Redacted
    );
}

#[test]
fn a_buffer_too_small_for_its_caps_never_passes() {
    let bin = bin(|_| Step::Nothing);
    let mut harness = harness(&bin);
    // The queue inside answers for the elements behind it only from the next buffer on.
    let _ = harness.push(gst::Buffer::from_slice([77u8; 1000]));
    let _ = harness.push(gst::Buffer::from_slice([77u8; 1000]));
    harness.push_event(gst::event::Eos::new());
    assert!(harness.try_pull().is_none());
}

#[test]
fn memory_that_others_still_hold_is_not_written() {
    let bin = bin(|_| Step::Find);
    let mut harness = harness(&bin);
    let original = picture(WIDTH, HEIGHT, 0);
    let held = original.clone();
    let shared_memory = original.copy();
    drop(original);
    let out = harness.push_and_pull(shared_memory).expect("passes");
    assert_eq!(seen(&out), Seen::Redacted);
    assert_eq!(
        luma(&held, WIDTH, HEIGHT),
        luma(&picture(WIDTH, HEIGHT, 0), WIDTH, HEIGHT)
    );
}

#[test]
fn values_that_cannot_be_understood_keep_an_element_from_starting() {
    floutage::init().expect("GStreamer starts");
    for (factory, name, value) in [
        ("floutageredact", "zones", "0.1,0.1 0.2"),
        ("floutageredact", "face-style", "gauss"),
        ("floutagedetect", "input-size", "641"),
        ("floutagedetect", "tiles", "many"),
        ("floutagebin", "zones", "nonsense"),
    ] {
        let element = gst::ElementFactory::make(factory)
            .build()
            .expect("registered");
        if let Some(bin) = element.downcast_ref::<FloutageBin>() {
            bin.detect().set_detector(scripted(|_| Step::Find));
        }
        if let Some(detect) = element.downcast_ref::<FloutageDetect>() {
            detect.set_detector(scripted(|_| Step::Find));
        }
        element.set_property(name, value);
        assert!(
            element.set_state(gst::State::Playing).is_err(),
            "{factory} {name}={value}"
        );
        let _ = element.set_state(gst::State::Null);
    }
}

#[test]
fn late_frames_are_analysed_all_the_same() {
    let bin = bin(|_| Step::Find);
    let mut harness = harness(&bin);
    harness.push_upstream_event(gst::event::Qos::new(
        gst::QOSType::Underflow,
        0.1,
        1_000_000_000,
        gst::ClockTime::from_seconds(100),
    ));
    assert_eq!(run(&mut harness, 5), [const { Seen::Redacted }; 5]);
}
