//! Leaks by class and size.

use std::collections::BTreeMap;

use serde::Serialize;

use super::coverage::{Redacted, covered_share, inside};
use super::truth::{Truth, TruthBox};
use crate::detect::Class;
use crate::geometry::BBox;

/// Share of a box that must be under regions.
const ENOUGH: f64 = 0.9;
/// Upper bounds of the size buckets in pixels of height; the last one has none.
pub const BUCKETS: [f32; 5] = [12.0, 24.0, 48.0, 96.0, f32::INFINITY];
/// Places looked at along the sides of a frame for what was redacted without need.
const GRID: (usize, usize) = (128, 72);

/// What became of the truth's boxes of one class and size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Boxes in all frames.
    pub boxes: u64,
    /// Boxes that leak.
    pub leaks: u64,
    /// Tracks with a box of this size.
    pub tracks: u64,
    /// Tracks of which a box of this size leaks.
    pub leaking_tracks: u64,
    /// Most frames in a row in which a box of one track leaks.
    pub longest_run: u64,
}

impl Bucket {
    fn add(&mut self, other: &Self) {
        self.boxes += other.boxes;
        self.leaks += other.leaks;
        self.tracks += other.tracks;
        self.leaking_tracks += other.leaking_tracks;
        self.longest_run = self.longest_run.max(other.longest_run);
    }
}

/// All leaks of a clip.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Leaks {
    /// Frames looked at.
    pub frames: u64,
    /// By `Class as usize`, then by size ([`BUCKETS`]).
    pub buckets: [[Bucket; BUCKETS.len()]; Class::ALL.len()],
    /// Share of all pixels that was redacted though nothing is there, 0 to 1.
    pub over_redaction: f64,
    /// Regions that meet no box of the truth, of any class.
    pub false_regions: u64,
}

impl Leaks {
    /// All boxes of `class` that are at least `height` pixels high, a bound of [`BUCKETS`]. A track with boxes of several
    /// sizes counts in each.
    pub fn from(&self, class: Class, height: f32) -> Bucket {
        let mut sum = Bucket::default();
        let bounds = [0.0].into_iter().chain(BUCKETS);
        for (bucket, least) in self.buckets[class as usize].iter().zip(bounds) {
            if least >= height {
                sum.add(bucket);
            }
        }
        sum
    }
}

/// What happened to one track in one bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    boxes: u64,
    leaks: u64,
    longest: u64,
    current: u64,
    /// The frame after the last leak, to see runs.
    next: usize,
}

/// Compares `frames`, the regions of each frame of a clip of `size` pixels (width, height), with the truth.
pub fn measure(truth: &Truth, frames: &[Vec<Redacted>], size: (usize, usize)) -> Leaks {
    let mut runs: BTreeMap<(usize, usize, u64), Run> = BTreeMap::new();
    let mut leaks = Leaks::default();
    let mut needless = 0u64;
    for (index, regions) in frames.iter().enumerate() {
        let boxes = truth.frame(index);
        leaks.frames += 1;
        leaks.false_regions += regions
            .iter()
            .filter(|region| is_false(region, boxes))
            .count() as u64;
        needless += without_need(regions, boxes, size);
        for found in boxes.iter().filter(|found| found.counts) {
            let height = found.bbox.height();
            let bucket = BUCKETS.iter().take_while(|&&bound| height >= bound).count();
            let bucket = bucket.min(BUCKETS.len() - 1);
            let run = runs
                .entry((found.class as usize, bucket, found.track))
                .or_default();
            run.boxes += 1;
            if covered_share(&found.bbox, regions) < ENOUGH {
                run.leaks += 1;
                run.current = if run.next == index {
                    run.current + 1
                } else {
                    1
                };
                run.next = index + 1;
                run.longest = run.longest.max(run.current);
            }
        }
    }
    for ((class, bucket, _), run) in runs {
        leaks.buckets[class][bucket].add(&Bucket {
            boxes: run.boxes,
            leaks: run.leaks,
            tracks: 1,
            leaking_tracks: u64::from(run.leaks > 0),
            longest_run: run.longest,
        });
    }
    let places = leaks.frames * (GRID.0 * GRID.1) as u64;
    leaks.over_redaction = needless as f64 / places.max(1) as f64;
    leaks
}

fn is_false(region: &Redacted, boxes: &[TruthBox]) -> bool {
    boxes
        .iter()
        .all(|found| found.bbox.intersection(&region.bbox) <= 0.0)
}

/// Places of the frame's grid that are under regions and not under boxes of the truth.
fn without_need(regions: &[Redacted], boxes: &[TruthBox], (width, height): (usize, usize)) -> u64 {
    let mut count = 0;
    for row in 0..GRID.1 {
        let y = (row as f32 + 0.5) * height as f32 / GRID.1 as f32;
        let in_row = |bbox: &&BBox| y >= bbox.y1 && y < bbox.y2;
        let over: Vec<&BBox> = regions
            .iter()
            .map(|region| &region.bbox)
            .filter(in_row)
            .collect();
        let there: Vec<&BBox> = boxes
            .iter()
            .map(|found| &found.bbox)
            .filter(in_row)
            .collect();
        for column in (0..GRID.0).filter(|_| !over.is_empty()) {
            let x = (column as f32 + 0.5) * width as f32 / GRID.0 as f32;
            let hit = |all: &[&BBox]| all.iter().any(|bbox| inside(bbox, x, y));
            count += u64::from(hit(&over) && !hit(&there));
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two faces of 40 and 10 pixels over 10 frames; a plate to be ignored.
    fn truth() -> Truth {
        let mut text = String::new();
        for frame in 1..=10 {
            text += &format!("{frame},1,100,100,30,40,1,1,1\n{frame},2,200,100,8,10,1,1,1\n");
            text += &format!("{frame},3,300,100,60,14,0,2,1\n");
        }
        Truth::parse(&text).unwrap()
    }

    fn over(x: f32, y: f32, width: f32, height: f32) -> Redacted {
        Redacted {
            bbox: BBox::from_xywh(x, y, width, height),
            class: Class::Face,
        }
    }

    #[test]
    fn leaks_are_counted_by_frame_track_and_run() {
        let frames: Vec<Vec<Redacted>> = (0..10)
            .map(|index| match index {
                // The large face: two frames in a row, and one later; the small one is never covered.
                2 | 3 | 7 => Vec::new(),
                // Nine tenths are enough, just less is not.
                5 => vec![over(100.0, 100.0, 30.0, 36.3)],
                6 => vec![over(100.0, 100.0, 30.0, 34.0)],
                _ => vec![over(95.0, 95.0, 40.0, 50.0)],
            })
            .collect();
        let leaks = measure(&truth(), &frames, (640, 360));
        let large = leaks.buckets[Class::Face as usize][2];
        let wanted = Bucket {
            boxes: 10,
            leaks: 4,
            tracks: 1,
            leaking_tracks: 1,
            longest_run: 2,
        };
        assert_eq!(large, wanted);
        let small = leaks.buckets[Class::Face as usize][0];
        let wanted = Bucket {
            boxes: 10,
            leaks: 10,
            tracks: 1,
            leaking_tracks: 1,
            longest_run: 10,
        };
        assert_eq!(small, wanted);
        assert_eq!(leaks.from(Class::Plate, 0.0), Bucket::default());
        assert_eq!(leaks.from(Class::Face, 24.0), large);
        assert_eq!(leaks.from(Class::Face, 0.0).leaks, 14);
        assert_eq!(leaks.false_regions, 0);
    }

    #[test]
    fn what_is_redacted_without_need_is_a_share_of_the_picture() {
        // A quarter of the picture, of which nothing is there; and the ignored plate.
        let frames = vec![
            vec![
                over(320.0, 180.0, 320.0, 180.0),
                over(300.0, 100.0, 60.0, 14.0)
            ];
            4
        ];
        let leaks = measure(&truth(), &frames, (640, 360));
        assert!(
            (leaks.over_redaction - 0.25).abs() < 1e-9,
            "{}",
            leaks.over_redaction
        );
        assert_eq!(leaks.false_regions, 4);
    }
}
