//! What is known of each model: `models.toml` and descriptions beside model files.
//!
//! Invariants: a [`ModelSpec`] has been validated, so that its numbers can be used as they are; a model file
//! whose SHA-256 is known is only handed out when its bytes have it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Class;
use super::heads::Head;
use super::letterbox::{ChannelOrder, Normalisation};
use super::places::Surroundings;
use crate::error::{Error, Result};

/// The registry of this program's version, used where no `models.toml` in a models folder says otherwise.
const BUILT_IN: &str = include_str!("../../models/models.toml");
/// Where [`BUILT_IN`] is from, for messages.
const BUILT_IN_ORIGIN: &str = "built-in models.toml";
/// Largest model or description file that is read, in bytes: a wrong path must not exhaust the memory.
const LARGEST_FILE: u64 = 1 << 30;

/// The validated description of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// What it is called in settings.
    pub name: String,
    /// Version of the weights; may be empty.
    pub version: String,
    /// True when it is used if no model is named.
    pub default: bool,
    /// File name, without folders.
    pub file: String,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: Option<String>,
    /// Licence of the weights; may be empty.
    pub licence: String,
    /// Who made the weights; may be empty.
    pub source: String,
    /// Official address of the file.
    pub url: Option<String>,
    /// Anything a user has to know; may be empty.
    pub note: String,
    /// How the outputs are read.
    pub head: Head,
    /// What each column of scores means; None: to be ignored.
    pub classes: Vec<Option<Class>>,
    /// What the input's numbers are.
    pub normalisation: Normalisation,
    /// Width and height of the input are multiples of this many pixels.
    pub multiple: usize,
    /// Width and height of the input in pixels, where the file takes no other.
    pub size: Option<[usize; 2]>,
    /// Confidence from which a detection counts, for each class of `classes`.
    pub thresholds: BTreeMap<Class, f32>,
    /// Where the description is from, for messages.
    pub origin: String,
}

/// A model whose file has been found and read.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// Its description.
    pub spec: ModelSpec,
    /// Its file.
    pub path: PathBuf,
    /// The file's content, whose SHA-256 is the described one.
    pub bytes: Vec<u8>,
}

/// All known models and the folders in which their files are looked for.
#[derive(Clone, Debug)]
pub struct Registry {
    folders: Vec<PathBuf>,
    specs: Vec<ModelSpec>,
}

impl Registry {
    /// Reads `models.toml` of every models folder (see [`Surroundings::models_folders`]) and the built-in
    /// one; of several descriptions of one name the first counts.
    ///
    /// Errors: `explicit` or `FLOUTAGE_MODELS_DIR` is no folder; a `models.toml` is unreadable or wrong.
    pub fn load(explicit: Option<&Path>) -> Result<Self> {
        Self::load_from(&Surroundings::current(), explicit)
    }

    /// [`Registry::load`] with given surroundings.
    pub fn load_from(surroundings: &Surroundings, explicit: Option<&Path>) -> Result<Self> {
        for (name, folder) in [
            ("models-dir", explicit),
            ("FLOUTAGE_MODELS_DIR", surroundings.models.as_deref()),
        ] {
            if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                return Err(Error::setting(name, folder.display(), "an existing folder"));
            }
        }
        let folders = surroundings.models_folders(explicit);
        let mut specs: Vec<ModelSpec> = Vec::new();
        let mut add = |more: Vec<ModelSpec>| {
            for spec in more {
                if !specs.iter().any(|known| known.name == spec.name) {
                    specs.push(spec);
                }
            }
        };
        for folder in &folders {
            let path = folder.join("models.toml");
            if path.is_file() {
                add(parse(&read_text(&path)?, &path.display().to_string())?);
            }
        }
        add(parse(BUILT_IN, BUILT_IN_ORIGIN)?);
        Ok(Self { folders, specs })
    }

    /// Every known model.
    pub fn specs(&self) -> &[ModelSpec] {
        &self.specs
    }

    /// The model called `name`.
    ///
    /// Errors: [`Error::Model`] that lists the known names.
    pub fn spec(&self, name: &str) -> Result<&ModelSpec> {
        self.specs
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| {
                let known: Vec<&str> = self.specs.iter().map(|spec| spec.name.as_str()).collect();
                Error::model(
                    name,
                    format!(
                        "not known; known are {}; a path to an .onnx file is taken as well",
                        known.join(", ")
                    ),
                )
            })
    }

    /// Names of the models used when none is named.
    pub fn defaults(&self) -> Vec<String> {
        let defaults = self.specs.iter().filter(|spec| spec.default);
        defaults.map(|spec| spec.name.clone()).collect()
    }

    /// The file of `spec`, where one of the folders has it.
    pub fn file(&self, spec: &ModelSpec) -> Option<PathBuf> {
        let candidates = self.folders.iter().map(|folder| folder.join(&spec.file));
        candidates.into_iter().find(|path| path.is_file())
    }

    /// The model with this SHA-256.
    pub fn with_sha256(&self, sha256: &str) -> Option<&ModelSpec> {
        self.specs
            .iter()
            .find(|spec| spec.sha256.as_deref() == Some(sha256))
    }

    /// Finds and reads `model`: a name of the registry, or a path to an ONNX file. What a file is follows
    /// from the `.toml` of the same name beside it, else from the registry by its SHA-256.
    ///
    /// Errors: [`Error::Model`] for an unknown name, a missing or undescribed file, or a SHA-256 that differs;
    /// [`Error::Io`] for an unreadable file.
    pub fn open(&self, model: &str) -> Result<LoadedModel> {
        if let Some(spec) = self.specs.iter().find(|spec| spec.name == model) {
            return self.open_known(spec);
        }
        let path = Path::new(model);
        let is_path = model.contains(std::path::MAIN_SEPARATOR)
            || path.extension().is_some_and(|e| e == "onnx");
        if is_path {
            return self.open_path(path);
        }
        Err(match self.spec(model) {
            Err(error) => error,
            Ok(_) => Error::model(model, "not known"),
        })
    }

    fn open_known(&self, spec: &ModelSpec) -> Result<LoadedModel> {
        let Some(path) = self.file(spec) else {
            let remedy = if spec.url.is_some() {
                format!(
                    "fetch it with `floutage models pull {}`, or name its folder with --models-dir",
                    spec.name
                )
            } else {
                "name its folder with --models-dir or FLOUTAGE_MODELS_DIR".into()
            };
            let folders: Vec<String> = self
                .folders
                .iter()
                .map(|folder| folder.display().to_string())
                .collect();
            return Err(Error::model(
                &spec.name,
                format!(
                    "its file {} is in none of {}; {remedy}",
                    spec.file,
                    folders.join(", ")
                ),
            ));
        };
        checked(spec.clone(), path)
    }

    fn open_path(&self, path: &Path) -> Result<LoadedModel> {
        let shown = path.display().to_string();
        if !path.is_file() {
            return Err(Error::model(shown, "there is no such file"));
        }
        let beside = path.with_extension("toml");
        if beside.is_file() {
            let spec = parse_beside(&read_text(&beside)?, &beside, path)?;
            return checked(spec, path.to_path_buf());
        }
        let bytes = read_file(path)?;
        match self.with_sha256(&sha256_of(&bytes)) {
            Some(spec) => Ok(LoadedModel {
                spec: spec.clone(),
                path: path.to_path_buf(),
                bytes,
            }),
            None => Err(Error::model(
                &shown,
                format!(
                    "nothing says how to read its outputs: write {} (at least head, classes, [input] and \
                     [thresholds]; the keys are those of models.toml); `floutage models inspect {shown}` says \
                     which head would fit",
                    beside.display()
                ),
            )),
        }
    }
}

/// Reads the file of `spec` and checks its SHA-256.
fn checked(spec: ModelSpec, path: PathBuf) -> Result<LoadedModel> {
    let bytes = read_file(&path)?;
    if let Some(expected) = &spec.sha256 {
        let actual = sha256_of(&bytes);
        if actual != *expected {
            return Err(Error::model(
                &spec.name,
                format!(
                    "{} has sha256 {actual}, but {} says {expected}: this is not the described file; replace it",
                    path.display(),
                    spec.origin
                ),
            ));
        }
    }
    Ok(LoadedModel { spec, path, bytes })
}

/// SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// `bytes` in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of a regular file of a reasonable size.
///
/// Errors: [`Error::Io`] when it cannot be read, [`Error::Model`] when it is no file or too large.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, "reading", e))?;
    let problem = if !metadata.is_file() {
        "is not a file"
    } else if metadata.len() > LARGEST_FILE {
        "is larger than 1 GiB"
    } else {
        return std::fs::read(path).map_err(|e| Error::io(path, "reading", e));
    };
    Err(Error::model(path.display().to_string(), problem))
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_file(path)?)
        .map_err(|_| Error::model(path.display().to_string(), "is not UTF-8 text"))
}

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
fn parse_beside(text: &str, path: &Path, file: &Path) -> Result<ModelSpec> {
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

#[cfg(test)]
mod tests;
