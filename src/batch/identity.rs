//! What a file is.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::storage::Found;

/// Size and time of a file, and of an object the server's mark: what tells cheaply that it may have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Time of the last change in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The server's mark of an object's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl From<Found> for Stamp {
    fn from(found: Found) -> Self {
        Self {
            size: found.size,
            mtime_ns: found.modified_ns,
            etag: found.etag,
        }
    }
}

impl Stamp {
    /// The stamp of the file at `path`.
    ///
    /// Errors: [`Error::Io`].
    pub fn of(path: &Path) -> Result<Self> {
        let found = std::fs::metadata(path).map_err(|error| Error::io(path, "reading", error))?;
        let since = found
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Ok(Self {
            size: found.len(),
            mtime_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            etag: None,
        })
    }
}

/// A file's stamp and its content's hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Size and time.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// BLAKE3 of the content, lower-case hexadecimal.
    pub blake3: String,
}

impl Identity {
    /// Reads the file at `path` to its end, with bounded memory.
    ///
    /// Errors: [`Error::Io`]; [`Error::Media`] when the file changes meanwhile.
    pub fn of(path: &Path) -> Result<Self> {
        let stamp = Stamp::of(path)?;
        let blake3 = hash_file(path)?;
        if Stamp::of(path)? != stamp {
            let problem = "the file changes while it is read; wait until it is complete";
            return Err(Error::media(path.display().to_string(), problem));
        }
        Ok(Self { stamp, blake3 })
    }
}

/// BLAKE3 of a file's content, lower-case hexadecimal.
///
/// Errors: [`Error::Io`].
pub fn hash_file(path: &Path) -> Result<String> {
    let io = |source| Error::io(path, "reading", source);
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().to_hex().to_string()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io(error)),
        }
    }
}

/// BLAKE3 of a text, lower-case hexadecimal.
pub fn hash_text(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
