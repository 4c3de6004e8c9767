//! The properties of `floutagetrack`.

use gst::glib;
use gst::prelude::*;

use super::count;
use crate::error::{Error, Result};
use crate::track::{MOST_FRAMES, Settings};

/// The tracker's properties.
pub fn tracker_properties() -> Vec<glib::ParamSpec> {
    let Settings { look_ahead, hold } = Settings::default();
    let most = MOST_FRAMES as u32;
    vec![
        count(
            "look-ahead",
            "Look-ahead",
            "Frames that wait so that what is detected later is redacted in them too",
            (0, most, look_ahead as u32),
        ),
        count(
            "hold",
            "Hold",
            "Frames for which a region stays redacted after it was last detected",
            (0, most, hold as u32),
        ),
    ]
}

/// Sets tracker property `name`.
///
/// Errors: a value that cannot be understood; `settings` is then as before.
pub fn set_tracker_property(
    settings: &mut Settings,
    name: &str,
    value: &glib::Value,
) -> Result<()> {
    let mut changed = *settings;
    let frames = value.get::<u32>().unwrap_or(0) as usize;
    match name {
        "look-ahead" => changed.look_ahead = frames,
        "hold" => changed.hold = frames,
        _ => return Err(Error::setting("property", name, "one of the element's own")),
    }
    changed.validate()?;
    *settings = changed;
    Ok(())
}

/// The value of tracker property `name`.
pub fn tracker_property(settings: &Settings, name: &str) -> glib::Value {
    match name {
        "look-ahead" => (settings.look_ahead as u32).to_value(),
        _ => (settings.hold as u32).to_value(),
    }
}
