//! Job files: what is to be done to an archive, in TOML.

use std::path::PathBuf;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Most tries of a file after the first.
pub const MOST_RETRIES: u32 = 100;
/// Most files at once.
pub const MOST_JOBS: usize = 256;

/// What happens to a finished file whose input, model or settings are others by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Changed {
    /// It is done again.
    #[default]
    Redo,
    /// It stays as it is and is reported.
    Report,
}

impl FromStr for Changed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "redo" => Ok(Self::Redo),
            "report" => Ok(Self::Report),
            _ => Err("must be `redo` or `report`".into()),
        }
    }
}

/// Files at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jobs {
    /// Measured.
    #[default]
    Auto,
    /// So many.
    Count(usize),
}

impl FromStr for Jobs {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => match number.parse() {
                Ok(count @ 1..=MOST_JOBS) => Ok(Self::Count(count)),
                _ => Err(format!("must be `auto` or a number from 1 to {MOST_JOBS}")),
            },
        }
    }
}

/// A job file. Paths are as they are named there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobFile {
    /// Files, folders, objects and patterns.
    pub inputs: Vec<String>,
    /// Lists of inputs.
    pub lists: Vec<PathBuf>,
    /// Manifests.
    pub manifests: Vec<PathBuf>,
    /// Folder to write to.
    pub output: Option<PathBuf>,
    /// Folder of journal and account.
    pub journal: Option<PathBuf>,
    /// The server of objects.
    pub endpoint: Option<String>,
    /// Files at once.
    #[serde(deserialize_with = "jobs")]
    pub jobs: Option<Jobs>,
    /// Tries of a file after the first, up to [`MOST_RETRIES`].
    #[serde(deserialize_with = "retries")]
    pub retries: Option<u32>,
    /// What happens to finished files that changed.
    #[serde(deserialize_with = "changed")]
    pub changed: Option<Changed>,
    /// Settings of `redact` by their names.
    pub settings: toml::Table,
}

impl JobFile {
    /// Reads a job file.
    ///
    /// Errors: what is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

fn jobs<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Jobs>, D::Error> {
    let value = toml::Value::deserialize(from)?;
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let wrong = |problem| D::Error::custom(format!("jobs = {value}: {problem}"));
    text.parse().map(Some).map_err(wrong)
}

fn retries<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    let retries = u32::deserialize(from)?;
    if retries > MOST_RETRIES {
        let problem = format!("retries = {retries}: must be from 0 to {MOST_RETRIES}");
        return Err(D::Error::custom(problem));
    }
    Ok(Some(retries))
}

fn changed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Changed>, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = |problem| D::Error::custom(format!("changed = {text:?}: {problem}"));
    text.parse().map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_job_file_says_is_read_and_what_is_wrong_is_named() {
        let job = JobFile::parse(
            "inputs = [\"a\"]\njobs = 3\nretries = 0\nchanged = \"report\"\n[settings]\nstyle = \"fill\"\n",
        )
        .unwrap();
        assert_eq!(job.jobs, Some(Jobs::Count(3)));
        assert_eq!((job.retries, job.changed), (Some(0), Some(Changed::Report)));
        assert_eq!(job.settings["style"].as_str(), Some("fill"));
        assert_eq!(JobFile::parse("").unwrap(), JobFile::default());
        let auto = JobFile::parse("jobs = \"auto\"").unwrap();
        assert_eq!(auto.jobs, Some(Jobs::Auto));
        for (wrong, word) in [
            ("jobs = 0", "jobs = 0: must be `auto`"),
            ("\njobs = 257", "line 2"),
            ("retries = 101", "from 0 to 100"),
            ("retries = -1", "retries"),
            ("changed = \"maybe\"", "`redo` or `report`"),
            ("input = 1", "unknown field"),
        ] {
            let error = JobFile::parse(wrong).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
