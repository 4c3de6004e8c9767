//! Recordings against the record.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::notes::{self, Note};
use super::time;
use crate::audit::{Checked, Event, FileIdentity, Log, Redacted};
use crate::error::{Error, Result};
use crate::serve::recordings;

/// What a comparison of recordings with the record says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Files that are there and as they were recorded.
    pub as_recorded: u64,
    /// Of these, such as were cut off and entered at the next start.
    pub unfinished: u64,
    /// Files that are being written.
    pub open: u64,
    /// Files that are gone, as purges say.
    pub purged: u64,
    /// What is wrong.
    pub problems: Vec<String>,
}

/// Compares the recordings below `folders`, each with a folder for every camera, with `checked`, the record in `log`.
///
/// Errors: a file or folder that cannot be read.
pub fn check(checked: &Checked, log: &Log, folders: &[PathBuf]) -> Result<Recorded> {
    let (mut entries, mut purges) = (BTreeMap::new(), BTreeMap::<String, String>::new());
    for (_, event) in &checked.events {
        match event {
            Event::Redacted(entry) => {
                if let (Some(source), Some(begin)) = (&entry.source, &entry.begin) {
                    entries.insert((source.clone(), begin.clone()), &**entry);
                }
            }
            Event::Purged {
                source: Some(source),
                through: Some(through),
                ..
            } => {
                let last = purges.entry(source.clone()).or_default();
                *last = through.clone().max(std::mem::take(last));
            }
            _ => {}
        }
    }
    let open: Vec<PathBuf> = notes::all(&log.notes_of(&checked.log))
        .unwrap_or_default()
        .iter()
        .filter_map(|path| Some(Note::read(path).ok()?.path))
        .collect();
    let mut found = Recorded::default();
    for folder in folders {
        let error = |source| Error::io(folder, "reading", source);
        for entry in std::fs::read_dir(folder).map_err(error)? {
            let path = entry.map_err(error)?.path();
            if path.is_dir() {
                found.camera(&path, &mut entries, &open)?;
            }
        }
    }
    for ((source, begin), entry) in entries {
        if entry.output.is_none() {
            // Begun, and no file: the entry says so itself.
        } else if purges.get(&source).is_some_and(|through| begin <= *through) {
            found.purged += 1;
        } else {
            let problem =
                format!("{source}, {begin}: it is recorded, was not purged, and is missing");
            found.problems.push(problem);
        }
    }
    Ok(found)
}

impl Recorded {
    /// Takes the recordings of one camera, in the folder of its name, out of `entries`.
    fn camera(
        &mut self,
        folder: &Path,
        entries: &mut BTreeMap<(String, String), &Redacted>,
        open: &[PathBuf],
    ) -> Result<()> {
        let camera = folder.file_name().unwrap_or_default().to_string_lossy();
        for file in recordings::list(folder) {
            let path = folder.join(&file.file);
            let Some(entry) = entries.remove(&(camera.to_string(), time(file.start))) else {
                if open.iter().any(|other| same(other, &path)) {
                    self.open += 1;
                } else {
                    let problem = format!("{}: it is not in the record", path.display());
                    self.problems.push(problem);
                }
                continue;
            };
            if entry.output.as_ref() == Some(&FileIdentity::of(&path)?) {
                self.as_recorded += 1;
                self.unfinished += u64::from(entry.unfinished);
            } else {
                let problem = format!("{}: it is not as it was recorded", path.display());
                self.problems.push(problem);
            }
        }
        Ok(())
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}
