//! Pictures of the worst leaks, for those who may see them.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use floutage::evaluate::{BoxResult, Evaluation};
use floutage::frame::{Frame, Matrix, PixelFormat};
use floutage::geometry::{BBox, PixelBox};
use floutage::media::frames::Frames;
use floutage::media::picture::look_at;
use image::imageops::FilterType;
use image::{ImageFormat, RgbImage};

use super::STOP;
use super::subject::{Kind, Subject};

/// Said before such pictures are written, and on top of the report.
pub const WARNING: &str = "warning: this report shows faces and plates that were not redacted. It is personal data: keep it to \
                           yourself, and delete it when you have looked at it.";

/// Most pictures.
const MOST: usize = 24;
/// By how much more than the box is shown.
const AROUND: f32 = 1.0;
/// Height of each picture in the report, in pixels.
const HEIGHT: u32 = 160;
const WIDEST: u32 = 480;

/// One leak.
pub struct Crop {
    /// The picture as a data URL.
    pub data: String,
    pub width: u32,
    pub height: u32,
    /// Where the box of the truth is in it: left, top, width, height.
    pub place: [f32; 4],
    pub caption: String,
}

/// One box of each track that leaks, in the middle of its longest exposed run, the longest runs first; as `other` shows it, or else
/// the subject.
pub fn worst(
    subject: &Subject,
    evaluation: &Evaluation,
    other: Option<&Path>,
) -> Result<Vec<Crop>> {
    let mut tracks = evaluation.tracks();
    tracks.retain(|track| track.leaks > 0);
    tracks.sort_by_key(|track| std::cmp::Reverse((track.longest_run.1, track.leaks)));
    tracks.truncate(MOST);
    // By frame, with the place among the crops.
    let mut wanted: BTreeMap<usize, Vec<(usize, BoxResult, String)>> = BTreeMap::new();
    for (rank, track) in tracks.iter().enumerate() {
        let (from, length) = track.longest_run;
        let frame = from + length as usize / 2;
        let found = evaluation
            .boxes
            .iter()
            .find(|it| it.frame == frame && it.track == track.track && it.class == track.class);
        let Some(found) = found else { continue };
        let caption = format!(
            "{} {}, frame {}: {:.0} % covered; {length} frames in a row from {}",
            track.class,
            track.track,
            frame + 1,
            found.covered * 100.0,
            from + 1
        );
        wanted
            .entry(frame)
            .or_default()
            .push((rank, *found, caption));
    }
    let mut crops = match &subject.kind {
        Kind::Video(_) => of_video(other.unwrap_or(&subject.input), wanted)?,
        Kind::Pictures(all) => {
            let folder = other.unwrap_or(&subject.input);
            let mut crops = Vec::new();
            for (index, boxes) in wanted {
                let file = &all.pictures[index].file;
                for (rank, found, _) in boxes {
                    let percent = found.covered * 100.0;
                    let caption = format!(
                        "{} in {}: {percent:.0} % covered",
                        found.class,
                        file.display()
                    );
                    let cut = look_at(&folder.join(file), |frame| Ok(cut(frame, &found.bbox)))?;
                    crops.extend(crop(cut, caption)?.map(|crop| (rank, crop)));
                }
            }
            crops
        }
    };
    crops.sort_by_key(|(rank, _)| *rank);
    Ok(crops.into_iter().map(|(_, crop)| crop).collect())
}

fn of_video(
    clip: &Path,
    wanted: BTreeMap<usize, Vec<(usize, BoxResult, String)>>,
) -> Result<Vec<(usize, Crop)>> {
    let mut crops = Vec::new();
    let Some(last) = wanted.keys().max().copied() else {
        return Ok(crops);
    };
    let next = AtomicUsize::new(0);
    let frames = Frames::of(clip, &STOP, move |frame| {
        let boxes = wanted.get(&next.fetch_add(1, Ordering::Relaxed));
        let boxes = boxes.map(Vec::as_slice).unwrap_or_default().iter();
        let cuts = boxes.map(|(rank, found, text)| (*rank, cut(frame, &found.bbox), text.clone()));
        cuts.collect::<Vec<_>>()
    })?;
    for cuts in frames.take(last + 1) {
        for (rank, cut, caption) in cuts? {
            crops.extend(crop(cut, caption)?.map(|crop| (rank, crop)));
        }
    }
    Ok(crops)
}

/// The part of `frame` about `bbox`, and where the box is in it; None when it lies outside.
fn cut(frame: &Frame<'_>, bbox: &BBox) -> Option<(RgbImage, BBox)> {
    let side = bbox.width().max(bbox.height()) * AROUND;
    let around = BBox::new(
        bbox.x1 - side * 0.5,
        bbox.y1 - side * 0.5,
        bbox.x2 + side * 0.5,
        bbox.y2 + side * 0.5,
    );
    let area = around.outward(frame.width(), frame.height())?;
    let inside = bbox.scale_translate(1.0, 1.0, -(area.x1 as f32), -(area.y1 as f32));
    Some((rgb(frame, area), inside))
}

fn rgb(frame: &Frame<'_>, area: PixelBox) -> RgbImage {
    RgbImage::from_fn(area.width() as u32, area.height() as u32, |x, y| {
        let (x, y) = (area.x1 + x as usize, area.y1 + y as usize);
        let chroma = |plane: usize, at: usize| f32::from(frame.row(plane, y / 2)[at]) - 128.0;
        let packed = |channels: usize| {
            let pixel = &frame.row(0, y)[x * channels..][..3];
            image::Rgb([pixel[0], pixel[1], pixel[2]])
        };
        let (u, v) = match frame.format() {
            PixelFormat::Rgb => return packed(3),
            PixelFormat::Rgba => return packed(4),
            PixelFormat::I420 => (chroma(1, x / 2), chroma(2, x / 2)),
            PixelFormat::Nv12 => (chroma(1, x / 2 * 2), chroma(1, x / 2 * 2 + 1)),
        };
        let luma = f32::from(frame.row(0, y)[x]);
        let (luma, scale) = if frame.colour().full_range {
            (luma, 1.0)
        } else {
            ((luma - 16.0) * 255.0 / 219.0, 255.0 / 224.0)
        };
        let (red, blue) = match frame.colour().matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
        };
        let r = luma + 2.0 * (1.0 - red) * v * scale;
        let b = luma + 2.0 * (1.0 - blue) * u * scale;
        let g = (luma - red * r - blue * b) / (1.0 - red - blue);
        image::Rgb([r, g, b].map(|value| value.round().clamp(0.0, 255.0) as u8))
    })
}

fn crop(cut: Option<(RgbImage, BBox)>, caption: String) -> Result<Option<Crop>> {
    let Some((picture, bbox)) = cut else {
        return Ok(None);
    };
    let (from_width, from_height) = (picture.width() as f32, picture.height() as f32);
    let scale = (HEIGHT as f32 / from_height).min(WIDEST as f32 / from_width);
    let side = |from: f32| ((from * scale).round() as u32).max(1);
    let (width, height) = (side(from_width), side(from_height));
    let picture = image::imageops::resize(&picture, width, height, FilterType::Triangle);
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .context("a picture of a leak cannot be encoded")?;
    Ok(Some(Crop {
        data: format!(
            "data:image/png;base64,{}",
            STANDARD.encode(png.into_inner())
        ),
        width,
        height,
        place: [bbox.x1, bbox.y1, bbox.width(), bbox.height()].map(|value| value * scale),
        caption,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use floutage::frame::Colour;

    #[test]
    fn colours_are_those_of_the_frame() {
        // Red in BT.601, limited range.
        let (y, u, v) = ([81u8; 16], [90u8; 4], [240u8; 4]);
        let frame = Frame::new(
            PixelFormat::I420,
            4,
            4,
            Colour::default(),
            &[&y, &u, &v],
            &[4, 2, 2],
        )
        .unwrap();
        let (picture, place) = cut(&frame, &BBox::new(1.0, 1.0, 3.0, 3.0)).unwrap();
        assert_eq!((picture.width(), picture.height()), (4, 4));
        assert_eq!(place, BBox::new(1.0, 1.0, 3.0, 3.0));
        let [r, g, b] = picture.get_pixel(2, 2).0;
        assert!(r > 250 && g < 5 && b < 5, "{r} {g} {b}");
        assert!(cut(&frame, &BBox::new(9.0, 9.0, 10.0, 10.0)).is_none());
    }
}
