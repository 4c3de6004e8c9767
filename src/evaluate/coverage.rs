//! Which part of a box, or of a frame, was altered.

use crate::detect::Class;
use crate::geometry::BBox;
use crate::redact::{Shape, Zone};

/// Says what was altered in one frame.
pub trait Altered {
    /// Share of `bbox` that was altered, 0 to 1, to a hundredth; at nine tenths rather too small than too large.
    fn share(&self, bbox: &BBox) -> f64;

    /// Of evenly spread places of the frame that lie in none of `boxes`: how many were altered, and how many there are.
    fn outside(&self, boxes: &[BBox]) -> (u64, u64);
}

/// An area that was redacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redacted {
    /// Where, in the frame's pixels, margin included.
    pub bbox: BBox,
    /// The box itself, or the ellipse through its corners.
    pub shape: Shape,
    /// What it was taken for.
    pub class: Class,
}

impl Redacted {
    fn covers(&self, x: f32, y: f32) -> bool {
        match self.shape {
            Shape::Rectangle => inside(&self.bbox, x, y),
            Shape::Ellipse => {
                let off = |value: f32, from: f32, to: f32| {
                    (value - (from + to) * 0.5) / ((to - from) * std::f32::consts::FRAC_1_SQRT_2)
                };
                let dx = off(x, self.bbox.x1, self.bbox.x2);
                let dy = off(y, self.bbox.y1, self.bbox.y2);
                dx * dx + dy * dy < 1.0
            }
        }
    }

    /// The rows and columns it can reach.
    fn reach(&self) -> BBox {
        match self.shape {
            Shape::Rectangle => self.bbox,
            Shape::Ellipse => self.bbox.dilate(std::f32::consts::SQRT_2 - 1.0),
        }
    }
}

/// What was redacted in a frame, as areas. Soft edges are left out: there the picture shows through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regions {
    /// Width and height of the frame in pixels.
    pub size: (usize, usize),
    /// Regions.
    pub areas: Vec<Redacted>,
    /// Polygons that are always filled.
    pub zones: Vec<Zone>,
    /// True when the whole frame was filled.
    pub filled: bool,
}

/// Places looked at along each side of a box.
const STEPS: usize = 128;
/// Places looked at along the sides of a frame.
const GRID: (usize, usize) = (320, 180);

impl Regions {
    fn in_zone(&self, x: f32, y: f32) -> bool {
        let (x, y) = (x / self.size.0 as f32, y / self.size.1 as f32);
        self.zones
            .iter()
            .any(|zone| winds_round(zone.points(), x, y))
    }
}

impl Altered for Regions {
    fn share(&self, bbox: &BBox) -> f64 {
        if self.filled {
            return 1.0;
        }
        let near: Vec<&Redacted> = self
            .areas
            .iter()
            .filter(|area| area.reach().intersection(bbox) > 0.0)
            .collect();
        let place = |index: usize, from: f32, length: f32| {
            from + length * (index as f32 + 0.5) / STEPS as f32
        };
        let mut hits = 0;
        for row in 0..STEPS {
            let y = place(row, bbox.y1, bbox.height());
            for column in 0..STEPS {
                let x = place(column, bbox.x1, bbox.width());
                let hit = near.iter().any(|area| area.covers(x, y)) || self.in_zone(x, y);
                hits += u32::from(hit);
            }
        }
        f64::from(hits) / (STEPS * STEPS) as f64
    }

    fn outside(&self, boxes: &[BBox]) -> (u64, u64) {
        let (width, height) = (self.size.0 as f32, self.size.1 as f32);
        let (mut altered, mut all) = (0, 0);
        for row in 0..GRID.1 {
            let y = (row as f32 + 0.5) * height / GRID.1 as f32;
            let in_row = |bbox: &BBox| y >= bbox.y1 && y < bbox.y2;
            let there: Vec<&BBox> = boxes.iter().filter(|bbox| in_row(bbox)).collect();
            let over: Vec<&Redacted> = self
                .areas
                .iter()
                .filter(|area| in_row(&area.reach()))
                .collect();
            for column in 0..GRID.0 {
                let x = (column as f32 + 0.5) * width / GRID.0 as f32;
                if there.iter().any(|bbox| inside(bbox, x, y)) {
                    continue;
                }
                all += 1;
                let hit =
                    self.filled || over.iter().any(|area| area.covers(x, y)) || self.in_zone(x, y);
                altered += u64::from(hit);
            }
        }
        (altered, all)
    }
}

/// True when (x, y) lies in `bbox`.
fn inside(bbox: &BBox, x: f32, y: f32) -> bool {
    x >= bbox.x1 && x < bbox.x2 && y >= bbox.y1 && y < bbox.y2
}

/// True when the closed polygon winds round (x, y) at all.
fn winds_round(points: &[(f32, f32)], x: f32, y: f32) -> bool {
    let ends = points.iter().cycle().skip(1);
    let mut turns = 0;
    for (&(x1, y1), &(x2, y2)) in points.iter().zip(ends) {
        let left = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1);
        if y1 <= y && y2 > y && left > 0.0 {
            turns += 1;
        } else if y1 > y && y2 <= y && left < 0.0 {
            turns -= 1;
        }
    }
    turns != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, FrameMut, PixelFormat};
    use crate::redact::{Redactor, Region, Settings, Style};

    fn regions(areas: Vec<Redacted>) -> Regions {
        Regions {
            size: (640, 360),
            areas,
            ..Regions::default()
        }
    }

    fn rectangle(x: f32, width: f32) -> Redacted {
        Redacted {
            bbox: BBox::from_xywh(x, -10.0, width, 100.0),
            shape: Shape::Rectangle,
            class: Class::Face,
        }
    }

    #[test]
    fn several_regions_cover_together() {
        let truth = BBox::from_xywh(0.0, 0.0, 40.0, 20.0);
        let share = |areas: &[Redacted]| regions(areas.to_vec()).share(&truth);
        assert_eq!(share(&[]), 0.0);
        assert_eq!(share(&[rectangle(0.0, 20.0)]), 0.5);
        assert_eq!(share(&[rectangle(0.0, 20.0), rectangle(10.0, 20.0)]), 0.75);
        assert_eq!(share(&[rectangle(-5.0, 100.0)]), 1.0);
        let filled = Regions {
            filled: true,
            ..regions(Vec::new())
        };
        assert_eq!(filled.share(&truth), 1.0);
        assert_eq!(filled.outside(&[]), (320 * 180, 320 * 180));
    }

    #[test]
    fn what_is_short_of_nine_tenths_is_not_rounded_up() {
        let truth = BBox::from_xywh(100.0, 20.0, 100.0, 50.0);
        for width in [85.0, 89.0, 89.2, 89.9] {
            let share = regions(vec![rectangle(100.0, width)]).share(&truth);
            assert!(
                share < 0.9 && share > width as f64 / 100.0 - 0.01,
                "{width}: {share}"
            );
        }
        let share = regions(vec![rectangle(100.0, 90.3)]).share(&truth);
        assert!((0.9..0.91).contains(&share), "{share}");
    }

    #[test]
    fn zones_cover_what_they_wind_round() {
        let zoned = Regions {
            zones: vec!["0,0 0.5,0 0.5,1 0,1".parse().unwrap()],
            ..regions(Vec::new())
        };
        assert_eq!(zoned.share(&BBox::from_xywh(300.0, 10.0, 40.0, 20.0)), 0.5);
        assert_eq!(zoned.outside(&[]), (160 * 180, 320 * 180));
        // Half of the rest, for the truth's box is no place to count.
        let truth = BBox::new(0.0, 0.0, 320.0, 180.0);
        assert_eq!(zoned.outside(&[truth]), (160 * 90, 320 * 180 - 160 * 90));
    }

    #[test]
    fn areas_are_what_the_redactor_paints() {
        let (width, height) = (320, 180);
        for shape in Shape::ALL {
            let bbox = BBox::from_xywh(101.5, 60.25, 40.0, 30.0);
            let mut settings = Settings::default();
            settings.face.style = Style::Fill;
            settings.face.shape = shape;
            let margin = settings.face.margin;
            let mut pixels = vec![0u8; width * height * 3];
            let planes = vec![pixels.as_mut_slice()];
            let colour = Colour::default();
            let mut frame = FrameMut::new(
                PixelFormat::Rgb,
                width,
                height,
                colour,
                planes,
                &[width * 3],
            )
            .unwrap();
            let redactor = Redactor::new(settings).unwrap();
            redactor
                .redact(&mut frame, &[Region::new(bbox, Class::Face)])
                .unwrap();
            let painted = pixels.chunks(3).filter(|pixel| pixel[0] > 0).count() as f64;
            let area = Redacted {
                bbox: bbox.dilate(margin),
                shape,
                class: Class::Face,
            };
            let all = Regions {
                size: (width, height),
                areas: vec![area],
                ..Regions::default()
            };
            // Every pixel of the frame is one of the grid's places.
            let (altered, _) = all.outside(&[]);
            let share = altered as f64 / painted;
            assert!((0.93..=1.0).contains(&share), "{shape}: {share}");
        }
    }
}
