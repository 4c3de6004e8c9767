//! What remains of a region: a few quantised means.
//!
//! Invariant: what is painted depends on the original pixels only through [`Cells`].

use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::geometry::PixelBox;
use crate::redact::layout::{self, Space};

/// Most cells along one side of a region.
pub(super) const MAX_SIDE: usize = 4;

/// Smallest side of a cell in luma pixels: smaller regions have fewer cells, else those of a tiny
/// face would be its pixels.
const MIN_CELL: usize = 4;

/// Rows of a cell that are read at least; larger cells are read at every n-th row only.
const ROWS_READ: usize = 16;

/// The quantised means of a region's grid of at most 4 × 4 cells, in the colour space of the frame that
/// they were taken from. Luma and chroma of a mean each have one of a fixed number of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cells {
    columns: usize,
    rows: usize,
    space: Space,
    /// Row by row; unused ones are 0, so that equal cells compare equal.
    values: [[u8; 3]; MAX_SIDE * MAX_SIDE],
}

impl Cells {
    /// Takes the means of `area` of `frame`: `cells` along its longer side, as many along the shorter one as
    /// keeps them about square, fewer where they would be smaller than 4 pixels; each mean rounded to one
    /// of `levels` values (in chroma to one of the largest odd number not above, so that grey stays grey;
    /// R'G'B' is rounded as Y'CbCr).
    ///
    /// Errors: [`Error::Setting`] when `cells` is not 1 to 4 or `levels` not 1 to 256, [`Error::Frame`] when
    /// `area` is not inside the frame.
    pub fn sample(frame: &Frame<'_>, area: PixelBox, cells: usize, levels: usize) -> Result<Self> {
        if !(1..=MAX_SIDE).contains(&cells) {
            return Err(Error::setting(
                "cells",
                cells,
                format!("from 1 to {MAX_SIDE}"),
            ));
        }
        if !(1..=256).contains(&levels) {
            return Err(Error::setting("levels", levels, "from 1 to 256"));
        }
        let (width, height) = (frame.width(), frame.height());
        let inside =
            area.x1 < area.x2 && area.x2 <= width && area.y1 < area.y2 && area.y2 <= height;
        if !inside {
            return Err(Error::Frame {
                format: frame.format().name(),
                width,
                height,
                problem: format!("the area {area:?} is not inside"),
            });
        }
        Ok(Self::sample_inside(frame, area, cells, levels))
    }

    /// As [`sample`](Self::sample), for arguments known to be in range.
    pub(super) fn sample_inside(
        frame: &Frame<'_>,
        area: PixelBox,
        cells: usize,
        levels: usize,
    ) -> Self {
        let (columns, rows) = grid(area.width(), area.height(), cells);
        let space = layout::space(frame.format(), frame.colour());
        let mut values = [[0; 3]; MAX_SIDE * MAX_SIDE];
        let mut sums: Vec<u16> = Vec::new();
        for (index, plane) in layout::planes(frame.format()).iter().enumerate() {
            let area = plane.cover(area);
            let bytes = area.x1 * plane.channels..area.x2 * plane.channels;
            for row in 0..rows {
                let lines = part(area.y1, area.height(), row, rows);
                // At most 2 * ROWS_READ rows are read, whose sum u16 holds.
                let step = (lines.len() / ROWS_READ).max(1);
                sums.clear();
                sums.resize(bytes.len(), 0);
                let mut read = 0;
                for y in lines.step_by(step) {
                    for (sum, &value) in sums.iter_mut().zip(&frame.row(index, y)[bytes.clone()]) {
                        *sum += u16::from(value);
                    }
                    read += 1;
                }
                for column in 0..columns {
                    let part = part(0, area.width(), column, columns);
                    let count = (part.len() * read) as u64;
                    let sums = &sums[part.start * plane.channels..part.end * plane.channels];
                    let colours = plane.channels.min(3);
                    for channel in 0..colours {
                        let sum: u64 = sums[channel..]
                            .iter()
                            .step_by(plane.channels)
                            .map(|&sum| u64::from(sum))
                            .sum();
                        let mean = ((sum + count / 2) / count) as u8;
                        values[row * columns + column][plane.first + channel] = mean;
                    }
                }
            }
        }
        for value in &mut values[..columns * rows] {
            *value = quantised(*value, space, levels);
        }
        Self {
            columns,
            rows,
            space,
            values,
        }
    }

    /// Columns of the grid.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows of the grid.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The channels of one cell: Y, U, V or R, G, B.
    pub fn value(&self, column: usize, row: usize) -> [u8; 3] {
        self.values[row * self.columns + column]
    }

    pub(super) fn space(&self) -> Space {
        self.space
    }
}

/// Columns and rows of the cells of a region of `width` × `height` pixels.
fn grid(width: usize, height: usize, cells: usize) -> (usize, usize) {
    let long = width.max(height);
    let along = |side: usize| {
        let about_square = (cells * side + long / 2) / long;
        about_square.min(side / MIN_CELL).max(1)
    };
    (along(width), along(height))
}

/// Part `index` of `count` nearly equal parts of `length` samples from `start` on.
pub(super) fn part(
    start: usize,
    length: usize,
    index: usize,
    count: usize,
) -> std::ops::Range<usize> {
    start + length * index / count..start + length * (index + 1) / count
}

/// A cell's mean with each channel at a level. R'G'B' is rounded as Y'CbCr, since levels of R, G and B
/// would tint what is nearly grey.
fn quantised(mean: [u8; 3], space: Space, levels: usize) -> [u8; 3] {
    match space {
        Space::Yuv { full_range: true } => {
            let [y, u, v] = mean;
            let chroma = |value| level(value, 1, 255, odd(levels));
            [level(y, 0, 255, levels), chroma(u), chroma(v)]
        }
        Space::Yuv { full_range: false } => {
            let [y, u, v] = mean;
            let chroma = |value| level(value, 16, 240, odd(levels));
            [level(y, 16, 235, levels), chroma(u), chroma(v)]
        }
        Space::Rgb => {
            // JFIF's conversion and its inverse.
            let [r, g, b] = mean.map(f32::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            let (cb, cr) = (128.0 + (b - y) / 1.772, 128.0 + (r - y) / 1.402);
            let yuv = [y, cb, cr].map(|value| value.round() as u8);
            let [y, cb, cr] =
                quantised(yuv, Space::Yuv { full_range: true }, levels).map(f32::from);
            let (cb, cr) = (cb - 128.0, cr - 128.0);
            let rgb = [
                y + 1.402 * cr,
                y - 0.344_136 * cb - 0.714_136 * cr,
                y + 1.772 * cb,
            ];
            // A float becomes an integer by saturation.
            rgb.map(|value| value.round() as u8)
        }
    }
}

/// The largest odd number not above, so that one of the levels of chroma is neutral.
fn odd(levels: usize) -> usize {
    levels - (levels + 1) % 2
}

/// The nearest of `levels` values, evenly spaced from `low` to `high`; the middle when there is but one.
fn level(value: u8, low: usize, high: usize, levels: usize) -> u8 {
    let (range, steps) = (high - low, levels - 1);
    if steps == 0 {
        return ((low + high) / 2) as u8;
    }
    let offset = usize::from(value).clamp(low, high) - low;
    let index = (offset * steps + range / 2) / range;
    (low + (index * range + steps / 2) / steps) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_grid_is_about_square_and_never_of_pixels() {
        assert_eq!(grid(100, 100, 4), (4, 4));
        assert_eq!(grid(100, 130, 4), (3, 4));
        assert_eq!(grid(400, 100, 4), (4, 1));
        assert_eq!(grid(1000, 10, 4), (4, 1));
        assert_eq!(grid(15, 15, 4), (3, 3));
        assert_eq!(grid(7, 7, 4), (1, 1));
        assert_eq!(grid(1, 1, 4), (1, 1));
        for width in 1..60 {
            for height in 1..60 {
                for cells in 1..=4 {
                    let (columns, rows) = grid(width, height, cells);
                    assert!((1..=cells).contains(&columns) && (1..=cells).contains(&rows));
                    assert!(columns == 1 || width / columns >= MIN_CELL);
                    assert!(rows == 1 || height / rows >= MIN_CELL);
                }
            }
        }
    }

    #[test]
    fn a_channel_has_no_more_values_than_levels() {
        for full_range in [false, true] {
            let space = Space::Yuv { full_range };
            for levels in 1..=32 {
                for channel in 0..3 {
                    let at = |value| quantised([value; 3], space, levels)[channel];
                    let values: BTreeSet<u8> = (0..=255).map(at).collect();
                    assert!(values.len() <= levels, "{values:?}");
                    assert!(values.len() + 1 >= levels, "{values:?}");
                    assert!(values.iter().all(|&value| at(value) == value));
                    assert!(channel == 0 || values.contains(&128), "{values:?}");
                }
            }
        }
    }

    #[test]
    fn a_pixel_has_no_more_colours_than_levels() {
        for levels in [2, 3, 8] {
            let mut colours = BTreeSet::new();
            for r in (0..=255).step_by(5) {
                for g in (0..=255).step_by(5) {
                    for b in (0..=255).step_by(5) {
                        colours.insert(quantised([r, g, b], Space::Rgb, levels));
                    }
                }
            }
            assert!(colours.len() <= levels * odd(levels) * odd(levels));
            assert!(colours.len() >= levels);
            let grey = quantised([131, 130, 128], Space::Rgb, levels);
            assert!(grey[0] == grey[1] && grey[1] == grey[2]);
        }
    }
}
