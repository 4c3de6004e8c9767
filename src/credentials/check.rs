//! Whether credentials are such as are written here, and hold.

use std::io::{Read, Seek};
use std::ops::Range;

use c2pa::{Reader, ValidationResults};

use super::shape;
use super::sign::context;
use super::{Format, Signed};

/// What must have been found to be right: the signature, and that the file is the one that was signed.
const NEEDED: &[&str] = &["claimSignature.validated"];
/// What may be wrong: nobody is trusted here, whoever reads this decides.
const NO_MATTER: &[&str] = &["signingCredential.untrusted"];

/// Checks the credentials `jumbf`, found at `place` in `file` of `format`: their form, byte by byte, and that the signature is one by the
/// certificate in them over this very file.
///
/// Errors: what is wrong with them.
pub fn check<R: Read + Seek + Send>(
    file: R,
    format: Format,
    jumbf: &[u8],
    place: Range<u64>,
) -> Result<Signed, String> {
    let found = shape::read(jumbf, format, &place)
        .map_err(|problem| format!("content credentials that were not written here: {problem}"))?;
    let broken = |problem: String| format!("content credentials that do not hold: {problem}");
    let reader = context()
        .and_then(|context| Reader::from_context(context).with_stream(format.media_type(), file))
        .map_err(|error| broken(error.to_string()))?;
    if reader.active_label() != Some(&found.label) {
        return Err(broken("there are others".into()));
    }
    let results = reader
        .validation_results()
        .ok_or_else(|| broken("they could not be checked".into()))?;
    judge(results, format).map_err(broken)?;
    Ok(found.signed)
}

fn judge(results: &ValidationResults, format: Format) -> Result<(), String> {
    let results = results
        .active_manifest()
        .ok_or("they could not be checked")?;
    if let Some(failure) = results
        .failure()
        .iter()
        .find(|failure| !NO_MATTER.contains(&failure.code()))
    {
        let explanation = failure.explanation().unwrap_or_default();
        return Err(format!("{} ({explanation})", failure.code()));
    }
    let binding = match format {
        Format::Jpeg => "assertion.dataHash.match",
        Format::Mp4 | Format::QuickTime => "assertion.bmffHash.match",
    };
    let is_there = |code: &str| results.success().iter().any(|found| found.code() == code);
    match NEEDED
        .iter()
        .copied()
        .chain([binding])
        .find(|code| !is_there(code))
    {
        Some(code) => Err(format!("{code} is missing")),
        None => Ok(()),
    }
}
