//! JPEG, PNG and WebP pictures: one in, the same one redacted out.
//!
//! Invariants: the output holds pixels and nothing else, since it is written from pixels by the encoder: no
//! EXIF, XMP, ICC profile, comment, thumbnail or trailing bytes can come along. Nothing is hidden under
//! transparency. Only redacted pixels reach the disk, and the output appears when it is complete; after
//! an error there is none.

mod codec;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::detect::{Certainty, Class, Detection, Detector, StageTimes};
use crate::error::{Error, Result};
use crate::frame::{Colour, Frame, FrameMut, PixelFormat};
use crate::media::partial::{PartialFile, refuse_same};
use crate::redact::{Redactor, Region};
pub use codec::PictureFormat;
use codec::Pixels;

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// Two detections of one class that overlap by more than this IoU are of one region.
const SAME_REGION: f32 = 0.5;

/// How a picture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureOptions {
    /// Quality of JPEG output, 1 to 100. PNG and WebP are written without loss.
    pub quality: u8,
    /// Draw the outlines of the regions over the redacted picture, for tuning.
    pub draw: bool,
    /// Replace an existing output.
    pub overwrite: bool,
    /// Fail when the file ends early, instead of leaving the missing part grey.
    pub strict: bool,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            quality: 90,
            draw: false,
            overwrite: false,
            strict: false,
        }
    }
}

impl PictureOptions {
    /// Checks that every number is in its range.
    ///
    /// Errors: [`Error::Setting`].
    pub fn validate(&self) -> Result<()> {
        if (1..=100).contains(&self.quality) {
            Ok(())
        } else {
            Err(Error::setting("quality", self.quality, "from 1 to 100"))
        }
    }
}

/// What was done to a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureReport {
    /// Width in pixels, as displayed: after the orientation in the EXIF data was applied.
    pub width: usize,
    /// Height in pixels, as displayed.
    pub height: usize,
    /// What was redacted, in the pixels of the output.
    pub detections: Vec<Detection>,
    /// True when the file ended early: the missing part of the picture is grey.
    pub truncated: bool,
    /// Time spent on decoding.
    pub decode: Duration,
    /// Time spent on detection, by step.
    pub detect: StageTimes,
    /// Time spent on redaction.
    pub redact: Duration,
    /// Time spent on encoding and writing.
    pub encode: Duration,
}

impl PictureReport {
    /// Number of regions of `class`.
    pub fn count(&self, class: Class) -> usize {
        self.detections
            .iter()
            .filter(|found| found.class == class)
            .count()
    }
}

/// Redacts the picture `input` into the new file `output`, whose format its name tells. The orientation given in
/// EXIF data is applied; the output has 8 bits per channel; transparency is kept where the format has it and
/// laid over white in JPEG.
///
/// Errors: [`Error::Io`] when a file cannot be read or written, or the output exists and is not to be
/// overwritten; [`Error::Media`] when the input is no picture of a known format, is damaged, animated or too large, when
/// input and output are the same file, or when the output's name tells no format; [`Error::Setting`] from
/// the options; and whatever `detector` returns. In each case there is no output.
pub fn redact_picture(
    input: &Path,
    output: &Path,
    detector: &mut dyn Detector,
    redactor: &Redactor,
    options: &PictureOptions,
) -> Result<PictureReport> {
    options.validate()?;
    let format = PictureFormat::of_name(output).ok_or_else(|| {
        let name = output.display().to_string();
        Error::media(
            name,
            "the name of a picture must end in .jpg, .jpeg, .png or .webp",
        )
    })?;
    refuse_same(input, output)?;
    let data = read(input)?;
    let truncated = codec::is_truncated(&data);
    if truncated && options.strict {
        return Err(Error::media(
            input.display().to_string(),
            "the file is cut off, and no output is kept in strict mode; get a whole copy",
        ));
    }
    let partial = PartialFile::create(output, options.overwrite)?;

    let start = Instant::now();
    let mut pixels = codec::decode(input, &data)?;
    let decode = start.elapsed();

    let (detections, detect) = detect(&pixels, detector)?;
    let regions: Vec<Region> = detections.iter().map(Region::from).collect();
    let start = Instant::now();
    let mut frame = pixels.frame_mut()?;
    redactor.redact(&mut frame, &regions)?;
    if options.draw {
        redactor.draw(&mut frame, &regions, &[]);
    }
    let redact = start.elapsed();

    let start = Instant::now();
    let encoded = codec::encode(output, &pixels, format, options.quality)?;
    fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(partial.path())
        .and_then(|mut file| file.write_all(&encoded))
        .map_err(|source| Error::io(partial.path(), "writing", source))?;
    partial.finish()?;
    Ok(PictureReport {
        width: pixels.width,
        height: pixels.height,
        detections,
        truncated,
        decode,
        detect,
        redact,
        encode: start.elapsed(),
    })
}

/// What `detector` finds in the picture `path`: width and height, the luma of its pixels in rows, and the detections.
///
/// Errors: those of [`redact_picture`] that concern reading and detecting.
pub(crate) fn look(
    path: &Path,
    detector: &mut dyn Detector,
) -> Result<(usize, usize, Vec<u8>, Vec<Detection>)> {
    let pixels = codec::decode(path, &read(path)?)?;
    let (detections, _) = detect(&pixels, detector)?;
    // BT.601's weights in 256ths.
    let luma = pixels.data.chunks_exact(pixels.channels()).map(|pixel| {
        let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
        ((77 * red + 150 * green + 29 * blue) >> 8) as u8
    });
    Ok((pixels.width, pixels.height, luma.collect(), detections))
}

/// Reads the picture `input`, upright, and has `look` look at it. Nothing is written.
///
/// Errors: those of [`redact_picture`] that concern reading, and whatever `look` returns.
pub fn look_at<T>(input: &Path, look: impl FnOnce(&Frame<'_>) -> Result<T>) -> Result<T> {
    let pixels = codec::decode(input, &read(input)?)?;
    look(&pixels.frame()?)
}

/// What would be redacted in the picture `input`, and its width and height in pixels. Nothing is written.
///
/// Errors: those of [`redact_picture`] that concern reading and detecting.
pub fn find_in_picture(
    input: &Path,
    detector: &mut dyn Detector,
) -> Result<(Vec<Detection>, (usize, usize))> {
    let pixels = codec::decode(input, &read(input)?)?;
    let (found, _) = detect(&pixels, detector)?;
    Ok((found, (pixels.width, pixels.height)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let error = |source| Error::io(path, "reading", source);
    let length = fs::metadata(path).map_err(error)?.len();
    if length > MAX_FILE {
        let problem =
            format!("{length} bytes are too many for a picture; at most {MAX_FILE} are read");
        return Err(Error::media(path.display().to_string(), problem));
    }
    fs::read(path).map_err(error)
}

/// What `detector` finds. A picture that is not opaque looks different on different backgrounds, and a face may show on
/// one only: it is looked at as it is stored, over black and over white.
fn detect(pixels: &Pixels, detector: &mut dyn Detector) -> Result<(Vec<Detection>, StageTimes)> {
    let (mut detections, mut times) = detector.detect(&pixels.frame()?)?;
    // The others need a track.
    let sure = |found: &Detection| found.certainty == Certainty::Confident;
    detections.retain(sure);
    if pixels.is_opaque() {
        return Ok((detections, times));
    }
    for backdrop in [0, 255] {
        let flat = pixels.over(backdrop);
        let (found, more) = detector.detect(&flat.frame()?)?;
        times.letterbox += more.letterbox;
        times.inference += more.inference;
        times.decode += more.decode;
        for detection in found.into_iter().filter(sure) {
            unite(&mut detections, detection);
        }
    }
    Ok((detections, times))
}

/// Adds a detection, or makes the box of one that is of the same region cover both.
fn unite(detections: &mut Vec<Detection>, new: Detection) {
    let same = detections
        .iter_mut()
        .find(|old| old.class == new.class && old.bbox.iou(&new.bbox) > SAME_REGION);
    match same {
        Some(old) => {
            old.bbox.x1 = old.bbox.x1.min(new.bbox.x1);
            old.bbox.y1 = old.bbox.y1.min(new.bbox.y1);
            old.bbox.x2 = old.bbox.x2.max(new.bbox.x2);
            old.bbox.y2 = old.bbox.y2.max(new.bbox.y2);
            old.confidence = old.confidence.max(new.confidence);
        }
        None => detections.push(new),
    }
}

impl Pixels {
    fn format(&self) -> PixelFormat {
        if self.alpha {
            PixelFormat::Rgba
        } else {
            PixelFormat::Rgb
        }
    }

    fn frame(&self) -> Result<Frame<'_>> {
        let stride = self.width * self.channels();
        let colour = Colour::default();
        Frame::new(
            self.format(),
            self.width,
            self.height,
            colour,
            &[&self.data],
            &[stride],
        )
    }

    fn frame_mut(&mut self) -> Result<FrameMut<'_>> {
        let (format, stride) = (self.format(), self.width * self.channels());
        let planes = vec![self.data.as_mut_slice()];
        FrameMut::new(
            format,
            self.width,
            self.height,
            Colour::default(),
            planes,
            &[stride],
        )
    }
}
