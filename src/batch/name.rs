//! Names of files as text, also of those that are not UTF-8: journals, plans and accounts hold text.
//!
//! Invariant: [`path`] gives back what [`text`] was given, byte for byte.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::storage::is_address;

/// `path` as text: each byte that is not UTF-8 or belongs to a control as `\xHH`, and a backslash that would
/// be read as the beginning of such a byte, too.
pub fn text(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        for (at, letter) in valid.char_indices() {
            let rest = &valid.as_bytes()[at..];
            if is_control(letter) || letter == '\\' && escaped(rest).is_some() {
                escape(&rest[..letter.len_utf8()], &mut text);
            } else {
                text.push(letter);
            }
        }
        escape(chunk.invalid(), &mut text);
    }
    text
}

/// `text` with `\xHH` in place of controls, but for line ends and tabs: what can be shown on a terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) {
            escape(letter.encode_utf8(&mut [0; 4]).as_bytes(), &mut shown);
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// True for what [`printable`] replaces. All of them are of the basic multilingual plane.
pub fn is_hidden(letter: char) -> bool {
    is_control(letter) && !matches!(letter, '\n' | '\t')
}

/// What commands a terminal instead of being shown, turns the direction of what is beside it, breaks a line, or is not to be
/// seen at all.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
        )
        || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
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
            (b"a\x1b[31m\n.mp4", "a\\x1b[31m\\x0a.mp4"),
            ("a\u{202e}4pm.mp4".as_bytes(), "a\\xe2\\x80\\xae4pm.mp4"),
        ] {
            assert_eq!(text(&of(bytes)), expected);
            assert_eq!(path(expected), of(bytes), "{expected}");
        }
        assert_eq!(path("s3://b/a\\x41"), Path::new("s3://b/a\\x41"));
    }

    #[test]
    fn lines_cannot_command_a_terminal() {
        assert_eq!(printable("a\tb\nc é"), "a\tb\nc é");
        assert_eq!(
            printable("a\x1b]0;x\x07\u{9b}b"),
            "a\\x1b]0;x\\x07\\xc2\\x9bb"
        );
    }

    proptest! {
        #[test]
        fn every_name_comes_back(bytes in prop::collection::vec(prop::sample::select(b"\\x4f1\xc3\xa9\xff/a\x1b\xc2\x80".to_vec()), 0..24)) {
            prop_assert_eq!(path(&text(&of(&bytes))).into_owned(), of(&bytes));
        }
    }
}
