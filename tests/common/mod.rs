//! What the integration tests share: clips with exactly known content, made by ffmpeg in the test, and
//! ways of looking at what came out.
//!
//! | module | what it is for |
//! |---|---|
//! | [`scene`] | moving markers on a noisy background, rendered here, so that the truth is exact |
//! | [`batch`] | batches by their command line, and what they left |
//! | [`clip`] | a scene as a file: container, codec, rotation, interlacing, time stamps, side channels |
//! | [`codec`] | the codecs and containers of those files |
//! | [`look`] | a file as frames and facts: decoded pixels, ffprobe, PSNR, where markers are |
//! | [`damage`] | files cut short or damaged in the middle |
//! | [`slurm`] | a Slurm cluster of the test's own |
//! | [`s3`] | a server of objects of the test's own |
//! | [`watch`] | a watcher on everything that is written to a folder |
//! | [`program`] | the program by its command line: what it said, what it left |
#![allow(dead_code)] // Every test program uses its own part of this.

pub mod batch;
pub mod clip;
pub mod codec;
pub mod damage;
pub mod look;
pub mod program;
pub mod s3;
pub mod scene;
pub mod slurm;
pub mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Leaves a test that cannot run on this machine, visibly: `skip!("no YuNet model in {dir}")`.
///
/// The line also goes into the file `FLOUTAGE_SKIP_LOG`, if set, because test runners hide what passing tests
/// print; `make test` shows that file at the end.
#[allow(unused_macros)]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::common::report_skip(module_path!(), &format!($($reason)*));
        return;
    }};
}
#[allow(unused_imports)]
pub(crate) use skip;

/// Prints why something is skipped and notes it in the skip log; see [`skip!`].
pub fn report_skip(test: &str, reason: &str) {
    let line = format!("skipped: {test}: {reason}\n");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("FLOUTAGE_SKIP_LOG") {
        let mut log = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("FLOUTAGE_SKIP_LOG can be opened");
        log.write_all(line.as_bytes())
            .expect("FLOUTAGE_SKIP_LOG can be written");
    }
}

/// A file of the working material beside the repository (`../shared`), which a checkout need not have.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(path);
    path.exists().then_some(path)
}

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder that is removed when the value is dropped.
pub fn temp_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("floutage-test-")
        .tempdir()
        .expect("a temporary folder can be made")
}

/// Runs a tool (ffmpeg, ffprobe, gst-launch-1.0) and returns its standard output; a failure fails the test with
/// what the tool said.
pub fn run_tool(command: &mut Command) -> Vec<u8> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run `make setup`"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// ffmpeg, saying nothing but errors and asking nothing.
pub fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
    command
}

/// True when `needle` occurs in `hay`.
pub fn contains_bytes(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}
