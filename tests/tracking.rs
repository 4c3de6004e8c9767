//! `floutagetrack` in its pipeline: what comes out when the detector misses, and that streams stay in order.

use std::sync::{Arc, Mutex};

use floutage::detect::{Certainty, Class, Detection, Detector, SharedDetector, StageTimes};
use floutage::frame::Frame;
use floutage::geometry::BBox;
use floutage::gst::bin::FloutageBin;
use floutage::{Error, Result};
use gst::prelude::*;
use gst_check::Harness;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 240;
/// No frame at all.
const NONE: [u64; 0] = [];
/// Side of the face in the pictures.
const SIDE: usize = 24;

/// Where the face is in frame `index`: it walks to the right.
fn place(index: u64) -> (usize, usize) {
    (40 + 3 * index as usize, 100)
}

fn truth(index: u64) -> BBox {
    let (x, y) = place(index);
    BBox::from_xywh(x as f32, y as f32, SIDE as f32, SIDE as f32)
}

type Script = fn(u64) -> Option<bool>;

/// Finds the face where `script` says true, nothing where it says false, and fails where it says None. Frames are told
/// apart by their first sample.
struct Scripted(Script);

impl Detector for Scripted {
    fn detect(&mut self, frame: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let index = u64::from(frame.row(0, 0)[0]);
        let found = (self.0)(index).ok_or_else(|| Error::Detection("scripted".into()))?;
        let face = Detection {
            bbox: truth(index),
            class: Class::Face,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        Ok((
            if found { vec![face] } else { Vec::new() },
            StageTimes::default(),
        ))
    }
}

fn bin(look_ahead: u32, hold: u32, script: Script) -> FloutageBin {
    floutage::init().expect("GStreamer starts");
    let bin: FloutageBin = glib::Object::new();
    let detector: SharedDetector = Arc::new(Mutex::new(Scripted(script)));
    bin.detect().set_detector(detector);
    bin.set_property("look-ahead", look_ahead);
    bin.set_property("hold", hold);
    bin.set_property("face-style", "fill");
    bin
}

fn harness(bin: &FloutageBin) -> Harness {
    let mut harness = Harness::with_element(bin, Some("sink"), Some("src"));
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

/// A picture of frame `index`: a textured ground, the face white and black so that no filled area looks like it.
fn picture(width: u32, height: u32, index: u64) -> gst::Buffer {
    let (w, h) = (width as usize, height as usize);
    let mut data = vec![128u8; w * h * 3 / 2];
    for y in 0..h {
        for x in 0..w {
            data[y * w + x] = 60 + ((x * 7 + y * 13) % 40) as u8;
        }
    }
    let (left, top) = place(index);
    for y in top..(top + SIDE).min(h) {
        for x in left..(left + SIDE).min(w) {
            data[y * w + x] = if (x + y) % 2 == 0 { 255 } else { 0 };
        }
    }
    data[0] = index as u8;
    let mut buffer = gst::Buffer::from_mut_slice(data);
    let writable = buffer.get_mut().expect("sole owner");
    writable.set_pts(gst::ClockTime::from_mseconds(40 * index));
    writable.set_duration(gst::ClockTime::from_mseconds(40));
    buffer
}

/// Number of the frame by its time, and how many samples of its face are as they were.
fn look(buffer: &gst::Buffer) -> (u64, usize) {
    let index = buffer.pts().expect("has a time").mseconds() / 40;
    let map = buffer.map_readable().expect("readable");
    let (left, top) = place(index);
    let exposed = (top..top + SIDE)
        .flat_map(|y| (left..left + SIDE).map(move |x| (x, y)))
        .filter(|&(x, y)| {
            let sample = map[y * WIDTH as usize + x];
            sample == if (x + y) % 2 == 0 { 255 } else { 0 }
        })
        .count();
    (index, exposed)
}

/// Pushes frames `range`, ends the stream, and returns the frames in which any sample of the face came out.
fn leaks(harness: &mut Harness, range: std::ops::Range<u64>) -> Vec<u64> {
    for index in range.clone() {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    let mut leaks = Vec::new();
    for wanted in range {
        let buffer = harness.pull().expect("every frame comes out");
        let (index, exposed) = look(&buffer);
        assert_eq!(index, wanted, "order");
        if exposed > 0 {
            leaks.push(index);
        }
    }
    assert_eq!(harness.try_pull(), None);
    leaks
}

#[test]
fn misses_leak_frame_by_frame_and_not_with_a_look_ahead() {
    // Missed at first, twice in between, and at the end.
    let script: Script = |index| Some(matches!(index, 11..20 | 27..30 | 40..50));
    let missed: Vec<u64> = (0..60)
        .filter(|&index| script(index) == Some(false))
        .collect();
    assert_eq!(leaks(&mut harness(&bin(0, 0, script)), 0..60), missed);
    assert_eq!(leaks(&mut harness(&bin(12, 12, script)), 0..60), NONE);
    // A look-ahead alone does not know what comes after the last detection.
    assert_eq!(
        leaks(&mut harness(&bin(12, 0, script)), 0..60),
        (50..60).collect::<Vec<_>>()
    );
}

#[test]
fn frames_that_cannot_be_analysed_are_filled_and_do_not_end_tracks() {
    let script: Script = |index| match index {
        20..25 => None,
        _ => Some(index % 4 == 0),
    };
    let bin = bin(12, 12, script);
    assert_eq!(leaks(&mut harness(&bin), 0..50), NONE);
    let redact: gst::Structure = bin.redact().property("stats");
    assert_eq!(redact.get::<u64>("detector-failed"), Ok(5));
    assert_eq!(redact.get::<u64>("failed-closed"), Ok(5));
}

#[test]
fn left_out_frames_follow_from_the_others_and_are_filled_without_a_tracker() {
    let script: Script = |_| Some(true);
    for every in [2u32, 3, 5] {
        let bin = bin(12, 12, script);
        bin.set_property("detect-every", every);
        assert_eq!(leaks(&mut harness(&bin), 0..60), NONE, "{every}");
        let detect: gst::Structure = bin.detect().property("stats");
        let left_out = detect.get::<u64>("left-out").expect("counted");
        assert_eq!(left_out, 60 - 60_u64.div_ceil(u64::from(every)), "{every}");
    }
    // floutagedetect and floutageredact with nothing between them.
    let line = "floutagedetect name=detect detect-every=2 ! floutageredact name=redact style=fill ! floutagegate";
    let (container, redact) = elements(line, script);
    let mut harness = Harness::with_element(&container, Some("sink"), Some("src"));
    harness.set_src_caps(caps(WIDTH, HEIGHT));
    assert_eq!(leaks(&mut harness, 0..10), NONE);
    let redact: gst::Structure = redact.property("stats");
    assert_eq!(redact.get::<u64>("untracked"), Ok(5));
}

#[test]
fn frames_left_out_beyond_the_look_ahead_are_refused_or_filled() {
    for (every, look_ahead, starts) in [(3, 2, true), (3, 1, false), (1, 0, true)] {
        let bin = bin(look_ahead, 0, |_| Some(true));
        bin.set_property("detect-every", every as u32);
        let started = bin.set_state(gst::State::Paused);
        assert_eq!(started.is_ok(), starts, "{every} {look_ahead}");
        bin.set_state(gst::State::Null).expect("it stops");
    }
    // Elements one by one do not know of each other. The face appears right after an analysed frame.
    for (look_ahead, filled) in [(2, 0), (1, 7)] {
        let line = format!(
            "floutagedetect name=detect detect-every=3 ! floutagetrack look-ahead={look_ahead} hold=0 ! \
             floutageredact name=redact face-style=fill ! floutagegate"
        );
        let (container, redact) = elements(&line, |index| Some(index >= 4));
        let mut harness = Harness::with_element(&container, Some("sink"), Some("src"));
        harness.set_src_caps(caps(WIDTH, HEIGHT));
        for index in 0..22 {
            let pushed = harness.push(picture(WIDTH, HEIGHT, index));
            assert_eq!(pushed, Ok(gst::FlowSuccess::Ok));
        }
        assert!(harness.push_event(gst::event::Eos::new()));
        let open: Vec<u64> = std::iter::from_fn(|| harness.try_pull())
            .map(|buffer| look(&buffer))
            .filter(|(index, exposed)| *index >= 4 && *exposed > 0)
            .map(|(index, _)| index)
            .collect();
        assert_eq!(open, NONE, "{look_ahead}");
        let stats: gst::Structure = redact.property("stats");
        assert_eq!(stats.get::<u64>("untracked"), Ok(filled), "{look_ahead}");
    }
}

/// The elements of `line`, of which one named detect goes by `script`, and the one named redact.
fn elements(line: &str, script: Script) -> (gst::Bin, gst::Element) {
    floutage::init().expect("GStreamer starts");
    let container = gst::parse::bin_from_description(line, true).expect("parses");
    let detector: SharedDetector = Arc::new(Mutex::new(Scripted(script)));
    container
        .by_name("detect")
        .and_downcast::<floutage::gst::detect::FloutageDetect>()
        .expect("named")
        .set_detector(detector);
    let redact = container.by_name("redact").expect("named");
    (container, redact)
}

#[test]
fn a_change_of_view_is_analysed_at_once() {
    let script: Script = |_| Some(true);
    let bin = bin(9, 2, script);
    bin.set_property("detect-every", 10u32);
    let mut harness = harness(&bin);
    for index in 0..15u64 {
        let mut buffer = picture(WIDTH, HEIGHT, index);
        if index >= 6 {
            // Another scene: vertical bars.
            let mut map = buffer
                .get_mut()
                .expect("sole owner")
                .map_writable()
                .expect("writable");
            for at in 1..(WIDTH * HEIGHT) as usize {
                map[at] = if (at % WIDTH as usize / 40).is_multiple_of(2) {
                    30
                } else {
                    220
                };
            }
        }
        assert_eq!(harness.push(buffer), Ok(gst::FlowSuccess::Ok));
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    let detect: gst::Structure = bin.detect().property("stats");
    // Frames 0 and 6, and no other.
    assert_eq!(detect.get::<u64>("left-out"), Ok(13));
    let track: gst::Structure = bin.track().property("stats");
    assert_eq!(track.get::<u64>("cuts"), Ok(1));
}

#[test]
fn latency_is_the_look_ahead_at_the_streams_rate() {
    for (look_ahead, milliseconds) in [(0, 0), (12, 480), (25, 1000)] {
        let bin = bin(look_ahead, 0, |_| Some(true));
        let mut harness = harness(&bin);
        harness.set_upstream_latency(gst::ClockTime::from_mseconds(100));
        // Caps are known with the first buffer.
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, 0)),
            Ok(gst::FlowSuccess::Ok)
        );
        while look_ahead == 0 && harness.try_pull().is_none() {}
        let latency = harness.query_latency().expect("known");
        let queue = gst::ClockTime::ZERO;
        assert_eq!(
            latency,
            gst::ClockTime::from_mseconds(100 + milliseconds) + queue
        );
    }
}

#[test]
fn few_frames_wait_and_all_come_out_at_the_end() {
    let bin = bin(5, 0, |_| Some(false));
    let mut harness = harness(&bin);
    for index in 0..20 {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    for wanted in 0..15 {
        assert_eq!(look(&harness.pull().expect("comes out")).0, wanted);
    }
    let waiting = || {
        let stats: gst::Structure = bin.track().property("stats");
        stats.get::<u64>("waiting").expect("counted")
    };
    assert_eq!(waiting(), 5);
    assert_eq!(harness.try_pull(), None);
    assert!(harness.push_event(gst::event::Eos::new()));
    for wanted in 15..20 {
        assert_eq!(look(&harness.pull().expect("comes out")).0, wanted);
    }
    assert_eq!(waiting(), 0);
}

#[test]
fn a_flush_forgets_what_waits_and_what_was_followed() {
    let bin = bin(6, 12, |index| Some(index < 10));
    let mut harness = harness(&bin);
    for index in 0..10 {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    for _ in 0..4 {
        harness.pull().expect("comes out");
    }
    assert!(harness.push_event(gst::event::FlushStart::new()));
    assert!(harness.push_event(gst::event::FlushStop::new(true)));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    assert!(harness.push_event(gst::event::Segment::new(&segment)));
    for index in 30..40 {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    for wanted in 30..40 {
        assert_eq!(look(&harness.pull().expect("comes out")).0, wanted);
    }
    assert_eq!(harness.try_pull(), None);
    let stats: gst::Structure = bin.track().property("stats");
    // Nothing was held over from before.
    assert_eq!(stats.get::<u64>("held"), Ok(0));
}

#[test]
fn other_caps_in_the_middle_of_a_look_ahead_drain_it_first() {
    let bin = bin(6, 6, |index| Some(index == 5));
    let mut harness = harness(&bin);
    for index in 0..8 {
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    harness.set_src_caps(caps(WIDTH / 2, HEIGHT));
    for index in 8..12 {
        assert_eq!(
            harness.push(picture(WIDTH / 2, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    for wanted in 0..8 {
        let buffer = harness.pull().expect("comes out");
        assert_eq!(buffer.size(), (WIDTH * HEIGHT * 3 / 2) as usize);
        assert_eq!(
            look(&buffer),
            (wanted, 0),
            "redacted before and after frame 5"
        );
    }
    for wanted in 8..12 {
        let buffer = harness.pull().expect("comes out");
        assert_eq!(buffer.size(), (WIDTH / 2 * HEIGHT * 3 / 2) as usize);
        assert_eq!(
            buffer.pts().map(gst::ClockTime::mseconds),
            Some(40 * wanted)
        );
    }
    let stats: gst::Structure = bin.property("stats");
    let gate: gst::Structure = stats.get("gate").expect("there");
    assert_eq!(gate.get::<u64>("refused"), Ok(0));
}

#[test]
fn events_keep_their_place_between_buffers() {
    // Behind the gate custom events do not go: this is about the tracker alone.
    floutage::init().expect("GStreamer starts");
    let element = gst::ElementFactory::make("floutagetrack")
        .property("look-ahead", 4u32)
        .build();
    let element = element.expect("registered");
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    harness.set_src_caps(caps(WIDTH, HEIGHT));
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let mask = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    let pad = element.static_pad("src").expect("a pad");
    pad.add_probe(mask, move |_, info| {
        let mut seen = seen.lock().expect("not poisoned");
        if let Some(buffer) = info.buffer() {
            seen.push(format!(
                "b{}",
                buffer.pts().expect("a time").mseconds() / 40
            ));
        } else if let Some(event) = info.event()
            && let gst::EventView::CustomDownstream(custom) = event.view()
        {
            seen.push(custom.structure().expect("has one").name().to_string());
        }
        gst::PadProbeReturn::Ok
    });
    let custom =
        |name: &str| gst::event::CustomDownstream::new(gst::Structure::builder(name).build());
    let mut wanted = Vec::new();
    for index in 0..12 {
        if index % 3 == 1 {
            let name = format!("e{index}");
            assert!(harness.push_event(custom(&name)));
            wanted.push(name);
        }
        assert_eq!(
            harness.push(picture(WIDTH, HEIGHT, index)),
            Ok(gst::FlowSuccess::Ok)
        );
        wanted.push(format!("b{index}"));
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    assert_eq!(*order.lock().expect("not poisoned"), wanted);
}

#[test]
fn many_frames_of_a_track_show_one_set_of_cells() {
    let bin = bin(3, 3, |_| Some(true));
    bin.set_property("face-style", "mosaic");
    bin.set_property("levels", 8u32);
    bin.set_property("i-accept-reversible", true);
    bin.set_property("face-shape", "rectangle");
    bin.set_property("face-margin", 0f32);
    bin.set_property("feather", 0f32);
    let mut harness = harness(&bin);
    // The face's brightness changes from frame to frame: cells taken anew would, too.
    let frames = 30;
    for index in 0..frames {
        let mut buffer = picture(WIDTH, HEIGHT, index);
        let (left, top) = place(index);
        let mut map = buffer
            .get_mut()
            .expect("sole owner")
            .map_writable()
            .expect("writable");
        for y in top..top + SIDE {
            for x in left..left + SIDE {
                map[y * WIDTH as usize + x] = (16 + (index * 37 + x as u64 * 5) % 220) as u8;
            }
        }
        drop(map);
        assert_eq!(harness.push(buffer), Ok(gst::FlowSuccess::Ok));
    }
    assert!(harness.push_event(gst::event::Eos::new()));
    let mut first = None;
    for index in 0..frames {
        let buffer = harness.pull().expect("comes out");
        let map = buffer.map_readable().expect("readable");
        let (left, top) = place(index);
        let shown: std::collections::BTreeSet<u8> = (0..SIDE * SIDE)
            .map(|at| map[(top + at / SIDE) * WIDTH as usize + left + at % SIDE])
            .collect();
        // Where the place was uncertain the cells are larger, and fewer of them are on the face.
        let first = first.get_or_insert_with(|| shown.clone());
        assert!(shown.is_subset(first), "{index}: {shown:?} {first:?}");
        assert!(first.len() <= 16);
    }
}

#[test]
fn it_works_in_a_launch_line_with_its_settings_and_refuses_bad_ones() {
    floutage::init().expect("GStreamer starts");
    let element = gst::ElementFactory::make("floutagetrack")
        .build()
        .expect("registered");
    assert_eq!(element.property::<u32>("look-ahead"), 12);
    assert_eq!(element.property::<u32>("hold"), 12);
    let line =
        "videotestsrc num-buffers=20 ! floutagetrack look-ahead=7 hold=3 ! fakesink name=sink";
    let pipeline = gst::parse::launch(line)
        .expect("parses")
        .downcast::<gst::Pipeline>()
        .expect("a pipeline");
    pipeline.set_state(gst::State::Playing).expect("starts");
    let message = pipeline.bus().expect("a bus").timed_pop_filtered(
        gst::ClockTime::from_seconds(30),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(message.expect("ends").type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).expect("stops");
}
