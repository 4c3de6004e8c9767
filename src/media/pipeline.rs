//! The GStreamer pipeline of one file.
//!
//! ```text
//! filesrc ─ parsebin ─ queue ─ decoder ─ queue ─ videoconvert ─ videoflip ─ floutagebin ─ videoscale ─ queue ─ encoder ─ muxer ─ filesink
//!              └ other streams: dropped, or audio to the muxer
//! ```
//!
//! A GIF comes from `gif` in place of everything before the second queue; `transfer` has elements in place of `filesrc` and
//! `filesink` for objects.
//!
//! `videoflip` applies the rotation tag before detection, so that faces stand upright; `videoscale` works only when
//! the size changes in mid-stream, for the muxer keeps the first one; `floutagebin` ends in the gate.
//!
//! Invariant: a pipeline without `floutagebin` ends in a `fakesink`, by construction: [`Plan::Measure`] has no
//! output path.

use std::path::Path;
use std::sync::Arc;

use gst::glib;
use gst::prelude::*;

use super::counters::Counters;
use super::encode::{Codec, Container, Encoding, Preset};
use super::guard::Guard;
use super::probes::{count_encoded, note_moves, watch_pictures};
use super::streams::{Reading, Streams};
use super::transfer::Input;
use super::wiring::{discard, make, pad, queue, wiring};
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::gst::bin::FloutageBin;
use crate::gst::detect::FloutageDetect;
use crate::storage::link::Link;
use crate::track::decisions::Decisions;
use crate::{redact, track};

/// What a pipeline is to do.
pub enum Plan<'a> {
    /// Redact, encode, and write to a file or, for measurements, nowhere.
    Redact {
        /// Finds what to redact.
        finder: Finder,
        /// How to redact.
        settings: &'a redact::Settings,
        /// How to follow what was found.
        tracking: Tracking,
        /// Draw outlines.
        draw: bool,
        /// How to encode.
        encoding: Encoding,
        /// Whether audio streams come along.
        keep_audio: bool,
        /// Where to.
        target: Target<'a>,
    },
    /// Only detect; nothing is written.
    Find(SharedDetector),
    /// Only measure; nothing is written.
    Measure(Measure),
}

/// What says what to redact.
#[derive(Clone)]
pub enum Finder {
    /// A detector, and a tracker that follows what it finds.
    Detector(SharedDetector),
    /// It was decided before. Frames of which it was not are filled.
    Decided(Arc<Decisions>),
}

impl<'a> Plan<'a> {
    /// Everything up to redaction, for those who look at what would be redacted: nothing is encoded.
    pub(super) fn unencoded(
        detector: SharedDetector,
        settings: &'a redact::Settings,
        tracking: Tracking,
    ) -> Self {
        Self::Redact {
            finder: Finder::Detector(detector),
            settings,
            tracking,
            draw: false,
            // VP9 takes pictures of any size.
            encoding: Encoding {
                codec: Codec::Vp9,
                quality: Encoding::DEFAULT_QUALITY,
                preset: Preset::default(),
            },
            keep_audio: false,
            target: Target::Unencoded,
        }
    }
}

/// How regions are followed from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Look-ahead and hold.
    pub settings: track::Settings,
    /// One of so many frames is analysed, 1 to 30; what is in the others follows from those.
    pub detect_every: u32,
}

impl Default for Tracking {
    fn default() -> Self {
        Self {
            settings: track::Settings::default(),
            detect_every: 1,
        }
    }
}

impl Tracking {
    /// Checks every value.
    ///
    /// Errors: [`Error::Setting`] with name, value and allowed range.
    pub fn validate(&self) -> Result<()> {
        const MOST: u32 = crate::gst::MOST_EVERY;
        if !(1..=MOST).contains(&self.detect_every) {
            let allowed = format!("from 1 to {MOST}");
            return Err(Error::setting("detect-every", self.detect_every, allowed));
        }
        self.settings.validate()
    }

    /// Checks that what appears between two analysed frames is found before those are let go.
    ///
    /// Errors: [`Error::Setting`] that says what would do.
    pub fn check_cover(&self) -> Result<()> {
        self.settings.check_cover(self.detect_every)
    }
}

/// Where redacted video goes.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// Into a file.
    File(&'a Path, Container),
    /// Coded pictures alone, as a chunk of what is to be in the container, into a file.
    Chunk(&'a Path, Container),
    /// Into an object.
    Object(&'a Arc<Link>, Container),
    /// Nowhere.
    Discard,
    /// Nowhere, and without an encoder.
    Unencoded,
}

impl Target<'_> {
    fn sink(&self) -> Result<gst::Element> {
        match self {
            Self::File(path, _) | Self::Chunk(path, _) => {
                let sink = make("filesink")?;
                sink.set_property("location", *path);
                sink.set_property("async", false);
                Ok(sink)
            }
            Self::Object(link, container) => Ok(super::transfer::sink((*link).clone(), *container)),
            Self::Discard | Self::Unencoded => discard(),
        }
    }
}

/// A part of the work, to compare with.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Decoding alone.
    Decode,
    /// Decoding and encoding without redaction.
    Transcode(Encoding),
}

/// One file's pipeline, not yet started.
pub struct Pipeline {
    /// The elements.
    pub pipeline: gst::Pipeline,
    /// What they count.
    pub counters: Arc<Counters>,
    /// What fails on their threads.
    pub guard: Arc<Guard>,
    /// The redacting part, if the plan has one.
    pub bin: Option<FloutageBin>,
    /// The detector, where there is no more of that part.
    pub detect: Option<FloutageDetect>,
}

/// Pictures between decoder, redaction and encoder: what evens out key frames; more would only cost memory.
const PICTURES: u32 = 4;
/// Bytes of coded output that may wait for sound.
pub(super) const CODED: u32 = 256 << 20;

impl Pipeline {
    /// The pipeline of `plan` for the file `input`.
    ///
    /// Errors: [`Error::Media`] when an element is missing.
    pub fn build(input: &Path, plan: &Plan<'_>) -> Result<Self> {
        Self::build_for(&Input::file(input), plan)
    }

    /// The same for a file or an object.
    ///
    /// Errors: [`Error::Media`] when an element is missing.
    pub fn build_for(input: &Input, plan: &Plan<'_>) -> Result<Self> {
        Self::build_part(input, plan, Reading::All)
    }

    /// The same for a part of what is in a file.
    ///
    /// Errors: [`Error::Media`] when an element is missing.
    pub(super) fn build_part(input: &Input, plan: &Plan<'_>, reading: Reading) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        let counters = Arc::new(Counters::default());
        let guard = Guard::new(input.name().display().to_string(), &pipeline);
        let mut chain = vec![queue(PICTURES, 0)?, make("videoconvert")?];
        let formats = make("capsfilter")?;
        formats.set_property("caps", crate::gst::video::caps());
        let flip = make("videoflip")?;
        flip.set_property_from_str("video-direction", "auto");
        chain.extend([formats, flip.clone()]);

        let (mut bin, mut detect) = (None, None);
        let mut audio_muxer = None;
        let size = make("capsfilter")?;
        let mut encoding = None;
        match plan {
            Plan::Redact {
                finder,
                settings,
                tracking,
                draw,
                encoding: wanted,
                keep_audio: keep,
                target,
            } => {
                let redactor: FloutageBin = glib::Object::new();
                match finder {
                    Finder::Detector(detector) => redactor.detect().set_detector(detector.clone()),
                    Finder::Decided(decisions) => redactor.redact_by(decisions.clone()),
                }
                let mut settings = (*settings).clone();
                tracking.validate()?;
                if matches!(target, Target::Discard | Target::Unencoded) {
                    // What is only measured shows nobody.
                    settings.accept_reversible = true;
                } else {
                    tracking.check_cover()?;
                }
                redactor.redact().set_settings(settings)?;
                redactor.track().set_settings(tracking.settings)?;
                redactor.set_property("detect-every", tracking.detect_every);
                redactor.set_property("draw", draw);
                chain.push(redactor.clone().upcast());
                bin = Some(redactor);
                encoding = Some(*wanted);
                if !matches!(target, Target::Unencoded) {
                    chain.extend([make("videoscale")?, size.clone(), queue(PICTURES, 0)?]);
                    chain.extend(wanted.elements()?);
                }
                match target {
                    Target::File(_, container) | Target::Object(_, container) => {
                        let mux = make(container.muxer())?;
                        super::stamps::settle(&mux, *container, input.length());
                        let sink = target.sink()?;
                        let coded = pad(&chain[chain.len() - 1], "src")?;
                        super::ending::keep_end(&coded, *container, counters.clone(), &guard);
                        super::ending::end_without_pictures(&coded, counters.clone(), &guard);
                        if *keep {
                            // Coded pictures wait here for late sound: waiting at the muxer would stop the
                            // demuxer, which then never comes to the sound.
                            chain.push(queue(0, CODED)?);
                        }
                        audio_muxer = keep.then(|| mux.clone());
                        chain.extend([mux, sink]);
                    }
                    Target::Chunk(_, container) => {
                        chain.extend(super::coded::elements(*container, &guard)?);
                        chain.push(target.sink()?);
                    }
                    Target::Discard | Target::Unencoded => chain.push(target.sink()?),
                }
            }
            Plan::Find(detector) => {
                let finder: FloutageDetect = glib::Object::new();
                finder.set_detector(detector.clone());
                chain.extend([finder.clone().upcast(), discard()?]);
                detect = Some(finder);
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

        if let Reading::Chunk(window) = &reading {
            window.keep_pictures(&pad(&flip, "sink")?, &pad(&flip, "src")?, &guard);
        }
        watch_pictures(&flip, counters.clone(), &guard, encoding, size)?;
        for moving in [
            &pad(&chain[0], "src")?,
            &pad(&chain[chain.len() - 1], "sink")?,
        ] {
            note_moves(moving, &counters, &guard);
        }
        if let Some(encoder) = chain.iter().find(|element| is_encoder(element)) {
            count_encoded(encoder, counters.clone(), &guard)?;
        }
        let streams = Arc::new(Streams {
            guard: guard.clone(),
            counters: counters.clone(),
            entry: chain[0].clone(),
            muxer: audio_muxer,
            reading,
        });
        let is_whole = !matches!(streams.reading, Reading::Chunk(_));
        if super::gif::is_gif(input) {
            let source = super::gif::source(input, move |event| streams.note_gif(event))?;
            pipeline
                .add(&source)
                .and_then(|()| source.link(&chain[0]))
                .map_err(wiring)?;
        } else {
            let source = input.element()?;
            note_moves(&pad(&source, "src")?, &counters, &guard);
            let parse = make("parsebin")?;
            super::source::stay_inside(&parse, &guard);
            pipeline
                .add_many([&source, &parse])
                .and_then(|()| source.link(&parse))
                .map_err(wiring)?;
            super::source::note_stated_length(&pipeline, counters.clone());
            if is_whole {
                super::source::count_packets(&pipeline, counters.packets.clone(), guard.clone());
            }
            parse.connect_pad_added(move |_, pad| {
                // A failure ends the pipeline; there is nothing to hand back.
                let _ = streams.guard.run(|| streams.connect(pad));
            });
        }
        Ok(Self {
            pipeline,
            counters,
            guard,
            bin,
            detect,
        })
    }
}

fn is_encoder(element: &gst::Element) -> bool {
    element
        .factory()
        .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::ENCODER))
}
