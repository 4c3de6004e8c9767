//! Which file becomes which, with which settings, and which shard does it.
//!
//! Invariant: every file of a plan belongs to exactly one shard, and the same files with the same lengths are shared out
//! the same way whatever order they come in.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::identity::hash_text;
use crate::error::{Error, Result};

/// One file to redact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The file to read.
    pub input: String,
    /// The file to write.
    pub output: String,
    /// The settings as they were given, in the form of the command line.
    pub arguments: Vec<String>,
    /// All settings that bear on the result, by name.
    pub settings: BTreeMap<String, String>,
    /// Hash of the models' content and descriptions.
    pub model_hash: String,
    /// Names and SHA-256 of the models, for people.
    pub models: String,
    /// Bytes of the input.
    pub size: u64,
    /// Length of the video in seconds; 0 for pictures, and where it is not known.
    pub duration_s: f64,
}

impl Item {
    /// Hash of the settings.
    pub fn settings_hash(&self) -> String {
        let lines: String = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}\n"))
            .collect();
        hash_text(&lines)
    }
}

/// The whole work of several machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub version: u32,
    /// Number of shards.
    pub shards: usize,
    /// What input folders hold beside that, with the reason.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Every file, ordered by output, with the shard it belongs to, from 0.
    pub files: Vec<(usize, Item)>,
}

/// The version of [`Plan`] written here.
const VERSION: u32 = 1;
/// The most shards of a plan.
const MOST_SHARDS: usize = 100_000;

impl Plan {
    /// Shares `items` out among `shards`, so that each gets about the same length.
    ///
    /// Errors: [`Error::Setting`] when `shards` is none or too many.
    pub fn new(mut items: Vec<Item>, shards: usize) -> Result<Self> {
        if !(1..=MOST_SHARDS).contains(&shards) {
            let allowed = format!("from 1 to {MOST_SHARDS}");
            return Err(Error::setting("shards", shards, allowed));
        }
        items.sort_by(|a, b| a.output.cmp(&b.output));
        // The longest first, each to whom has least. A picture is worth a second, a byte tells of files without a length.
        let weight = |item: &Item| {
            if item.duration_s > 0.0 {
                item.duration_s
            } else {
                1.0 + item.size as f64 / 1e7
            }
        };
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by(|&a, &b| {
            weight(&items[b])
                .total_cmp(&weight(&items[a]))
                .then(a.cmp(&b))
        });
        let mut loads = vec![0.0; shards];
        let mut owner = vec![0; items.len()];
        for index in order {
            let mut least = 0;
            for shard in 1..shards {
                if loads[shard] < loads[least] {
                    least = shard;
                }
            }
            loads[least] += weight(&items[index]);
            owner[index] = least;
        }
        Ok(Self {
            version: VERSION,
            shards,
            left_out: Vec::new(),
            files: owner.into_iter().zip(items).collect(),
        })
    }

    /// The items of shard `shard`, from 0.
    pub fn shard(&self, shard: usize) -> Vec<Item> {
        self.files
            .iter()
            .filter(|(owner, _)| *owner == shard)
            .map(|(_, item)| item.clone())
            .collect()
    }

    /// Writes the plan to `path`, which appears complete or not at all.
    ///
    /// Errors: [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::media(path.display().to_string(), error.to_string()))?;
        super::account::write(path, text.as_bytes())
    }

    /// Reads the plan at `path`.
    ///
    /// Errors: [`Error::Io`]; [`Error::Media`] when it is no plan that this version understands.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| Error::io(path, "reading", error))?;
        let wrong = |problem: String| Error::media(path.display().to_string(), problem);
        let plan: Self = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("this is no plan of a batch: {error}")))?;
        if plan.version != VERSION {
            let version = plan.version;
            return Err(wrong(format!(
                "the plan is of version {version}, this program knows {VERSION}; plan again"
            )));
        }
        if plan.files.iter().any(|(shard, _)| *shard >= plan.shards) {
            return Err(wrong("a file belongs to no shard; plan again".into()));
        }
        Ok(plan)
    }
}

/// The name of the journal of shard `shard`, from 0, of `shards`.
pub fn journal_name(shard: usize, shards: usize) -> String {
    format!("journal-{}-of-{shards}.sqlite", shard + 1)
}

/// How many shards the plan has to whose journals one of this name belongs; None for other names.
pub fn shards_of(name: &str) -> Option<usize> {
    let (shard, shards) = name
        .strip_prefix("journal-")?
        .strip_suffix(".sqlite")?
        .split_once("-of-")?;
    let (shard, shards) = (shard.parse::<usize>().ok()?, shards.parse().ok()?);
    (1..=shards).contains(&shard).then_some(shards)
}

/// Which shard of how many this process is to do, both from 0 and 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// How many there are; None where the plan tells.
    pub count: Option<usize>,
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// Reads `I/N`, the first being 1/N.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts = text.split_once('/');
        let parsed: Option<(usize, usize)> =
            parts.and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parsed {
            Some((i, n)) if (1..=n).contains(&i) => Ok(Self {
                index: i - 1,
                count: Some(n),
            }),
            _ => Err("must be I/N, the first of four being 1/4".into()),
        }
    }
}

impl Shard {
    /// The shard that the environment names: a Slurm array task, or an index of a Kubernetes Job; both count from 0.
    ///
    /// Errors: [`Error::Setting`] when what is there is no number.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        for name in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
            if let Some(value) = variable(name).filter(|value| !value.is_empty()) {
                let index = value
                    .parse()
                    .map_err(|_| Error::setting(name, &value, "a number from 0"))?;
                // A single task of an array that is run again is an array of one: the plan knows better.
                return Ok(Some(Self { index, count: None }));
            }
        }
        Ok(None)
    }

    /// What is odd about the array of Slurm that this process belongs to, for a plan of `shards`; None where nothing is, or
    /// where there is no array.
    pub fn odd_array(variable: impl Fn(&str) -> Option<String>, shards: usize) -> Option<String> {
        let number = |name: &str| variable(name)?.parse::<usize>().ok();
        let (first, last) = (
            number("SLURM_ARRAY_TASK_MIN"),
            number("SLURM_ARRAY_TASK_MAX"),
        );
        let count = number("SLURM_ARRAY_TASK_COUNT").or(first
            .zip(last)
            .map(|(first, last)| (last + 1).saturating_sub(first)))?;
        // One task alone is mostly one that is run again.
        let fits = count == 1
            || count == shards && first.unwrap_or(0) == 0 && last.is_none_or(|last| last < shards);
        (!fits).then(|| {
            let top = shards - 1;
            format!(
                "the array has {count} tasks{}, the plan the shards 0 to {top}: what no task does stays pending; submit with --array=0-{top}",
                first.zip(last).map_or_else(String::new, |(first, last)| format!(" from {first} to {last}")),
            )
        })
    }

    /// The index, checked against a plan of `shards`.
    ///
    /// Errors: [`Error::Setting`] that says what fits.
    pub fn within(&self, shards: usize) -> Result<usize> {
        if self.count.is_some_and(|count| count != shards) || self.index >= shards {
            let shown = format!("{}/{}", self.index + 1, self.count.unwrap_or(shards));
            let allowed = format!(
                "one of 1/{shards} to {shards}/{shards}, as the plan has {shards} shards (arrays and indexes count from 0)"
            );
            return Err(Error::setting("shard", shown, allowed));
        }
        Ok(self.index)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn item(name: &str, duration_s: f64) -> Item {
        Item {
            input: format!("in/{name}"),
            output: format!("out/{name}"),
            arguments: Vec::new(),
            settings: BTreeMap::new(),
            model_hash: "m".into(),
            models: "model".into(),
            size: 1000,
            duration_s,
        }
    }

    proptest! {
        #[test]
        fn every_file_has_one_shard_and_lengths_are_even(
            lengths in prop::collection::vec(0.1f64..100.0, 1..60),
            shards in 1usize..8,
        ) {
            let items: Vec<Item> = lengths
                .iter()
                .enumerate()
                .map(|(index, length)| item(&format!("{index:03}.mp4"), *length))
                .collect();
            let plan = Plan::new(items.clone(), shards).unwrap();
            let mut reversed = items.clone();
            reversed.reverse();
            prop_assert_eq!(&plan, &Plan::new(reversed, shards).unwrap());
            let mut all: Vec<String> = (0..shards)
                .flat_map(|shard| plan.shard(shard))
                .map(|item| item.output)
                .collect();
            all.sort();
            let expected: Vec<String> = items.iter().map(|item| item.output.clone()).collect();
            prop_assert_eq!(all, expected);
            // What the greedy rule guarantees: no two differ by more than the longest file.
            let loads: Vec<f64> = (0..shards)
                .map(|shard| plan.shard(shard).iter().map(|item| item.duration_s).sum())
                .collect();
            let most = loads.iter().copied().fold(0.0, f64::max);
            let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
            let longest = lengths.iter().copied().fold(0.0, f64::max);
            prop_assert!(most - least <= longest + 1e-9, "{loads:?}");
        }
    }

    #[test]
    fn shards_are_named_by_flag_or_environment() {
        assert_eq!("2/4".parse::<Shard>().unwrap().within(4).unwrap(), 1);
        for wrong in ["0/4", "5/4", "4", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert!("2/4".parse::<Shard>().unwrap().within(5).is_err());
        let with = |name: &'static str, value: &'static str| {
            Shard::from_environment(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(
            with("SLURM_ARRAY_TASK_ID", "3")
                .unwrap()
                .unwrap()
                .within(4)
                .unwrap(),
            3
        );
        assert_eq!(
            with("JOB_COMPLETION_INDEX", "0")
                .unwrap()
                .unwrap()
                .within(4)
                .unwrap(),
            0
        );
        assert!(
            with("SLURM_ARRAY_TASK_ID", "4")
                .unwrap()
                .unwrap()
                .within(4)
                .is_err()
        );
        assert!(with("SLURM_ARRAY_TASK_ID", "x").is_err());
        assert_eq!(with("OTHER", "1").unwrap(), None);
    }

    #[test]
    fn journals_are_known_by_their_names() {
        assert_eq!(shards_of(&journal_name(0, 3)), Some(3));
        for other in [
            "journal.sqlite",
            "journal-old.sqlite",
            "journal-4-of-3.sqlite",
            "journal-0-of-3.sqlite",
        ] {
            assert_eq!(shards_of(other), None, "{other}");
        }
    }

    #[test]
    fn an_array_that_is_not_the_plan_s_is_odd() {
        let odd = |first: &str, last: &str| {
            let (first, last) = (first.to_owned(), last.to_owned());
            let array = move |name: &str| match name {
                "SLURM_ARRAY_TASK_MIN" => Some(first.clone()),
                "SLURM_ARRAY_TASK_MAX" => Some(last.clone()),
                _ => None,
            };
            Shard::odd_array(array, 4)
        };
        assert_eq!(odd("0", "3"), None);
        assert_eq!(odd("2", "2"), None, "a task that is run again");
        assert!(
            Shard::odd_array(
                |name| (name == "SLURM_ARRAY_TASK_COUNT").then(|| "8".into()),
                4
            )
            .is_some()
        );
        for (first, last) in [("1", "4"), ("0", "2"), ("0", "7")] {
            let told = odd(first, last).expect("odd");
            assert!(told.contains("--array=0-3"), "{told}");
        }
        assert_eq!(Shard::odd_array(|_| None, 4), None);
    }

    #[test]
    fn plans_are_read_as_written_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        let plan = Plan::new(vec![item("a.mp4", 1.5), item("b.mp4", 2.0)], 2).unwrap();
        plan.write(&path).unwrap();
        assert_eq!(Plan::read(&path).unwrap(), plan);
        std::fs::write(&path, "{}").unwrap();
        let error = Plan::read(&path).unwrap_err().to_string();
        assert!(error.contains("no plan"), "{error}");
        assert!(Plan::new(Vec::new(), 0).is_err());
    }

    #[test]
    fn settings_tell_by_their_hash() {
        let mut a = item("a.mp4", 1.0);
        let before = a.settings_hash();
        a.settings.insert("style".into(), "fill".into());
        assert_ne!(a.settings_hash(), before);
    }
}
