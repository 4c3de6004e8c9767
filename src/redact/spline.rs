//! A region's cells drawn out along one axis.

use std::ops::Range;

use crate::redact::cells::{MAX_SIDE, part};

/// Parts of 256 of a cell, for each cell along the axis; the unused ones are 0.
pub(super) type Weights = [u16; MAX_SIDE];

/// The shares of `count` cells over `length` samples from `start` on, for each sample of `samples`, which may
/// reach beyond: there it is the outermost cell all the way.
///
/// Smooth: a quadratic B-spline whose knots are the borders of the cells; at most three neighbours share, and the
/// result never leaves the range of the cells' values. Else hard edges.
pub(super) fn weights(
    samples: Range<usize>,
    start: usize,
    length: usize,
    count: usize,
    smooth: bool,
) -> Vec<Weights> {
    if smooth {
        let scale = count as f32 / length as f32;
        let last = count as u16 - 1;
        let sample = |at: usize| {
            // One more than the position in cells.
            let position = (at as f32 + 0.5 - start as f32) * scale + 1.0;
            let position = position.clamp(0.0, f32::from(last) + 2.0);
            let cell = position as u16;
            let offset = position - f32::from(cell);
            let before = (128.0 * (1.0 - offset) * (1.0 - offset) + 0.5) as u16;
            let after = (128.0 * offset * offset + 0.5) as u16;
            let mut weights = [0; MAX_SIDE];
            weights[usize::from(cell.saturating_sub(2).min(last))] += before;
            weights[usize::from(cell.saturating_sub(1).min(last))] += 256 - before - after;
            weights[usize::from(cell.min(last))] += after;
            weights
        };
        samples.map(sample).collect()
    } else {
        let sample = |at: usize| {
            let below = |&index: &usize| at >= part(start, length, index, count).start;
            let mut weights = [0; MAX_SIDE];
            weights[(1..count).take_while(below).count()] = 256;
            weights
        };
        samples.map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_move_on_from_cell_to_cell() {
        for smooth in [false, true] {
            for count in 1..=MAX_SIDE {
                for length in count..50 {
                    let weights = weights(0..100, 25, length, count, smooth);
                    assert!(weights.iter().all(|w| w.iter().sum::<u16>() == 256));
                    let centre =
                        |w: &Weights| -> u32 { (0..).zip(w).map(|(n, &w)| n * u32::from(w)).sum() };
                    assert!(
                        weights
                            .windows(2)
                            .all(|pair| centre(&pair[0]) <= centre(&pair[1]))
                    );
                    assert_eq!(weights[0][0], 256);
                    assert_eq!(weights[99][count - 1], 256);
                }
            }
        }
        // In the middle of a cell: 3/4 of it and 1/8 of either neighbour.
        assert_eq!(weights(15..16, 0, 31, 1, true), [[256, 0, 0, 0]]);
        assert_eq!(weights(4..5, 0, 27, 3, true), [[224, 32, 0, 0]]);
        assert_eq!(weights(13..14, 0, 27, 3, true), [[32, 192, 32, 0]]);
    }
}
