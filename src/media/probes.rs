//! Probes that count what passes, and look at the first picture.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gst::prelude::*;

use super::counters::Counters;
use super::encode::Encoding;
use super::guard::Guard;
use super::wiring::pad;
use crate::error::{Error, Result};

/// Counts decoded pictures, checks the first one's size against the encoder, and holds it.
pub fn watch_pictures(
    flip: &gst::Element,
    counters: Arc<Counters>,
    guard: &Arc<Guard>,
    encoding: Option<Encoding>,
    size: gst::Element,
) -> Result<()> {
    let input = guard.input().to_owned();
    guard.probe(
        &pad(flip, "src")?,
        gst::PadProbeType::BUFFER,
        move |pad, info| {
            if let Some(buffer) = info.buffer() {
                // Not at the caps event: a rotation tag can still turn the picture before the first buffer.
                if counters.decoded.load(Ordering::Relaxed) == 0 {
                    note_size(&input, &counters, pad, encoding, &size)?;
                }
                note_picture(&counters, pad, buffer);
            }
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    Ok(())
}

/// Notes until when the packets that pass `pad` last.
pub fn note_end(pad: &gst::Pad, counters: &Arc<Counters>, guard: &Arc<Guard>) {
    let counters = counters.clone();
    guard.probe(pad, gst::PadProbeType::BUFFER, move |pad, info| {
        if let Some(buffer) = info.buffer()
            && let Some(time) = buffer.pts().or(buffer.dts())
            && let Some(segment) = pad.sticky_event::<gst::event::Segment>(0)
            && let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>()
            && let Some(running) = segment.to_running_time(time)
        {
            let end = running + buffer.duration().unwrap_or_default();
            counters
                .reached
                .fetch_max(end.nseconds(), Ordering::Relaxed);
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// Counts everything that passes `pad`, pushed or pulled.
pub fn note_moves(pad: &gst::Pad, counters: &Counters, guard: &Arc<Guard>) {
    let moved = counters.moved.clone();
    let all = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    guard.probe(
        pad,
        all | gst::PadProbeType::PUSH | gst::PadProbeType::PULL,
        move |_, _| {
            moved.fetch_add(1, Ordering::Relaxed);
            Ok(gst::PadProbeReturn::Ok)
        },
    );
}

fn note_picture(counters: &Counters, pad: &gst::Pad, buffer: &gst::BufferRef) {
    let count = counters.decoded.fetch_add(1, Ordering::Relaxed);
    counters.moved.fetch_add(1, Ordering::Relaxed);
    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
        counters.damaged.fetch_add(1, Ordering::Relaxed);
    }
    let segment = pad
        .sticky_event::<gst::event::Segment>(0)
        .and_then(|event| event.segment().downcast_ref::<gst::ClockTime>().cloned());
    if let (Some(segment), Some(pts)) = (segment, buffer.pts())
        && let Some(running) = segment.to_running_time(pts).map(gst::ClockTime::nseconds)
    {
        if count == 0 {
            counters.start.store(running, Ordering::Relaxed);
        }
        let before = counters.last.fetch_max(running, Ordering::Relaxed);
        let length = buffer
            .duration()
            .map_or(running.saturating_sub(before), gst::ClockTime::nseconds);
        counters.end.fetch_max(running + length, Ordering::Relaxed);
    }
}

fn note_size(
    input: &str,
    counters: &Counters,
    pad: &gst::Pad,
    encoding: Option<Encoding>,
    size: &gst::Element,
) -> Result<()> {
    let info = pad
        .current_caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
        .ok_or_else(|| Error::media(input, "the decoder does not say what its pictures are"))?;
    if let Some(encoding) = encoding {
        encoding
            .codec
            .check_size(input, info.width() as i32, info.height() as i32)?;
    }
    counters.width.store(info.width(), Ordering::Relaxed);
    counters.height.store(info.height(), Ordering::Relaxed);
    let fixed = gst::Caps::builder("video/x-raw")
        .field("width", info.width() as i32)
        .field("height", info.height() as i32)
        .field("pixel-aspect-ratio", info.par())
        .build();
    size.set_property("caps", &fixed);
    Ok(())
}

/// Counts what `encoder` gives.
pub fn count_encoded(
    encoder: &gst::Element,
    counters: Arc<Counters>,
    guard: &Arc<Guard>,
) -> Result<()> {
    guard.probe(
        &pad(encoder, "src")?,
        gst::PadProbeType::BUFFER,
        move |_, _| {
            counters.encoded.fetch_add(1, Ordering::Relaxed);
            counters.moved.fetch_add(1, Ordering::Relaxed);
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    Ok(())
}
