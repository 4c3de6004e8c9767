//! Where the samples of each pixel format lie, and frames cut into bands of rows.
//!
//! Invariant: bands begin at even luma rows, so no chroma row belongs to two of them.

use std::ops::Range;

use crate::frame::{Colour, FrameMut, Matrix, PixelFormat};
use crate::geometry::PixelBox;

/// How one plane stores its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaneLayout {
    /// Bytes per sample: the interleaved channels.
    pub channels: usize,
    /// 1 where the plane is subsampled by 2 both ways, else 0.
    pub shift: usize,
    /// The first of its channels, counted over all planes. Channel 3 is alpha.
    pub first: usize,
}

impl PlaneLayout {
    /// The samples that `area`, in luma pixels, touches.
    pub fn cover(&self, area: PixelBox) -> PixelBox {
        if self.shift == 0 { area } else { area.halved() }
    }

    /// The samples of one row that the luma pixels `span` touch; none when it is empty.
    pub fn cover_span(&self, span: Range<usize>) -> Range<usize> {
        if span.is_empty() {
            0..0
        } else if self.shift == 0 {
            span
        } else {
            span.start / 2..span.end.div_ceil(2)
        }
    }
}

/// The planes of `format`.
pub(super) fn planes(format: PixelFormat) -> &'static [PlaneLayout] {
    const fn plane(channels: usize, shift: usize, first: usize) -> PlaneLayout {
        PlaneLayout {
            channels,
            shift,
            first,
        }
    }
    const I420: [PlaneLayout; 3] = [plane(1, 0, 0), plane(1, 1, 1), plane(1, 1, 2)];
    const NV12: [PlaneLayout; 2] = [plane(1, 0, 0), plane(2, 1, 1)];
    const RGB: [PlaneLayout; 1] = [plane(3, 0, 0)];
    const RGBA: [PlaneLayout; 1] = [plane(4, 0, 0)];
    match format {
        PixelFormat::I420 => &I420,
        PixelFormat::Nv12 => &NV12,
        PixelFormat::Rgb => &RGB,
        PixelFormat::Rgba => &RGBA,
    }
}

/// What a pixel's three channels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Y', Cb, Cr.
    Yuv {
        /// As in [`Colour::full_range`].
        full_range: bool,
    },
    /// R', G', B'.
    Rgb,
}

/// The space of a frame's samples.
pub(super) fn space(format: PixelFormat, colour: Colour) -> Space {
    match format {
        PixelFormat::I420 | PixelFormat::Nv12 => Space::Yuv {
            full_range: colour.full_range,
        },
        PixelFormat::Rgb | PixelFormat::Rgba => Space::Rgb,
    }
}

/// R'G'B' `rgb` in the samples of a frame, with opaque alpha. Y'CbCr as in ITU-T H.273, equations for
/// matrix coefficients with KR and KB.
pub(super) fn sample_of(rgb: [u8; 3], format: PixelFormat, colour: Colour) -> [u8; 4] {
    let Space::Yuv { full_range } = space(format, colour) else {
        return [rgb[0], rgb[1], rgb[2], 255];
    };
    let (kr, kb) = match colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let [r, g, b] = rgb.map(|v| f32::from(v) / 255.0);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let cb = 0.5 * (b - y) / (1.0 - kb);
    let cr = 0.5 * (r - y) / (1.0 - kr);
    let (y, chroma) = if full_range {
        (255.0 * y, 255.0)
    } else {
        (16.0 + 219.0 * y, 224.0)
    };
    // A float becomes an integer by saturation.
    let [y, cb, cr] = [y, 128.0 + chroma * cb, 128.0 + chroma * cr].map(|v| v.round() as u8);
    [y, cb, cr, 255]
}

/// Some rows of one plane.
#[derive(Debug)]
pub(super) struct PlaneRows<'a> {
    data: &'a mut [u8],
    stride: usize,
    row_bytes: usize,
    first: usize,
    count: usize,
}

impl PlaneRows<'_> {
    /// The rows of this band, counted in the whole plane.
    pub fn rows(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Row `y` of the whole plane, without padding; `y` must be in [`rows`](Self::rows).
    pub fn row(&mut self, y: usize) -> &mut [u8] {
        &mut self.data[(y - self.first) * self.stride..][..self.row_bytes]
    }
}

/// The same rows of all planes of a frame.
#[derive(Debug)]
pub(super) struct Band<'a> {
    /// One for each plane of the format.
    pub planes: Vec<PlaneRows<'a>>,
}

/// Cuts the luma rows `rows` of `frame`, and the chroma rows they touch, into about `count` bands.
pub(super) fn bands<'a>(
    frame: &'a mut FrameMut<'_>,
    rows: Range<usize>,
    count: usize,
) -> Vec<Band<'a>> {
    let format = frame.format();
    let (width, height) = (frame.width(), frame.height());
    let strides = [0, 1, 2].map(|index| frame.stride(index));
    let start = rows.start / 2 * 2;
    let end = rows.end.min(height);
    let each = end
        .saturating_sub(start)
        .div_ceil(count.max(1))
        .next_multiple_of(2);
    let mut bands: Vec<Band<'a>> = (start..end)
        .step_by(each.max(2))
        .map(|_| Band {
            planes: Vec::with_capacity(format.planes()),
        })
        .collect();
    for (index, (plane, layout)) in frame
        .planes_mut()
        .into_iter()
        .zip(planes(format))
        .enumerate()
    {
        let (row_bytes, plane_rows) = format.plane_size(index, width, height);
        let stride = strides[index];
        let mut rest = plane
            .get_mut((start >> layout.shift) * stride..)
            .unwrap_or_default();
        for (number, band) in bands.iter_mut().enumerate() {
            let first = (start + number * each) >> layout.shift;
            let last = (start + (number + 1) * each).min(end);
            let last = last.div_ceil(1 << layout.shift).min(plane_rows);
            let count = last - first;
            // The last row of a plane may lack its padding.
            let (data, after) = rest.split_at_mut((count * stride).min(rest.len()));
            rest = after;
            band.planes.push(PlaneRows {
                data,
                stride,
                row_bytes,
                first,
                count,
            });
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_the_frames_samples() {
        let yuv = |rgb, matrix, full_range| {
            sample_of(rgb, PixelFormat::Nv12, Colour { matrix, full_range })
        };
        assert_eq!(yuv([128; 3], Matrix::Bt709, false), [126, 128, 128, 255]);
        assert_eq!(yuv([128; 3], Matrix::Bt601, true), [128, 128, 128, 255]);
        assert_eq!(yuv([255; 3], Matrix::Bt2020, false), [235, 128, 128, 255]);
        // Known values of 100 % red and blue.
        assert_eq!(yuv([255, 0, 0], Matrix::Bt601, false), [81, 90, 240, 255]);
        assert_eq!(yuv([0, 0, 255], Matrix::Bt709, false), [32, 240, 118, 255]);
        assert_eq!(yuv([255, 0, 0], Matrix::Bt601, true), [76, 85, 255, 255]);
        let rgb = sample_of([1, 2, 3], PixelFormat::Rgb, Colour::default());
        assert_eq!(rgb, [1, 2, 3, 255]);
    }

    #[test]
    fn bands_hold_every_row_once() {
        for height in 1..20 {
            for count in 1..6 {
                for start in 0..height {
                    for end in start..=height {
                        let (mut y, mut uv) =
                            (vec![0u8; 5 * height], vec![0u8; 7 * height.div_ceil(2)]);
                        let (y, uv) = (
                            &mut y[..5 * height - 2],
                            &mut uv[..7 * height.div_ceil(2) - 3],
                        );
                        let mut frame = FrameMut::new(
                            PixelFormat::Nv12,
                            3,
                            height,
                            Colour::default(),
                            vec![y, uv],
                            &[5, 7],
                        )
                        .unwrap();
                        let mut luma = vec![0; height];
                        let mut chroma = vec![0; height.div_ceil(2)];
                        for mut band in bands(&mut frame, start..end, count) {
                            for row in band.planes[0].rows() {
                                assert_eq!(band.planes[0].row(row).len(), 3);
                                luma[row] += 1;
                            }
                            for row in band.planes[1].rows() {
                                assert_eq!(band.planes[1].row(row).len(), 4);
                                chroma[row] += 1;
                            }
                        }
                        assert!(luma.iter().chain(&chroma).all(|&times| times <= 1));
                        if start < end {
                            assert!(luma[start..end].iter().all(|&times| times == 1));
                            assert!(
                                chroma[start / 2..end.div_ceil(2)]
                                    .iter()
                                    .all(|&times| times == 1)
                            );
                        }
                    }
                }
            }
        }
    }
}
