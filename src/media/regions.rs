//! What would be redacted in every frame of a file, without writing anything.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::encode::{Codec, Encoding, Preset};
use super::pipeline::{Pipeline, Plan, Target, Tracking};
use super::report::{Progress, Report, Stop};
use super::run::run;
use super::video::summarise;
use super::wiring::pad;
use crate::detect::SharedDetector;
use crate::error::Result;
use crate::gst::meta::{MarkedRegion, regions};
use crate::redact;

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
) -> Result<(Vec<Vec<MarkedRegion>>, Report)> {
    let plan = Plan::Redact {
        detector,
        settings,
        tracking,
        draw: false,
        // Nothing is encoded; VP9 takes pictures of any size.
        encoding: Encoding {
            codec: Codec::Vp9,
            quality: Encoding::DEFAULT_QUALITY,
            preset: Preset::default(),
        },
        keep_audio: false,
        target: Target::Unencoded,
    };
    let pipeline = Pipeline::build(input, &plan)?;
    let frames = Arc::new(Mutex::new(Vec::new()));
    if let Some(bin) = &pipeline.bin {
        let all = frames.clone();
        let entry = pad(bin.redact().upcast_ref(), "sink")?;
        pipeline
            .guard
            .probe(&entry, gst::PadProbeType::BUFFER, move |_, info| {
                if let Some(buffer) = info.buffer() {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(regions(buffer));
                }
                Ok(gst::PadProbeReturn::Ok)
            });
    }
    run(&input.display().to_string(), &pipeline, stop, progress)?;
    let found = std::mem::take(&mut *frames.lock().unwrap_or_else(PoisonError::into_inner));
    let mut report = summarise(&pipeline);
    report.frames = found.len() as u64;
    Ok((found, report))
}
