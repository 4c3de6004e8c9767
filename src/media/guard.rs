//! Callbacks that run on GStreamer's threads.
//!
//! Invariant: an error or a panic in a callback ends the pipeline with an error, never the process, and what the
//! callback was given does not pass.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;

use crate::error::{Error, Result};

/// Ends one pipeline when a callback fails, and keeps the first failure with its context.
pub struct Guard {
    input: String,
    pipeline: glib::WeakRef<gst::Pipeline>,
    failure: Mutex<Option<Error>>,
}

impl Guard {
    /// A guard of `pipeline`, which reads `input`.
    pub fn new(input: String, pipeline: &gst::Pipeline) -> Arc<Self> {
        Arc::new(Self {
            input,
            pipeline: pipeline.downgrade(),
            failure: Mutex::new(None),
        })
    }

    /// The input's name, for errors.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The pipeline, while it exists.
    pub fn pipeline(&self) -> Option<gst::Pipeline> {
        self.pipeline.upgrade()
    }

    /// Ends the pipeline with `error`; the first one counts.
    pub fn fail(&self, error: Error) {
        let text = error.to_string();
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        if let Some(pipeline) = self.pipeline() {
            gst::element_error!(pipeline, gst::StreamError::Failed, ["{text}"]);
        }
    }

    /// The first failure noted.
    pub fn take_failure(&self) -> Option<Error> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Runs `work`; None when it failed.
    pub fn run<T>(&self, work: impl FnOnce() -> Result<T>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(Error::media(
                &self.input,
                "an internal error stopped the work; please report it",
            )),
        }
        None
    }

    /// Adds a probe of `mask` to `pad`. What it fails on is dropped.
    pub fn probe(
        self: &Arc<Self>,
        pad: &gst::Pad,
        mask: gst::PadProbeType,
        work: impl Fn(&gst::Pad, &mut gst::PadProbeInfo<'_>) -> Result<gst::PadProbeReturn>
        + Send
        + Sync
        + 'static,
    ) {
        let guard = self.clone();
        pad.add_probe(mask, move |pad, info| {
            guard.run(|| work(pad, info)).unwrap_or(match info.data {
                // Not Drop: see `audio::drop_tags`.
                Some(
                    gst::PadProbeData::Buffer(_)
                    | gst::PadProbeData::BufferList(_)
                    | gst::PadProbeData::Event(_),
                ) => gst::PadProbeReturn::Handled,
                _ => gst::PadProbeReturn::Ok,
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a pipeline with a probe that does `work` at its third buffer; returns what came out behind it, and
    /// whether it ended with an error.
    fn outcome(work: fn() -> Result<gst::PadProbeReturn>) -> (usize, bool, Option<Error>) {
        gst::init().unwrap();
        let pipeline = gst::parse::launch("fakesrc num-buffers=5 ! identity name=it ! fakesink")
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let guard = Guard::new("clip".into(), &pipeline);
        let pad = pipeline.by_name("it").unwrap().static_pad("src").unwrap();
        let seen = std::sync::atomic::AtomicUsize::new(0);
        guard.probe(&pad, gst::PadProbeType::BUFFER, move |_, _| {
            if seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                return work();
            }
            Ok(gst::PadProbeReturn::Ok)
        });
        let passed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = passed.clone();
        pad.peer()
            .unwrap()
            .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                gst::PadProbeReturn::Ok
            });
        pipeline.set_state(gst::State::Playing).unwrap();
        let message = pipeline
            .bus()
            .unwrap()
            .timed_pop_filtered(
                gst::ClockTime::from_seconds(20),
                &[gst::MessageType::Eos, gst::MessageType::Error],
            )
            .expect("it ends");
        let failed = message.type_() == gst::MessageType::Error;
        pipeline.set_state(gst::State::Null).unwrap();
        (
            passed.load(std::sync::atomic::Ordering::SeqCst),
            failed,
            guard.take_failure(),
        )
    }

    #[test]
    fn a_panic_or_error_in_a_probe_ends_the_pipeline_and_lets_nothing_pass() {
        let (passed, failed, error) = outcome(|| panic!("a test's own"));
        assert!(failed && passed <= 4, "{passed} passed");
        let error = error.unwrap().to_string();
        assert!(
            error.contains("clip") && error.contains("internal error"),
            "{error}"
        );
        let (_, failed, error) = outcome(|| Err(Error::Interrupted));
        assert!(failed && matches!(error, Some(Error::Interrupted)));
        let (passed, failed, error) = outcome(|| Ok(gst::PadProbeReturn::Ok));
        assert!(passed == 5 && !failed && error.is_none());
    }
}
