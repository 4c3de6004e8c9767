//! A video file in, the redacted video file out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gst::prelude::*;

use super::container::check_whole;
use super::decoder_log::DecoderLog;
use super::encode::{Container, Encoding};
use super::partial::PartialFile;
use super::pipeline::{Finder, Pipeline, Plan, Target, Tracking};
use super::report::{Progress, Report, Stop};
use super::run::{redact_stats, regions, run};
use super::stamps::clear_times;
use super::tally::Counting;
use super::transfer::{Input, linked};
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::redact;
use crate::storage::link::Link;

/// How a video is redacted and written.
#[derive(Clone, Debug)]
pub struct VideoOptions {
    /// How to encode.
    pub encoding: Encoding,
    /// Whether audio streams come along.
    pub keep_audio: bool,
    /// Whether an existing output may be replaced.
    pub overwrite: bool,
    /// How to follow what was found from frame to frame.
    pub tracking: Tracking,
    /// Draw outlines on the redacted picture.
    pub draw: bool,
    /// Fail when a frame was lost, damaged or could not be analysed.
    pub strict: bool,
    /// Count what an account needs: [`Report::tally`].
    pub tally: bool,
    /// Over which an input and an output that are objects are read and written.
    pub link: Option<Arc<Link>>,
}

/// Redacts the video `input` into `output`, which appears only when it is complete. An object is complete when whoever is at
/// the other end of the link says so.
///
/// `progress` is called several times a second.
///
/// Errors: input that cannot be read or is cut off, output that cannot be written, anything that breaks the
/// pipeline, and with `strict` any frame that was lost, damaged or filled. No output is left then.
pub fn redact_video(
    input: &Path,
    output: &Path,
    detector: SharedDetector,
    settings: &redact::Settings,
    options: &VideoOptions,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report> {
    let container = Container::of(output)?;
    container.check(options.encoding.codec)?;
    options.encoding.validate()?;
    let source = Input::named(input, options.link.as_ref())?;
    let object = linked(output, options.link.as_ref())?;
    let damage = check_whole(&source)?;
    let name = input.display().to_string();
    let partial = match object {
        Some(_) => None,
        None => Some(PartialFile::create(output, options.overwrite)?),
    };
    let started = Instant::now();
    let plan = Plan::Redact {
        finder: Finder::Detector(detector),
        settings,
        tracking: options.tracking,
        draw: options.draw,
        encoding: options.encoding,
        keep_audio: options.keep_audio,
        target: match (object, &partial) {
            (Some(link), _) => Target::Object(link, container),
            (None, Some(partial)) => Target::File(partial.path(), container),
            (None, None) => Target::Discard,
        },
    };
    let pipeline = Pipeline::build_for(&source, &plan)?;
    let counting = match &pipeline.bin {
        Some(bin) if options.tally => Some(Counting::start(bin, &pipeline.guard)?),
        _ => None,
    };
    let log = DecoderLog::listen();
    let outcome = run(&name, &pipeline, stop, progress)?;
    let damage = damage.or_else(|| ends_early(&pipeline, outcome.duration));
    let mut report = summarise(&pipeline);
    report.frames_lost = report.frames_lost.max(outcome.lost);
    report.warnings = outcome.warnings;
    if damage.is_some() || (outcome.damaged && report.frames_damaged == 0) {
        report.frames_lost = report.frames_lost.max(missing(&report, outcome.duration));
    }
    report.warnings.extend(damage);
    if let Some(damage) = log.damage() {
        // In how many pictures it shows is not known; in one at least.
        if report.frames_lost == 0 {
            report.frames_damaged = report.frames_damaged.max(1);
        }
        report.warnings.push(damage);
    }
    report.input = input.to_owned();
    report.output = output.to_owned();
    report.tally = counting.map(|counting| counting.tally());
    report.encoder = options.encoding.encoder_name()?.to_owned();
    report.elapsed_s = started.elapsed().as_secs_f64();
    if report.frames == 0 {
        return Err(Error::media(name, "not one picture could be decoded"));
    }
    if options.strict && !report.is_complete() {
        return Err(Error::media(
            name,
            format!(
                "{} frames lost, {} damaged, {} filled because they could not be analysed; no output is kept in strict mode",
                report.frames_lost, report.frames_damaged, report.frames_failed_closed
            ),
        ));
    }
    if let Some(partial) = partial {
        clear_times(partial.path(), container)?;
        partial.finish()?;
    }
    Ok(report)
}

/// What is wrong when no stream lasts until the end that the container states, `duration` nanoseconds, by more than
/// rounding. Of other containers the length is an estimate.
pub(super) fn ends_early(pipeline: &Pipeline, duration: u64) -> Option<String> {
    let reached = pipeline.counters.reached.load(Ordering::Relaxed);
    let states_length = pipeline.counters.states_length.load(Ordering::Relaxed);
    let lacks = duration.saturating_sub(reached);
    if lacks < 500_000_000 + duration / 50 || !states_length {
        return None;
    }
    Some(format!(
        "the container says that it lasts {:.1} s, but its streams end after {:.1} s",
        duration as f64 / 1e9,
        reached as f64 / 1e9
    ))
}

/// About how many frames a damaged file of `duration` nanoseconds lacks after the last that could be read; at least 1.
fn missing(report: &Report, duration: u64) -> u64 {
    if report.duration_s <= 0.0 {
        return 1;
    }
    let rate = report.frames as f64 / report.duration_s;
    let rest = duration as f64 / 1e9 - report.duration_s;
    ((rest * rate).round() as u64).max(1)
}

/// The counters of a finished pipeline.
pub(super) fn summarise(pipeline: &Pipeline) -> Report {
    let counters = &pipeline.counters;
    let packets = counters.packets.load(Ordering::Relaxed);
    let decoded = counters.decoded.load(Ordering::Relaxed);
    let encoded = counters.encoded.load(Ordering::Relaxed);
    let mut report = Report {
        frames: encoded,
        frames_lost: packets.max(decoded).saturating_sub(encoded),
        frames_damaged: counters.damaged.load(Ordering::Relaxed),
        streams_dropped: counters.dropped(),
        audio_kept: counters.audio.load(Ordering::Relaxed),
        width: counters.width.load(Ordering::Relaxed),
        height: counters.height.load(Ordering::Relaxed),
        duration_s: counters.end.load(Ordering::Relaxed) as f64 / 1e9,
        ..Report::default()
    };
    if let Some(bin) = &pipeline.bin {
        let redact = redact_stats(bin);
        let detect: gst::Structure = bin.detect().property("stats");
        let number = |stats: &gst::Structure, name: &str| stats.get::<u64>(name).unwrap_or(0);
        report.regions = regions(&redact);
        report.frames_failed_closed = number(&redact, "failed-closed");
        report.redact_ns = number(&redact, "redact-ns");
        let track: gst::Structure = bin.track().property("stats");
        report.track_ns = number(&track, "track-ns");
        report.letterbox_ns = number(&detect, "letterbox-ns");
        report.inference_ns = number(&detect, "inference-ns");
        report.decode_ns = number(&detect, "decode-ns");
        let gate: gst::Structure = bin
            .property::<gst::Structure>("stats")
            .get("gate")
            .unwrap_or_else(|_| gst::Structure::new_empty("none"));
        report.frames_failed_closed += number(&gate, "refused");
    }
    report
}
