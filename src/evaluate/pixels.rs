//! What differs between a frame and its redacted version, whatever redacted and encoded it.
//!
//! Encoding alone changes every pixel a little, and more where there is more to see. So what counts as altered depends on the
//! frame: luma, smoothed by 3 × 3 pixels, is compared in windows of 8 × 8 about cells of 4 × 4. A cell is *altered* when its mean
//! squared difference is more than four times that of nine tenths of the cells with as much detail, which is what encoding does
//! to such cells, or in any case more than half of the detail's own variance. A cell without detail that was not altered is
//! *plain*: there is nothing in it to recognise, and it counts neither way.
//!
//! Measured on the rendered clips, encoded anew at usual quality no box counts as altered, and filled boxes of any size, blurred ones
//! from 12 pixels on do.
//!
//! Limits: an edge is known to 2 pixels; colour alone counts for nothing; where more than a tenth of the cells of one
//! frame were weakly blurred, weakly blurred small boxes may count as not altered; where encoding left hardly more than
//! a blur of everything (H.264 at 36 and over), that counts as altered.

use super::coverage::Altered;
use crate::frame::{Frame, PixelFormat};
use crate::geometry::BBox;

/// Side of a cell in pixels.
const CELL: usize = 4;
/// Pixels that its window reaches beyond it.
const BEYOND: usize = 2;
/// Times the usual difference from which on a cell was altered.
const TIMES: f32 = 4.0;
/// Of ten cells alike, how many are taken as only encoded.
const USUAL: f64 = 0.9;
/// Mean squared difference below which nothing counts as altered, in levels².
const LEAST: f32 = 2.0;
/// Share of the variance, this much more of it, from which on a cell was altered in any case.
const MOST: f32 = 0.5;
const MOST_MORE: f32 = 9.0;
/// Variance below which a cell has no detail, in levels².
const PLAIN: f32 = 4.0;
/// Cells alike: two groups for each doubling of the variance.
const GROUPS: usize = 30;

/// The luma of a frame, without gaps between rows, and its chroma where it has such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luma {
    width: usize,
    height: usize,
    data: Vec<u8>,
    chroma: Option<[Vec<u8>; 2]>,
}

impl Luma {
    /// That of `frame`; of RGB as in JPEG.
    pub fn of(frame: &Frame<'_>) -> Self {
        let (width, height) = (frame.width(), frame.height());
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = frame.row(0, y);
            match frame.format() {
                PixelFormat::I420 | PixelFormat::Nv12 => data.extend_from_slice(&row[..width]),
                PixelFormat::Rgb => data.extend(row.chunks_exact(3).map(luma)),
                PixelFormat::Rgba => data.extend(row.chunks_exact(4).map(luma)),
            }
        }
        Self {
            width,
            height,
            data,
            chroma: chroma(frame),
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// All samples, row by row.
    pub(super) fn plane(&self) -> &[u8] {
        &self.data
    }

    /// Blue and red difference, each sample for 2 × 2 of luma; None for RGB.
    pub(super) fn chroma(&self) -> Option<&[Vec<u8>; 2]> {
        self.chroma.as_ref()
    }

    /// Width and height of the planes of chroma.
    pub(super) fn chroma_size(&self) -> (usize, usize) {
        (self.width.div_ceil(2), self.height.div_ceil(2))
    }

    /// With the luma that `map` makes of luma and chroma of each pixel; without chroma as it is.
    pub(super) fn mapped(&self, map: impl Fn(f32, f32, f32) -> f32) -> Self {
        let mut mapped = self.clone();
        let Some([blue, red]) = &self.chroma else {
            return mapped;
        };
        let columns = self.chroma_size().0;
        for (y, row) in mapped.data.chunks_mut(self.width).enumerate() {
            let from = y / 2 * columns;
            for (x, luma) in row.iter_mut().enumerate() {
                let at = from + x / 2;
                *luma =
                    map(f32::from(*luma), f32::from(blue[at]), f32::from(red[at])).round() as u8;
            }
        }
        mapped
    }

    /// Filled with `value` in an area: left, top, width, height.
    #[cfg(test)]
    pub(super) fn painted(mut self, area: (usize, usize, usize, usize), value: u8) -> Self {
        let (x, y, width, height) = area;
        for row in y..y + height {
            self.data[row * self.width + x..][..width].fill(value);
        }
        self
    }

    /// Means of 3 × 3 pixels, fewer at the edges.
    fn smoothed(&self) -> Vec<f32> {
        let (width, height) = (self.width, self.height);
        let mut rows = vec![0u16; width * height];
        for (sums, row) in rows.chunks_mut(width).zip(self.data.chunks(width)) {
            for (x, sum) in sums.iter_mut().enumerate() {
                let from = x.saturating_sub(1);
                let near = &row[from..(x + 2).min(width)];
                let total: u16 = near.iter().map(|&value| u16::from(value)).sum();
                // In sixths, so that rows of two and of three can be added.
                *sum = total * (6 / near.len() as u16);
            }
        }
        let mut smooth = vec![0f32; width * height];
        for (y, out) in smooth.chunks_mut(width).enumerate() {
            let near = y.saturating_sub(1)..(y + 2).min(height);
            let scale = 1.0 / (6.0 * near.len() as f32);
            for row in near.map(|y| &rows[y * width..(y + 1) * width]) {
                for (out, &sum) in out.iter_mut().zip(row) {
                    *out += f32::from(sum) * scale;
                }
            }
        }
        smooth
    }
}

fn chroma(frame: &Frame<'_>) -> Option<[Vec<u8>; 2]> {
    let columns = frame.width().div_ceil(2);
    let rows = 0..frame.height().div_ceil(2);
    let plane = |plane: usize, step: usize, first: usize| {
        let row = |y: usize| {
            frame.row(plane, y)[first..]
                .iter()
                .step_by(step)
                .take(columns)
                .copied()
        };
        rows.clone().flat_map(row).collect()
    };
    match frame.format() {
        PixelFormat::I420 => Some([plane(1, 1, 0), plane(2, 1, 0)]),
        PixelFormat::Nv12 => Some([plane(1, 2, 0), plane(1, 2, 1)]),
        PixelFormat::Rgb | PixelFormat::Rgba => None,
    }
}

fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Altered,
    Kept,
    Plain,
}

/// Which cells of a frame were altered.
#[derive(Clone, Debug)]
pub struct Difference {
    size: (usize, usize),
    columns: usize,
    rows: usize,
    cells: Vec<Cell>,
}

impl Difference {
    /// Compares a frame with its redacted version.
    ///
    /// Errors: when they differ in size, which sizes they have.
    pub fn between(original: &Luma, redacted: &Luma) -> Result<Self, String> {
        if original.size() != redacted.size() {
            return Err(format!(
                "it has {}x{} pixels, the original {}x{}",
                redacted.width, redacted.height, original.width, original.height
            ));
        }
        let (width, height) = original.size();
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        let windows = windows(&original.smoothed(), &redacted.smoothed(), width, height);
        let limits = limits(&windows);
        let cell = |&(detail, difference): &(f32, f32)| {
            if difference > limits[group(detail)].min(most(detail)).max(LEAST) {
                Cell::Altered
            } else if detail < PLAIN {
                Cell::Plain
            } else {
                Cell::Kept
            }
        };
        Ok(Self {
            size: (width, height),
            columns,
            rows,
            cells: windows.iter().map(cell).collect(),
        })
    }

    fn cell(&self, column: usize, row: usize) -> Cell {
        self.cells[row * self.columns + column]
    }

    /// True for a cell that lies in a block of 3 × 3 that were all altered: what encoding alters now and then is smaller.
    fn in_altered_block(&self, column: usize, row: usize) -> bool {
        let starts = |at: usize, end: usize| at.saturating_sub(2)..=at.min(end.saturating_sub(3));
        let whole = |left: usize, top: usize| {
            let altered = |row: usize| {
                let cells = (left..(left + 3).min(self.columns)).map(move |column| (column, row));
                cells
                    .into_iter()
                    .all(|(column, row)| self.cell(column, row) == Cell::Altered)
            };
            (top..(top + 3).min(self.rows)).all(altered)
        };
        starts(row, self.rows).any(|top| starts(column, self.columns).any(|left| whole(left, top)))
    }
}

/// Difference from which on a cell of some detail was altered in any case.
fn most(detail: f32) -> f32 {
    MOST * (detail + MOST_MORE)
}

fn group(detail: f32) -> usize {
    ((2.0 * (detail + 1.0).log2()) as usize).min(GROUPS - 1)
}

/// Variance of the original and mean squared difference of each cell's window.
fn windows(original: &[f32], redacted: &[f32], width: usize, height: usize) -> Vec<(f32, f32)> {
    let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
    let range = |at: usize, end: usize| {
        (at * CELL).saturating_sub(BEYOND)..((at + 1) * CELL + BEYOND).min(end)
    };
    let mut all = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut squares, mut difference, mut count) = (0f32, 0f32, 0f32, 0f32);
            let across = range(column, width);
            for y in range(row, height) {
                let from = y * width;
                let part = from + across.start..from + across.end;
                for (&a, &b) in original[part.clone()].iter().zip(&redacted[part]) {
                    // Smaller numbers keep the variance exact.
                    let a_less = a - 128.0;
                    sum += a_less;
                    squares += a_less * a_less;
                    difference += (a - b) * (a - b);
                    count += 1.0;
                }
            }
            let mean = sum / count;
            all.push(((squares / count - mean * mean).max(0.0), difference / count));
        }
    }
    all
}

/// For each group the difference from which on a cell is not only encoded.
fn limits(windows: &[(f32, f32)]) -> [f32; GROUPS] {
    let mut groups: [Vec<f32>; GROUPS] = std::array::from_fn(|_| Vec::new());
    for &(detail, difference) in windows {
        groups[group(detail)].push(difference);
    }
    groups.map(|mut differences| {
        let Some(last) = differences.len().checked_sub(1) else {
            return 0.0;
        };
        let at = (last as f64 * USUAL) as usize;
        let (_, usual, _) = differences.select_nth_unstable_by(at, f32::total_cmp);
        TIMES * *usual
    })
}

impl Altered for Difference {
    /// 0 where there is no detail at all: that such a box was covered cannot be seen.
    fn share(&self, bbox: &BBox) -> f64 {
        let Some(area) = bbox.outward(self.size.0, self.size.1) else {
            return 0.0;
        };
        let (mut altered, mut all) = (0.0, 0.0);
        for row in area.y1 / CELL..area.y2.div_ceil(CELL) {
            for column in area.x1 / CELL..area.x2.div_ceil(CELL) {
                let side = CELL as f32;
                let place = BBox::from_xywh(column as f32 * side, row as f32 * side, side, side);
                let weight = f64::from(place.intersection(bbox));
                match self.cell(column, row) {
                    Cell::Altered => (altered, all) = (altered + weight, all + weight),
                    Cell::Kept => all += weight,
                    Cell::Plain => {}
                }
            }
        }
        if all > 0.0 { altered / all } else { 0.0 }
    }

    /// The places are the cells whose middle is outside.
    fn outside(&self, boxes: &[BBox]) -> (u64, u64) {
        let (mut altered, mut all) = (0, 0);
        let middle = |at: usize| (at as f32 + 0.5) * CELL as f32;
        for row in 0..self.rows {
            let y = middle(row);
            let there: Vec<&BBox> = boxes.iter().filter(|it| y >= it.y1 && y < it.y2).collect();
            for column in 0..self.columns {
                let x = middle(column);
                if there.iter().any(|it| x >= it.x1 && x < it.x2) {
                    continue;
                }
                all += 1;
                altered += u64::from(
                    self.cell(column, row) == Cell::Altered && self.in_altered_block(column, row),
                );
            }
        }
        (altered, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (320, 180);

    /// A picture with plenty of detail, and a plain strip at its left edge; `seed` chooses grain as of an encoder.
    fn picture(grain: u32) -> Luma {
        let mut random = 12345u32;
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        let data = (0..SIZE.0 * SIZE.1)
            .map(|at| {
                let (x, y) = ((at % SIZE.0) as f32, (at / SIZE.0) as f32);
                let wave = 128.0 + 50.0 * (x * 0.45).sin() * (y * 0.37).cos();
                let noise = if grain == 0 {
                    0
                } else {
                    next() % (2 * grain + 1)
                };
                let value = if x < 32.0 { 90.0 } else { wave };
                (value + noise as f32 - grain as f32) as u8
            })
            .collect();
        Luma {
            width: SIZE.0,
            height: SIZE.1,
            data,
            chroma: None,
        }
    }

    #[test]
    fn grain_is_not_an_alteration_and_paint_is() {
        let redacted = picture(6).painted((100, 60, 40, 40), 128);
        let found = Difference::between(&picture(0), &redacted).unwrap();
        let share = |x: f32| found.share(&BBox::from_xywh(x, 60.0, 40.0, 40.0));
        assert_eq!(share(100.0), 1.0);
        assert!((0.45..=0.6).contains(&share(120.0)), "{}", share(120.0));
        assert!(share(200.0) < 0.05, "{}", share(200.0));
        let (altered, all) = found.outside(&[]);
        assert_eq!(all, 80 * 45);
        // 10 by 10 cells, and those whose windows reach into them.
        assert!((100..=144).contains(&altered), "{altered}");
        let (altered, all) = found.outside(&[BBox::from_xywh(96.0, 56.0, 48.0, 48.0)]);
        assert_eq!((altered, all), (0, 80 * 45 - 144));
    }

    #[test]
    fn what_is_plain_counts_neither_way() {
        // Half of the box is in the plain strip, where filling with the same grey changes nothing.
        let redacted = picture(0).painted((0, 60, 64, 40), 90);
        let found = Difference::between(&picture(0), &redacted).unwrap();
        assert_eq!(found.share(&BBox::from_xywh(8.0, 62.0, 48.0, 36.0)), 1.0);
        // Nothing but plain: nobody can tell whether it was covered.
        assert_eq!(found.share(&BBox::from_xywh(2.0, 62.0, 20.0, 20.0)), 0.0);
        // Uncovered detail next to plain.
        let found = Difference::between(&picture(0), &picture(0)).unwrap();
        assert_eq!(found.share(&BBox::from_xywh(8.0, 62.0, 48.0, 36.0)), 0.0);
    }

    #[test]
    fn a_frame_filled_whole_is_altered_everywhere() {
        let redacted = picture(0).painted((0, 0, SIZE.0, SIZE.1), 16);
        let found = Difference::between(&picture(0), &redacted).unwrap();
        assert_eq!(found.outside(&[]), (80 * 45, 80 * 45));
        assert_eq!(found.share(&BBox::from_xywh(290.0, 150.0, 60.0, 60.0)), 1.0);
        assert_eq!(found.share(&BBox::from_xywh(400.0, 150.0, 60.0, 60.0)), 0.0);
    }

    #[test]
    fn sizes_must_be_the_same() {
        let mut small = picture(0);
        small.height -= 1;
        small.data.truncate(SIZE.0 * small.height);
        let error = Difference::between(&picture(0), &small).unwrap_err();
        assert_eq!(error, "it has 320x179 pixels, the original 320x180");
    }

    #[test]
    fn luma_of_rgb_is_weighted() {
        let data = [255u8, 0, 0, 0, 255, 0, 255, 255, 255];
        let frame = Frame::new(PixelFormat::Rgb, 3, 1, Default::default(), &[&data], &[9]).unwrap();
        assert_eq!(Luma::of(&frame).data, [76, 150, 255]);
    }
}
