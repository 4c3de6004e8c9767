//! How fast the work goes, by a part of one video; nothing is written.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::pipeline::{Finder, Pipeline, Plan, Target};
use super::report::{Report, Stop};
use super::run::run;
use super::video::{VideoOptions, summarise};
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::redact;

/// Redacts and encodes the video `input` for `limit` from its first picture on, and throws the result away. The report
/// counts frames, seconds of video, and seconds of work without the start.
///
/// Errors: those of [`super::video::redact_video`] that concern reading, detecting and encoding.
pub fn sample(
    input: &Path,
    detector: SharedDetector,
    settings: &redact::Settings,
    options: &VideoOptions,
    limit: Duration,
    stop: &Stop,
) -> Result<Report> {
    let plan = Plan::Redact {
        finder: Finder::Detector(detector),
        settings,
        tracking: options.tracking,
        draw: options.draw,
        encoding: options.encoding,
        keep_audio: false,
        target: Target::Discard,
    };
    let pipeline = Pipeline::build(input, &plan)?;
    let enough = Stop::new();
    let mut started: Option<(Instant, u64, u64)> = None;
    let outcome = run(
        &input.display().to_string(),
        &pipeline,
        &enough,
        &mut |_| {
            let frames = pipeline.counters.decoded.load(Ordering::Relaxed);
            let end = pipeline.counters.end.load(Ordering::Relaxed);
            if frames > 0 {
                let (since, ..) = started.get_or_insert((Instant::now(), frames, end));
                if since.elapsed() >= limit {
                    enough.request();
                }
            }
            if stop.requested() {
                enough.request();
            }
        },
    );
    match outcome {
        Err(Error::Interrupted) if !stop.requested() => {}
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    let mut report = summarise(&pipeline);
    let decoded = pipeline.counters.decoded.load(Ordering::Relaxed);
    let end = pipeline.counters.end.load(Ordering::Relaxed);
    // A video that is over at once is all start.
    let (since, frames, before) = started.unwrap_or((Instant::now(), 0, 0));
    report.frames = decoded.saturating_sub(frames);
    report.duration_s = end.saturating_sub(before) as f64 / 1e9;
    report.elapsed_s = since.elapsed().as_secs_f64();
    Ok(report)
}
