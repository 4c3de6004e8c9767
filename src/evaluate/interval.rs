//! How far a measured share can be trusted.

/// The 95 % interval of a share of which `hits` of `all` were seen; 0 to 1 when nothing was.
///
/// Source: E. B. Wilson, *Probable Inference, the Law of Succession, and Statistical Inference*, 1927.
pub fn wilson(hits: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let z = 1.959_964f64;
    let (n, p) = (all as f64, hits as f64 / all as f64);
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let near = |(low, high): (f64, f64), wanted: (f64, f64)| {
            assert!(
                (low - wanted.0).abs() < 5e-4 && (high - wanted.1).abs() < 5e-4,
                "{low} {high}"
            );
        };
        near(wilson(10, 10), (0.7225, 1.0));
        near(wilson(0, 10), (0.0, 0.2775));
        near(wilson(81, 263), (0.2553, 0.3662));
        near(wilson(0, 0), (0.0, 1.0));
    }
}
