//! Lines for people and programs on standard output and standard error.
//!
//! Unlike `println!`, nothing here panics or stops the work when nobody reads or the disk is full.

use std::io::Write;

/// Writes a line to standard output; false when it could not be written for another reason than that the reader went away.
pub fn out(line: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
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
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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
    fn every_cause_is_said_once() {
        let full = || std::io::Error::from_raw_os_error(28);
        let said = full().to_string();
        let error = anyhow::Error::from(floutage::Error::io("a.mp4", "writing", full()));
        assert_eq!(causes(&error), format!("a.mp4: writing failed: {said}"));
        let error = Err::<(), _>(full()).context("a.mp4: no").unwrap_err();
        assert_eq!(causes(&error), format!("a.mp4: no: {said}"));
    }
}
