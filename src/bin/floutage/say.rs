//! Lines for people and programs on standard output and standard error.
//!
//! Unlike `println!`, nothing here panics or stops the work when nobody reads or the disk is full, and no name of a file
//! commands the terminal.

use std::io::Write;

use floutage::batch::name::{is_hidden, printable};
use serde::Serialize;

/// Writes a line to standard output; false when it could not be written for another reason than that the reader went away.
pub fn out(line: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{}", printable(line)).and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            err(&format!(
                "floutage: standard output cannot be written: {error}"
            ));
            false
        }
        _ => true,
    }
}

/// Writes a line to standard error; there is nowhere to say that it failed.
pub fn err(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
}

/// `value` as indented JSON for [`out`].
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| escaped(&text))
}

/// JSON in which what [`out`] would not show as it is, is escaped as JSON does.
pub fn escaped(json: &str) -> String {
    json.chars()
        .fold(String::with_capacity(json.len()), |mut text, letter| {
            if is_hidden(letter) {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)));
            } else {
                text.push(letter);
            }
            text
        })
}

/// An error with its causes, each said once.
pub fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn json_stays_json() {
        let name = "a\u{9b}b\u{202e}c\x1b";
        let text = json(&name).unwrap();
        assert_eq!(printable(&text), text);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }

    #[test]
    fn every_cause_is_said_once() {
        let full = || std::io::Error::from_raw_os_error(28);
        let said = full().to_string();
        let error = anyhow::Error::from(floutage::Error::io("a.mp4", "writing", full()));
        assert_eq!(causes(&error), format!("a.mp4: writing failed: {said}"));
        let error = Err::<(), _>(full()).context("a.mp4: no").unwrap_err();
        assert_eq!(causes(&error), format!("a.mp4: no: {said}"));
    }
}
