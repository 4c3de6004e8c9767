//! Leaks, recall and precision by class and size.

use std::collections::{BTreeMap, BTreeSet};

use super::evaluation::{BoxResult, Evaluation};
use super::interval::{bootstrap, wilson};
use crate::detect::Class;

/// Upper bounds of the size buckets in pixels of height; the last one has none.
pub const BUCKETS: [f32; 5] = [12.0, 24.0, 48.0, 96.0, f32::INFINITY];

/// Heights of a row of figures, in pixels: from the first, included, to the second.
pub type Heights = (f32, f32);

/// Every height.
pub const ALL_HEIGHTS: Heights = (0.0, f32::INFINITY);

/// The heights of each bucket.
pub fn buckets() -> impl Iterator<Item = Heights> {
    let from = [0.0].into_iter().chain(BUCKETS);
    from.zip(BUCKETS)
}

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// How many are.
    pub hits: u64,
    /// Of how many.
    pub all: u64,
    /// The interval, 0 to 1.
    pub interval: (f64, f64),
}

impl Rate {
    /// With Wilson's interval.
    pub fn of_independent(hits: u64, all: u64) -> Self {
        let interval = wilson(hits, all);
        Self {
            hits,
            all,
            interval,
        }
    }

    /// With the bootstrap interval over groups of (hits, all).
    pub fn of_groups(groups: &[(u64, u64)]) -> Self {
        Self {
            hits: groups.iter().map(|group| group.0).sum(),
            all: groups.iter().map(|group| group.1).sum(),
            interval: bootstrap(groups),
        }
    }

    /// The share, 0 to 1; 0 of nothing.
    pub fn share(&self) -> f64 {
        self.hits as f64 / self.all.max(1) as f64
    }
}

/// What became of the truth's boxes of one class within some heights.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Boxes that leak; the interval is the bootstrap's over tracks.
    pub leaks: Rate,
    /// Frames that show a box that leaks, of the frames that show a box; Wilson's interval.
    pub frames: Rate,
    /// Tracks of which a box leaks in any frame; the interval is the bootstrap's.
    pub tracks: Rate,
    /// Most frames in a row in which one track leaks.
    pub longest_run: u64,
    /// Boxes that were detected, of those in frames whose detections are known; Wilson's interval.
    pub recall: Rate,
    /// Detections that found a box, of all detections; likewise. By the height of the box where they found one, else
    /// by their own.
    pub precision: Rate,
}

/// One track of the truth with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackResult {
    /// Its number.
    pub track: u64,
    /// What it is.
    pub class: Class,
    /// Height of its box in the middle of its frames, in pixels.
    pub height: f32,
    /// Frames with its share that was altered, 0 to 1.
    pub covered: Vec<(usize, f64)>,
    /// Frames in which it leaks.
    pub leaks: u64,
    /// Its longest exposed run: the first frame, and how many.
    pub longest_run: (usize, u64),
}

fn longest_run(leaking: impl Iterator<Item = usize>) -> (usize, u64) {
    let (mut first, mut length, mut longest) = (0, 0, (0, 0));
    for frame in leaking {
        if length > 0 && frame == first + length as usize {
            length += 1;
        } else {
            (first, length) = (frame, 1);
        }
        if length > longest.1 {
            longest = (first, length);
        }
    }
    longest
}

fn by_track<'a>(
    boxes: impl Iterator<Item = &'a BoxResult>,
) -> BTreeMap<(Class, u64), Vec<&'a BoxResult>> {
    let mut tracks: BTreeMap<_, Vec<&BoxResult>> = BTreeMap::new();
    for it in boxes {
        tracks.entry((it.class, it.track)).or_default().push(it);
    }
    tracks
}

fn leaking_run(boxes: &[&BoxResult]) -> (usize, u64) {
    longest_run(boxes.iter().filter(|it| it.leaks()).map(|it| it.frame))
}

impl Evaluation {
    /// The figures of `class` within `heights`. A track with boxes of several sizes counts in each of their buckets, with
    /// the boxes that are in it.
    pub fn figures(&self, class: Class, heights: Heights) -> Figures {
        let within = |height: f32| height >= heights.0 && height < heights.1;
        let chosen = |it: &&BoxResult| it.class == class && within(it.bbox.height());
        let tracks = by_track(self.boxes.iter().filter(chosen));
        let leaks_of = |boxes: &[&BoxResult]| boxes.iter().filter(|it| it.leaks()).count() as u64;
        let per_track: Vec<(u64, u64)> = tracks
            .values()
            .map(|boxes| (leaks_of(boxes), boxes.len() as u64))
            .collect();
        let leaking: Vec<(u64, u64)> = per_track
            .iter()
            .map(|&(leaks, _)| (u64::from(leaks > 0), 1))
            .collect();
        let runs = tracks.values().map(|boxes| leaking_run(boxes).1);
        let frames = |which: fn(&BoxResult) -> bool| {
            let frames = self.boxes.iter().filter(chosen).filter(|it| which(it));
            frames.map(|it| it.frame).collect::<BTreeSet<_>>().len() as u64
        };
        let counted = |found: bool| {
            let boxes = self.boxes.iter().filter(chosen);
            boxes.filter(|it| it.found == Some(found)).count() as u64
        };
        let found = counted(true);
        let wrong = self.wrong.iter();
        let wrong = wrong.filter(|(of, height)| *of == class && within(*height));
        Figures {
            leaks: Rate::of_groups(&per_track),
            frames: Rate::of_independent(frames(BoxResult::leaks), frames(|_| true)),
            tracks: Rate::of_groups(&leaking),
            longest_run: runs.max().unwrap_or(0),
            recall: Rate::of_independent(found, found + counted(false)),
            precision: Rate::of_independent(found, found + wrong.count() as u64),
        }
    }

    /// Every track, by class and number.
    pub fn tracks(&self) -> Vec<TrackResult> {
        let tracks = by_track(self.boxes.iter());
        let result = |((class, track), boxes): ((Class, u64), Vec<&BoxResult>)| TrackResult {
            track,
            class,
            height: boxes[boxes.len() / 2].bbox.height(),
            covered: boxes.iter().map(|it| (it.frame, it.covered)).collect(),
            leaks: boxes.iter().filter(|it| it.leaks()).count() as u64,
            longest_run: leaking_run(&boxes),
        };
        tracks.into_iter().map(result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Certainty, Detection};
    use crate::evaluate::{Redacted, Regions, Seen, Truth};
    use crate::geometry::BBox;
    use crate::redact::Shape;

    /// Two faces of 40 and 10 pixels over 10 frames; a plate to be ignored.
    fn truth() -> Truth {
        let mut text = String::new();
        for frame in 1..=10 {
            text += &format!("{frame},1,100,100,30,40,1,1,1\n{frame},2,200,100,8,10,1,1,1\n");
            text += &format!("{frame},3,300,100,60,14,0,2,1\n");
        }
        Truth::parse(&text, None).unwrap()
    }

    fn over(x: f32, y: f32, width: f32, height: f32) -> Redacted {
        Redacted {
            bbox: BBox::from_xywh(x, y, width, height),
            shape: Shape::Rectangle,
            class: Class::Face,
        }
    }

    fn evaluate(
        areas: impl Fn(usize) -> Vec<Redacted>,
        found: impl Fn(usize) -> Option<Vec<Detection>>,
    ) -> Evaluation {
        let (truth, mut evaluation) = (truth(), Evaluation::default());
        for index in 0..10 {
            let regions = Regions {
                size: (640, 360),
                areas: areas(index),
                ..Regions::default()
            };
            let detections = found(index);
            let seen = Seen {
                size: regions.size,
                detections: detections.as_deref(),
                altered: &regions,
                areas: Some(&regions.areas),
            };
            evaluation.add(index, truth.frame(index), &seen);
        }
        evaluation
    }

    #[test]
    fn leaks_are_counted_by_box_frame_track_and_run() {
        let areas = |index| match index {
            // The large face: two frames in a row, and one later; the small one is never covered.
            2 | 3 | 7 => Vec::new(),
            // Nine tenths are enough, just less is not.
            5 => vec![over(100.0, 100.0, 30.0, 36.3)],
            6 => vec![over(100.0, 100.0, 30.0, 34.0)],
            _ => vec![over(95.0, 95.0, 40.0, 50.0)],
        };
        let evaluation = evaluate(areas, |_| None);
        let large = evaluation.figures(Class::Face, (24.0, 48.0));
        assert_eq!((large.leaks.hits, large.leaks.all), (4, 10));
        assert_eq!((large.frames.hits, large.frames.all), (4, 10));
        assert_eq!((large.tracks.hits, large.tracks.all), (1, 1));
        assert_eq!(large.longest_run, 2);
        assert_eq!((large.recall.all, large.precision.all), (0, 0));
        let small = evaluation.figures(Class::Face, (0.0, 12.0));
        assert_eq!((small.leaks.hits, small.longest_run), (10, 10));
        let all = evaluation.figures(Class::Face, ALL_HEIGHTS);
        assert_eq!((all.leaks.hits, all.leaks.all), (14, 20));
        // The frames in which both leak count once.
        assert_eq!((all.frames.hits, all.frames.all), (10, 10));
        assert_eq!((all.tracks.hits, all.tracks.all), (2, 2));
        let plates = evaluation.figures(Class::Plate, ALL_HEIGHTS);
        assert_eq!((plates.leaks.all, plates.tracks.all), (0, 0));
        assert_eq!(evaluation.false_areas, [0, 0]);
        let tracks = evaluation.tracks();
        assert_eq!(tracks.len(), 2);
        assert_eq!((tracks[0].leaks, tracks[0].longest_run), (4, (2, 2)));
        assert_eq!((tracks[1].longest_run, tracks[1].height), ((0, 10), 10.0));
    }

    #[test]
    fn recall_and_precision_are_of_detections_where_they_are_known() {
        let detection = |x: f32, height: f32| Detection {
            bbox: BBox::from_xywh(x, 100.0, 30.0, height),
            class: Class::Face,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        // Of ten frames five were analysed; in two of them the large face was missed, in one a ghost of 60 pixels found.
        let found = |index: usize| match index {
            0 | 1 => Some(vec![detection(102.0, 40.0)]),
            2 => Some(vec![detection(100.0, 38.0), detection(400.0, 60.0)]),
            3 | 4 => Some(Vec::new()),
            _ => None,
        };
        let evaluation = evaluate(|_| Vec::new(), found);
        assert_eq!((evaluation.frames, evaluation.analysed), (10, 5));
        let large = evaluation.figures(Class::Face, (24.0, 48.0));
        assert_eq!((large.recall.hits, large.recall.all), (3, 5));
        assert_eq!((large.precision.hits, large.precision.all), (3, 3));
        let larger = evaluation.figures(Class::Face, (48.0, 96.0));
        assert_eq!((larger.precision.hits, larger.precision.all), (0, 1));
        let all = evaluation.figures(Class::Face, ALL_HEIGHTS);
        assert_eq!((all.recall.hits, all.recall.all), (3, 10));
        assert_eq!((all.precision.hits, all.precision.all), (3, 4));
    }

    #[test]
    fn what_is_redacted_without_need_is_a_share_of_what_is_no_truth() {
        // A quarter of the picture, where nothing is; and the ignored plate.
        let areas = |_| {
            vec![
                over(320.0, 180.0, 320.0, 180.0),
                over(300.0, 100.0, 60.0, 14.0),
            ]
        };
        let evaluation = evaluate(areas, |_| None);
        let pixels = 640.0 * 360.0;
        let boxes = 30.0 * 40.0 + 8.0 * 10.0 + 60.0 * 14.0;
        let wanted = 0.25 * pixels / (pixels - boxes);
        let share = evaluation.over_redaction();
        assert!((share - wanted).abs() < 1e-4, "{share} {wanted}");
        assert_eq!(
            (evaluation.areas, evaluation.false_areas),
            ([20, 0], [10, 0])
        );
    }

    #[test]
    fn the_buckets_are_without_gaps() {
        let all: Vec<Heights> = buckets().collect();
        assert_eq!(all[0], (0.0, 12.0));
        assert!(all.windows(2).all(|two| two[0].1 == two[1].0));
        assert_eq!(all[4], (96.0, f32::INFINITY));
    }
}
