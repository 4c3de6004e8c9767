//! How far a measured share can be trusted.

/// The 95 % interval of a share of which `hits` of `all` were seen; 0 to 1 when nothing was.
///
/// Source: E. B. Wilson, *Probable Inference, the Law of Succession, and Statistical Inference*, 1927.
pub fn wilson(hits: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    around(hits as f64 / all as f64, all as f64)
}

/// Wilson's interval about the share `p` of `n` observations.
fn around(p: f64, n: f64) -> (f64, f64) {
    let z = 1.959_964f64;
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    )
}

/// How often tracks are drawn anew.
const DRAWS: usize = 2000;
/// Fewer groups than this, drawn anew, are too much alike to tell what others could be like.
const FEW: u64 = 10;
/// Where the random numbers begin: the same figures come out every time.
const SEED: u64 = 0x666c_6f75_7461_6765;

/// The 95 % interval of the share hits / all summed over `groups` of (hits, all), by drawing whole groups anew: the frames of
/// one track are alike, and count for less than as many independent ones. Where all groups say the same, drawing tells
/// nothing; the interval is then Wilson's for as many single observations as there are groups, and with few groups it holds
/// that one too.
///
/// Source: B. Efron, *Bootstrap Methods: Another Look at the Jackknife*, 1979 (percentile interval).
pub fn bootstrap(groups: &[(u64, u64)]) -> (f64, f64) {
    let sum = |of: fn(&(u64, u64)) -> u64| groups.iter().map(of).sum::<u64>();
    let (hits, all) = (sum(|group| group.0), sum(|group| group.1));
    let count = groups.len() as u64;
    if hits == 0 || hits == all {
        return wilson(if hits > 0 { count } else { 0 }, count);
    }
    if count < 2 {
        return (0.0, 1.0);
    }
    let mut random = Random(SEED);
    let mut shares: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let (mut hits, mut all) = (0, 0);
            for _ in groups {
                let group = groups[random.below(groups.len())];
                hits += group.0;
                all += group.1;
            }
            hits as f64 / all.max(1) as f64
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    let drawn = (shares[DRAWS / 40], shares[DRAWS - 1 - DRAWS / 40]);
    if count >= FEW {
        return drawn;
    }
    let few = around(hits as f64 / all as f64, count as f64);
    (drawn.0.min(few.0), drawn.1.max(few.1))
}

/// Random numbers for drawing. Source: S. Vigna, *SplitMix64*, 2015.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `end` - 1.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near((low, high): (f64, f64), wanted: (f64, f64), most: f64) {
        assert!(
            (low - wanted.0).abs() < most && (high - wanted.1).abs() < most,
            "{low} {high}"
        );
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        near(wilson(10, 10), (0.7225, 1.0), 5e-4);
        near(wilson(0, 10), (0.0, 0.2775), 5e-4);
        near(wilson(81, 263), (0.2553, 0.3662), 5e-4);
        near(wilson(0, 0), (0.0, 1.0), 5e-4);
    }

    #[test]
    fn drawing_single_observations_is_like_counting_them() {
        let groups: Vec<(u64, u64)> = (0..200)
            .map(|index| (u64::from(index % 4 == 0), 1))
            .collect();
        near(bootstrap(&groups), wilson(50, 200), 0.02);
        assert_eq!(bootstrap(&groups), bootstrap(&groups));
    }

    #[test]
    fn frames_of_one_track_are_not_independent() {
        // 2 of 10 tracks leak throughout: 200 of 1000 boxes, but the interval is that of 2 of 10.
        let groups: Vec<(u64, u64)> = (0..10)
            .map(|index| (if index < 2 { 100 } else { 0 }, 100))
            .collect();
        near(bootstrap(&groups), (0.0, 0.5), 0.11);
        let (low, high) = wilson(200, 1000);
        let (wide_low, wide_high) = bootstrap(&groups);
        assert!(wide_high - wide_low > 5.0 * (high - low));
    }

    #[test]
    fn nothing_seen_does_not_mean_nothing_there() {
        assert_eq!(bootstrap(&[(0, 50); 10]), wilson(0, 10));
        assert_eq!(bootstrap(&[(50, 50); 10]), wilson(10, 10));
        assert_eq!(bootstrap(&[]), (0.0, 1.0));
        // One box more that leaks does not make it surer that few do.
        let none = bootstrap(&[(0, 104), (0, 104)]);
        let one = bootstrap(&[(0, 104), (1, 104)]);
        assert!(one.0 == 0.0 && one.1 >= none.1, "{none:?} {one:?}");
        assert_eq!(bootstrap(&[(3, 50)]), (0.0, 1.0));
    }
}
