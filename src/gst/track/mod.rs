//! `floutagetrack`: joins detections to tracks, and redacts a track before, between and after its detections.
//!
//! `look-ahead` buffers wait inside. What is detected in a later one becomes a region of the waiting ones, too; regions stay
//! for `hold` buffers after their last detection. A buffer that the detector left out (`detect-every`) gets its regions
//! here. Buffers without a marker, or whose regions are not those that the detector put on, pass as they are: the redactor
//! fills them.
//!
//! Everything keeps its order: serialised events wait with the buffers, and whatever changes what buffers mean (caps, segment,
//! stream, end) drains them first. The latency is the look-ahead at the stream's frame rate.
//!
//! ```text
//! gst-launch-1.0 videotestsrc num-buffers=50 ! floutagedetect ! floutagetrack look-ahead=25 ! floutageredact \
//!     ! floutagegate ! videoconvert ! autovideosink
//! ```

mod imp;

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::error::Result as FloutageResult;
use crate::track::Settings;
use crate::track::decisions::Decisions;

glib::wrapper! {
    /// The element. See the [module](self).
    pub struct FloutageTrack(ObjectSubclass<imp::FloutageTrack>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl FloutageTrack {
    /// Every tracking property, as it is at the next start.
    pub fn settings(&self) -> Settings {
        self.imp().settings()
    }

    /// Sets every tracking property at once, from the next start on.
    ///
    /// Errors: a setting outside its range.
    pub fn set_settings(&self, settings: Settings) -> FloutageResult<()> {
        self.imp().set_settings(settings)
    }

    /// Gives each buffer the regions of `decisions`, and waits for none. A buffer of which they say nothing stays as it is.
    pub fn set_decisions(&self, decisions: Arc<Decisions>) {
        self.imp().set_decisions(decisions);
    }
}

pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "floutagetrack",
        gst::Rank::NONE,
        FloutageTrack::static_type(),
    )
}
