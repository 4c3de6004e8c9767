//! From a frame straight to a model's input: scaling, padding, colour conversion and normalisation in one pass
//! over small rows, without an RGB copy of the frame.
//!
//! The picture keeps its aspect (to the nearest pixel), sits in the **top left** corner of the input, and the
//! rest is **black** before normalisation, as the makers of YuNet and SCRFD do it. Y, U and V are resampled
//! each at its own resolution and converted at the input's.

use super::resample::{Axis, HORIZONTAL_UNIT, VERTICAL_UNIT, horizontal, vertical};
#[cfg(target_arch = "x86_64")]
use super::shuffle::Shuffles;
use crate::error::{Error, Result};
use crate::frame::{Colour, Frame, Matrix, PixelFormat};
use crate::geometry::{BBox, PixelBox};

/// Sides of a model's input are multiples of this many pixels, its coarsest stride.
pub const INPUT_STEP: usize = 32;

/// Longest side of a frame or an input in pixels, far beyond any video.
pub const MAX_SIDE: usize = 1 << 16;

/// Order of the colour planes in a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// How samples of 0–255 become a model's input: `(x - mean) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Order of the colour planes.
    pub order: ChannelOrder,
    /// Subtracted from each sample, in the order of the planes.
    pub mean: [f32; 3],
    /// Multiplied with each difference, in the order of the planes.
    pub scale: [f32; 3],
}

/// One mapping of a part of a frame to a model's input. Building one takes some tens
/// of microseconds; keep it while the geometry stays.
#[derive(Clone, Debug)]
pub struct Letterbox {
    source: PixelBox,
    input_width: usize,
    input_height: usize,
    picture_width: usize,
    picture_height: usize,
    /// Planes at the frame's resolution.
    full: Plan,
    /// Chroma planes.
    halved: Plan,
}

impl Letterbox {
    /// The mapping of `source`, a part of a frame, to an input of `input_width` × `input_height` pixels: as
    /// large as fits; at its own size when the input is less than [`INPUT_STEP`] larger either way.
    ///
    /// Errors: [`Error::Detection`] when a side is 0 or over [`MAX_SIDE`], or `source` is empty.
    pub fn new(source: PixelBox, input_width: usize, input_height: usize) -> Result<Self> {
        if source.x1 >= source.x2 || source.y1 >= source.y2 {
            return Err(Error::Detection(format!("{source:?} has no pixels")));
        }
        if input_width == 0 || input_height == 0 {
            return Err(Error::Detection(format!(
                "a model input of {input_width}x{input_height} has no pixels"
            )));
        }
        if [source.x2, source.y2, input_width, input_height]
            .iter()
            .any(|&side| side > MAX_SIDE)
        {
            return Err(Error::Detection(format!(
                "{source:?} to a model input of {input_width}x{input_height} is over {MAX_SIDE} pixels a side"
            )));
        }
        let (width, height) = (source.width(), source.height());
        let unscaled = |side: usize, input: usize| input >= side && input - side < INPUT_STEP;
        let (picture_width, picture_height) =
            if unscaled(width, input_width) && unscaled(height, input_height) {
                (width, height)
            } else {
                let scale =
                    (input_width as f64 / width as f64).min(input_height as f64 / height as f64);
                let fit = |side: usize, input: usize| {
                    ((side as f64 * scale).round() as usize).clamp(1, input)
                };
                (fit(width, input_width), fit(height, input_height))
            };
        // The plane's size is not known yet; samples outside it are refused in `fill`.
        let plan = |step: f64| {
            let axis = |from: usize, to: usize, count: usize, unit: u32| {
                let (from, to) = (from as f64 / step, to as f64 / step);
                Axis::new(from, to, to.ceil() as usize, count, unit)
            };
            Plan::new(
                axis(source.x1, source.x2, picture_width, HORIZONTAL_UNIT),
                axis(source.y1, source.y2, picture_height, VERTICAL_UNIT),
            )
        };
        Ok(Self {
            source,
            input_width,
            input_height,
            picture_width,
            picture_height,
            full: plan(1.0),
            halved: plan(2.0),
        })
    }

    /// The part of the frame that is mapped.
    pub fn source(&self) -> PixelBox {
        self.source
    }

    /// Width and height of the input in pixels.
    pub fn input_size(&self) -> (usize, usize) {
        (self.input_width, self.input_height)
    }

    /// Width and height in input pixels of the picture in the input's top left corner; the rest is padding.
    pub fn picture_size(&self) -> (usize, usize) {
        (self.picture_width, self.picture_height)
    }

    /// Input pixels per frame pixel, across and down; they differ by rounding only.
    pub fn scale(&self) -> (f32, f32) {
        (
            self.picture_width as f32 / self.source.width() as f32,
            self.picture_height as f32 / self.source.height() as f32,
        )
    }

    /// A box in input pixels as a box in the frame's pixels. Nothing is clipped.
    pub fn to_frame(&self, bbox: BBox) -> BBox {
        let (sx, sy) = self.scale();
        let (x, y) = (self.source.x1 as f32, self.source.y1 as f32);
        BBox::new(
            bbox.x1 / sx + x,
            bbox.y1 / sy + y,
            bbox.x2 / sx + x,
            bbox.y2 / sy + y,
        )
    }

    /// A box in the frame's pixels as a box in input pixels. Nothing is clipped.
    pub fn to_input(&self, bbox: BBox) -> BBox {
        let (sx, sy) = self.scale();
        let (x, y) = (self.source.x1 as f32, self.source.y1 as f32);
        BBox::new(
            (bbox.x1 - x) * sx,
            (bbox.y1 - y) * sy,
            (bbox.x2 - x) * sx,
            (bbox.y2 - y) * sy,
        )
    }

    /// Writes the model's input: three planes of `input_height` rows of `input_width` values, one after the
    /// other (one item of an NCHW tensor).
    ///
    /// Errors: [`Error::Frame`] when the source reaches over the frame, [`Error::Detection`] when `out` has a
    /// length other than 3 × height × width.
    pub fn fill(&self, frame: &Frame<'_>, norm: &Normalisation, out: &mut [f32]) -> Result<()> {
        let source = self.source;
        if source.x2 > frame.width() || source.y2 > frame.height() {
            return Err(Error::Frame {
                format: frame.format().name(),
                width: frame.width(),
                height: frame.height(),
                problem: format!("does not contain {source:?}, the part to analyse"),
            });
        }
        let area = self.input_width.saturating_mul(self.input_height);
        if out.len() != area.saturating_mul(3) {
            return Err(Error::Detection(format!(
                "a model input of 3x{}x{} does not have {} values",
                self.input_height,
                self.input_width,
                out.len()
            )));
        }
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, the only thing this function needs beyond its signature.
            unsafe { self.fill_avx2(frame, norm, out) };
            return Ok(());
        }
        self.fill_portable(frame, norm, out);
        Ok(())
    }

    fn fill_portable(&self, frame: &Frame<'_>, norm: &Normalisation, out: &mut [f32]) {
        self.fill_rows(frame, norm, out, |row, plan, out| {
            horizontal(row, &plan.across, out);
        });
    }

    /// [`Self::fill_portable`] compiled for AVX2; the results are the same to the bit.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn fill_avx2(&self, frame: &Frame<'_>, norm: &Normalisation, out: &mut [f32]) {
        self.fill_rows(frame, norm, out, |row, plan, out| match &plan.shuffles {
            Some(shuffles) => shuffles.horizontal(row, out),
            None => horizontal(row, &plan.across, out),
        });
    }

    #[inline(always)]
    fn fill_rows(
        &self,
        frame: &Frame<'_>,
        norm: &Normalisation,
        out: &mut [f32],
        horizontal: impl Fn(&[u16], &Plan, &mut [f32]) + Copy,
    ) {
        let (width, pixels) = (self.picture_width, self.input_width * self.input_height);
        let conversion = Conversion::new(frame.format(), frame.colour(), norm);
        let (first, rest) = out.split_at_mut(pixels);
        let (second, third) = rest.split_at_mut(pixels);
        let mut planes = [first, second, third];
        let mut samples = vec![0f32; 3 * width];
        let (a, rest) = samples.split_at_mut(width);
        let (b, c) = rest.split_at_mut(width);
        let mut scratch = Scratch::default();
        for y in 0..self.picture_height {
            let (full, halved, s) = (&self.full, &self.halved, &mut scratch);
            match frame.format() {
                PixelFormat::I420 => {
                    full.row::<1, 1>(frame, 0, y, s, [&mut *a], horizontal);
                    halved.row::<1, 1>(frame, 1, y, s, [&mut *b], horizontal);
                    halved.row::<1, 1>(frame, 2, y, s, [&mut *c], horizontal);
                }
                PixelFormat::Nv12 => {
                    full.row::<1, 1>(frame, 0, y, s, [&mut *a], horizontal);
                    halved.row::<2, 2>(frame, 1, y, s, [&mut *b, &mut *c], horizontal);
                }
                PixelFormat::Rgb => {
                    full.row::<3, 3>(frame, 0, y, s, [&mut *a, &mut *b, &mut *c], horizontal);
                }
                PixelFormat::Rgba => {
                    full.row::<4, 3>(frame, 0, y, s, [&mut *a, &mut *b, &mut *c], horizontal);
                }
            }
            let start = y * self.input_width;
            for (plane, channel) in planes.iter_mut().zip(&conversion.channels) {
                let (picture, padding) = plane[start..][..self.input_width].split_at_mut(width);
                channel.convert([&*a, &*b, &*c], picture);
                padding.fill(channel.black);
            }
        }
        let below = self.picture_height * self.input_width;
        for (plane, channel) in planes.iter_mut().zip(&conversion.channels) {
            plane[below..].fill(channel.black);
        }
    }
}

/// How one plane becomes the rows of the picture.
#[derive(Clone, Debug)]
struct Plan {
    across: Axis,
    down: Axis,
    #[cfg(target_arch = "x86_64")]
    shuffles: Option<Shuffles>,
}

/// Rows between the steps, kept from row to row.
#[derive(Debug, Default)]
struct Scratch {
    /// Output of the vertical step, samples of a pixel together.
    mixed: Vec<u16>,
    /// One sample of each pixel.
    single: Vec<u16>,
}

impl Plan {
    fn new(across: Axis, down: Axis) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            shuffles: Shuffles::new(&across),
            across,
            down,
        }
    }

    /// Row `y` of the picture from plane `index`: the first `N` of the `STEP` samples of each pixel.
    #[inline(always)]
    fn row<const STEP: usize, const N: usize>(
        &self,
        frame: &Frame<'_>,
        index: usize,
        y: usize,
        scratch: &mut Scratch,
        out: [&mut [f32]; N],
        horizontal: impl Fn(&[u16], &Self, &mut [f32]),
    ) {
        let (across, down) = (&self.across, &self.down);
        let weights = &down.weights[y * down.taps..][..down.taps];
        let top = down.first + down.start[y];
        let columns = across.first * STEP..(across.first + across.span) * STEP;
        scratch.mixed.resize(columns.len(), 0);
        let source = |k: usize| &frame.row(index, top + k)[columns.clone()];
        vertical(source, weights, &mut scratch.mixed);
        for (sample, out) in out.into_iter().enumerate() {
            if STEP == 1 {
                horizontal(&scratch.mixed, self, out);
            } else {
                scratch.single.clear();
                let pixels = scratch.mixed.chunks_exact(STEP);
                scratch.single.extend(pixels.map(|pixel| pixel[sample]));
                horizontal(&scratch.single, self, out);
            }
        }
    }
}

/// One colour plane of the input as a function of the three samples of a pixel.
#[derive(Clone, Copy, Debug)]
struct Channel {
    /// Factors of the samples.
    factors: [f32; 3],
    offset: f32,
    mean: f32,
    scale: f32,
    /// What black is after normalisation.
    black: f32,
}

impl Channel {
    #[inline(always)]
    fn convert(&self, samples: [&[f32]; 3], out: &mut [f32]) {
        let [fa, fb, fc] = self.factors;
        let [a, b, c] = samples.map(|row| &row[..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            let sum = a[i] * fa + b[i] * fb + c[i] * fc;
            let value = (sum + self.offset).clamp(0.0, 255.0);
            *out = (value - self.mean) * self.scale;
        }
    }
}

/// From resampled samples to normalised colour planes.
#[derive(Clone, Copy, Debug)]
struct Conversion {
    channels: [Channel; 3],
}

impl Conversion {
    fn new(format: PixelFormat, colour: Colour, norm: &Normalisation) -> Self {
        let rgb = match format {
            PixelFormat::I420 | PixelFormat::Nv12 => from_ycbcr(colour),
            PixelFormat::Rgb | PixelFormat::Rgba => [
                ([1.0, 0.0, 0.0], 0.0),
                ([0.0, 1.0, 0.0], 0.0),
                ([0.0, 0.0, 1.0], 0.0),
            ],
        };
        let channel = |plane: usize| {
            let (factors, offset) = match norm.order {
                ChannelOrder::Rgb => rgb[plane],
                ChannelOrder::Bgr => rgb[2 - plane],
            };
            let (mean, scale) = (norm.mean[plane], norm.scale[plane]);
            Channel {
                factors: factors.map(|factor| factor as f32),
                offset: offset as f32,
                mean,
                scale,
                black: (0.0 - mean) * scale,
            }
        };
        Self {
            channels: [channel(0), channel(1), channel(2)],
        }
    }
}

/// Factors of Y', Cb and Cr (0–255 as stored) and the offset of R', G' and B' (0–255); ITU-R BT.601-7, BT.709-6 and BT.2020-2.
fn from_ycbcr(colour: Colour) -> [([f64; 3], f64); 3] {
    let (kr, kb) = match colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let kg = 1.0 - kr - kb;
    let (luma, black, chroma) = if colour.full_range {
        (1.0, 0.0, 1.0)
    } else {
        (255.0 / 219.0, 16.0, 255.0 / 224.0)
    };
    let red = 2.0 * (1.0 - kr) * chroma;
    let blue = 2.0 * (1.0 - kb) * chroma;
    let row = |cb: f64, cr: f64| ([luma, cb, cr], -black * luma - 128.0 * (cb + cr));
    [
        row(0.0, red),
        row(-blue * kb / kg, -red * kr / kg),
        row(blue, 0.0),
    ]
}

/// Width and height of a model's input for a picture of `width` × `height` pixels whose long side becomes
/// `long_side` (rounded up to a multiple of [`INPUT_STEP`]): the short side in proportion, rounded up likewise. 640×360 at 640 gives 640×384.
pub fn input_dims(width: usize, height: usize, long_side: usize) -> (usize, usize) {
    let long = long_side.clamp(1, MAX_SIDE).next_multiple_of(INPUT_STEP);
    let (width, height) = (width.max(1) as u128, height.max(1) as u128);
    let short = |side: u128, other: u128| {
        ((side * long as u128).div_ceil(other) as usize)
            .max(1)
            .next_multiple_of(INPUT_STEP)
    };
    if width >= height {
        (long, short(height, width))
    } else {
        (short(width, height), long)
    }
}

/// Width and height of a model's input that takes a picture of `width` × `height` pixels unscaled: both
/// rounded up to a multiple of [`INPUT_STEP`].
pub fn native_dims(width: usize, height: usize) -> (usize, usize) {
    (
        width.clamp(1, MAX_SIDE).next_multiple_of(INPUT_STEP),
        height.clamp(1, MAX_SIDE).next_multiple_of(INPUT_STEP),
    )
}

#[cfg(test)]
mod tests;
