//! The elements' properties and pads, in one place so that the bin has the same ones.
//!
//! Invariant: a value that cannot be understood is never replaced by another one in silence. It is kept as
//! rejected, and an element with a rejected value refuses to start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst_base::prelude::*;

use super::gate::OnUnredacted;
use super::redact::OnMissing;
use super::video;
use crate::detect::DetectorSettings;
use crate::error::{Error, Result};
use crate::redact::{self, ClassSettings};

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
            ["{}", all.join("; ")]
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

fn text(
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

fn number(
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

fn count(
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

/// The detector's properties.
pub fn detector_properties() -> Vec<glib::ParamSpec> {
    let iou = DetectorSettings::default().iou_threshold;
    let own = (-1.0, 1.0, -1.0);
    vec![
        text(
            "model",
            "Model",
            "Names or files of models, separated by commas; empty: the default model",
            "",
        ),
        text(
            "models-dir",
            "Models folder",
            "Folder with models.toml; empty: looked for",
            "",
        ),
        number(
            "confidence-threshold",
            "Confidence threshold",
            "Least confidence of a detection of any class; -1: each model's own",
            own,
        ),
        number(
            "face-threshold",
            "Face threshold",
            "Least confidence of a face; -1: each model's own",
            own,
        ),
        number(
            "plate-threshold",
            "Plate threshold",
            "Least confidence of a licence plate; -1: each model's own",
            own,
        ),
        number(
            "iou-threshold",
            "IoU threshold",
            "Overlap from which two detections of a class are one",
            (0.0, 1.0, iou),
        ),
        text(
            "input-size",
            "Input size",
            "Long side of the model's input in pixels, a multiple of 32, or native",
            "640",
        ),
        text(
            "scales",
            "Scales",
            "Factors of the input size at which each frame is analysed, separated by commas",
            "1",
        ),
        text(
            "tiles",
            "Tiles",
            "Tiles into which a frame is cut: none, auto, or COLUMNSxROWS",
            "none",
        ),
        count(
            "inference-threads",
            "Inference threads",
            "Threads of one model run; 0: chosen by the number of cores",
            (0, 1024, 0),
        ),
        text(
            "provider",
            "Execution provider",
            "cpu, cuda, tensorrt or openvino",
            "cpu",
        ),
    ]
}

fn string(value: &glib::Value) -> String {
    value
        .get::<Option<String>>()
        .ok()
        .flatten()
        .unwrap_or_default()
}

fn list<T: FromStr>(name: &'static str, value: &str, allowed: &str) -> Result<Vec<T>> {
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse()
                .map_err(|_| Error::setting(name, part, allowed))
        })
        .collect()
}

/// Sets detector property `name`.
///
/// Errors: a value that cannot be understood; `settings` is then as before.
pub fn set_detector_property(
    settings: &mut DetectorSettings,
    name: &str,
    value: &glib::Value,
) -> Result<()> {
    let threshold = || value.get::<f32>().ok().filter(|value| *value >= 0.0);
    let mut changed = settings.clone();
    match name {
        "model" => changed.models = list("model", &string(value), "a name or a file")?,
        "models-dir" => {
            changed.models_dir = Some(string(value))
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from)
        }
        "confidence-threshold" => {
            changed.face_threshold = threshold();
            changed.plate_threshold = threshold();
        }
        "face-threshold" => changed.face_threshold = threshold(),
        "plate-threshold" => changed.plate_threshold = threshold(),
        "iou-threshold" => changed.iou_threshold = value.get().unwrap_or(changed.iou_threshold),
        "input-size" => changed.input_size = string(value).parse()?,
        "scales" => changed.scales = list("scales", &string(value), "numbers separated by commas")?,
        "tiles" => changed.tiles.layout = string(value).parse()?,
        "inference-threads" => changed.threads = value.get::<u32>().unwrap_or(0) as usize,
        "provider" => changed.provider = string(value).parse()?,
        _ => return Err(Error::setting("property", name, "one of the element's own")),
    }
    changed.validate()?;
    *settings = changed;
    Ok(())
}

/// The value of detector property `name`.
pub fn detector_property(settings: &DetectorSettings, name: &str) -> glib::Value {
    let threshold = |value: Option<f32>| value.unwrap_or(-1.0).to_value();
    match name {
        "model" => settings.models.join(",").to_value(),
        "models-dir" => settings
            .models_dir
            .as_ref()
            .map(|dir| dir.display().to_string())
            .to_value(),
        "confidence-threshold" if settings.face_threshold == settings.plate_threshold => {
            threshold(settings.face_threshold)
        }
        "confidence-threshold" => threshold(None),
        "face-threshold" => threshold(settings.face_threshold),
        "plate-threshold" => threshold(settings.plate_threshold),
        "iou-threshold" => settings.iou_threshold.to_value(),
        "input-size" => settings.input_size.to_string().to_value(),
        "scales" => join(&settings.scales).to_value(),
        "tiles" => settings.tiles.layout.to_string().to_value(),
        "inference-threads" => (settings.threads as u32).to_value(),
        _ => settings.provider.to_string().to_value(),
    }
}

fn join<T: ToString>(values: &[T]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// The redactor's properties.
pub fn redactor_properties() -> Vec<glib::ParamSpec> {
    let defaults = redact::Settings::default();
    let margin = |class: &ClassSettings| (0.0, 3.0, class.margin);
    vec![
        text(
            "style",
            "Style",
            "Style of every class: blur, mosaic or fill; empty: each class's own",
            "",
        ),
        text("face-style", "Face style", "blur, mosaic or fill", "blur"),
        text("plate-style", "Plate style", "blur, mosaic or fill", "fill"),
        text(
            "face-shape",
            "Face shape",
            "rectangle or ellipse (the one around the rectangle)",
            "ellipse",
        ),
        text(
            "plate-shape",
            "Plate shape",
            "rectangle or ellipse (the one around the rectangle)",
            "rectangle",
        ),
        number(
            "margin",
            "Margin",
            "Share by which every region's width and height grow; -1: each class's own",
            (-1.0, 3.0, -1.0),
        ),
        number(
            "face-margin",
            "Face margin",
            "Share by which a face's width and height grow",
            margin(&defaults.face),
        ),
        number(
            "plate-margin",
            "Plate margin",
            "Share by which a plate's width and height grow",
            margin(&defaults.plate),
        ),
        number(
            "feather",
            "Feather",
            "Width of the soft edge outside the mask, as a share of the region",
            (0.0, 1.0, defaults.feather),
        ),
        count(
            "cells",
            "Cells",
            "Cells per side of blur and mosaic",
            (1, 4, defaults.cells as u32),
        ),
        count(
            "levels",
            "Levels",
            "Levels per channel of a cell",
            (2, 32, defaults.levels as u32),
        ),
        text(
            "zones",
            "Privacy zones",
            "Polygons that are always filled: X,Y X,Y X,Y; X,Y ... as shares of width and height",
            "",
        ),
    ]
}

/// The properties of `floutageredact` and `floutagegate` that say what becomes of unproven buffers, and `draw`.
pub fn policy_properties() -> Vec<glib::ParamSpec> {
    let mut properties = redact_policy_properties();
    properties.push(gate_policy_property());
    properties
}

/// The properties of `floutageredact` beside those of the redactor itself.
pub fn redact_policy_properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecEnum::builder_with_default("on-missing", OnMissing::default())
            .nick("On missing proof")
            .blurb("What becomes of a buffer without proof that it was analysed")
            .mutable_ready()
            .build(),
        glib::ParamSpecBoolean::builder("draw")
            .nick("Draw")
            .blurb("Draw the regions' outlines on the redacted picture")
            .mutable_ready()
            .build(),
    ]
}

/// The property of `floutagegate`.
pub fn gate_policy_property() -> glib::ParamSpec {
    glib::ParamSpecEnum::builder_with_default("on-unredacted", OnUnredacted::default())
        .nick("On an unredacted buffer")
        .blurb("What becomes of a buffer that is not marked as redacted")
        .mutable_ready()
        .build()
}

/// Sets redactor property `name`.
///
/// Errors: a value that cannot be understood; `settings` is then as before.
pub fn set_redactor_property(
    settings: &mut redact::Settings,
    name: &str,
    value: &glib::Value,
) -> Result<()> {
    let mut changed = settings.clone();
    let margin = |current: f32| {
        value
            .get::<f32>()
            .ok()
            .filter(|value| *value >= 0.0)
            .unwrap_or(current)
    };
    let whole = || value.get::<u32>().unwrap_or(0) as usize;
    match name {
        "style" => {
            let given = string(value);
            if !given.is_empty() {
                changed.face.style = given.parse()?;
                changed.plate.style = changed.face.style;
            }
        }
        "face-style" => changed.face.style = string(value).parse()?,
        "plate-style" => changed.plate.style = string(value).parse()?,
        "face-shape" => changed.face.shape = string(value).parse()?,
        "plate-shape" => changed.plate.shape = string(value).parse()?,
        "margin" => {
            changed.face.margin = margin(changed.face.margin);
            changed.plate.margin = margin(changed.plate.margin);
        }
        "face-margin" => changed.face.margin = margin(changed.face.margin),
        "plate-margin" => changed.plate.margin = margin(changed.plate.margin),
        "feather" => changed.feather = value.get().unwrap_or(changed.feather),
        "cells" => changed.cells = whole(),
        "levels" => changed.levels = whole(),
        "zones" => {
            changed.zones = string(value)
                .split(';')
                .map(str::trim)
                .filter(|zone| !zone.is_empty())
                .map(str::parse)
                .collect::<Result<_>>()?;
        }
        _ => return Err(Error::setting("property", name, "one of the element's own")),
    }
    changed.validate()?;
    *settings = changed;
    Ok(())
}

/// The value of redactor property `name`.
pub fn redactor_property(settings: &redact::Settings, name: &str) -> glib::Value {
    let (face, plate) = (&settings.face, &settings.plate);
    match name {
        "style" if face.style == plate.style => face.style.to_string().to_value(),
        "style" => "".to_value(),
        "face-style" => face.style.to_string().to_value(),
        "plate-style" => plate.style.to_string().to_value(),
        "face-shape" => face.shape.to_string().to_value(),
        "plate-shape" => plate.shape.to_string().to_value(),
        "margin" if face.margin == plate.margin => face.margin.to_value(),
        "margin" => (-1f32).to_value(),
        "face-margin" => face.margin.to_value(),
        "plate-margin" => plate.margin.to_value(),
        "feather" => settings.feather.to_value(),
        "cells" => (settings.cells as u32).to_value(),
        "levels" => (settings.levels as u32).to_value(),
        _ => settings
            .zones
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
            .to_value(),
    }
}
