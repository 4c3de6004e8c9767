//! From a file to decoded pictures: which streams there are, and the decoder for the video.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use gst::prelude::*;

use super::counters::Counters;
use super::guard::Guard;
use crate::error::{Error, Result};

/// What a demuxed stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Text or pictures laid over the video.
    Subtitle,
    /// Anything else: telemetry, time codes, private data.
    Data,
}

impl Kind {
    /// The kind that `caps` describe.
    pub fn of(caps: &gst::Caps) -> Self {
        let name = caps
            .structure(0)
            .map_or("", |structure| structure.name().as_str());
        match name.split_once('/') {
            Some(("video" | "image", _)) => Self::Video,
            Some(("audio", _)) => Self::Audio,
            Some(("text" | "subpicture" | "subtitle" | "closedcaption", _)) => Self::Subtitle,
            _ if name.contains("subtitle")
                || name == "application/x-ass"
                || name == "application/x-ssa" =>
            {
                Self::Subtitle
            }
            _ => Self::Data,
        }
    }

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Subtitle => "subtitle",
            Self::Data => "data",
        }
    }
}

/// The preferred decoder for `caps` that leaves pictures in system memory; None for pictures and
/// sound that are not encoded.
///
/// Hardware decoders are passed over: their pictures lie where they cannot be redacted in place.
///
/// Errors: [`Error::Media`] about `input` when no decoder is installed.
pub fn decoder(input: &str, caps: &gst::Caps) -> Result<Option<gst::Element>> {
    if caps
        .structure(0)
        .is_some_and(|structure| matches!(structure.name().as_str(), "video/x-raw" | "audio/x-raw"))
    {
        return Ok(None);
    }
    let decoders = gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::DECODER,
        gst::Rank::MARGINAL,
    );
    let mut fitting: Vec<gst::ElementFactory> = decoders
        .into_iter()
        .filter(|factory| {
            !factory.has_type(gst::ElementFactoryType::HARDWARE)
                && factory.can_sink_any_caps(caps)
                && factory
                    .static_pad_templates()
                    .iter()
                    .any(|template| template.direction() == gst::PadDirection::Src)
        })
        .collect();
    // Caps that merely intersect can lack what a decoder insists on: vp8alphadecodebin's `codec-alpha`.
    fitting.sort_by_cached_key(|factory| {
        let takes_all = factory.can_sink_all_caps(caps);
        (Reverse((takes_all, factory.rank())), factory.name())
    });
    let missing = || {
        let codec = caps.structure(0).map_or_else(
            || "unknown".to_owned(),
            |structure| structure.name().to_string(),
        );
        Error::media(
            input,
            format!("no decoder for {codec} is installed; `floutage doctor` says what is missing"),
        )
    };
    let factory = fitting.first().ok_or_else(missing)?;
    let element = factory
        .create()
        .build()
        .map_err(|error| Error::media(input, error.to_string()))?;
    Ok(Some(element))
}

/// Containers and streams of `application/...` caps that `parsebin` may take apart further. Others are what they are.
const TAKEN_APART: &[&str] = &[
    "application/gxf",
    "application/mxf",
    "application/ogg",
    "application/vnd.rn-realmedia",
    "application/x-3gp",
    "application/x-apetag",
    "application/x-ass",
    "application/x-id3",
    "application/x-ssa",
    "application/x-subtitle",
    "application/x-subtitle-vtt",
    "application/x-yuv4mpeg",
];
/// Caps of files that name other files, or servers, to be read in their place.
const PLAYLISTS: &[&str] = &[
    "application/dash+xml",
    "application/sdp",
    "application/smil+xml",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-sstr+xml",
    "application/x-hls",
    "application/x-mpegurl",
    "application/x-rtsp-sdp",
    "audio/mpegurl",
    "audio/x-mpegurl",
    "audio/x-scpls",
    "text/uri-list",
    "video/vnd.mpegurl",
];

/// Keeps `parse`, a `parsebin`, from following what the input says to anything else than the input: it would open
/// network connections and other files for what is a playlist by its content.
///
/// Everything but what is known to hold its media itself stays as it is; a playlist ends the pipeline.
pub fn stay_inside(parse: &gst::Element, guard: &Arc<Guard>) {
    let asked = guard.clone();
    parse.connect("autoplug-continue", false, move |values| {
        let go_on = asked.run(|| {
            let caps = values
                .get(2)
                .and_then(|value| value.get::<gst::Caps>().ok());
            let name = caps
                .as_ref()
                .and_then(|caps| caps.structure(0))
                .map_or("", |structure| structure.name().as_str());
            if PLAYLISTS.contains(&name) {
                return Err(playlist(asked.input()));
            }
            let media = [
                "video/",
                "audio/",
                "image/",
                "text/",
                "subpicture/",
                "closedcaption/",
            ];
            Ok(media.iter().any(|kind| name.starts_with(kind)) || TAKEN_APART.contains(&name))
        });
        Some(go_on.unwrap_or(false).into())
    });
    // What a plugin of another name or rank would make of it: elements of these classes open what they are told.
    let guard = guard.clone();
    if let Some(bin) = parse.downcast_ref::<gst::Bin>() {
        bin.connect_deep_element_added(move |_, _, element| {
            let _ = guard.run(|| {
                let class = element
                    .factory()
                    .and_then(|factory| factory.metadata("klass").map(str::to_owned))
                    .unwrap_or_default();
                if class.contains("Adaptive") || class.contains("Source") {
                    return Err(playlist(guard.input()));
                }
                Ok(())
            });
        });
    }
}

fn playlist(input: &str) -> Error {
    Error::media(
        input,
        "this is a playlist or stream description, which names other files; redact the media files themselves",
    )
}

/// True when one of `elements` is part of `pipeline`.
pub fn has_any(pipeline: &gst::Pipeline, elements: &[&str]) -> bool {
    pipeline
        .iterate_recurse()
        .into_iter()
        .filter_map(Result::ok)
        .filter_map(|element| element.factory())
        .any(|factory| elements.contains(&factory.name().as_str()))
}

/// Notes in `counters` that a container states its length; of others what GStreamer says is an estimate. Asked later,
/// `parsebin` has let go of its demuxer.
pub fn note_stated_length(pipeline: &gst::Pipeline, counters: Arc<Counters>) {
    // Of MP4 it would be that of the whole media, of which an edit list may show a part.
    const STATE_LENGTH: &[&str] = &["matroskademux", "flvdemux", "asfdemux"];
    pipeline.connect_deep_element_added(move |_, _, element| {
        let states = element
            .factory()
            .is_some_and(|factory| STATE_LENGTH.contains(&factory.name().as_str()));
        counters.states_length.fetch_or(states, Ordering::Relaxed);
    });
}

/// Counts in `packets` the encoded pictures that demuxers in `pipeline` deliver, where one packet holds one picture
/// that is to be shown: what the decoder does not make of them is lost.
pub fn count_packets(pipeline: &gst::Pipeline, packets: Arc<AtomicU64>, guard: Arc<Guard>) {
    const DEMUXERS: &[&str] = &["qtdemux", "matroskademux", "avidemux"];
    const CODECS: &[&str] = &[
        "video/x-h264",
        "video/x-h265",
        "video/x-vp9",
        "video/x-av1",
        "image/jpeg",
        "video/x-prores",
        "video/x-ffv",
    ];
    let taken = Arc::new(AtomicBool::new(false));
    let count = move |guard: &Arc<Guard>, pad: &gst::Pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let countable = caps
            .structure(0)
            .is_some_and(|structure| CODECS.contains(&structure.name().as_str()));
        if Kind::of(&caps) != Kind::Video || taken.swap(true, Ordering::Relaxed) || !countable {
            return Ok(());
        }
        let packets = packets.clone();
        guard.probe(pad, gst::PadProbeType::BUFFER, move |pad, info| {
            if info.buffer().is_some_and(|buffer| is_shown(pad, buffer)) {
                packets.fetch_add(1, Ordering::Relaxed);
            }
            Ok(gst::PadProbeReturn::Ok)
        });
        Ok(())
    };
    let count = Arc::new(count);
    pipeline.connect_deep_element_added(move |_, _, element| {
        let known = element
            .factory()
            .is_some_and(|factory| DEMUXERS.contains(&factory.name().as_str()));
        if known {
            let (guard, count) = (guard.clone(), count.clone());
            element.connect_pad_added(move |_, pad| {
                // A failure ends the pipeline; there is nothing to hand back.
                let _ = guard.run(|| count(&guard, pad));
            });
        }
    });
}

/// False for packets that are decoded but cut off by an edit list.
fn is_shown(pad: &gst::Pad, buffer: &gst::BufferRef) -> bool {
    if buffer.flags().contains(gst::BufferFlags::DECODE_ONLY) {
        return false;
    }
    let Some(pts) = buffer.pts() else { return true };
    pad.sticky_event::<gst::event::Segment>(0)
        .and_then(|event| event.segment().downcast_ref::<gst::ClockTime>().cloned())
        .is_none_or(|segment| {
            let end = buffer.duration().map(|duration| pts + duration);
            segment.clip(pts, end).is_some()
        })
}
