//! What is to be redacted in each frame, decided beforehand by a [`Tracker`] that saw the frames elsewhere.
//!
//! Invariant: of a frame that is not known nothing is said, which is not the same as that nothing is in it.

use std::collections::HashMap;

use super::scene::Change;
use super::window::{Item, Window};
use super::{Observed, Settings, TrackedRegion, Tracker};
use crate::error::Result;

/// Regions by the time at which their frame is shown, in nanoseconds from the beginning of the video.
#[derive(Clone, Debug, Default)]
pub struct Decisions(HashMap<u64, Vec<TrackedRegion>>);

impl Decisions {
    /// The regions of the frame shown at `time`, none or more; None when nothing was decided of it.
    pub fn at(&self, time: u64) -> Option<&[TrackedRegion]> {
        self.0.get(&time).map(Vec::as_slice)
    }
}

impl FromIterator<(u64, Vec<TrackedRegion>)> for Decisions {
    fn from_iter<I: IntoIterator<Item = (u64, Vec<TrackedRegion>)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// Frame intervals of `length` nanoseconds from the frame shown at `before` to the next one, shown at `now`; 1 where one of
/// them is not known.
pub fn steps(before: Option<u64>, now: Option<u64>, length: u64) -> f32 {
    match (before, now) {
        (Some(before), Some(now)) => now.saturating_sub(before) as f32 / length as f32,
        _ => 1.0,
    }
}

/// What a detector and a look at two successive frames say of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// When it is shown, in nanoseconds.
    pub time: u64,
    /// What happened in the picture since the frame before.
    pub change: Change,
    /// What was detected; None when the detector could not answer.
    pub seen: Option<Vec<Observed>>,
}

/// Decides by notes alone, frame by frame, what the element of this crate would decide of the frames themselves.
pub struct Decider {
    tracker: Tracker,
    window: Window<(u64, u64, bool), ()>,
    size: (usize, usize),
    length: u64,
    last: Option<u64>,
}

impl Decider {
    /// For frames of `size` pixels (width, height) that nominally last `length` nanoseconds.
    ///
    /// Errors: a setting outside its range.
    pub fn new(settings: Settings, size: (usize, usize), length: u64) -> Result<Self> {
        Ok(Self {
            tracker: Tracker::new(settings)?,
            window: Window::new(settings.look_ahead),
            size,
            length,
            last: None,
        })
    }

    /// Takes in the next frame.
    pub fn observe(&mut self, note: &Note) {
        let steps = steps(self.last, Some(note.time), self.length);
        self.last = Some(note.time);
        let seen = note.seen.as_deref();
        let number = self.tracker.observe(self.size, steps, note.change, seen);
        self.window.push((note.time, number, seen.is_some()));
    }

    /// The next frame that is decided, or at the `end` of the video any: when it is shown, and its regions; None when it
    /// could not be analysed.
    pub fn next(&mut self, end: bool) -> Option<(u64, Option<Vec<TrackedRegion>>)> {
        let item = if end {
            self.window.pop_any()
        } else {
            self.window.pop()
        };
        match item? {
            Item::Frame((time, number, known)) => {
                let regions = self.tracker.take(number);
                Some((time, known.then_some(regions)))
            }
            Item::Event(()) => None,
        }
    }
}
