//! Borrowed video frames: planes and strides of one picture in memory that somebody else owns.
//!
//! Invariants: a constructed frame has a width and height of at least 1 and planes long enough for
//! its format, so that row access never goes out of bounds. Chroma planes of 4:2:0 formats have
//! `ceil(width / 2)` × `ceil(height / 2)` samples.

use crate::error::{Error, Result};

/// Layout of the samples in memory, 8 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three planes: Y, then U and V subsampled by 2 both ways.
    I420,
    /// Two planes: Y, then U and V interleaved, subsampled by 2 both ways.
    Nv12,
    /// One plane of R, G, B.
    Rgb,
    /// One plane of R, G, B, A.
    Rgba,
}

impl PixelFormat {
    /// Name as in GStreamer's caps.
    pub fn name(self) -> &'static str {
        match self {
            Self::I420 => "I420",
            Self::Nv12 => "NV12",
            Self::Rgb => "RGB",
            Self::Rgba => "RGBA",
        }
    }

    /// Number of planes.
    pub fn planes(self) -> usize {
        match self {
            Self::I420 => 3,
            Self::Nv12 => 2,
            Self::Rgb | Self::Rgba => 1,
        }
    }

    /// Bytes of one row and number of rows of plane `index` for a frame of `width` × `height` pixels.
    pub fn plane_size(self, index: usize, width: usize, height: usize) -> (usize, usize) {
        match (self, index) {
            (Self::I420 | Self::Nv12, 0) => (width, height),
            (Self::I420, _) => (width.div_ceil(2), height.div_ceil(2)),
            (Self::Nv12, _) => (width.div_ceil(2) * 2, height.div_ceil(2)),
            (Self::Rgb, _) => (width * 3, height),
            (Self::Rgba, _) => (width * 4, height),
        }
    }
}

/// Coefficients between Y'CbCr and R'G'B'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601, standard definition and JPEG.
    #[default]
    Bt601,
    /// ITU-R BT.709, high definition.
    Bt709,
    /// ITU-R BT.2020 non-constant luminance.
    Bt2020,
}

/// How Y'CbCr samples are to be read; without meaning for RGB formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Colour {
    /// Conversion coefficients.
    pub matrix: Matrix,
    /// True: 0–255; false: luma 16–235, chroma 16–240.
    pub full_range: bool,
}

/// A picture that can be read.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    format: PixelFormat,
    width: usize,
    height: usize,
    colour: Colour,
    planes: [&'a [u8]; 3],
    strides: [usize; 3],
}

/// A picture that can be read and written in place.
#[derive(Debug)]
pub struct FrameMut<'a> {
    format: PixelFormat,
    width: usize,
    height: usize,
    colour: Colour,
    planes: [&'a mut [u8]; 3],
    strides: [usize; 3],
}

/// Checks that `lengths` bytes at `strides` bytes a row hold every plane.
fn check(
    format: PixelFormat,
    width: usize,
    height: usize,
    lengths: &[usize],
    strides: &[usize],
) -> Result<()> {
    let error = |problem: String| Error::Frame {
        format: format.name(),
        width,
        height,
        problem,
    };
    if width == 0 || height == 0 {
        return Err(error("has no pixels".into()));
    }
    if lengths.len() != format.planes() || strides.len() != format.planes() {
        return Err(error(format!(
            "{} planes and {} strides given, {} needed",
            lengths.len(),
            strides.len(),
            format.planes()
        )));
    }
    for (index, (&length, &stride)) in lengths.iter().zip(strides).enumerate() {
        let (row, rows) = format.plane_size(index, width, height);
        let needed = stride
            .checked_mul(rows - 1)
            .and_then(|bytes| bytes.checked_add(row));
        if stride < row || needed.is_none_or(|needed| length < needed) {
            return Err(error(format!(
                "plane {index} has {length} bytes with a stride of {stride}, too few for {rows} rows of {row} bytes"
            )));
        }
    }
    Ok(())
}

impl<'a> Frame<'a> {
    /// A frame over `planes` with `strides` bytes from row to row.
    ///
    /// Errors: [`Error::Frame`] when a plane is missing or too short.
    pub fn new(
        format: PixelFormat,
        width: usize,
        height: usize,
        colour: Colour,
        planes: &[&'a [u8]],
        strides: &[usize],
    ) -> Result<Self> {
        let lengths: Vec<usize> = planes.iter().map(|plane| plane.len()).collect();
        check(format, width, height, &lengths, strides)?;
        let mut all: [&[u8]; 3] = [&[]; 3];
        let mut all_strides = [0; 3];
        for (index, (&plane, &stride)) in planes.iter().zip(strides).enumerate() {
            all[index] = plane;
            all_strides[index] = stride;
        }
        Ok(Self {
            format,
            width,
            height,
            colour,
            planes: all,
            strides: all_strides,
        })
    }

    /// Pixel format.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// How the samples are to be read.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Samples of plane `index`.
    pub fn plane(&self, index: usize) -> &'a [u8] {
        self.planes[index]
    }

    /// Bytes from row to row of plane `index`.
    pub fn stride(&self, index: usize) -> usize {
        self.strides[index]
    }

    /// Row `y` of plane `index`, without padding.
    pub fn row(&self, index: usize, y: usize) -> &'a [u8] {
        let (row, _) = self.format.plane_size(index, self.width, self.height);
        &self.planes[index][y * self.strides[index]..][..row]
    }
}

impl<'a> FrameMut<'a> {
    /// A frame over `planes` with `strides` bytes from row to row.
    ///
    /// Errors: [`Error::Frame`] when a plane is missing or too short.
    pub fn new(
        format: PixelFormat,
        width: usize,
        height: usize,
        colour: Colour,
        planes: Vec<&'a mut [u8]>,
        strides: &[usize],
    ) -> Result<Self> {
        let lengths: Vec<usize> = planes.iter().map(|plane| plane.len()).collect();
        check(format, width, height, &lengths, strides)?;
        let mut all: [&mut [u8]; 3] = [&mut [], &mut [], &mut []];
        let mut all_strides = [0; 3];
        for (index, (plane, &stride)) in planes.into_iter().zip(strides).enumerate() {
            all[index] = plane;
            all_strides[index] = stride;
        }
        Ok(Self {
            format,
            width,
            height,
            colour,
            planes: all,
            strides: all_strides,
        })
    }

    /// The same frame, read only.
    pub fn as_frame(&self) -> Frame<'_> {
        Frame {
            format: self.format,
            width: self.width,
            height: self.height,
            colour: self.colour,
            planes: [&*self.planes[0], &*self.planes[1], &*self.planes[2]],
            strides: self.strides,
        }
    }

    /// Pixel format.
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// How the samples are to be read.
    pub fn colour(&self) -> Colour {
        self.colour
    }

    /// Bytes from row to row of plane `index`.
    pub fn stride(&self, index: usize) -> usize {
        self.strides[index]
    }

    /// Samples of plane `index`.
    pub fn plane_mut(&mut self, index: usize) -> &mut [u8] {
        self.planes[index]
    }

    /// Samples of all planes, for code that works on them at once; planes the format lacks are empty.
    pub fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let [a, b, c] = &mut self.planes;
        [a, b, c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_must_hold_every_row() {
        let data = vec![0u8; 17 * 33];
        let chroma = [0u8; 9 * 17];
        let colour = Colour::default();
        let frame = |y: usize, c: usize| {
            Frame::new(
                PixelFormat::I420,
                17,
                33,
                colour,
                &[&data[..y], &chroma[..c], &chroma[..c]],
                &[17, 9, 9],
            )
        };
        assert!(frame(17 * 33, 9 * 17).is_ok());
        assert!(frame(17 * 33 - 1, 9 * 17).is_err());
        assert!(frame(17 * 33, 9 * 17 - 1).is_err());
        assert!(Frame::new(PixelFormat::Rgb, 0, 4, colour, &[&data], &[12]).is_err());
        assert!(Frame::new(PixelFormat::Rgb, 4, 4, colour, &[&data], &[11]).is_err());
        assert!(Frame::new(PixelFormat::Nv12, 4, 4, colour, &[&data], &[4]).is_err());
        assert!(Frame::new(PixelFormat::Rgb, 4, 2, colour, &[&data], &[usize::MAX]).is_err());
    }
}
