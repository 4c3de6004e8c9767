//! What happened between two frames: nothing much, the camera moved, or another scene began.
//!
//! Frames are compared as thumbnails of brightness by their normalised cross-correlation, which does not mind changes
//! of exposure: J. P. Lewis, *Fast Normalized Cross-Correlation*, 1995. Whether it is the same scene where frames fit badly, their details
//! decide: large bright and dark areas of any two scenes fit each other at some shift.

use serde::{Deserialize, Serialize};

use crate::frame::Frame;

/// Columns and rows of a thumbnail.
const COLUMNS: usize = 64;
const ROWS: usize = 36;
/// Samples per cell and direction.
const SAMPLES: usize = 4;
/// Farthest shift that is looked for, in cells.
const REACH: (isize, isize) = (20, 10);
/// Correlation from which two frames count as the same view.
const SAME: f32 = 0.8;
/// Correlation below which, however shifted, a frame belongs to another scene. The same scene taken for another one ends tracks and may
/// leave a region open, another one taken for the same covers too much for some frames: so this is low.
const OTHER: f32 = 0.35;
/// The same for details. Of 600 pairs of frames of different clips all were under .22; frames that follow each other, also those of a fast pan or
/// of a lorry that fills the picture, were over .52, and over .35 with two frames left out between them.
const OTHER_DETAILS: f32 = 0.3;
/// Standard deviation of brightness below which a thumbnail shows nothing that could be compared.
const FLAT: f32 = 1.5;
/// Steps of brightness of a full detail: stronger ones count no more, so that one thing that flashes in an even picture does not decide.
const DETAIL: f32 = 6.0;
/// The same for details, as a share of [`DETAIL`]: below it they are the sensor's noise, or few.
const FLAT_DETAILS: f32 = 0.35;
/// Cells on each side whose mean is taken off for the details.
const AROUND: usize = 2;

/// What happened between two frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Change {
    /// Things may move, the view is the same.
    #[default]
    Still,
    /// The picture moved by so many pixels right and down.
    Moved(f32, f32),
    /// Another scene begins.
    Cut,
}

/// The brightness of a frame, cell by cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Bits", try_from = "Bits")]
pub struct Thumbnail {
    cells: Vec<f32>,
    width: usize,
    height: usize,
}

/// Width, height and the bits of the cells: nothing is lost on the way to another process.
type Bits = (usize, usize, Vec<u32>);

impl From<Thumbnail> for Bits {
    fn from(from: Thumbnail) -> Self {
        let cells = from.cells.iter().map(|cell| cell.to_bits()).collect();
        (from.width, from.height, cells)
    }
}

impl TryFrom<Bits> for Thumbnail {
    type Error = String;

    fn try_from((width, height, cells): Bits) -> Result<Self, String> {
        if cells.len() != COLUMNS * ROWS {
            return Err(format!("{} cells are no thumbnail", cells.len()));
        }
        Ok(Self {
            cells: cells.into_iter().map(f32::from_bits).collect(),
            width,
            height,
        })
    }
}

impl Thumbnail {
    /// The thumbnail of `frame`, by its first plane: luma, or the first bytes of RGB.
    pub fn new(frame: &Frame<'_>) -> Self {
        let (width, height) = (frame.width(), frame.height());
        let bytes = frame.format().plane_size(0, width, height).0;
        // Centres of the samples, each in the middle of its share.
        let at = |index: usize, count: usize, length: usize| (2 * index + 1) * length / (2 * count);
        let columns: Vec<usize> = (0..COLUMNS * SAMPLES)
            .map(|index| at(index, COLUMNS * SAMPLES, width) * (bytes / width))
            .collect();
        let mut cells = vec![0f32; COLUMNS * ROWS];
        for line in 0..ROWS * SAMPLES {
            let row = frame.row(0, at(line, ROWS * SAMPLES, height));
            let cells = &mut cells[line / SAMPLES * COLUMNS..][..COLUMNS];
            for (cell, columns) in cells.iter_mut().zip(columns.chunks_exact(SAMPLES)) {
                *cell += columns.iter().map(|&x| u32::from(row[x])).sum::<u32>() as f32;
            }
        }
        let scale = 1.0 / (SAMPLES * SAMPLES) as f32;
        cells.iter_mut().for_each(|cell| *cell *= scale);
        Self {
            cells,
            width,
            height,
        }
    }

    /// What happened from `before` to this frame.
    pub fn change_from(&self, before: &Self) -> Change {
        if !self.is_as_large_as(before) {
            return Change::Cut;
        }
        let Some(here) = correlation(&self.cells, &before.cells, (0, 0), FLAT) else {
            return Change::Still;
        };
        if here >= SAME {
            return Change::Still;
        }
        let (found, shift) = best_fit(&self.cells, &before.cells, FLAT).unwrap_or((here, (0, 0)));
        let other = || {
            best_fit(&details(&self.cells), &details(&before.cells), FLAT_DETAILS)
                .is_some_and(|(found, _)| found < OTHER_DETAILS)
        };
        if found < OTHER || found < SAME && other() {
            Change::Cut
        } else if shift != (0, 0) && found >= SAME.min(here + 0.2) {
            Change::Moved(
                (shift.0 * self.width as isize) as f32 / COLUMNS as f32,
                (shift.1 * self.height as isize) as f32 / ROWS as f32,
            )
        } else {
            Change::Still
        }
    }

    /// True when this frame shows the view of `before` where it was. Any doubt is a no: what goes by it may leave a frame unseen, so a
    /// cut that [`change_from`](Self::change_from) takes for nothing, or one by way of black, must not pass.
    pub fn same_view(&self, before: &Self) -> bool {
        self.is_as_large_as(before)
            && match correlation(&self.cells, &before.cells, (0, 0), FLAT) {
                Some(found) => found >= SAME,
                None => self.is_flat() && before.is_flat(),
            }
    }

    fn is_as_large_as(&self, other: &Self) -> bool {
        (self.width, self.height) == (other.width, other.height)
    }

    /// True when it shows nothing that could be compared.
    pub fn is_flat(&self) -> bool {
        correlation(&self.cells, &self.cells, (0, 0), FLAT).is_none()
    }
}

/// The view of a stream of frames, in order.
#[derive(Debug, Default)]
pub struct View {
    /// The last frame that showed something: a cut by way of black is one from there.
    last: Option<Thumbnail>,
}

impl View {
    /// What happened between the frame before and `frame`; what happened while nothing could be seen, when something can be again.
    pub fn next(&mut self, frame: Thumbnail) -> Change {
        let change = self
            .last
            .as_ref()
            .map_or(Change::Still, |before| frame.change_from(before));
        if change == Change::Cut || self.last.is_none() || !frame.is_flat() {
            self.last = Some(frame);
        }
        change
    }

    /// The last frame that showed something.
    pub fn last(&self) -> Option<&Thumbnail> {
        self.last.as_ref().filter(|last| !last.is_flat())
    }
}

/// By how much each of `cells` differs from the mean around it, from -1 to 1.
fn details(cells: &[f32]) -> Vec<f32> {
    let mean = |values: &[f32], step: usize, at: usize, count: usize| {
        let start = at.saturating_sub(AROUND).min(count - 2 * AROUND - 1);
        let sum: f32 = (start..=start + 2 * AROUND)
            .map(|at| values[at * step])
            .sum();
        sum / (2 * AROUND + 1) as f32
    };
    let across: Vec<f32> = (0..COLUMNS * ROWS)
        .map(|at| mean(&cells[at / COLUMNS * COLUMNS..], 1, at % COLUMNS, COLUMNS))
        .collect();
    (0..COLUMNS * ROWS)
        .map(|at| cells[at] - mean(&across[at % COLUMNS..], COLUMNS, at / COLUMNS, ROWS))
        .map(|detail| (detail / DETAIL).clamp(-1.0, 1.0))
        .collect()
}

/// The highest correlation of `here` with `before` at any shift in reach, and that shift; None when there is none.
fn best_fit(here: &[f32], before: &[f32], flat: f32) -> Option<(f32, (isize, isize))> {
    (-REACH.1..=REACH.1)
        .flat_map(|dy| (-REACH.0..=REACH.0).map(move |dx| (dx, dy)))
        .filter_map(|shift| Some((correlation(here, before, shift, flat)?, shift)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
}

/// Correlation, -1 to 1, of the cells `here` with `before` moved by `shift` cells; None when either varies by less than `flat` (standard
/// deviation) where they overlap.
fn correlation(here: &[f32], before: &[f32], (dx, dy): (isize, isize), flat: f32) -> Option<f32> {
    let (from_x, to_x) = (dx.max(0) as usize, COLUMNS - (-dx).max(0) as usize);
    let (from_y, to_y) = (dy.max(0) as usize, ROWS - (-dy).max(0) as usize);
    let length = to_x - from_x;
    let mut sums = [0f32; 5];
    for y in from_y..to_y {
        let a = &here[y * COLUMNS + from_x..][..length];
        let start = (y as isize - dy) as usize * COLUMNS + (from_x as isize - dx) as usize;
        let b = &before[start..][..length];
        let mut row = [0f32; 5];
        for (&a, &b) in a.iter().zip(b) {
            for (sum, term) in row.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                *sum += term;
            }
        }
        for (sum, row) in sums.iter_mut().zip(row) {
            *sum += row;
        }
    }
    let count = (length * (to_y - from_y)) as f32;
    let [a, b, aa, bb, ab] = sums.map(|sum| sum / count);
    let (va, vb) = (aa - a * a, bb - b * b);
    if va < flat * flat || vb < flat * flat {
        return None;
    }
    Some((ab - a * b) / (va * vb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, PixelFormat};

    const SIZE: (usize, usize) = (640, 360);

    /// A textured picture, moved by (dx, dy), brightened.
    fn thumbnail(seed: u32, (dx, dy): (isize, isize), gain: f32) -> Thumbnail {
        let value = |x: isize, y: isize| {
            // Smooth noise: a lattice of random values, interpolated.
            let lattice = |x: isize, y: isize| {
                let mut hash = (x as u32).wrapping_mul(0x9e37_79b1)
                    ^ (y as u32).wrapping_mul(0x85eb_ca6b)
                    ^ seed.wrapping_mul(0xc2b2_ae35);
                hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
                (hash >> 24) as f32
            };
            let (cell_x, cell_y) = (x.div_euclid(40), y.div_euclid(40));
            let (u, v) = (
                x.rem_euclid(40) as f32 / 40.0,
                y.rem_euclid(40) as f32 / 40.0,
            );
            let top = lattice(cell_x, cell_y) * (1.0 - u) + lattice(cell_x + 1, cell_y) * u;
            let low = lattice(cell_x, cell_y + 1) * (1.0 - u) + lattice(cell_x + 1, cell_y + 1) * u;
            ((top * (1.0 - v) + low * v) * gain) as u8
        };
        let luma: Vec<u8> = (0..SIZE.0 * SIZE.1)
            .map(|at| value((at % SIZE.0) as isize - dx, (at / SIZE.0) as isize - dy))
            .collect();
        shown(&luma)
    }

    /// The thumbnail of a grey picture.
    fn shown(luma: &[u8]) -> Thumbnail {
        let chroma = vec![128; SIZE.0 / 2 * SIZE.1 / 2];
        let frame = Frame::new(
            PixelFormat::I420,
            SIZE.0,
            SIZE.1,
            Colour::default(),
            &[luma, &chroma, &chroma],
            &[SIZE.0, SIZE.0 / 2, SIZE.0 / 2],
        );
        Thumbnail::new(&frame.unwrap())
    }

    #[test]
    fn small_moves_and_changes_of_light_are_nothing() {
        let before = thumbnail(1, (0, 0), 1.0);
        for (shift, gain) in [((0, 0), 1.0), ((3, 1), 1.0), ((0, 0), 0.5)] {
            let change = thumbnail(1, shift, gain).change_from(&before);
            assert_eq!(change, Change::Still, "{shift:?} {gain}");
        }
    }

    #[test]
    fn a_pan_is_measured_and_is_no_cut() {
        let before = thumbnail(1, (0, 0), 1.0);
        for shift in [(60, 0), (-80, 20), (150, -40)] {
            let Change::Moved(dx, dy) = thumbnail(1, shift, 0.9).change_from(&before) else {
                panic!("{shift:?} was not seen");
            };
            assert!((dx - shift.0 as f32).abs() <= 10.0, "{shift:?}: {dx}");
            assert!((dy - shift.1 as f32).abs() <= 10.0, "{shift:?}: {dy}");
        }
    }

    #[test]
    fn other_scenes_are_cuts_and_emptiness_is_not() {
        let before = thumbnail(1, (0, 0), 1.0);
        for seed in 2..12 {
            assert_eq!(
                thumbnail(seed, (0, 0), 1.0).change_from(&before),
                Change::Cut
            );
        }
        let black = thumbnail(1, (0, 0), 0.0);
        assert!(!before.same_view(&black) && !black.same_view(&before));
        assert!(black.same_view(&black) && before.same_view(&before));
        assert!((2..60).all(|seed| !thumbnail(seed, (0, 0), 1.0).same_view(&before)));
        assert_eq!(black.change_from(&before), Change::Still);
        assert_eq!(before.change_from(&black), Change::Still);
    }

    #[test]
    fn a_cut_by_way_of_black_is_one_and_darkness_alone_is_not() {
        let (one, other) = (thumbnail(1, (0, 0), 1.0), thumbnail(2, (0, 0), 1.0));
        let black = thumbnail(1, (0, 0), 0.0);
        let changes = |frames: &[&Thumbnail]| {
            let mut view = View::default();
            let next = |frame: &&Thumbnail| view.next((*frame).clone());
            frames.iter().map(next).collect::<Vec<_>>()
        };
        let [still, cut] = [Change::Still, Change::Cut];
        assert_eq!(
            changes(&[&one, &black, &black, &one, &other]),
            [still, still, still, still, cut]
        );
        assert_eq!(
            changes(&[&black, &one, &black, &other, &other]),
            [still, still, still, cut, still]
        );
    }

    #[test]
    fn noise_in_the_dark_is_no_cut() {
        let mut hash = 1u32;
        let mut noisy = || {
            let mut luma = Vec::with_capacity(SIZE.0 * SIZE.1);
            for at in 0..SIZE.0 * SIZE.1 {
                hash = hash.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // A slope from 20 to 28, and noise of a standard deviation of 7.
                luma.push((20 + at % SIZE.0 / 80 + (hash >> 24) as usize % 25) as u8);
            }
            shown(&luma)
        };
        let before = noisy();
        assert!((0..20).all(|_| noisy().change_from(&before) == Change::Still));
    }
}
