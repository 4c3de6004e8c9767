//! Finding faces and licence plates in one frame.
//!
//! Invariants: detections are boxes in the frame's pixels, may reach over its edges, and are valid
//! (finite, with an area). A detector that cannot say what is in a frame returns an error, never an
//! empty list: the caller fills the frame.

pub mod heads;
pub mod letterbox;
mod library;
pub mod nms;
pub mod onnx;
pub mod places;
mod plan;
pub mod registry;
mod resample;
pub mod session;
mod settings;
#[cfg(target_arch = "x86_64")]
mod shuffle;
pub mod tiles;

pub use onnx::{DetectorSettings, OnnxDetector, open};

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::geometry::BBox;

/// What a region shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A human face.
    Face,
    /// A vehicle's licence plate.
    Plate,
}

impl Class {
    /// Every class, in the order of the output columns of the project's own models.
    pub const ALL: [Self; 2] = [Self::Face, Self::Plate];

    /// The name used in settings, metadata and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Plate => "plate",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|class| class.name() == name)
            .ok_or_else(|| Error::setting("class", name, "face or plate"))
    }
}

/// How sure a detection is, measured by the thresholds of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Under what is redacted by itself: it may only continue a track.
    Faint,
    /// A little under the threshold: redacted in its own frame, and may continue a track but begin none.
    Doubtful,
    /// At or over the threshold.
    Confident,
}

impl Certainty {
    /// Every certainty, the least first.
    pub const ALL: [Self; 3] = [Self::Faint, Self::Doubtful, Self::Confident];

    /// The name used in metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Faint => "faint",
            Self::Doubtful => "doubtful",
            Self::Confident => "confident",
        }
    }
}

/// A region of one frame in which a detector sees something to redact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Where, in the frame's pixels, without any margin.
    pub bbox: BBox,
    /// What.
    pub class: Class,
    /// How sure the detector is, 0 to 1. Comparable only within one model.
    pub confidence: f32,
    /// What that means by the thresholds of its class. What is not confident is there for a tracker; see
    /// [`DetectorSettings::tracked`].
    pub certainty: Certainty,
}

/// Time one detection took, by step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Scaling and converting the frame to the models' inputs.
    pub letterbox: Duration,
    /// Running the models.
    pub inference: Duration,
    /// Reading their outputs: head, thresholds, NMS.
    pub decode: Duration,
}

impl AddAssign for StageTimes {
    fn add_assign(&mut self, other: Self) {
        self.letterbox += other.letterbox;
        self.inference += other.inference;
        self.decode += other.decode;
    }
}

/// Finds regions to redact.
pub trait Detector: Send {
    /// Finds the regions of `frame`, in any order.
    ///
    /// Errors: whatever keeps the detector from a trustworthy answer, outputs that are not numbers
    /// included. The frame must then be treated as if all of it were sensitive.
    fn detect(&mut self, frame: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)>;
}

/// A detector that several pipelines use in turn.
pub type SharedDetector = Arc<Mutex<dyn Detector>>;
