//! Real clips with a real model: no face that a detector finds in the original is found again in the output, by the
//! same detector at a lower threshold. Needs the development files of ../shared; skipped without them.

mod common;

use std::path::Path;
use std::process::Command;

use floutage::detect::{Class, Detection, Detector, DetectorSettings, OnnxDetector, open};
use floutage::frame::{Colour, Frame, PixelFormat};
use floutage::geometry::BBox;

/// Threshold of the redaction, and the lower one of the search in its output.
const REDACTED_AT: f32 = 0.4;
const SEARCHED_AT: f32 = 0.25;

fn detector(model: &Path, threshold: f32) -> OnnxDetector {
    open(&DetectorSettings {
        models: vec![model.display().to_string()],
        face_threshold: Some(threshold),
        ..DetectorSettings::default()
    })
    .expect("the model opens")
}

fn detect(detector: &mut OnnxDetector, picture: &common::scene::Picture) -> Vec<Detection> {
    let (chroma_stride, _) = PixelFormat::I420.plane_size(1, picture.width, picture.height);
    let frame = Frame::new(
        PixelFormat::I420,
        picture.width,
        picture.height,
        Colour::default(),
        &[picture.plane(0), picture.plane(1), picture.plane(2)],
        &[picture.width, chroma_stride, chroma_stride],
    )
    .expect("planes fit");
    detector.detect(&frame).expect("detects").0
}

/// Redacts `clip` with `model` and returns (frames, faces found in the original, those found again).
fn search(clip: &Path, model: &Path) -> (usize, usize, usize) {
    let folder = common::temp_dir();
    let output = folder.path().join("redacted.mkv");
    let status = Command::new(env!("CARGO_BIN_EXE_floutage"))
        .args(["redact", "--quiet", "--quality", "10", "--model"])
        .arg(model)
        .args(["--face-threshold", &REDACTED_AT.to_string()])
        .arg(clip)
        .arg("-o")
        .arg(&output)
        .status()
        .expect("the program runs");
    assert!(status.success(), "{}", clip.display());
    let (mut before, mut after) = (detector(model, REDACTED_AT), detector(model, SEARCHED_AT));
    let originals: Vec<Vec<BBox>> = common::look::decode_frames(clip)
        .iter()
        .map(|picture| {
            detect(&mut before, picture)
                .iter()
                .filter(|found| found.class == Class::Face)
                .map(|found| found.bbox)
                .collect()
        })
        .collect();
    let mut again = 0;
    let frames = common::look::each_frame(&output, |index, picture| {
        let found = detect(&mut after, &picture);
        for face in &originals[index] {
            // The same face: a blurred head on shoulders can look like some head to a detector, elsewhere.
            again += usize::from(found.iter().any(|other| other.bbox.iou(face) > 0.5));
        }
    });
    assert_eq!(frames, originals.len(), "{}", clip.display());
    (frames, originals.iter().map(Vec::len).sum(), again)
}

#[test]
fn no_face_is_found_again() {
    let Some(model) = common::shared("models/yunet_n_dynamic.onnx") else {
        return common::report_skip(module_path!(), "no YuNet in ../shared/models");
    };
    let mut clips = 0;
    for name in [
        "clips/asl_milk.mkv",
        "clips/asl_eat.mkv",
        "clips/asl_bird.mkv",
    ] {
        let Some(clip) = common::shared(name) else {
            continue;
        };
        clips += 1;
        let (frames, faces, again) = search(&clip, &model);
        assert!(
            faces * 10 >= frames * 8,
            "{name}: only {faces} faces in {frames} frames"
        );
        assert_eq!(again, 0, "{name}: of {faces} faces found again");
    }
    if clips == 0 {
        common::report_skip(module_path!(), "no clips in ../shared/clips");
    }
}
