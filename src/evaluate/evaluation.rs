//! Every box of the truth with what became of it, frame by frame.

use super::coverage::{Altered, Redacted};
use super::matching::matches;
use super::truth::TruthBox;
use crate::detect::{Class, Detection};
use crate::geometry::BBox;

/// Share of a box that must have been altered; below, it leaks.
pub const ENOUGH: f64 = 0.9;

/// What happened to one frame or picture.
pub struct Seen<'a> {
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// What was detected, without any margin; None where that is not known, as in a frame that was not analysed.
    pub detections: Option<&'a [Detection]>,
    /// What was altered.
    pub altered: &'a dyn Altered,
    /// The areas redacted; None where only pixels are known.
    pub areas: Option<&'a [Redacted]>,
}

/// One box of the truth that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxResult {
    /// Index of the frame.
    pub frame: usize,
    /// Number of the track.
    pub track: u64,
    /// What it is.
    pub class: Class,
    /// Where, in the frame's pixels.
    pub bbox: BBox,
    /// Share of it that was altered, 0 to 1; of the part inside the frame.
    pub covered: f64,
    /// Whether it was detected (IoU of at least 0.5); None where that is not known.
    pub found: Option<bool>,
}

impl BoxResult {
    /// True when less than nine tenths were altered.
    pub fn leaks(&self) -> bool {
        self.covered < ENOUGH
    }
}

/// All that was found out about a clip or a set of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// True for pictures, which have no order in time: each box is a track of its own.
    pub pictures: bool,
    /// Frames looked at.
    pub frames: u64,
    /// Frames of which the detections are known.
    pub analysed: u64,
    /// Every box that counts and reaches into its frame, in the order of frames.
    pub boxes: Vec<BoxResult>,
    /// Boxes that would count, but lie wholly outside their frame: nobody sees them.
    pub beyond: u64,
    /// Class and height of every detection that finds nothing.
    pub wrong: Vec<(Class, f32)>,
    /// Frames of which the redacted areas are known.
    pub with_areas: u64,
    /// Redacted areas by class, and those of them that meet no box of the truth, of any class.
    pub areas: [u64; Class::ALL.len()],
    /// See `areas`.
    pub false_areas: [u64; Class::ALL.len()],
    /// Places outside all boxes of the truth that were altered, and all such places.
    pub outside: (u64, u64),
    /// Frames of a redacted version that show another time of the original: what is said of them is too good.
    pub out_of_step: u64,
}

impl Evaluation {
    /// Compares frame `index` with its `truth`. Frames come in order.
    pub fn add(&mut self, index: usize, truth: &[TruthBox], seen: &Seen<'_>) {
        self.frames += 1;
        let matched = seen.detections.map(|found| matches(truth, found));
        if let (Some(matched), Some(detections)) = (&matched, seen.detections) {
            self.analysed += 1;
            let wrong = matched.wrong.iter().map(|&at| &detections[at]);
            self.wrong
                .extend(wrong.map(|it| (it.class, it.bbox.height())));
        }
        for (at, it) in truth.iter().enumerate().filter(|(_, it)| it.counts) {
            // Of what reaches over the edge of the picture nobody sees more than is inside.
            let Some(visible) = it.bbox.clip(seen.size.0, seen.size.1) else {
                self.beyond += 1;
                continue;
            };
            self.boxes.push(BoxResult {
                frame: index,
                track: it.track,
                class: it.class,
                bbox: it.bbox,
                covered: seen.altered.share(&visible),
                found: matched.as_ref().map(|matched| matched.found[at]),
            });
        }
        self.with_areas += u64::from(seen.areas.is_some());
        for area in seen.areas.unwrap_or_default() {
            self.areas[area.class as usize] += 1;
            let meets = |it: &TruthBox| it.bbox.intersection(&area.bbox) > 0.0;
            self.false_areas[area.class as usize] += u64::from(!truth.iter().any(meets));
        }
        let boxes: Vec<BBox> = truth.iter().map(|it| it.bbox).collect();
        let (altered, all) = seen.altered.outside(&boxes);
        self.outside.0 += altered;
        self.outside.1 += all;
    }

    /// Areas per frame that meet no box of the truth, by class; None where areas are not known.
    pub fn false_areas_per_frame(&self) -> Option<[f64; Class::ALL.len()]> {
        let frames = self.with_areas as f64;
        (self.with_areas > 0).then(|| self.false_areas.map(|areas| areas as f64 / frames))
    }

    /// True when frames out of step make the figures too good. One or two may be chance, and change little.
    pub fn is_out_of_step(&self) -> bool {
        self.out_of_step > 2
    }

    /// Share of what is outside all boxes of the truth that was altered, 0 to 1.
    pub fn over_redaction(&self) -> f64 {
        self.outside.0 as f64 / self.outside.1.max(1) as f64
    }
}
