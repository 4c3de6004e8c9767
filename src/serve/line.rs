//! One stream's way to its outputs: what its pictures are stamped with, and the filled picture where there is none.

use std::time::{Duration, Instant};

use super::config::camera::LiveEncoding;
use super::filler::{self, Form};
use super::unit::{Unit, monotonic, wall_minus_monotonic};
use crate::Result;

/// Without a picture for so long the filled one is shown. It is stamped as late, so that the times of pictures that come
/// after all do not lie before it.
const FILL_AFTER: Duration = Duration::from_secs(1);
/// Time between two filled pictures.
const FILL_EVERY: Duration = Duration::from_millis(500);

/// One stream's way to its outputs.
pub struct Line {
    /// Size of its pictures.
    pub form: Form,
    filler: Option<(Form, Vec<gst::Buffer>)>,
    turn: usize,
    last_time: u64,
    /// When the last picture of the worker came.
    pub last_picture: Option<Instant>,
    last_filled: Option<Instant>,
    /// The next picture of the worker must be a key frame.
    pub needs_key: bool,
}

impl Line {
    /// A stream without a picture yet.
    pub fn new(form: Form) -> Self {
        Self {
            form,
            filler: None,
            turn: 0,
            last_time: 0,
            last_picture: None,
            last_filled: None,
            needs_key: true,
        }
    }

    /// `time`, in nanoseconds, or a little after the picture before where that is later.
    pub fn stamp(&mut self, time: u64) -> u64 {
        self.last_time = time.max(self.last_time + 1_000_000);
        self.last_time
    }

    /// The filled picture, where it is time for one.
    ///
    /// Errors: it cannot be encoded.
    pub fn filled(&mut self, name: &str, encoding: &LiveEncoding) -> Result<Option<Unit>> {
        let since = |time: Option<Instant>, limit| time.is_none_or(|it| it.elapsed() >= limit);
        if !since(self.last_picture, FILL_AFTER) || !since(self.last_filled, FILL_EVERY) {
            return Ok(None);
        }
        self.last_filled = Some(Instant::now());
        let units = match self.filler.take() {
            Some((form, units)) if form == self.form => units,
            _ => filler::encode(name, self.form, encoding)?,
        };
        let data = units[self.turn % units.len()].clone();
        self.filler = Some((self.form, units));
        self.turn += 1;
        self.needs_key = true;
        let time = self.stamp(monotonic().saturating_sub(FILL_AFTER.as_nanos() as u64));
        Ok(Some(Unit {
            data,
            time,
            key: true,
            filled: true,
            clock: wall_minus_monotonic(),
        }))
    }
}
