//! Which detection continues which track: the assignment of least total cost.
//!
//! Costs are `1 - IoU` of boxes that were dilated before (*buffered* IoU: F. Yang et al., *Hard to Track Objects with
//! Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching Space*, WACV 2023), so that
//! small, fast regions, whose boxes in two frames do not meet, still find each other.
//!
//! Invariant: every track and every detection is in at most one pair, and no pair is over the gate.

use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;

use crate::geometry::BBox;

/// Above so many possible pairs the exact assignment, whose work grows with the cube, gives way to taking the best
/// pair first.
const EXACT: usize = 250_000;
/// Cost of a pair that must not be.
const FORBIDDEN: i64 = 1 << 40;

/// A track that may be continued.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Where it is expected.
    pub bbox: BBox,
    /// By what it and the detections are dilated ([`BBox::dilate`]) before they are compared: the less its motion is
    /// known, the more.
    pub buffer: f32,
}

impl Candidate {
    /// Buffered IoU with `detection`.
    fn iou(&self, detection: &BBox) -> f32 {
        let dilated = detection.dilate(self.buffer);
        self.bbox.dilate(self.buffer).iou(&dilated)
    }
}

/// Pairs (index of a track, index of a detection) of least total cost whose buffered IoU is at least `gate`.
pub fn assign(tracks: &[Candidate], detections: &[BBox], gate: f32) -> Vec<(usize, usize)> {
    if tracks.is_empty() || detections.is_empty() {
        return Vec::new();
    }
    if tracks.len() * detections.len() > EXACT {
        return best_first(tracks, detections, gate);
    }
    let cost = |track: &Candidate, detection: &BBox| {
        let iou = track.iou(detection);
        if iou >= gate && iou > 0.0 {
            (f64::from(1.0 - iou) * 1e6) as i64
        } else {
            FORBIDDEN
        }
    };
    // The crate wants no more rows than columns.
    let turned = tracks.len() > detections.len();
    let (rows, columns) = if turned {
        (detections.len(), tracks.len())
    } else {
        (tracks.len(), detections.len())
    };
    let matrix = Matrix::from_fn(rows, columns, |(row, column)| {
        let (track, detection) = if turned { (column, row) } else { (row, column) };
        cost(&tracks[track], &detections[detection])
    });
    let (_, chosen) = kuhn_munkres_min(&matrix);
    chosen
        .into_iter()
        .enumerate()
        .filter(|&pair| matrix[pair] < FORBIDDEN)
        .map(|(row, column)| if turned { (column, row) } else { (row, column) })
        .collect()
}

fn best_first(tracks: &[Candidate], detections: &[BBox], gate: f32) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (track, a) in tracks.iter().enumerate() {
        for (detection, b) in detections.iter().enumerate() {
            let iou = a.iou(b);
            if iou >= gate && iou > 0.0 {
                pairs.push((iou, track, detection));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut free = (vec![true; tracks.len()], vec![true; detections.len()]);
    pairs.retain(|&(_, track, detection)| {
        let fits = free.0[track] && free.1[detection];
        if fits {
            (free.0[track], free.1[detection]) = (false, false);
        }
        fits
    });
    pairs
        .into_iter()
        .map(|(_, track, detection)| (track, detection))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let one =
            (0f32..300.0, 0f32..300.0, 5f32..60.0, 0f32..1.0).prop_map(|(x, y, side, buffer)| {
                Candidate {
                    bbox: BBox::from_xywh(x, y, side, side),
                    buffer,
                }
            });
        prop::collection::vec(one, 0..12)
    }

    fn detections() -> impl Strategy<Value = Vec<BBox>> {
        candidates().prop_map(|all| all.iter().map(|one| one.bbox).collect())
    }

    proptest! {
        #[test]
        fn pairs_are_apart_within_the_gate_and_none_is_left(
            tracks in candidates(), detections in detections(), gate in 0.05f32..0.9,
        ) {
            let pairs = assign(&tracks, &detections, gate);
            let mut seen = (vec![0; tracks.len()], vec![0; detections.len()]);
            for &(t, d) in &pairs {
                seen.0[t] += 1;
                seen.1[d] += 1;
                prop_assert!(tracks[t].iou(&detections[d]) >= gate);
            }
            prop_assert!(seen.0.iter().chain(&seen.1).all(|&times| times <= 1));
            for (t, track) in tracks.iter().enumerate() {
                for (d, detection) in detections.iter().enumerate() {
                    prop_assert!(seen.0[t] + seen.1[d] > 0 || track.iou(detection) < gate);
                }
            }
            let quick = best_first(&tracks, &detections, gate);
            // As many pairs or one half at least: what taking the best first guarantees.
            prop_assert!(quick.len() <= pairs.len() && 2 * quick.len() >= pairs.len());
        }
    }

    #[test]
    fn the_total_counts_and_not_the_best_pair() {
        let at = |x: f32| BBox::from_xywh(x, 0.0, 40.0, 40.0);
        let track = |x: f32| Candidate {
            bbox: at(x),
            buffer: 0.0,
        };
        // The middle detection is nearest to both tracks.
        let pairs = assign(&[track(0.0), track(20.0)], &[at(12.0), at(36.0)], 0.1);
        assert_eq!(pairs, [(0, 0), (1, 1)]);
    }
}
