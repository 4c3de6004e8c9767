//! Painting the masks of a frame into a band of its rows.
//!
//! Invariants: nothing here reads a pixel of a mask, so every cell must have been taken before. Soft
//! edges come first, then masks from the weakest style to the strongest, then privacy zones: no pixel of
//! a mask keeps a mixture with the original, and the stronger style wins.

use std::ops::Range;

use crate::geometry::PixelBox;
use crate::redact::cells::Cells;
use crate::redact::layout::{Band, PlaneLayout, PlaneRows};
use crate::redact::mask::{BLOCK, Feather, Mask};
use crate::redact::plan::{Plan, Taps};
use crate::redact::settings::Style;
use crate::redact::zone::ZoneMask;

/// One region, ready to be painted.
#[derive(Debug)]
pub(super) struct Layer {
    pub style: Style,
    /// The smallest box about all that is painted, in luma pixels.
    pub bounds: PixelBox,
    soft: bool,
    /// One for each layout: two planes of the same layout share one.
    plans: Vec<Plan>,
    /// For each plane its plan and its rows of cells; no rows are filled.
    planes: Vec<(usize, Vec<u8>)>,
}

impl Layer {
    /// The layer of one region. `cells` are None for [`Style::Fill`], which needs none.
    pub fn new(
        mask: &Mask,
        feather: Option<&Feather>,
        style: Style,
        cells: Option<&Cells>,
        layouts: &[PlaneLayout],
    ) -> Self {
        let smooth = style == Style::Blur;
        let mut plans = Vec::with_capacity(2);
        let mut planes = Vec::with_capacity(layouts.len());
        for (index, layout) in layouts.iter().enumerate() {
            let same = |before: &PlaneLayout| {
                (before.shift, before.channels) == (layout.shift, layout.channels)
            };
            if !layouts[..index].iter().any(same) {
                plans.push(Plan::new(mask, feather, cells, smooth, layout));
            }
            let plan = plans.len() - 1;
            let lines = cells.map_or_else(Vec::new, |cells| plans[plan].draw(cells, layout.first));
            planes.push((plan, lines));
        }
        Self {
            style,
            bounds: feather.map_or(mask.bounds(), Feather::bounds),
            soft: feather.is_some(),
            plans,
            planes,
        }
    }
}

/// Everything to paint in one frame.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    /// The format's planes.
    pub planes: &'a [PlaneLayout],
    /// Weakest style first.
    pub layers: &'a [Layer],
    pub zones: Option<&'a ZoneMask>,
    /// A whole row of the fill colour for each plane.
    pub fill: &'a [Vec<u8>],
}

impl Picture<'_> {
    /// Paints what lies in `band`.
    pub fn paint(&self, band: &mut Band<'_>) {
        for (index, (rows, layout)) in band.planes.iter_mut().zip(self.planes).enumerate() {
            for layer in self.layers.iter().filter(|layer| layer.soft) {
                let (plan, lines) = &layer.planes[index];
                soften(rows, &layer.plans[*plan], lines);
            }
            for layer in self.layers {
                let (plan, lines) = &layer.planes[index];
                cover(rows, &layer.plans[*plan], lines, &self.fill[index]);
            }
            if let Some(zones) = self.zones {
                fill_zones(rows, layout, zones, &self.fill[index]);
            }
        }
    }
}

/// Paints the mask of one region; without `lines` it is filled.
fn cover(rows: &mut PlaneRows<'_>, plan: &Plan, lines: &[u8], fill: &[u8]) {
    let area = plan.area();
    for y in both(rows.rows(), area.y1..area.y2) {
        let mask = plan.row(y).mask.clone();
        let to = &mut rows.row(y)[plan.bytes()][mask.clone()];
        if lines.is_empty() {
            // The fill's row may begin anywhere that is a whole sample.
            to.copy_from_slice(&fill[..to.len()]);
        } else {
            let taps = plan.taps(y);
            match tapped(lines, taps, &mask) {
                [line, _, _] if taps.shares[0] == 256 => to.copy_from_slice(line),
                [a, b, c] => mix(to, a, b, c, taps.shares),
            }
        }
    }
}

/// Paints the soft edge of one region.
fn soften(rows: &mut PlaneRows<'_>, plan: &Plan, lines: &[u8]) {
    let area = plan.area();
    for y in both(rows.rows(), area.y1..area.y2) {
        let (row, taps) = (plan.row(y), plan.taps(y));
        let to = &mut rows.row(y)[plan.bytes()];
        let (left, right) = plan.opacities(row);
        for (side, opacities) in [(&row.left, left), (&row.right, right)] {
            if !side.is_empty() {
                let [a, b, c] = tapped(lines, taps, side);
                blend(&mut to[side.clone()], a, b, c, taps.shares, opacities);
            }
        }
    }
}

/// The part `bytes` of the lines that make up a row.
fn tapped<'a>(lines: &'a [u8], taps: &Taps, bytes: &Range<usize>) -> [&'a [u8]; 3] {
    let [a, b, c] = taps.starts;
    let line = |start: usize| &lines[start + bytes.start..start + bytes.end];
    [line(a), line(b), line(c)]
}

/// The mixture of three bytes. 256 parts of at most 255, and the rounding, are below 65,536.
#[inline(always)]
fn mixed([a, b, c]: [u8; 3], weights: [u16; 3]) -> u16 {
    let sum = u16::from(a) * weights[0] + u16::from(b) * weights[1] + u16::from(c) * weights[2];
    (sum + 128) >> 8
}

/// The mixture over a byte that is there, with an opacity of 0 to 256.
#[inline(always)]
fn blended(there: u8, paint: u16, opacity: u16) -> u8 {
    let sum = u16::from(there) * (256 - opacity) + paint * opacity;
    ((sum + 128) >> 8) as u8
}

// These two are kept apart, so that the compiler knows that the slices do not overlap and makes vector code;
// blocks of a fixed length save it the cases of short rows.

/// Writes the mixture of three lines.
#[inline(never)]
fn mix(to: &mut [u8], a: &[u8], b: &[u8], c: &[u8], weights: [u16; 3]) {
    let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
    let ((a, a_rest), (b, b_rest), (c, c_rest)) = (
        a.as_chunks::<BLOCK>(),
        b.as_chunks::<BLOCK>(),
        c.as_chunks::<BLOCK>(),
    );
    for (to, ((a, b), c)) in blocks.iter_mut().zip(a.iter().zip(b).zip(c)) {
        for n in 0..BLOCK {
            to[n] = mixed([a[n], b[n], c[n]], weights) as u8;
        }
    }
    for (to, ((&a, &b), &c)) in rest.iter_mut().zip(a_rest.iter().zip(b_rest).zip(c_rest)) {
        *to = mixed([a, b, c], weights) as u8;
    }
}

/// As [`mix`], over what is there with opacities of 0 to 256.
#[inline(never)]
fn blend(to: &mut [u8], a: &[u8], b: &[u8], c: &[u8], weights: [u16; 3], opacities: &[u16]) {
    let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
    let ((a, a_rest), (b, b_rest), (c, c_rest), (opacities, opacities_rest)) = (
        a.as_chunks::<BLOCK>(),
        b.as_chunks::<BLOCK>(),
        c.as_chunks::<BLOCK>(),
        opacities.as_chunks::<BLOCK>(),
    );
    let lines = a.iter().zip(b).zip(c).zip(opacities);
    for (to, (((a, b), c), opacities)) in blocks.iter_mut().zip(lines) {
        for n in 0..BLOCK {
            to[n] = blended(to[n], mixed([a[n], b[n], c[n]], weights), opacities[n]);
        }
    }
    let lines = a_rest.iter().zip(b_rest).zip(c_rest).zip(opacities_rest);
    for (to, (((&a, &b), &c), &opacity)) in rest.iter_mut().zip(lines) {
        *to = blended(*to, mixed([a, b, c], weights), opacity);
    }
}

fn fill_zones(rows: &mut PlaneRows<'_>, layout: &PlaneLayout, zones: &ZoneMask, fill: &[u8]) {
    for y in rows.rows() {
        let first = y << layout.shift;
        for luma in first..first + (1 << layout.shift) {
            for span in zones.spans(luma) {
                let span = layout.cover_span(span.clone());
                let to = &mut rows.row(y)[span.start * layout.channels..span.end * layout.channels];
                to.copy_from_slice(&fill[..to.len()]);
            }
        }
    }
}

/// What two ranges have in common; may be empty.
fn both(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    a.start.max(b.start)..a.end.min(b.end)
}
