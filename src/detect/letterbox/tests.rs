use proptest::prelude::*;

use super::*;

const PLAIN: Normalisation = Normalisation {
    order: ChannelOrder::Rgb,
    mean: [0.0; 3],
    scale: [1.0; 3],
};

/// A frame in memory, with rows longer than needed.
struct Owned {
    format: PixelFormat,
    size: (usize, usize),
    colour: Colour,
    planes: Vec<Vec<u8>>,
    strides: Vec<usize>,
}

impl Owned {
    fn new(
        format: PixelFormat,
        size: (usize, usize),
        extra: usize,
        mut sample: impl FnMut(usize, usize, usize) -> u8,
    ) -> Self {
        let (mut planes, mut strides) = (Vec::new(), Vec::new());
        for plane in 0..format.planes() {
            let (row, rows) = format.plane_size(plane, size.0, size.1);
            let stride = row + extra;
            let mut data = vec![255; stride * rows];
            for y in 0..rows {
                for x in 0..row {
                    data[y * stride + x] = sample(plane, x, y);
                }
            }
            planes.push(data);
            strides.push(stride);
        }
        Self {
            format,
            size,
            colour: Colour::default(),
            planes,
            strides,
        }
    }

    fn frame(&self) -> Frame<'_> {
        let planes: Vec<&[u8]> = self.planes.iter().map(Vec::as_slice).collect();
        let (width, height) = self.size;
        Frame::new(
            self.format,
            width,
            height,
            self.colour,
            &planes,
            &self.strides,
        )
        .unwrap()
    }

    fn whole(&self) -> PixelBox {
        PixelBox {
            x1: 0,
            y1: 0,
            x2: self.size.0,
            y2: self.size.1,
        }
    }
}

/// The share of each sample of `0..samples` in output `i` of `count` over `from..to`.
fn reference_shares(from: f64, to: f64, count: usize, i: usize) -> Vec<(usize, f64)> {
    let ratio = (to - from) / count as f64;
    let (low, high) = (from.floor() as usize, to.ceil() as usize);
    if ratio >= 1.0 {
        let (a, b) = (from + i as f64 * ratio, from + (i + 1) as f64 * ratio);
        (low..high)
            .map(|s| {
                (
                    s,
                    (b.min(s as f64 + 1.0) - a.max(s as f64)).max(0.0) / ratio,
                )
            })
            .filter(|share| share.1 > 0.0)
            .collect()
    } else {
        let at = from + (i as f64 + 0.5) * ratio - 0.5;
        let (left, fraction) = (at.floor(), at - at.floor());
        let clamp = |s: f64| s.clamp(low as f64, high as f64 - 1.0) as usize;
        vec![(clamp(left), 1.0 - fraction), (clamp(left + 1.0), fraction)]
    }
}

/// Pixel (x, y) of the picture as R, G, B of 0–255, sample by sample in f64.
fn reference_pixel(owned: &Owned, letterbox: &Letterbox, x: usize, y: usize) -> [f64; 3] {
    let source = letterbox.source();
    let (columns, rows) = letterbox.picture_size();
    let frame = owned.frame();
    let sample = |plane: usize, shrink: f64, step: usize, offset: usize| -> f64 {
        let across = reference_shares(
            source.x1 as f64 / shrink,
            source.x2 as f64 / shrink,
            columns,
            x,
        );
        let down = reference_shares(
            source.y1 as f64 / shrink,
            source.y2 as f64 / shrink,
            rows,
            y,
        );
        let mut sum = 0.0;
        for &(row, v) in &down {
            for &(column, h) in &across {
                sum += v * h * f64::from(frame.row(plane, row)[column * step + offset]);
            }
        }
        sum
    };
    let (y, u, v) = match owned.format {
        PixelFormat::I420 => (
            sample(0, 1.0, 1, 0),
            sample(1, 2.0, 1, 0),
            sample(2, 2.0, 1, 0),
        ),
        PixelFormat::Nv12 => (
            sample(0, 1.0, 1, 0),
            sample(1, 2.0, 2, 0),
            sample(1, 2.0, 2, 1),
        ),
        PixelFormat::Rgb => return [0, 1, 2].map(|c| sample(0, 1.0, 3, c)),
        PixelFormat::Rgba => return [0, 1, 2].map(|c| sample(0, 1.0, 4, c)),
    };
    // Printed coefficients, where the code works them out from Kr and Kb.
    let [rv, gu, gv, bu] = match owned.colour.matrix {
        Matrix::Bt601 => [1.402, -0.344136, -0.714136, 1.772],
        Matrix::Bt709 => [1.5748, -0.187324, -0.468124, 1.8556],
        Matrix::Bt2020 => [1.4746, -0.164553, -0.571353, 1.8814],
    };
    let (y, u, v) = if owned.colour.full_range {
        (y, u - 128.0, v - 128.0)
    } else {
        (
            (y - 16.0) * 255.0 / 219.0,
            (u - 128.0) * 255.0 / 224.0,
            (v - 128.0) * 255.0 / 224.0,
        )
    };
    [y + rv * v, y + gu * u + gv * v, y + bu * u].map(|value| value.clamp(0.0, 255.0))
}

/// Fills and compares every value with the reference; both ways of working must agree to the bit.
fn compare(
    owned: &Owned,
    letterbox: &Letterbox,
    norm: &Normalisation,
) -> Result<(), TestCaseError> {
    let (width, height) = letterbox.input_size();
    let mut out = vec![f32::NAN; 3 * width * height];
    letterbox.fill(&owned.frame(), norm, &mut out).unwrap();
    let mut portable = vec![f32::NAN; out.len()];
    letterbox.fill_portable(&owned.frame(), norm, &mut portable);
    prop_assert!(
        out.iter()
            .zip(&portable)
            .all(|(a, b)| a.to_bits() == b.to_bits())
    );
    let (columns, rows) = letterbox.picture_size();
    for y in 0..height {
        for x in 0..width {
            let rgb = if x < columns && y < rows {
                reference_pixel(owned, letterbox, x, y)
            } else {
                [0.0; 3]
            };
            for plane in 0..3 {
                let value = match norm.order {
                    ChannelOrder::Rgb => rgb[plane],
                    ChannelOrder::Bgr => rgb[2 - plane],
                };
                let (mean, scale) = (f64::from(norm.mean[plane]), f64::from(norm.scale[plane]));
                let expected = (value - mean) * scale;
                let got = f64::from(out[(plane * height + y) * width + x]);
                // Weights have 8 binary digits down and 14 across; chroma counts up to 2.2-fold.
                prop_assert!(
                    (got - expected).abs() <= 3.0 * scale.abs(),
                    "plane {} at {},{}: {} instead of {}",
                    plane,
                    x,
                    y,
                    got,
                    expected
                );
            }
        }
    }
    Ok(())
}

fn any_format() -> impl Strategy<Value = PixelFormat> {
    prop::sample::select(vec![
        PixelFormat::I420,
        PixelFormat::Nv12,
        PixelFormat::Rgb,
        PixelFormat::Rgba,
    ])
}

fn any_colour() -> impl Strategy<Value = Colour> {
    let matrices = vec![Matrix::Bt601, Matrix::Bt709, Matrix::Bt2020];
    (prop::sample::select(matrices), any::<bool>())
        .prop_map(|(matrix, full_range)| Colour { matrix, full_range })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_value_is_near_the_reference(
        format in any_format(), colour in any_colour(), size in (1usize..90, 1usize..90), extra in 0usize..5,
        corners in (0f64..1.0, 0f64..1.0, 0f64..1.0, 0f64..1.0), input in (1usize..70, 1usize..70),
        seed in any::<u64>(), bgr in any::<bool>(),
    ) {
        let mut state = seed | 1;
        let mut owned = Owned::new(format, size, extra, |_, _, _| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        });
        owned.colour = colour;
        // A part of the frame at any offset, as tiles have it.
        let part = |side: usize, a: f64, b: f64| {
            let first = (side as f64 * a) as usize;
            (first, first + 1 + ((side - first - 1) as f64 * b) as usize)
        };
        let (x1, x2) = part(size.0, corners.0, corners.1);
        let (y1, y2) = part(size.1, corners.2, corners.3);
        let letterbox = Letterbox::new(PixelBox { x1, y1, x2, y2 }, input.0, input.1).unwrap();
        let norm = Normalisation {
            order: if bgr { ChannelOrder::Bgr } else { ChannelOrder::Rgb },
            mean: [127.0, 114.0, 3.5],
            scale: [1.0 / 128.0, 1.0, 0.017],
        };
        compare(&owned, &letterbox, &norm)?;
    }

    #[test]
    fn boxes_come_back(
        corner in (0usize..5000, 0usize..5000), size in (1usize..8000, 1usize..8000), input in (32usize..2000, 32usize..2000),
        b in (-50f32..2100.0, -50f32..2100.0, 0.5f32..1000.0, 0.5f32..1000.0),
    ) {
        let source = PixelBox { x1: corner.0, y1: corner.1, x2: corner.0 + size.0, y2: corner.1 + size.1 };
        let letterbox = Letterbox::new(source, input.0, input.1).unwrap();
        let bbox = BBox::from_xywh(b.0, b.1, b.2, b.3);
        let back = letterbox.to_input(letterbox.to_frame(bbox));
        let (sx, sy) = letterbox.scale();
        for (a, b, scale) in [(bbox.x1, back.x1, sx), (bbox.y1, back.y1, sy), (bbox.x2, back.x2, sx), (bbox.y2, back.y2, sy)] {
            // f32 keeps frame coordinates to a few hundredths of a pixel at this size.
            prop_assert!((a - b).abs() <= 1e-3 + 0.02 * scale.max(1.0) + a.abs() * 1e-5, "{} against {}", a, b);
        }
        let (columns, rows) = letterbox.picture_size();
        let whole = letterbox.to_frame(BBox::new(0.0, 0.0, columns as f32, rows as f32));
        prop_assert!((whole.x1 - source.x1 as f32).abs() < 0.01 && (whole.x2 - source.x2 as f32).abs() < 0.01);
        prop_assert!((whole.y1 - source.y1 as f32).abs() < 0.01 && (whole.y2 - source.y2 as f32).abs() < 0.01);
        prop_assert!(columns <= input.0 && rows <= input.1 && (columns == input.0 || rows == input.1
            || (columns, rows) == size));
    }

    #[test]
    fn inputs_take_the_picture_and_waste_a_step_at_most(
        size in (1usize..9000, 1usize..9000), long in 1usize..3000,
    ) {
        let (w, h) = input_dims(size.0, size.1, long);
        prop_assert!(w % INPUT_STEP == 0 && h % INPUT_STEP == 0 && w >= 32 && h >= 32);
        prop_assert_eq!(w.max(h), long.next_multiple_of(INPUT_STEP));
        let letterbox = Letterbox::new(PixelBox { x1: 0, y1: 0, x2: size.0, y2: size.1 }, w, h).unwrap();
        let (columns, rows) = letterbox.picture_size();
        // The input's side is rounded up to a pixel before the step, the picture's to the nearest pixel.
        prop_assert!(w - columns <= INPUT_STEP && h - rows <= INPUT_STEP);
        let (w, h) = native_dims(size.0, size.1);
        let native = Letterbox::new(PixelBox { x1: 0, y1: 0, x2: size.0, y2: size.1 }, w, h).unwrap();
        prop_assert_eq!(native.picture_size(), size);
    }
}

#[test]
fn usual_frames_through_the_usual_inputs() {
    // Sizes with factors of 2, 3, 1.5 and 0.5, and one of none, small enough for the reference.
    for (format, size, input) in [
        (PixelFormat::I420, (192, 108), (64, 64)),
        (PixelFormat::Nv12, (192, 108), (64, 64)),
        (PixelFormat::I420, (128, 72), (64, 64)),
        (PixelFormat::I420, (64, 36), (64, 64)),
        (PixelFormat::Nv12, (137, 77), (96, 64)),
        (PixelFormat::Rgba, (300, 20), (32, 32)),
        (PixelFormat::I420, (1, 1), (32, 32)),
        (PixelFormat::Nv12, (17, 33), (32, 64)),
    ] {
        let owned = Owned::new(format, size, 3, |plane, x, y| {
            (plane * 91 + x * 29 + y * 53) as u8
        });
        let letterbox = Letterbox::new(owned.whole(), input.0, input.1).unwrap();
        compare(&owned, &letterbox, &PLAIN).unwrap();
    }
    assert_eq!(input_dims(640, 360, 640), (640, 384));
    assert_eq!(input_dims(1920, 1080, 640), (640, 384));
    assert_eq!(input_dims(1080, 1920, 640), (384, 640));
    assert_eq!(input_dims(1, 1, 640), (640, 640));
    assert_eq!(input_dims(10_000, 1, 640), (640, 32));
    // 64.08 rows: they fit, and the step is wasted.
    assert_eq!(input_dims(8000, 801, 640), (640, 96));
    assert_eq!(native_dims(1920, 1080), (1920, 1088));
}

#[test]
fn flat_colours_come_out_exact_and_alike_in_every_format() {
    // Limited-range BT.601 white, black and grey, and the primaries as RGB.
    for (yuv, rgb) in [
        ([235, 128, 128], [255.0; 3]),
        ([16, 128, 128], [0.0; 3]),
        ([126, 128, 128], [128.08; 3]),
        ([81, 90, 240], [254.4, 0.0, 0.0]),
    ] {
        for format in [PixelFormat::I420, PixelFormat::Nv12] {
            let owned = Owned::new(format, (101, 57), 0, |plane, x, _| match (format, plane) {
                (_, 0) => yuv[0],
                (PixelFormat::Nv12, _) => yuv[1 + x % 2],
                (_, plane) => yuv[plane],
            });
            for input in [(64, 64), (160, 96)] {
                let letterbox = Letterbox::new(owned.whole(), input.0, input.1).unwrap();
                let mut out = vec![0f32; 3 * input.0 * input.1];
                letterbox.fill(&owned.frame(), &PLAIN, &mut out).unwrap();
                for (plane, expected) in out.chunks_exact(input.0 * input.1).zip(rgb) {
                    let (columns, rows) = letterbox.picture_size();
                    for y in 0..rows {
                        for &value in &plane[y * input.0..][..columns] {
                            assert!((value - expected).abs() < 0.6, "{value} for {expected}");
                            assert_eq!(value.to_bits(), plane[0].to_bits());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn fine_patterns_are_averaged_and_not_sampled() {
    // A chessboard of single pixels is grey at a third of its size; sampling would show stripes.
    let owned = Owned::new(PixelFormat::Rgb, (300, 300), 0, |_, x, y| {
        if (x / 3 + y) % 2 == 0 { 255 } else { 0 }
    });
    let letterbox = Letterbox::new(owned.whole(), 64, 64).unwrap();
    let mut out = vec![0f32; 3 * 64 * 64];
    letterbox.fill(&owned.frame(), &PLAIN, &mut out).unwrap();
    assert!(out.iter().all(|v| (v - 127.5).abs() < 16.0));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let owned = Owned::new(PixelFormat::I420, (40, 30), 0, |_, _, _| 0);
    let frame = owned.frame();
    let at = |x1, y1, x2, y2| PixelBox { x1, y1, x2, y2 };
    let letterbox = Letterbox::new(owned.whole(), 64, 64).unwrap();
    let fill =
        |letterbox: &Letterbox, length| letterbox.fill(&frame, &PLAIN, &mut vec![0.0; length]);
    assert!(fill(&letterbox, 3 * 64 * 64).is_ok());
    assert!(matches!(
        fill(&letterbox, 3 * 64 * 64 - 1),
        Err(Error::Detection(_))
    ));
    for outside in [at(0, 0, 41, 30), at(0, 0, 40, 31), at(40, 30, 41, 31)] {
        let letterbox = Letterbox::new(outside, 64, 64).unwrap();
        assert!(matches!(
            fill(&letterbox, 3 * 64 * 64),
            Err(Error::Frame { .. })
        ));
    }
    for empty in [at(5, 0, 5, 9), at(0, 9, 5, 9), at(9, 0, 5, 9)] {
        assert!(Letterbox::new(empty, 64, 64).is_err());
    }
    assert!(Letterbox::new(owned.whole(), 0, 64).is_err());
    assert!(Letterbox::new(owned.whole(), 64, 0).is_err());
    assert!(Letterbox::new(at(0, 0, usize::MAX, 9), 64, 64).is_err());
    assert!(Letterbox::new(owned.whole(), 64, usize::MAX).is_err());
    assert_eq!(
        input_dims(usize::MAX, 1, usize::MAX),
        (MAX_SIDE, INPUT_STEP)
    );
}
