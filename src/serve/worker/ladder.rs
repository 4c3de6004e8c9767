//! What is given up, in which order, when the machine cannot keep up: first analyses, up to the look-ahead; then frames,
//! evenly, down to the least rate; then every frame, so that the outputs show a filled one.
//!
//! It is climbed down within seconds and up again slowly.

/// What a worker does with its frames now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rung {
    /// One of so many frames is analysed.
    pub detect_every: u32,
    /// Frames per second that are let in; None: all.
    pub rate: Option<f64>,
    /// No frame is let in at all.
    pub filled: bool,
}

/// What was seen in the last second.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Share of the waiting room that was taken, 0 to 1.
    pub waiting: f64,
    /// Frames that found no place in it.
    pub lost: u64,
    /// Frames per second that the camera sends.
    pub camera_rate: f64,
}

/// The ladder. One step a second.
#[derive(Debug)]
pub struct Ladder {
    least_every: u32,
    most_every: u32,
    min_fps: f64,
    rung: Rung,
    /// Seconds without trouble.
    calm: u32,
    /// Seconds of trouble on the last rung before filling.
    trouble: u32,
}

/// Seconds of calm before the next rung up.
const CALM: u32 = 10;
/// Seconds of trouble at the least rate before frames are filled.
const PATIENCE: u32 = 3;
/// What is left of the rate at each step down.
const STEP: f64 = 0.75;

impl Ladder {
    /// From `least_every` to `most_every`, then down to `min_fps`.
    pub fn new(least_every: u32, most_every: u32, min_fps: f64) -> Self {
        let rung = Rung {
            detect_every: least_every,
            rate: None,
            filled: false,
        };
        Self {
            least_every,
            most_every: most_every.max(least_every),
            min_fps,
            rung,
            calm: 0,
            trouble: 0,
        }
    }

    /// Where it stands after another second.
    pub fn step(&mut self, seen: Seen) -> Rung {
        if self.rung.filled {
            // Nothing is let in, so nothing is seen; after a while it is tried again.
            self.calm += 1;
            if self.calm >= CALM {
                self.rung.filled = false;
                (self.calm, self.trouble) = (0, 0);
            }
            return self.rung;
        }
        if seen.lost > 0 || seen.waiting > 0.6 {
            self.calm = 0;
            self.down(seen.camera_rate);
        } else {
            self.trouble = 0;
            self.calm = if seen.waiting < 0.3 { self.calm + 1 } else { 0 };
            if self.calm >= CALM {
                self.calm = 0;
                self.up(seen.camera_rate);
            }
        }
        self.here(seen.camera_rate)
    }

    /// The rung with detect-every held so that fewer frames never mean more time between two analyses: in a gap that is
    /// longer than the look-ahead was made for, a track can turn unseen.
    fn here(&self, camera_rate: f64) -> Rung {
        let Some(rate) = self.rung.rate else {
            return self.rung;
        };
        let share = (rate / camera_rate.max(rate)).clamp(0.0, 1.0);
        let most = (f64::from(self.most_every) * share) as u32;
        Rung {
            detect_every: self.rung.detect_every.min(most.max(1)),
            ..self.rung
        }
    }

    fn down(&mut self, camera_rate: f64) {
        if self.rung.detect_every < self.most_every {
            self.rung.detect_every += 1;
            return;
        }
        let rate = self.rung.rate.unwrap_or(camera_rate);
        if rate > self.min_fps {
            self.rung.rate = Some((rate * STEP).max(self.min_fps));
            return;
        }
        self.trouble += 1;
        if self.trouble >= PATIENCE {
            self.rung.filled = true;
            self.trouble = 0;
        }
    }

    fn up(&mut self, camera_rate: f64) {
        if let Some(rate) = self.rung.rate {
            let more = rate / STEP;
            self.rung.rate = (more < camera_rate).then_some(more);
        } else if self.rung.detect_every > self.least_every {
            self.rung.detect_every -= 1;
        }
    }
}

impl Rung {
    /// What is given up, for people; None: nothing.
    pub fn given_up(&self, least_every: u32) -> Option<String> {
        if self.filled {
            return Some("overload: no frame can be analysed, so the picture is filled".into());
        }
        if let Some(rate) = self.rate {
            return Some(format!(
                "overload: frames are dropped, down to {rate:.1} per second"
            ));
        }
        (self.detect_every > least_every)
            .then(|| format!("overload: one of {} frames is analysed", self.detect_every))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Seen = Seen {
        waiting: 1.0,
        lost: 3,
        camera_rate: 15.0,
    };
    const IDLE: Seen = Seen {
        waiting: 0.0,
        lost: 0,
        camera_rate: 15.0,
    };

    #[test]
    fn analyses_go_first_then_frames_then_pictures_and_all_come_back() {
        let mut ladder = Ladder::new(1, 3, 6.0);
        let mut seen = vec![];
        for _ in 0..12 {
            let rung = ladder.step(BUSY);
            if seen.last() != Some(&rung) {
                seen.push(rung);
            }
            if rung.filled {
                break;
            }
        }
        assert_eq!(seen[0].detect_every, 2);
        assert_eq!((seen[1].detect_every, seen[1].rate), (3, None));
        // Of 15 frames per second every third; of fewer, as many a second.
        let apart = |rung: &Rung| f64::from(rung.detect_every) / rung.rate.unwrap_or(15.0);
        assert!(
            seen.iter()
                .all(|rung| rung.detect_every == 1 || apart(rung) <= 3.0 / 15.0 + 1e-9),
            "{seen:?}"
        );
        let rates: Vec<f64> = seen[2..].iter().filter_map(|rung| rung.rate).collect();
        assert!(rates.windows(2).all(|pair| pair[1] <= pair[0]), "{rates:?}");
        assert_eq!(
            rates.last(),
            Some(&6.0),
            "never under the least rate: {rates:?}"
        );
        assert!(
            seen.last().unwrap().filled && seen[..seen.len() - 1].iter().all(|rung| !rung.filled)
        );
        let mut last = ladder.rung;
        for _ in 0..CALM * 12 {
            last = ladder.step(IDLE);
        }
        assert_eq!(
            last,
            Rung {
                detect_every: 1,
                rate: None,
                filled: false
            }
        );
        assert_eq!(last.given_up(1), None);
    }

    #[test]
    fn one_quiet_second_changes_nothing() {
        let mut ladder = Ladder::new(2, 2, 6.0);
        let down = ladder.step(BUSY);
        assert_eq!(down.rate, Some(11.25));
        for _ in 1..CALM {
            assert_eq!(ladder.step(IDLE), down);
        }
        assert_eq!(ladder.step(IDLE).rate, None);
    }
}
