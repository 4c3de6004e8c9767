//! Secret keys in the state folder: one for each log, readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use rustix::rand::{GetRandomFlags, getrandom};

use super::seal;
use crate::digest::hexadecimal;
use crate::error::{Error, Result};

/// `N` bytes that nobody can guess.
///
/// Errors: [`Error::Io`] when the system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())
            .map_err(|error| Error::io("random numbers", "drawing", error.into()))?;
    }
    Ok(bytes)
}

/// A new key.
///
/// Errors: those of [`random`].
pub fn generate() -> Result<SigningKey> {
    Ok(SigningKey::from_bytes(&random()?))
}

/// The file of the key of the log `id`.
pub fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.key"))
}

/// Makes the folder for keys and heads, if need be, for its owner only.
///
/// Errors: [`Error::Io`].
pub fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o700)))
        .map_err(|source| Error::io(folder, "making", source))
}

/// Writes `key` into the new file `path`.
///
/// Errors: [`Error::Io`], also when the file exists.
pub fn write(path: &Path, key: &SigningKey) -> Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| {
            file.write_all(hexadecimal(key.as_bytes()).as_bytes())?;
            file.sync_all()
        });
    if written.is_err() {
        // A part of a key is of no use. What was there before it stays: the name was not free then.
        let is_part = fs::metadata(path).is_ok_and(|found| found.len() < 64);
        if is_part {
            let _ = fs::remove_file(path);
        }
    }
    written.map_err(|source| Error::io(path, "writing", source))
}

/// The key in the file `path`; None when there is no such file.
///
/// Errors: [`Error::Io`] when it cannot be read, holds no key, or others than its owner can read it.
pub fn read(path: &Path) -> Result<Option<SigningKey>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io(path, "reading", source)),
    };
    let wrong = |problem: &str| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, problem.to_owned());
        Error::io(path, "reading", source)
    };
    let mode = fs::metadata(path).map_err(|source| Error::io(path, "reading", source))?;
    if mode.permissions().mode() & 0o077 != 0 {
        return Err(wrong(
            "others than its owner can read this key; consider it known to them: `floutage audit rotate` makes a new one \
             after `chmod 600`",
        ));
    }
    let bytes: Option<[u8; 32]> = seal::bytes(&text).and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| wrong("it holds no key"))?;
    Ok(Some(SigningKey::from_bytes(&bytes)))
}
