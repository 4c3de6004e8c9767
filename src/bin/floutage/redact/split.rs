//! A long video in chunks, which several processes redact at the same time: see [`floutage::media::split`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use floutage::Error;
use floutage::media::report::{Progress, Regions, Report};
use floutage::media::split::{Chunk, Found, Part, Split, decide};
use floutage::track;

use super::plan::{Job, Kind, kind};
use super::slots::Slots;
use super::step::{Outcome, Step, folder};
use super::{STOP, worker};

/// What of the settings bears on how a video is split.
#[derive(Clone, Debug)]
pub struct Splitting {
    /// Least length of a chunk in seconds.
    pub seconds: u64,
    /// Why no video can be split with the other settings.
    pub obstacle: Option<&'static str>,
    pub tracking: track::Settings,
    pub strict: bool,
    pub tally: bool,
}

/// A video that may be split.
pub struct Splitter<'a> {
    pub job: &'a Job,
    pub how: &'a Splitting,
    /// The command line of its processes.
    pub arguments: &'a (dyn Fn() -> Vec<OsString> + Sync),
    pub threads: Option<usize>,
    pub slots: &'a Slots,
}

/// What became of it.
pub enum Became {
    Done(Box<Report>),
    /// It is to be redacted as a whole; where it is long, for a reason.
    Whole(Option<String>),
}

/// The folder of chunks, until it is dropped.
struct Chunks(PathBuf);

impl Chunks {
    fn beside(output: &Path) -> Result<Self> {
        sweep(output);
        let folder = folder(output);
        std::fs::create_dir(&folder)
            .with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Chunks {
    fn drop(&mut self) {
        // What is left holds redacted pictures only, and the next run removes it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `report` of a video that was redacted as a whole, with the reason, where there is one.
pub fn whole(mut report: Report, reason: Option<String>) -> Report {
    if let Some(reason) = reason {
        report.warnings.push(format!("not split: {reason}"));
    }
    report
}

/// Removes the chunks that an earlier try of `output` left behind.
pub fn sweep(output: &Path) {
    let _ = std::fs::remove_dir_all(folder(output));
}

/// Whom to tell how far it is.
type Told<'a> = &'a mut (dyn FnMut(&Progress) + Send);

/// Progress of all chunks together.
struct Sum<'a> {
    total: u64,
    chunks: Mutex<(Vec<[Progress; 2]>, Told<'a>)>,
}

impl Sum<'_> {
    /// Chunk `number` has got so far in finding (0) or redacting (1).
    fn note(&self, number: usize, pass: usize, progress: &Progress) {
        let mut guard = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let (chunks, tell) = &mut *guard;
        if let Some(chunk) = chunks.get_mut(number) {
            chunk[pass] = *progress;
        }
        let mut all = Progress::default();
        let mut looked = 0;
        for [found, redacted] in chunks.iter() {
            looked += found.frames + redacted.frames;
            all.frames += redacted.frames;
            all.regions.face += redacted.regions.face;
            all.regions.plate += redacted.regions.plate;
        }
        all.share = (self.total > 0).then(|| looked as f64 / (2 * self.total) as f64);
        tell(&all);
    }
}

impl Splitter<'_> {
    /// Redacts it in chunks, if that can be done.
    pub fn redact(&self, progress: &mut (dyn FnMut(&Progress) + Send)) -> Result<Became> {
        if kind(&self.job.input)? == Kind::Picture {
            return Ok(Became::Whole(None));
        }
        let started = Instant::now();
        let chunks = match self.step(&Step::Cut(self.how.seconds), &mut |_| {})? {
            Outcome::Cut(Ok(chunks)) => chunks,
            Outcome::Cut(Err(reason)) => return Ok(Became::Whole(Some(reason))),
            _ => bail!(confused()),
        };
        if chunks.len() < 2 {
            return Ok(Became::Whole(None));
        }
        if let Some(obstacle) = self.how.obstacle {
            return Ok(Became::Whole(Some(obstacle.into())));
        }
        let sum = Sum {
            total: chunks.iter().map(|chunk| chunk.frames).sum(),
            chunks: Mutex::new((vec![Default::default(); chunks.len()], progress)),
        };
        Ok(match self.chunks(chunks, &sum)? {
            Ok(report) => Became::Done(Box::new(Report {
                elapsed_s: started.elapsed().as_secs_f64(),
                ..report
            })),
            Err(reason) => Became::Whole(Some(reason)),
        })
    }

    fn chunks(&self, chunks: Vec<Chunk>, sum: &Sum<'_>) -> Result<Split<Report>> {
        let found = self.each(chunks.len(), |number| {
            let step = Step::Find(chunks[number].clone());
            match self.step(&step, &mut |progress| sum.note(number, 0, progress))? {
                Outcome::Found(found) => Ok(found.map(|found| *found)),
                _ => bail!(confused()),
            }
        })?;
        let found: Vec<Found> = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        let deciding = Instant::now();
        let (decided, tally) = match decide(&chunks, &found, self.how.tracking)? {
            Ok(decided) => decided,
            Err(reason) => return Ok(Err(reason)),
        };
        let track_ns = deciding.elapsed().as_nanos() as u64;
        let looking: Vec<Report> = found.into_iter().map(|found| found.report).collect();
        let output = &self.job.output;
        let _folder = Chunks::beside(output)?;
        let decided: Vec<_> = decided
            .into_iter()
            .map(|one| Mutex::new(Some(one)))
            .collect();
        let parts = self.each(chunks.len(), |number| {
            let mut decided = decided[number]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let step = Step::Redact(chunks[number].clone(), decided.take().unwrap_or_default());
            drop(decided);
            match self.step(&step, &mut |progress| sum.note(number, 1, progress))? {
                Outcome::Redacted(part) => Ok(part.map(|part| *part)),
                _ => bail!(confused()),
            }
        })?;
        let parts: Vec<Part> = match parts {
            Ok(parts) => parts,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut report = total(&parts, &looking);
        if self.how.strict && !report.is_complete() {
            let problem = format!(
                "{} frames filled because they could not be analysed; no output is kept in strict mode",
                report.frames_failed_closed
            );
            return Err(Error::media(self.job.input.display().to_string(), problem).into());
        }
        let joined = match self.step(&Step::Join(parts), &mut |_| {})? {
            Outcome::Joined(joined) => *joined,
            _ => bail!(confused()),
        };
        report.input = joined.input;
        report.output = joined.output;
        report.streams_dropped = joined.streams_dropped;
        report.audio_kept = joined.audio_kept;
        report.duration_s = joined.duration_s;
        report.confinement = joined.confinement;
        report.track_ns = track_ns;
        report.tally = self.how.tally.then_some(tally);
        Ok(Ok(report))
    }

    /// Does `work` for each of `count` chunks, as many at once as there are slots; stops at the first that fails.
    fn each<T: Send>(
        &self,
        count: usize,
        work: impl Fn(usize) -> Result<Split<T>> + Sync,
    ) -> Result<Split<Vec<T>>> {
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..self.slots.count().min(count) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            break;
                        }
                        let result = work(number);
                        if !matches!(result, Ok(Ok(_))) {
                            stop.store(true, Ordering::Relaxed);
                        }
                        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                        results.push((number, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_by_key(|(number, _)| *number);
        let mut all = Vec::new();
        for (_, result) in results {
            match result? {
                Ok(one) => all.push(one),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        if all.len() < count {
            bail!(confused());
        }
        Ok(Ok(all))
    }

    fn step(&self, step: &Step, progress: &mut dyn FnMut(&Progress)) -> Result<Outcome> {
        let _slot = self.slots.take();
        if STOP.requested() {
            return Err(Error::Interrupted.into());
        }
        let arguments = (self.arguments)().into_iter();
        worker::step_apart(self.job, arguments, self.threads, step, progress)
    }
}

fn confused() -> &'static str {
    "a chunk's process answered something else; please report it"
}

/// The numbers of all chunks together.
fn total(parts: &[Part], looking: &[Report]) -> Report {
    let mut all = Report::default();
    for part in parts.iter().map(|part| &part.report) {
        all.frames += part.frames;
        all.regions = Regions {
            face: all.regions.face + part.regions.face,
            plate: all.regions.plate + part.regions.plate,
        };
        all.frames_failed_closed += part.frames_failed_closed;
        all.frames_lost += part.frames_lost;
        all.frames_damaged += part.frames_damaged;
        all.redact_ns += part.redact_ns;
        (all.width, all.height) = (part.width, part.height);
        all.encoder.clone_from(&part.encoder);
    }
    for found in looking {
        all.letterbox_ns += found.letterbox_ns;
        all.inference_ns += found.inference_ns;
        all.decode_ns += found.decode_ns;
    }
    all
}
