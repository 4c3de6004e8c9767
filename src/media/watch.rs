//! Frames of a file as the redactor gets them, for those who look and write nothing.

use std::path::Path;

use gst::prelude::*;
use gst_video::prelude::*;

use super::pipeline::{Pipeline, Plan, Tracking};
use super::report::Stop;
use super::run::run;
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

/// Calls `each` for every frame with the regions that the redactor gets and the picture's luma, before redaction.
///
/// Errors: those of [`super::video::redact_video`] that concern reading and detecting.
pub(crate) fn watch(
    input: &Path,
    detector: SharedDetector,
    settings: &redact::Settings,
    tracking: Tracking,
    stop: &Stop,
    each: impl Fn(&[MarkedRegion], &Luma<'_>) + Send + Sync + 'static,
) -> Result<()> {
    let plan = Plan::unencoded(detector, settings, tracking);
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
    run(&input.display().to_string(), &pipeline, stop, &mut |_| {})?;
    Ok(())
}
