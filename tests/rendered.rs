//! The ground truth of the rendered clips: it fits the clips and holds what it is said to hold.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use common::{repository, run_tool};
use floutage::detect::Class;
use floutage::evaluate::{Truth, TruthBox};

/// Name, size, least counting tracks of faces and of plates.
type Expected = (&'static str, (f32, f32), [usize; 2]);

/// Frames of the shortest clip: eight seconds.
const LEAST: usize = 200;

const CLIPS: [Expected; 4] = [
    ("street-day", (1280.0, 720.0), [5, 3]),
    ("street-night", (1280.0, 720.0), [5, 3]),
    ("entrance", (640.0, 360.0), [1, 0]),
    ("parking", (1280.0, 720.0), [1, 3]),
];

fn truth(clip: &str) -> Truth {
    let path = repository(&format!("fixtures/{clip}.csv"));
    Truth::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

fn frames(clip: &str) -> usize {
    let counted = run_tool(
        Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v", "-count_packets"])
            .args(["-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"])
            .arg(repository(&format!("fixtures/{clip}.mp4"))),
    );
    let text = String::from_utf8(counted).expect("a number");
    text.trim().trim_end_matches(',').parse().expect("a number")
}

#[test]
fn boxes_lie_in_the_pictures_and_tracks_hold_together() {
    for (clip, (width, height), [faces, plates]) in CLIPS {
        let truth = truth(clip);
        let frames = frames(clip);
        assert!(
            frames >= LEAST && truth.frames() <= frames,
            "{clip}: {frames}"
        );
        let size = std::fs::metadata(repository(&format!("fixtures/{clip}.mp4"))).expect("there");
        assert!(size.len() <= 2_000_000, "{clip}");
        let mut last: BTreeMap<u64, (usize, TruthBox)> = BTreeMap::new();
        let mut tracks: BTreeMap<Class, BTreeSet<u64>> = BTreeMap::new();
        for frame in 0..truth.frames() {
            let mut seen = BTreeSet::new();
            for found in truth.frame(frame) {
                let b = found.bbox;
                let inside = b.x1 >= 0.0 && b.y1 >= 0.0 && b.x2 <= width && b.y2 <= height;
                assert!(inside, "{clip} {frame}: {found:?}");
                assert!(
                    seen.insert(found.track),
                    "{clip} {frame}: track {} twice",
                    found.track
                );
                if found.counts {
                    tracks.entry(found.class).or_default().insert(found.track);
                }
                if let Some((before, old)) = last.insert(found.track, (frame, *found)) {
                    assert_eq!(old.class, found.class, "{clip} {frame}: {found:?}");
                    // A box may shrink when something comes before it, but nothing jumps.
                    let moved = (old.bbox.x1 - b.x1).abs().min((old.bbox.x2 - b.x2).abs());
                    let most = 40.0 + 0.5 * old.bbox.width().max(b.width());
                    assert!(
                        before + 1 != frame || moved < most,
                        "{clip} {frame}: {found:?} {old:?}"
                    );
                }
            }
        }
        let count = |class| tracks.get(&class).map_or(0, BTreeSet::len);
        assert!(
            count(Class::Face) >= faces,
            "{clip}: {} faces",
            count(Class::Face)
        );
        assert!(
            count(Class::Plate) >= plates,
            "{clip}: {} plates",
            count(Class::Plate)
        );
    }
}

#[test]
fn the_street_has_faces_of_all_sizes() {
    let truth = truth("street-day");
    let heights: Vec<f32> = (0..truth.frames())
        .flat_map(|frame| truth.frame(frame))
        .filter(|found| found.counts && found.class == Class::Face)
        .map(|found| found.bbox.height())
        .collect();
    let least = heights.iter().copied().fold(f32::INFINITY, f32::min);
    let most = heights.iter().copied().fold(0.0, f32::max);
    assert!(least <= 12.0 && most >= 96.0, "{least} to {most}");
}
