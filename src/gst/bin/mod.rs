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

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::detect::FloutageDetect;
use super::redact::FloutageRedact;
use super::track::FloutageTrack;
use crate::track::decisions::Decisions;

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

    /// Redacts what `decisions` say, and looks for nothing. A frame of which they say nothing is filled.
    pub fn redact_by(&self, decisions: Arc<Decisions>) {
        // In this order: what is not looked at is filled unless it was decided.
        self.detect().look_at_nothing();
        self.track().set_decisions(decisions);
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
