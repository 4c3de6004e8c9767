//! Boxes in pixel coordinates.
//!
//! Frame coordinates: the origin is the top left corner of the top left pixel, x grows to the right and y
//! down, one unit is one pixel of the frame's luma plane. A pixel (i, j) covers [i, i+1) × [j, j+1).
//!
//! Invariant: every rounding here goes outward, so a pixel box always covers the real-valued box it came from.

/// An axis-aligned box, corners (x1, y1) top left and (x2, y2) bottom right, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BBox {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl BBox {
    /// A box from its corners.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// A box from its top left corner, width and height.
    pub fn from_xywh(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self::new(x, y, x + width, y + height)
    }

    /// A box from its centre, width and height.
    pub fn from_centre(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        let (half_width, half_height) = (width * 0.5, height * 0.5);
        Self::new(
            cx - half_width,
            cy - half_height,
            cx + half_width,
            cy + half_height,
        )
    }

    /// Its centre, x and y.
    pub fn centre(&self) -> (f32, f32) {
        ((self.x1 + self.x2) * 0.5, (self.y1 + self.y2) * 0.5)
    }

    /// Width in pixels; 0 for an inverted box.
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height in pixels; 0 for an inverted box.
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// True when all corners are finite and the box has an area.
    pub fn is_valid(&self) -> bool {
        [self.x1, self.y1, self.x2, self.y2]
            .iter()
            .all(|v| v.is_finite())
            && self.x2 > self.x1
            && self.y2 > self.y1
    }

    /// Area of the intersection in square pixels; 0 when the boxes do not meet.
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = self.x2.min(other.x2) - self.x1.max(other.x1);
        let height = self.y2.min(other.y2) - self.y1.max(other.y1);
        width.max(0.0) * height.max(0.0)
    }

    /// The smallest box that covers both.
    pub fn union(&self, other: &Self) -> Self {
        Self::new(
            self.x1.min(other.x1),
            self.y1.min(other.y1),
            self.x2.max(other.x2),
            self.y2.max(other.y2),
        )
    }

    /// Intersection over union, 0 to 1; 0 when both boxes are empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let intersection = self.intersection(other);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 {
            intersection / union
        } else {
            0.0
        }
    }

    /// The box with width and height multiplied by `1 + margin` about its centre: a margin of 0.4 adds a
    /// fifth of the width on the left and on the right.
    pub fn dilate(&self, margin: f32) -> Self {
        let dx = self.width() * margin * 0.5;
        let dy = self.height() * margin * 0.5;
        Self::new(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy)
    }

    /// The box moved by (dx, dy) after both axes were scaled: `x * sx + dx`, `y * sy + dy`.
    pub fn scale_translate(&self, sx: f32, sy: f32, dx: f32, dy: f32) -> Self {
        Self::new(
            self.x1 * sx + dx,
            self.y1 * sy + dy,
            self.x2 * sx + dx,
            self.y2 * sy + dy,
        )
    }

    /// The part inside a frame of `width` × `height` pixels; None when nothing of it is inside or a corner
    /// is not a number.
    pub fn clip(&self, width: usize, height: usize) -> Option<Self> {
        // `f32::max` would turn a NaN into an edge of the frame.
        if [self.x1, self.y1, self.x2, self.y2]
            .iter()
            .any(|v| v.is_nan())
        {
            return None;
        }
        let clipped = Self::new(
            self.x1.max(0.0),
            self.y1.max(0.0),
            self.x2.min(width as f32),
            self.y2.min(height as f32),
        );
        clipped.is_valid().then_some(clipped)
    }

    /// The smallest whole-pixel box that covers this one, clipped to a frame of `width` × `height` pixels;
    /// None when nothing of it is inside.
    pub fn outward(&self, width: usize, height: usize) -> Option<PixelBox> {
        let clipped = self.clip(width, height)?;
        Some(PixelBox {
            x1: clipped.x1.floor() as usize,
            y1: clipped.y1.floor() as usize,
            x2: (clipped.x2.ceil() as usize).min(width),
            y2: (clipped.y2.ceil() as usize).min(height),
        })
    }
}

/// A non-empty box of whole pixels inside a frame: columns x1..x2 and rows y1..y2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelBox {
    /// First column.
    pub x1: usize,
    /// First row.
    pub y1: usize,
    /// One past the last column.
    pub x2: usize,
    /// One past the last row.
    pub y2: usize,
}

impl PixelBox {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.x2 - self.x1
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.y2 - self.y1
    }

    /// The samples of a chroma plane subsampled by 2 in both directions that this box touches, rounded
    /// outward.
    pub fn halved(&self) -> Self {
        Self {
            x1: self.x1 / 2,
            y1: self.y1 / 2,
            x2: self.x2.div_ceil(2),
            y2: self.y2.div_ceil(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_box() -> impl Strategy<Value = BBox> {
        (
            -200f32..400.0,
            -200f32..400.0,
            0.01f32..500.0,
            0.01f32..500.0,
        )
            .prop_map(|(x, y, w, h)| BBox::from_xywh(x, y, w, h))
    }

    proptest! {
        #[test]
        fn iou_is_symmetric_and_bounded(a in any_box(), b in any_box()) {
            let iou = a.iou(&b);
            prop_assert!((0.0..=1.0001).contains(&iou));
            prop_assert_eq!(iou, b.iou(&a));
            prop_assert!((a.iou(&a) - 1.0).abs() < 1e-3);
        }

        #[test]
        fn outward_covers_the_clipped_box(b in any_box(), w in 1usize..300, h in 1usize..300) {
            match (b.outward(w, h), b.clip(w, h)) {
                (Some(p), Some(c)) => {
                    prop_assert!(p.x1 as f32 <= c.x1 && p.y1 as f32 <= c.y1);
                    prop_assert!(p.x2 as f32 >= c.x2 && p.y2 as f32 >= c.y2);
                    prop_assert!(p.x2 <= w && p.y2 <= h && p.x1 < p.x2 && p.y1 < p.y2);
                    let half = p.halved();
                    prop_assert!(half.x1 * 2 <= p.x1 && half.x2 * 2 >= p.x2);
                    prop_assert!(half.x2 <= w.div_ceil(2) && half.y2 <= h.div_ceil(2));
                }
                (None, None) => {}
                (p, c) => prop_assert!(false, "{:?} against {:?}", p, c),
            }
        }

        #[test]
        fn dilation_keeps_the_centre_and_covers(b in any_box(), margin in 0f32..3.0) {
            let d = b.dilate(margin);
            prop_assert!(d.x1 <= b.x1 && d.y1 <= b.y1 && d.x2 >= b.x2 && d.y2 >= b.y2);
            prop_assert!((d.width() - b.width() * (1.0 + margin)).abs() < 0.01 * (1.0 + d.width()));
        }
    }

    #[test]
    fn boxes_that_are_not_numbers_are_nowhere() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!BBox::new(0.0, 0.0, bad, 5.0).is_valid());
        }
        assert_eq!(BBox::new(f32::NAN, 0.0, 5.0, 5.0).outward(10, 10), None);
        assert_eq!(BBox::new(5.0, 5.0, 1.0, 1.0).outward(10, 10), None);
        assert_eq!(BBox::new(20.0, 0.0, 30.0, 5.0).outward(10, 10), None);
    }
}
