//! What an account of redacted files is made of: how many regions of which size and confidence, and when.
//!
//! Invariant: a tally holds numbers only, no place of a region in the picture and nothing of the picture.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use super::report::Regions;
use super::wiring::pad;
use crate::detect::Class;
use crate::error::Result;
use crate::gst::bin::FloutageBin;
use crate::gst::meta::{confidences, regions};

/// Lower bounds of the classes of height in pixels; the first one starts at 0, the last one has no end.
pub const HEIGHTS: [u32; 10] = [0, 12, 16, 24, 32, 48, 64, 96, 128, 256];
/// Classes of confidence, each a tenth wide.
pub const CONFIDENCES: usize = 10;

/// Counts of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Tracks; regions of pictures count as one each.
    pub tracks: Regions,
    /// Faces by size and confidence.
    pub face: Histograms,
    /// Licence plates likewise.
    pub plate: Histograms,
    /// Regions redacted in each second of the video, from its first picture.
    pub seconds: Vec<Regions>,
}

/// Counts of one class of region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histograms {
    /// Redacted regions, summed over all frames, by height in pixels: see [`HEIGHTS`].
    pub height: [u64; HEIGHTS.len()],
    /// Detections by confidence, in tenths.
    pub confidence: [u64; CONFIDENCES],
}

impl Histograms {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.height.iter_mut().zip(other.height) {
            *sum += more;
        }
        for (sum, more) in self.confidence.iter_mut().zip(other.confidence) {
            *sum += more;
        }
    }
}

impl Tally {
    fn class(&mut self, class: Class) -> (&mut Histograms, &mut u64) {
        match class {
            Class::Face => (&mut self.face, &mut self.tracks.face),
            Class::Plate => (&mut self.plate, &mut self.tracks.plate),
        }
    }

    /// Counts a detection of `confidence`, 0 to 1.
    pub fn note_confidence(&mut self, class: Class, confidence: f32) {
        let tenth = (confidence.clamp(0.0, 1.0) * CONFIDENCES as f32) as usize;
        self.class(class).0.confidence[tenth.min(CONFIDENCES - 1)] += 1;
    }

    /// Counts a redacted region of `height` pixels.
    pub fn note_height(&mut self, class: Class, height: f32) {
        let above = HEIGHTS.iter().rposition(|&least| height >= least as f32);
        self.class(class).0.height[above.unwrap_or(0)] += 1;
    }

    /// Counts a track.
    pub fn note_track(&mut self, class: Class) {
        *self.class(class).1 += 1;
    }

    /// Counts a region in second `second` of the video.
    pub fn note_second(&mut self, class: Class, second: usize) {
        /// A day; what lies behind is counted there.
        const LAST: usize = 86_400;
        let second = second.min(LAST);
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Regions::default());
        }
        match class {
            Class::Face => self.seconds[second].face += 1,
            Class::Plate => self.seconds[second].plate += 1,
        }
    }
}

/// Counts what passes through `bin`.
pub struct Counting(Arc<Mutex<(Tally, BTreeSet<i32>)>>);

impl Counting {
    /// Starts counting.
    pub fn start(bin: &FloutageBin, guard: &Arc<Guard>) -> Result<Self> {
        let state = Arc::new(Mutex::new((Tally::default(), BTreeSet::new())));
        let detected = state.clone();
        guard.probe(
            &pad(bin.track().upcast_ref(), "sink")?,
            gst::PadProbeType::BUFFER,
            move |_, info| {
                if let Some(buffer) = info.buffer() {
                    let mut state = detected.lock().unwrap_or_else(PoisonError::into_inner);
                    for (class, confidence) in confidences(buffer) {
                        state.0.note_confidence(class, confidence as f32);
                    }
                }
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        let redacted = state.clone();
        let first = Mutex::new(None);
        guard.probe(
            &pad(bin.redact().upcast_ref(), "sink")?,
            gst::PadProbeType::BUFFER,
            move |_, info| {
                let Some(buffer) = info.buffer() else {
                    return Ok(gst::PadProbeReturn::Ok);
                };
                let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                let start = first.or(buffer.pts());
                *first = start;
                let passed = buffer
                    .pts()
                    .zip(start)
                    .map(|(pts, start)| pts.saturating_sub(start));
                let second = passed.unwrap_or_default().seconds() as usize;
                let mut state = redacted.lock().unwrap_or_else(PoisonError::into_inner);
                let (tally, tracks) = &mut *state;
                for found in regions(buffer) {
                    let class = found.region.class;
                    tally.note_height(class, found.region.bbox.height());
                    tally.note_second(class, second);
                    if found.track.is_some_and(|track| tracks.insert(track)) {
                        tally.note_track(class);
                    }
                }
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        Ok(Self(state))
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lands_in_one_class() {
        let mut tally = Tally::default();
        for height in [0.0, 11.9, 12.0, 255.0, 256.0, 9000.0] {
            tally.note_height(Class::Face, height);
        }
        assert_eq!(tally.face.height, [2, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        for confidence in [-1.0, 0.05, 0.95, 1.0, f32::NAN] {
            tally.note_confidence(Class::Plate, confidence);
        }
        assert_eq!(tally.plate.confidence[0], 3);
        assert_eq!(tally.plate.confidence[9], 2);
        tally.note_second(Class::Face, 2);
        tally.note_second(Class::Plate, 0);
        let seconds: Vec<_> = tally.seconds.iter().map(|s| (s.face, s.plate)).collect();
        assert_eq!(seconds, [(0, 1), (0, 0), (1, 0)]);
    }
}
