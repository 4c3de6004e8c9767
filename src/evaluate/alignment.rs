//! Whether two videos show the same at the same time, or one of them some frames late.
//!
//! Late by a frame, all that moves differs, and would count as redacted.

use std::collections::VecDeque;

use super::pixels::Luma;

/// Most frames by which one may be late.
const REACH: usize = 6;
/// Columns and rows of the coarse pictures that are compared.
const CELLS: (usize, usize) = (64, 36);
/// Difference of a cell, in steps of brightness, beyond which more tells no more: what was redacted differs at any shift.
const MOST: f32 = 8.0;
/// Share of the difference as they are that is left when they are shifted rightly. Where nothing moves no shift fits
/// much better, and lateness does no harm.
const BETTER: f64 = 0.7;

/// Compares two videos at several shifts in time.
#[derive(Debug, Default)]
pub struct Alignment {
    originals: VecDeque<Vec<f32>>,
    others: VecDeque<Vec<f32>>,
    /// By frames that the other is late: differences and how many there are; and the same by frames that it is early.
    late: [(f64, u64); REACH + 1],
    early: [(f64, u64); REACH + 1],
}

impl Alignment {
    /// Takes in the next frame of both.
    pub fn add(&mut self, original: &Luma, other: &Luma) {
        if original.size() != other.size() {
            return;
        }
        self.originals.push_front(coarse(original));
        self.others.push_front(coarse(other));
        self.originals.truncate(REACH + 1);
        self.others.truncate(REACH + 1);
        let note = |sums: &mut [(f64, u64)], of: &[f32], all: &VecDeque<Vec<f32>>| {
            for (sum, before) in sums.iter_mut().zip(all) {
                sum.0 += difference(of, before);
                sum.1 += 1;
            }
        };
        note(&mut self.late, &self.others[0], &self.originals);
        note(&mut self.early, &self.originals[0], &self.others);
    }

    /// The frames by which the other video is late, negative when it is early; None when it is neither, as far as can be seen.
    pub fn late_by(&self) -> Option<i64> {
        let mean = |&(sum, count): &(f64, u64)| sum / count.max(1) as f64;
        let now = mean(&self.late[0]);
        let shifts = (1..=REACH as i64).flat_map(|by| {
            let at = by as usize;
            [(by, &self.late[at]), (-by, &self.early[at])]
        });
        let (by, least) = shifts
            .filter(|(_, sum)| sum.1 > 0)
            .map(|(by, sum)| (by, mean(sum)))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        (least < now * BETTER).then_some(by)
    }
}

/// Means of cells.
fn coarse(luma: &Luma) -> Vec<f32> {
    let (width, height) = luma.size();
    let edge = |index: usize, count: usize, length: usize| index * length / count;
    let mut cells = Vec::with_capacity(CELLS.0 * CELLS.1);
    for row in 0..CELLS.1 {
        let rows = edge(row, CELLS.1, height)..edge(row + 1, CELLS.1, height);
        for column in 0..CELLS.0 {
            let columns = edge(column, CELLS.0, width)..edge(column + 1, CELLS.0, width);
            let count = (rows.len() * columns.len()).max(1);
            let lines = rows.clone().map(|y| &luma.row(y)[columns.clone()]);
            let sum: u64 = lines.flatten().map(|&value| u64::from(value)).sum();
            cells.push(sum as f32 / count as f32);
        }
    }
    cells
}

/// The mean difference of cells.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b).abs().min(MOST)).sum();
    f64::from(sum) / a.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Frame, PixelFormat};

    /// A bright square that moves over a gradient; hidden under grey where `hidden`.
    fn luma(time: usize, hidden: bool) -> Luma {
        let (width, height) = (320, 180);
        let at = 3 * time;
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

    fn late(original: impl Fn(usize) -> usize, other: impl Fn(usize) -> usize) -> Option<i64> {
        let mut alignment = Alignment::default();
        for time in 0..30 {
            alignment.add(&luma(original(time), false), &luma(other(time), true));
        }
        alignment.late_by()
    }

    #[test]
    fn a_version_that_is_late_or_early_is_found() {
        assert_eq!(late(|time| time, |time| time), None);
        assert_eq!(late(|time| time + 5, |time| time + 4), Some(1));
        assert_eq!(late(|time| time + 5, |time| time), Some(5));
        assert_eq!(late(|time| time, |time| time + 2), Some(-2));
    }

    #[test]
    fn where_nothing_moves_nothing_is_late() {
        assert_eq!(late(|_| 4, |_| 4), None);
        assert_eq!(Alignment::default().late_by(), None);
    }
}
