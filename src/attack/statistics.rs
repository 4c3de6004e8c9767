//! How far an attacker's scores are from chance.

use serde::Serialize;

use super::random;
use crate::evaluate::wilson;

/// Bootstrap samples behind an interval.
const RESAMPLES: usize = 300;

/// How alike each probe is to each identity of a gallery; more is more alike.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    /// Identities in the gallery.
    pub identities: usize,
    /// For each probe its identity and its score with each identity.
    pub probes: Vec<(usize, Vec<f64>)>,
}

/// What an attacker reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Who attacks, and with what.
    pub attacker: String,
    /// Probability that a pair of one identity scores higher than a pair of two; chance is 0.5.
    pub auc: f64,
    /// Its 95 % interval, by bootstrap over identities.
    pub auc_95: (f64, f64),
    /// Equal error rate; chance is 0.5.
    pub eer: f64,
    /// Share of probes whose own identity scores highest; ties count by their share.
    pub rank1: f64,
    /// Its 95 % interval (Wilson).
    pub rank1_95: (f64, f64),
    /// The rank 1 of an attacker who guesses.
    pub rank1_chance: f64,
}

impl Outcome {
    /// AUC from which a style does not hide a face.
    pub const MOST_AUC: f64 = 0.55;

    /// Measures `scores`; `seed` draws the bootstrap's samples.
    pub(super) fn of(attacker: &str, scores: &Scores, seed: u64) -> Self {
        let pairs = Pairs::sorted(scores);
        let (auc, eer) = pairs.auc_and_eer(&vec![1.0; scores.identities]);
        let mut rng = random::generator(seed);
        let mut samples: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let mut weights = vec![0.0; scores.identities];
                for _ in 0..scores.identities {
                    weights[rng.usize(..scores.identities)] += 1.0;
                }
                pairs.auc_and_eer(&weights).0
            })
            .filter(|auc| auc.is_finite())
            .collect();
        let (hits, all) = (rank1_hits(scores), scores.probes.len());
        Self {
            attacker: attacker.to_owned(),
            auc,
            auc_95: interval(&mut samples),
            eer,
            rank1: hits / all.max(1) as f64,
            rank1_95: wilson(hits.round() as u64, all as u64),
            rank1_chance: 1.0 / scores.identities.max(1) as f64,
        }
    }

    /// True when the attacker did no better than one who guesses: an AUC of at most 0.55, and a rank 1 whose interval reaches
    /// down to chance.
    pub fn at_chance(&self) -> bool {
        self.auc <= Self::MOST_AUC && self.rank1_95.0 <= self.rank1_chance
    }
}

/// The middle 95 % of `samples`.
pub(super) fn interval(samples: &mut [f64]) -> (f64, f64) {
    if samples.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[(share * (samples.len() - 1) as f64).round() as usize];
    (at(0.025), at(0.975))
}

/// The 95 % interval of the mean of `values`, by bootstrap.
pub(super) fn mean_interval(values: &[f64], seed: u64) -> (f64, f64) {
    let mut rng = random::generator(seed);
    let count = values.len().max(1);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .filter(|_| !values.is_empty())
        .map(|_| {
            values
                .iter()
                .map(|_| values[rng.usize(..count)])
                .sum::<f64>()
                / count as f64
        })
        .collect();
    interval(&mut means)
}

fn rank1_hits(scores: &Scores) -> f64 {
    let hit = |(own, scores): &(usize, Vec<f64>)| {
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ties = scores.iter().filter(|&&score| score == best).count();
        if scores[*own] == best {
            1.0 / ties as f64
        } else {
            0.0
        }
    };
    scores.probes.iter().map(hit).sum()
}

/// Pairs of a probe and a gallery's identity, the highest score first.
struct Pairs(Vec<(f64, usize, usize)>);

impl Pairs {
    fn sorted(scores: &Scores) -> Self {
        let pairs = scores.probes.iter().flat_map(|(own, scores)| {
            let pair = |(identity, &score): (usize, &f64)| (score, *own, identity);
            scores.iter().enumerate().map(pair)
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self(pairs)
    }

    /// Area under the curve of true against false matches, and where false matches are as frequent as missed ones. A pair counts
    /// as often as its identities are drawn.
    fn auc_and_eer(&self, weights: &[f64]) -> (f64, f64) {
        let weight = |&(_, own, other): &(f64, usize, usize)| {
            if own == other {
                (weights[own], 0.0)
            } else {
                (0.0, weights[own] * weights[other])
            }
        };
        let all = self.0.iter().map(weight);
        let (same, different) = all.fold((0.0, 0.0), |sum, w| (sum.0 + w.0, sum.1 + w.1));
        let (mut auc, mut eer) = (0.0, f64::NAN);
        let (mut hits, mut alarms) = (0.0, 0.0);
        for ties in self.0.chunk_by(|a, b| a.0 == b.0) {
            let (before, below) = (hits / same, alarms / different);
            for (hit, alarm) in ties.iter().map(weight) {
                hits += hit;
                alarms += alarm;
            }
            let (after, above) = (hits / same, alarms / different);
            auc += (above - below) * (before + after) / 2.0;
            // The curve's piece crosses the line on which misses are as many as false matches.
            let (start, end) = (before + below - 1.0, after + above - 1.0);
            if eer.is_nan() && end >= 0.0 {
                let share = if end > start {
                    -start / (end - start)
                } else {
                    0.0
                };
                eer = below + share * (above - below);
            }
        }
        (auc, eer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(score: impl Fn(usize, usize, usize) -> f64) -> Scores {
        let probe = |index: usize| {
            let own = index / 20;
            (own, (0..10).map(|other| score(index, own, other)).collect())
        };
        Scores {
            identities: 10,
            probes: (0..200).map(probe).collect(),
        }
    }

    #[test]
    fn one_who_knows_is_right_and_one_who_guesses_is_at_chance() {
        let knows = Outcome::of("knows", &scores(|_, own, other| f64::from(own == other)), 1);
        assert_eq!((knows.auc, knows.eer, knows.rank1), (1.0, 0.0, 1.0));
        assert!(!knows.at_chance());
        let nothing = Outcome::of("nothing", &scores(|_, _, _| 0.0), 1);
        assert_eq!((nothing.auc, nothing.eer), (0.5, 0.5));
        assert_eq!(nothing.auc_95, (0.5, 0.5));
        assert!((nothing.rank1 - 0.1).abs() < 1e-9 && nothing.at_chance());
        let noise = |index, _, other| f64::from(((index * 7919 + other * 104_729) % 1009) as u32);
        let guesses = Outcome::of("guesses", &scores(noise), 1);
        assert!(guesses.at_chance(), "{guesses:?}");
    }

    #[test]
    fn a_slight_advantage_shows() {
        // Every fourth probe is known.
        let score = |index: usize, own, other| {
            let noise = f64::from(((index * 7919 + other * 104_729) % 1009) as u32) / 1009.0;
            noise + f64::from(own == other && index.is_multiple_of(4))
        };
        let outcome = Outcome::of("some", &scores(score), 1);
        assert!((0.58..0.68).contains(&outcome.auc), "{outcome:?}");
        assert!(outcome.auc_95.0 > 0.5 && outcome.auc_95.1 > outcome.auc);
        assert!((0.25..0.45).contains(&outcome.rank1));
        assert!(!outcome.at_chance());
        assert_eq!(outcome, Outcome::of("some", &scores(score), 1));
    }
}
