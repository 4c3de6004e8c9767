//! Non-maximum suppression: one detection per object.
//!
//! Invariants: the result does not depend on the order of the input; every detection that goes away
//! overlaps a kept one of its class and of at least its confidence.

use super::{Class, Detection};
use crate::error::{Error, Result};
use crate::geometry::BBox;

/// Most detections taken in one call. The work grows with the square; more than this many, after thresholds,
/// is no picture of the world but a model or a threshold that does not fit, and keeping an arbitrary part of
/// them would uncover the rest: so it is an error, and the frame is filled.
pub const MAX_CANDIDATES: usize = 20_000;

/// Class-wise greedy NMS: from the most certain and confident down, drops every detection whose IoU with a kept one of
/// its class is over `iou_threshold` (0 to 1). What is left is ordered by confidence.
///
/// Errors: [`Error::Detection`] above [`MAX_CANDIDATES`]; `detections` is then as it was.
pub fn nms(detections: &mut Vec<Detection>, iou_threshold: f32) -> Result<()> {
    suppress(detections, iou_threshold, |_, _| ())
}

/// As [`nms`], but a kept detection grows to the union with those it replaces, so that nothing covered before
/// is uncovered after. For uniting passes over one frame (tiles, scales, models), each of which went
/// through [`nms`]: a face cut by a tile's edge must not replace the whole one of the next tile.
/// Overlap is measured with the boxes as they came, so that unions do not grow from one to the next.
///
/// Errors: [`Error::Detection`] above [`MAX_CANDIDATES`]; `detections` is then as it was.
pub fn unite(detections: &mut Vec<Detection>, iou_threshold: f32) -> Result<()> {
    suppress(detections, iou_threshold, |kept, dropped| {
        kept.x1 = kept.x1.min(dropped.x1);
        kept.y1 = kept.y1.min(dropped.y1);
        kept.x2 = kept.x2.max(dropped.x2);
        kept.y2 = kept.y2.max(dropped.y2);
    })
}

fn suppress(
    detections: &mut Vec<Detection>,
    iou_threshold: f32,
    absorb: impl Fn(&mut BBox, &BBox),
) -> Result<()> {
    if detections.len() > MAX_CANDIDATES {
        return Err(Error::Detection(format!(
            "{} candidate regions in one frame, over the limit of {MAX_CANDIDATES}: raise confidence-threshold or check that the model fits its head",
            detections.len()
        )));
    }
    // A total order, so that equal confidences do not let the input's order through.
    detections.sort_unstable_by(|a, b| {
        // Of two models, each with its own threshold, the one that is sure counts.
        b.certainty
            .cmp(&a.certainty)
            .then_with(|| b.confidence.total_cmp(&a.confidence))
            .then_with(|| a.class.cmp(&b.class))
            .then_with(|| a.bbox.x1.total_cmp(&b.bbox.x1))
            .then_with(|| a.bbox.y1.total_cmp(&b.bbox.y1))
            .then_with(|| a.bbox.x2.total_cmp(&b.bbox.x2))
            .then_with(|| a.bbox.y2.total_cmp(&b.bbox.y2))
    });
    let mut kept: Vec<Detection> = Vec::new();
    let mut lists: [Kept; Class::ALL.len()] = Default::default();
    for detection in detections.iter() {
        let list = &mut lists[detection.class as usize];
        match list.first_over(&detection.bbox, iou_threshold) {
            Some(index) => absorb(&mut kept[index].bbox, &detection.bbox),
            None => {
                list.push(detection.bbox, kept.len());
                kept.push(*detection);
            }
        }
    }
    *detections = kept;
    Ok(())
}

/// Boxes compared at once.
const LANES: usize = 8;

/// Kept boxes of one class, coordinate by coordinate in blocks, for vector instructions.
#[derive(Default)]
struct Kept {
    blocks: Vec<Block>,
    places: Vec<usize>,
}

/// `LANES` boxes: x1, y1, x2, y2 and area. Unused places are empty boxes, which overlap nothing.
#[derive(Default)]
struct Block([[f32; LANES]; 5]);

impl Kept {
    /// Adds a box whose place in the result is `place`.
    fn push(&mut self, bbox: BBox, place: usize) {
        let lane = self.places.len() % LANES;
        if lane == 0 {
            self.blocks.push(Block::default());
        }
        if let Some(Block(block)) = self.blocks.last_mut() {
            let values = [bbox.x1, bbox.y1, bbox.x2, bbox.y2, bbox.area()];
            for (row, value) in block.iter_mut().zip(values) {
                row[lane] = value;
            }
        }
        self.places.push(place);
    }

    /// The place of the first (most confident) box whose IoU with `bbox` is over the threshold.
    fn first_over(&self, bbox: &BBox, iou_threshold: f32) -> Option<usize> {
        let area = bbox.area();
        for (index, Block([x1, y1, x2, y2, areas])) in self.blocks.iter().enumerate() {
            let mut over = [false; LANES];
            for lane in 0..LANES {
                let width = (x2[lane].min(bbox.x2) - x1[lane].max(bbox.x1)).max(0.0);
                let height = (y2[lane].min(bbox.y2) - y1[lane].max(bbox.y1)).max(0.0);
                let intersection = width * height;
                let union = areas[lane] + area - intersection;
                over[lane] = intersection > iou_threshold * union;
            }
            if let Some(lane) = over.iter().position(|&over| over) {
                return self.places.get(index * LANES + lane).copied();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Certainty;
    use proptest::prelude::*;

    fn any_detection() -> impl Strategy<Value = Detection> {
        (
            (0f32..100.0, 0f32..100.0, 1f32..60.0, 1f32..60.0),
            any::<bool>(),
            // Few values, so that confidences are often equal.
            0u8..6,
        )
            .prop_map(|((x, y, w, h), plate, confidence)| Detection {
                bbox: BBox::from_xywh(x.round(), y.round(), w.round(), h.round()),
                class: if plate { Class::Plate } else { Class::Face },
                confidence: f32::from(confidence) / 8.0 + 0.2,
                certainty: Certainty::Confident,
            })
    }

    fn any_detections() -> impl Strategy<Value = Vec<Detection>> {
        prop::collection::vec(any_detection(), 0..80)
    }

    fn covers(outer: &BBox, inner: &BBox) -> bool {
        outer.x1 <= inner.x1 && outer.y1 <= inner.y1 && outer.x2 >= inner.x2 && outer.y2 >= inner.y2
    }

    proptest! {
        #[test]
        fn kept_ones_do_not_overlap_and_dropped_ones_overlap_a_better_one(
            input in any_detections(), threshold in 0f32..1.0
        ) {
            let mut kept = input.clone();
            nms(&mut kept, threshold).unwrap();
            for (i, a) in kept.iter().enumerate() {
                prop_assert!(input.contains(a));
                for b in &kept[i + 1..] {
                    prop_assert!(a.class != b.class || a.bbox.iou(&b.bbox) <= threshold + 1e-5);
                    prop_assert!(a.confidence >= b.confidence);
                }
            }
            for gone in input.iter().filter(|d| !kept.contains(d)) {
                prop_assert!(kept.iter().any(|k| k.class == gone.class
                    && k.confidence >= gone.confidence
                    && k.bbox.iou(&gone.bbox) >= threshold - 1e-5));
            }
        }

        #[test]
        fn nms_is_idempotent_and_ignores_order(
            (input, shuffled) in any_detections().prop_flat_map(|d| (Just(d.clone()), Just(d).prop_shuffle())),
            threshold in 0f32..1.0,
        ) {
            let (mut a, mut b) = (input.clone(), shuffled.clone());
            nms(&mut a, threshold).unwrap();
            nms(&mut b, threshold).unwrap();
            prop_assert_eq!(&a, &b);
            nms(&mut b, threshold).unwrap();
            prop_assert_eq!(&a, &b);
            let (mut a, mut b) = (input, shuffled);
            unite(&mut a, threshold).unwrap();
            unite(&mut b, threshold).unwrap();
            prop_assert_eq!(&a, &b);
        }

        #[test]
        fn uniting_uncovers_nothing(input in any_detections(), threshold in 0f32..1.0) {
            let mut united = input.clone();
            unite(&mut united, threshold).unwrap();
            let mut kept = input.clone();
            nms(&mut kept, threshold).unwrap();
            prop_assert_eq!(united.len(), kept.len());
            for detection in &input {
                prop_assert!(united
                    .iter()
                    .any(|u| u.class == detection.class && covers(&u.bbox, &detection.bbox)));
            }
        }
    }

    fn face(x: f32, y: f32, w: f32, h: f32, confidence: f32) -> Detection {
        Detection {
            bbox: BBox::from_xywh(x, y, w, h),
            class: Class::Face,
            confidence,
            certainty: Certainty::Confident,
        }
    }

    #[test]
    fn a_cut_face_does_not_replace_the_whole_one() {
        let whole = face(90.0, 10.0, 40.0, 50.0, 0.6);
        let cut = face(100.0, 10.0, 30.0, 50.0, 0.9);
        let mut plain = vec![whole, cut];
        nms(&mut plain, 0.45).unwrap();
        assert_eq!(plain, [cut]);
        let mut united = vec![whole, cut];
        unite(&mut united, 0.45).unwrap();
        assert_eq!(united.len(), 1);
        assert!(covers(&united[0].bbox, &whole.bbox) && united[0].confidence == 0.9);
    }

    #[test]
    fn classes_do_not_suppress_each_other() {
        let a = face(0.0, 0.0, 10.0, 10.0, 0.9);
        let b = Detection {
            class: Class::Plate,
            ..a
        };
        let mut both = vec![a, b];
        nms(&mut both, 0.3).unwrap();
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn too_many_candidates_are_a_failure_and_not_a_selection() {
        let one = face(0.0, 0.0, 10.0, 10.0, 0.9);
        let mut many = vec![one; MAX_CANDIDATES + 1];
        assert!(matches!(nms(&mut many, 0.5), Err(Error::Detection(_))));
        assert_eq!(many.len(), MAX_CANDIDATES + 1);
        assert!(unite(&mut vec![one; 1_000_000], 0.5).is_err());
        many.pop();
        nms(&mut many, 0.5).unwrap();
        assert_eq!(many, [one]);
        let mut none = Vec::new();
        nms(&mut none, 0.5).unwrap();
        assert!(none.is_empty());
    }
}
