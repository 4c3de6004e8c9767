//! One chunk, redacted by what was decided and encoded, in a file of its own that no player takes for a video.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::{Chunk, Decided, Split};
use crate::error::{Error, Result};
use crate::media::encode::Container;
use crate::media::pipeline::{Finder, Pipeline, Plan, Target};
use crate::media::report::{Progress, Report, Stop};
use crate::media::run::run;
use crate::media::streams::Reading;
use crate::media::transfer::Input;
use crate::media::video::{VideoOptions, summarise};
use crate::media::window::Window;
use crate::redact;
use crate::track::decisions::Decisions;

/// A chunk that is redacted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Its numbers.
    pub report: Report,
    /// When its first picture is shown, its last one, and until when, in nanoseconds.
    pub(super) span: [u64; 3],
}

/// Redacts `chunk` of the video `input` by what was `decided` into the file `target`, for an output of `container`.
///
/// Errors: those of [`crate::media::video::redact_video`].
#[allow(clippy::too_many_arguments)]
pub fn redact_chunk(
    input: &Path,
    chunk: &Chunk,
    decided: Decided,
    (target, container): (&Path, Container),
    settings: &redact::Settings,
    options: &VideoOptions,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Split<Part>> {
    let name = input.display().to_string();
    let window = Window::new(chunk, false);
    // What could not be analysed is left out, and filled.
    let known = decided
        .0
        .into_iter()
        .filter_map(|(time, regions)| Some((time, regions?)));
    let decisions: Decisions = known.collect();
    let plan = Plan::Redact {
        finder: Finder::Decided(Arc::new(decisions)),
        settings,
        tracking: options.tracking,
        draw: options.draw,
        encoding: options.encoding,
        keep_audio: false,
        target: Target::Chunk(target, container),
    };
    let pipeline =
        Pipeline::build_part(&Input::file(input), &plan, Reading::Chunk(window.clone()))?;
    run(&name, &pipeline, stop, progress)?;
    if let Err(problem) = window.check() {
        return Ok(Err(problem));
    }
    let mut report = summarise(&pipeline);
    if report.frames != chunk.frames {
        let problem = format!(
            "{} of {} pictures were encoded from {:.3} s on",
            report.frames,
            chunk.frames,
            chunk.start as f64 / 1e9
        );
        return Err(Error::media(name, problem));
    }
    report.encoder = options.encoding.encoder_name()?.to_owned();
    let ends = &pipeline.counters;
    let span = [&ends.start, &ends.last, &ends.end].map(|it| it.load(Ordering::Relaxed));
    Ok(Ok(Part { report, span }))
}
