//! Which part of a box, or of a frame, is under regions.

use crate::detect::Class;
use crate::geometry::BBox;

/// An area that was redacted, margin included. Rectangles: the outer ellipse covers a little more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redacted {
    /// Where, in the frame's pixels.
    pub bbox: BBox,
    /// What it was taken for.
    pub class: Class,
}

/// Places looked at along each side of a box.
const STEPS: usize = 32;

/// Share of `bbox` that lies under any of `regions`, 0 to 1, to a thousandth.
pub fn covered_share(bbox: &BBox, regions: &[Redacted]) -> f64 {
    let near: Vec<&BBox> = regions
        .iter()
        .map(|region| &region.bbox)
        .filter(|region| region.intersection(bbox) > 0.0)
        .collect();
    let place =
        |index: usize, from: f32, length: f32| from + length * (index as f32 + 0.5) / STEPS as f32;
    let hit = |x: f32, y: f32| near.iter().any(|region| inside(region, x, y));
    let mut hits = 0;
    for row in 0..STEPS {
        let y = place(row, bbox.y1, bbox.height());
        hits += (0..STEPS)
            .filter(|&column| hit(place(column, bbox.x1, bbox.width()), y))
            .count();
    }
    hits as f64 / (STEPS * STEPS) as f64
}

/// True when (x, y) lies in `bbox`.
pub(super) fn inside(bbox: &BBox, x: f32, y: f32) -> bool {
    x >= bbox.x1 && x < bbox.x2 && y >= bbox.y1 && y < bbox.y2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_regions_cover_together() {
        let region = |x: f32, width: f32| Redacted {
            bbox: BBox::from_xywh(x, -10.0, width, 100.0),
            class: Class::Face,
        };
        let truth = BBox::from_xywh(0.0, 0.0, 40.0, 20.0);
        let share = |regions: &[Redacted]| covered_share(&truth, regions);
        assert_eq!(share(&[]), 0.0);
        assert_eq!(share(&[region(0.0, 20.0)]), 0.5);
        assert_eq!(share(&[region(0.0, 20.0), region(10.0, 20.0)]), 0.75);
        assert_eq!(share(&[region(-5.0, 100.0)]), 1.0);
    }
}
