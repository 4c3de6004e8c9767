//! The library's error type: what happened, to which input, and what to do about it.

use std::path::PathBuf;

/// Result of the library's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the library. Each kind names its input; the source, where there is one, is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {action} failed: {source}", path = path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What was tried, as a noun or verb: "reading", "writing", "renaming".
        action: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A setting has a value outside its range.
    #[error("{name} = {value}: must be {allowed}")]
    Setting {
        /// The setting's kebab-case name.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The allowed range or values.
        allowed: String,
    },
    /// A frame's planes do not fit its format and size.
    #[error("frame of {width}x{height} {format}: {problem}")]
    Frame {
        /// Pixel format.
        format: &'static str,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// What does not fit.
        problem: String,
    },
    /// A model file or its description cannot be used.
    #[error("model {model}: {problem}")]
    Model {
        /// Name or path of the model.
        model: String,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// ONNX Runtime is missing or does not work.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// The detector failed on a frame; the frame must be filled.
    #[error("detection failed: {0}")]
    Detection(String),
    /// A GStreamer element or pipeline failed.
    #[error("{input}: {problem}")]
    Media {
        /// The file, stream or element concerned.
        input: String,
        /// What happened and what to do.
        problem: String,
    },
    /// The user or a signal asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An [`Error::Setting`].
    pub fn setting(
        name: &'static str,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Setting {
            name,
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }

    /// An [`Error::Io`] on `path`.
    pub fn io(path: impl Into<PathBuf>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            action,
            source,
        }
    }

    /// An [`Error::Model`].
    pub fn model(model: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Model {
            model: model.into(),
            problem: problem.into(),
        }
    }

    /// An [`Error::Media`].
    pub fn media(input: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Media {
            input: input.into(),
            problem: problem.into(),
        }
    }
}
