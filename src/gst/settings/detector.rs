//! The properties of `floutagedetect`.

use std::path::PathBuf;
use std::str::FromStr;

use gst::glib;
use gst::prelude::*;

use super::{count, number, string, text};
use crate::detect::DetectorSettings;
use crate::error::{Error, Result};

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
            "track-threshold",
            "Track threshold",
            "Least confidence of a detection that may continue a track; -1: half of its class's in floutagebin, else that of its class",
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

/// The property that lets a tracker fill in frames.
pub const DETECT_EVERY: &str = "detect-every";

/// Most frames of which one is analysed.
pub const MOST_EVERY: u32 = 30;

/// The property [`DETECT_EVERY`].
pub fn detect_every_property() -> glib::ParamSpec {
    count(
        DETECT_EVERY,
        "Detect every",
        "Analyse one of so many frames, and any after a change of view; floutagetrack must follow and say what is in the others",
        (1, MOST_EVERY, 1),
    )
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
        "track-threshold" => changed.track_threshold = threshold(),
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
        "track-threshold" => threshold(settings.track_threshold),
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
