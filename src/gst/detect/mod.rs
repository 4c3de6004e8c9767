//! `floutagedetect`: finds faces and licence plates and says so on the buffer.
//!
//! Each buffer gets one `GstVideoRegionOfInterestMeta` per detection (type `face` or `plate`, a `detection`
//! structure with its `confidence`) and the marker: analysed, with the number of regions, or failed. Pixels
//! are not touched. A detector that fails leaves the buffer marked as failed; the stream goes on.
//!
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! floutagedetect ! queue \
//!     ! floutageredact ! floutagegate ! x264enc ! mp4mux ! filesink location=out.mp4
//! ```

mod imp;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::detect::SharedDetector;

glib::wrapper! {
    /// The element. See the [module](self).
    pub struct FloutageDetect(ObjectSubclass<imp::FloutageDetect>)
        @extends gst_base::BaseTransform, gst::Element, gst::Object;
}

impl FloutageDetect {
    /// Says that a tracker follows, which makes use of detections under the threshold of their class.
    pub fn set_tracked(&self) {
        self.imp().set_tracked();
    }

    /// Has frames that are marked as corrupted (`GST_BUFFER_FLAG_CORRUPTED`) filled, not analysed.
    pub fn fill_damaged(&self) {
        self.imp().fill_damaged();
    }

    /// Opens no model and puts no marker on any buffer, so that whatever nobody else decides about is filled.
    pub fn look_at_nothing(&self) {
        self.imp().look_at_nothing();
    }

    /// Uses `detector` in place of the one that the model properties describe, from the next start on.
    pub fn set_detector(&self, detector: SharedDetector) {
        self.imp().set_detector(detector);
    }
}

pub(super) fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    gst::Element::register(
        Some(plugin),
        "floutagedetect",
        gst::Rank::NONE,
        FloutageDetect::static_type(),
    )
}
