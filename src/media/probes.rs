//! Probes that count what passes, and look at the first picture.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gst::prelude::*;

use super::encode::Encoding;
use super::pipeline::{Counters, Shared, pad};
use crate::error::{Error, Result};

/// Counts decoded pictures, checks the first one's size against the encoder, and holds it.
pub(super) fn watch_pictures(
    flip: &gst::Element,
    shared: Arc<Shared>,
    encoding: Option<Encoding>,
    size: gst::Element,
) -> Result<()> {
    pad(flip, "src")?.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        shared.guard(|| {
            if let Some(buffer) = info.buffer() {
                // Not at the caps event: a rotation tag can still turn the picture before the first buffer.
                if shared.counters.decoded.load(Ordering::Relaxed) == 0 {
                    note_size(&shared, pad, encoding, &size)?;
                }
                note_picture(&shared.counters, pad, buffer);
            }
            Ok(())
        });
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Counts everything that passes `pad`, pushed or pulled.
pub(super) fn note_moves(pad: &gst::Pad, counters: &Counters) {
    let moved = counters.moved.clone();
    let all = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(
        all | gst::PadProbeType::PUSH | gst::PadProbeType::PULL,
        move |_, _| {
            moved.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
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
    shared: &Shared,
    pad: &gst::Pad,
    encoding: Option<Encoding>,
    size: &gst::Element,
) -> Result<()> {
    let info = pad
        .current_caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
        .ok_or_else(|| {
            Error::media(
                &shared.input,
                "the decoder does not say what its pictures are",
            )
        })?;
    if let Some(encoding) = encoding {
        encoding
            .codec
            .check_size(&shared.input, info.width() as i32, info.height() as i32)?;
    }
    shared.counters.width.store(info.width(), Ordering::Relaxed);
    shared
        .counters
        .height
        .store(info.height(), Ordering::Relaxed);
    let fixed = gst::Caps::builder("video/x-raw")
        .field("width", info.width() as i32)
        .field("height", info.height() as i32)
        .field("pixel-aspect-ratio", info.par())
        .build();
    size.set_property("caps", &fixed);
    Ok(())
}

pub(super) fn count_encoded(encoder: &gst::Element, counters: Arc<Counters>) -> Result<()> {
    pad(encoder, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        counters.encoded.fetch_add(1, Ordering::Relaxed);
        counters.moved.fetch_add(1, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
