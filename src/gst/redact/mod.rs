//! `floutageredact`: redacts what the buffer's regions of interest name, and fills what was not analysed.
//!
//! A buffer whose marker says "analysed", with as many regions as it now has and the size it now has, is
//! redacted in place. Any other one is filled whole (`on-missing=fill`), ends the stream (`error`), or is
//! redacted as far as it has regions (`pass`, for foreign detectors that attach regions but no marker: a frame
//! in which such a detector failed goes out unredacted).
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=50 ! floutagedetect ! floutageredact style=mosaic ! floutagegate \
//!     ! videoconvert ! autovideosink
//! ```

mod frozen;
mod imp;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::error::Result as FloutageResult;
use crate::redact::Settings;

glib::wrapper! {
    /// The element. See the [module](self).
    pub struct FloutageRedact(ObjectSubclass<imp::FloutageRedact>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

/// What becomes of a buffer without proof that it was analysed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "FloutageOnMissing")]
#[repr(i32)]
pub enum OnMissing {
    /// The whole picture is filled.
    #[default]
    #[enum_value(name = "Fill the whole picture", nick = "fill")]
    Fill,
    /// The stream ends with an error.
    #[enum_value(name = "End the stream with an error", nick = "error")]
    Error,
    /// The regions on the buffer are redacted and the rest is trusted.
    #[enum_value(name = "Trust the regions of a foreign detector", nick = "pass")]
    Pass,
}

impl FloutageRedact {
    /// Sets every redaction property at once.
    ///
    /// Errors: a setting outside its range.
    pub fn set_settings(&self, settings: Settings) -> FloutageResult<()> {
        self.imp().set_settings(settings)
    }
}

pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "floutageredact",
        gst::Rank::NONE,
        FloutageRedact::static_type(),
    )
}
