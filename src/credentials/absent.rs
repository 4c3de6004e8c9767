//! What a build without content credentials says of them.

use std::convert::Infallible;
use std::io::{Read, Seek};
use std::ops::Range;
use std::path::Path;

use super::{Format, Signed, Statement};
use crate::error::{Error, Result};

const ABSENT: &str =
    "this build has no content credentials; build it with `--features c2pa`, or do without";

/// Who signs; here nobody.
pub struct Identity(Infallible);

impl Identity {
    /// Fails.
    ///
    /// Errors: [`Error::Media`], always.
    pub fn load(path: &Path) -> Result<Self> {
        fingerprint(path).map(|_| unreachable!("it fails"))
    }

    /// Nobody can call it.
    ///
    /// Errors: none.
    pub fn sign(&self, _: &Statement, _: Format, _: &Path, _: &Path, _: bool) -> Result<()> {
        match self.0 {}
    }
}

/// Fails.
///
/// Errors: [`Error::Media`], always.
pub fn fingerprint(path: &Path) -> Result<String> {
    Err(Error::media(path.display().to_string(), ABSENT))
}

/// Does nothing.
pub fn temporary_files_in(_: &Path) {}

/// Fails: what cannot be checked is not accepted.
///
/// Errors: always.
pub fn check<R: Read + Seek + Send>(
    _: R,
    _: Format,
    _: &[u8],
    _: Range<u64>,
) -> std::result::Result<Signed, String> {
    Err("content credentials, which this build cannot check (it lacks the feature `c2pa`)".into())
}
