//! A redacted version of the clip or pictures, whatever made it.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use floutage::evaluate::{
    Alignment, Difference, Evaluation, Luma, OutOfStep, Pictures, Seen, in_colours_of,
};
use floutage::media::frames::Frames;
use floutage::media::picture::look_at;

use super::STOP;
use super::subject::{Kind, Subject};
use crate::say;

/// Share of what is no truth above which two versions hardly show the same.
const STRANGE: f64 = 0.5;

/// What differs between the subject and the version `other`, against the truth.
pub fn evaluate(subject: &Subject, other: &Path) -> Result<Evaluation> {
    let evaluation = match &subject.kind {
        Kind::Video(_) => video(subject, other)?,
        Kind::Pictures(all) => pictures(subject, all, other)?,
    };
    let share = evaluation.over_redaction();
    if share > STRANGE {
        // Everything differs where the two show different things: that is no redaction.
        say::err(&format!(
            "warning: {:.0} % of what is neither face nor plate differs. Unless whole frames were filled, the two do not \
             show the same pictures, frame by frame, or one was encoded too coarsely, and the figures mean nothing.",
            share * 100.0
        ));
    }
    Ok(evaluation)
}

fn add(
    evaluation: &mut Evaluation,
    subject: &Subject,
    index: usize,
    (original, other): (&Luma, &Luma),
) -> Result<(), String> {
    let difference = Difference::between(original, other)?;
    let seen = Seen {
        size: original.size(),
        detections: None,
        altered: &difference,
        areas: None,
    };
    evaluation.add(index, subject.truth(index), &seen);
    Ok(())
}

fn video(subject: &Subject, path: &Path) -> Result<Evaluation> {
    if path.is_dir() {
        bail!(
            "{}: it is a folder; the version of a video is a file",
            path.display()
        );
    }
    if !path.is_file() {
        bail!("{}: there is no such file", path.display());
    }
    let mut originals = Frames::of(&subject.input, &STOP, Luma::of)?;
    let mut others = Frames::of(path, &STOP, Luma::of)?;
    let mut evaluation = subject.evaluation();
    let mut alignment = Alignment::default();
    for index in 0.. {
        // Both are asked, so that a file that cannot be read says so itself.
        match (originals.next().transpose()?, others.next().transpose()?) {
            (Some(mut original), Some(other)) => {
                if let Some(mapped) = in_colours_of(&original, &other) {
                    original = mapped;
                }
                alignment.add(&original, &other);
                add(&mut evaluation, subject, index, (&original, &other))
                    .map_err(|error| anyhow!("{}: frame {}: {error}", path.display(), index + 1))?;
            }
            (None, None) => break,
            (original, _) => {
                let (mut whole, mut version) = (index, index);
                if original.is_some() {
                    whole += 1 + originals.count();
                } else {
                    version += 1 + others.count();
                }
                bail!(
                    "{}: it has {version} frames and its original, {}, has {whole}; frames are compared one by one, so both must \
                     have the same ones: none dropped, repeated or cut off",
                    path.display(),
                    subject.input.display()
                );
            }
        }
    }
    subject.check_length(evaluation.frames as usize)?;
    if let Some(found) = alignment.finish() {
        evaluation.out_of_step = found.frames;
        if evaluation.is_out_of_step() {
            warn(path, &found, evaluation.frames);
        }
    }
    Ok(evaluation)
}

fn warn(path: &Path, found: &OutOfStep, frames: u64) {
    let way = if found.late_by > 0 { "late" } else { "early" };
    say::err(&format!(
        "warning: {}: {} of {frames} frames, from frame {} on, fit another frame of the original much better, most of them {} \
         frame(s) {way}: frames were dropped or repeated, or what moves lags behind since the video was encoded too coarsely. As \
         they are, all that moves counts as redacted there, and the figures are too good.",
        path.display(),
        found.frames,
        found.first + 1,
        found.late_by.abs()
    ));
}

fn pictures(subject: &Subject, pictures: &Pictures, folder: &Path) -> Result<Evaluation> {
    if folder.is_file() {
        bail!(
            "{}: it is a file; the version of a folder is a folder with pictures of the same names",
            folder.display()
        );
    }
    if !folder.is_dir() {
        bail!("{}: there is no such folder", folder.display());
    }
    let mut evaluation = subject.evaluation();
    for (index, picture) in pictures.pictures.iter().enumerate() {
        if STOP.requested() {
            return Err(floutage::Error::Interrupted.into());
        }
        let path = subject.input.join(&picture.file);
        let original = look_at(&path, |frame| Ok(Luma::of(frame)))?;
        subject.check_size(&path, picture.size, original.size())?;
        let other_path = folder.join(&picture.file);
        let other = look_at(&other_path, |frame| Ok(Luma::of(frame)))?;
        add(&mut evaluation, subject, index, (&original, &other))
            .map_err(|error| anyhow!("{}: {error}", other_path.display()))?;
    }
    Ok(evaluation)
}
