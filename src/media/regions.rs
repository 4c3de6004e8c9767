//! What would be redacted in every frame of a file, without writing anything.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_video::prelude::*;

use super::encode::{Codec, Encoding, Preset};
use super::pipeline::{Pipeline, Plan, Target, Tracking};
use super::report::{Progress, Report, Stop};
use super::run::run;
use super::video::summarise;
use super::wiring::pad;
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::gst::meta::{MarkedRegion, regions};
use crate::redact;

/// A plane of luma.
pub(crate) struct Luma<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
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
) -> Result<(Vec<Vec<MarkedRegion>>, Report)> {
    let frames = Arc::new(Mutex::new(Vec::new()));
    let all = frames.clone();
    let note = move |regions: &[MarkedRegion], _: &Luma<'_>| {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(regions.to_vec());
    };
    let mut report = watch_regions(input, detector, settings, tracking, stop, progress, note)?;
    let found = std::mem::take(&mut *frames.lock().unwrap_or_else(PoisonError::into_inner));
    report.frames = found.len() as u64;
    Ok((found, report))
}

/// Calls `each` for every frame with the regions that the redactor gets and the picture's luma, before redaction.
///
/// Errors: as [`find_regions`].
pub(crate) fn watch_regions(
    input: &Path,
    detector: SharedDetector,
    settings: &redact::Settings,
    tracking: Tracking,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
    each: impl Fn(&[MarkedRegion], &Luma<'_>) + Send + Sync + 'static,
) -> Result<Report> {
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
    if let Some(bin) = &pipeline.bin {
        let entry = pad(bin.redact().upcast_ref(), "sink")?;
        let name = input.display().to_string();
        pipeline
            .guard
            .probe(&entry, gst::PadProbeType::BUFFER, move |pad, info| {
                let Some(buffer) = info.buffer() else {
                    return Ok(gst::PadProbeReturn::Ok);
                };
                let unreadable = || Error::media(&*name, "a decoded picture cannot be read");
                let caps = pad.current_caps().ok_or_else(unreadable)?;
                let info = gst_video::VideoInfo::from_caps(&caps).map_err(|_| unreadable())?;
                let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
                    .map_err(|_| unreadable())?;
                let luma = Luma {
                    data: frame.plane_data(0).map_err(|_| unreadable())?,
                    stride: frame.plane_stride()[0].unsigned_abs() as usize,
                    width: frame.width() as usize,
                    height: frame.height() as usize,
                };
                each(&regions(buffer), &luma);
                Ok(gst::PadProbeReturn::Ok)
            });
    }
    run(&input.display().to_string(), &pipeline, stop, progress)?;
    Ok(summarise(&pipeline))
}
