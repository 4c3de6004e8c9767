//! Which elements between `floutagedetect` and `floutageredact` lose what, and that a frame that lost its
//! proof is filled. The table is that of ARCHITECTURE.md.

use std::sync::{Arc, Mutex};

use floutage::detect::{Certainty, Class, Detection, Detector, SharedDetector, StageTimes};
use floutage::frame::Frame;
use floutage::geometry::BBox;
use floutage::gst::detect::FloutageDetect;
use gst::prelude::*;

struct Fixed;

impl Detector for Fixed {
    fn detect(&mut self, _: &Frame<'_>) -> floutage::Result<(Vec<Detection>, StageTimes)> {
        let detection = Detection {
            bbox: BBox::new(40.0, 60.0, 100.0, 140.0),
            class: Class::Face,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        Ok((vec![detection], StageTimes::default()))
    }
}

/// What the redactor did with every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Redacted,
    /// Filled, with the counter that says why.
    Filled(&'static str),
}

/// Runs five frames through detect, `between` and redact.
fn outcome(between: &str) -> Outcome {
    floutage::init().expect("GStreamer starts");
    let description = format!(
        "videotestsrc num-buffers=5 pattern=ball \
         ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
         ! floutagedetect name=detect ! {between} ! floutageredact name=redact style=fill \
         ! floutagegate name=gate ! fakesink sync=false"
    );
    let pipeline = gst::parse::launch(&description)
        .expect("the line parses")
        .downcast::<gst::Pipeline>()
        .expect("a pipeline");
    let detect = pipeline
        .by_name("detect")
        .and_downcast::<FloutageDetect>()
        .expect("named");
    let detector: SharedDetector = Arc::new(Mutex::new(Fixed));
    detect.set_detector(detector);
    pipeline.set_state(gst::State::Playing).expect("starts");
    let bus = pipeline.bus().expect("has a bus");
    let message = bus
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(60),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("ends");
    assert_eq!(
        message.type_(),
        gst::MessageType::Eos,
        "{between}: {message:?}"
    );
    let stats: gst::Structure = pipeline.by_name("redact").expect("named").property("stats");
    let gate: gst::Structure = pipeline.by_name("gate").expect("named").property("stats");
    pipeline.set_state(gst::State::Null).expect("stops");
    assert_eq!(gate.get::<u64>("refused"), Ok(0), "{between}");
    let frames = stats.get::<u64>("frames").expect("counted");
    assert!(frames >= 4, "{between}: {frames} frames");
    if stats.get::<u64>("failed-closed") == Ok(0) {
        assert_eq!(stats.get::<u64>("faces"), Ok(frames), "{between}");
        return Outcome::Redacted;
    }
    for reason in ["no-marker", "regions-lost", "size-changed"] {
        if stats.get::<u64>(reason) == Ok(frames) {
            return Outcome::Filled(reason);
        }
    }
    panic!("{between}: {stats}");
}

#[test]
fn what_each_element_between_loses() {
    use Outcome::{Filled, Redacted};
    let table = [
        ("queue", Redacted),
        ("identity", Redacted),
        ("videorate ! video/x-raw,framerate=25/1", Redacted),
        ("videobalance brightness=0.1", Redacted),
        ("gamma gamma=1.2", Redacted),
        ("videoconvert ! video/x-raw,format=NV12", Redacted),
        (
            "videoscale ! video/x-raw,width=160,height=120",
            Filled("size-changed"),
        ),
        ("videocrop left=16", Filled("size-changed")),
        ("videobox left=-16", Filled("size-changed")),
        ("videoflip video-direction=90r", Filled("size-changed")),
        ("videoflip video-direction=horiz", Filled("regions-lost")),
        ("alpha ! videoconvert", Filled("regions-lost")),
        ("deinterlace mode=interlaced", Filled("no-marker")),
        ("compositor", Filled("no-marker")),
    ];
    let wrong: Vec<String> = table
        .into_iter()
        .map(|(between, wanted)| (between, wanted, outcome(between)))
        .filter(|(_, wanted, seen)| wanted != seen)
        .map(|(between, wanted, seen)| format!("{between}: {wanted:?} expected, {seen:?} seen"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
