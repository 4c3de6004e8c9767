//! Which detections are of which boxes of the truth, as in COCO's evaluation at one overlap.

use super::truth::TruthBox;
use crate::detect::Detection;
use crate::geometry::BBox;

/// Least IoU of a detection and the box that it finds.
pub const LEAST_IOU: f32 = 0.5;

/// What became of one frame's boxes and detections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// For each box of the truth, whether a detection found it.
    pub found: Vec<bool>,
    /// Indices of detections that find nothing, and do not lie on a box that is to be ignored.
    pub wrong: Vec<usize>,
}

/// Matches class by class: in the order of falling confidence, each detection takes the box that overlaps it most of those
/// that are free and count. What takes none is wrong, unless at least half of it lies on a box that does not count.
pub fn matches(truth: &[TruthBox], detections: &[Detection]) -> Matches {
    let mut order: Vec<usize> = (0..detections.len()).collect();
    order.sort_by(|&a, &b| {
        detections[b]
            .confidence
            .total_cmp(&detections[a].confidence)
    });
    let mut result = Matches {
        found: vec![false; truth.len()],
        wrong: Vec::new(),
    };
    for index in order {
        let detection = &detections[index];
        let of_class = |it: &&TruthBox| it.class == detection.class;
        let best = truth
            .iter()
            .enumerate()
            .filter(|(at, it)| of_class(it) && it.counts && !result.found[*at])
            .map(|(at, it)| (it.bbox.iou(&detection.bbox), at))
            .filter(|(iou, _)| *iou >= LEAST_IOU)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((_, at)) = best {
            result.found[at] = true;
            continue;
        }
        let ignored = truth
            .iter()
            .filter(of_class)
            .any(|it| !it.counts && lies_on(&detection.bbox, &it.bbox));
        if !ignored {
            result.wrong.push(index);
        }
    }
    result
}

fn lies_on(bbox: &BBox, on: &BBox) -> bool {
    bbox.intersection(on) >= LEAST_IOU * bbox.area()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Certainty, Class};

    fn truth(x: f32, counts: bool) -> TruthBox {
        TruthBox {
            track: 1,
            bbox: BBox::from_xywh(x, 0.0, 20.0, 20.0),
            class: Class::Face,
            counts,
        }
    }

    fn detection(x: f32, confidence: f32) -> Detection {
        Detection {
            bbox: BBox::from_xywh(x, 0.0, 20.0, 20.0),
            class: Class::Face,
            confidence,
            certainty: Certainty::Confident,
        }
    }

    #[test]
    fn the_surest_takes_the_nearest_and_each_box_is_found_once() {
        let boxes = [truth(0.0, true), truth(100.0, true), truth(200.0, false)];
        let found = [
            // Overlaps by 12/28, too little.
            detection(92.0, 0.9),
            // Both on the first box; the surer one takes it.
            detection(5.0, 0.4),
            detection(1.0, 0.8),
            // On the one that does not count, twice: neither right nor wrong.
            detection(195.0, 0.7),
            detection(205.0, 0.7),
        ];
        let result = matches(&boxes, &found);
        assert_eq!(result.found, [true, false, false]);
        assert_eq!(result.wrong, [0, 1]);
    }

    #[test]
    fn a_detection_of_another_class_finds_nothing() {
        let plate = Detection {
            class: Class::Plate,
            ..detection(0.0, 0.9)
        };
        let result = matches(&[truth(0.0, true)], &[plate]);
        assert_eq!((result.found, result.wrong), (vec![false], vec![0]));
    }
}
