//! Connects the streams that a file turns out to have: video to the decoder, audio to the muxer if it is kept, all
//! others to nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

use super::counters::Counters;
use super::guard::Guard;
use super::held::Held;
use super::probes::{note_end, note_moves};
use super::source::{Kind, decoder};
use super::window::Window;
use super::wiring::{discard, pad, queue, wiring};
use crate::error::{Error, Result};

/// What is read of a file.
pub enum Reading {
    /// All that is kept.
    All,
    /// The pictures of a chunk, and nothing else.
    Chunk(Arc<Window>),
    /// Sound alone, for pictures that are held until it is known; true once the video was met.
    Sound(Arc<Held>, AtomicBool),
}

/// What streaming threads need to extend the pipeline.
pub struct Streams {
    pub guard: Arc<Guard>,
    pub counters: Arc<Counters>,
    /// Takes decoded pictures.
    pub entry: gst::Element,
    /// Takes audio; None where none is kept.
    pub muxer: Option<gst::Element>,
    /// What is read.
    pub reading: Reading,
}

/// Encoded bytes that may wait for the other streams of an interleaved file.
const PACKETS: u32 = 32 << 20;

impl Streams {
    /// Notes what the reader of a GIF says.
    pub fn note_gif(&self, event: super::gif::Event) {
        match event {
            super::gif::Event::Failed(error) => self.guard.fail(error),
            super::gif::Event::Lost(pictures, problem) => {
                // How many are behind the damage cannot be told; it is one at least.
                self.counters.packets.store(pictures + 1, Ordering::Relaxed);
                if let Some(pipeline) = self.guard.pipeline() {
                    gst::element_warning!(
                        pipeline,
                        gst::StreamError::Decode,
                        ["{pictures} pictures could be decoded, then: {problem}"]
                    );
                }
            }
        }
    }

    fn add(&self, elements: &[gst::Element]) -> Result<()> {
        let Some(pipeline) = self.guard.pipeline() else {
            return Err(Error::Interrupted);
        };
        pipeline.add_many(elements).map_err(wiring)?;
        gst::Element::link_many(elements).map_err(wiring)?;
        for element in elements.iter().rev() {
            element.sync_state_with_parent().map_err(wiring)?;
        }
        Ok(())
    }

    fn link(&self, from: &gst::Pad, to: &gst::Pad) -> Result<()> {
        from.link(to).map(|_| ()).map_err(|error| {
            Error::media(
                self.guard.input(),
                format!("streams cannot be connected: {error}"),
            )
        })
    }

    /// Connects `source`, a new pad with a coded stream.
    pub fn connect(self: &Arc<Self>, source: &gst::Pad) -> Result<()> {
        let caps = source
            .current_caps()
            .unwrap_or_else(|| source.query_caps(None));
        let kind = Kind::of(&caps);
        note_end(source, &self.counters, &self.guard);
        if let (Kind::Video, Reading::Sound(held, met)) = (kind, &self.reading)
            && !met.swap(true, Ordering::Relaxed)
        {
            // Nothing flows before every stream is connected.
            let held = held.clone();
            self.guard
                .probe(source, gst::PadProbeType::BUFFER, move |_, _| {
                    held.release();
                    Ok(gst::PadProbeReturn::Ok)
                });
            return self.throw_away(source);
        }
        if kind != Kind::Video && !matches!(self.reading, Reading::Sound(..)) {
            miss_video(source, self.clone());
        }
        match (kind, &self.muxer) {
            (Kind::Video, _) if self.waits_for_video()? => {
                let entry = pad(&self.entry, "sink")?;
                refuse_palettes(self.guard.input(), &caps)?;
                let mut chain = vec![queue(0, PACKETS)?];
                if let Some(decoder) = decoder(self.guard.input(), &caps)? {
                    if decoder.find_property("qos").is_some() {
                        decoder.set_property("qos", false);
                    }
                    chain.push(decoder);
                }
                if let Reading::Chunk(window) = &self.reading {
                    window.skip_packets(source, &self.guard);
                }
                super::repair::leave_range_to_decoder(&pad(&chain[0], "src")?, &self.guard);
                self.add(&chain)?;
                let last = pad(&chain[chain.len() - 1], "src")?;
                super::repair::repair(&last, &self.guard);
                self.link(&last, &entry)?;
                self.link(source, &pad(&chain[0], "sink")?)
            }
            (Kind::Audio, Some(muxer)) => {
                let chain = super::audio::chain(&self.guard, &caps, muxer, || queue(0, PACKETS))?;
                self.add(&chain)?;
                let last = &chain[chain.len() - 1];
                note_moves(&pad(last, "src")?, &self.counters, &self.guard);
                super::audio::drop_tags(&pad(last, "src")?, &self.guard);
                last.link_pads(Some("src"), muxer, Some(super::audio::AUDIO_PAD))
                    .map_err(|_| {
                        Error::media(self.guard.input(), "the output takes no such audio")
                    })?;
                self.counters.audio.fetch_add(1, Ordering::Relaxed);
                self.link(source, &pad(&chain[0], "sink")?)
            }
            (kind, _) => self.sink_away(source, kind),
        }
    }

    /// True while no video has come that is to be decoded.
    fn waits_for_video(&self) -> Result<bool> {
        Ok(match self.reading {
            Reading::Sound(..) => false,
            _ => !pad(&self.entry, "sink")?.is_linked(),
        })
    }

    fn sink_away(&self, source: &gst::Pad, kind: Kind) -> Result<()> {
        self.counters.note_dropped(kind.name());
        self.throw_away(source)
    }

    fn throw_away(&self, source: &gst::Pad) -> Result<()> {
        let sink = discard()?;
        if matches!(self.reading, Reading::Chunk(_)) {
            // The pipeline ends with the chunk, before this does.
            sink.unset_element_flags(gst::ElementFlags::SINK);
        }
        self.add(std::slice::from_ref(&sink))?;
        self.link(source, &pad(&sink, "sink")?)
    }
}

/// True when the file is an MP4 or QuickTime file.
fn is_mp4(streams: &Streams) -> bool {
    let pipeline = streams.guard.pipeline();
    pipeline.is_some_and(|pipeline| super::source::has_any(&pipeline, &["qtdemux"]))
}

/// Refuses pictures that are not encoded and have a palette: it does not come along, and they would turn out green.
fn refuse_palettes(input: &str, caps: &gst::CapsRef) -> Result<()> {
    let palette = caps.structure(0).is_some_and(|structure| {
        structure.name() == "video/x-raw" && structure.get::<&str>("format") == Ok("RGB8P")
    });
    if palette {
        let problem =
            "uncompressed video with a palette cannot be read; convert it to another pixel format";
        return Err(Error::media(input, problem));
    }
    Ok(())
}

/// Ends the pipeline when a stream other than video is over and there is no video: nothing else would.
fn miss_video(source: &gst::Pad, streams: Arc<Streams>) {
    let guard = streams.guard.clone();
    guard.probe(source, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let over = info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos);
        if !over || !streams.waits_for_video()? {
            return Ok(gst::PadProbeReturn::Ok);
        }
        let mut kinds = streams.counters.dropped();
        let kept = streams.counters.audio.load(Ordering::Relaxed) as usize;
        kinds.extend(std::iter::repeat_n(Kind::Audio.name().to_owned(), kept));
        streams.guard.fail(Error::media(
            streams.guard.input(),
            format!(
                "there is no video in it (found: {}){}",
                kinds.join(", "),
                if is_mp4(&streams) {
                    "; GStreamer takes a track shorter than a fifth of an MP4 for a preview and passes over it"
                } else {
                    ""
                }
            ),
        ));
        Ok(gst::PadProbeReturn::Ok)
    });
}
