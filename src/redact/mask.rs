//! Which pixels of a frame a region covers.
//!
//! Invariants: every pixel that the dilated box touches is in the mask; with an ellipse so is every pixel
//! that the ellipse touches. All rounding goes outward. The feather lies outside the mask.

use std::iter::repeat_n;
use std::ops::Range;

use crate::geometry::{BBox, PixelBox};
use crate::redact::layout::PlaneLayout;
use crate::redact::settings::Shape;

/// Opacities are worked out in blocks of this many, for vector code.
pub(super) const BLOCK: usize = 16;

const LANES: [f32; BLOCK] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
];

/// Growth below which a soft edge is not worth having, and not to be divided by.
const NO_FEATHER: f32 = 1e-3;

/// A shape about a region, before it meets the pixels of a frame.
#[derive(Clone, Copy, Debug)]
struct Outline {
    shape: Shape,
    centre: (f64, f64),
    /// Half width and half height, in pixels.
    radii: (f64, f64),
}

impl Outline {
    fn new(dilated: &BBox, shape: Shape) -> Self {
        let [x1, y1, x2, y2] = [dilated.x1, dilated.y1, dilated.x2, dilated.y2].map(f64::from);
        let scale = match shape {
            Shape::Rectangle => 0.5,
            Shape::Ellipse => std::f64::consts::FRAC_1_SQRT_2,
        };
        Self {
            shape,
            centre: ((x1 + x2) * 0.5, (y1 + y2) * 0.5),
            radii: ((x2 - x1) * scale, (y2 - y1) * scale),
        }
    }

    /// The pixels of a frame that the outline's box touches.
    fn bounds(&self, width: usize, height: usize) -> Option<PixelBox> {
        let area = PixelBox {
            x1: floor(self.centre.0 - self.radii.0),
            y1: floor(self.centre.1 - self.radii.1),
            x2: ceil(self.centre.0 + self.radii.0).min(width),
            y2: ceil(self.centre.1 + self.radii.1).min(height),
        };
        (area.x1 < area.x2 && area.y1 < area.y2).then_some(area)
    }

    /// The columns that the outline touches between the lines `top` and `bottom`; may be empty.
    fn span(&self, top: f64, bottom: f64, width: usize) -> Range<usize> {
        // The point nearest to the centre decides, so that a touched pixel counts as covered.
        let cy = self.centre.1;
        let distance = (top - cy).max(cy - bottom).max(0.0) / self.radii.1;
        if distance >= 1.0 {
            return 0..0;
        }
        let half = match self.shape {
            Shape::Rectangle => self.radii.0,
            Shape::Ellipse => self.radii.0 * (1.0 - distance * distance).sqrt(),
        };
        floor(self.centre.0 - half)..ceil(self.centre.0 + half).min(width)
    }
}

/// The mask of one region in a frame; its bounds hold at least one pixel.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    outline: Outline,
    bounds: PixelBox,
    /// The columns of each row of the bounds; may be empty.
    spans: Vec<Range<usize>>,
}

impl Mask {
    /// The mask of `dilated`, a valid box with its margin, in a frame of `width` × `height` pixels; None
    /// when it lies wholly outside.
    pub fn new(dilated: &BBox, shape: Shape, width: usize, height: usize) -> Option<Self> {
        let outline = Outline::new(dilated, shape);
        let inner = dilated.outward(width, height);
        let (bounds, spans) = match shape {
            Shape::Rectangle => {
                let bounds = inner?;
                (bounds, vec![bounds.x1..bounds.x2; bounds.height()])
            }
            Shape::Ellipse => {
                let outer = outline.bounds(width, height)?;
                // The ellipse goes through the corners of the box, so rounding may miss them.
                let bounds = inner.map_or(outer, |inner| united(inner, outer));
                let span = |y: usize| {
                    let span = outline.span(y as f64, (y + 1) as f64, width);
                    match inner {
                        Some(inner) if (inner.y1..inner.y2).contains(&y) => {
                            union(span, inner.x1..inner.x2)
                        }
                        _ => span,
                    }
                };
                (bounds, (bounds.y1..bounds.y2).map(span).collect())
            }
        };
        Some(Self {
            outline,
            bounds,
            spans,
        })
    }

    /// The smallest box about the mask, in luma pixels.
    pub fn bounds(&self) -> PixelBox {
        self.bounds
    }

    /// The columns of luma row `y`; may be empty.
    fn luma_span(&self, y: usize) -> Range<usize> {
        let row = y.checked_sub(self.bounds.y1);
        row.and_then(|row| self.spans.get(row).cloned())
            .unwrap_or(0..0)
    }

    /// The samples of row `y` of a plane that the mask touches; may be empty.
    pub fn span(&self, y: usize, layout: &PlaneLayout) -> Range<usize> {
        let span = if layout.shift == 0 {
            self.luma_span(y)
        } else {
            union(self.luma_span(2 * y), self.luma_span(2 * y + 1))
        };
        layout.cover_span(span)
    }

    /// The soft edge about the mask when the mask grows by `feather` of its width and height; None
    /// when there is none.
    pub fn feather(&self, feather: f32, width: usize, height: usize) -> Option<Feather> {
        if feather < NO_FEATHER {
            return None;
        }
        let growth = 1.0 + f64::from(feather);
        let (rx, ry) = self.outline.radii;
        let outer = Outline {
            radii: (rx * growth, ry * growth),
            ..self.outline
        };
        let (top, hold, reach) = match self.outline.shape {
            Shape::Rectangle => (1.0, (rx, ry), growth - 1.0),
            Shape::Ellipse => {
                let range = growth * growth - 1.0;
                (growth * growth / range, (0.0, 0.0), range.sqrt())
            }
        };
        Some(Feather {
            outer,
            bounds: united(self.bounds, outer.bounds(width, height)?),
            top,
            hold,
            factors: (1.0 / (rx * reach), 1.0 / (ry * reach)),
        })
    }
}

/// The soft edge of a mask: opacity 1 at the mask's edge and 0 where it ends.
///
/// Opacity is `top - x² - y²` within 0 to 1, x and y being the distances from the centre less `hold`,
/// times `factors`. With a hold of 0 it is linear in the square of an ellipse's radius.
#[derive(Clone, Debug)]
pub(super) struct Feather {
    outer: Outline,
    bounds: PixelBox,
    top: f64,
    hold: (f64, f64),
    factors: (f64, f64),
}

impl Feather {
    /// The smallest box about mask and feather, in luma pixels.
    pub fn bounds(&self) -> PixelBox {
        self.bounds
    }

    /// The samples of row `y` of a plane that mask or feather touch; may be empty.
    pub fn span(&self, y: usize, layout: &PlaneLayout) -> Range<usize> {
        let (top, bottom) = (y << layout.shift, (y + 1) << layout.shift);
        let bottom = bottom.min(self.bounds.y2);
        let span = self.outer.span(top as f64, bottom as f64, self.bounds.x2);
        layout.cover_span(span)
    }

    /// Appends the opacities of the samples `columns` of row `y` of a plane, 0 to 256, to `to`, one for
    /// each byte.
    pub fn opacities(
        &self,
        y: usize,
        columns: Range<usize>,
        layout: &PlaneLayout,
        to: &mut Vec<u16>,
    ) {
        let size = (1 << layout.shift) as f64;
        let (cx, cy) = self.outer.centre;
        let dy = ((y as f64 + 0.5) * size - cy).abs();
        let dy = (dy - self.hold.1).max(0.0) * self.factors.1;
        let level = (self.top - dy * dy) as f32;
        let (hold, factor) = (self.hold.0 as f32, self.factors.0 as f32);
        let columns = columns.start..columns.end.max(columns.start);
        for first in columns.clone().step_by(BLOCK) {
            // Relative to the block's first column, for the precision of f32.
            let offset = ((first as f64 + 0.5) * size - cx) as f32;
            let step = size as f32;
            let mut block = [0; BLOCK];
            for (to, lane) in block.iter_mut().zip(LANES) {
                let dx = (offset + lane * step).abs();
                let dx = (dx - hold).max(0.0) * factor;
                let opacity = (level - dx * dx).clamp(0.0, 1.0) * 256.0;
                // Adding 2²³ leaves the whole number in the low bits, which unlike a saturating cast
                // is vector code.
                *to = (opacity + 8_388_608.0).to_bits() as u16;
            }
            let block = &block[..BLOCK.min(columns.end - first)];
            if layout.channels == 1 {
                to.extend_from_slice(block);
            } else {
                for &opacity in block {
                    to.extend(repeat_n(opacity, layout.channels));
                }
            }
        }
    }
}

// Casts truncate and saturate; unlike `floor` and `ceil` they are no calls on older processors.
fn floor(value: f64) -> usize {
    value as usize
}

fn ceil(value: f64) -> usize {
    let whole = value as usize;
    if (whole as f64) < value {
        whole.saturating_add(1)
    } else {
        whole
    }
}

fn united(a: PixelBox, b: PixelBox) -> PixelBox {
    PixelBox {
        x1: a.x1.min(b.x1),
        y1: a.y1.min(b.y1),
        x2: a.x2.max(b.x2),
        y2: a.y2.max(b.y2),
    }
}

/// The smallest range over both; an empty one does not count.
fn union(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}
