//! The GStreamer pipeline of one file.
//!
//! ```text
//! filesrc ─ parsebin ─ queue ─ decoder ─ queue ─ videoconvert ─ videoflip ─ floutagebin ─ videoscale ─ queue ─ encoder ─ muxer ─ filesink
//!              └ other streams: dropped, or audio to the muxer
//! ```
//!
//! A GIF comes from [`super::gif`] in place of everything before the second queue.
//!
//! `videoflip` applies the rotation tag before detection, so that faces stand upright; `videoscale` works only when
//! the size changes in mid-stream, for the muxer keeps the first one; `floutagebin` ends in the gate.
//!
//! Invariant: a pipeline without `floutagebin` ends in a `fakesink`, by construction: [`Plan::Measure`] has no
//! output path.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;

use super::encode::{Container, Encoding};
use super::probes::{count_encoded, note_moves, watch_pictures};
use super::source::{Kind, decoder};
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::gst::bin::FloutageBin;
use crate::redact;

/// What a pipeline is to do.
pub enum Plan<'a> {
    /// Redact, encode, and write to a file or, for measurements, nowhere.
    Redact {
        /// Finds what to redact.
        detector: SharedDetector,
        /// How to redact.
        settings: &'a redact::Settings,
        /// Draw outlines.
        draw: bool,
        /// How to encode.
        encoding: Encoding,
        /// Whether audio streams come along.
        keep_audio: bool,
        /// Where to.
        target: Target<'a>,
    },
    /// Only measure; nothing is written.
    Measure(Measure),
}

/// Where redacted video goes.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// Into a file.
    File(&'a Path, Container),
    /// Nowhere.
    Discard,
}

/// A part of the work, to compare with.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Decoding alone.
    Decode,
    /// Decoding and encoding without redaction.
    Transcode(Encoding),
}

/// What the streaming threads count.
#[derive(Default)]
pub struct Counters {
    /// Encoded pictures in the input, where they can be told.
    pub packets: Arc<AtomicU64>,
    /// Goes on whenever anything is read, decoded, encoded or written.
    pub moved: Arc<AtomicU64>,
    /// Decoded pictures.
    pub decoded: AtomicU64,
    /// Decoded pictures that are marked as damaged.
    pub damaged: AtomicU64,
    /// Encoded pictures.
    pub encoded: AtomicU64,
    /// Time of the first decoded picture in nanoseconds of running time.
    pub start: AtomicU64,
    /// Time of the last decoded picture likewise.
    pub last: AtomicU64,
    /// End of the last decoded picture in nanoseconds of running time.
    pub end: AtomicU64,
    /// Width of the pictures.
    pub width: AtomicU32,
    /// Height of the pictures.
    pub height: AtomicU32,
    /// Audio streams that were kept.
    pub audio: AtomicU32,
    dropped: Mutex<Vec<String>>,
    failure: Mutex<Option<Error>>,
}

impl Counters {
    /// Kinds of the streams that were left out.
    pub fn dropped(&self) -> Vec<String> {
        self.dropped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The first failure noted, with its context.
    pub fn take_failure(&self) -> Option<Error> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// One file's pipeline, not yet started.
pub struct Pipeline {
    /// The elements.
    pub pipeline: gst::Pipeline,
    /// What they count.
    pub counters: Arc<Counters>,
    /// The redacting part, if the plan has one.
    pub bin: Option<FloutageBin>,
}

/// What streaming threads need to extend the pipeline.
pub(super) struct Shared {
    pub(super) input: String,
    pipeline: glib::WeakRef<gst::Pipeline>,
    pub(super) counters: Arc<Counters>,
    /// Takes decoded pictures.
    entry: gst::Element,
    muxer: Option<gst::Element>,
    keep_audio: bool,
}

fn make(name: &str) -> Result<gst::Element> {
    gst::ElementFactory::make(name).build().map_err(|_| {
        Error::media(
            name,
            "this GStreamer element is not installed; `floutage doctor` says how to get it",
        )
    })
}

fn wiring(error: glib::BoolError) -> Error {
    Error::media("pipeline", error.to_string())
}

/// A queue bounded by one quantity; 0 leaves that one unbounded.
fn queue(buffers: u32, bytes: u32) -> Result<gst::Element> {
    let queue = make("queue")?;
    queue.set_property("max-size-buffers", buffers);
    queue.set_property("max-size-bytes", bytes);
    queue.set_property("max-size-time", 0u64);
    Ok(queue)
}

/// Pictures between decoder, redaction and encoder: what evens out key frames; more would only cost memory.
const PICTURES: u32 = 4;
/// Encoded bytes that may wait for the other streams of an interleaved file.
const PACKETS: u32 = 32 << 20;
/// Bytes of coded output that may wait for sound.
const CODED: u32 = 256 << 20;

impl Pipeline {
    /// The pipeline of `plan` for the file `input`.
    ///
    /// Errors: [`Error::Media`] when an element is missing.
    pub fn build(input: &Path, plan: &Plan<'_>) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        let counters = Arc::new(Counters::default());
        let mut chain = vec![queue(PICTURES, 0)?, make("videoconvert")?];
        let formats = make("capsfilter")?;
        formats.set_property("caps", crate::gst::video::caps());
        let flip = make("videoflip")?;
        flip.set_property_from_str("video-direction", "auto");
        chain.extend([formats, flip.clone()]);

        let mut bin = None;
        let mut muxer = None;
        let mut keep_audio = false;
        let size = make("capsfilter")?;
        let mut encoding = None;
        match plan {
            Plan::Redact {
                detector,
                settings,
                draw,
                encoding: wanted,
                keep_audio: keep,
                target,
            } => {
                let redactor: FloutageBin = glib::Object::new();
                redactor.detect().set_detector(detector.clone());
                redactor.redact().set_settings((*settings).clone())?;
                redactor.set_property("draw", draw);
                chain.push(redactor.clone().upcast());
                bin = Some(redactor);
                encoding = Some(*wanted);
                let encoder = wanted.elements()?;
                chain.extend([make("videoscale")?, size.clone(), queue(PICTURES, 0)?]);
                chain.extend(encoder);
                match target {
                    Target::File(path, container) => {
                        let mux = make(container.muxer())?;
                        let sink = make("filesink")?;
                        sink.set_property("location", *path);
                        sink.set_property("async", false);
                        let coded = pad(&chain[chain.len() - 1], "src")?;
                        super::ending::keep_end(&coded, *container, counters.clone());
                        if *keep {
                            // Coded pictures wait here for late sound: waiting at the muxer would stop the
                            // demuxer, which then never comes to the sound.
                            chain.push(queue(0, CODED)?);
                        }
                        chain.extend([mux.clone(), sink]);
                        muxer = Some(mux);
                        keep_audio = *keep;
                    }
                    Target::Discard => chain.push(discard()?),
                }
            }
            Plan::Measure(Measure::Decode) => chain.push(discard()?),
            Plan::Measure(Measure::Transcode(wanted)) => {
                encoding = Some(*wanted);
                chain.extend([make("videoscale")?, size.clone(), queue(PICTURES, 0)?]);
                chain.extend(wanted.elements()?);
                chain.push(discard()?);
            }
        }
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(wiring)?;

        let shared = Arc::new(Shared {
            input: input.display().to_string(),
            pipeline: pipeline.downgrade(),
            counters: counters.clone(),
            entry: chain[0].clone(),
            muxer,
            keep_audio,
        });
        watch_pictures(&flip, shared.clone(), encoding, size)?;
        note_moves(&pad(&chain[0], "src")?, &counters);
        note_moves(&pad(&chain[chain.len() - 1], "sink")?, &counters);
        if let Some(encoder) = chain.iter().find(|element| is_encoder(element)) {
            count_encoded(encoder, counters.clone())?;
        }
        if super::gif::is_gif(input) {
            let source = super::gif::source(input, move |event| shared.note_gif(event))?;
            pipeline
                .add(&source)
                .and_then(|()| source.link(&chain[0]))
                .map_err(wiring)?;
        } else {
            let source = make("filesrc")?;
            source.set_property("location", input);
            note_moves(&pad(&source, "src")?, &counters);
            let parse = make("parsebin")?;
            pipeline
                .add_many([&source, &parse])
                .and_then(|()| source.link(&parse))
                .map_err(wiring)?;
            super::source::count_packets(&pipeline, counters.packets.clone());
            parse.connect_pad_added(move |_, pad| shared.guard(|| shared.connect(pad)));
        }
        Ok(Self {
            pipeline,
            counters,
            bin,
        })
    }
}

fn is_encoder(element: &gst::Element) -> bool {
    element
        .factory()
        .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::ENCODER))
}

fn discard() -> Result<gst::Element> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    Ok(sink)
}

pub(super) fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad> {
    element
        .static_pad(name)
        .ok_or_else(|| Error::media(element.name().as_str(), format!("has no {name} pad")))
}

impl Shared {
    /// Ends the pipeline with `error`; the first one counts.
    fn fail(&self, error: Error) {
        let text = error.to_string();
        self.counters
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(error);
        if let Some(pipeline) = self.pipeline.upgrade() {
            gst::element_error!(pipeline, gst::StreamError::Failed, ["{text}"]);
        }
    }

    /// Runs `work` on a streaming thread: an error or a panic in it ends the pipeline, never the process.
    pub(super) fn guard(&self, work: impl FnOnce() -> Result<()>) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.fail(error),
            Err(_) => self.fail(Error::media(
                &self.input,
                "an internal error stopped the work; please report it",
            )),
        }
    }

    fn note_gif(&self, event: super::gif::Event) {
        match event {
            super::gif::Event::Failed(error) => self.fail(error),
            super::gif::Event::Lost(pictures, problem) => {
                // How many are behind the damage cannot be told; it is one at least.
                self.counters.packets.store(pictures + 1, Ordering::Relaxed);
                if let Some(pipeline) = self.pipeline.upgrade() {
                    gst::element_warning!(
                        pipeline,
                        gst::StreamError::Decode,
                        ["{pictures} pictures could be decoded, then: {problem}"]
                    );
                }
            }
        }
    }

    fn drop_stream(&self, kind: Kind) {
        self.counters
            .dropped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kind.name().to_owned());
    }

    fn add(&self, elements: &[gst::Element]) -> Result<()> {
        let Some(pipeline) = self.pipeline.upgrade() else {
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
            Error::media(&self.input, format!("streams cannot be connected: {error}"))
        })
    }

    fn connect(self: &Arc<Self>, source: &gst::Pad) -> Result<()> {
        let caps = source
            .current_caps()
            .unwrap_or_else(|| source.query_caps(None));
        let entry = pad(&self.entry, "sink")?;
        let kind = Kind::of(&caps);
        if kind != Kind::Video {
            miss_video(source, self.clone());
        }
        match kind {
            Kind::Video if !entry.is_linked() => {
                let mut chain = vec![queue(0, PACKETS)?];
                if let Some(decoder) = decoder(&self.input, &caps)? {
                    if decoder.find_property("qos").is_some() {
                        decoder.set_property("qos", false);
                    }
                    chain.push(decoder);
                }
                super::repair::leave_range_to_decoder(&pad(&chain[0], "src")?);
                self.add(&chain)?;
                let last = pad(&chain[chain.len() - 1], "src")?;
                super::repair::repair(&last);
                self.link(&last, &entry)?;
                self.link(source, &pad(&chain[0], "sink")?)
            }
            Kind::Audio if self.keep_audio => {
                let Some(muxer) = &self.muxer else {
                    return self.sink_away(source, Kind::Audio);
                };
                let chain = super::audio::chain(&self.input, &caps, muxer, || queue(0, PACKETS))?;
                self.add(&chain)?;
                let last = &chain[chain.len() - 1];
                note_moves(&pad(last, "src")?, &self.counters);
                super::audio::drop_tags(&pad(last, "src")?);
                last.link_pads(Some("src"), muxer, Some(super::audio::AUDIO_PAD))
                    .map_err(|_| Error::media(&self.input, "the output takes no such audio"))?;
                self.counters.audio.fetch_add(1, Ordering::Relaxed);
                self.link(source, &pad(&chain[0], "sink")?)
            }
            kind => self.sink_away(source, kind),
        }
    }

    fn sink_away(&self, source: &gst::Pad, kind: Kind) -> Result<()> {
        self.drop_stream(kind);
        let sink = discard()?;
        self.add(std::slice::from_ref(&sink))?;
        self.link(source, &pad(&sink, "sink")?)
    }
}

/// Ends the pipeline when a stream other than video is over and there is no video: nothing else would.
fn miss_video(source: &gst::Pad, shared: Arc<Shared>) {
    source.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let over = info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::Eos);
        shared.guard(|| {
            if !over || pad(&shared.entry, "sink")?.is_linked() {
                return Ok(());
            }
            let mut kinds = shared.counters.dropped();
            let kept = shared.counters.audio.load(Ordering::Relaxed) as usize;
            kinds.extend(std::iter::repeat_n(Kind::Audio.name().to_owned(), kept));
            Err(Error::media(
                &shared.input,
                format!("there is no video in it (found: {}); GStreamer takes a track shorter than a fifth of an MP4 \
                     for a preview and passes over it", kinds.join(", ")),
            ))
        });
        gst::PadProbeReturn::Ok
    });
}
