//! What the gateway knows about its cameras, read by the web page and metrics. Holds no pixels but encoded redacted ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::Error;

/// How a camera does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Not a picture yet.
    Starting,
    /// Every frame is redacted and served.
    Live,
    /// Pictures come, but frames are dropped or filled.
    Degraded,
    /// The camera is away and asked for again; its outputs show a filled frame.
    Reconnecting,
    /// It failed in a way that trying again is unlikely to mend (wrong password, no such model); tried again all the same.
    Failed,
}

/// A camera as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct CameraStatus {
    /// Name in the configuration.
    pub name: String,
    /// How it does.
    pub health: Health,
    /// Since when it does so.
    pub since: SystemTime,
    /// Width of the redacted picture in pixels; 0 before the first.
    pub width: u32,
    /// Height of the redacted picture in pixels; 0 before the first.
    pub height: u32,
    /// Redacted frames per second, over the last seconds.
    pub frames_per_second: f64,
    /// From the camera's picture arriving to its redacted one leaving the encoder.
    pub latency: Duration,
    /// One of so many frames is analysed; rises under overload.
    pub detect_every: u32,
    /// Frames that were redacted or filled since the gateway started.
    pub frames: u64,
    /// Frames that were filled because they could not be analysed.
    pub frames_failed_closed: u64,
    /// Of these, frames that arrived damaged, or were made from such.
    pub frames_damaged: u64,
    /// Frames that were dropped, unseen by any output, under overload or by a slow output.
    pub frames_dropped: u64,
    /// Regions redacted, by class.
    pub regions: BTreeMap<String, u64>,
    /// Seconds spent in the model since the gateway started.
    pub inference_seconds: f64,
    /// How often the camera was asked for again.
    pub reconnects: u64,
    /// The last thing that went wrong; holds no credentials.
    pub last_error: Option<String>,
    /// True while a recording is written.
    pub recording: bool,
    /// RTSP clients that watch it now.
    pub clients: u32,
}

/// A finished or growing recording.
#[derive(Clone, Debug, Serialize)]
pub struct Recording {
    /// File name within the camera's folder.
    pub file: String,
    /// When its first picture was taken.
    pub start: SystemTime,
    /// Its length in seconds.
    pub seconds: f64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What an administrator may change of a camera while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraSettings {
    /// Polygons that are always filled, corners (x, y) in shares of width and height, 0 to 1.
    pub zones: Vec<Vec<(f64, f64)>>,
    /// Share by which every region's width and height grow, 0 to 3.
    pub margin: f64,
    /// Least confidence of a detection, 0.01 to 0.99; none: the model's own.
    pub confidence_threshold: Option<f64>,
}

/// The running gateway, as the web page sees it. Every answer is a snapshot; no call waits for a camera.
pub trait Site: Send + Sync + 'static {
    /// All cameras, in the order of the configuration.
    fn cameras(&self) -> Vec<CameraStatus>;
    /// What can be changed of `camera`; none when there is no such camera.
    fn settings(&self, camera: &str) -> Option<CameraSettings>;
    /// Writes the settings into the configuration file, keeping its comments, and takes them up.
    ///
    /// Errors: [`Error::Setting`] for an unknown camera or a value out of its range, [`Error::Io`] when the file cannot be
    /// written; nothing has changed then.
    fn change(&self, camera: &str, settings: CameraSettings) -> Result<(), Error>;
    /// The recordings of `camera`, oldest first.
    fn recordings(&self, camera: &str) -> Vec<Recording>;
    /// Where the recording `file` lies; none for any name that [`recordings`](Self::recordings) does not list.
    fn recording_path(&self, camera: &str, file: &str) -> Option<PathBuf>;
    /// A part of the live stream with its content type: "index.m3u8", "init.mp4" or "N.m4s".
    fn hls(&self, camera: &str, name: &str) -> Option<(Vec<u8>, &'static str)>;
    /// JPEG of the last redacted picture.
    fn snapshot(&self, camera: &str) -> Option<Vec<u8>>;
    /// True when every camera has been started and its outputs can be asked for.
    fn ready(&self) -> bool;
}
