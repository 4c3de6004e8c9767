//! What a finished job says about itself, and how a running one tells its progress.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize, Serializer};

use super::tally::Tally;

/// Numbers of one finished file. Holds no position and no picture of anything that was redacted, and a time only in the
/// tally.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The file read. Where its name is not UTF-8, what cannot be written as text is replaced by U+FFFD.
    #[serde(serialize_with = "lossy")]
    pub input: PathBuf,
    /// The file written, likewise.
    #[serde(serialize_with = "lossy")]
    pub output: PathBuf,
    /// Pictures written.
    pub frames: u64,
    /// Regions redacted, summed over all frames.
    pub regions: Regions,
    /// Frames filled whole because they could not be analysed.
    pub frames_failed_closed: u64,
    /// Frames that could not be decoded and are missing in the output.
    pub frames_lost: u64,
    /// Frames that the decoder marked as damaged; they were analysed and redacted as they are.
    pub frames_damaged: u64,
    /// Other streams of the input that were left out, by kind.
    pub streams_dropped: Vec<String>,
    /// Audio streams kept.
    pub audio_kept: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Encoder element; empty for pictures.
    pub encoder: String,
    /// Length of the video in seconds; 0 for pictures.
    pub duration_s: f64,
    /// Time it took in seconds.
    pub elapsed_s: f64,
    /// Part of the time, in nanoseconds, spent scaling frames for the models.
    pub letterbox_ns: u64,
    /// Part of the time spent running the models.
    pub inference_ns: u64,
    /// Part of the time spent reading the models' outputs.
    pub decode_ns: u64,
    /// Part of the time spent following regions from frame to frame.
    pub track_ns: u64,
    /// Part of the time spent redacting.
    pub redact_ns: u64,
    /// What went wrong and was survived.
    pub warnings: Vec<String>,
    /// How the process that did it was confined, as [`crate::sandbox::Confinement`] names it; empty where nobody asked.
    #[serde(default)]
    pub confinement: String,
    /// What an account needs beside that, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
}

/// Writes a path as text, whatever bytes are in it.
pub fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Regions by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regions {
    /// Faces.
    pub face: u64,
    /// Licence plates.
    pub plate: u64,
}

impl Report {
    /// Frames per second of work.
    pub fn frames_per_second(&self) -> f64 {
        if self.elapsed_s > 0.0 {
            self.frames as f64 / self.elapsed_s
        } else {
            0.0
        }
    }

    /// Seconds of video per second of work; None for pictures.
    pub fn times_real_time(&self) -> Option<f64> {
        (self.duration_s > 0.0 && self.elapsed_s > 0.0).then(|| self.duration_s / self.elapsed_s)
    }

    /// True when every frame of the input is in the output and was analysed.
    pub fn is_complete(&self) -> bool {
        self.frames_failed_closed == 0 && self.frames_lost == 0 && self.frames_damaged == 0
    }
}

/// State of a running job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Pictures redacted so far.
    pub frames: u64,
    /// Regions redacted so far.
    pub regions: Regions,
    /// Share of the input that is done, 0 to 1; None when its length is not known.
    pub share: Option<f64>,
}

/// Asks running jobs to stop; checked several times a second.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Nobody asked yet.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once somebody asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
