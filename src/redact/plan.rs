//! What to paint of one region in each row, worked out once for all planes of one layout (U and V).

use std::ops::Range;

use crate::geometry::PixelBox;
use crate::redact::cells::Cells;
use crate::redact::layout::PlaneLayout;
use crate::redact::mask::{BLOCK, Feather, Mask};
use crate::redact::spline::{self, Weights};

/// The rows of one region in planes of one layout.
#[derive(Debug)]
pub(super) struct Plan {
    /// Samples that may be painted.
    area: PixelBox,
    channels: usize,
    rows: Vec<Row>,
    /// Opacities of the soft edges, one for each byte, 0 to 256; row by row, left edge before right.
    opacities: Vec<u16>,
    /// Shares of the columns of cells in each sample; empty without cells.
    columns: Vec<Weights>,
    /// What each row is mixed from; empty without cells.
    taps: Vec<Taps>,
}

/// One row of a plan; bytes are counted from the area's first.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Bytes of the mask.
    pub mask: Range<usize>,
    /// Bytes of the soft edge before and after the mask.
    pub left: Range<usize>,
    pub right: Range<usize>,
    /// Where the row's opacities begin.
    opacities: usize,
}

/// The lines of [`Plan::draw`] that make up a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taps {
    /// Where each of the lines begins.
    pub starts: [usize; 3],
    /// Their shares, parts of 256. A line that makes up all of the row comes first.
    pub shares: [u16; 3],
}

impl Taps {
    fn new(weights: &Weights, length: usize, rows: usize) -> Self {
        let first = weights.iter().take_while(|&&weight| weight == 0).count();
        let start = |row: usize| row.min(rows - 1) * length;
        let share = |row: usize| weights.get(row).copied().unwrap_or(0);
        Self {
            starts: [start(first), start(first + 1), start(first + 2)],
            shares: [share(first), share(first + 1), share(first + 2)],
        }
    }
}

impl Plan {
    /// The plan of `mask` with its soft edge, and with the grid of `cells` unless it is to be filled.
    pub fn new(
        mask: &Mask,
        feather: Option<&Feather>,
        cells: Option<&Cells>,
        smooth: bool,
        layout: &PlaneLayout,
    ) -> Self {
        let grid = layout.cover(mask.bounds());
        let area = feather.map_or(grid, |feather| layout.cover(feather.bounds()));
        let channels = layout.channels;
        let bytes = |samples: Range<usize>| {
            let start = samples.start.saturating_sub(area.x1) * channels;
            start..(samples.end.saturating_sub(area.x1) * channels).max(start)
        };
        let mut opacities = Vec::new();
        let row = |y: usize| {
            let span = mask.span(y, layout);
            let mut row = Row {
                mask: bytes(span.clone()),
                left: 0..0,
                right: 0..0,
                opacities: opacities.len(),
            };
            if let Some(feather) = feather {
                let outer = feather.span(y, layout);
                let (left, right) = sides(span, outer, area.x2);
                for side in [&left, &right] {
                    feather.opacities(y, side.clone(), layout, &mut opacities);
                }
                (row.left, row.right) = (bytes(left), bytes(right));
            }
            row
        };
        let rows = (area.y1..area.y2).map(row).collect();
        let length = area.width() * channels;
        let (columns, taps) = cells.map_or_else(Default::default, |cells| {
            let columns = cells.columns();
            let columns = spline::weights(area.x1..area.x2, grid.x1, grid.width(), columns, smooth);
            let rows = cells.rows();
            let lines = spline::weights(area.y1..area.y2, grid.y1, grid.height(), rows, smooth);
            let taps = lines.iter().map(|line| Taps::new(line, length, rows));
            (columns, taps.collect())
        });
        Self {
            area,
            channels,
            rows,
            opacities,
            columns,
            taps,
        }
    }

    /// Samples that may be painted.
    pub fn area(&self) -> PixelBox {
        self.area
    }

    /// The area's columns in bytes.
    pub fn bytes(&self) -> Range<usize> {
        self.area.x1 * self.channels..self.area.x2 * self.channels
    }

    /// Row `y` of the plane, which must be in the area.
    pub fn row(&self, y: usize) -> &Row {
        &self.rows[y - self.area.y1]
    }

    /// What row `y` is mixed from; it must be in the area, and the plan have cells.
    pub fn taps(&self, y: usize) -> &Taps {
        &self.taps[y - self.area.y1]
    }

    /// The opacities of a row's left and right soft edges.
    pub fn opacities(&self, row: &Row) -> (&[u16], &[u16]) {
        let all = &self.opacities[row.opacities..];
        let (left, rest) = all.split_at(row.left.len());
        (left, &rest[..row.right.len()])
    }

    /// The rows of `cells` drawn out over the area's width, one after the other, for a plane of the plan's
    /// layout whose first channel is `first`.
    pub fn draw(&self, cells: &Cells, first: usize) -> Vec<u8> {
        let length = self.area.width() * self.channels;
        // Alpha stays 255: a transparent shape would show what was there.
        let mut lines = vec![255; length * cells.rows()];
        for (row, line) in lines.chunks_exact_mut(length).enumerate() {
            for channel in 0..self.channels.min(3) {
                let last = cells.columns() - 1;
                let [a, b, c, d] = [0, 1, 2, 3].map(|column: usize| {
                    u16::from(cells.value(column.min(last), row)[first + channel])
                });
                let samples = line[channel..].iter_mut().step_by(self.channels);
                for (to, weights) in samples.zip(&self.columns) {
                    // 256 parts of at most 255, and the rounding, are below 65,536.
                    let sum = a * weights[0] + b * weights[1] + c * weights[2] + d * weights[3];
                    *to = ((sum + 128) >> 8) as u8;
                }
            }
        }
        lines
    }
}

/// The soft edge about the mask's `span` of a row that reaches over `outer`: before and after the mask, or all in one
/// where the mask is narrow. Lengthened to whole blocks, for vector code: with clear samples, or with samples
/// of the mask, which is painted afterwards. `limit` is the end of what may be painted.
fn sides(span: Range<usize>, outer: Range<usize>, limit: usize) -> (Range<usize>, Range<usize>) {
    let blocks = |range: Range<usize>| range.len().next_multiple_of(BLOCK);
    if span.len() < BLOCK {
        let end = (outer.start + blocks(outer.clone())).min(limit);
        return (outer.start..end, 0..0);
    }
    let left = outer.start..span.start;
    let right = span.end..outer.end;
    (
        left.start..left.start + blocks(left),
        outer.end - blocks(right)..outer.end,
    )
}
