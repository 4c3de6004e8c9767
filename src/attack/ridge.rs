//! The attacker who learns: kernel ridge regression from features to identities.
//!
//! Every identity is a target of 1 for its own pictures and 0 for all others. Kernel (linear or Gaussian) and strength are
//! those with the least error on pictures left out one by one, for which there is a closed form.
//! Source: G. C. Cawley, *Leave-One-Out Cross-Validation Based Model Selection Criteria for Weighted LS-SVMs*, 2006.

use super::statistics::Scores;

/// Shares of the kernel's mean diagonal that are added to it.
const STRENGTHS: [f64; 3] = [1.0, 0.1, 0.01];

/// Features with the identity that they are of.
pub(super) type Labelled = (usize, Vec<f64>);

/// Trains on `gallery` and scores `probes`, of features of equal length.
pub(super) fn attack(gallery: &[Labelled], probes: &[Labelled], identities: usize) -> Scores {
    let scale = Scale::of(gallery);
    let scaled = |set: &[Labelled]| -> Vec<Vec<f64>> {
        set.iter()
            .map(|(_, features)| scale.apply(features))
            .collect()
    };
    let (known, unknown) = (scaled(gallery), scaled(probes));
    let mut best: Option<(f64, bool, Vec<Vec<f64>>)> = None;
    for gaussian in [false, true] {
        let kernel = kernel(&known, &known, gaussian);
        let mean = (0..known.len()).map(|n| kernel[n][n]).sum::<f64>() / known.len().max(1) as f64;
        for strength in STRENGTHS {
            let mut regular = kernel.clone();
            for (n, row) in regular.iter_mut().enumerate() {
                row[n] += strength * mean + 1e-9;
            }
            let Some(inverse) = inverse(regular) else {
                continue;
            };
            let (weights, error) = fitted(&inverse, gallery, identities);
            if best.as_ref().is_none_or(|best| error < best.0) {
                best = Some((error, gaussian, weights));
            }
        }
    }
    let score = |(index, (own, _)): (usize, &Labelled)| {
        let mut scores = vec![0.0; identities];
        if let Some((_, gaussian, weights)) = &best {
            for (known, weights) in known.iter().zip(weights) {
                let alike = similarity(&unknown[index], known, *gaussian);
                for (score, weight) in scores.iter_mut().zip(weights) {
                    *score += alike * weight;
                }
            }
        }
        // Differences of rounding are no knowledge.
        let rounded = scores.iter().map(|score| (score * 1e9).round() / 1e9);
        (*own, rounded.collect())
    };
    Scores {
        identities,
        probes: probes.iter().enumerate().map(score).collect(),
    }
}

/// The weights of each training picture for each identity, and the mean squared error on pictures left out. Identities are
/// centred, so that those with more pictures gain nothing by it.
fn fitted(inverse: &[Vec<f64>], gallery: &[Labelled], identities: usize) -> (Vec<Vec<f64>>, f64) {
    let count = gallery.len() as f64;
    let mut shares = vec![0.0; identities];
    for (own, _) in gallery {
        shares[*own] += 1.0 / count;
    }
    let mut error = 0.0;
    let weights = inverse
        .iter()
        .enumerate()
        .map(|(n, row)| {
            let mut weights = vec![0.0; identities];
            for (value, (own, _)) in row.iter().zip(gallery) {
                weights[*own] += value;
            }
            let sum: f64 = row.iter().sum();
            for (weight, share) in weights.iter_mut().zip(&shares) {
                *weight -= sum * share;
                error += (*weight / row[n]).powi(2);
            }
            weights
        })
        .collect();
    (weights, error)
}

/// Brings each feature to mean 0; all have one scale, so that what hardly varies stays small.
struct Scale {
    means: Vec<f64>,
    factor: f64,
}

impl Scale {
    fn of(set: &[Labelled]) -> Self {
        let length = set.first().map_or(0, |(_, features)| features.len());
        let count = set.len().max(1) as f64;
        let mean = |n: usize| set.iter().map(|(_, f)| f[n]).sum::<f64>() / count;
        let means: Vec<f64> = (0..length).map(mean).collect();
        let squares = set.iter().flat_map(|(_, features)| {
            features
                .iter()
                .zip(&means)
                .map(|(f, mean)| (f - mean).powi(2))
        });
        // The mean squared length becomes 1; what differs by rounding alone stays nothing.
        let spread = (squares.sum::<f64>() / count).sqrt();
        let factor = if spread > 1e-6 { 1.0 / spread } else { 0.0 };
        Self { means, factor }
    }

    fn apply(&self, features: &[f64]) -> Vec<f64> {
        let scaled = features.iter().zip(&self.means);
        scaled.map(|(f, mean)| (f - mean) * self.factor).collect()
    }
}

fn kernel(a: &[Vec<f64>], b: &[Vec<f64>], gaussian: bool) -> Vec<Vec<f64>> {
    let row = |a: &Vec<f64>| b.iter().map(|b| similarity(a, b, gaussian)).collect();
    a.iter().map(row).collect()
}

fn similarity(a: &[f64], b: &[f64], gaussian: bool) -> f64 {
    let pairs = a.iter().zip(b);
    if gaussian {
        (-pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>()).exp()
    } else {
        pairs.map(|(a, b)| a * b).sum()
    }
}

/// The inverse of a symmetric positive definite matrix by Cholesky's factors; None when it is not one.
fn inverse(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    for row in 0..size {
        for column in 0..=row {
            let (upper, lower) = matrix.split_at(row);
            let own = &lower[0];
            let other = if column < row { &upper[column] } else { own };
            let dot: f64 = own[..column]
                .iter()
                .zip(&other[..column])
                .map(|(a, b)| a * b)
                .sum();
            let rest = own[column] - dot;
            if column == row {
                if rest <= 0.0 || rest.is_nan() {
                    return None;
                }
                matrix[row][row] = rest.sqrt();
            } else {
                let divisor = matrix[column][column];
                matrix[row][column] = rest / divisor;
            }
        }
    }
    // The inverse of the lower factor, row by row.
    let mut lower = vec![vec![0.0; size]; size];
    for row in 0..size {
        let (done, open) = lower.split_at_mut(row);
        let own = &mut open[0];
        for (before, factor) in done.iter().zip(&matrix[row][..row]) {
            for (value, before) in own[..row].iter_mut().zip(before) {
                *value -= factor * before;
            }
        }
        own[row] = 1.0;
        for value in &mut own[..=row] {
            *value /= matrix[row][row];
        }
    }
    let mut inverse = vec![vec![0.0; size]; size];
    for line in &lower {
        for (row, &a) in line.iter().enumerate().filter(|(_, a)| **a != 0.0) {
            for (value, b) in inverse[row].iter_mut().zip(line) {
                *value += a * b;
            }
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::random;
    use crate::attack::statistics::Outcome;

    #[test]
    fn the_inverse_is_one() {
        let matrix = vec![
            vec![4.0, 1.0, 0.5],
            vec![1.0, 3.0, -1.0],
            vec![0.5, -1.0, 5.0],
        ];
        let inverse = inverse(matrix.clone()).unwrap();
        for (n, row) in matrix.iter().enumerate() {
            for column in 0..3 {
                let terms = row.iter().zip(&inverse);
                let product: f64 = terms.map(|(value, line)| value * line[column]).sum();
                assert!((product - f64::from(n == column)).abs() < 1e-9);
            }
        }
        assert!(super::inverse(vec![vec![0.0]]).is_none());
    }

    /// Features of 12 identities of which only `useful` tell anything.
    fn set(rng: &mut fastrand::Rng, useful: usize) -> Vec<Labelled> {
        let labelled = |n: usize| {
            let own = n % 12;
            let mut identity = random::generator(own as u64);
            let feature = |n: usize| {
                let own = 3.0 * random::normal(&mut identity);
                f64::from(n < useful) * own + random::normal(rng)
            };
            (own, (0..20).map(feature).collect())
        };
        (0..120).map(labelled).collect()
    }

    #[test]
    fn it_learns_what_there_is_and_nothing_else() {
        let mut rng = random::generator(3);
        for (useful, known) in [(4, true), (0, false)] {
            let (gallery, probes) = (set(&mut rng, useful), set(&mut rng, useful));
            let outcome = Outcome::of("trained", &attack(&gallery, &probes, 12), 1);
            assert_eq!(outcome.auc > 0.9, known, "{outcome:?}");
            assert_eq!(outcome.at_chance(), !known, "{outcome:?}");
        }
        let same: Vec<Labelled> = (0..60).map(|n| (n % 12, vec![7.0; 20])).collect();
        let outcome = Outcome::of("trained", &attack(&same, &same, 12), 1);
        assert_eq!(outcome.auc, 0.5);
    }
}
