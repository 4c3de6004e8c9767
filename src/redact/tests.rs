//! Properties of the redactor in every pixel format, at every offset, odd size and stride.

use proptest::prelude::*;

use super::*;
use crate::frame::{Colour, Matrix, PixelFormat};
use crate::geometry::PixelBox;
use layout::PlaneLayout;

const FORMATS: [PixelFormat; 4] = [
    PixelFormat::I420,
    PixelFormat::Nv12,
    PixelFormat::Rgb,
    PixelFormat::Rgba,
];

/// A frame that owns its planes, with padding after each row.
#[derive(Clone, Debug, PartialEq)]
struct Canvas {
    format: PixelFormat,
    width: usize,
    height: usize,
    colour: Colour,
    strides: Vec<usize>,
    planes: Vec<Vec<u8>>,
}

impl Canvas {
    /// Every byte by `value(plane, row, byte)`.
    fn new(
        format: PixelFormat,
        (width, height): (usize, usize),
        padding: usize,
        mut value: impl FnMut(usize, usize, usize) -> u8,
    ) -> Self {
        let mut strides = Vec::new();
        let mut planes = Vec::new();
        for index in 0..format.planes() {
            let (bytes, rows) = format.plane_size(index, width, height);
            let stride = bytes + padding;
            strides.push(stride);
            let plane =
                (0..stride * (rows - 1) + bytes).map(|at| value(index, at / stride, at % stride));
            planes.push(plane.collect());
        }
        let colour = Colour {
            matrix: Matrix::Bt709,
            full_range: false,
        };
        Self {
            format,
            width,
            height,
            colour,
            strides,
            planes,
        }
    }

    /// Noise that is the same for the same seed.
    fn noise(format: PixelFormat, size: (usize, usize), padding: usize, seed: u64) -> Self {
        let mut state = seed | 1;
        Self::new(format, size, padding, |_, _, _| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u8
        })
    }

    fn frame(&self) -> Frame<'_> {
        let planes: Vec<&[u8]> = self.planes.iter().map(Vec::as_slice).collect();
        Frame::new(
            self.format,
            self.width,
            self.height,
            self.colour,
            &planes,
            &self.strides,
        )
        .unwrap()
    }

    fn frame_mut(&mut self) -> FrameMut<'_> {
        let planes = self.planes.iter_mut().map(Vec::as_mut_slice).collect();
        let Self {
            format,
            width,
            height,
            colour,
            ..
        } = *self;
        FrameMut::new(format, width, height, colour, planes, &self.strides).unwrap()
    }

    fn redacted(&self, settings: &Settings, regions: &[Region]) -> Self {
        let mut copy = self.clone();
        let redactor = Redactor::new(settings.clone()).unwrap();
        redactor.redact(&mut copy.frame_mut(), regions).unwrap();
        copy
    }

    /// Calls `check(plane, layout, column, row, bytes of the sample)` for every sample.
    fn samples(&self, mut check: impl FnMut(usize, &PlaneLayout, usize, usize, &[u8])) {
        for (index, layout) in layout::planes(self.format).iter().enumerate() {
            let (_, rows) = self.format.plane_size(index, self.width, self.height);
            for y in 0..rows {
                let row = self.frame().row(index, y);
                for (x, sample) in row.chunks_exact(layout.channels).enumerate() {
                    check(index, layout, x, y, sample);
                }
            }
        }
    }

    /// The sample of `plane` at column `x` and row `y`.
    fn sample(&self, plane: usize, x: usize, y: usize) -> &[u8] {
        let channels = layout::planes(self.format)[plane].channels;
        &self.frame().row(plane, y)[x * channels..][..channels]
    }

    /// The luma pixels of the frame under a sample.
    fn under(&self, layout: &PlaneLayout, x: usize, y: usize) -> Vec<(usize, usize)> {
        let size = 1 << layout.shift;
        let columns = x * size..((x + 1) * size).min(self.width);
        let rows = y * size..((y + 1) * size).min(self.height);
        rows.flat_map(|y| columns.clone().map(move |x| (x, y)))
            .collect()
    }
}

/// How far out pixel (x, y) begins: the measure of its nearest point, 1 on the edge of the shape of
/// half size `radii` about the centre of `bbox`.
fn nearest(bbox: &BBox, shape: Shape, growth: f64, (x, y): (usize, usize)) -> f64 {
    let axis = |low: f32, high: f32, at: usize| {
        let (low, high, at) = (f64::from(low), f64::from(high), at as f64);
        let centre = (low + high) / 2.0;
        let distance = (at - centre).max(centre - at - 1.0).max(0.0);
        distance / ((high - low) / 2.0 * growth)
    };
    let (dx, dy) = (axis(bbox.x1, bbox.x2, x), axis(bbox.y1, bbox.y2, y));
    match shape {
        Shape::Rectangle => dx.max(dy),
        Shape::Ellipse => ((dx * dx + dy * dy) / 2.0).sqrt(),
    }
}

fn settings(style: Style, shape: Shape, margin: f32, feather: f32) -> Settings {
    let class = ClassSettings {
        style,
        shape,
        margin,
    };
    Settings {
        face: class,
        plate: class,
        feather,
        fill_colour: [200, 30, 90],
        levels: 8,
        accept_reversible: true,
        ..Settings::default()
    }
}

/// Cells that all have the fill colour of [`settings`], and that colour's samples.
fn solid(format: PixelFormat, colour: Colour) -> (Cells, [u8; 4]) {
    let mut canvas = Canvas::new(format, (64, 64), 0, |_, _, _| 0);
    canvas.colour = colour;
    let redactor = Redactor::new(settings(Style::Fill, Shape::Rectangle, 0.0, 0.0)).unwrap();
    redactor.fill(&mut canvas.frame_mut());
    let all = PixelBox {
        x1: 0,
        y1: 0,
        x2: 64,
        y2: 64,
    };
    // At 256 levels the means are not changed, but for chroma.
    let cells = Cells::sample(&canvas.frame(), all, 4, 256).unwrap();
    let [a, b, c] = cells.value(3, 3);
    (cells, [a, b, c, 255])
}

fn any_format() -> impl Strategy<Value = PixelFormat> {
    prop::sample::select(FORMATS.to_vec())
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop::sample::select(Shape::ALL.to_vec())
}

fn any_style() -> impl Strategy<Value = Style> {
    prop::sample::select(Style::ALL.to_vec())
}

fn any_size() -> impl Strategy<Value = (usize, usize)> {
    (1usize..70, 1usize..70)
}

fn any_box() -> impl Strategy<Value = BBox> {
    let side = || prop_oneof![0.05f32..3.0, 3.0f32..60.0];
    let at = || prop_oneof![-20f32..80.0, (-10i8..40).prop_map(f32::from)];
    (at(), at(), side(), side()).prop_map(|(x, y, w, h)| BBox::from_xywh(x, y, w, h))
}

fn any_region() -> impl Strategy<Value = Region> {
    (any_box(), prop::sample::select(Class::ALL.to_vec()))
        .prop_map(|(bbox, class)| Region::new(bbox, class))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every sample that touches the mask has the region's colour and none other; every sample that
    /// does not touch mask or feather, and all padding, is as it was.
    #[test]
    fn the_mask_is_covered_and_the_rest_untouched(
        format in any_format(), size in any_size(), padding in 0usize..5, bbox in any_box(),
        style in any_style(), shape in any_shape(),
        margin in prop_oneof![Just(0f32), 0f32..1.5], feather in prop_oneof![Just(0f32), 0f32..1.0],
    ) {
        let before = Canvas::noise(format, size, padding, 7);
        let (cells, mut colour) = solid(format, before.colour);
        let mut region = Region::new(bbox, Class::Face);
        match style {
            Style::Fill => colour = layout::sample_of([200, 30, 90], format, before.colour),
            Style::Blur | Style::Mosaic => region.frozen = Some(cells),
        }
        let after = before.redacted(&settings(style, shape, margin, feather), &[region]);

        let dilated = bbox.dilate(margin);
        let growth = if style == Style::Blur { 1.0 + f64::from(feather) } else { 1.0 };
        let mut failure = None;
        after.samples(|plane, layout, x, y, sample| {
            let under = after.under(layout, x, y);
            let in_mask = under.iter().any(|&pixel| {
                nearest(&dilated, Shape::Rectangle, 1.0, pixel) < 1.0 - 1e-9
                    || nearest(&dilated, shape, 1.0, pixel) < 1.0 - 1e-9
            });
            let reached = under.iter().any(|&pixel| {
                nearest(&dilated, shape, growth, pixel) <= 1.0 + 1e-5
            });
            let painted = sample == &colour[layout.first..layout.first + layout.channels];
            let kept = sample == before.sample(plane, x, y);
            if (in_mask && !painted) || (!reached && !kept) {
                failure = Some((plane, x, y, in_mask, reached));
            }
        });
        prop_assert_eq!(failure, None);
        // Padding: with the samples put back, the buffers are the same.
        let mut restored = after.clone();
        for (plane, (data, original)) in restored.planes.iter_mut().zip(&before.planes).enumerate() {
            let (bytes, rows) = format.plane_size(plane, size.0, size.1);
            for y in 0..rows {
                let at = y * before.strides[plane];
                data[at..at + bytes].copy_from_slice(&original[at..at + bytes]);
            }
        }
        prop_assert_eq!(restored, before);
    }

    /// Two frames that differ inside a mask but have the same quantised means come out as the same bytes.
    #[test]
    fn nothing_but_the_quantised_means_reaches_the_output(
        format in any_format(), size in any_size(), bbox in any_box(), shape in any_shape(),
        style in any_style(), feather in 0f32..0.5,
    ) {
        let settings = Settings { levels: 2, ..settings(style, shape, 0.4, feather) };
        let redactor = Redactor::new(settings.clone()).unwrap();
        let region = Region::new(bbox, Class::Face);
        // Both are dark, so all luma and RGB means go to the lower of two levels; chroma has but one.
        let mut noise = Canvas::noise(format, size, 3, 11);
        for byte in noise.planes.iter_mut().flatten() {
            *byte %= 90;
        }
        let other = Canvas::noise(format, size, 3, 12);
        let mut changed = noise.clone();
        let mask = redactor.mask(&noise.frame(), &region).unwrap();
        let Some(mask) = mask else { return Ok(()) };
        for (plane, layout) in layout::planes(format).iter().enumerate() {
            let area = layout.cover(mask.bounds());
            for y in area.y1..area.y2 {
                let span = mask.span(y, layout);
                for at in span.start * layout.channels..span.end * layout.channels {
                    let at = y * noise.strides[plane] + at;
                    changed.planes[plane][at] = other.planes[plane][at] % 90;
                }
            }
        }
        prop_assert_eq!(noise.redacted(&settings, &[region]), changed.redacted(&settings, &[region]));
    }

    /// Whatever the picture, the values inside a mosaic are levels, and there are no more colours than cells.
    #[test]
    fn at_most_cells_of_levels_remain(
        format in any_format(), size in any_size(), bbox in any_box(),
        cells in 1usize..=4, levels in 2usize..=32, seed in any::<u64>(),
    ) {
        let settings = Settings { cells, levels, ..settings(Style::Mosaic, Shape::Rectangle, 0.2, 0.0) };
        let redactor = Redactor::new(settings.clone()).unwrap();
        let canvas = Canvas::noise(format, size, 0, seed);
        let region = Region::new(bbox, Class::Plate);
        let Some(mask) = redactor.mask(&canvas.frame(), &region).unwrap() else { return Ok(()) };
        let after = canvas.redacted(&settings, &[region]);
        for (plane, layout) in layout::planes(format).iter().enumerate() {
            let area = layout.cover(mask.bounds());
            let samples: std::collections::BTreeSet<&[u8]> = (area.y1..area.y2)
                .flat_map(|y| (area.x1..area.x2).map(move |x| (x, y)))
                .map(|(x, y)| after.sample(plane, x, y))
                .collect();
            prop_assert!(samples.len() <= cells * cells, "{samples:?}");
            for channel in 0..layout.channels {
                let values: std::collections::BTreeSet<u8> =
                    samples.iter().map(|sample| sample[channel]).collect();
                // RGB is rounded as Y'CbCr, so only its pixels are few.
                let rgb = matches!(format, PixelFormat::Rgb | PixelFormat::Rgba);
                prop_assert!(rgb || values.len() <= levels);
            }
        }
    }

    /// A blur stays within its cells' values and has the same ones as a mosaic.
    #[test]
    fn a_blur_stays_between_its_cells(format in any_format(), bbox in any_box(), seed in any::<u64>()) {
        let canvas = Canvas::noise(format, (61, 47), 0, seed);
        let settings = settings(Style::Blur, Shape::Rectangle, 0.0, 0.0);
        let redactor = Redactor::new(settings.clone()).unwrap();
        let region = Region::new(bbox, Class::Face);
        let Some(cells) = redactor.sample(&canvas.frame(), &region).unwrap() else { return Ok(()) };
        let after = canvas.redacted(&settings, &[region]);
        let area = bbox.outward(61, 47).unwrap();
        for (plane, layout) in layout::planes(format).iter().enumerate() {
            let area = layout.cover(area);
            for channel in 0..layout.channels.min(3) {
                let values = || {
                    let columns = 0..cells.columns();
                    (0..cells.rows())
                        .flat_map(move |row| columns.clone().map(move |column| (column, row)))
                        .map(|(column, row)| cells.value(column, row)[layout.first + channel])
                };
                let (low, high) = (values().min().unwrap(), values().max().unwrap());
                for y in area.y1..area.y2 {
                    for x in area.x1..area.x2 {
                        let value = after.sample(plane, x, y)[channel];
                        prop_assert!((low..=high).contains(&value), "{value} at {x}, {y}");
                    }
                }
            }
        }
    }

    /// Cells are taken before anything is painted, so taking them beforehand changes nothing.
    #[test]
    fn cells_are_of_the_original_and_can_be_kept(
        format in any_format(), size in any_size(), seed in any::<u64>(),
        regions in prop::collection::vec(any_region(), 1..6),
    ) {
        let settings = Settings {
            plate: ClassSettings { style: Style::Mosaic, shape: Shape::Rectangle, margin: 0.1 },
            levels: 8,
            accept_reversible: true,
            ..Settings::default()
        };
        let canvas = Canvas::noise(format, size, 1, seed);
        let redactor = Redactor::new(settings.clone()).unwrap();
        let kept: Vec<Region> = regions
            .iter()
            .map(|region| Region {
                frozen: redactor.sample(&canvas.frame(), region).unwrap(),
                ..*region
            })
            .collect();
        prop_assert_eq!(canvas.redacted(&settings, &regions), canvas.redacted(&settings, &kept));
    }

    #[test]
    fn bands_do_not_change_the_result(
        format in any_format(), size in any_size(), bands in 2usize..6, zones in any::<bool>(),
        regions in prop::collection::vec(any_region(), 0..6),
    ) {
        let mut settings = Settings { levels: 8, accept_reversible: true, ..Settings::default() };
        if zones {
            settings.zones.push("0.1,0.1 0.9,0.3 0.2,0.8".parse().unwrap());
        }
        let redactor = Redactor::new(settings).unwrap();
        let mut serial = Canvas::noise(format, size, 2, 5);
        let mut parallel = serial.clone();
        redactor.redact_with(&mut serial.frame_mut(), &regions, 1, usize::MAX).unwrap();
        redactor.redact_with(&mut parallel.frame_mut(), &regions, bands, 0).unwrap();
        prop_assert_eq!(serial, parallel);
    }

    /// In the union of masks, each sample has the colour of a strongest mask that touches it.
    #[test]
    fn the_stronger_style_wins(
        format in any_format(), a in any_box(), b in any_box(), face_first in any::<bool>(),
        weak in prop::sample::select(vec![Style::Blur, Style::Mosaic]), shape in any_shape(),
    ) {
        let mut settings = settings(weak, shape, 0.3, 0.3);
        settings.plate.style = Style::Fill;
        settings.fill_colour = [10, 20, 30];
        let before = Canvas::noise(format, (61, 51), 0, 3);
        let (cells, weak_colour) = solid(format, before.colour);
        let strong_colour = layout::sample_of([10, 20, 30], format, before.colour);
        let mut regions = [
            Region { bbox: a, class: Class::Face, frozen: Some(cells) },
            Region::new(b, Class::Plate),
        ];
        if !face_first {
            regions.reverse();
        }
        let after = before.redacted(&settings, &regions);
        let mut failure = None;
        after.samples(|plane, layout, x, y, sample| {
            let under = after.under(layout, x, y);
            let within = |bbox: &BBox| {
                let dilated = bbox.dilate(0.3);
                under.iter().any(|&pixel| nearest(&dilated, Shape::Rectangle, 1.0, pixel) < 1.0 - 1e-9
                    || nearest(&dilated, shape, 1.0, pixel) < 1.0 - 1e-9)
            };
            let part = layout.first..layout.first + layout.channels;
            let wrong = if within(&b) {
                sample != &strong_colour[part]
            } else {
                // At the very edge the mask of the fill may touch by rounding.
                within(&a) && sample != &weak_colour[part.clone()] && sample != &strong_colour[part]
            };
            if wrong {
                failure = Some((plane, x, y));
            }
        });
        prop_assert_eq!(failure, None);
    }

    /// Every pixel in which a zone has a point is filled; what is far from it is not.
    #[test]
    fn zones_are_filled(
        format in any_format(), size in any_size(),
        points in prop::collection::vec((0f32..=1.0, 0f32..=1.0), 3..7),
    ) {
        let zone = Zone::new(points.clone()).unwrap();
        let settings = Settings { zones: vec![zone], fill_colour: [9, 8, 200], ..Settings::default() };
        let before = Canvas::noise(format, size, 1, 21);
        let colour = layout::sample_of([9, 8, 200], format, before.colour);
        let after = before.redacted(&settings, &[]);
        let points: Vec<(f64, f64)> = points
            .iter()
            .map(|&(x, y)| (f64::from(x) * size.0 as f64, f64::from(y) * size.1 as f64))
            .collect();
        let mut failure = None;
        after.samples(|plane, layout, x, y, sample| {
            let under = after.under(layout, x, y);
            let inside = under.iter().any(|&(x, y)| {
                (0..16).any(|n| {
                    let point = (x as f64 + 0.1 + 0.266 * f64::from(n % 4), y as f64 + 0.1 + 0.266 * f64::from(n / 4));
                    winding(&points, point) != 0
                })
            });
            let far = under.iter().all(|&(x, y)| {
                let centre = (x as f64 + 0.5, y as f64 + 0.5);
                winding(&points, centre) == 0 && edge_distance(&points, centre) > 2.2
            });
            let filled = sample == &colour[layout.first..layout.first + layout.channels];
            if (inside && !filled) || (far && sample != before.sample(plane, x, y)) {
                failure = Some((plane, x, y, inside, far));
            }
        });
        prop_assert_eq!(failure, None);
    }
}

/// How often the polygon goes round the point, by summed angles.
fn winding(polygon: &[(f64, f64)], (x, y): (f64, f64)) -> i64 {
    let angle: f64 = polygon
        .iter()
        .zip(polygon.iter().cycle().skip(1))
        .map(|(a, b)| {
            let (a, b) = ((a.0 - x, a.1 - y), (b.0 - x, b.1 - y));
            (a.0 * b.1 - a.1 * b.0).atan2(a.0 * b.0 + a.1 * b.1)
        })
        .sum();
    (angle / std::f64::consts::TAU).round() as i64
}

fn edge_distance(polygon: &[(f64, f64)], (x, y): (f64, f64)) -> f64 {
    polygon
        .iter()
        .zip(polygon.iter().cycle().skip(1))
        .map(|(a, b)| {
            let (dx, dy) = (b.0 - a.0, b.1 - a.1);
            let length = dx * dx + dy * dy;
            let t = if length == 0.0 {
                0.0
            } else {
                ((x - a.0) * dx + (y - a.1) * dy) / length
            };
            let t = t.clamp(0.0, 1.0);
            (x - a.0 - t * dx).hypot(y - a.1 - t * dy)
        })
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn nothing_of_a_region_remains_by_default() {
    for format in FORMATS {
        let all = [1, 5, 9].map(|seed| {
            let before = Canvas::noise(format, (120, 120), 0, seed);
            let region = Region::new(BBox::new(30.0, 30.0, 90.0, 90.0), Class::Face);
            let after = before.redacted(&Settings::default(), &[region]);
            (30..90)
                .flat_map(|y| (30..90).map(move |x| (x, y)))
                .map(|(x, y)| after.sample(0, x, y).to_vec())
                .collect::<Vec<_>>()
        });
        assert!(all[0] == all[1] && all[1] == all[2], "{format:?}");
        assert!(
            all[0].iter().all(|sample| *sample == all[0][0]),
            "{format:?}"
        );
    }
    for (style, levels, safe) in [
        (Style::Blur, 1, true),
        (Style::Mosaic, 1, true),
        (Style::Blur, 2, false),
        (Style::Mosaic, 8, false),
        (Style::Fill, 8, true),
    ] {
        let mut settings = Settings {
            levels,
            ..Settings::default()
        };
        settings.face.style = style;
        assert_eq!(settings.reversible(Class::Face).is_none(), safe);
        let refused = Redactor::new(settings.clone()).map(drop);
        assert_eq!(refused.is_ok(), safe, "{refused:?}");
        settings.accept_reversible = true;
        assert!(Redactor::new(settings.clone()).is_ok());
        assert!(settings.reversible(Class::Plate).is_none());
    }
    assert!(
        Class::ALL
            .iter()
            .all(|class| Settings::default().reversible(*class).is_none())
    );
}

#[test]
fn a_zone_that_crosses_itself_has_no_hole() {
    // A five-pointed star in one stroke.
    let star = "0.5,0 0.8,0.95 0,0.35 1,0.35 0.2,0.95";
    let settings = Settings {
        zones: vec![star.parse().unwrap()],
        ..Settings::default()
    };
    let after = Canvas::new(PixelFormat::Rgb, (100, 100), 0, |_, _, _| 7).redacted(&settings, &[]);
    assert_eq!(after.sample(0, 50, 50), [128; 3]);
    assert_eq!(after.sample(0, 5, 5), [7; 3]);
}

#[test]
fn zones_are_checked_and_follow_the_frames_size() {
    for bad in [
        "",
        "0,0 1,1",
        "0,0 1,0 1,1.1",
        "0,0 1,0 1,-0.1",
        "0,0 1,0 1,nan",
        "0,0 1,0 1",
        "a,b c,d e,f",
    ] {
        let error = bad.parse::<Zone>().unwrap_err().to_string();
        assert!(
            error.contains("zone = ") && error.contains("3 or more points"),
            "{error}"
        );
    }
    let zone: Zone = "0,0 1,0 1,1 0,1".parse().unwrap();
    assert_eq!(zone.to_string().parse::<Zone>().unwrap(), zone);
    let redactor = Redactor::new(Settings {
        zones: vec![zone],
        ..Settings::default()
    })
    .unwrap();
    assert!(redactor.has_zones());
    for size in [(5, 3), (17, 33), (5, 3), (1, 1)] {
        for format in FORMATS {
            let mut canvas = Canvas::noise(format, size, 1, 2);
            let mut filled = canvas.clone();
            redactor.redact(&mut canvas.frame_mut(), &[]).unwrap();
            redactor.fill(&mut filled.frame_mut());
            assert_eq!(canvas, filled);
        }
    }
}

#[test]
fn what_cannot_be_redacted_is_filled_whole() {
    let redactor = Redactor::new(Settings::default()).unwrap();
    let nan = BBox::new(f32::NAN, 0.0, 5.0, 5.0);
    let infinite = BBox::new(0.0, 0.0, f32::INFINITY, 5.0);
    let huge = BBox::new(-f32::MAX, 0.0, f32::MAX, 5.0);
    let inverted = BBox::new(5.0, 0.0, 1.0, 5.0);
    for format in FORMATS {
        let before = Canvas::noise(format, (31, 17), 2, 9);
        let mut filled = before.clone();
        redactor.fill(&mut filled.frame_mut());
        let other = match format {
            PixelFormat::I420 | PixelFormat::Nv12 => PixelFormat::Rgb,
            PixelFormat::Rgb | PixelFormat::Rgba => PixelFormat::I420,
        };
        let foreign = Region {
            frozen: Some(solid(other, before.colour).0),
            ..Region::new(BBox::new(1.0, 1.0, 9.0, 9.0), Class::Face)
        };
        let bad = [nan, infinite, huge, inverted].map(|bbox| Region::new(bbox, Class::Face));
        for region in bad.into_iter().chain([foreign]) {
            let good = Region::new(BBox::new(1.0, 1.0, 3.0, 3.0), Class::Plate);
            let mut canvas = before.clone();
            let error = redactor.redact(&mut canvas.frame_mut(), &[good, region]);
            assert!(matches!(error, Err(Error::Detection(_))), "{error:?}");
            assert_eq!(canvas, filled, "{region:?}");
        }
    }
}

#[test]
fn a_region_far_larger_than_the_frame_covers_it() {
    for format in FORMATS {
        let before = Canvas::noise(format, (31, 17), 2, 9);
        let mut filled = before.clone();
        let settings = settings(Style::Fill, Shape::Ellipse, 0.4, 0.1);
        Redactor::new(settings.clone())
            .unwrap()
            .fill(&mut filled.frame_mut());
        let region = Region::new(BBox::new(-1e30, -1e30, 1e30, 1e30), Class::Face);
        assert_eq!(before.redacted(&settings, &[region]), filled);
        let blurred = before.redacted(&Settings::default(), &[region]);
        assert_ne!(blurred, before);
    }
}

#[test]
fn a_frame_without_regions_is_left_alone() {
    let outside = BBox::new(-500.0, -500.0, -400.0, -400.0);
    let beyond = BBox::new(5000.0, 0.0, 5100.0, 10.0);
    for format in FORMATS {
        let before = Canvas::noise(format, (31, 17), 2, 9);
        let regions = [outside, beyond].map(|bbox| Region::new(bbox, Class::Face));
        assert_eq!(before.redacted(&Settings::default(), &regions), before);
        assert_eq!(before.redacted(&Settings::default(), &[]), before);
    }
}

#[test]
fn a_region_is_opaque_though_the_picture_is_not() {
    let before = Canvas::new(PixelFormat::Rgba, (60, 60), 0, |_, _, byte| {
        if byte % 4 == 3 { 0 } else { 90 }
    });
    for style in Style::ALL {
        let region = Region::new(BBox::new(20.0, 20.0, 40.0, 40.0), Class::Face);
        let after = before.redacted(&settings(style, Shape::Rectangle, 0.0, 0.0), &[region]);
        for y in 20..40 {
            for x in 20..40 {
                assert_eq!(after.sample(0, x, y)[3], 255);
            }
        }
        assert_eq!(after.sample(0, 10, 10), before.sample(0, 10, 10));
    }
}

#[test]
fn the_feather_fades_outward() {
    let before = Canvas::new(PixelFormat::I420, (200, 200), 0, |_, _, _| 0);
    let (cells, colour) = solid(PixelFormat::I420, before.colour);
    for shape in Shape::ALL {
        let region = Region {
            frozen: Some(cells),
            ..Region::new(BBox::new(70.0, 70.0, 130.0, 130.0), Class::Face)
        };
        let after = before.redacted(&settings(Style::Blur, shape, 0.0, 0.5), &[region]);
        let row: Vec<u8> = (0..=100).map(|x| after.sample(0, x, 100)[0]).collect();
        assert!(row.windows(2).all(|pair| pair[0] <= pair[1]), "{row:?}");
        assert_eq!((row[0], row[100]), (0, colour[0]));
        let steps = row
            .iter()
            .filter(|&&value| value > 0 && value < colour[0])
            .count();
        assert!(steps >= 10, "{row:?}");
        // Above the mask too, where no pixel of the row is in it.
        assert!((0..70).any(|y| {
            let value = after.sample(0, 100, y)[0];
            value > 0 && value < colour[0]
        }));
    }
}

#[test]
fn outlines_are_drawn_and_nothing_else() {
    let redactor = Redactor::new(Settings::default()).unwrap();
    for format in FORMATS {
        let before = Canvas::noise(format, (101, 81), 1, 4);
        let mut after = before.clone();
        let regions = [
            Region::new(BBox::new(20.0, 20.0, 60.0, 60.0), Class::Face),
            Region::new(BBox::new(90.0, 70.0, 300.0, 300.0), Class::Plate),
            Region::new(BBox::new(f32::NAN, 70.0, 300.0, 300.0), Class::Plate),
        ];
        redactor.draw(&mut after.frame_mut(), &regions, &["12a".into()]);
        let green = layout::sample_of([0, 255, 0], format, before.colour);
        let channels = layout::planes(format)[0].channels;
        for at in [(20, 20), (21, 40), (40, 59), (59, 59), (12, 40), (67, 40)] {
            assert_eq!(after.sample(0, at.0, at.1), &green[..channels]);
        }
        // The 1 of the label, its top and its foot, and the bowl of its a.
        for at in [(26, 24), (24, 32), (40, 28)] {
            assert_eq!(after.sample(0, at.0, at.1), &green[..channels], "{at:?}");
        }
        // Between its digits.
        let black = layout::sample_of([0, 0, 0], format, before.colour);
        assert_eq!(after.sample(0, 25, 24), &black[..channels]);
        for at in [(40, 40), (16, 40), (5, 5), (75, 20)] {
            assert_eq!(after.sample(0, at.0, at.1), before.sample(0, at.0, at.1));
        }
    }
}

#[test]
fn large_regions_in_parallel_are_like_small_ones() {
    // Big enough for every n-th row only to be read, and for the default threshold.
    let canvas = Canvas::new(
        PixelFormat::Nv12,
        (1560, 1080),
        0,
        |plane, y, x| match plane {
            0 => ((x / 8 + y / 8) % 200 + 20) as u8,
            _ => 128,
        },
    );
    let region = Region::new(BBox::new(120.0, 120.0, 1440.0, 960.0), Class::Face);
    let settings = settings(Style::Mosaic, Shape::Rectangle, 0.0, 0.0);
    let redactor = Redactor::new(settings.clone()).unwrap();
    let cells = redactor.sample(&canvas.frame(), &region).unwrap().unwrap();
    assert_eq!((cells.columns(), cells.rows()), (4, 3));
    let after = canvas.redacted(&settings, &[region]);
    for (x, column) in [(121, 0), (720, 1), (1439, 3)] {
        for (y, row) in [(121, 0), (600, 1), (959, 2)] {
            assert_eq!(after.sample(0, x, y)[0], cells.value(column, row)[0]);
        }
    }
    // The pattern grows by one level for each 8 pixels along both axes.
    assert!(cells.value(0, 0)[0] < cells.value(1, 1)[0]);
    assert!((0..12).all(|n| cells.value(n % 4, n / 4)[1..] == [128, 128]));
}
