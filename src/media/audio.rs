//! Audio streams that the user asked to keep: decoded and encoded anew, without tags.
//!
//! Invariant: nothing coded comes along. Headers and packets of every codec have room for bytes that no player plays: only
//! samples that are not coded, or by a law for each alone, are passed on as they are.

use std::sync::Arc;

use gst::prelude::*;

use super::guard::Guard;
use super::wiring::pad;
use crate::error::{Error, Result};

/// The muxers' pads for audio.
pub const AUDIO_PAD: &str = "audio_%u";

/// Elements between a demuxed audio stream and the muxer. Each holds no more than the queue that `queue` makes.
///
/// Errors: [`Error::Media`] about the guard's input when no fitting codec is installed.
pub fn chain(
    guard: &Arc<Guard>,
    caps: &gst::Caps,
    muxer: &gst::Element,
    queue: impl Fn() -> Result<gst::Element>,
) -> Result<Vec<gst::Element>> {
    let input = guard.input();
    let taken =
        taken(muxer).ok_or_else(|| Error::media(input, "the output's container takes no audio"))?;
    if let Some(bare) = bare(caps)
        && bare.can_intersect(&taken)
    {
        let queue = queue()?;
        pass_bare(&pad(&queue, "src")?, guard);
        return Ok(vec![queue]);
    }
    let mut chain = vec![queue()?];
    chain.extend(super::source::decoder(input, caps)?);
    // Encoders write the tags that reach them into their headers.
    let decoded = pad(&chain[chain.len() - 1], "src")?;
    drop_tags(&decoded, guard);
    super::repair::one_timeline(&decoded, guard);
    // Players of MP4 and QuickTime know AAC, not all know Opus.
    let encoder = ["avenc_aac", "opusenc", "vorbisenc"]
        .into_iter()
        .filter_map(gst::ElementFactory::find)
        .find(|factory| factory.can_src_any_caps(&taken))
        .ok_or_else(|| {
            Error::media(
                input,
                "no audio encoder for the output's container is installed; use --audio drop",
            )
        })?;
    for name in ["audioconvert", "audioresample", &encoder.name()] {
        let element = gst::ElementFactory::make(name)
            .build()
            .map_err(|error| Error::media(name, error.to_string()))?;
        chain.push(element);
    }
    Ok(chain)
}

/// Caps of the audio that `muxer` takes.
///
/// Read from the factory: `Element::pad_template` takes over the floating reference of webmmux's own template
/// (GStreamer 1.22) and frees it, after which the muxer has no such pad.
fn taken(muxer: &gst::Element) -> Option<gst::Caps> {
    let factory = muxer.factory()?;
    let template = factory
        .static_pad_templates()
        .into_iter()
        .find(|template| template.name_template() == AUDIO_PAD)?;
    Some(template.caps())
}

/// `caps` of samples that may be passed on as they are, without everything that the muxer does not need; None for sound
/// that is coded.
fn bare(caps: &gst::CapsRef) -> Option<gst::Caps> {
    const NUMBERS: &[&str] = &["format", "layout", "rate", "channels", "channel-mask"];
    let old = caps.structure(0)?;
    let name = old.name().as_str();
    if !matches!(name, "audio/x-raw" | "audio/x-alaw" | "audio/x-mulaw") {
        return None;
    }
    let mut new = gst::Structure::new_empty(name);
    for field in NUMBERS {
        if let Ok(value) = old.value(*field) {
            new.set_value(*field, value.clone());
        }
    }
    Some(gst::Caps::from(new))
}

/// Passes sound on with [`bare`] caps, and leaves out packets that are headers.
///
/// A stream that becomes another one in its middle ends the pipeline.
fn pass_bare(pad: &gst::Pad, guard: &Arc<Guard>) {
    let input = guard.input().to_owned();
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
        {
            let bare = bare(caps.caps()).ok_or_else(|| {
                Error::media(&*input, "its sound changes in its middle; use --audio drop")
            })?;
            let event = gst::event::Caps::builder(&bare)
                .seqnum(event.seqnum())
                .build();
            info.data = Some(gst::PadProbeData::Event(event));
        }
        Ok(gst::PadProbeReturn::Ok)
    });
    guard.probe(pad, gst::PadProbeType::BUFFER, |_, info| {
        let is_header = info
            .buffer()
            .is_some_and(|buffer| buffer.flags().contains(gst::BufferFlags::HEADER));
        Ok(if is_header {
            // Not Drop: see `drop_tags`.
            gst::PadProbeReturn::Handled
        } else {
            gst::PadProbeReturn::Ok
        })
    });
}

/// Keeps everything but sound and its timing from passing `pad`.
pub fn drop_tags(pad: &gst::Pad, guard: &Arc<Guard>) {
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        let unwanted = info.event().is_some_and(|event| {
            matches!(
                event.type_(),
                gst::EventType::Tag
                    | gst::EventType::Toc
                    | gst::EventType::StreamCollection
                    | gst::EventType::CustomDownstream
                    | gst::EventType::CustomDownstreamOob
            )
        });
        Ok(if unwanted {
            // Not Drop: the bindings have freed the event by then, and GStreamer would do so again.
            gst::PadProbeReturn::Handled
        } else {
            gst::PadProbeReturn::Ok
        })
    });
}
