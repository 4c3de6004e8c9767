//! The properties of `floutageredact` and `floutagegate`.

use gst::glib;
use gst::prelude::*;

use super::{count, number, string, text};
use crate::error::{Error, Result};
use crate::gst::gate::OnUnredacted;
use crate::gst::redact::OnMissing;
use crate::redact::{self, ClassSettings};

/// The property that lets weak settings be used.
const ACCEPT: &str = "i-accept-reversible";

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
            "Levels per channel of a cell; 1 leaves nothing of the original, more needs i-accept-reversible or the style fill",
            (1, 32, defaults.levels as u32),
        ),
        glib::ParamSpecBoolean::builder(ACCEPT)
            .nick("I accept reversible")
            .blurb("Redact with settings of which attackers can tell faces or read plates, instead of refusing to start")
            .mutable_ready()
            .build(),
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
        ACCEPT => changed.accept_reversible = value.get().unwrap_or_default(),
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
        ACCEPT => settings.accept_reversible.to_value(),
        _ => settings
            .zones
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
            .to_value(),
    }
}
