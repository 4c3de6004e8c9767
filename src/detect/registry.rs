//! What is known of each model: `models.toml` and descriptions beside model files.
//!
//! Invariants: a [`ModelSpec`] has been validated, so that its numbers can be used as they are; a model file
//! whose SHA-256 is known is only handed out when its bytes have it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Class;
use super::heads::Head;
use super::letterbox::Normalisation;
use super::places::Surroundings;
use crate::digest::sha256_of;
use crate::error::{Error, Result};

mod description;

pub use description::parse;

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
            let spec = description::parse_beside(&read_text(&beside)?, &beside, path)?;
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

#[cfg(test)]
mod tests;
