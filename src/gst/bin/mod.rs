//! `floutagebin`: detect, track, redact and gate in a row, so that nothing can sit between them.
//!
//! It has the properties of the elements inside. A queue behind the detector lets detection and redaction of
//! successive frames run at the same time.
//!
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! floutagebin style=fill \
//!     ! x264enc ! mp4mux ! filesink location=out.mp4
//! ```

mod imp;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::detect::FloutageDetect;
use super::redact::FloutageRedact;
use super::track::FloutageTrack;

glib::wrapper! {
    /// The element. See the [module](self).
    pub struct FloutageBin(ObjectSubclass<imp::FloutageBin>)
        @extends gst::Bin, gst::Element, gst::Object,
        @implements gst::ChildProxy;
}

impl FloutageBin {
    /// The detector inside.
    pub fn detect(&self) -> &FloutageDetect {
        self.imp().detect()
    }

    /// The tracker inside.
    pub fn track(&self) -> &FloutageTrack {
        self.imp().track()
    }

    /// The redactor inside.
    pub fn redact(&self) -> &FloutageRedact {
        self.imp().redact()
    }
}

pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "floutagebin",
        gst::Rank::NONE,
        FloutageBin::static_type(),
    )
}
