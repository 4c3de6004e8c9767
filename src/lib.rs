//! Privacy-preserving video anonymization: finds faces and licence plates in video and redacts them
//! before anything is stored or served.
//!
//! | module | what it is for |
//! |---|---|
//! | [`geometry`] | boxes in pixels, rounded outward |
//! | [`frame`] | borrowed planes and strides |
//! | [`digest`] | SHA-256 as text |
//! | [`detect`] | models, letterbox, output heads, NMS |
//! | [`track`] | regions from frame to frame, with look-ahead |
//! | [`redact`] | irreversible styles, in place |
//! | [`evaluate`] | leaks against what is known to be in a clip |
//! | [`attack`] | how far attackers get with what is left |
//! | [`gst`](mod@gst) | the GStreamer elements |
//! | [`media`] | files and pictures from end to end |
//! | [`audit`] | the tamper-evident record |
//! | [`credentials`] | a signed statement in an output of what was done to it (C2PA) |
//! | [`sandbox`] | what a process may reach |
//! | [`storage`] | what lies in object storage |
//! | [`verify`] | what a finished file holds beside its pictures |
//! | [`serve`] | cameras in, redacted streams and recordings out |
//! | [`batch`] | archives: every file once, with an account |
//!
//! Dependencies point one way: geometry, frame ← detect, track, redact, evaluate ← gst, storage ← media ← batch ← the program.
//! The library is also a GStreamer plugin (`libfloutage.so`).

pub mod attack;
pub mod audit;
pub mod batch;
pub mod credentials;
pub mod detect;
pub mod digest;
pub mod error;
pub mod evaluate;
pub mod frame;
pub mod geometry;
pub mod gst;
pub mod media;
pub mod redact;
pub mod sandbox;
pub mod serve;
pub mod storage;
pub mod track;
pub mod verify;

pub use error::{Error, Result};

::gst::plugin_define!(
    floutage,
    env!("CARGO_PKG_DESCRIPTION"),
    plugin_init,
    env!("CARGO_PKG_VERSION"),
    "MIT/X11",
    env!("CARGO_PKG_NAME"),
    env!("CARGO_PKG_NAME"),
    "floutage"
);

fn plugin_init(plugin: &::gst::Plugin) -> std::result::Result<(), glib::BoolError> {
    if let Some(file) = plugin.filename() {
        detect::places::loaded_as(file);
    }
    crate::gst::register(plugin)
}

/// Starts GStreamer with the elements of this library; can be called again.
///
/// Errors: [`Error::Media`] when GStreamer does not start.
pub fn init() -> Result<()> {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    ::gst::init().map_err(|error| Error::media("GStreamer", format!("does not start: {error}")))?;
    let mut outcome = Ok(());
    REGISTERED.call_once(|| {
        outcome = plugin_register_static()
            .map_err(|error| Error::media("GStreamer", format!("refuses the elements: {error}")));
    });
    outcome
}
