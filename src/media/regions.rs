//! What would be redacted in every frame of a file, without writing anything.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::pipeline::{Pipeline, Plan, Tracking};
use super::report::{Progress, Report, Stop};
use super::run::run;
use super::video::summarise;
use super::wiring::pad;
use crate::detect::{Detection, SharedDetector};
use crate::error::Result;
use crate::gst::meta::{self, MarkedRegion, State};
use crate::redact;

/// What was found in one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What the detector said, the doubtful included; None when it left the frame out or failed.
    pub detections: Option<Vec<Detection>>,
    /// What the redactor was given.
    pub regions: Vec<MarkedRegion>,
    /// True when there is no proof that the frame was analysed: the redactor fills it.
    pub filled: bool,
}

/// The regions that the redactor gets, frame by frame, and the counters of the run.
///
/// Errors: those of [`super::video::redact_video`] that concern reading and detecting.
pub fn find_regions(
    input: &Path,
    detector: SharedDetector,
    settings: &redact::Settings,
    tracking: Tracking,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(Vec<Found>, Report)> {
    let plan = Plan::unencoded(detector, settings, tracking);
    let pipeline = Pipeline::build(input, &plan)?;
    let (mut detected, mut redacted) = (Taken::default(), Taken::default());
    if let Some(bin) = &pipeline.bin {
        let end = pad(bin.detect().upcast_ref(), "src")?;
        detected = take(&pipeline, &end, |buffer| {
            let state = meta::marker(buffer).map(|marker| marker.state);
            (state == Some(State::Analysed)).then(|| meta::detections(buffer))
        });
        let entry = pad(bin.redact().upcast_ref(), "sink")?;
        redacted = take(&pipeline, &entry, |buffer| {
            let regions = meta::regions(buffer);
            let proof = meta::marker(buffer).is_some_and(|marker| {
                marker.state == State::Analysed && marker.regions as usize == regions.len()
            });
            Found {
                detections: None,
                regions,
                filled: !proof,
            }
        });
    }
    run(&input.display().to_string(), &pipeline, stop, progress)?;
    let mut found = std::mem::take(&mut *redacted.lock().unwrap_or_else(PoisonError::into_inner));
    let detected = std::mem::take(&mut *detected.lock().unwrap_or_else(PoisonError::into_inner));
    // The tracker keeps every frame and their order.
    for (frame, detections) in found.iter_mut().zip(detected) {
        frame.detections = detections;
    }
    let mut report = summarise(&pipeline);
    report.frames = found.len() as u64;
    Ok((found, report))
}

/// What was read off each buffer, in order.
type Taken<T> = Arc<Mutex<Vec<T>>>;

/// Reads something off every buffer that passes `pad`.
fn take<T: Send + 'static>(
    pipeline: &Pipeline,
    pad: &gst::Pad,
    read: impl Fn(&gst::BufferRef) -> T + Send + Sync + 'static,
) -> Taken<T> {
    let all = Taken::default();
    let kept = all.clone();
    pipeline
        .guard
        .probe(pad, gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(buffer) = info.buffer() {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push(read(buffer));
            }
            Ok(gst::PadProbeReturn::Ok)
        });
    all
}
