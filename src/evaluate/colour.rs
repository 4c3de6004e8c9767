//! The original as a version of other colour numbers would have it.
//!
//! A tool that goes by way of RGB and states no colours writes luma of another matrix or range than the original's. Then every
//! coloured place differs, and would count as redacted. Such a change is one affine map of luma and chroma for the whole frame; it
//! is fitted to the means of cells, without those that the map does not explain, which is where something was redacted.
//! Method: least squares, reweighted by trimming (P. J. Rousseeuw, *Least Median of Squares Regression*, 1984, for the scale).

use super::coarse::coarse;
use super::pixels::Luma;

/// Rounds of fitting and leaving out.
const ROUNDS: usize = 5;
/// Times the median residual beyond which a cell is left out, and what may always be left.
const TIMES: f32 = 3.0;
const ALWAYS: f32 = 0.75;
/// Weight of "nothing changes" per cell, in squared levels: what the frame's colours do not tell stays as it is.
const RIDGE: f32 = 0.5;
/// The map must explain this share of the cells, leave less than this share of the difference, and move some cell by half a level.
const EXPLAINED: f32 = 0.5;
const LEFT: f32 = 0.5;
const MOVES: f32 = 0.5;
/// What changes of matrix and range do not exceed: of luma's own factor and of chroma's. A frame filled whole is no such change.
const LUMA: f32 = 0.25;
const CHROMA: f32 = 0.35;

type Map = [f32; 4];

/// `original` with luma as `version` has it where nothing was redacted; None when the colours of both agree, no one map explains
/// what differs, or they differ in size.
pub fn in_colours_of(original: &Luma, version: &Luma) -> Option<Luma> {
    if original.size() != version.size() {
        return None;
    }
    let chroma = original.chroma()?;
    let half = original.chroma_size();
    let planes = [
        coarse(original.plane(), original.size()),
        coarse(&chroma[0], half),
        coarse(&chroma[1], half),
    ];
    let version = coarse(version.plane(), version.size());
    let cells: Vec<(Map, f32)> = (0..version.len())
        .map(|at| {
            let [y, u, v] = [0, 1, 2].map(|plane| planes[plane][at]);
            (terms(y, u, v), version[at] - y)
        })
        .collect();
    let map = fit(&cells)?;
    Some(original.mapped(|y, u, v| y + dot(&map, &terms(y, u, v))))
}

fn terms(y: f32, u: f32, v: f32) -> Map {
    [y, u - 128.0, v - 128.0, 64.0]
}

fn dot(a: &Map, b: &Map) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The map from terms to what is added to luma.
fn fit(cells: &[(Map, f32)]) -> Option<Map> {
    let mut kept: Vec<&(Map, f32)> = cells.iter().collect();
    let mut map = [0.0; 4];
    for _ in 0..ROUNDS {
        map = solve(&kept)?;
        let residual = |it: &(Map, f32)| (it.1 - dot(&map, &it.0)).abs();
        let mut all: Vec<f32> = cells.iter().map(residual).collect();
        let middle = all.len() / 2;
        let (_, median, _) = all.select_nth_unstable_by(middle, f32::total_cmp);
        let limit = (TIMES * *median).max(ALWAYS);
        kept = cells.iter().filter(|it| residual(it) <= limit).collect();
    }
    let sum = |of: &dyn Fn(&(Map, f32)) -> f32| kept.iter().map(|it| of(it)).sum::<f32>();
    let before = sum(&|it| it.1.abs());
    let after = sum(&|it| (it.1 - dot(&map, &it.0)).abs());
    let moved = kept
        .iter()
        .map(|it| dot(&map, &it.0).abs())
        .fold(0.0, f32::max);
    let likely = map[0].abs() <= LUMA && map[1].abs() <= CHROMA && map[2].abs() <= CHROMA;
    let good = likely && kept.len() as f32 >= EXPLAINED * cells.len() as f32;
    (good && moved >= MOVES && after < LEFT * before).then_some(map)
}

/// Least squares with a ridge: normal equations by Cholesky's method without roots.
fn solve(cells: &[&(Map, f32)]) -> Option<Map> {
    let mut matrix = [[0f64; 5]; 4];
    for (terms, wanted) in cells.iter().copied() {
        for row in 0..4 {
            for column in 0..4 {
                matrix[row][column] += f64::from(terms[row] * terms[column]);
            }
            matrix[row][4] += f64::from(terms[row] * wanted);
        }
    }
    for (at, row) in matrix.iter_mut().enumerate() {
        row[at] += f64::from(RIDGE) * cells.len().max(1) as f64;
    }
    // The matrix is positive definite by the ridge: no pivots are needed.
    for at in 0..4 {
        let pivot = matrix[at];
        if pivot[at] <= 0.0 || !pivot[at].is_finite() {
            return None;
        }
        for row in matrix.iter_mut().skip(at + 1) {
            let factor = row[at] / pivot[at];
            for (value, above) in row.iter_mut().zip(pivot) {
                *value -= factor * above;
            }
        }
    }
    let mut map = [0f64; 4];
    for at in (0..4).rev() {
        let known: f64 = (at + 1..4)
            .map(|column| matrix[at][column] * map[column])
            .sum();
        map[at] = (matrix[at][4] - known) / matrix[at][at];
    }
    Some(map.map(|it| it as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Frame, PixelFormat};

    const SIZE: (usize, usize) = (320, 180);

    /// Colours in large areas; `luma` says what a place of red, green and blue gets.
    fn picture(luma: impl Fn([f32; 3]) -> f32) -> Luma {
        let colour = |x: usize, y: usize| {
            [x * 255 / SIZE.0, y * 255 / SIZE.1, (x + 2 * y) % 256].map(|it| it as f32)
        };
        let mut planes = [
            vec![0u8; SIZE.0 * SIZE.1],
            vec![0; SIZE.0 * SIZE.1 / 4],
            vec![0; SIZE.0 * SIZE.1 / 4],
        ];
        for y in 0..SIZE.1 {
            for x in 0..SIZE.0 {
                let [r, g, b] = colour(x, y);
                planes[0][y * SIZE.0 + x] = luma([r, g, b]).round() as u8;
                let y709 = 0.2126 * r + 0.7152 * g + 0.0722 * b;
                let at = y / 2 * (SIZE.0 / 2) + x / 2;
                planes[1][at] = (128.0 + (b - y709) / 1.8556 * 224.0 / 255.0).round() as u8;
                planes[2][at] = (128.0 + (r - y709) / 1.5748 * 224.0 / 255.0).round() as u8;
            }
        }
        let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
        let strides = [SIZE.0, SIZE.0 / 2, SIZE.0 / 2];
        let frame = Frame::new(
            PixelFormat::I420,
            SIZE.0,
            SIZE.1,
            Colour::default(),
            &planes,
            &strides,
        );
        Luma::of(&frame.unwrap())
    }

    fn limited(weights: [f32; 3]) -> impl Fn([f32; 3]) -> f32 {
        move |colour| {
            16.0 + 219.0 / 255.0 * colour.iter().zip(weights).map(|(c, w)| c * w).sum::<f32>()
        }
    }

    const BT709: [f32; 3] = [0.2126, 0.7152, 0.0722];
    const BT601: [f32; 3] = [0.299, 0.587, 0.114];

    fn apart(a: &Luma, b: &Luma) -> f32 {
        let all = a.plane().iter().zip(b.plane());
        let sum: u32 = all.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        sum as f32 / a.plane().len() as f32
    }

    #[test]
    fn another_matrix_or_range_is_found_in_spite_of_redaction() {
        let original = picture(limited(BT709));
        let full = |colour: [f32; 3]| colour.iter().zip(BT709).map(|(c, w)| c * w).sum::<f32>();
        for version in [picture(limited(BT601)), picture(full)] {
            assert!(apart(&original, &version) > 3.0);
            let redacted = version.clone().painted((100, 60, 60, 60), 0);
            let found = in_colours_of(&original, &redacted).expect("another map");
            assert!(apart(&found, &version) < 0.6, "{}", apart(&found, &version));
        }
    }

    #[test]
    fn what_is_redacted_is_not_explained_away() {
        let original = picture(limited(BT709));
        assert!(in_colours_of(&original, &original).is_none());
        for side in [60, 120, 180] {
            let redacted = original.clone().painted((0, 0, side, side), 128);
            assert!(in_colours_of(&original, &redacted).is_none(), "{side}");
        }
        let filled = original.clone().painted((0, 0, SIZE.0, SIZE.1), 128);
        // One value everywhere is a map, too: of nothing.
        assert!(in_colours_of(&original, &filled).is_none());
    }
}
