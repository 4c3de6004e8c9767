//! Runs a pipeline to its end, and says what went wrong in words that help.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::encode::Codec;
use super::pipeline::Pipeline;
use super::report::{Progress, Regions, Stop};
use crate::error::{Error, Result};

/// How often progress is told and the stop flag read.
const TICK: Duration = Duration::from_millis(100);
/// A pipeline in which nothing moves for so long is stuck: nothing is read, decoded, encoded or written. The
/// slowest single step, large models on the many tiles of a huge frame, takes a fraction of it.
const STALL: Duration = Duration::from_secs(120);
/// A stopped pipeline that is not over after this time has a thread that will never end.
const STOP: Duration = Duration::from_secs(15);

/// What a finished run says beside the counters.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Pictures that the decoder gave up.
    pub lost: u64,
    /// Length of the input in nanoseconds as its container states it; 0 when not known.
    pub duration: u64,
    /// A demuxer or decoder said that a part of the input could not be read.
    pub damaged: bool,
    /// Warnings posted, without repetitions.
    pub warnings: Vec<String>,
}

/// Stops the pipeline however its run ends.
struct Running<'a>(&'a gst::Pipeline);

impl Running<'_> {
    /// Stops the pipeline; false when a thread of it hangs. Such a pipeline is left behind: waiting for it would
    /// keep the caller from removing the unfinished output.
    fn stop(&self) -> bool {
        let pipeline = self.0.clone();
        let (over, stopped) = mpsc::channel();
        let stopper = std::thread::Builder::new().spawn(move || {
            // To NULL cannot fail in a way that could be mended here.
            let _ = pipeline.set_state(gst::State::Null);
            // Nobody waits any more when it took too long.
            let _ = over.send(());
        });
        match stopper {
            Ok(_) => stopped.recv_timeout(STOP).is_ok(),
            Err(_) => {
                let _ = self.0.set_state(gst::State::Null);
                true
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Notices that nothing moves.
struct Watch {
    moved: u64,
    looked: Instant,
    still: Duration,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            moved: 0,
            looked: now,
            still: Duration::ZERO,
        }
    }

    /// True when the count `moved` has not changed for [`STALL`] of this process's running time: a look long
    /// after the last one, as when the process was suspended, counts for one second.
    fn is_stuck(&mut self, moved: u64, now: Instant) -> bool {
        let passed = now.duration_since(self.looked).min(Duration::from_secs(1));
        self.looked = now;
        if self.moved == moved {
            self.still += passed;
        } else {
            self.moved = moved;
            self.still = Duration::ZERO;
        }
        self.still > STALL
    }
}

/// Runs `pipeline`, made for `input`, to its end.
///
/// Errors: the first failure of any element; [`Error::Interrupted`] when `stop` was requested.
pub fn run(
    input: &str,
    pipeline: &Pipeline,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome> {
    let bus = pipeline
        .pipeline
        .bus()
        .ok_or_else(|| Error::media(input, "the pipeline has no bus"))?;
    let running = Running(&pipeline.pipeline);
    let started = pipeline.pipeline.set_state(gst::State::Playing);
    let mut outcome = Outcome::default();
    let mut dropped: HashMap<String, u64> = HashMap::new();
    let mut watch = Watch::new(Instant::now());
    let mut told = Instant::now();
    loop {
        if stop.requested() {
            return Err(Error::Interrupted);
        }
        let message = bus.timed_pop(gst::ClockTime::from_mseconds(TICK.as_millis() as u64));
        if let Some(message) = message {
            match message.view() {
                gst::MessageView::Eos(_) => break,
                gst::MessageView::Error(error) => {
                    // The messages of what is about to be stopped add nothing.
                    let failure = pipeline.guard.take_failure();
                    return Err(failure.unwrap_or_else(|| explain(input, error)));
                }
                gst::MessageView::Warning(warning) => {
                    let error = warning.error();
                    outcome.damaged |= error.matches(gst::StreamError::Demux)
                        || error.matches(gst::StreamError::Decode);
                    let text = error.to_string();
                    if !outcome.warnings.contains(&text) && outcome.warnings.len() < 20 {
                        outcome.warnings.push(text);
                    }
                }
                gst::MessageView::Qos(qos) => {
                    let (_, count) = qos.stats();
                    let source = message.src().map(|source| source.name().to_string());
                    if let (Some(source), gst::GenericFormattedValue::Buffers(Some(count))) =
                        (source, count)
                    {
                        dropped.insert(source, *count);
                    }
                }
                _ => {}
            }
        } else if started.is_err() {
            return Err(Error::media(input, "the pipeline cannot be started"));
        }
        if outcome.duration == 0 {
            outcome.duration = duration(pipeline).unwrap_or(0);
        }
        let moved = pipeline.counters.moved.load(Ordering::Relaxed);
        if watch.is_stuck(moved, Instant::now()) {
            let decoded = pipeline.counters.decoded.load(Ordering::Relaxed);
            return Err(Error::media(
                input,
                format!(
                    "nothing has moved for {} seconds after {decoded} pictures",
                    STALL.as_secs()
                ),
            ));
        }
        if told.elapsed() >= TICK {
            told = Instant::now();
            progress(&state(pipeline));
        }
    }
    progress(&state(pipeline));
    outcome.duration = duration(pipeline).unwrap_or(outcome.duration);
    if !running.stop() {
        return Err(Error::media(
            input,
            "the pipeline does not come to its end after the last picture",
        ));
    }
    outcome.lost = dropped.values().sum();
    Ok(outcome)
}

fn state(pipeline: &Pipeline) -> Progress {
    let end = pipeline.counters.end.load(Ordering::Relaxed);
    let stats = pipeline.bin.as_ref().map(redact_stats);
    Progress {
        frames: pipeline.counters.decoded.load(Ordering::Relaxed),
        regions: stats.as_deref().map(regions).unwrap_or_default(),
        share: duration(pipeline).map(|duration| (end as f64 / duration as f64).min(1.0)),
    }
}

/// Length of the input in nanoseconds, where it is known.
fn duration(pipeline: &Pipeline) -> Option<u64> {
    pipeline
        .pipeline
        .query_duration::<gst::ClockTime>()
        .map(gst::ClockTime::nseconds)
        .filter(|&duration| duration > 0)
}

/// What the redactor counted.
pub fn redact_stats(bin: &crate::gst::bin::FloutageBin) -> gst::Structure {
    bin.redact().property("stats")
}

/// Regions by class out of the redactor's counters.
pub fn regions(stats: &gst::StructureRef) -> Regions {
    Regions {
        face: stats.get("faces").unwrap_or(0),
        plate: stats.get("plates").unwrap_or(0),
    }
}

/// An element's error in words that name the input and what to do.
fn explain(input: &str, message: &gst::message::Error) -> Error {
    let error = message.error();
    let text = error.message().to_owned();
    let debug = message.debug().unwrap_or_default();
    let element = message
        .src()
        .and_then(|source| source.downcast_ref::<gst::Element>());
    if let Some(refusal) = element.and_then(|element| size_refused(input, element)) {
        return refusal;
    }
    let from_sink = element
        .and_then(gst::Element::factory)
        .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::SINK));
    // The first line names a place in GStreamer's source code, the last one the cause.
    let cause = debug.lines().skip(1).last().unwrap_or_default();
    let problem =
        if error.matches(gst::ResourceError::NoSpaceLeft) || debug.contains("No space left") {
            "the output's disk is full; free some space or write elsewhere".to_owned()
        } else if from_sink {
            format!("the output cannot be written: {text} {cause}")
        } else if error.matches(gst::StreamError::TypeNotFound)
            || error.matches(gst::StreamError::WrongType)
        {
            format!("this is not a video that GStreamer can read: {text}")
        } else if error.matches(gst::CoreError::MissingPlugin)
            || error.matches(gst::StreamError::CodecNotFound)
        {
            format!("a GStreamer plugin is missing: {text}; `floutage doctor` says how to get it")
        } else {
            format!("{text} {cause}")
        };
    Error::media(input, problem.trim_end().to_owned())
}

/// The reason in words when `element` is an encoder that was given pictures of a size it cannot take. It may say so
/// before the first picture, whose size is checked, has come.
fn size_refused(input: &str, element: &gst::Element) -> Option<Error> {
    let codec = Codec::written_by(&element.factory()?.name())?;
    let caps = element.static_pad("sink")?.peer()?.current_caps()?;
    let structure = caps.structure(0)?;
    let side = |name| structure.get::<i32>(name).ok();
    codec
        .check_size(input, side("width")?, side("height")?)
        .err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_still_while_we_look_is_stuck() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut watch = Watch::new(start);
        assert!(!watch.is_stuck(1, at(0)));
        let limit = STALL.as_secs();
        assert!((1..=limit).all(|second| !watch.is_stuck(1, at(second))));
        assert!(watch.is_stuck(1, at(limit + 1)));
        // Moving again.
        assert!(!watch.is_stuck(2, at(limit + 2)));
        // Suspended for a day.
        assert!(!watch.is_stuck(2, at(100_000)));
    }

    #[test]
    fn a_pipeline_with_a_thread_that_hangs_is_left_behind() {
        gst::init().unwrap();
        let pipeline = gst::parse::launch("fakesrc ! fakesink name=sink")
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let (hang, hanging) = mpsc::channel::<()>();
        let (reached, arrived) = mpsc::channel();
        let hanging = std::sync::Mutex::new(hanging);
        let pad = pipeline
            .by_name("sink")
            .unwrap()
            .static_pad("sink")
            .unwrap();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let _ = reached.send(());
            let _ = hanging.lock().unwrap().recv();
            gst::PadProbeReturn::Ok
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        arrived.recv().unwrap();
        let running = Running(&pipeline);
        assert!(!running.stop());
        drop(hang);
        assert!(running.stop());
    }
}
