//! Encoded redacted pictures on their way to the outputs.
//!
//! Invariants: times of a stream only grow; an output that cannot take a picture loses what is left of its group
//! and every group until it can, and never makes another output or the camera wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

use crate::gst::lock;
use crate::media::encode::Codec;

/// One encoded redacted or filled picture.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Annex B, with parameter sets before each key frame. Has no times of its own.
    pub data: gst::Buffer,
    /// When it was taken, in nanoseconds of the monotonic clock.
    pub time: u64,
    /// Whether decoding can begin here.
    pub key: bool,
    /// Whether it is the filled picture that is shown when there is none.
    pub filled: bool,
    /// Wall clock minus monotonic clock in nanoseconds: the camera's, where it tells, else the machine's.
    pub clock: i64,
}

/// Something that takes a stream's pictures.
pub trait Output: Send + Sync {
    /// Takes a picture without waiting; false when it is over and wants no more.
    fn take(&self, unit: &Unit) -> bool;
}

/// Hands a stream's pictures to its outputs.
#[derive(Default)]
pub struct Hub {
    outputs: Mutex<Vec<Arc<dyn Output>>>,
    asked: Mutex<Option<Box<dyn Fn() + Send>>>,
    last_asked: Mutex<Option<Instant>>,
}

/// Key frames are large: however many clients come, they are not made more often than this for them.
const KEYS_APART: Duration = Duration::from_millis(300);

impl Hub {
    /// Adds an output, which gets the next key frame first.
    pub fn add(&self, output: Arc<dyn Output>) {
        lock(&self.outputs).push(output);
        self.ask_for_key();
    }

    /// What to do when an output wants a key frame soon.
    pub fn on_key_asked(&self, work: impl Fn() + Send + 'static) {
        *lock(&self.asked) = Some(Box::new(work));
    }

    /// Somebody wants a key frame soon.
    pub fn ask_for_key(&self) {
        let mut last = lock(&self.last_asked);
        if last.is_some_and(|last| last.elapsed() < KEYS_APART) {
            return;
        }
        *last = Some(Instant::now());
        if let Some(work) = &*lock(&self.asked) {
            work();
        }
    }

    /// Gives `unit` to every output.
    pub fn give(&self, unit: &Unit) {
        // The lock is not held while they take it: one may be ending on another thread.
        let outputs = lock(&self.outputs).clone();
        let over: Vec<_> = outputs.iter().filter(|output| !output.take(unit)).collect();
        if !over.is_empty() {
            lock(&self.outputs).retain(|output| !over.iter().any(|gone| Arc::ptr_eq(gone, output)));
        }
    }
}

/// Nanoseconds of the monotonic clock that all processes of the machine share.
pub fn monotonic() -> u64 {
    gst::SystemClock::obtain().time().nseconds()
}

/// The machine's wall clock minus its monotonic clock in nanoseconds.
pub fn wall_minus_monotonic() -> i64 {
    let wall = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_nanos() as i64;
    wall - monotonic() as i64
}

/// The caps of units.
pub fn caps(codec: Codec) -> gst::Caps {
    let media = if codec == Codec::H265 {
        "video/x-h265"
    } else {
        "video/x-h264"
    };
    gst::Caps::builder(media)
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build()
}

/// A pipeline's `appsrc` as an output, bounded.
pub struct Feed {
    source: gst_app::AppSrc,
    limit: Duration,
    state: Mutex<FeedState>,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct FeedState {
    /// Until the next key frame nothing is let in.
    started: bool,
    /// Running time minus the picture's time, fixed by the first one.
    offset: Option<i64>,
    /// The last picture's wall clock minus its time.
    clock: i64,
    last: u64,
    over: bool,
}

/// Most bytes that wait for an output.
const BYTES: u64 = 16 << 20;

impl Feed {
    /// Feeds `source`, of whose pipeline at most `limit` of video waits; pictures dropped are counted in `dropped`.
    pub fn new(
        source: gst_app::AppSrc,
        codec: Codec,
        limit: Duration,
        dropped: Arc<AtomicU64>,
    ) -> Arc<Self> {
        source.set_caps(Some(&caps(codec)));
        source.set_format(gst::Format::Time);
        source.set_is_live(true);
        source.set_do_timestamp(false);
        source.set_property("block", false);
        source.set_max_bytes(2 * BYTES);
        Arc::new(Self {
            source,
            limit,
            state: Mutex::default(),
            dropped,
        })
    }

    /// Wall clock, in nanoseconds since 1970, of what would have been taken for this moment of the output; None before the
    /// first picture.
    pub fn wall_clock_now(&self) -> Option<u64> {
        let state = lock(&self.state);
        let running = self.source.current_running_time()?.nseconds() as i64;
        u64::try_from(running - state.offset? + state.clock).ok()
    }

    /// Takes no more.
    pub fn end(&self) {
        lock(&self.state).over = true;
        // It may have ended by itself.
        let _ = self.source.end_of_stream();
    }

    fn is_full(&self) -> bool {
        let waits = self.source.current_level_time().nseconds();
        u128::from(waits) > self.limit.as_nanos() || self.source.current_level_bytes() > BYTES
    }
}

impl Output for Feed {
    fn take(&self, unit: &Unit) -> bool {
        let mut state = lock(&self.state);
        if state.over {
            return false;
        }
        // Whatever waits is played first: a group of pictures once begun is given whole unless it cannot be.
        if self.is_full() {
            state.started = false;
        }
        if !state.started {
            if !unit.key || self.is_full() {
                self.dropped
                    .fetch_add(u64::from(state.offset.is_some()), Ordering::Relaxed);
                return true;
            }
            state.started = true;
        }
        let offset = match state.offset {
            Some(offset) => offset,
            None => {
                // Before it plays it has no base time, and its running time would be the clock's.
                let plays = self.source.current_state() == gst::State::Playing;
                let Some(running) = self.source.current_running_time().filter(|_| plays) else {
                    state.started = false;
                    return true;
                };
                let offset = running.nseconds() as i64 - unit.time as i64;
                state.offset = Some(offset);
                offset
            }
        };
        let time = (unit.time as i64 + offset).max(0) as u64;
        state.last = time.max(state.last + 1);
        state.clock = unit.clock;
        let mut buffer = unit.data.copy();
        if let Some(buffer) = buffer.get_mut() {
            let time = gst::ClockTime::from_nseconds(state.last);
            buffer.set_pts(time);
            buffer.set_dts(time);
            if !unit.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        if self.source.push_buffer(buffer).is_err() {
            state.over = true;
        }
        !state.over
    }
}
