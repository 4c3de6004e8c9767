//! Measuring one clip: the whole work against a plain transcode, and where the time goes.
//!
//! Invariant: nothing is written; every pipeline here ends in a `fakesink`.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::encode::Encoding;
use super::pipeline::{Finder, Measure, Pipeline, Plan, Target, Tracking};
use super::report::{Progress, Stop};
use super::run::run;
use super::video::summarise;
use crate::detect::SharedDetector;
use crate::error::{Error, Result};
use crate::redact;

/// What one pass over the clip took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// Pictures that came out.
    pub frames: u64,
    /// Time on the clock.
    pub wall: Duration,
    /// Time of all processor cores, of this process.
    pub processor: Duration,
    /// Most memory in bytes that this process held; None where the system does not tell.
    pub peak_memory: Option<u64>,
}

impl Pass {
    /// Pictures per second on the clock.
    pub fn frames_per_second(&self) -> f64 {
        self.frames as f64 / self.wall.as_secs_f64().max(1e-9)
    }
}

/// The passes of one round, made one right after the other so that a machine whose speed drifts is the same for
/// all of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// Decoding alone.
    pub decode: Pass,
    /// Decoding, detection and redaction without encoding: the stages below do not wait for the encoder's cores.
    pub redaction: Pass,
    /// Decoding and encoding, with the encoder of `whole`.
    pub transcode: Pass,
    /// Decoding, detection, redaction, encoding.
    pub whole: Pass,
    /// Of `redaction`: scaling frames to the models' inputs.
    pub letterbox: Duration,
    /// Of `redaction`: running the models, on the clock of the thread that waits for them.
    pub inference: Duration,
    /// Of `redaction`: reading the models' outputs.
    pub outputs: Duration,
    /// Of `redaction`: following regions from frame to frame.
    pub track: Duration,
    /// Of `redaction`: redacting.
    pub redact: Duration,
    /// Frames that were filled because they could not be analysed.
    pub failed_closed: u64,
}

/// One stage's part of the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Name of the stage.
    pub stage: &'static str,
    /// Processor time per frame.
    pub per_frame: Duration,
    /// Part of the whole, 0 to 1.
    pub share: f64,
}

impl Round {
    /// Speed of the whole pipeline as a part of the transcode's: 1 where redaction costs nothing.
    pub fn ratio(&self) -> f64 {
        self.whole.frames_per_second() / self.transcode.frames_per_second().max(1e-9)
    }

    /// Where the processor time goes. Decoding is what decoding alone takes; inference what the pass without encoder
    /// takes beyond decoding and the stages that are timed in it, at least what the clock says; encoding what the transcode takes beyond decoding;
    /// "other" what none of these explains.
    pub fn shares(&self) -> Vec<Share> {
        let beyond = |pass: &Pass| pass.processor.saturating_sub(self.decode.processor);
        let timed = self.letterbox + self.outputs + self.track + self.redact;
        let inference = beyond(&self.redaction)
            .saturating_sub(timed)
            .max(self.inference);
        let encode = beyond(&self.transcode);
        let mut stages = vec![
            ("decode", self.decode.processor),
            ("letterbox", self.letterbox),
            ("inference", inference),
            ("outputs", self.outputs),
            ("tracking", self.track),
            ("redaction", self.redact),
            ("encode", encode),
        ];
        let explained: Duration = stages.iter().map(|(_, time)| *time).sum();
        let total = explained.max(self.whole.processor);
        stages.push(("other", total - explained));
        let frames = self.whole.frames.max(1) as f64;
        let share = |(stage, time): (&'static str, Duration)| Share {
            stage,
            per_frame: time.div_f64(frames),
            share: time.as_secs_f64() / total.as_secs_f64().max(1e-9),
        };
        stages.into_iter().map(share).collect()
    }
}

/// All that was measured of one clip.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// The clip.
    pub input: PathBuf,
    /// Width of its pictures in pixels, rotation applied.
    pub width: u32,
    /// Height of its pictures in pixels.
    pub height: u32,
    /// The encoder element of the passes that encode.
    pub encoder: &'static str,
    /// At least one.
    pub rounds: Vec<Round>,
}

impl Benchmark {
    /// The round whose ratio is the median.
    pub fn median(&self) -> Round {
        let mut rounds = self.rounds.clone();
        rounds.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        rounds.get(rounds.len() / 2).copied().unwrap_or_default()
    }
}

/// What to measure with.
pub struct Bench<'a> {
    /// Finds what to redact.
    pub detector: SharedDetector,
    /// How to redact.
    pub settings: &'a redact::Settings,
    /// How to follow what was found.
    pub tracking: Tracking,
    /// How to encode.
    pub encoding: Encoding,
    /// How often; at least once.
    pub rounds: usize,
}

impl Bench<'_> {
    /// Measures `input`. `progress` is told the pass (from 0), the number of passes, and how far the pass is.
    ///
    /// Errors: those of [`super::video::redact_video`] that concern reading, detecting and encoding.
    pub fn run(
        &self,
        input: &Path,
        stop: &Stop,
        progress: &mut dyn FnMut(usize, usize, &Progress),
    ) -> Result<Benchmark> {
        let rounds = self.rounds.max(1);
        // One pass to warm up, four a round.
        let passes = 1 + 4 * rounds;
        let mut pass = 0;
        let mut next = |plan: &Plan<'_>| {
            let outcome = measure(input, plan, stop, &mut |state| {
                progress(pass, passes, state)
            });
            pass += 1;
            outcome
        };
        let decode = Plan::Measure(Measure::Decode);
        let transcode = Plan::Measure(Measure::Transcode(self.encoding));
        let redact = |target| Plan::Redact {
            finder: Finder::Detector(self.detector.clone()),
            settings: self.settings,
            tracking: self.tracking,
            draw: false,
            encoding: self.encoding,
            keep_audio: false,
            target,
        };
        let (unencoded, whole) = (redact(Target::Unencoded), redact(Target::Discard));
        // The first pass also waits for the disk and for plugins to load.
        next(&decode)?;
        let mut benchmark = Benchmark {
            input: input.to_owned(),
            width: 0,
            height: 0,
            encoder: self.encoding.encoder_name()?,
            rounds: Vec::new(),
        };
        for index in 0..rounds {
            let (decoded, _) = next(&decode)?;
            let (unencoded, pipeline) = next(&unencoded)?;
            let report = summarise(&pipeline);
            // In turns, so that neither always comes after the other.
            let (plain, (redacted, pipeline)) = if index % 2 == 0 {
                let (plain, _) = next(&transcode)?;
                (plain, next(&whole)?)
            } else {
                let whole = next(&whole)?;
                let (plain, _) = next(&transcode)?;
                (plain, whole)
            };
            (benchmark.width, benchmark.height) = (report.width, report.height);
            benchmark.rounds.push(Round {
                decode: decoded,
                redaction: unencoded,
                transcode: plain,
                whole: redacted,
                letterbox: Duration::from_nanos(report.letterbox_ns),
                inference: Duration::from_nanos(report.inference_ns),
                outputs: Duration::from_nanos(report.decode_ns),
                track: Duration::from_nanos(report.track_ns),
                redact: Duration::from_nanos(report.redact_ns),
                failed_closed: summarise(&pipeline).frames_failed_closed,
            });
        }
        Ok(benchmark)
    }
}

/// One pass.
fn measure(
    input: &Path,
    plan: &Plan<'_>,
    stop: &Stop,
    progress: &mut dyn FnMut(&Progress),
) -> Result<(Pass, Pipeline)> {
    let name = input.display().to_string();
    let pipeline = Pipeline::build(input, plan)?;
    let fresh = forget_peak_memory();
    let (processor, started) = (processor_time(), Instant::now());
    run(&name, &pipeline, stop, progress)?;
    let wall = started.elapsed();
    let counters = &pipeline.counters;
    let frames = match plan {
        Plan::Measure(Measure::Decode)
        | Plan::Redact {
            target: Target::Unencoded,
            ..
        } => &counters.decoded,
        _ => &counters.encoded,
    }
    .load(Ordering::Relaxed);
    if frames == 0 {
        return Err(Error::media(name, "not one picture could be decoded"));
    }
    let pass = Pass {
        frames,
        wall,
        processor: processor_time().saturating_sub(processor),
        peak_memory: peak_memory().filter(|_| fresh),
    };
    Ok((pass, pipeline))
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Makes [`peak_memory`] count from now on; false where the system cannot. See proc(5), `clear_refs`.
fn forget_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Most resident memory in bytes since the last [`forget_peak_memory`]. See proc(5), `status`.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(frames: u64, wall_ms: u64, processor_ms: u64) -> Pass {
        Pass {
            frames,
            wall: Duration::from_millis(wall_ms),
            processor: Duration::from_millis(processor_ms),
            peak_memory: None,
        }
    }

    #[test]
    fn shares_add_up_and_encoding_is_what_the_transcode_has_more() {
        let round = Round {
            decode: pass(100, 500, 1000),
            redaction: pass(100, 900, 1700),
            transcode: pass(100, 2000, 4000),
            whole: pass(100, 2500, 5000),
            letterbox: Duration::from_millis(100),
            inference: Duration::from_millis(300),
            outputs: Duration::from_millis(50),
            track: Duration::ZERO,
            redact: Duration::from_millis(50),
            failed_closed: 0,
        };
        assert!((round.ratio() - 0.8).abs() < 1e-9);
        let shares = round.shares();
        let share = |name| shares.iter().find(|it| it.stage == name).unwrap();
        assert!((share("decode").share - 0.2).abs() < 1e-9);
        assert!((share("encode").share - 0.6).abs() < 1e-9);
        assert!((share("other").share - 0.06).abs() < 1e-9);
        assert_eq!(share("inference").per_frame, Duration::from_millis(5));
        let sum: f64 = shares.iter().map(|it| it.share).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        // More was measured by stage than as a whole.
        let odd = Round {
            whole: pass(100, 2500, 10),
            ..round
        };
        let sum: f64 = odd.shares().iter().map(|it| it.share).sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_round_is_the_one_in_the_middle() {
        let round = |wall| Round {
            transcode: pass(10, 100, 0),
            whole: pass(10, wall, 0),
            ..Round::default()
        };
        let benchmark = Benchmark {
            input: "clip".into(),
            width: 1,
            height: 1,
            encoder: "x264enc",
            rounds: vec![round(400), round(125), round(200)],
        };
        assert!((benchmark.median().ratio() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn memory_that_was_used_and_given_back_is_seen_until_it_is_forgotten() {
        if !forget_peak_memory() {
            return;
        }
        let before = peak_memory().unwrap();
        let block = vec![1u8; 256 << 20];
        std::hint::black_box(&block);
        drop(block);
        assert!(peak_memory().unwrap() >= before + (200 << 20));
        assert!(forget_peak_memory());
        assert!(peak_memory().unwrap() < before + (200 << 20));
    }
}
