//! What of a batch is still to be done: the journal against the files as they are now.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use floutage::batch::identity::{Identity, Stamp, hash_text};
use floutage::batch::job_file::Changed;
use floutage::batch::journal::{Entry, Journal, State};
use floutage::batch::name;
use floutage::batch::plan::Item;
use floutage::media::partial::{place, remove_leftover};
use floutage::storage::{Address, is_address};

use super::places::Places;
use crate::redact::split;

/// A file to look at or to redact.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: i64,
    pub item: Item,
    pub why: Why,
    /// The output's name is free, or what has it was made by this batch.
    pub owned: bool,
    pub tries: u32,
}

/// Why there is something to do.
#[derive(Clone, Debug)]
pub enum Why {
    /// It is not done.
    Missing,
    /// It is done, and its content has to be compared.
    Compare(Box<Entry>),
}

/// Where the result of `output` is written before it gets its name: beside it, with its extension.
pub fn staged(output: &Path) -> PathBuf {
    let digest = hash_text(&name::text(output));
    let mut staged = OsString::from(format!(".floutage-{}", &digest[..16]));
    if let Some(extension) = output.extension() {
        staged.push(".");
        staged.push(extension);
    }
    output.with_file_name(staged)
}

/// Removes what an earlier try of `output` left behind under other names.
pub fn sweep(output: &str) {
    if is_address(output) {
        return;
    }
    let output = &*name::path(output);
    let staged = staged(output);
    split::sweep(&staged);
    remove_leftover(&staged);
    let _ = std::fs::remove_file(&staged);
}

/// What is to be done of `items`, which become the journal's batch.
pub fn tasks(
    journal: &mut Journal,
    places: &Places,
    items: Vec<Item>,
    changed: Changed,
    verify: bool,
) -> Result<Vec<Task>> {
    journal.list(&items)?;
    for entry in journal.entries()? {
        if entry.state == State::Written {
            conclude(journal, places, &entry)?;
        }
        if let Some(upload) = &entry.upload {
            // Of a process that was killed; an upload that was completed or aborted is over.
            places
                .storage()?
                .abort(&Address::of(&entry.output)?, upload);
            journal.uploading(entry.id, None)?;
        }
    }
    let mut entries: HashMap<String, Entry> = journal
        .entries()?
        .into_iter()
        .map(|entry| (entry.output.clone(), entry))
        .collect();
    let stamps = stamps(&entries, places)?;
    let mut tasks = Vec::new();
    for item in items {
        let Some(entry) = entries.remove(&item.output) else {
            continue;
        };
        let (id, owned) = (entry.id, entry.owned);
        let why = match outlook(&entry, &item, &stamps) {
            Outlook::Missing => {
                if entry.state == State::Running {
                    sweep(&item.output);
                }
                Some(Why::Missing)
            }
            Outlook::Other(reason) => redo_or_report(journal, id, reason, changed)?,
            Outlook::Touched => Some(Why::Compare(Box::new(entry))),
            Outlook::Done if verify => Some(Why::Compare(Box::new(entry))),
            Outlook::Done => {
                if entry.changed.is_some() {
                    journal.mark_changed(id, None)?;
                }
                None
            }
        };
        let Some(why) = why else { continue };
        if matches!(why, Why::Missing) {
            journal.reset(id, &item)?;
        }
        tasks.push(Task {
            id,
            item,
            why,
            owned,
            tries: 0,
        });
    }
    Ok(tasks)
}

/// A finished file that is out of date, for `reason`: to be redone, or reported.
pub fn redo_or_report(
    journal: &Journal,
    id: i64,
    reason: &str,
    changed: Changed,
) -> Result<Option<Why>> {
    Ok(match changed {
        Changed::Redo => Some(Why::Missing),
        Changed::Report => {
            journal.mark_changed(id, Some(reason))?;
            None
        }
    })
}

/// What is there of finished files, by path; what is missing is left out. Objects are asked about together.
pub fn stamps(entries: &HashMap<String, Entry>, places: &Places) -> Result<HashMap<String, Stamp>> {
    let mut stamps = HashMap::new();
    let mut objects = Vec::new();
    let done = entries.values().filter(|entry| entry.state == State::Done);
    for path in done.flat_map(|entry| [&entry.input, &entry.output]) {
        if is_address(path) {
            objects.push((path.clone(), Address::of(path)?));
        } else if let Ok(stamp) = Stamp::of(&name::path(path)) {
            stamps.insert(path.clone(), stamp);
        }
    }
    if !objects.is_empty() {
        let (names, addresses): (Vec<_>, Vec<_>) = objects.into_iter().unzip();
        let found = places.storage()?.find_all(&addresses)?;
        let there = names.into_iter().zip(found);
        stamps.extend(there.filter_map(|(name, found)| Some((name, found?.into()))));
    }
    Ok(stamps)
}

/// How a file of the journal stands to what is asked for.
pub enum Outlook {
    /// It is not done.
    Missing,
    /// It is done, but otherwise, for this reason.
    Other(&'static str),
    /// It is done, and the input or the output have another size or time since.
    Touched,
    /// It is done.
    Done,
}

/// How `entry` stands to `item`, by the `stamps` of what is there.
pub fn outlook(entry: &Entry, item: &Item, stamps: &HashMap<String, Stamp>) -> Outlook {
    if entry.state != State::Done {
        Outlook::Missing
    } else if let Some(reason) = other(entry, item, stamps) {
        Outlook::Other(reason)
    } else if same_stamps(entry, stamps) {
        Outlook::Done
    } else {
        Outlook::Touched
    }
}

/// Why the finished `entry` is not what `item` asks for.
fn other(entry: &Entry, item: &Item, stamps: &HashMap<String, Stamp>) -> Option<&'static str> {
    if entry.input != item.input {
        Some("it was made of another input")
    } else if entry.settings_hash != item.settings_hash() {
        Some("the settings are others")
    } else if entry.model_hash != item.model_hash {
        Some("the model is another")
    } else if !stamps.contains_key(&item.output) {
        Some("the output is missing")
    } else {
        None
    }
}

fn same_stamps(entry: &Entry, stamps: &HashMap<String, Stamp>) -> bool {
    let same = |path: &str, known: &Option<Identity>| {
        let known = known.as_ref().map(|known| &known.stamp);
        known.is_some() && known == stamps.get(path)
    };
    same(&entry.input, &entry.identity) && same(&entry.output, &entry.result)
}

/// Why the finished `entry` is out of date, by content; None when it is not.
pub fn compare(entry: &Entry, places: &Places) -> Result<Option<&'static str>> {
    if entry.identity.as_ref().map(|known| &known.blake3) != Some(&places.hash(&entry.input)?) {
        return Ok(Some("the input has changed"));
    }
    if entry.result_blake3 != places.hash_if_there(&entry.output)? {
        return Ok(Some("the output has changed"));
    }
    Ok(None)
}

/// Finishes a file that was cut off while it got its name, or puts it back. What has the hash of the result is the result.
fn conclude(journal: &Journal, places: &Places, entry: &Entry) -> Result<()> {
    let is_result = |path: &str| -> Result<bool> {
        let hash = places.hash_if_there(path)?;
        Ok(hash.is_some() && hash == entry.result_blake3)
    };
    let mut placed = is_result(&entry.output)?;
    if !placed && !is_address(&entry.output) {
        let output = &*name::path(&entry.output);
        let staged = staged(output);
        placed = is_result(&name::text(&staged))? && place(&staged, output, true).is_ok();
    }
    if placed {
        journal.done(entry.id, &places.stamp(&entry.output)?)?;
    } else {
        journal.put_back(entry.id)?;
    }
    sweep(&entry.output);
    Ok(())
}
