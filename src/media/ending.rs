//! How long the last picture is shown: what a player needs so as not to leave it out.
//!
//! Parsers guess durations from the coded frame rate, which says nothing where the rate varies. MP4 states the
//! length of the whole track, and players cut what lies behind it. And what becomes of a video without pictures.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::counters::Counters;
use super::encode::Container;
use super::guard::Guard;

/// Gives the encoded pictures that leave `pad` for the muxer of `container` durations that end the track with the
/// last decoded picture.
///
/// Muxers of MP4 use the duration of the last picture in coded order only, counted in decoding time: it becomes
/// what is missing until the end. Matroska's blocks get a duration where it is known, which is at the end.
pub fn keep_end(pad: &gst::Pad, container: Container, counters: Arc<Counters>, guard: &Arc<Guard>) {
    let first = Mutex::new(None);
    guard.probe(pad, gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer_mut() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let Some(pts) = buffer.pts() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let dts = buffer.dts().unwrap_or(pts);
        let (first_pts, first_dts) = *first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((pts, dts));
        let time = |counter: &std::sync::atomic::AtomicU64| {
            gst::ClockTime::from_nseconds(counter.load(Ordering::Relaxed))
        };
        let (start, last, end) = (
            time(&counters.start),
            time(&counters.last),
            time(&counters.end),
        );
        let length = end.saturating_sub(last);
        let duration = match container {
            Container::Mp4 | Container::Mov => {
                let done = dts.saturating_sub(first_dts);
                let missing = end.saturating_sub(start).saturating_sub(done);
                // Not longer than until the end of this picture, were it the last one shown.
                let most = length + pts.saturating_sub(dts);
                Some(missing.min(most))
            }
            Container::Mkv | Container::WebM if has_rate(pad) => {
                return Ok(gst::PadProbeReturn::Ok);
            }
            Container::Mkv | Container::WebM => {
                let is_last = pts.saturating_sub(first_pts) == last.saturating_sub(start);
                is_last.then_some(length)
            }
        };
        let duration = duration.filter(|duration| !duration.is_zero());
        if duration.is_some() || !has_rate(pad) {
            buffer.make_mut().set_duration(duration);
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// Keeps the end of a video without a single encoded picture from the muxer behind `pad`, and tells the pipeline of it.
///
/// There is nothing to write. Such an end comes after an encoder's refusal too, while the pipeline is being stopped, and MP4's
/// muxer would begin the file then and complain that it has no caps.
pub fn end_without_pictures(pad: &gst::Pad, counters: Arc<Counters>, guard: &Arc<Guard>) {
    let own = guard.clone();
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let ends = info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos);
        if !ends || counters.encoded.load(Ordering::Relaxed) > 0 {
            return Ok(gst::PadProbeReturn::Ok);
        }
        if let Some(pipeline) = own.pipeline() {
            let message = gst::message::Eos::builder().src(&pipeline).build();
            // A bus that takes no more messages belongs to a pipeline that is stopped.
            let _ = pipeline.post_message(message);
        }
        Ok(gst::PadProbeReturn::Handled)
    });
}

/// True when the caps on `pad` state a frame rate.
fn has_rate(pad: &gst::Pad) -> bool {
    pad.current_caps()
        .and_then(|caps| caps.structure(0)?.get::<gst::Fraction>("framerate").ok())
        .is_some_and(|rate| rate.numer() > 0)
}
