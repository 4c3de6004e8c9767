//! Looks for faces and plates once more in what was redacted, and whether what was found in the original has changed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::detect::{Class, Detector, SharedDetector};
use crate::error::{Error, Result};
use crate::evaluate::{self, Altered, Redacted};
use crate::geometry::BBox;
use crate::media::picture::{PictureFormat, look};
use crate::media::pipeline::Tracking;
use crate::media::report::Stop;
use crate::media::watch::{Luma, watch};
use crate::redact::Settings;

/// A region found in the output lies in one that was redacted when this much of it does.
const INSIDE: f64 = 0.7;
/// A region counts as unchanged when the mean difference of its pixels is less than this share of its own contrast:
/// encoding makes a few hundredths of it, redaction a half and more.
const UNCHANGED: f64 = 0.2;
/// Regions of less contrast, in levels of luma, look the same redacted or not.
const FLAT: f64 = 4.0;
/// Pixels along each side of a region that are compared.
const SIDE: usize = 16;
/// Regions that are compared at most: those of every n-th frame of a long file.
const MOST: usize = 100_000;

/// A region found again, or found unchanged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Place {
    /// Frame, from 0.
    pub frame: usize,
    /// What the model takes it for.
    pub class: &'static str,
    /// Left, top, width and height in pixels.
    pub bbox: [f32; 4],
}

/// What was found again.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Residual {
    /// Frames of the output.
    pub frames: usize,
    /// Regions found in the output, summed over all frames.
    pub found: usize,
    /// Frames in which any was.
    pub frames_found: usize,
    /// With an original: frames that it has.
    pub original_frames: Option<usize>,
    /// With an original: regions of the output that lie in none that was redacted.
    pub outside: Option<usize>,
    /// With an original: regions of it that were compared.
    pub compared: Option<usize>,
    /// With an original: of these, those that look as before.
    pub unchanged: Option<usize>,
    /// The first places of both kinds, or without an original of all.
    pub places: Vec<Place>,
}

/// Places that are listed.
const LISTED: usize = 20;

impl Residual {
    /// True when the comparison with an original shows that something is not redacted.
    pub fn is_leak(&self) -> bool {
        self.outside.unwrap_or(0) > 0
            || self.unchanged.unwrap_or(0) > 0
            || self
                .original_frames
                .is_some_and(|frames| frames != self.frames)
    }

    fn list(&mut self, frame: usize, class: Class, bbox: &BBox) {
        if self.places.len() < LISTED {
            self.places.push(Place {
                frame,
                class: class.name(),
                bbox: [bbox.x1, bbox.y1, bbox.width(), bbox.height()],
            });
        }
    }
}

/// How to look.
pub struct Search<'a> {
    /// Finds regions, in both files.
    pub detector: SharedDetector,
    /// How the output was redacted: margins and shapes.
    pub settings: &'a Settings,
    /// How regions were followed.
    pub tracking: Tracking,
    /// Asks to stop.
    pub stop: &'a Stop,
}

type Regions = Vec<(Class, BBox)>;
type Patch = [u8; SIDE * SIDE];

/// Frames of one file: the regions found there, and patches of its picture.
#[derive(Default)]
struct Seen {
    regions: Vec<Regions>,
    patches: Vec<Vec<Patch>>,
}

/// What `luma` shows in `bbox`.
fn patch(luma: &Luma<'_>, bbox: &BBox) -> Patch {
    let at = |index: usize, from: f32, length: f32, end: usize| {
        let place = from + length * (index as f32 + 0.5) / SIDE as f32;
        (place.max(0.0) as usize).min(end.saturating_sub(1))
    };
    let mut patch = [0; SIDE * SIDE];
    for (index, value) in patch.iter_mut().enumerate() {
        let x = at(index % SIDE, bbox.x1, bbox.width(), luma.width);
        let y = at(index / SIDE, bbox.y1, bbox.height(), luma.height);
        *value = luma.data.get(y * luma.stride + x).copied().unwrap_or(0);
    }
    patch
}

/// True when `after` shows what `before` does; None when `before` is flat.
fn is_unchanged(before: &Patch, after: &Patch) -> Option<bool> {
    let count = before.len() as f64;
    let mean = before.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let contrast = before
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / count;
    let contrast = contrast.sqrt();
    let pairs = before.iter().zip(after);
    let difference = pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / count;
    (contrast >= FLAT).then_some(difference < UNCHANGED * contrast)
}

impl Search<'_> {
    /// Looks at `output`, and compares it with `original` if there is one.
    ///
    /// Errors: those of reading, decoding and detecting either file.
    pub fn run(&self, output: &Path, original: Option<&Path>) -> Result<Residual> {
        let before = original
            .map(|original| self.see(original, None))
            .transpose()?;
        let after = self.see(output, before.as_ref().map(|seen| seen.regions.as_slice()))?;
        let mut residual = Residual {
            frames: after.regions.len(),
            found: after.regions.iter().map(Vec::len).sum(),
            frames_found: after
                .regions
                .iter()
                .filter(|regions| !regions.is_empty())
                .count(),
            ..Residual::default()
        };
        let Some(before) = before else {
            for (frame, regions) in after.regions.iter().enumerate() {
                for (class, bbox) in regions {
                    residual.list(frame, *class, bbox);
                }
            }
            return Ok(residual);
        };
        residual.original_frames = Some(before.regions.len());
        let (mut outside, mut compared, mut unchanged) = (0, 0, 0);
        for (frame, regions) in after.regions.iter().enumerate() {
            let redacted = evaluate::Regions {
                areas: before
                    .regions
                    .get(frame)
                    .into_iter()
                    .flatten()
                    .map(|(class, bbox)| self.redacted(*class, bbox))
                    .collect(),
                ..evaluate::Regions::default()
            };
            for (class, bbox) in regions {
                if redacted.share(bbox) < INSIDE {
                    outside += 1;
                    residual.list(frame, *class, bbox);
                }
            }
        }
        for (frame, (old, new)) in before.patches.iter().zip(&after.patches).enumerate() {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                let Some(same) = is_unchanged(old, new) else {
                    continue;
                };
                compared += 1;
                unchanged += usize::from(same);
                if let (true, Some((class, bbox))) = (same, before.regions[frame].get(index)) {
                    residual.list(frame, *class, bbox);
                }
            }
        }
        residual.outside = Some(outside);
        residual.compared = Some(compared);
        residual.unchanged = Some(unchanged);
        Ok(residual)
    }

    /// The area that redaction of `bbox` covers.
    fn redacted(&self, class: Class, bbox: &BBox) -> Redacted {
        let how = self.settings.class(class);
        Redacted {
            bbox: bbox.dilate(how.margin),
            shape: how.shape,
            class,
        }
    }

    /// The regions in `path` frame by frame, and patches at `places`, or where these are not given at the regions.
    fn see(&self, path: &Path, places: Option<&[Regions]>) -> Result<Seen> {
        if PictureFormat::of_name(path).is_some() {
            return self.see_picture(path, places);
        }
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (all, places) = (seen.clone(), places.map(<[Regions]>::to_vec));
        // Every n-th frame, so that a long file does not fill the memory.
        let total: usize = places.iter().flatten().map(Vec::len).sum();
        let every = total / MOST + 1;
        watch(
            path,
            self.detector.clone(),
            self.settings,
            self.tracking,
            self.stop,
            move |regions, luma| {
                let mut seen = all.lock().unwrap_or_else(PoisonError::into_inner);
                let frame = seen.regions.len();
                let regions: Regions = regions
                    .iter()
                    .map(|it| (it.region.class, it.region.bbox))
                    .collect();
                let stored: usize = seen.patches.iter().map(Vec::len).sum();
                let here = match &places {
                    Some(places) => places.get(frame).map_or(&[][..], Vec::as_slice),
                    None => regions.as_slice(),
                };
                let room = stored < MOST && frame.is_multiple_of(every);
                let patches = if room {
                    here.iter().map(|(_, bbox)| patch(luma, bbox)).collect()
                } else {
                    Vec::new()
                };
                seen.patches.push(patches);
                seen.regions.push(regions);
            },
        )?;
        Ok(std::mem::take(
            &mut *seen.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    fn see_picture(&self, path: &Path, places: Option<&[Regions]>) -> Result<Seen> {
        let mut detector = self.detector.lock().unwrap_or_else(PoisonError::into_inner);
        let detector: &mut dyn Detector = &mut *detector;
        let (width, height, luma, detections) = look(path, detector)?;
        let regions: Regions = detections
            .iter()
            .map(|found| (found.class, found.bbox))
            .collect();
        let luma = &Luma {
            data: &luma,
            stride: width,
            width,
            height,
        };
        let here = match places {
            Some([places]) => places,
            Some(_) => {
                let problem = "it is a picture and the original is none; compare it with the picture it was made of";
                return Err(Error::media(path.display().to_string(), problem));
            }
            None => &regions,
        };
        let patches = here.iter().map(|(_, bbox)| patch(luma, bbox)).collect();
        Ok(Seen {
            patches: vec![patches],
            regions: vec![regions],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coding_is_no_change_and_redaction_is() {
        let stripes: Patch = std::array::from_fn(|index| if index % 4 < 2 { 60 } else { 160 });
        let coded = stripes.map(|value| value + 3);
        let flat = [110; SIDE * SIDE];
        assert_eq!(is_unchanged(&stripes, &coded), Some(true));
        assert_eq!(is_unchanged(&stripes, &flat), Some(false));
        assert_eq!(is_unchanged(&flat, &flat), None);
    }
}
