//! What others may know about a camera.

use std::sync::Arc;
use std::time::SystemTime;

use super::state::Health;
use super::wire::{Counts, Installed};

/// What others may know about a camera.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it does.
    pub health: Health,
    /// Since when.
    pub since: SystemTime,
    /// Size of the full stream in pixels, once it is known.
    pub size: Option<(u32, u32)>,
    /// Counts of the workers before this one.
    pub(super) past: Counts,
    /// Counts of this worker.
    pub(super) now: Counts,
    /// Redacted frames a second.
    pub frames_per_second: f64,
    /// How often the camera was asked for again.
    pub reconnects: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What the worker works with.
    pub installed: Option<Installed>,
    /// Last redacted picture, as JPEG.
    pub snapshot: Option<Arc<Vec<u8>>>,
}

impl Report {
    /// A camera that starts.
    pub(super) fn new() -> Self {
        Self {
            health: Health::Starting,
            since: SystemTime::now(),
            size: None,
            past: Counts::default(),
            now: Counts::default(),
            frames_per_second: 0.0,
            reconnects: 0,
            last_error: None,
            installed: None,
            snapshot: None,
        }
    }

    /// What all workers counted together.
    pub fn counts(&self) -> Counts {
        add(&self.past, &self.now)
    }

    /// It does so from now on.
    pub(super) fn turn(&mut self, health: Health) {
        if self.health != health {
            self.health = health;
            self.since = SystemTime::now();
        }
    }
}

fn add(past: &Counts, now: &Counts) -> Counts {
    let mut sum = now.clone();
    sum.frames += past.frames;
    sum.failed_closed += past.failed_closed;
    sum.damaged += past.damaged;
    sum.dropped += past.dropped;
    sum.inference_seconds += past.inference_seconds;
    for (class, count) in &past.regions {
        *sum.regions.entry(class.clone()).or_default() += count;
    }
    sum
}
