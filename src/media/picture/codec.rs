//! From the bytes of a picture file to pixels and back.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::{jpeg, png, webp};
use image::metadata::Orientation;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageError, ImageFormat, Limits,
};

use crate::error::{Error, Result};

/// Largest picture in memory as decoded, in bytes: 350 million pixels of 8-bit RGB. A file of some
/// kilobytes can claim to be far more.
const MAX_DECODED: u64 = 1 << 30;

/// Formats of pictures that are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureFormat {
    /// JPEG, written with a quality.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, written without loss.
    WebP,
}

impl PictureFormat {
    /// The format that a file's name tells by its end, in any case; None for other files.
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// The format that a file's first bytes tell.
    fn of_content(data: &[u8]) -> Option<Self> {
        match image::guess_format(data).ok()? {
            ImageFormat::Jpeg => Some(Self::Jpeg),
            ImageFormat::Png => Some(Self::Png),
            ImageFormat::WebP => Some(Self::WebP),
            _ => None,
        }
    }
}

/// A picture in memory: rows of R, G, B or R, G, B, A without padding, as displayed.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    pub width: usize,
    pub height: usize,
    pub alpha: bool,
    pub data: Vec<u8>,
}

impl Pixels {
    /// Bytes of one pixel.
    pub fn channels(&self) -> usize {
        if self.alpha { 4 } else { 3 }
    }

    /// True when nothing shows through.
    pub fn is_opaque(&self) -> bool {
        !self.alpha || self.data.chunks_exact(4).all(|pixel| pixel[3] == 255)
    }

    /// The picture laid over a grey of `backdrop`, without alpha.
    pub fn over(&self, backdrop: u8) -> Self {
        if !self.alpha {
            return self.clone();
        }
        let mix = |value: u8, alpha: u8| {
            let (alpha, backdrop) = (u32::from(alpha), u32::from(backdrop));
            // At most 255.
            ((u32::from(value) * alpha + backdrop * (255 - alpha) + 127) / 255) as u8
        };
        let pixels = self.data.chunks_exact(4);
        let data = pixels.flat_map(|pixel| [0, 1, 2].map(|channel| mix(pixel[channel], pixel[3])));
        Self {
            alpha: false,
            data: data.collect(),
            ..*self
        }
    }
}

/// The pixels of the picture in `data`, which was read from `path`.
///
/// Errors: [`Error::Media`].
pub(super) fn decode(path: &Path, data: &[u8]) -> Result<Pixels> {
    let error = |problem: String| Error::media(path.display().to_string(), problem);
    if data.is_empty() {
        return Err(error("the file is empty".into()));
    }
    let format = PictureFormat::of_content(data)
        .ok_or_else(|| error("this is no JPEG, PNG or WebP picture".into()))?;
    // The decoders are other people's code that reads what anybody may have made.
    let image = catch_unwind(AssertUnwindSafe(|| read(format, data)))
        .map_err(|_| error("the decoder failed: the picture is damaged".into()))?
        .map_err(|problem| error(problem.to_string()))?;
    Ok(pixels(image))
}

/// True for a JPEG file that ends before its end marker: the decoder makes the rest grey.
pub(super) fn is_truncated(data: &[u8]) -> bool {
    if PictureFormat::of_content(data) != Some(PictureFormat::Jpeg) {
        return false;
    }
    let mut rest = data;
    loop {
        // The next marker; in a scan FF00 is a byte of data and FFD0 to FFD7 do not end it.
        let Some(at) = rest
            .windows(2)
            .position(|pair| pair[0] == 0xFF && !matches!(pair[1], 0 | 0xFF | 0xD0..=0xD7))
        else {
            return true;
        };
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match (marker, rest) {
            (0xD9, _) => return false,
            (0xD8 | 0x01, _) => {}
            // Everything else has a length, which counts itself.
            (_, [high, low, ..]) => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(length..).unwrap_or_default();
            }
            _ => return true,
        }
    }
}

/// Why a picture cannot be read.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("animated pictures are not supported; convert it to a video first")]
    Animated,
    #[error("{0}x{1} pixels are too many to decode")]
    TooLarge(u32, u32),
    #[error("the picture cannot be decoded: {0}")]
    Image(#[from] ImageError),
}

fn read(format: PictureFormat, data: &[u8]) -> Result<DynamicImage, Problem> {
    let source = Cursor::new(data);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    match format {
        PictureFormat::Jpeg => turned(jpeg::JpegDecoder::new(source)?, limits),
        PictureFormat::Png => {
            let decoder = png::PngDecoder::with_limits(source, limits.clone())?;
            if decoder.is_apng()? {
                return Err(Problem::Animated);
            }
            turned(decoder, limits)
        }
        PictureFormat::WebP => {
            let decoder = webp::WebPDecoder::new(source)?;
            if decoder.has_animation() {
                return Err(Problem::Animated);
            }
            turned(decoder, limits)
        }
    }
}

/// Decodes within limits and turns the picture as its EXIF data says.
fn turned(mut decoder: impl ImageDecoder, limits: Limits) -> Result<DynamicImage, Problem> {
    if decoder.total_bytes() > MAX_DECODED {
        let (width, height) = decoder.dimensions();
        return Err(Problem::TooLarge(width, height));
    }
    decoder.set_limits(limits)?;
    // Metadata that cannot be read tells no orientation. Some writers put JPEG's marker before it.
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif.as_deref().and_then(|exif| {
        Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
    });
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// 8-bit pixels. What is fully transparent becomes black, lest a picture be hidden there.
fn pixels(image: DynamicImage) -> Pixels {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let alpha = image.color().has_alpha();
    let data = if alpha {
        let mut data = image.into_rgba8().into_raw();
        for pixel in data.chunks_exact_mut(4).filter(|pixel| pixel[3] == 0) {
            pixel.fill(0);
        }
        data
    } else {
        image.into_rgb8().into_raw()
    };
    Pixels {
        width,
        height,
        alpha,
        data,
    }
}

/// The bytes of a file of `format` with these pixels, to be written to `path`.
///
/// Errors: [`Error::Media`] when the format cannot hold so large a picture.
pub(super) fn encode(
    path: &Path,
    pixels: &Pixels,
    format: PictureFormat,
    quality: u8,
) -> Result<Vec<u8>> {
    let error = |problem: String| Error::media(path.display().to_string(), problem);
    let size = (u32::try_from(pixels.width), u32::try_from(pixels.height));
    let (Ok(width), Ok(height)) = size else {
        return Err(error("the picture is too large".into()));
    };
    let flat;
    let pixels = if format == PictureFormat::Jpeg && pixels.alpha {
        flat = pixels.over(255);
        &flat
    } else {
        pixels
    };
    let colour = if pixels.alpha {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    let mut encoded = Vec::new();
    let data = &pixels.data;
    match format {
        PictureFormat::Jpeg => jpeg::JpegEncoder::new_with_quality(&mut encoded, quality)
            .write_image(data, width, height, colour),
        PictureFormat::Png => {
            png::PngEncoder::new(&mut encoded).write_image(data, width, height, colour)
        }
        PictureFormat::WebP => {
            webp::WebPEncoder::new_lossless(&mut encoded).write_image(data, width, height, colour)
        }
    }
    .map_err(|problem| {
        error(format!(
            "a picture of {width}x{height} pixels cannot be encoded: {problem}"
        ))
    })?;
    Ok(encoded)
}
