//! Small steps of putting GStreamer elements together.

use gst::glib;
use gst::prelude::*;

use crate::error::{Error, Result};

/// A new element.
///
/// Errors: [`Error::Media`] when it is not installed.
pub fn make(name: &str) -> Result<gst::Element> {
    gst::ElementFactory::make(name).build().map_err(|_| {
        Error::media(
            name,
            "this GStreamer element is not installed; `floutage doctor` says how to get it",
        )
    })
}

/// What went wrong between elements.
pub fn wiring(error: glib::BoolError) -> Error {
    Error::media("pipeline", error.to_string())
}

/// A queue bounded by one quantity; 0 leaves that one unbounded.
pub fn queue(buffers: u32, bytes: u32) -> Result<gst::Element> {
    let queue = make("queue")?;
    queue.set_property("max-size-buffers", buffers);
    queue.set_property("max-size-bytes", bytes);
    queue.set_property("max-size-time", 0u64);
    Ok(queue)
}

/// A sink that throws everything away.
pub fn discard() -> Result<gst::Element> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    Ok(sink)
}

/// The pad `name` of `element`.
pub fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad> {
    element
        .static_pad(name)
        .ok_or_else(|| Error::media(element.name().as_str(), format!("has no {name} pad")))
}
