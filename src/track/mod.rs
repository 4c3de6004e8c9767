//! Joining the detections of successive frames to tracks, so that a region is covered in every frame of its track.
//!
//! A [`Tracker`] is told what was detected in each frame, in order, and says for each frame, some frames later, what is
//! to be redacted in it: what was detected there, what must have been between two detections, what is about to be
//! detected, and what was just detected.
//!
//! Invariants: every detection is redacted in its own frame; with a look-ahead of N frames a confirmed track is redacted
//! from N frames before its first detection on, within its scene, and in every frame between two detections.

mod associate;
pub mod decisions;
mod motion;
mod path;
pub mod scene;
mod settings;
#[cfg(test)]
mod tests;
mod tracker;
pub mod window;

pub use settings::{MOST_FRAMES, Settings};
pub use tracker::Tracker;

use crate::detect::{Certainty, Class};
use crate::geometry::BBox;

/// One detection of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Where, in pixels.
    pub bbox: BBox,
    /// What.
    pub class: Class,
    /// Only what is confident begins a track.
    pub certainty: Certainty,
}

/// Number of a track, from 1 on; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u64);

/// Why a region is redacted in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackState {
    /// It was detected there.
    Detected,
    /// Something was detected there with little confidence that nothing else confirms.
    Unconfirmed,
    /// It was detected before and after.
    Interpolated,
    /// It is detected a little later.
    Anticipated,
    /// It was detected a little before.
    Held,
}

impl TrackState {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Detected,
        Self::Unconfirmed,
        Self::Interpolated,
        Self::Anticipated,
        Self::Held,
    ];

    /// The name used in metadata and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Unconfirmed => "unconfirmed",
            Self::Interpolated => "interpolated",
            Self::Anticipated => "anticipated",
            Self::Held => "held",
        }
    }
}

/// A region of one frame that belongs to a track. What is held or anticipated while it moves has several, along its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedRegion {
    /// Where, in the frame's pixels, without the redactor's margin; grown where the place is uncertain.
    pub bbox: BBox,
    /// What.
    pub class: Class,
    /// Which.
    pub id: TrackId,
    /// Why.
    pub state: TrackState,
}

impl From<&crate::detect::Detection> for Observed {
    fn from(found: &crate::detect::Detection) -> Self {
        Self {
            bbox: found.bbox,
            class: found.class,
            certainty: found.certainty,
        }
    }
}
