//! Signing.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use c2pa::{Builder, Context, Settings};
use image::ImageEncoder;
use serde_json::json;

use super::shape;
use super::{Format, Identity, Statement};
use crate::error::{Error, Result};
use crate::media::partial::PartialFile;
use crate::redact::Style;

/// A larger output is copied through a file without a name, a smaller one through memory; in MiB.
const IN_MEMORY: u64 = 64;

/// What a statement may add to a file, with room to spare, in bytes.
const ADDED: u64 = 1 << 20;

/// Has this process make temporary files in `folder`, where it may write, instead of the system's folder. Only the first call counts.
pub fn temporary_files_in(folder: &Path) {
    let _ = tempfile::env::override_temp_dir(folder);
}

impl Identity {
    /// Writes the output `from` with the statement `what` to `to`, which may be the same file. A large output goes through a file without
    /// a name in the temporary folder, or in that of [`temporary_files_in`].
    ///
    /// Errors: [`Error::Io`]; [`Error::Media`] when it cannot be signed. Then nothing has changed, and nothing is left.
    pub fn sign(
        &self,
        what: &Statement,
        format: Format,
        from: &Path,
        to: &Path,
        overwrite: bool,
    ) -> Result<()> {
        let reading = |error| Error::io(from, "reading", error);
        let mut source = File::open(from).map_err(reading)?;
        let length = source.metadata().map_err(reading)?.len();
        // The statement goes before the pictures, whose offsets may have 32 bits.
        if format != Format::Jpeg
            && length <= u64::from(u32::MAX)
            && length + ADDED > u64::from(u32::MAX)
        {
            return Err(Error::media(
                to.display().to_string(),
                "it could not be signed, so it was not kept: it is so little under 4 GiB that a statement has no room; use another quality",
            ));
        }
        let partial = PartialFile::create(to, overwrite)?;
        let mut signed = OpenOptions::new()
            .read(true)
            .write(true)
            .open(partial.path())
            .map_err(|error| Error::io(to, "writing", error))?;
        self.sign_stream(what, format, &mut source, &mut signed)
            .map_err(|problem| {
                Error::media(
                    to.display().to_string(),
                    format!("it could not be signed, so it was not kept: {problem}"),
                )
            })?;
        partial.finish()
    }

    fn sign_stream(
        &self,
        what: &Statement,
        format: Format,
        source: &mut (impl Read + Seek + Send),
        signed: &mut (impl Read + Write + Seek + Send),
    ) -> std::result::Result<(), c2pa::Error> {
        let mut builder =
            Builder::from_context(context()?).with_definition(shape::definition(what))?;
        builder.sign(self.signer.as_ref(), format.media_type(), source, signed)?;
        Ok(())
    }
}

/// No network, nobody trusted or distrusted, and what was signed is read again and checked.
pub fn context() -> std::result::Result<Context, c2pa::Error> {
    let settings = json!({
        "verify": {
            "verify_after_reading": true,
            "verify_after_sign": true,
            "verify_after_sign_hash": true,
            "verify_trust": false,
            "ocsp_fetch": false,
            "remote_manifest_fetch": false,
        },
        "builder": { "thumbnail": { "enabled": false } },
        "core": { "backing_store_memory_threshold_in_mb": IN_MEMORY },
    });
    Context::new().with_settings(Settings::new().with_json(&settings.to_string())?)
}

/// Signs a picture in memory.
pub fn try_out(identity: &Identity) -> std::result::Result<(), String> {
    let mut picture = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut picture)
        .write_image(&[0; 64], 8, 8, image::ExtendedColorType::L8)
        .map_err(|error| error.to_string())?;
    let nothing = Statement {
        face_style: Style::Fill,
        plate_style: Style::Fill,
        models: Vec::new(),
        frames: 0,
        faces: 0,
        plates: 0,
        frames_filled: 0,
    };
    let mut signed = Cursor::new(Vec::new());
    identity
        .sign_stream(
            &nothing,
            Format::Jpeg,
            &mut Cursor::new(picture),
            &mut signed,
        )
        .map_err(|error| error.to_string())
}
