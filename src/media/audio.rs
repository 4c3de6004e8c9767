//! Audio streams that the user asked to keep: passed on as they are where their codec's headers hold nothing but
//! numbers and the container can hold them, decoded and encoded anew where not, and in both cases without tags.

use std::sync::Arc;

use gst::prelude::*;

use super::guard::Guard;
use super::wiring::pad;
use crate::error::{Error, Result};

/// The muxers' pads for audio.
pub const AUDIO_PAD: &str = "audio_%u";

/// Bytes of an Opus identification header of one or two channels (RFC 7845, 5.1).
const OPUS_HEAD: usize = 19;
/// Bytes that an AAC AudioSpecificConfig needs, with what says that there is SBR and PS (ISO/IEC 14496-3, 1.6.2.1).
const AAC_CONFIG: usize = 5;

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

/// `caps` of a stream that may be passed on as it is, without everything that the muxer does not need; None for a codec
/// whose headers can hold texts or pictures, as those of FLAC, Vorbis and Speex do, or are not known well enough.
fn bare(caps: &gst::CapsRef) -> Option<gst::Caps> {
    const NUMBERS: &[&str] = &[
        "format",
        "layout",
        "rate",
        "channels",
        "channel-mask",
        "mpegversion",
        "mpegaudioversion",
        "layer",
        "parsed",
        "framed",
        "stream-format",
        "level",
        "base-profile",
        "profile",
        "alignment",
        "channel-mapping-family",
        "stream-count",
        "coupled-count",
    ];
    let old = caps.structure(0)?;
    let name = old.name().as_str();
    let mut new = gst::Structure::new_empty(name);
    for field in NUMBERS {
        if let Ok(value) = old.value(*field) {
            new.set_value(*field, value.clone());
        }
    }
    let header = match (name, old.get::<i32>("mpegversion")) {
        ("audio/x-raw" | "audio/x-alaw" | "audio/x-mulaw" | "audio/x-ac3", _)
        | ("audio/mpeg", Ok(1)) => return Some(gst::Caps::from(new)),
        ("audio/mpeg", Ok(4)) => old.get::<gst::Buffer>("codec_data").ok()?,
        ("audio/x-opus", _) => {
            let headers = old.get::<gst::Array>("streamheader").ok()?;
            headers.first()?.get::<gst::Buffer>().ok()?
        }
        _ => return None,
    };
    if name == "audio/x-opus" {
        if header.size() != OPUS_HEAD {
            return None;
        }
        new.set("streamheader", gst::Array::new([header]));
    } else {
        let map = header.map_readable().ok()?;
        // Channels in a list of their own (configuration 0) come with a comment.
        let channels = map.get(1)? >> 3 & 15;
        if channels == 0 || map.len() > AAC_CONFIG {
            return None;
        }
        drop(map);
        new.set("codec_data", header);
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
