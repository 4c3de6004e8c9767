//! The configuration file: what it may hold, and what is wrong with it by key, value and line.

pub mod camera;
mod check;
pub mod edit;
mod layered;
pub mod outputs;
pub mod schedule;
pub mod secret;
pub mod units;
pub mod web;

use std::path::Path;

use serde::Deserialize;

pub use check::Problem;

use self::camera::{Camera, Detect, Encode, Redact};
use self::outputs::{Audit, Record, Rtsp};
use self::web::WebSettings;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The RTSP server.
    #[serde(default)]
    pub rtsp: Rtsp,
    /// The web page; without the section there is none.
    pub web: Option<WebSettings>,
    /// Detection, for cameras that do not say otherwise.
    #[serde(default)]
    pub detect: Detect,
    /// Redaction likewise.
    #[serde(default)]
    pub redact: Redact,
    /// Encoding likewise.
    #[serde(default)]
    pub encode: Encode,
    /// Recording likewise.
    #[serde(default)]
    pub record: Record,
    /// The tamper-evident record.
    #[serde(default)]
    pub audit: Audit,
    /// The cameras.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<Camera>,
}

impl Config {
    /// The configuration in `text`; what is not said of a camera comes from the top of the file.
    ///
    /// Errors: everything that is wrong, in the order of lines. No value that could be a password is among it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut config: Self =
            toml::from_str(text).map_err(|error| vec![Problem::syntax(text, &error)])?;
        let problems = check::problems(&config, text);
        if !problems.is_empty() {
            return Err(problems);
        }
        for camera in &mut config.cameras {
            camera.detect = camera.detect.over(&config.detect);
            camera.redact = camera.redact.over(&config.redact);
            camera.encode = camera.encode.over(&config.encode);
            camera.record = camera.record.over(&config.record);
        }
        Ok(config)
    }

    /// The configuration in the file `path`.
    ///
    /// Errors: as of [`parse`](Self::parse); a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let text =
            std::fs::read_to_string(path).map_err(|error| vec![Problem::unreadable(&error)])?;
        Self::parse(&text)
    }
}
