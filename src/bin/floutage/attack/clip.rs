//! Faces out of clips with ground truth.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use floutage::attack::faces::{Faces, MOST_PICTURES};
use floutage::attack::picture::Picture;
use floutage::detect::Class;
use floutage::evaluate::Truth;
use floutage::geometry::BBox;
use floutage::media::frames::Frames;
use floutage::media::report::Stop;

/// Least height of a face in pixels: of smaller ones little is to be known in the clear either.
const LEAST_HEIGHT: f32 = 12.0;

/// The faces of `clips` and their truths: each track a person, of which up to 20 boxes that count are taken, spread evenly over
/// its time. Boxes are taken as they are, for hair, clothes and background would tell people apart, too.
pub fn faces(clips: &[(&PathBuf, &PathBuf)], stop: &'static Stop) -> Result<Faces> {
    let mut people = Vec::new();
    for (clip, truth) in clips {
        if !clip.is_file() {
            bail!("{}: there is no such file", clip.display());
        }
        let wanted = wanted(&Truth::read(truth)?);
        let last = wanted.keys().last().copied();
        let next = AtomicUsize::new(0);
        let pictures = Frames::of(clip, stop, move |frame| {
            let boxes = wanted.get(&next.fetch_add(1, Ordering::Relaxed));
            let boxes = boxes.into_iter().flatten();
            let picture = |(track, bbox): &(u64, BBox)| {
                Picture::from_frame(frame, bbox).map(|picture| (*track, picture))
            };
            boxes.filter_map(picture).collect::<Vec<_>>()
        })?;
        let (mut tracks, mut frames) = (BTreeMap::<u64, Vec<Picture>>::new(), 0);
        for taken in pictures {
            frames += 1;
            for (track, picture) in taken? {
                tracks.entry(track).or_default().push(picture);
            }
        }
        if last.is_some_and(|last| last >= frames) {
            bail!(
                "{}: the truth has faces in frame {}, the clip {} only {frames} frames",
                truth.display(),
                last.unwrap_or_default() + 1,
                clip.display()
            );
        }
        people.extend(tracks.into_values());
    }
    let names: Vec<String> = clips
        .iter()
        .map(|(clip, _)| clip.display().to_string())
        .collect();
    Ok(Faces::new(&names.join(", "), people)?)
}

/// The boxes to take by frame.
fn wanted(truth: &Truth) -> BTreeMap<usize, Vec<(u64, BBox)>> {
    let mut tracks: BTreeMap<u64, Vec<(usize, BBox)>> = BTreeMap::new();
    for frame in 0..truth.frames() {
        for it in truth.frame(frame) {
            if it.class == Class::Face && it.counts && it.bbox.height() >= LEAST_HEIGHT {
                tracks.entry(it.track).or_default().push((frame, it.bbox));
            }
        }
    }
    let mut wanted: BTreeMap<usize, Vec<(u64, BBox)>> = BTreeMap::new();
    for (track, boxes) in tracks {
        let count = boxes.len();
        let step = count.div_ceil(MOST_PICTURES).max(1);
        for (frame, bbox) in boxes.into_iter().step_by(step) {
            wanted.entry(frame).or_default().push((track, bbox));
        }
    }
    wanted
}
