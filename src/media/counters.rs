//! What the streaming threads of one pipeline count.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

/// What the streaming threads count.
#[derive(Default)]
pub struct Counters {
    /// Encoded pictures in the input, where they can be told.
    pub packets: Arc<AtomicU64>,
    /// Goes on whenever anything is read, decoded, encoded or written.
    pub moved: Arc<AtomicU64>,
    /// Decoded pictures.
    pub decoded: AtomicU64,
    /// Decoded pictures that are marked as damaged.
    pub damaged: AtomicU64,
    /// Encoded pictures.
    pub encoded: AtomicU64,
    /// Time of the first decoded picture in nanoseconds of running time.
    pub start: AtomicU64,
    /// Time of the last decoded picture likewise.
    pub last: AtomicU64,
    /// End of the last decoded picture in nanoseconds of running time.
    pub end: AtomicU64,
    /// End of the last packet of any stream likewise.
    pub reached: AtomicU64,
    /// Whether the container states its length.
    pub states_length: AtomicBool,
    /// Width of the pictures.
    pub width: AtomicU32,
    /// Height of the pictures.
    pub height: AtomicU32,
    /// Audio streams that were kept.
    pub audio: AtomicU32,
    dropped: Mutex<Vec<String>>,
}

impl Counters {
    /// Notes a stream that is left out.
    pub fn note_dropped(&self, kind: &str) {
        self.dropped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kind.to_owned());
    }

    /// Kinds of the streams that were left out.
    pub fn dropped(&self) -> Vec<String> {
        self.dropped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
