//! One tracker for all chunks: what was found in their frames, in order, becomes what is to be redacted.

use std::collections::BTreeSet;

pub use super::wire::Decided;
use super::{Chunk, Found, Split};
use crate::error::Result;
use crate::gst::meta::placed;
use crate::media::tally::Tally;
use crate::track::decisions::{Decider, Note};
use crate::track::scene::Thumbnail;
use crate::track::{Observed, Settings, TrackedRegion};

/// What is to be redacted in each of `chunks`, in which `found` was found, and the tally of the whole.
///
/// Errors: a setting outside its range.
pub fn decide(
    chunks: &[Chunk],
    found: &[Found],
    settings: Settings,
) -> Result<Split<(Vec<Decided>, Tally)>> {
    let Some(first) = found.first() else {
        return Ok(Err("nothing was found out about it".into()));
    };
    if let Some(problem) = differ(chunks, found) {
        return Ok(Err(problem.into()));
    }
    let mut decider = Decider::new(settings, first.size, first.length)?;
    let mut decided: Vec<(u64, Option<Vec<TrackedRegion>>)> = Vec::new();
    let mut tally = Tally::default();
    let mut view: Option<&Thumbnail> = None;
    for part in found {
        for (index, frame) in part.frames.iter().enumerate() {
            // Within its chunk the first frame that shows something has none to be compared with.
            let change = match (&part.first, view) {
                (Some((at, first)), Some(before)) if *at == index => first.change_from(before),
                _ => frame.change,
            };
            for detection in frame.seen.iter().flatten() {
                tally.note_confidence(detection.class, detection.confidence);
            }
            let observe = |all: &Vec<_>| all.iter().map(Observed::from).collect();
            decider.observe(&Note {
                time: frame.time,
                change,
                seen: frame.seen.as_ref().map(observe),
            });
            decided.extend(std::iter::from_fn(|| decider.next(false)));
        }
        view = part.last.as_ref().or(view);
    }
    decided.extend(std::iter::from_fn(|| decider.next(true)));
    count(&decided, first.size, &mut tally);
    let mut rest = decided.into_iter();
    let parts = chunks
        .iter()
        .map(|chunk| Decided(rest.by_ref().take(chunk.frames as usize).collect()))
        .collect();
    Ok(Ok((parts, tally)))
}

/// What shows that the chunks are not those of one video that can be cut there.
fn differ(chunks: &[Chunk], found: &[Found]) -> Option<&'static str> {
    if chunks.len() != found.len() {
        return Some("some of its chunks are missing");
    }
    for (chunk, part) in chunks.iter().zip(found) {
        if part.frames.len() as u64 != chunk.frames {
            return Some("its chunks have other pictures than its packets say");
        }
    }
    for (index, pair) in found.windows(2).enumerate() {
        let [part, next] = pair else { continue };
        if part.caps != next.caps || part.length != next.length {
            return Some("its pictures change their form");
        }
        let compared = chunks[index].after as usize;
        let head = compared
            .checked_sub(1)
            .and_then(|last| next.heads.get(last));
        if head.is_none() || head != part.after.as_ref() {
            return Some(
                "its key frames are none: what follows is decoded otherwise without what comes before",
            );
        }
    }
    None
}

/// Counts what is redacted, as it is counted where a video is not split.
fn count(
    decided: &[(u64, Option<Vec<TrackedRegion>>)],
    (width, height): (usize, usize),
    tally: &mut Tally,
) {
    let start = decided.first().map_or(0, |(time, _)| *time);
    let mut tracks = BTreeSet::new();
    for (time, regions) in decided {
        let second = (time.saturating_sub(start) / 1_000_000_000) as usize;
        for region in regions.iter().flatten() {
            let Some(area) = placed(region.bbox, width, height) else {
                continue;
            };
            tally.note_height(region.class, area.height() as f32);
            tally.note_second(region.class, second);
            if tracks.insert(region.id) {
                tally.note_track(region.class);
            }
        }
    }
}
