//! Names of files as text, also of those that are not UTF-8: journals, plans and accounts hold text.
//!
//! Invariant: [`path`] gives back what [`text`] was given, byte for byte.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::storage::is_address;

/// `path` as text: each byte that is not UTF-8 as `\xHH`, and a backslash that would be read as the beginning of such a byte,
/// too.
pub fn text(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let escaped = escaped(&rest.as_bytes()[at..]).is_some();
            text.push_str(if escaped { "\\x5c" } else { "\\" });
            rest = &rest[at + 1..];
        }
        text.push_str(rest);
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The path that is written as `text`. Addresses of objects are what they are.
pub fn path(text: &str) -> Cow<'_, Path> {
    if !text.contains("\\x") || is_address(text) {
        return Cow::Borrowed(Path::new(text));
    }
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(PathBuf::from(OsString::from_vec(bytes)))
}

/// The byte that `bytes` begin with as `\xHH`.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'\\', b'x', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> PathBuf {
        PathBuf::from(OsString::from_vec(bytes.to_vec()))
    }

    #[test]
    fn only_what_is_no_text_is_escaped() {
        for (bytes, expected) in [
            (&b"/a/caf\xe9.mp4"[..], "/a/caf\\xe9.mp4"),
            ("/a/café.mp4".as_bytes(), "/a/café.mp4"),
            (b"a\\b.mp4", "a\\b.mp4"),
            (b"a\\x41.mp4", "a\\x5cx41.mp4"),
            (b"\\\xff", "\\\\xff"),
        ] {
            assert_eq!(text(&of(bytes)), expected);
            assert_eq!(path(expected), of(bytes), "{expected}");
        }
        assert_eq!(path("s3://b/a\\x41"), Path::new("s3://b/a\\x41"));
    }

    proptest! {
        #[test]
        fn every_name_comes_back(bytes in prop::collection::vec(prop::sample::select(b"\\x4f1\xc3\xa9\xff/a".to_vec()), 0..24)) {
            prop_assert_eq!(path(&text(&of(&bytes))).into_owned(), of(&bytes));
        }
    }
}
