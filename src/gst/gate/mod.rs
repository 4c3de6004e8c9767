//! `floutagegate`: the last element before an encoder. Lets redacted buffers through and nothing else.
//!
//! A buffer without the marker "redacted", or of another size than when it was redacted, is filled and
//! counted (`on-unredacted=fill`), or ends the stream (`error`). Whatever is neither picture nor timing stays
//! here: metas (captions, user data, time codes, regions), tags, tables of contents, stream descriptions and
//! events of unknown meaning.
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=50 ! floutagebin ! floutagegate ! x264enc ! mp4mux ! filesink location=out.mp4
//! ```

mod imp;

use gst::glib;
use gst::prelude::*;

glib::wrapper! {
    /// The element. See the [module](self).
    pub struct FloutageGate(ObjectSubclass<imp::FloutageGate>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// What becomes of a buffer that is not marked as redacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FloutageOnUnredacted")]
#[repr(i32)]
pub enum OnUnredacted {
    /// The whole picture is filled.
    #[default]
    #[enum_value(name = "Fill the whole picture", nick = "fill")]
    Fill,
    /// The stream ends with an error.
    #[enum_value(name = "End the stream with an error", nick = "error")]
    Error,
}

pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "floutagegate",
        gst::Rank::NONE,
        FloutageGate::static_type(),
    )
}
