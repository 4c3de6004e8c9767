//! Whether each frame of a redacted version shows what the same frame of the original shows, or another one.
//!
//! Late by a frame, all that moves differs, and would count as redacted. Versions may be late as a whole, in part, or show some
//! frames twice, so each frame is looked at by itself: which of the original's frames it fits best, by a vote of the cells of coarse
//! pictures. What was redacted differs from every frame alike and does not vote; where nothing moves nothing votes, and
//! lateness does no harm.

use std::collections::{BTreeMap, VecDeque};

use super::coarse::coarse;
use super::pixels::Luma;

/// Most frames by which one may be late or early: five seconds at 25 frames/s.
const REACH: usize = 125;
/// Steps of brightness by which a cell must fit one frame better than another to vote for it: more than encoding does.
const CLEARLY: f32 = 2.0;
/// Fewest cells that must vote for another frame.
const LEAST: usize = 3;
/// Times the votes against it that must be for it.
const TIMES: usize = 2;
/// One in so many of the cells in which both of the original's frames differ must vote for it: what is redacted comes near to some
/// frame by chance.
const OF_MOVING: usize = 3;

/// Frames of a version that show another time of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfStep {
    /// How many.
    pub frames: u64,
    /// Index of the first.
    pub first: usize,
    /// The frames by which most of them are late, negative when they are early.
    pub late_by: i64,
}

/// Compares each frame of a version with the original's frames around it. Memory: 251 coarse pictures of 9 kB.
#[derive(Debug, Default)]
pub struct Alignment {
    /// Those of the original that are still needed, the first of them of index `first`.
    originals: VecDeque<Vec<f32>>,
    first: usize,
    /// Those of the version that are not looked at yet, the first of them of index `next`.
    others: VecDeque<Vec<f32>>,
    next: usize,
    /// How many are late by how much, and the first of all.
    late: BTreeMap<i64, u64>,
    first_late: Option<usize>,
}

impl Alignment {
    /// Takes in the next frame of both. Frames of different sizes are not compared.
    pub fn add(&mut self, original: &Luma, other: &Luma) {
        if original.size() != other.size() {
            return;
        }
        self.originals
            .push_back(coarse(original.plane(), original.size()));
        self.others.push_back(coarse(other.plane(), other.size()));
        if self.others.len() > REACH {
            self.look();
        }
    }

    /// What is out of step, after the last frame; None when nothing is, as far as can be seen.
    pub fn finish(mut self) -> Option<OutOfStep> {
        while !self.others.is_empty() {
            self.look();
        }
        // Of equals the nearest.
        let most = self
            .late
            .iter()
            .max_by_key(|(late, frames)| (**frames, -late.abs()));
        Some(OutOfStep {
            frames: self.late.values().sum(),
            first: self.first_late?,
            late_by: *most?.0,
        })
    }

    /// Looks at the first of the frames that wait.
    fn look(&mut self) {
        let Some(other) = self.others.pop_front() else {
            return;
        };
        let at = self.next - self.first;
        if let Some(better) = better(&other, &self.originals, at) {
            self.first_late.get_or_insert(self.next);
            *self.late.entry(at as i64 - better as i64).or_default() += 1;
        }
        self.next += 1;
        if self.next > self.first + REACH {
            self.originals.pop_front();
            self.first += 1;
        }
    }
}

/// The place among `originals` of the frame that `other` fits clearly better than the one at `at`, if there is one.
fn better(other: &[f32], originals: &VecDeque<Vec<f32>>, at: usize) -> Option<usize> {
    let now: Vec<f32> = distances(other, &originals[at]).collect();
    if now.iter().filter(|&&it| it > CLEARLY).count() < LEAST {
        return None;
    }
    let votes = |place: usize| {
        let (mut pro, mut contra) = (0, 0);
        for (there, &here) in distances(other, &originals[place]).zip(&now) {
            // A cell that fits neither tells nothing.
            pro += usize::from(there < CLEARLY && there + CLEARLY < here);
            contra += usize::from(there > here + CLEARLY);
        }
        (pro, contra)
    };
    let moving = |place: usize| {
        let moved = distances(&originals[at], &originals[place]);
        moved.filter(|&it| it > CLEARLY).count()
    };
    (0..originals.len())
        .filter(|&place| place != at)
        .map(|place| (place, votes(place)))
        .filter(|(_, (pro, contra))| *pro >= LEAST && *pro >= TIMES * contra)
        .filter(|(place, (pro, _))| OF_MOVING * pro >= moving(*place))
        .max_by_key(|(place, (pro, contra))| (pro - contra, std::cmp::Reverse(place.abs_diff(at))))
        .map(|(place, _)| place)
}

/// The difference of each cell.
fn distances<'a>(a: &'a [f32], b: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    a.iter().zip(b).map(|(a, b)| (a - b).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Frame, PixelFormat};

    /// A bright square that moves over a gradient; hidden under grey where `hidden`.
    fn luma(time: usize, hidden: bool) -> Luma {
        let (width, height) = (320, 180);
        let at = 3 * time % 250;
        let value = |x: usize, y: usize| {
            let inside = (at..at + 60).contains(&x) && (40..100).contains(&y);
            match (inside, hidden && (at + 20..at + 40).contains(&x)) {
                (true, true) => 128,
                (true, false) => 220,
                _ => (x / 4 + y / 3) as u8,
            }
        };
        let data: Vec<u8> = (0..width * height)
            .map(|place| value(place % width, place / width))
            .collect();
        let chroma = vec![128; width / 2 * height / 2];
        let frame = Frame::new(
            PixelFormat::I420,
            width,
            height,
            Colour::default(),
            &[&data, &chroma, &chroma],
            &[width, width / 2, width / 2],
        );
        Luma::of(&frame.unwrap())
    }

    fn out_of_step(frames: usize, shown: impl Fn(usize) -> usize) -> Option<OutOfStep> {
        let mut alignment = Alignment::default();
        for time in 0..frames {
            alignment.add(&luma(time, false), &luma(shown(time), true));
        }
        alignment.finish()
    }

    #[test]
    fn a_version_that_is_late_or_early_is_found() {
        assert_eq!(out_of_step(30, |time| time), None);
        for late in [1, 5, 20] {
            let found = out_of_step(60, |time| time.saturating_sub(late)).expect("late");
            assert_eq!((found.first, found.late_by), (1, late as i64));
            assert_eq!(found.frames, 59);
        }
        let found = out_of_step(60, |time| time + 2).expect("early");
        assert_eq!((found.first, found.late_by), (0, -2));
        // The last two show what the original never does.
        assert!(found.frames >= 58, "{found:?}");
    }

    #[test]
    fn a_part_and_single_frames_are_found() {
        let part = out_of_step(60, |time| time - usize::from((20..30).contains(&time)));
        let found = OutOfStep {
            frames: 10,
            first: 20,
            late_by: 1,
        };
        assert_eq!(part, Some(found));
        let twice = out_of_step(60, |time| time / 2 * 2);
        let found = OutOfStep {
            frames: 30,
            first: 1,
            late_by: 1,
        };
        assert_eq!(twice, Some(found));
    }

    #[test]
    fn frames_further_away_than_is_looked_are_still_compared_with_their_own() {
        assert_eq!(out_of_step(2 * REACH + 9, |time| time), None);
        let part = out_of_step(2 * REACH + 9, |time| time - usize::from(time == 2 * REACH));
        let found = OutOfStep {
            frames: 1,
            first: 2 * REACH,
            late_by: 1,
        };
        assert_eq!(part, Some(found));
    }

    #[test]
    fn where_nothing_moves_nothing_is_late() {
        let mut alignment = Alignment::default();
        for _ in 0..30 {
            alignment.add(&luma(4, false), &luma(4, true));
        }
        assert_eq!(alignment.finish(), None);
        assert_eq!(Alignment::default().finish(), None);
    }
}
