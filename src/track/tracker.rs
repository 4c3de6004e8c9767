//! The tracker: detections in, frame by frame; regions out, as soon as the look-ahead is known.

use std::collections::VecDeque;

use super::associate::{Candidate, assign};
use super::motion::Motion;
use super::scene::Change;
use super::{Settings, TrackId, TrackState, TrackedRegion};
use crate::detect::{Certainty, Class};
use crate::error::Result;
use crate::geometry::BBox;

/// Least buffered IoU of a track and a confident detection, and of a track and a doubtful one.
const GATE: f32 = 0.1;
const DOUBTFUL_GATE: f32 = 0.3;
/// Dilation of boxes before they are compared: always, for each step that a track was not seen, and at most; the last two
/// when its motion is known, and when it was seen once or twice.
const BUFFER: f32 = 0.3;
const BUFFER_PER_STEP: [f32; 2] = [0.1, 0.3];
const MOST_BUFFER: [f32; 2] = [1.0, 3.0];
/// Detections from which the motion of a track counts as known.
const KNOWN: usize = 3;
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
/// Dilation of an expected region that must touch the picture for it to be in it still, or already.
const NEAR: f32 = 0.5;
/// Longest time between two frames that counts, in steps: after a longer one motion says nothing more.
const LONGEST_STEP: f32 = 4.0;

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

/// A detection that became part of a track.
#[derive(Clone, Copy, Debug)]
struct Seen {
    frame: u64,
    step: f32,
    bbox: BBox,
    certainty: Certainty,
}

#[derive(Clone, Debug)]
struct Track {
    id: TrackId,
    class: Class,
    scene: u64,
    /// Any of its detections was confident.
    confirmed: bool,
    /// Expected in the latest frame.
    motion: Motion,
    /// As it was after the last detection.
    known: Motion,
    /// Detections in order; at least one.
    seen: VecDeque<Seen>,
    /// How many there were, those forgotten included, and the steps from the first to the last of them.
    count: usize,
    length: f32,
}

impl Track {
    fn last(&self) -> Seen {
        // A track begins with a detection, and the last one is never forgotten.
        self.seen.back().copied().unwrap_or(Seen {
            frame: 0,
            step: 0.0,
            bbox: BBox::default(),
            certainty: Certainty::Faint,
        })
    }

    fn see(&mut self, seen: Seen) {
        self.motion.update(&seen.bbox);
        self.known = self.motion;
        self.confirmed |= seen.certainty == Certainty::Confident;
        self.count += 1;
        self.length += seen.step - self.last().step;
        self.seen.push_back(seen);
    }

    /// The region in `frame`; None when there is none, also because it left the picture or has not come into it yet.
    fn region(&self, frame: &Known, settings: &Settings) -> Option<(BBox, TrackState)> {
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
                return alone.then_some((here.bbox, TrackState::Unconfirmed));
            }
            let neighbours = before.zip(self.seen.get(next + 1));
            return Some((steadied(here, neighbours), TrackState::Detected));
        }
        if !self.confirmed {
            return None;
        }
        match (before, after) {
            (Some(before), Some(after)) => {
                let nearer = (step - before.step).min(after.step - step);
                let growth = (GAP_GROWTH * nearer).min(MOST_GROWTH);
                let bbox = between(before, after, step).dilate(growth);
                Some((bbox, TrackState::Interpolated))
            }
            (None, Some(first)) if first.frame - frame <= settings.look_ahead as u64 => {
                let steps = first.step - step;
                let (bbox, trust) = self.backwards(first, steps);
                bbox.dilate(NEAR).clip(width, height)?;
                Some((grow(bbox, steps, trust), TrackState::Anticipated))
            }
            (Some(last), None) if frame - last.frame <= settings.hold as u64 => {
                let steps = step - last.step;
                let mut motion = self.known;
                motion.predict(steps);
                let bbox = motion.bbox();
                bbox.dilate(NEAR).clip(width, height)?;
                Some((grow(bbox, steps, self.trust()), TrackState::Held))
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
            let x = (seen.bbox.x1 + seen.bbox.x2) * 0.5;
            let y = (seen.bbox.y1 + seen.bbox.y2) * 0.5;
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
    let share = ((step - before.step) / (after.step - before.step).max(1e-6)).clamp(0.0, 1.0);
    let mix = |from: f32, to: f32| from + (to - from) * share;
    let (a, b) = (&before.bbox, &after.bbox);
    BBox::new(
        mix(a.x1, b.x1),
        mix(a.y1, b.y1),
        mix(a.x2, b.x2),
        mix(a.y2, b.y2),
    )
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
    BBox::new(
        here.bbox.x1.min(expected.x1),
        here.bbox.y1.min(expected.y1),
        here.bbox.x2.max(expected.x2),
        here.bbox.y2.max(expected.y2),
    )
}

/// What is known of a frame whose regions may still be asked for.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: u64,
    step: f32,
    scene: u64,
    size: (usize, usize),
}

/// Follows regions from frame to frame.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    tracks: Vec<Track>,
    frames: VecDeque<Known>,
    next_frame: u64,
    next_track: u64,
    scene: u64,
    step: f32,
}

impl Tracker {
    /// A tracker that knows nothing yet.
    ///
    /// Errors: a setting outside its range.
    pub fn new(settings: Settings) -> Result<Self> {
        settings.validate()?;
        Ok(Self {
            settings,
            tracks: Vec::new(),
            frames: VecDeque::new(),
            next_frame: 0,
            next_track: 1,
            scene: 0,
            step: 0.0,
        })
    }

    /// Takes in the next frame, of `size` pixels (width, height), `steps` nominal frame intervals after the one before.
    /// `detections` are None when the frame was not looked at. Returns the frame's number, counted from 0.
    pub fn observe(
        &mut self,
        size: (usize, usize),
        steps: f32,
        change: Change,
        detections: Option<&[Observed]>,
    ) -> u64 {
        let steps = if steps.is_finite() {
            steps.clamp(0.02, LONGEST_STEP)
        } else {
            1.0
        };
        self.step += steps;
        if change == Change::Cut {
            self.scene += 1;
        }
        let scene = self.scene;
        self.rebase();
        let frame = self.next_frame;
        self.next_frame += 1;
        self.frames.push_back(Known {
            number: frame,
            step: self.step,
            scene,
            size,
        });
        self.move_tracks(steps, change);
        if let Some(detections) = detections {
            self.associate(frame, detections);
        }
        frame
    }

    /// What is to be redacted in frame `number`, and forgets that frame and those before it. To be asked in order, and
    /// as late as can be: what is detected later still changes the answer.
    pub fn take(&mut self, number: u64) -> Vec<TrackedRegion> {
        while self
            .frames
            .front()
            .is_some_and(|frame| frame.number < number)
        {
            self.frames.pop_front();
        }
        let Some(frame) = self.frames.front().copied() else {
            return Vec::new();
        };
        if frame.number != number {
            return Vec::new();
        }
        self.frames.pop_front();
        let mut regions = Vec::new();
        for track in self
            .tracks
            .iter()
            .filter(|track| track.scene == frame.scene)
        {
            if let Some((bbox, state)) = track.region(&frame, &self.settings) {
                regions.push(TrackedRegion {
                    bbox,
                    class: track.class,
                    id: track.id,
                    state,
                });
            }
        }
        self.forget(number);
        regions
    }

    /// Tracks that may still matter.
    pub fn tracks(&self) -> usize {
        self.tracks.len()
    }

    /// Frames after its last detection for which a track can still be continued.
    fn patience(&self) -> u64 {
        (self.settings.look_ahead + self.settings.hold).max(1) as u64
    }

    fn move_tracks(&mut self, steps: f32, change: Change) {
        let scene = self.scene;
        let current = || self.tracks.iter().filter(|track| track.scene == scene);
        let shift = match change {
            Change::Moved(dx, dy) => {
                // A steady pan is in the tracks' velocities already.
                let mut speeds: (Vec<f32>, Vec<f32>) =
                    current().map(|track| track.motion.velocity()).unzip();
                (
                    dx - median(&mut speeds.0) * steps,
                    dy - median(&mut speeds.1) * steps,
                )
            }
            Change::Still | Change::Cut => (0.0, 0.0),
        };
        for track in self.tracks.iter_mut().filter(|track| track.scene == scene) {
            track.motion.shift(shift.0, shift.1);
            track.motion.predict(steps);
        }
    }

    fn associate(&mut self, frame: u64, detections: &[Observed]) {
        let (patience, scene, step) = (self.patience(), self.scene, self.step);
        let mut left: Vec<usize> = (0..detections.len()).collect();
        let mut waiting: Vec<usize> = (0..self.tracks.len())
            .filter(|&index| {
                let track = &self.tracks[index];
                track.scene == scene && frame - track.last().frame <= patience
            })
            .collect();
        for (confident, gate) in [(true, GATE), (false, DOUBTFUL_GATE)] {
            for class in Class::ALL {
                let tracks: Vec<usize> = waiting
                    .iter()
                    .copied()
                    .filter(|&index| self.tracks[index].class == class)
                    .collect();
                let found: Vec<usize> = left
                    .iter()
                    .copied()
                    .filter(|&index| {
                        let found = &detections[index];
                        let sure = found.certainty == Certainty::Confident;
                        found.class == class && sure == confident
                    })
                    .collect();
                let expected: Vec<Candidate> = tracks
                    .iter()
                    .map(|&index| {
                        let track = &self.tracks[index];
                        let unseen = step - track.last().step;
                        let blind = usize::from(track.count < KNOWN);
                        let buffer = BUFFER + BUFFER_PER_STEP[blind] * unseen;
                        Candidate {
                            bbox: track.motion.bbox(),
                            buffer: buffer.min(MOST_BUFFER[blind]),
                        }
                    })
                    .collect();
                let given: Vec<BBox> = found.iter().map(|&index| detections[index].bbox).collect();
                for (track, detection) in assign(&expected, &given, gate) {
                    let (track, detection) = (tracks[track], found[detection]);
                    let Observed {
                        bbox, certainty, ..
                    } = detections[detection];
                    self.tracks[track].see(Seen {
                        frame,
                        step,
                        bbox,
                        certainty,
                    });
                    waiting.retain(|&index| index != track);
                    left.retain(|&index| index != detection);
                }
            }
        }
        for index in left {
            let Observed {
                bbox,
                class,
                certainty,
            } = detections[index];
            let motion = Motion::new(&bbox);
            self.tracks.push(Track {
                id: TrackId(self.next_track),
                class,
                scene,
                confirmed: certainty == Certainty::Confident,
                motion,
                known: motion,
                seen: VecDeque::from([Seen {
                    frame,
                    step,
                    bbox,
                    certainty,
                }]),
                count: 1,
                length: 0.0,
            });
            self.next_track += 1;
        }
    }

    /// Forgets what frames after `number` cannot ask for.
    fn forget(&mut self, number: u64) {
        let (patience, latest) = (self.patience(), self.next_frame.saturating_sub(1));
        let hold = self.settings.hold as u64;
        let oldest = self.frames.front().map_or(self.scene, |frame| frame.scene);
        self.tracks.retain(|track| {
            let last = track.last().frame;
            let may_grow = track.scene == self.scene && latest - last <= patience;
            // Still seen later, or still held.
            track.scene >= oldest && (may_grow || last + hold > number || last > number)
        });
        for track in &mut self.tracks {
            // Of what lies behind, the last one counts for what comes, and the one before for steadiness.
            while track.seen.get(2).is_some_and(|third| third.frame <= number) {
                track.seen.pop_front();
            }
        }
    }

    /// Keeps steps small, so that they stay exact: a stream may last for years.
    fn rebase(&mut self) {
        const LARGE: f32 = 16_384.0;
        if self.step < LARGE {
            return;
        }
        self.step -= LARGE;
        for frame in &mut self.frames {
            frame.step -= LARGE;
        }
        for seen in self.tracks.iter_mut().flat_map(|track| &mut track.seen) {
            seen.step -= LARGE;
        }
    }
}

fn median(values: &mut [f32]) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
