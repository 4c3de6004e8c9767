//! Lists of inputs: text files with one name a line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The names in a list, in its order; lines without one are passed over. Names need not be UTF-8.
pub fn parse(content: &[u8]) -> Vec<&Path> {
    content
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| Path::new(OsStr::from_bytes(line)))
        .collect()
}
