//! Detections out of a file, in place of a run.

use std::path::Path;

use anyhow::{Result, anyhow};
use floutage::detect::{Class, Detection, DetectorSettings};
use floutage::evaluate::{Evaluation, Regions, Results};
use floutage::media::frames::Frames;
use floutage::media::picture::look_at;
use floutage::redact::{Settings, Shape};

use super::STOP;
use super::subject::{Kind, Subject, add, redacted};
use crate::options::RedactionArgs;
use crate::say;

/// The boxes of a file count as redacted as they are, unless a margin is asked for.
pub fn as_they_are(redaction: &RedactionArgs, settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    for class in Class::ALL {
        let own = match class {
            Class::Face => &mut settings.face,
            Class::Plate => &mut settings.plate,
        };
        own.shape = Shape::Rectangle;
        if !redaction.has_margin(class) {
            own.margin = 0.0;
        }
    }
    settings
}

/// Those that reach the thresholds that were asked for.
fn sure(found: &[Detection], detector: &DetectorSettings) -> Vec<Detection> {
    let least = |class| match class {
        Class::Face => detector.face_threshold,
        Class::Plate => detector.plate_threshold,
    };
    let reaches = |it: &&Detection| least(it.class).is_none_or(|least| it.confidence >= least);
    found.iter().filter(reaches).copied().collect()
}

/// The detections in `file` against the truth.
pub fn evaluate(
    subject: &Subject,
    file: &Path,
    class: Option<Class>,
    detector: &DetectorSettings,
    settings: &Settings,
) -> Result<Evaluation> {
    let mut evaluation = subject.evaluation();
    let (mut all, mut beyond) = (0u64, 0u64);
    let mut add = |index: usize, size: (usize, usize), found: &[Detection]| {
        all += found.len() as u64;
        let outside = |it: &&Detection| it.bbox.clip(size.0, size.1).is_none();
        beyond += found.iter().filter(outside).count() as u64;
        let found = sure(found, detector);
        let regions = Regions {
            size,
            areas: redacted(found.iter().map(|it| (it.class, it.bbox)), settings),
            zones: settings.zones.clone(),
            filled: false,
        };
        add(
            &mut evaluation,
            index,
            subject.truth(index),
            Some(&found),
            &regions,
        );
    };
    match &subject.kind {
        Kind::Video(_) => {
            let results = Results::read(file, class)?;
            let mut frames = 0;
            // The clip says how many frames there are, and how large.
            for size in Frames::of(&subject.input, &STOP, |frame| {
                (frame.width(), frame.height())
            })? {
                add(frames, size?, results.frame(frames));
                frames += 1;
            }
            subject.check_length(frames)?;
            subject.check(file, results.frames(), frames)?;
        }
        Kind::Pictures(pictures) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| floutage::Error::io(file, "reading", error))?;
            let results = pictures.results(&text);
            let results = results.map_err(|problem| anyhow!("{}: {problem}", file.display()))?;
            for (index, (picture, found)) in pictures.pictures.iter().zip(&results).enumerate() {
                let path = subject.input.join(&picture.file);
                let size = match picture.size {
                    Some(size) => size,
                    None => look_at(&path, |frame| Ok((frame.width(), frame.height())))?,
                };
                add(index, size, found);
            }
        }
    }
    let name = file.display();
    if all == 0 {
        say::err(&format!(
            "warning: {name}: there is no detection in it: everything leaks"
        ));
    } else if beyond > 0 {
        say::err(&format!(
            "warning: {name}: {beyond} of {all} boxes lie outside the picture; are they of a clip of another size?"
        ));
    }
    Ok(evaluation)
}
