//! Chunks that are coded already, one behind the other, into the output; nothing is encoded again but sound.
//!
//! ```text
//! filesrc ─ gdpdepay ─┐
//! filesrc ─ gdpdepay ─┴ concat ─ muxer ─ filesink
//! filesrc ─ parsebin ─ sound, where it is kept ─┘
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::redact::Part;
use crate::error::{Error, Result};
use crate::media::coded::VIDEO_PAD;
use crate::media::counters::Counters;
use crate::media::encode::Container;
use crate::media::ending::keep_end;
use crate::media::guard::Guard;
use crate::media::held::Held;
use crate::media::partial::PartialFile;
use crate::media::pipeline::{CODED, Pipeline};
use crate::media::probes::note_moves;
use crate::media::report::{Progress, Report, Stop};
use crate::media::run::run;
use crate::media::source::stay_inside;
use crate::media::stamps::{clear_times, settle};
use crate::media::streams::{Reading, Streams};
use crate::media::transfer::Input;
use crate::media::video::VideoOptions;
use crate::media::wiring::{make, pad, queue, wiring};

/// Bytes that are read of a chunk at a time.
const BLOCK: u32 = 1 << 20;

/// Joins `parts`, chunks of the video `input` in order, into `output`, which appears only when it is complete. Where
/// `options` keep sound, that of `input` comes along.
///
/// Errors: chunks that do not fit together, input that cannot be read, output that cannot be written. No output is left then.
pub fn join(
    input: &Path,
    output: &Path,
    parts: &[(PathBuf, Part)],
    options: &VideoOptions,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report> {
    let name = input.display().to_string();
    let container = Container::of(output)?;
    let source = Input::file(input);
    let partial = PartialFile::create(output, options.overwrite)?;
    let frames: u64 = parts.iter().map(|(_, part)| part.report.frames).sum();
    let pipeline = build(
        &source,
        partial.path(),
        container,
        parts,
        options.keep_audio,
    )?;
    run(&name, &pipeline, stop, progress)?;
    let counters = &pipeline.counters;
    let joined = counters.encoded.load(Ordering::Relaxed);
    if joined != frames {
        let problem = format!("{joined} of {frames} pictures could be put together");
        return Err(Error::media(name, problem));
    }
    clear_times(partial.path(), container)?;
    partial.finish()?;
    let mut streams_dropped = counters.dropped();
    if !options.keep_audio {
        let first = parts
            .first()
            .map(|(_, part)| part.report.streams_dropped.clone());
        streams_dropped = first.unwrap_or_default();
    }
    Ok(Report {
        input: input.to_owned(),
        output: output.to_owned(),
        frames,
        streams_dropped,
        audio_kept: counters.audio.load(Ordering::Relaxed),
        duration_s: counters.end.load(Ordering::Relaxed) as f64 / 1e9,
        ..Report::default()
    })
}

fn build(
    input: &Input,
    target: &Path,
    container: Container,
    parts: &[(PathBuf, Part)],
    keep_audio: bool,
) -> Result<Pipeline> {
    let pipeline = gst::Pipeline::new();
    let counters = Arc::new(Counters::default());
    let guard = Guard::new(input.name().display().to_string(), &pipeline);
    if let (Some((_, first)), Some((_, last))) = (parts.first(), parts.last()) {
        counters.start.store(first.span[0], Ordering::Relaxed);
        counters.last.store(last.span[1], Ordering::Relaxed);
        counters.end.store(last.span[2], Ordering::Relaxed);
    }
    let concat = make("concat")?;
    // Times are those of the whole video already.
    concat.set_property("adjust-base", false);
    let mux = make(container.muxer())?;
    settle(&mux, container, input.length());
    let sink = make("filesink")?;
    sink.set_property("location", target);
    sink.set_property("async", false);
    let mut chain = vec![concat.clone()];
    if keep_audio {
        // As where it is not split: what the muxer does not take yet must not keep sound waiting.
        chain.push(queue(0, CODED)?);
    }
    pipeline
        .add_many(chain.iter().chain([&mux, &sink]))
        .and_then(|()| gst::Element::link_many(&chain))
        .and_then(|()| {
            let last = &chain[chain.len() - 1];
            last.link_pads(Some("src"), &mux, Some(VIDEO_PAD))
        })
        .and_then(|()| mux.link(&sink))
        .map_err(wiring)?;
    for (path, _) in parts {
        let file = make("filesrc")?;
        file.set_property("location", path.as_path());
        file.set_property("blocksize", BLOCK);
        let unpack = make("gdpdepay")?;
        pipeline
            .add_many([&file, &unpack])
            .and_then(|()| gst::Element::link_many([&file, &unpack, &concat]))
            .map_err(wiring)?;
    }
    let coded = pad(&concat, "src")?;
    keep_form(&coded, &guard);
    continue_decoding_times(&coded, &counters, &guard);
    keep_end(&coded, container, counters.clone(), &guard);
    for moving in [&coded, &pad(&sink, "sink")?] {
        note_moves(moving, &counters, &guard);
    }
    if keep_audio {
        let held = Held::at(&coded)?;
        add_sound(&pipeline, input, &mux, &counters, &guard, held)?;
    }
    Ok(Pipeline {
        pipeline,
        counters,
        guard,
        bin: None,
        detect: None,
    })
}

/// Adds the sound of `input`; pictures are `held` until it is known what there is.
fn add_sound(
    pipeline: &gst::Pipeline,
    input: &Input,
    mux: &gst::Element,
    counters: &Arc<Counters>,
    guard: &Arc<Guard>,
    held: Held,
) -> Result<()> {
    let (source, parse) = (input.element()?, make("parsebin")?);
    note_moves(&pad(&source, "src")?, counters, guard);
    stay_inside(&parse, guard);
    pipeline
        .add_many([&source, &parse])
        .and_then(|()| source.link(&parse))
        .map_err(wiring)?;
    let streams = Arc::new(Streams {
        guard: guard.clone(),
        counters: counters.clone(),
        entry: mux.clone(),
        muxer: Some(mux.clone()),
        reading: Reading::Sound(Arc::new(held), AtomicBool::new(false)),
    });
    parse.connect_pad_added(move |_, pad| {
        let _ = streams.guard.run(|| streams.connect(pad));
    });
    Ok(())
}

/// Keeps caps that come again with each chunk from passing `pad`: muxers take those of the first one for good, and parsers say
/// the first time less than they know in the end. Chunks of another form than the first one end the pipeline.
fn keep_form(pad: &gst::Pad, guard: &Arc<Guard>) {
    /// Caps that passed, and those of what comes now.
    type Forms = (Option<gst::Caps>, Option<gst::Caps>);
    let forms = Mutex::new((Forms::default(), false));
    let name = guard.input().to_owned();
    let all = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    guard.probe(pad, all, move |_, info| {
        let mut forms = forms.lock().unwrap_or_else(PoisonError::into_inner);
        let ((passed, now), begun) = &mut *forms;
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
        {
            *now = Some(caps.caps_owned());
            if *begun {
                // Not Drop: see `audio::drop_tags`.
                return Ok(gst::PadProbeReturn::Handled);
            }
            passed.clone_from(now);
        }
        if info.buffer().is_some() {
            *begun = true;
            if passed != now {
                return Err(Error::media(&name, "its chunks are not of one form"));
            }
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// Gives what passes `pad` decoding times that go on from one chunk to the next, and counts it.
///
/// An encoder that shows pictures later than it codes them decodes the first ones of its stream before the stream begins. Within the
/// whole those are the times at which the last pictures of the chunk before are shown, as if one encoder had gone on.
fn continue_decoding_times(pad: &gst::Pad, counters: &Arc<Counters>, guard: &Arc<Guard>) {
    #[derive(Default)]
    struct State {
        /// The first picture of this chunk.
        start: Option<gst::ClockTime>,
        first: bool,
        /// Times at which pictures are shown, and at which none is decoded yet: of this chunk, and of the one before.
        open: BTreeSet<gst::ClockTime>,
        left: BTreeSet<gst::ClockTime>,
        decoded: Option<gst::ClockTime>,
    }
    let state = Mutex::new(State {
        first: true,
        ..State::default()
    });
    let (counters, name) = (counters.clone(), guard.input().to_owned());
    let all = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    guard.probe(pad, all, move |_, info| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = info.event() {
            // Each chunk begins with one.
            if event.type_() == gst::EventType::Segment && state.start.is_some() {
                state.left = std::mem::take(&mut state.open);
                state.start = None;
                state.first = false;
            }
            return Ok(gst::PadProbeReturn::Ok);
        }
        let Some(buffer) = info.buffer_mut() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        counters.encoded.fetch_add(1, Ordering::Relaxed);
        let wrong = || Error::media(&name, "its chunks do not fit together in time");
        let shown = buffer.pts().ok_or_else(wrong)?;
        let Some(mut decoded) = buffer.dts() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let start = *state.start.get_or_insert(shown);
        state.open.insert(shown);
        if decoded >= start {
            state.open.remove(&decoded);
        } else if !state.first {
            decoded = state.left.pop_first().ok_or_else(wrong)?;
            buffer.make_mut().set_dts(decoded);
        }
        if decoded > shown || state.decoded.is_some_and(|before| decoded < before) {
            return Err(wrong());
        }
        state.decoded = Some(decoded);
        Ok(gst::PadProbeReturn::Ok)
    });
}
