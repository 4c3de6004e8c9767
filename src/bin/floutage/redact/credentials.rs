//! The signed statement in each output.
//!
//! The private key stays in the process that the user started: processes that decode a video are not let near it. They write an output
//! without a statement, of a name of its own, and this one signs it under its right name.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use floutage::audit::ModelIdentity;
use floutage::batch::identity::hash_text;
use floutage::credentials::{Format, Identity, Statement, temporary_files_in};
use floutage::media::partial::remove_leftover;
use floutage::media::report::Report;
use floutage::redact::{Settings, Style};

use super::Args;

/// What it takes to sign the outputs of one run.
pub struct Credentials {
    identity: Identity,
    models: Vec<String>,
    face_style: Style,
    plate_style: Style,
}

impl Credentials {
    /// Reads what `args` name, if they name something, before any work is done.
    pub fn open(args: &Args, settings: &Settings) -> Result<Option<Self>> {
        let Some(path) = &args.c2pa else {
            return Ok(None);
        };
        let models = ModelIdentity::of(&args.detector.settings()?)?;
        Ok(Some(Self {
            identity: Identity::load(path)?,
            models: models.into_iter().map(|model| model.sha256).collect(),
            face_style: settings.face.style,
            plate_style: settings.plate.style,
        }))
    }

    /// Signs the output `from` of `report` under the name `to`, which may be the same. When that fails nothing has the name.
    pub fn sign(&self, report: &Report, from: &Path, to: &Path, overwrite: bool) -> Result<()> {
        let statement = Statement {
            face_style: self.face_style,
            plate_style: self.plate_style,
            models: self.models.clone(),
            frames: report.frames,
            faces: report.regions.face,
            plates: report.regions.plate,
            frames_filled: report.frames_failed_closed,
        };
        let format = format(to)?;
        // One folder that the run writes to does for all of its outputs.
        temporary_files_in(to.parent().unwrap_or(Path::new(".")));
        Ok(self
            .identity
            .sign(&statement, format, from, to, overwrite)?)
    }
}

/// The format of `output`, which has to have a place for a statement.
pub fn format(output: &Path) -> Result<Format> {
    let Some(format) = Format::of(output) else {
        bail!(
            "{}: content credentials (--c2pa) go into .mp4, .mov and .jpg only",
            output.display()
        );
    };
    Ok(format)
}

/// An output that is not signed yet; removed when dropped.
pub struct Unsigned(PathBuf);

impl Unsigned {
    /// A name beside `output`, with its extension. What an earlier run left there is removed.
    pub fn beside(output: &Path) -> Self {
        let digest = hash_text(&output.to_string_lossy());
        let extension = output.extension().unwrap_or_default().to_string_lossy();
        let name = format!(".floutage-unsigned-{}.{extension}", &digest[..16]);
        let unsigned = Self(output.with_file_name(name));
        unsigned.remove();
        unsigned
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn remove(&self) {
        remove_leftover(&self.0);
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "cannot remove the unsigned output");
        }
    }
}

impl Drop for Unsigned {
    fn drop(&mut self) {
        self.remove();
    }
}
