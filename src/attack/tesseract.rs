//! Tesseract as a reader of plates: the program that Debian has, run where it is installed.

use std::io::{Cursor, Write};
use std::process::{Command, Stdio};

use image::{ImageFormat, RgbImage};

use super::picture::Picture;
use crate::error::{Error, Result};

const PROGRAM: &str = "tesseract";
const CHARACTERS: &str = "tessedit_char_whitelist=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

/// True when it can be started.
pub(super) fn is_installed() -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("--version").stdin(Stdio::null());
    let outcome = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    outcome.is_ok_and(|status| status.success())
}

/// What it reads in `picture`, taken for one line of text.
///
/// Errors: [`Error::Media`] when it does not run to its end.
pub(super) fn read(picture: &Picture) -> Result<String> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let failed = |problem: String| Error::media(PROGRAM, problem);
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_raw(width, height, picture.pixels().to_vec())
        .ok_or_else(|| failed("the picture has no pixels".into()))?
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(PROGRAM)
        .args(["stdin", "stdout", "--psm", "7", "-c", CHARACTERS])
        // Several run at the same time already.
        .env("OMP_THREAD_LIMIT", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("does not start: {error}")))?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends early says why by its exit code.
        let _ = input.write_all(png.get_ref());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(format!("does not end: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("fails on a plate: {}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
