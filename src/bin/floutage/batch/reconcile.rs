//! What of a batch is still to be done: the journal against the files as they are now.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use floutage::batch::identity::{Identity, Stamp, hash_text};
use floutage::batch::job_file::Changed;
use floutage::batch::journal::{Entry, Journal, OTHER_INPUT, State};
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

/// Checks, before a file is redacted, that its result could get the name `output`.
///
/// Errors: what is in the way.
pub fn can_be_written(output: &Path) -> std::result::Result<(), String> {
    use rustix::fs::{Access, access};
    // What every file system of Linux allows.
    const LONGEST: usize = 255;
    if output
        .components()
        .any(|part| part.as_os_str().len() > LONGEST)
    {
        return Err(format!(
            "the output's name has a part of more than {LONGEST} bytes; name a shorter one in a manifest"
        ));
    }
    if output.is_dir() {
        return Err("a folder has the output's name".into());
    }
    let there = output
        .ancestors()
        .skip(1)
        .find(|folder| folder.symlink_metadata().is_ok());
    match there {
        Some(folder) if !folder.is_dir() => Err(format!("{} is no folder", folder.display())),
        Some(folder) if access(folder, Access::WRITE_OK).is_err() => Err(format!(
            "{}: nothing can be written into this folder",
            folder.display()
        )),
        _ => Ok(()),
    }
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
        let (id, mut owned) = (entry.id, entry.owned);
        if owned && entry.state != State::Done && entry.input != item.input {
            // The redo of another input's result was cut off or failed.
            journal.disown(id)?;
            owned = false;
        }
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
    /// It is done, and the input or the output have another size or time since, or the input another name: its content tells.
    Touched,
    /// It is done.
    Done,
}

/// How `entry` stands to `item`, by the `stamps` of what is there.
pub fn outlook(entry: &Entry, item: &Item, stamps: &HashMap<String, Stamp>) -> Outlook {
    if entry.state != State::Done {
        Outlook::Missing
    } else if entry.input != item.input {
        // Before all else, for that one's result is not to be replaced.
        Outlook::Touched
    } else if let Some(reason) = entry.differs(item) {
        Outlook::Other(reason)
    } else if !stamps.contains_key(&item.output) {
        Outlook::Other("the output is missing")
    } else if same_stamps(entry, stamps) {
        Outlook::Done
    } else {
        Outlook::Touched
    }
}

fn same_stamps(entry: &Entry, stamps: &HashMap<String, Stamp>) -> bool {
    let same = |path: &str, known: &Option<Identity>| {
        let known = known.as_ref().map(|known| &known.stamp);
        known.is_some() && known == stamps.get(path)
    };
    same(&entry.input, &entry.identity) && same(&entry.output, &entry.result)
}

/// Why the finished `entry` is not what `item` asks for, by content; None when it is.
pub fn compare(entry: &Entry, item: &Item, places: &Places) -> Result<Option<&'static str>> {
    if entry.identity.as_ref().map(|known| &known.blake3) != Some(&places.hash(&item.input)?) {
        return Ok(Some(if entry.input == item.input {
            "the input has changed"
        } else {
            OTHER_INPUT
        }));
    }
    if let Some(reason) = entry.differs(item) {
        return Ok(Some(reason));
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
