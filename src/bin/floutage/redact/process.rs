//! What a process does that was started for one file, or one step of it: it confines itself before it decodes anything.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use floutage::redact::Settings;
use floutage::sandbox::Confinement;
use floutage::storage::is_address;

use super::plan::{self, Job, Kind};
use super::step::{Outcome, Step};
use super::{Args, STOP, Worker, worker};
use crate::{confine, logging};

/// Confines the process of one file: what decodes it reads nothing else, and writes beside the output only.
fn confine_worker(args: &Args, job: &Job) -> Result<Confinement> {
    if job.kind == Kind::Video {
        // The list of plugins is read, or made by a program that may still be started now.
        floutage::init()?;
    }
    let mut sandbox = confine::for_detection(&args.detector.settings()?);
    // Objects come and go over a socket that is open already.
    if !is_address(&job.input) {
        sandbox = sandbox.read(&job.input);
    }
    if !is_address(&job.output) {
        sandbox = sandbox.write(job.output.parent().unwrap_or(&job.output));
    }
    args.confine.confine(&sandbox)
}

/// Redacts one file for the program that started this one.
pub fn work_for_parent(args: &Args, settings: Settings, input: &Path, output: &Path) -> ExitCode {
    worker::follow_parent();
    let kind = if is_address(input) {
        Ok(Kind::Video)
    } else {
        plan::kind(input)
    };
    let outcome = kind.and_then(|kind| {
        let job = Job {
            input: input.to_owned(),
            output: output.to_owned(),
            kind,
        };
        let confinement = confine_worker(args, &job)?;
        ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
        let worker = Worker::new(args, settings, None)?;
        let mut report = match job.kind {
            Kind::Picture => worker.picture(&job),
            Kind::Video => worker.video(&job, &mut worker::tell),
        }?;
        confinement.name().clone_into(&mut report.confinement);
        Ok(report)
    });
    let code = u8::from(outcome.is_err());
    worker::conclude(outcome);
    ExitCode::from(code)
}

/// Does one step of the work on a video for the program that started this one.
pub fn step_for_parent(args: &Args, settings: Settings, input: &Path, output: &Path) -> ExitCode {
    worker::follow_parent();
    let job = Job {
        input: input.to_owned(),
        output: output.to_owned(),
        kind: Kind::Video,
    };
    let outcome = Step::asked().and_then(|step| {
        floutage::init()?;
        let mut sandbox = confine::for_detection(&args.detector.settings()?).read(&job.input);
        if let Some(folder) = step.writes(&job.output) {
            sandbox = sandbox.write(folder);
        }
        let confinement = args.confine.confine(&sandbox)?;
        ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
        logging::bridge();
        let worker = Worker::new(args, settings, None)?;
        let options = worker.options(&job)?;
        let mut outcome = step.take(
            &job,
            || worker.detector().cloned(),
            (&worker.settings, &options),
            &mut worker::tell,
        )?;
        if let Outcome::Joined(report) = &mut outcome {
            confinement.name().clone_into(&mut report.confinement);
        }
        Ok(outcome)
    });
    let code = u8::from(outcome.is_err());
    worker::conclude_step(outcome);
    ExitCode::from(code)
}
