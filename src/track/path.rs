//! One track: its detections, and where its region is in each frame by them.

use std::collections::VecDeque;

use super::motion::Motion;
use super::{Observed, Settings, TrackId, TrackState};
use crate::detect::{Certainty, Class};
use crate::geometry::BBox;

/// Velocities that are usual, as a standard deviation in shares of the region's size per step: someone who walks past
/// moves by a third of a face's width per frame, most others slower.
const USUAL_SPEED: f32 = 0.15;
/// Standard deviation of a detection's centre, as a share of the region's size.
const JITTER: f32 = 0.05;
/// Standard deviations by which a region grows on either side for the velocity that is not known.
const CAUTION: f32 = 1.2;
/// By what share a region grows at least for each step that its place is only expected, and at most.
const LEAST_GROWTH: f32 = 0.05;
const MOST_GROWTH: f32 = 2.0;
/// Likewise between two detections, by the distance to the nearer one.
const GAP_GROWTH: f32 = 0.04;
/// Detections from which the motion of a new track is read: those of so many steps, and so many at least, for they may be far apart.
const FIRST_STEPS: f32 = 8.0;
const FIRST: usize = 3;
/// Way under each of the boxes that cover a region's, as a share of its width and height, and such boxes at most.
const PART: f32 = 0.5;
const MOST_PARTS: f32 = 16.0;
/// Dilation of an expected region that must touch the picture for it to be in it still, or already.
const NEAR: f32 = 0.5;

/// What is known of a frame whose regions may still be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub number: u64,
    /// When it is shown, in nominal frame intervals.
    pub step: f32,
    pub scene: u64,
    /// Width and height in pixels.
    pub size: (usize, usize),
}

/// A detection that became part of a track.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub frame: u64,
    pub step: f32,
    bbox: BBox,
    certainty: Certainty,
}

impl Seen {
    pub fn new(frame: &Known, found: &Observed) -> Self {
        Self {
            frame: frame.number,
            step: frame.step,
            bbox: found.bbox,
            certainty: found.certainty,
        }
    }
}

/// What was detected in one frame after the other and is the same.
#[derive(Clone, Debug)]
pub struct Track {
    pub id: TrackId,
    pub class: Class,
    /// Scenes are counted; a track is of one.
    pub scene: u64,
    /// Any of its detections was confident.
    confirmed: bool,
    /// Expected in the latest frame.
    pub motion: Motion,
    /// As it was after the last detection.
    known: Motion,
    /// Detections in order; at least one.
    pub seen: VecDeque<Seen>,
    /// How many there were, those forgotten included, and the steps from the first to the last of them.
    pub count: usize,
    length: f32,
}

impl Track {
    /// A track that begins with `found`, seen in `frame`.
    pub fn new(id: TrackId, frame: &Known, found: &Observed) -> Self {
        let motion = Motion::new(&found.bbox);
        Self {
            id,
            class: found.class,
            scene: frame.scene,
            confirmed: found.certainty == Certainty::Confident,
            motion,
            known: motion,
            seen: VecDeque::from([Seen::new(frame, found)]),
            count: 1,
            length: 0.0,
        }
    }

    /// Its last detection.
    pub fn last(&self) -> Seen {
        // A track begins with a detection, and the last one is never forgotten.
        self.seen.back().copied().unwrap_or(Seen {
            frame: 0,
            step: 0.0,
            bbox: BBox::default(),
            certainty: Certainty::Faint,
        })
    }

    /// Takes in its next detection.
    pub fn see(&mut self, seen: Seen) {
        self.motion.update(&seen.bbox);
        self.known = self.motion;
        self.confirmed |= seen.certainty == Certainty::Confident;
        self.count += 1;
        self.length += seen.step - self.last().step;
        self.seen.push_back(seen);
    }

    /// The region in `frame`, in one or more boxes that together cover every place where it may be; None when there is none, also
    /// because it left the picture or has not come into it yet.
    pub fn region(&self, frame: &Known, settings: &Settings) -> Option<(Vec<BBox>, TrackState)> {
        let &Known {
            number: frame,
            step,
            size: (width, height),
            ..
        } = frame;
        let next = self.seen.partition_point(|seen| seen.frame < frame);
        let after = self.seen.get(next);
        let before = next.checked_sub(1).and_then(|index| self.seen.get(index));
        if let Some(here) = after.filter(|seen| seen.frame == frame) {
            if !self.confirmed {
                let alone = here.certainty >= Certainty::Doubtful;
                return alone.then_some((vec![here.bbox], TrackState::Unconfirmed));
            }
            let neighbours = before.zip(self.seen.get(next + 1));
            return Some((vec![steadied(here, neighbours)], TrackState::Detected));
        }
        if !self.confirmed {
            return None;
        }
        match (before, after) {
            (Some(before), Some(after)) => {
                let nearer = (step - before.step).min(after.step - step);
                let growth = (GAP_GROWTH * nearer).min(MOST_GROWTH);
                let bbox = between(before, after, step).dilate(growth);
                Some((vec![bbox], TrackState::Interpolated))
            }
            (None, Some(first)) if first.frame - frame <= settings.look_ahead as u64 => {
                let steps = first.step - step;
                let (bbox, trust) = self.backwards(first, steps);
                bbox.dilate(NEAR).clip(width, height)?;
                // It may have stood there before it moved.
                let way = way(&first.bbox, &grow(bbox, steps, trust));
                Some((way, TrackState::Anticipated))
            }
            (Some(last), None) if frame - last.frame <= settings.hold as u64 => {
                let steps = step - last.step;
                let mut motion = self.known;
                motion.predict(steps);
                let bbox = motion.bbox();
                bbox.dilate(NEAR).clip(width, height)?;
                // It may have stopped.
                let way = way(&last.bbox, &grow(bbox, steps, self.trust()));
                Some((way, TrackState::Held))
            }
            _ => None,
        }
    }

    /// How much of the velocity that all detections show is to be believed.
    fn trust(&self) -> f32 {
        let count = self.count as f32;
        // As if they came at even intervals.
        let interval = self.length / (count - 1.0).max(1.0);
        trust(interval * interval * count * (count * count - 1.0) / 12.0)
    }

    /// Where the region was `steps` before its `first` detection, by the motion it shows afterwards, and how much of that is
    /// believed.
    fn backwards(&self, first: &Seen, steps: f32) -> (BBox, f32) {
        let early = |&(index, seen): &(usize, &Seen)| {
            index < FIRST || seen.step - first.step <= FIRST_STEPS
        };
        let start = self
            .seen
            .iter()
            .enumerate()
            .filter(early)
            .map(|(_, seen)| seen);
        let (mut count, mut sums) = (0f32, [0f32; 6]);
        for seen in start {
            let t = seen.step - first.step;
            let (x, y) = seen.bbox.centre();
            for (sum, term) in sums.iter_mut().zip([t, x, y, t * t, t * x, t * y]) {
                *sum += term;
            }
            count += 1.0;
        }
        let [t, x, y, tt, tx, ty] = sums.map(|sum| sum / count.max(1.0));
        let spread = tt - t * t;
        let trust = trust(spread * count);
        let slope = |cross: f32, mean: f32| {
            if spread > 1e-3 {
                trust * (cross - t * mean) / spread
            } else {
                0.0
            }
        };
        let (vx, vy) = (slope(tx, x), slope(ty, y));
        let bbox = first
            .bbox
            .scale_translate(1.0, 1.0, -vx * steps, -vy * steps);
        (bbox, trust)
    }
}

/// How much of the velocity that detections show is to be believed, 0 to 1: the variance of usual speeds against that of a fitted
/// line's slope. `spread` is the sum of squares of the detections' distances in time, in steps, from their mean.
fn trust(spread: f32) -> f32 {
    let usual = USUAL_SPEED * USUAL_SPEED;
    let slope = JITTER * JITTER / spread.max(1e-6);
    usual / (usual + slope)
}

/// `bbox` with the uncertainty of `steps` without a detection, where a velocity is known that is to be believed by `trust`.
fn grow(bbox: BBox, steps: f32, trust: f32) -> BBox {
    let unknown = USUAL_SPEED * (1.0 - trust).sqrt();
    let growth = (2.0 * CAUTION * unknown).max(LEAST_GROWTH);
    bbox.dilate((growth * steps).min(MOST_GROWTH))
}

/// The box on the way from one detection to the next.
fn between(before: &Seen, after: &Seen, step: f32) -> BBox {
    let share = (step - before.step) / (after.step - before.step).max(1e-6);
    mix(&before.bbox, &after.bbox, share.clamp(0.0, 1.0))
}

/// The box at a `share` of the way from `a` to `b`, 0 to 1.
fn mix(a: &BBox, b: &BBox, share: f32) -> BBox {
    let mix = |from: f32, to: f32| from + (to - from) * share;
    BBox::new(
        mix(a.x1, b.x1),
        mix(a.y1, b.y1),
        mix(a.x2, b.x2),
        mix(a.y2, b.y2),
    )
}

/// Boxes along the way from `a` to `b`: each place on it lies in one of them as a whole. One box about all would be mostly
/// background, the more so with a margin that is a share of it.
fn way(a: &BBox, b: &BBox) -> Vec<BBox> {
    let side = |a: f32, b: f32| a.min(b).max(1.0);
    let (width, height) = (side(a.width(), b.width()), side(a.height(), b.height()));
    let ((ax, ay), (bx, by)) = (a.centre(), b.centre());
    let (dx, dy) = ((bx - ax).abs(), (by - ay).abs());
    let parts = (dx / width).max(dy / height) / PART;
    let parts = parts.ceil().clamp(1.0, MOST_PARTS);
    (0..parts as usize)
        .map(|part| {
            let at = |part: usize| mix(a, b, part as f32 / parts);
            at(part).union(&at(part + 1))
        })
        .collect()
}

/// A detection, united with where its neighbours in time say it should be: single boxes are often too small.
fn steadied(here: &Seen, neighbours: Option<(&Seen, &Seen)>) -> BBox {
    let Some((before, after)) = neighbours else {
        return here.bbox;
    };
    let expected = between(before, after, here.step);
    if after.frame - before.frame > 4 || expected.iou(&here.bbox) < 0.3 {
        return here.bbox;
    }
    here.bbox.union(&expected)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_on_a_way_lies_in_one_of_its_boxes(
            from in (0f32..600.0, 0f32..300.0, 1f32..90.0, 1f32..90.0),
            to in (-300f32..900.0, -300f32..600.0, 1f32..200.0, 1f32..200.0), share in 0f32..=1.0,
        ) {
            let (a, b) = (
                BBox::from_xywh(from.0, from.1, from.2, from.3),
                BBox::from_xywh(to.0, to.1, to.2, to.3),
            );
            let way = way(&a, &b);
            let here = mix(&a, &b, share);
            let over = |it: &BBox| {
                let near = it.dilate(1e-3);
                near.x1 <= here.x1 && near.y1 <= here.y1 && near.x2 >= here.x2 && near.y2 >= here.y2
            };
            prop_assert!(way.iter().any(over), "{:?} not in {:?}", here, way);
            prop_assert!(way.len() <= MOST_PARTS as usize);
        }
    }

    #[test]
    fn a_way_aslant_is_covered_by_less_than_the_box_about_it() {
        let a = BBox::from_xywh(970.0, 514.0, 46.0, 66.0);
        let b = BBox::from_xywh(694.0, 381.0, 37.0, 64.0);
        let (boxes, about) = (way(&a, &b), a.union(&b));
        let points = (0..10_000).map(|index| {
            let (x, y) = ((index % 100) as f32 / 100.0, (index / 100) as f32 / 100.0);
            (about.x1 + x * about.width(), about.y1 + y * about.height())
        });
        let under = |&(x, y): &(f32, f32)| {
            let over = |it: &BBox| (it.x1..it.x2).contains(&x) && (it.y1..it.y2).contains(&y);
            boxes.iter().any(over)
        };
        assert!(points.filter(under).count() < 5_500);
        // What stays needs one, also without a size: none would be no redaction, without a word.
        let nothing = BBox::from_xywh(5.0, 5.0, 0.0, 0.0);
        assert_eq!(way(&nothing, &nothing).len(), 1);
        assert_eq!(way(&a, &a.dilate(0.5)).len(), 1);
    }
}
