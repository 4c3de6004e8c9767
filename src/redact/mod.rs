//! Making regions of a frame unrecognisable, in place.
//!
//! Invariants:
//! - What is painted inside a mask depends on the original only through [`Cells`]: at most 4 × 4 quantised
//!   means. There is no Gaussian and no mixture with the original inside a mask.
//! - All means of a frame are taken before anything is written.
//! - The mask covers the dilated box, rounded outward in every plane; soft edges lie outside of it.
//! - Where masks overlap the stronger style wins; privacy zones are always filled.
//! - What cannot be redacted is filled whole.
//!
//! Mosaics and blurs of more cells can be read: L. Hill et al., *On the (In)effectiveness of Mosaicing and
//! Blurring as Tools for Document Redaction*, PETS 2016; R. McPherson et al., *Defeating Image Obfuscation
//! with Deep Learning*, 2016.

mod cells;
mod draw;
mod layout;
mod mask;
mod paint;
mod plan;
mod settings;
mod spline;
#[cfg(test)]
mod tests;
mod zone;

use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

pub use cells::Cells;
pub use settings::{ClassSettings, Settings, Shape, Style};
pub use zone::Zone;

use crate::detect::{Class, Detection};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameMut};
use crate::geometry::BBox;
use mask::Mask;
use paint::{Layer, Picture};
use zone::ZoneMask;

/// Pixels of masks below which one thread does the work, 25 faces of 100 pixels. With two idle cores several threads pay
/// from a tenth of it, but next to an encoder that keeps all cores busy, waking them takes 2 to 3 ms, as measured:
/// longer than this many pixels take one thread.
const PARALLEL_FROM: usize = 1_000_000;

/// An area of one frame that must not be recognisable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Where, in the frame's pixels, as detected: the redactor adds the margin.
    pub bbox: BBox,
    /// What, which chooses style, shape and margin.
    pub class: Class,
    /// Cells to use instead of this frame's own: taken once by [`Redactor::sample`] and then kept, so that
    /// many frames of one face hold no more than one frame does. From a frame of the same colour space.
    pub frozen: Option<Cells>,
}

impl Region {
    /// A region that takes its cells from the frame.
    pub fn new(bbox: BBox, class: Class) -> Self {
        Self {
            bbox,
            class,
            frozen: None,
        }
    }
}

impl From<&Detection> for Region {
    fn from(detection: &Detection) -> Self {
        Self::new(detection.bbox, detection.class)
    }
}

/// Redacts frames with fixed settings.
#[derive(Debug)]
pub struct Redactor {
    settings: Settings,
    /// The zones in the size of the latest frame.
    zones: Mutex<Option<Arc<ZoneMask>>>,
}

impl Redactor {
    /// A redactor.
    ///
    /// Errors: [`Error::Setting`] when a setting is out of its range, or weaker than was accepted
    /// ([`Settings::check_strength`]).
    pub fn new(settings: Settings) -> Result<Self> {
        settings.validate()?;
        settings.check_strength()?;
        Ok(Self {
            settings,
            zones: Mutex::new(None),
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// True when every frame has something to redact, detections or not.
    pub fn has_zones(&self) -> bool {
        !self.settings.zones.is_empty()
    }

    /// Redacts `regions` and the privacy zones of `frame`. A region that lies wholly outside the frame is
    /// ignored.
    ///
    /// Errors: [`Error::Detection`] when a region's box is not valid or its frozen cells are of another
    /// colour space; the whole frame is then filled.
    pub fn redact(&self, frame: &mut FrameMut<'_>, regions: &[Region]) -> Result<()> {
        let bands = rayon::current_num_threads();
        self.redact_with(frame, regions, bands, PARALLEL_FROM)
    }

    /// As [`redact`](Self::redact), in `bands` bands from `parallel_from` pixels of masks on.
    fn redact_with(
        &self,
        frame: &mut FrameMut<'_>,
        regions: &[Region],
        bands: usize,
        parallel_from: usize,
    ) -> Result<()> {
        let work = match self.masks(&frame.as_frame(), regions) {
            Ok(work) => work,
            Err(error) => {
                self.fill(frame);
                return Err(error);
            }
        };
        let zones = self.zone_mask(frame.width(), frame.height());
        if work.is_empty() && zones.is_none() {
            return Ok(());
        }
        let pixels: usize = work
            .iter()
            .map(|(mask, _)| mask.bounds().width() * mask.bounds().height())
            .sum();
        let parallel = bands > 1 && pixels >= parallel_from;

        let original = frame.as_frame();
        let layer = |(mask, region): (Mask, &Region)| self.layer(&original, mask, region);
        let mut layers: Vec<Layer> = if parallel {
            work.into_par_iter().map(layer).collect()
        } else {
            work.into_iter().map(layer).collect()
        };
        layers.sort_by_key(|layer| layer.style);

        let rows = match &zones {
            Some(_) => 0..frame.height(),
            None => {
                let tops = layers.iter().map(|layer| layer.bounds.y1);
                let ends = layers.iter().map(|layer| layer.bounds.y2);
                tops.min().unwrap_or(0)..ends.max().unwrap_or(0)
            }
        };
        let fill = self.fill_rows(&original);
        let picture = Picture {
            planes: layout::planes(frame.format()),
            layers: &layers,
            zones: zones.as_deref(),
            fill: &fill,
        };
        // More bands than threads, since faces are seldom spread evenly over the rows.
        let count = if parallel { bands * 4 } else { 1 };
        let mut bands = layout::bands(frame, rows, count);
        if parallel {
            bands.par_iter_mut().for_each(|band| picture.paint(band));
        } else {
            bands.iter_mut().for_each(|band| picture.paint(band));
        }
        Ok(())
    }

    /// The cells of `region` in `frame`, to be kept in [`Region::frozen`]; None when no part of its mask is
    /// inside the frame.
    ///
    /// Errors: [`Error::Detection`] when its box is not valid.
    pub fn sample(&self, frame: &Frame<'_>, region: &Region) -> Result<Option<Cells>> {
        let mask = self.mask(frame, region)?;
        Ok(mask.map(|mask| self.cells(frame, &mask)))
    }

    /// Fills the whole frame with the fill colour; alpha becomes opaque.
    pub fn fill(&self, frame: &mut FrameMut<'_>) {
        let fill = self.fill_rows(&frame.as_frame());
        for mut band in layout::bands(frame, 0..frame.height(), 1) {
            for (plane, fill) in band.planes.iter_mut().zip(&fill) {
                for y in plane.rows() {
                    plane.row(y).copy_from_slice(fill);
                }
            }
        }
    }

    /// Draws the outlines of `regions`, for tuning: the box as detected thick, the box with its margin
    /// thin, and the label of each region, if there is one, in it or, where another label is there, beside it: digits and
    /// small letters. To be called after [`redact`](Self::redact); regions without a valid box are skipped, and labels for
    /// which there is no room.
    pub fn draw(&self, frame: &mut FrameMut<'_>, regions: &[Region], labels: &[String]) {
        let (width, height) = (frame.width(), frame.height());
        let thin = (width.max(height) / 1000).max(1);
        let labels = labels
            .iter()
            .map(String::as_str)
            .chain(std::iter::repeat(""));
        let labelled = regions.iter().zip(labels);
        let valid = labelled.filter(|(region, _)| region.bbox.is_valid());
        for (region, _) in valid.clone() {
            let margin = self.settings.class(region.class).margin;
            let boxes = [(region.bbox.dilate(margin), thin), (region.bbox, 2 * thin)];
            for (bbox, thickness) in boxes {
                if let Some(area) = bbox.outward(width, height) {
                    draw::outline(frame, area, thickness, region.class);
                }
            }
        }
        // Last, so that no outline runs through them.
        let mut written = Vec::new();
        for (region, label) in valid {
            if let Some(area) = region.bbox.outward(width, height) {
                draw::label(frame, area, 2 * thin, region.class, label, &mut written);
            }
        }
    }

    /// The masks of all regions that reach into the frame.
    fn masks<'a>(
        &self,
        frame: &Frame<'_>,
        regions: &'a [Region],
    ) -> Result<Vec<(Mask, &'a Region)>> {
        let mut masks = Vec::with_capacity(regions.len());
        for region in regions {
            let space = layout::space(frame.format(), frame.colour());
            if region.frozen.is_some_and(|cells| cells.space() != space) {
                return Err(Error::Detection(format!(
                    "the frozen cells of {region:?} are not of the frame's colour space"
                )));
            }
            if let Some(mask) = self.mask(frame, region)? {
                masks.push((mask, region));
            }
        }
        Ok(masks)
    }

    fn mask(&self, frame: &Frame<'_>, region: &Region) -> Result<Option<Mask>> {
        let class = self.settings.class(region.class);
        let dilated = region.bbox.dilate(class.margin);
        if !region.bbox.is_valid() || !dilated.is_valid() {
            return Err(Error::Detection(format!(
                "the box of a {} is not valid: {:?}",
                region.class, region.bbox
            )));
        }
        Ok(Mask::new(
            &dilated,
            class.shape,
            frame.width(),
            frame.height(),
        ))
    }

    fn cells(&self, frame: &Frame<'_>, mask: &Mask) -> Cells {
        let Settings { cells, levels, .. } = self.settings;
        Cells::sample_inside(frame, mask.bounds(), cells, levels)
    }

    fn layer(&self, frame: &Frame<'_>, mask: Mask, region: &Region) -> Layer {
        let style = self.settings.class(region.class).style;
        let feather = match style {
            Style::Blur => mask.feather(self.settings.feather, frame.width(), frame.height()),
            Style::Mosaic | Style::Fill => None,
        };
        let cells = match style {
            Style::Blur | Style::Mosaic => {
                Some(region.frozen.unwrap_or_else(|| self.cells(frame, &mask)))
            }
            Style::Fill => None,
        };
        let planes = layout::planes(frame.format());
        Layer::new(&mask, feather.as_ref(), style, cells.as_ref(), planes)
    }

    /// One row of the fill colour for each plane.
    fn fill_rows(&self, frame: &Frame<'_>) -> Vec<Vec<u8>> {
        let format = frame.format();
        let sample = layout::sample_of(self.settings.fill_colour, format, frame.colour());
        let row = |(index, layout): (usize, &layout::PlaneLayout)| {
            let (bytes, _) = format.plane_size(index, frame.width(), frame.height());
            let value = &sample[layout.first..layout.first + layout.channels];
            value.iter().copied().cycle().take(bytes).collect()
        };
        layout::planes(format).iter().enumerate().map(row).collect()
    }

    fn zone_mask(&self, width: usize, height: usize) -> Option<Arc<ZoneMask>> {
        if !self.has_zones() {
            return None;
        }
        // A mask is stored whole, so a thread that panicked has left no half of one.
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        match &*zones {
            Some(mask) if mask.size() == (width, height) => Some(Arc::clone(mask)),
            _ => {
                let mask = Arc::new(ZoneMask::new(&self.settings.zones, width, height));
                *zones = Some(Arc::clone(&mask));
                Some(mask)
            }
        }
    }
}
