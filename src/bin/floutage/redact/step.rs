//! The steps of a video that is split, each in a process of its own: what they are asked for and what they say.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use floutage::batch::identity::hash_text;
use floutage::batch::name;
use floutage::media::encode::Container;
use floutage::media::report::{Progress, Report};
use floutage::media::split::{Chunk, Decided, Found, Part, Split, cuts, find, join, redact_chunk};
use floutage::media::video::VideoOptions;
use floutage::redact::Settings;
use serde::{Deserialize, Serialize};

use super::STOP;
use super::plan::Job;

/// What a process is asked for, by its standard input.
#[derive(Serialize, Deserialize)]
pub enum Step {
    /// Where to cut, into chunks of at least so many seconds.
    Cut(u64),
    /// What is in the frames of a chunk.
    Find(Chunk),
    /// Redact and encode a chunk.
    Redact(Chunk, Decided),
    /// Put these chunks together.
    Join(Vec<Part>),
}

/// What it says.
#[derive(Serialize, Deserialize)]
pub enum Outcome {
    Cut(Split<Vec<Chunk>>),
    Found(Split<Box<Found>>),
    Redacted(Split<Box<Part>>),
    Joined(Box<Report>),
}

impl Step {
    /// What this process is asked for.
    pub fn asked() -> Result<Self> {
        serde_json::from_reader(std::io::stdin().lock()).context("what to do is not understood")
    }

    /// The folder in which this step writes; None where it writes nothing.
    pub fn writes(&self, output: &Path) -> Option<PathBuf> {
        match self {
            Self::Cut(_) | Self::Find(_) => None,
            Self::Redact(..) => Some(folder(output)),
            Self::Join(_) => output.parent().map(Path::to_owned),
        }
    }

    /// Does it.
    pub fn take(
        self,
        job: &Job,
        detector: impl FnOnce() -> Result<floutage::detect::SharedDetector>,
        (settings, options): (&Settings, &VideoOptions),
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<Outcome> {
        let (input, output) = (&*job.input, &*job.output);
        Ok(match self {
            Self::Cut(seconds) => Outcome::Cut(cuts(input, seconds, &STOP)?),
            Self::Find(chunk) => {
                let found = find(input, &chunk, detector()?, &STOP, progress)?;
                Outcome::Found(found.map(Box::new))
            }
            Self::Redact(chunk, decided) => {
                let target = coded(output, chunk.number);
                let target = (&*target, Container::of(output)?);
                let part = redact_chunk(
                    input, &chunk, decided, target, settings, options, &STOP, progress,
                )?;
                Outcome::Redacted(part.map(Box::new))
            }
            Self::Join(parts) => {
                let parts: Vec<_> = parts
                    .into_iter()
                    .enumerate()
                    .map(|(number, part)| (coded(output, number), part))
                    .collect();
                Outcome::Joined(Box::new(join(
                    input, output, &parts, options, &STOP, progress,
                )?))
            }
        })
    }
}

/// Beside `output`, the folder for its chunks.
pub fn folder(output: &Path) -> PathBuf {
    let digest = hash_text(&name::text(output));
    output.with_file_name(format!(".floutage-{}.chunks", &digest[..16]))
}

/// The file of chunk `number`: redacted, but no video that any player knows.
fn coded(output: &Path, number: usize) -> PathBuf {
    folder(output).join(format!("{number:04}.coded"))
}
