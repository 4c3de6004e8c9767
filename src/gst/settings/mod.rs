//! The elements' properties and pads, in one place so that the bin has the same ones.
//!
//! Invariant: a value that cannot be understood is never replaced by another one in silence. It is kept as
//! rejected, and an element with a rejected value refuses to start.

mod detector;
mod redactor;
mod tracker;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst_base::prelude::*;

use super::video;
use crate::error::Result;

pub use detector::{
    DETECT_EVERY, MOST_EVERY, detect_every_property, detector_properties, detector_property,
    set_detector_property,
};
pub use redactor::{
    gate_policy_property, policy_properties, redact_policy_properties, redactor_properties,
    redactor_property, set_redactor_property,
};
pub use tracker::{set_tracker_property, tracker_properties, tracker_property};

/// The property that reports what an element did.
pub const STATS: &str = "stats";

/// Values that could not be understood, by property.
#[derive(Clone, Debug, Default)]
pub struct Rejected(BTreeMap<String, String>);

impl Rejected {
    /// Notes the outcome of setting property `name`.
    pub fn note(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.0.remove(name),
            Err(error) => self.0.insert(name.to_owned(), error.to_string()),
        };
    }

    /// Err with every rejected value.
    pub fn check(&self) -> std::result::Result<(), gst::ErrorMessage> {
        if self.0.is_empty() {
            return Ok(());
        }
        let all: Vec<&str> = self.0.values().map(String::as_str).collect();
        Err(gst::error_msg!(
            gst::LibraryError::Settings,
            ("{}", all.join("; "))
        ))
    }
}

/// One always-present pad each way with the caps of [`video::caps`].
pub fn pad_templates() -> &'static [gst::PadTemplate] {
    static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
        [
            ("sink", gst::PadDirection::Sink),
            ("src", gst::PadDirection::Src),
        ]
        .into_iter()
        .filter_map(|(name, direction)| {
            gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &video::caps()).ok()
        })
        .collect()
    });
    &TEMPLATES
}

/// Has `element` see every buffer and change it in place.
pub fn work_in_place(element: &impl IsA<gst_base::BaseTransform>) {
    element.set_in_place(true);
    element.set_passthrough(false);
}

/// The read-only `stats` property.
pub fn stats_property() -> glib::ParamSpec {
    glib::ParamSpecBoxed::builder::<gst::Structure>(STATS)
        .nick("Statistics")
        .blurb("What the element did since it started")
        .read_only()
        .build()
}

pub(super) fn text(
    name: &'static str,
    nick: &'static str,
    blurb: &'static str,
    default: &'static str,
) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .default_value(Some(default))
        .mutable_ready()
        .build()
}

pub(super) fn number(
    name: &'static str,
    nick: &'static str,
    blurb: &'static str,
    (minimum, maximum, default): (f32, f32, f32),
) -> glib::ParamSpec {
    glib::ParamSpecFloat::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(minimum)
        .maximum(maximum)
        .default_value(default)
        .mutable_ready()
        .build()
}

pub(super) fn count(
    name: &'static str,
    nick: &'static str,
    blurb: &'static str,
    (minimum, maximum, default): (u32, u32, u32),
) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .nick(nick)
        .blurb(blurb)
        .minimum(minimum)
        .maximum(maximum)
        .default_value(default)
        .mutable_ready()
        .build()
}

pub(super) fn string(value: &glib::Value) -> String {
    value
        .get::<Option<String>>()
        .ok()
        .flatten()
        .unwrap_or_default()
}
