//! Descriptions of models as they are written, in TOML.
//!
//! Invariant: what is handed out has been checked value by value; a message names entry, key, value and what is allowed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::ModelSpec;
use crate::detect::Class;
use crate::detect::heads::Head;
use crate::detect::letterbox::{ChannelOrder, Normalisation};
use crate::error::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    model: Vec<RawModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Option<String>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    default: bool,
    file: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    licence: String,
    #[serde(default)]
    source: String,
    url: Option<String>,
    #[serde(default)]
    note: String,
    head: String,
    classes: Vec<String>,
    input: RawInput,
    thresholds: BTreeMap<String, f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    order: String,
    mean: [f32; 3],
    scale: [f32; 3],
    #[serde(default = "default_multiple")]
    multiple: usize,
    size: Option<[usize; 2]>,
}

fn default_multiple() -> usize {
    32
}

/// The models of a `models.toml`; `origin` names it in messages.
///
/// Errors: [`Error::Model`] with the entry, key, value and what is allowed.
pub fn parse(text: &str, origin: &str) -> Result<Vec<ModelSpec>> {
    let raw: RawFile = toml::from_str(text).map_err(|e| syntax(origin, &e))?;
    let mut specs: Vec<ModelSpec> = Vec::new();
    for (index, model) in raw.model.into_iter().enumerate() {
        let entry = match &model.name {
            Some(name) => format!("{origin}, model {name}"),
            None => format!("{origin}, model number {}", index + 1),
        };
        for (key, missing) in [
            ("name", model.name.is_none()),
            ("file", model.file.is_none()),
            ("sha256", model.sha256.is_none()),
        ] {
            if missing {
                return Err(Error::model(entry, format!("{key} is missing")));
            }
        }
        let spec = validate(model, "", origin, &entry)?;
        if specs.iter().any(|known| known.name == spec.name) {
            return Err(Error::model(entry, "name is used twice"));
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// The description beside the model file `file`: one model's keys, without `[[model]]`; name and file follow
/// from the file.
pub(super) fn parse_beside(text: &str, path: &Path, file: &Path) -> Result<ModelSpec> {
    let origin = path.display().to_string();
    let model: RawModel = toml::from_str(text).map_err(|e| syntax(&origin, &e))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if model.file.as_deref().is_some_and(|file| file != name) {
        return Err(Error::model(
            origin,
            format!("file must be {name} or left out"),
        ));
    }
    let stem = name.strip_suffix(".onnx").unwrap_or(&name).to_string();
    validate(model, &stem, &origin, &origin)
}

fn syntax(origin: &str, error: &toml::de::Error) -> Error {
    Error::model(origin, error.to_string().trim_end().to_string())
}

/// Checks every value; `stem` is the name where none is given and `entry` says in messages what is checked.
fn validate(raw: RawModel, stem: &str, origin: &str, entry: &str) -> Result<ModelSpec> {
    let wrong = |key: &str, value: &dyn std::fmt::Debug, allowed: &str| {
        Error::model(entry, format!("{key} = {value:?}: must be {allowed}"))
    };
    let name = raw.name.unwrap_or_else(|| stem.to_string());
    if name.is_empty() || name.contains(['/', '\\', ',']) || name.contains(char::is_whitespace) {
        return Err(wrong("name", &name, "without blanks, commas or slashes"));
    }
    let file = raw.file.unwrap_or_else(|| format!("{stem}.onnx"));
    // `pull` writes to it: it must not lead out of the folder.
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\', '\0']) {
        return Err(wrong("file", &file, "a plain file name, no path"));
    }
    if let Some(sum) = &raw.sha256 {
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if sum.len() != 64 || !sum.chars().all(digits) {
            return Err(wrong("sha256", sum, "64 hexadecimal digits in lower case"));
        }
    }
    if let Some(url) = &raw.url {
        let local = url.starts_with("http://127.0.0.1:") || url.starts_with("http://localhost:");
        if !url.starts_with("https://") && !local {
            return Err(wrong("url", url, "an https address"));
        }
    }
    let head: Head = raw
        .head
        .parse()
        .map_err(|error: Error| Error::model(entry, error.to_string()))?;
    let classes = raw
        .classes
        .iter()
        .map(|class| match class.as_str() {
            "ignore" => Ok(None),
            class => class
                .parse()
                .map(Some)
                .map_err(|_| wrong("classes", &class, "face, plate or ignore each")),
        })
        .collect::<Result<Vec<Option<Class>>>>()?;
    if classes.iter().flatten().next().is_none() {
        return Err(wrong("classes", &raw.classes, "at least one face or plate"));
    }
    if let Some(columns) = head.columns().filter(|&columns| columns != classes.len()) {
        let allowed = format!("{columns} long for the head {head}");
        return Err(wrong("classes", &raw.classes, &allowed));
    }
    let thresholds = thresholds(&raw.thresholds, &classes, &wrong)?;
    let input = raw.input;
    let order = match input.order.as_str() {
        "bgr" => ChannelOrder::Bgr,
        "rgb" => ChannelOrder::Rgb,
        other => return Err(wrong("input.order", &other, "bgr or rgb")),
    };
    if !input.mean.iter().all(|v| (-1e4..=1e4).contains(v)) {
        return Err(wrong("input.mean", &input.mean, "-10000 to 10000 each"));
    }
    if !input.scale.iter().all(|v| (1e-6..=1e4).contains(v)) {
        return Err(wrong("input.scale", &input.scale, "0.000001 to 10000 each"));
    }
    if !(1..=256).contains(&input.multiple) {
        return Err(wrong("input.multiple", &input.multiple, "1 to 256"));
    }
    if let Some(size) = input.size
        && !size.iter().all(|side| (8..=8192).contains(side))
    {
        return Err(wrong("input.size", &size, "8 to 8192 each"));
    }
    Ok(ModelSpec {
        name,
        version: raw.version,
        default: raw.default,
        file,
        sha256: raw.sha256,
        licence: raw.licence,
        source: raw.source,
        url: raw.url,
        note: raw.note,
        head,
        classes,
        normalisation: Normalisation {
            order,
            mean: input.mean,
            scale: input.scale,
        },
        multiple: input.multiple,
        size: input.size,
        thresholds,
        origin: origin.to_string(),
    })
}

/// One threshold for each class the model finds, and for no other.
fn thresholds(
    raw: &BTreeMap<String, f32>,
    classes: &[Option<Class>],
    wrong: &dyn Fn(&str, &dyn std::fmt::Debug, &str) -> Error,
) -> Result<BTreeMap<Class, f32>> {
    let mut thresholds = BTreeMap::new();
    for (name, &value) in raw {
        let key = format!("thresholds.{name}");
        let class = name.parse::<Class>().ok();
        let Some(class) = class.filter(|class| classes.contains(&Some(*class))) else {
            return Err(wrong(&key, &value, "for a class listed in classes"));
        };
        if !(0.01..=0.99).contains(&value) {
            return Err(wrong(&key, &value, "0.01 to 0.99"));
        }
        thresholds.insert(class, value);
    }
    for class in classes.iter().flatten() {
        if !thresholds.contains_key(class) {
            return Err(wrong(
                "thresholds",
                raw,
                &format!("given for {class}, 0.01 to 0.99"),
            ));
        }
    }
    Ok(thresholds)
}
