//! What of a batch is still to be done: the journal against the files as they are now.

use std::path::{Path, PathBuf};

use anyhow::Result;
use floutage::batch::identity::{Stamp, hash_file, hash_text};
use floutage::batch::journal::{Entry, Journal, State};
use floutage::batch::plan::Item;
use floutage::media::partial::{place, remove_leftover};

use super::job::Changed;

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
    let digest = hash_text(&output.to_string_lossy());
    let mut name = format!(".floutage-{}", &digest[..16]);
    if let Some(extension) = output.extension() {
        name.push('.');
        name.push_str(&extension.to_string_lossy());
    }
    output.with_file_name(name)
}

/// Removes what an earlier try of `output` left behind under other names.
pub fn sweep(output: &Path) {
    let staged = staged(output);
    remove_leftover(&staged);
    let _ = std::fs::remove_file(&staged);
}

/// What is to be done of `items`, which become the journal's batch.
pub fn tasks(
    journal: &mut Journal,
    items: Vec<Item>,
    changed: Changed,
    verify: bool,
) -> Result<Vec<Task>> {
    journal.list(&items)?;
    for entry in journal.entries()? {
        if entry.state == State::Written {
            conclude(journal, &entry)?;
        }
    }
    let mut entries: std::collections::HashMap<String, Entry> = journal
        .entries()?
        .into_iter()
        .map(|entry| (entry.output.clone(), entry))
        .collect();
    let mut tasks = Vec::new();
    for item in items {
        let Some(entry) = entries.remove(&item.output) else {
            continue;
        };
        let (id, owned) = (entry.id, entry.owned);
        let why = if entry.state != State::Done {
            if entry.state == State::Running {
                sweep(Path::new(&item.output));
            }
            Some(Why::Missing)
        } else if let Some(reason) = other(&entry, &item) {
            redo_or_report(journal, id, reason, changed)?
        } else if verify || !same_stamps(&entry) {
            Some(Why::Compare(Box::new(entry)))
        } else {
            if entry.changed.is_some() {
                journal.mark_changed(id, None)?;
            }
            None
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

/// Why the finished `entry` is not what `item` asks for.
fn other(entry: &Entry, item: &Item) -> Option<&'static str> {
    if entry.input != item.input {
        Some("it was made of another input")
    } else if entry.settings_hash != item.settings_hash() {
        Some("the settings are others")
    } else if entry.model_hash != item.model_hash {
        Some("the model is another")
    } else if !Path::new(&item.output).exists() {
        Some("the output is missing")
    } else {
        None
    }
}

fn same_stamps(entry: &Entry) -> bool {
    let same = |path: &str, known: &Option<floutage::batch::identity::Identity>| {
        let known = known.as_ref().map(|known| known.stamp);
        known.is_some() && known == Stamp::of(Path::new(path)).ok()
    };
    same(&entry.input, &entry.identity) && same(&entry.output, &entry.result)
}

/// Why the finished `entry` is out of date, by content; None when it is not.
pub fn compare(entry: &Entry) -> Result<Option<&'static str>> {
    let (input, output) = (Path::new(&entry.input), Path::new(&entry.output));
    if entry.identity.as_ref().map(|known| &known.blake3) != Some(&hash_file(input)?) {
        return Ok(Some("the input has changed"));
    }
    if entry.result_blake3.as_ref() != hash_file(output).ok().as_ref() {
        return Ok(Some("the output has changed"));
    }
    Ok(None)
}

/// Finishes a file that was cut off while it got its name, or puts it back. What has the hash of the result is the result.
fn conclude(journal: &Journal, entry: &Entry) -> Result<()> {
    let output = Path::new(&entry.output);
    let staged = staged(output);
    let is_result = |path: &Path| hash_file(path).ok().as_ref() == entry.result_blake3.as_ref();
    let placed = is_result(output) || (is_result(&staged) && place(&staged, output, true).is_ok());
    if placed {
        journal.done(entry.id, Stamp::of(output)?)?;
    } else {
        journal.put_back(entry.id)?;
    }
    sweep(output);
    Ok(())
}
