//! The entry of each file in the tamper-evident record.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use floutage::Error;
use floutage::audit::{Event, FileIdentity, Log, ModelIdentity, Redacted, Versions};
use floutage::media::report::Report;
use floutage::sandbox::Confinement;
use serde_json::Value;

use super::plan::{Job, Kind};
use super::{Args, Audio};
use crate::audit::state;

/// The record of one run, ready to be written to.
pub struct Record {
    log: Log,
    models: Vec<ModelIdentity>,
    settings: Value,
    /// Asked only once confined: asking starts ONNX Runtime's threads.
    versions: OnceCell<Versions>,
}

impl Record {
    /// Opens the log that `args` name, if they name one, before any work is done.
    pub fn open(args: &Args, settings: &floutage::redact::Settings) -> Result<Option<Self>> {
        let Some(path) = &args.audit_log else {
            return Ok(None);
        };
        let log = Log::new(path, &state()?);
        log.prepare()
            .context("nothing was redacted, for it could not be recorded")?;
        Ok(Some(Self {
            log,
            models: ModelIdentity::of(&args.detector.settings()?)?,
            settings: describe(args, settings)?,
            versions: OnceCell::new(),
        }))
    }

    /// What the record writes to.
    pub fn places(&self) -> [PathBuf; 2] {
        [self.log.path().to_owned(), self.log.folder().to_owned()]
    }

    /// Records a finished file. When that fails the output is there, and the error says so.
    pub fn done(&self, job: &Job, report: &Report, confinement: Confinement) -> Result<()> {
        let what = match job.kind {
            Kind::Picture => "picture",
            Kind::Video => "video",
        };
        let write = || {
            let confinement = if report.confinement.is_empty() {
                confinement.name().to_owned()
            } else {
                report.confinement.clone()
            };
            self.log.append(Event::Redacted(Box::new(Redacted {
                input: Some(FileIdentity::of(&job.input)?),
                output: Some(FileIdentity::of(&job.output)?),
                versions: self.versions.get_or_init(Versions::current).clone(),
                models: self.models.clone(),
                settings: self.settings.clone(),
                confinement,
                ..Redacted::counts(what, report)
            })))
        };
        write().map(|_| ()).with_context(|| {
            format!(
                "{}: it is redacted and complete, but could not be recorded",
                job.output.display()
            )
        })
    }

    /// Records a file that failed.
    pub fn failed(&self, input: &Path, error: &anyhow::Error) -> Result<()> {
        let reason = match error.downcast_ref::<Error>() {
            Some(Error::Interrupted) => "interrupted",
            Some(Error::Io { .. }) => "file",
            Some(Error::Model { .. } | Error::Runtime(_)) => "model",
            Some(Error::Setting { .. }) => "setting",
            Some(Error::Media { .. }) => "media",
            _ => "other",
        };
        let event = Event::Failed {
            input: FileIdentity::of(input).ok(),
            reason: reason.into(),
        };
        self.log
            .append(event)
            .map(|_| ())
            .context("a failure could not be recorded")
    }
}

/// The settings by name; no names of files.
fn describe(args: &Args, settings: &floutage::redact::Settings) -> Result<Value> {
    let mut described = floutage::audit::settings(
        &args.detector.settings()?,
        &args.tracking.settings(),
        settings,
    );
    let audio = if args.audio == Audio::Keep {
        "keep"
    } else {
        "drop"
    };
    described["audio"] = audio.into();
    described["draw"] = args.draw.into();
    described["strict"] = args.strict.into();
    Ok(described)
}
