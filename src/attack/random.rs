//! Chance that is the same in every run.

use fastrand::Rng;

/// A generator for `seed`.
pub(super) fn generator(seed: u64) -> Rng {
    Rng::with_seed(seed)
}

/// A normally distributed number with standard deviation 1, as the sum of twelve even ones.
pub(super) fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0
}
