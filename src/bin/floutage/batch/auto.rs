//! How many files to do at once, and how long it will take: measured on this machine, with files of the batch.

use std::sync::Mutex;

use anyhow::Result;
use floutage::Error;
use floutage::batch::name;
use floutage::batch::plan::Item;

use super::pool::arguments;
use crate::redact::plan::{Job, Kind, kind};
use crate::redact::{STOP, worker};

/// Below this many bytes a measurement takes longer than it saves.
const WORTH: u64 = 64 << 20;
/// Seconds of each measurement.
const SECONDS: u32 = 3;

/// What a number of files at once is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Files at once.
    pub jobs: usize,
    /// Frames per second, all files together.
    pub frames_per_s: f64,
    /// Seconds of video per second.
    pub times_real_time: f64,
}

/// The best number of files at once for `items`.
pub fn best_jobs(items: &[&Item], cores: usize) -> Result<usize> {
    let bytes: u64 = items.iter().map(|item| item.size).sum();
    if bytes < WORTH || items.len() < 2 || cores < 2 {
        return Ok(cores);
    }
    Ok(best(items, cores)?.map_or(cores, |speed| speed.jobs))
}

/// The best of one file at a time, as many as there are cores, and what lies between; None where nothing can be measured.
pub fn best(items: &[&Item], cores: usize) -> Result<Option<Speed>> {
    // Large files last longer than the measurement.
    let mut videos: Vec<&Item> = items
        .iter()
        .copied()
        .filter(|item| kind(&name::path(&item.input)).is_ok_and(|kind| kind == Kind::Video))
        .collect();
    videos.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.input.cmp(&b.input)));
    let mut best: Option<Speed> = None;
    for jobs in candidates(cores, videos.len()) {
        let Some(speed) = measure(&videos, jobs, cores)? else {
            continue;
        };
        if best.is_none_or(|best| speed.frames_per_s > best.frames_per_s) {
            best = Some(speed);
        }
    }
    Ok(best)
}

/// Numbers of files at once that are worth a look.
fn candidates(cores: usize, files: usize) -> Vec<usize> {
    let mut all: Vec<usize> = [1, cores / 4, cores / 2, cores]
        .into_iter()
        .filter(|jobs| (1..=files).contains(jobs))
        .collect();
    all.dedup();
    all
}

fn measure(videos: &[&Item], jobs: usize, cores: usize) -> Result<Option<Speed>> {
    let threads = (cores / jobs).max(1);
    let sum = Mutex::new((0.0, 0.0));
    std::thread::scope(|scope| {
        for item in &videos[..jobs] {
            scope.spawn(|| {
                let job = Job {
                    input: name::path(&item.input).into_owned(),
                    output: name::path(&item.output).into_owned(),
                    kind: Kind::Video,
                };
                let sample = [format!("--sample={SECONDS}")];
                let words = arguments(item, threads, sample, &job.output);
                let told = worker::redact_apart(&job, words, Some(threads), None, &mut |_| {});
                // A file that cannot be read is told of when its turn comes.
                if let Ok(report) = told
                    && report.elapsed_s > 0.0
                {
                    let mut sum = sum
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    sum.0 += report.frames as f64 / report.elapsed_s;
                    sum.1 += report.duration_s / report.elapsed_s;
                }
            });
        }
    });
    if STOP.requested() {
        return Err(Error::Interrupted.into());
    }
    let (frames_per_s, times_real_time) = sum.into_inner().unwrap_or_default();
    Ok((frames_per_s > 0.0).then_some(Speed {
        jobs,
        frames_per_s,
        times_real_time,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_fit_machine_and_files() {
        assert_eq!(candidates(16, 100), [1, 4, 8, 16]);
        assert_eq!(candidates(2, 100), [1, 2]);
        assert_eq!(candidates(16, 5), [1, 4]);
        assert_eq!(candidates(1, 5), [1]);
        assert!(candidates(4, 0).is_empty());
    }
}
