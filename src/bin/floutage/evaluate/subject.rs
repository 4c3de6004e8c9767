//! What is measured: a video or a folder of pictures, with its truth, and what a run finds in it.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use floutage::detect::{Certainty, Class, Detection, SharedDetector};
use floutage::evaluate::{Evaluation, Pictures, Redacted, Regions, Seen, Truth, TruthBox};
use floutage::geometry::BBox;
use floutage::gst::meta::MarkedRegion;
use floutage::media::picture::find_in_picture;
use floutage::media::pipeline::Tracking;
use floutage::media::regions::{Found, find_regions};
use floutage::redact::{Region, Settings};

use super::STOP;
use crate::redact::plan;
use crate::say;

/// What is measured.
pub struct Subject {
    /// The clip or folder.
    pub input: PathBuf,
    /// The file with the truth.
    pub truth_file: PathBuf,
    pub kind: Kind,
}

pub enum Kind {
    Video(Truth),
    Pictures(Pictures),
}

/// What was found in each frame, and its width and height.
pub type Findings = Vec<(Found, (usize, usize))>;

impl Subject {
    /// Reads the truth of `input`.
    pub fn read(input: &Path, truth: &Path, class: Option<Class>) -> Result<Self> {
        let kind = if input.is_dir() {
            let pictures = Pictures::read(truth, class)?;
            if let Some(file) = pictures.repeated() {
                bail!("{}: {} is in it twice", truth.display(), file.display());
            }
            Kind::Pictures(pictures)
        } else if input.is_file() {
            if plan::kind(input)? == plan::Kind::Picture {
                bail!(
                    "{}: it is one picture; name its folder, and a truth in COCO's JSON",
                    input.display()
                );
            }
            Kind::Video(Truth::read_as(truth, class)?)
        } else {
            bail!("{}: there is no such file or folder", input.display());
        };
        Ok(Self {
            input: input.to_owned(),
            truth_file: truth.to_owned(),
            kind,
        })
    }

    /// An evaluation without frames.
    pub fn evaluation(&self) -> Evaluation {
        Evaluation {
            pictures: matches!(self.kind, Kind::Pictures(_)),
            ..Evaluation::default()
        }
    }

    /// The truth of frame or picture `index`.
    pub fn truth(&self, index: usize) -> &[TruthBox] {
        match &self.kind {
            Kind::Video(truth) => truth.frame(index),
            Kind::Pictures(pictures) => pictures.truth.frame(index),
        }
    }

    /// Refuses a truth of which all boxes lie outside the picture, and says when some do, or when there are none.
    pub fn check_boxes(&self, evaluation: &Evaluation) -> Result<()> {
        let (inside, beyond) = (evaluation.boxes.len(), evaluation.beyond);
        let truth = self.truth_file.display();
        if beyond > 0 && inside == 0 {
            bail!("{truth}: every box lies outside the picture; is it of a clip of another size?");
        }
        if beyond > 0 {
            say::err(&format!(
                "warning: {truth}: {beyond} of {} boxes lie outside the picture, and are left out; is it of a clip of another size?",
                inside as u64 + beyond
            ));
        } else if inside == 0 {
            say::err(&format!(
                "warning: {truth}: there is no face or plate in it that counts; only what is redacted without need is measured"
            ));
        }
        Ok(())
    }

    /// Refuses a truth that goes on after the last of `frames`: it is of another clip.
    pub fn check_length(&self, frames: usize) -> Result<()> {
        match &self.kind {
            Kind::Video(truth) => self.check(&self.truth_file, truth.frames(), frames),
            Kind::Pictures(_) => Ok(()),
        }
    }

    /// Likewise for a `file` that goes up to frame `last`.
    pub fn check(&self, file: &Path, last: usize, frames: usize) -> Result<()> {
        if last > frames {
            bail!(
                "{}: it has boxes in frame {last}, the clip {} only {frames} frames",
                file.display(),
                self.input.display(),
            );
        }
        Ok(())
    }

    /// A run: what is found in each frame.
    pub fn find(
        &self,
        detector: SharedDetector,
        settings: &Settings,
        tracking: Tracking,
    ) -> Result<Findings> {
        let pictures = match &self.kind {
            Kind::Video(_) => {
                let (found, report) = find_regions(
                    &self.input,
                    detector,
                    settings,
                    tracking,
                    &STOP,
                    &mut |_| {},
                )?;
                self.check_length(found.len())?;
                let size = (report.width as usize, report.height as usize);
                return Ok(found.into_iter().map(|found| (found, size)).collect());
            }
            Kind::Pictures(pictures) => pictures,
        };
        let mut detector = detector
            .lock()
            .map_err(|_| anyhow::anyhow!("the detector broke off; please report it"))?;
        let mut all = Vec::with_capacity(pictures.pictures.len());
        for picture in &pictures.pictures {
            if STOP.requested() {
                return Err(floutage::Error::Interrupted.into());
            }
            let path = self.input.join(&picture.file);
            let (detections, size) = find_in_picture(&path, &mut *detector)?;
            self.check_size(&path, picture.size, size)?;
            let region = |it: &Detection| MarkedRegion {
                region: Region::from(it),
                track: None,
                state: None,
            };
            let found = Found {
                regions: detections.iter().map(region).collect(),
                detections: Some(detections),
                filled: false,
            };
            all.push((found, size));
        }
        Ok(all)
    }

    /// Boxes in a picture of another size, or in one that lies on its side, mean nothing.
    pub fn check_size(
        &self,
        path: &Path,
        said: Option<(usize, usize)>,
        size: (usize, usize),
    ) -> Result<()> {
        if let Some(said) = said.filter(|&said| said != size) {
            bail!(
                "{}: it has {}x{} pixels when upright, but in {} {}x{}",
                path.display(),
                size.0,
                size.1,
                self.truth_file.display(),
                said.0,
                said.1
            );
        }
        Ok(())
    }

    /// What was found, redacted as `settings` say, against the truth.
    pub fn compare(&self, findings: &Findings, settings: &Settings) -> Evaluation {
        let mut evaluation = self.evaluation();
        for (index, (found, size)) in findings.iter().enumerate() {
            let boxes = found.regions.iter();
            let boxes = boxes.map(|it| (it.region.class, it.region.bbox));
            let regions = Regions {
                size: *size,
                areas: redacted(boxes, settings),
                zones: settings.zones.clone(),
                filled: found.filled,
            };
            let detections = found.detections.as_deref();
            add(
                &mut evaluation,
                index,
                self.truth(index),
                detections,
                &regions,
            );
        }
        evaluation
    }
}

/// The areas that `boxes` become.
pub fn redacted(boxes: impl Iterator<Item = (Class, BBox)>, settings: &Settings) -> Vec<Redacted> {
    boxes
        .map(|(class, bbox)| Redacted {
            bbox: bbox.dilate(settings.class(class).margin),
            shape: settings.class(class).shape,
            class,
        })
        .collect()
}

/// Adds a frame of which the regions are known. Doubtful detections only continue tracks; they are not counted.
pub fn add(
    evaluation: &mut Evaluation,
    index: usize,
    truth: &[TruthBox],
    detections: Option<&[Detection]>,
    regions: &Regions,
) {
    let sure: Option<Vec<Detection>> = detections.map(|all| {
        all.iter()
            .filter(|it| it.certainty == Certainty::Confident)
            .copied()
            .collect()
    });
    let seen = Seen {
        size: regions.size,
        detections: sure.as_deref(),
        altered: regions,
        areas: Some(&regions.areas),
    };
    evaluation.add(index, truth, &seen);
}
