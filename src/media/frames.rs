//! The pictures of a file, one after the other, for looking at them: nothing is redacted, encoded or written.
//!
//! Invariant: two pictures wait at most; who stops reading stops the decoder.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use gst::prelude::*;
use gst_video::VideoFrameRef;

use super::pipeline::{Measure, Pipeline, Plan};
use super::report::Stop;
use super::run::run;
use super::wiring::pad;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::gst::video;

/// Pictures that wait to be read.
const WAITING: usize = 2;

/// What was read off each picture of a file, in order; ends with an error when the file cannot be read to its end.
pub struct Frames<T> {
    name: String,
    pictures: Option<Receiver<T>>,
    decoding: Option<JoinHandle<Result<()>>>,
}

impl<T: Send + 'static> Frames<T> {
    /// Starts to decode `input`, upright and as I420 or NV12, and has `read` look at each picture.
    ///
    /// Errors: [`Error::Media`] when an element is missing.
    pub fn of(
        input: &Path,
        stop: &'static Stop,
        read: impl Fn(&Frame<'_>) -> T + Send + Sync + 'static,
    ) -> Result<Self> {
        let name = input.display().to_string();
        let pipeline = Pipeline::build(input, &Plan::Measure(Measure::Decode))?;
        let end = pipeline
            .pipeline
            .iterate_sinks()
            .into_iter()
            .find_map(Result::ok)
            .ok_or_else(|| Error::media(&name, "the pipeline has no end"))?;
        let (sender, pictures) = sync_channel(WAITING);
        let sender = Mutex::new(sender);
        let input = name.clone();
        pipeline.guard.probe(
            &pad(&end, "sink")?,
            gst::PadProbeType::BUFFER,
            move |pad, info| {
                let Some(buffer) = info.buffer() else {
                    return Ok(gst::PadProbeReturn::Ok);
                };
                let caps = pad.current_caps();
                let known = caps.and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
                let unreadable = || Error::media(&input, "a decoded picture cannot be read");
                let known = known.ok_or_else(unreadable)?;
                let mapped = VideoFrameRef::from_buffer_ref_readable(buffer, &known)
                    .map_err(|_| unreadable())?;
                let taken = read(&video::frame(&mapped)?);
                let sender = sender.lock().map_err(|_| unreadable())?;
                // Nobody reads any more: an end, not a failure.
                sender.send(taken).map_err(|_| Error::Interrupted)?;
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        let input = name.clone();
        let decoding = std::thread::Builder::new()
            .spawn(move || run(&input, &pipeline, stop, &mut |_| {}).map(|_| ()))
            .map_err(|error| Error::media(&name, format!("no thread could be started: {error}")))?;
        Ok(Self {
            name,
            pictures: Some(pictures),
            decoding: Some(decoding),
        })
    }
}

impl<T> Iterator for Frames<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Ok(taken) = self.pictures.as_ref()?.recv() {
            return Some(Ok(taken));
        }
        self.pictures = None;
        match self.decoding.take()?.join() {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => Some(Err(Error::media(
                &self.name,
                "decoding broke off; please report it",
            ))),
        }
    }
}

impl<T> Drop for Frames<T> {
    fn drop(&mut self) {
        self.pictures = None;
        if let Some(decoding) = self.decoding.take() {
            // How it ends is of no interest any more.
            let _ = decoding.join();
        }
    }
}
