//! Audio streams that the user asked to keep: passed on as they are where the container can hold them, encoded
//! anew where not, and in both cases without tags.

use std::sync::Arc;

use gst::prelude::*;

use super::guard::Guard;
use crate::error::{Error, Result};

/// The muxers' pads for audio.
pub const AUDIO_PAD: &str = "audio_%u";

/// Elements between a demuxed audio stream and the muxer. Each holds no more than the queue that `queue` makes.
///
/// Errors: [`Error::Media`] about `input` when no fitting codec is installed.
pub fn chain(
    input: &str,
    caps: &gst::Caps,
    muxer: &gst::Element,
    queue: impl Fn() -> Result<gst::Element>,
) -> Result<Vec<gst::Element>> {
    let taken =
        taken(muxer).ok_or_else(|| Error::media(input, "the output's container takes no audio"))?;
    if caps.can_intersect(&taken) {
        return Ok(vec![queue()?]);
    }
    let mut chain = vec![queue()?];
    chain.extend(super::source::decoder(input, caps)?);
    let encoder = ["opusenc", "avenc_aac", "vorbisenc"]
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
