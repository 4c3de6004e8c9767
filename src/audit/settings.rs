//! Settings as an entry tells them.

use serde_json::{Value, json};

use crate::detect::DetectorSettings;
use crate::media::pipeline::Tracking;
use crate::redact;

/// What bears on what is found and what is left of it, by name; no names of files, and of zones their number only.
pub fn settings(
    detector: &DetectorSettings,
    tracking: &Tracking,
    redaction: &redact::Settings,
) -> Value {
    let class = |class: &redact::ClassSettings| {
        format!("{}, {}, margin {}", class.style, class.shape, class.margin)
    };
    // As it was given: 0.1, and not the next number that 32 bits can hold.
    let short = |value: f32| value.to_string().parse::<f64>().unwrap_or_default();
    let [red, green, blue] = redaction.fill_colour;
    json!({
        "face": class(&redaction.face),
        "plate": class(&redaction.plate),
        "cells": redaction.cells,
        "levels": redaction.levels,
        "feather": short(redaction.feather),
        "fill-colour": format!("{red:02x}{green:02x}{blue:02x}"),
        "zones": redaction.zones.len(),
        "face-threshold": detector.face_threshold.map(short),
        "plate-threshold": detector.plate_threshold.map(short),
        "track-threshold": detector.track_threshold.map(short),
        "iou-threshold": short(detector.iou_threshold),
        "input-size": format!("{:?}", detector.input_size),
        "scales": detector.scales.iter().copied().map(short).collect::<Vec<_>>(),
        "tiles": format!("{:?}", detector.tiles.layout),
        "provider": detector.provider.name(),
        "look-ahead": tracking.settings.look_ahead,
        "hold": tracking.settings.hold,
        "detect-every": tracking.detect_every,
    })
}
