//! What an entry says.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::detect::DetectorSettings;
use crate::detect::registry::Registry;
use crate::detect::session;
use crate::digest::{hexadecimal, sha256_of};
use crate::error::{Error, Result};
use crate::media::report::Report;

/// One line of the log, without its signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// From 0.
    pub seq: u64,
    /// When it was written: UTC.
    pub time: String,
    /// SHA-256 of the line before; of the first line 64 zeros.
    pub previous: String,
    /// The public key that signed it.
    pub key: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The log begins. Written by [`super::Log`] itself.
    Opened {
        /// What tells this log from others: drawn at random.
        log: String,
        /// Version of the program.
        version: String,
    },
    /// The key changes. Written by [`super::Log::rotate`].
    Rotated {
        /// The new public key.
        new_key: String,
        /// The new key's signature over `previous`: it vouches for all that was written before.
        proof: String,
    },
    /// A file, a recording's segment or an hour of a stream was redacted.
    Redacted(Box<Redacted>),
    /// A file could not be redacted; there is no output.
    Failed {
        /// What it was, where it could be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        input: Option<FileIdentity>,
        /// Why, in one word: `input`, `output`, `model`, `setting`, `interrupted`, `other`.
        reason: String,
    },
    /// A service started.
    Started {
        /// Its versions.
        versions: Versions,
        /// Its models.
        models: Vec<ModelIdentity>,
        /// Its settings, without names, addresses and credentials.
        settings: serde_json::Value,
    },
    /// A service stopped.
    Stopped {
        /// Why, in one word.
        reason: String,
    },
    /// A source gave nothing, or nothing of it was recorded.
    Gap {
        /// The source, as the operator calls it.
        source: String,
        /// For so long, in seconds.
        seconds: f64,
        /// Why, in a few words.
        reason: String,
    },
    /// Recordings were removed because their time was over.
    Purged {
        /// How many files.
        files: u64,
        /// How many bytes.
        bytes: u64,
        /// After so many days.
        days: f64,
        /// Whose recordings, as the operator calls the source.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        source: Option<String>,
        /// When the youngest of them began; nothing older of that source is left.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        through: Option<String>,
    },
}

/// A file, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}

impl FileIdentity {
    /// Reads the file `path` once.
    ///
    /// Errors: [`Error::Io`].
    pub fn of(path: &Path) -> Result<Self> {
        let error = |source| Error::io(path, "reading", source);
        let mut file = File::open(path).map_err(error)?;
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer).map_err(error)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            bytes += count as u64;
        }
        Ok(Self {
            sha256: hexadecimal(&digest.finalize()),
            bytes,
        })
    }
}

/// A model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Its name; of a file its name without folders.
    pub name: String,
    /// SHA-256 of its file, in hexadecimal.
    pub sha256: String,
}

impl ModelIdentity {
    /// The models that `settings` name.
    ///
    /// Errors: those of opening them.
    pub fn of(settings: &DetectorSettings) -> Result<Vec<Self>> {
        let registry = Registry::load(settings.models_dir.as_deref())?;
        let names = if settings.models.is_empty() {
            registry.defaults()
        } else {
            settings.models.clone()
        };
        let identity = |name: &String| {
            let model = registry.open(name)?;
            let name = Path::new(name).file_name().unwrap_or_default();
            Ok(Self {
                name: name.to_string_lossy().into_owned(),
                sha256: sha256_of(&model.bytes),
            })
        };
        names.iter().map(identity).collect()
    }
}

/// What did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub floutage: String,
    /// GStreamer.
    pub gstreamer: String,
    /// ONNX Runtime; empty when it could not be asked.
    pub onnxruntime: String,
}

impl Versions {
    /// Those of a process that does not detect: without ONNX Runtime, which asking would start.
    pub fn of_program() -> Self {
        let (major, minor, micro, _) = gst::version();
        Self {
            floutage: env!("CARGO_PKG_VERSION").to_owned(),
            gstreamer: format!("{major}.{minor}.{micro}"),
            onnxruntime: String::new(),
        }
    }

    /// Those of this process.
    pub fn current() -> Self {
        Self {
            onnxruntime: session::runtime_version().unwrap_or_default(),
            ..Self::of_program()
        }
    }
}

/// One finished output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Redacted {
    /// What it is: `video`, `picture`, `segment`, `stream`.
    pub what: String,
    /// What it was made of, where that is a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub input: Option<FileIdentity>,
    /// Where it came from, where that is a stream: as the operator calls it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source: Option<String>,
    /// What was written, where that is a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output: Option<FileIdentity>,
    /// What did it.
    pub versions: Versions,
    /// Models in use.
    pub models: Vec<ModelIdentity>,
    /// Settings, without names of files.
    pub settings: serde_json::Value,
    /// Frames written.
    pub frames: u64,
    /// Faces redacted, summed over all frames.
    pub faces: u64,
    /// Licence plates likewise.
    pub plates: u64,
    /// Frames filled whole because they could not be analysed.
    pub frames_failed_closed: u64,
    /// Frames that could not be decoded and are missing.
    pub frames_lost: u64,
    /// Frames that were damaged.
    pub frames_damaged: u64,
    /// Streams left out, by kind.
    pub streams_dropped: Vec<String>,
    /// Sound streams kept.
    pub audio_kept: u32,
    /// Length in seconds.
    pub duration_s: f64,
    /// How the process was confined, as [`crate::sandbox::Confinement`] says it.
    pub confinement: String,
    /// When the first picture of a recording was taken: UTC, to the millisecond. With the source it names the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub begin: Option<String>,
    /// When its last picture ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end: Option<String>,
    /// The program ended while the file was written: the entry was made at the next start from what the file then held, and
    /// of its regions there is no count. Without an output there was no file.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub unfinished: bool,
}

impl Redacted {
    /// What `report` counts, of a file; the files themselves and the circumstances are the caller's.
    pub fn counts(what: &str, report: &Report) -> Self {
        Self {
            what: what.to_owned(),
            frames: report.frames,
            faces: report.regions.face,
            plates: report.regions.plate,
            frames_failed_closed: report.frames_failed_closed,
            frames_lost: report.frames_lost,
            frames_damaged: report.frames_damaged,
            streams_dropped: report.streams_dropped.clone(),
            audio_kept: report.audio_kept,
            duration_s: report.duration_s,
            ..Self::default()
        }
    }
}
