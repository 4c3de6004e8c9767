//! The tracker: detections in, frame by frame; regions out, as soon as the look-ahead is known.

use std::collections::VecDeque;

use super::associate::{Candidate, assign};
use super::path::{Known, Seen, Track};
use super::scene::Change;
use super::{Observed, Settings, TrackId, TrackedRegion};
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
/// Longest time between two frames that counts, in steps: after a longer one motion says nothing more.
const LONGEST_STEP: f32 = 4.0;

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
        let frame = Known {
            number: self.next_frame,
            step: self.step,
            scene,
            size,
        };
        self.next_frame += 1;
        self.frames.push_back(frame);
        self.move_tracks(steps, change);
        if let Some(detections) = detections {
            self.associate(&frame, detections);
        }
        frame.number
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
            let Some((boxes, state)) = track.region(&frame, &self.settings) else {
                continue;
            };
            regions.extend(boxes.into_iter().map(|bbox| TrackedRegion {
                bbox,
                class: track.class,
                id: track.id,
                state,
            }));
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

    fn associate(&mut self, frame: &Known, detections: &[Observed]) {
        let patience = self.patience();
        let mut left: Vec<usize> = (0..detections.len()).collect();
        let mut waiting: Vec<usize> = (0..self.tracks.len())
            .filter(|&index| {
                let track = &self.tracks[index];
                track.scene == frame.scene && frame.number - track.last().frame <= patience
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
                        let unseen = frame.step - track.last().step;
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
                    self.tracks[track].see(Seen::new(frame, &detections[detection]));
                    waiting.retain(|&index| index != track);
                    left.retain(|&index| index != detection);
                }
            }
        }
        for index in left {
            let id = TrackId(self.next_track);
            self.tracks.push(Track::new(id, frame, &detections[index]));
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
