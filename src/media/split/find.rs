//! What is in the frames of one chunk. Nothing is redacted, encoded or written.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use serde::{Deserialize, Serialize};

use super::wire::Noted;
use super::{Chunk, Split};
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::gst::meta::{self, State};
use crate::gst::video::nominal_length;
use crate::media::decoder_log::DecoderLog;
use crate::media::pipeline::{Pipeline, Plan};
use crate::media::report::{Progress, Report, Stop};
use crate::media::run::run;
use crate::media::streams::Reading;
use crate::media::transfer::Input;
use crate::media::window::Window;
use crate::media::wiring::pad;
use crate::track::scene::{Change, Thumbnail};

/// What was found in the frames of a chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    pub(super) frames: Vec<Noted>,
    /// The first frame that shows something, with its number, and the last one: chunks are compared by them.
    pub(super) first: Option<(usize, Thumbnail)>,
    pub(super) last: Option<Thumbnail>,
    pub(super) heads: Vec<String>,
    pub(super) after: Option<String>,
    /// The pictures as the detector got them.
    pub(super) caps: String,
    pub(super) size: (usize, usize),
    /// Nominal length of a frame in nanoseconds.
    pub(super) length: u64,
    /// What it took.
    pub report: Report,
}

#[derive(Default)]
struct Collected {
    times: Vec<(u64, Option<Vec<crate::detect::Detection>>)>,
    caps: Option<gst::Caps>,
    others: bool,
}

/// Finds what is in the frames of `chunk` of the video `input`.
///
/// Errors: those of [`crate::media::video::redact_video`] that concern reading and detecting.
pub fn find(
    input: &Path,
    chunk: &Chunk,
    detector: SharedDetector,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Split<Found>> {
    let name = input.display().to_string();
    let window = Window::new(chunk, true);
    let pipeline = Pipeline::build_part(
        &Input::file(input),
        &Plan::Find(detector),
        Reading::Chunk(window.clone()),
    )?;
    let detect = pipeline
        .detect
        .clone()
        .ok_or_else(|| Error::media(&name, "the pipeline has no detector"))?;
    let collected = Arc::new(Mutex::new(Collected::default()));
    let all = collected.clone();
    pipeline.guard.probe(
        &pad(detect.upcast_ref(), "src")?,
        gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM,
        move |_, info| {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(event) = info.event()
                && let gst::EventView::Caps(caps) = event.view()
            {
                let caps = caps.caps_owned();
                // Before the first picture a rotation may still turn it.
                let others = all.caps.as_ref().is_some_and(|before| *before != caps);
                all.others |= others && !all.times.is_empty();
                all.caps = Some(caps);
            }
            if let Some(buffer) = info.buffer() {
                let time = buffer.pts().map_or(0, gst::ClockTime::nseconds);
                let state = meta::marker(buffer).map(|marker| marker.state);
                let seen = (state == Some(State::Analysed)).then(|| meta::detections(buffer));
                all.times.push((time, seen));
            }
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    let log = DecoderLog::listen();
    let outcome = run(&name, &pipeline, stop, progress)?;
    if let Some(damage) = log.damage() {
        // Damage is told when it is redacted as a whole, too; open groups of pictures and gradual refreshes are none.
        let reason = "not every key frame begins what can be decoded without what is before it";
        return Ok(Err(match chunk.number {
            0 => damage,
            _ => reason.into(),
        }));
    }
    if outcome.damaged {
        return Ok(Err("a part of it could not be read".into()));
    }
    if let Err(problem) = window.check() {
        return Ok(Err(problem));
    }
    let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    let collected = std::mem::take(&mut *collected);
    let looked = window.looked();
    if collected.others || collected.times.len() != looked.changes.len() {
        return Ok(Err("its pictures change their form".into()));
    }
    let info = collected
        .caps
        .as_ref()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok());
    let (Some(caps), Some(info)) = (&collected.caps, info) else {
        return Ok(Err("nothing says what its pictures are".into()));
    };
    let stats: gst::Structure = detect.property("stats");
    let number = |name: &str| stats.get::<u64>(name).unwrap_or(0);
    let (caps, length) = (caps.to_string(), nominal_length(&info).nseconds());
    let frames = collected
        .times
        .into_iter()
        .zip(looked.changes)
        .map(|((time, seen), change): (_, Change)| Noted { time, change, seen })
        .collect();
    Ok(Ok(Found {
        frames,
        first: looked.first,
        last: looked.last,
        heads: looked.heads,
        after: looked.after,
        caps,
        size: (info.width() as usize, info.height() as usize),
        length,
        report: Report {
            letterbox_ns: number("letterbox-ns"),
            inference_ns: number("inference-ns"),
            decode_ns: number("decode-ns"),
            ..Report::default()
        },
    }))
}
