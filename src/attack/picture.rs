//! Small RGB pictures, and what attackers measure of them.

use std::path::Path;

use image::{ImageReader, Limits};

use crate::error::{Error, Result};
use crate::frame::{Colour, Frame, FrameMut, Matrix, PixelFormat};
use crate::geometry::BBox;

/// Most pixels along a side of a picture that is read from a file.
const MOST_SIDE: u32 = 8192;
/// Most memory that reading a picture may take, in bytes.
const MOST_MEMORY: u64 = 512 << 20;

/// A picture of 8-bit R, G, B, row by row; at least one pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    /// A picture of one colour; sides of 0 become 1.
    pub fn plain(width: usize, height: usize, rgb: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self {
            width,
            height,
            pixels: rgb.repeat(width * height),
        }
    }

    /// A picture whose R, G, B at column x and row y are `at(x, y)`.
    pub fn from_fn(
        width: usize,
        height: usize,
        mut at: impl FnMut(usize, usize) -> [u8; 3],
    ) -> Self {
        let mut picture = Self::plain(width, height, [0; 3]);
        for y in 0..picture.height {
            for x in 0..picture.width {
                picture.set(x, y, at(x, y));
            }
        }
        picture
    }

    /// A picture from rows of R, G, B that lie `stride` bytes apart.
    ///
    /// Errors: [`Error::Frame`] when `pixels` is too short.
    pub fn from_rows(width: usize, height: usize, stride: usize, pixels: &[u8]) -> Result<Self> {
        let frame = Frame::new(
            PixelFormat::Rgb,
            width,
            height,
            Colour::default(),
            &[pixels],
            &[stride],
        )?;
        let rows = (0..height).flat_map(|y| frame.row(0, y)[..width * 3].iter().copied());
        Ok(Self {
            width,
            height,
            pixels: rows.collect(),
        })
    }

    /// The part of `frame` in `area`; None when nothing of the area is in the frame.
    pub fn from_frame(frame: &Frame<'_>, area: &BBox) -> Option<Self> {
        let area = area.outward(frame.width(), frame.height())?;
        let rgb = |x, y| rgb(frame, area.x1 + x, area.y1 + y);
        Some(Self::from_fn(area.width(), area.height(), rgb))
    }

    /// Reads a PNG, JPEG or WebP file.
    ///
    /// Errors: [`Error::Io`] when it cannot be read, [`Error::Media`] when it is no such picture or larger than 8192 pixels
    /// along a side.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reader = ImageReader::open(path)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|error| Error::io(path, "reading", error))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MOST_SIDE);
        limits.max_image_height = Some(MOST_SIDE);
        limits.max_alloc = Some(MOST_MEMORY);
        reader.limits(limits);
        let rgb = reader
            .decode()
            .map_err(|error| {
                let name = path.display().to_string();
                Error::media(name, format!("is no picture that can be read: {error}"))
            })?
            .into_rgb8();
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        Self::from_rows(width, height, width * 3, rgb.as_raw())
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// R, G, B row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// R, G, B at a place; coordinates beyond the edge are those of the edge.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let index = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
        [
            self.pixels[index],
            self.pixels[index + 1],
            self.pixels[index + 2],
        ]
    }

    /// Sets R, G, B at a place inside the picture.
    pub fn set(&mut self, x: usize, y: usize, rgb: [u8; 3]) {
        let index = (y * self.width + x) * 3;
        self.pixels[index..index + 3].copy_from_slice(&rgb);
    }

    /// The picture as a frame to redact.
    ///
    /// Errors: none that a picture can cause.
    pub fn frame_mut(&mut self) -> Result<FrameMut<'_>> {
        let stride = self.width * 3;
        let (width, height) = (self.width, self.height);
        FrameMut::new(
            PixelFormat::Rgb,
            width,
            height,
            Colour::default(),
            vec![&mut self.pixels],
            &[stride],
        )
    }

    /// The part of the picture in `area`, drawn at `width` × `height` pixels: means where it shrinks, interpolated where it
    /// grows. None when nothing of the area is in the picture.
    pub fn cut(&self, area: &BBox, width: usize, height: usize) -> Option<Self> {
        let area = area.clip(self.width, self.height)?;
        if !area.is_valid() {
            return None;
        }
        let columns = taps(area.x1, area.width(), width);
        let rows = taps(area.y1, area.height(), height);
        Some(Self::from_fn(width, height, |x, y| {
            let mut sum = [0.0f32; 3];
            for &(row, down) in &rows[y] {
                for &(column, across) in &columns[x] {
                    let rgb = self.at(column, row);
                    for (sum, value) in sum.iter_mut().zip(rgb) {
                        *sum += down * across * f32::from(value);
                    }
                }
            }
            sum.map(|value| value.round() as u8)
        }))
    }

    /// The whole picture at another size.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let whole = BBox::new(0.0, 0.0, self.width as f32, self.height as f32);
        self.cut(&whole, width, height)
            .unwrap_or_else(|| self.clone())
    }

    /// Luma, 0 to 255, row by row.
    pub fn luma(&self) -> Vec<f64> {
        self.pixels.chunks_exact(3).map(|rgb| ycc(rgb)[0]).collect()
    }

    /// The means of a grid of `side` × `side` parts as Y', Cb, Cr, one after the other: what attackers compare.
    pub fn features(&self, side: usize) -> Vec<f64> {
        let small = self.resized(side, side);
        small.pixels.chunks_exact(3).flat_map(ycc).collect()
    }
}

/// R, G, B of one pixel of a frame.
fn rgb(frame: &Frame<'_>, x: usize, y: usize) -> [u8; 3] {
    let (u, v) = match frame.format() {
        PixelFormat::I420 => (frame.row(1, y / 2)[x / 2], frame.row(2, y / 2)[x / 2]),
        PixelFormat::Nv12 => {
            let row = frame.row(1, y / 2);
            (row[x / 2 * 2], row[x / 2 * 2 + 1])
        }
        PixelFormat::Rgb | PixelFormat::Rgba => {
            let step = if frame.format() == PixelFormat::Rgb {
                3
            } else {
                4
            };
            let row = &frame.row(0, y)[x * step..];
            return [row[0], row[1], row[2]];
        }
    };
    let (kr, kb) = match frame.colour().matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let luma = f32::from(frame.row(0, y)[x]);
    let (luma, scale) = if frame.colour().full_range {
        (luma, 1.0)
    } else {
        ((luma - 16.0) * 255.0 / 219.0, 255.0 / 224.0)
    };
    let [cb, cr] = [u, v].map(|value| (f32::from(value) - 128.0) * scale);
    let (r, b) = (luma + 2.0 * (1.0 - kr) * cr, luma + 2.0 * (1.0 - kb) * cb);
    let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
    // A float becomes an integer by saturation.
    [r, g, b].map(|value| value.round() as u8)
}

/// Y', Cb and Cr (around 0) of R, G, B.
fn ycc(rgb: &[u8]) -> [f64; 3] {
    let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(f64::from);
    let y = 0.299 * r + 0.587 * g + 0.114 * b;
    [y, (b - y) / 1.772, (r - y) / 1.402]
}

/// For each of `count` samples over `length` pixels from `start` on, which of these pixels it is mixed from, with shares that
/// add up to 1.
fn taps(start: f32, length: f32, count: usize) -> Vec<Vec<(usize, f32)>> {
    let step = length / count as f32;
    let reach = step.max(1.0);
    let first_pixel = start.floor() as i64;
    let last_pixel = ((start + length).ceil() as i64 - 1).max(first_pixel);
    let sample = |index: usize| {
        let centre = start + (index as f32 + 0.5) * step;
        let (from, to) = (centre - reach / 2.0, centre + reach / 2.0);
        let first = from.floor() as i64;
        let mut taps: Vec<(usize, f32)> = (first..=to.ceil() as i64)
            .filter_map(|pixel| {
                let share = to.min(pixel as f32 + 1.0) - from.max(pixel as f32);
                let pixel = pixel.clamp(first_pixel, last_pixel) as usize;
                (share > 1e-6).then_some((pixel, share))
            })
            .collect();
        let sum: f32 = taps.iter().map(|(_, share)| share).sum();
        taps.iter_mut().for_each(|(_, share)| *share /= sum);
        taps
    };
    (0..count).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Picture {
        Picture::from_fn(40, 20, |x, y| [(x * 6) as u8, (y * 12) as u8, 50])
    }

    #[test]
    fn sizes_change_and_means_stay() {
        let picture = ramp();
        let small = picture.resized(4, 4);
        assert_eq!((small.width(), small.height()), (4, 4));
        // Columns 0 to 9 have a mean of 27, rows 5 to 9 one of 84.
        assert_eq!(small.at(0, 1), [27, 84, 50]);
        let large = small.resized(40, 20);
        assert_eq!(large.at(4, 7), [27, 84, 50]);
        assert_eq!(picture.resized(40, 20), picture);
    }

    #[test]
    fn a_cut_is_of_the_area_alone() {
        let mut picture = Picture::plain(20, 20, [10; 3]);
        for y in 5..10 {
            for x in 5..10 {
                picture.set(x, y, [200; 3]);
            }
        }
        let cut = picture.cut(&BBox::new(5.0, 5.0, 10.0, 10.0), 8, 8).unwrap();
        assert!(cut.pixels().iter().all(|&value| value == 200));
        let outside = BBox::new(30.0, 0.0, 40.0, 10.0);
        assert_eq!(picture.cut(&outside, 8, 8), None);
    }

    #[test]
    fn frames_become_pictures_in_their_colours() {
        // Red in BT.709 of limited range is 63, 102, 240.
        let (y, u, v) = ([63; 16], [102; 4], [240; 4]);
        let colour = Colour {
            matrix: Matrix::Bt709,
            full_range: false,
        };
        let planes: [&[u8]; 3] = [&y, &u, &v];
        let frame = Frame::new(PixelFormat::I420, 4, 4, colour, &planes, &[4, 2, 2]).unwrap();
        let area = BBox::new(1.2, 0.0, 3.0, 9.0);
        let picture = Picture::from_frame(&frame, &area).unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 4));
        let [r, g, b] = picture.at(1, 1);
        assert!(r >= 253 && g <= 2 && b <= 2, "{r} {g} {b}");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.png");
        std::fs::write(&path, "not a picture").unwrap();
        let error = Picture::read(&path).unwrap_err().to_string();
        assert!(error.contains("text.png"), "{error}");
        let error = Picture::read(&folder.path().join("none.png")).unwrap_err();
        assert!(error.to_string().contains("reading failed"), "{error}");
    }
}
