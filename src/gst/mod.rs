//! The GStreamer elements.
//!
//! | element | what it does |
//! |---|---|
//! | `floutagedetect` | runs the models, attaches regions of interest and the marker |
//! | `floutagetrack` | joins detections to tracks, and redacts before, between and after them |
//! | `floutageredact` | redacts the regions of analysed buffers, fills all others |
//! | `floutagegate` | lets redacted buffers through and nothing else; drops side data |
//! | `floutagebin` | the four in a row, so that nothing can sit between them |
//!
//! Invariant: a buffer that leaves `floutageredact` or `floutagegate` was analysed and redacted, or is filled.

pub mod bin;
mod burst;
pub mod detect;
pub mod gate;
pub mod meta;
pub mod redact;
mod settings;
pub mod track;
pub mod video;

use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::glib;

pub use settings::MOST_EVERY;

/// Registers the elements with `plugin`.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    meta::register();
    detect::register(plugin)?;
    track::register(plugin)?;
    redact::register(plugin)?;
    gate::register(plugin)?;
    bin::register(plugin)
}

/// Locks `mutex`. What the elements guard are plain values that every write leaves whole, so a panic
/// elsewhere does not spoil them.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
