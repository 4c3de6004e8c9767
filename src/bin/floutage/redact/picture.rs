//! One picture, and the report on it.

use std::sync::PoisonError;

use anyhow::Result;
use floutage::detect::{Class, SharedDetector};
use floutage::media::picture::{PictureOptions, redact_picture};
use floutage::media::report::{Regions, Report};
use floutage::media::tally::Tally;
use floutage::redact::Redactor;

use super::plan::Job;

/// Redacts the picture of `job`; with `tally` what was found is counted.
pub fn redact(
    job: &Job,
    detector: &SharedDetector,
    redactor: &Redactor,
    options: &PictureOptions,
    tally: bool,
) -> Result<Report> {
    let mut detector = detector.lock().unwrap_or_else(PoisonError::into_inner);
    let done = redact_picture(&job.input, &job.output, &mut *detector, redactor, options)?;
    let elapsed = done.decode
        + done.detect.letterbox
        + done.detect.inference
        + done.detect.decode
        + done.redact
        + done.encode;
    let tally = tally.then(|| {
        let mut tally = Tally::default();
        for found in &done.detections {
            tally.note_confidence(found.class, found.confidence);
            tally.note_height(found.class, found.bbox.height());
            tally.note_track(found.class);
        }
        tally
    });
    Ok(Report {
        tally,
        input: job.input.clone(),
        output: job.output.clone(),
        frames: 1,
        regions: Regions {
            face: done.count(Class::Face) as u64,
            plate: done.count(Class::Plate) as u64,
        },
        frames_damaged: u64::from(done.truncated),
        width: done.width as u32,
        height: done.height as u32,
        elapsed_s: elapsed.as_secs_f64(),
        letterbox_ns: done.detect.letterbox.as_nanos() as u64,
        inference_ns: done.detect.inference.as_nanos() as u64,
        decode_ns: done.detect.decode.as_nanos() as u64,
        redact_ns: done.redact.as_nanos() as u64,
        ..Report::default()
    })
}
