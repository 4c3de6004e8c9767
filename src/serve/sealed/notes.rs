//! Notes of files that are open: what their entries will say.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audit::{FileIdentity, Redacted};
use crate::error::{Error, Result};
use crate::serve::whole::whole;

/// What is known of a file that is open, or closed and not entered yet.
#[derive(Serialize, Deserialize)]
pub struct Note {
    /// The file.
    pub path: PathBuf,
    /// Its entry; without output as long as it is open.
    pub entry: Redacted,
}

/// The notes in `folder`, in the order of names.
pub fn all(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|source| Error::io(folder, "reading", source))?;
    let mut all: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Removes a note. One that stays is found to be entered at the next start.
pub fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!("{}: cannot be deleted: {error}", path.display());
    }
}

impl Note {
    /// The note in the file `path`.
    ///
    /// Errors: one that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let error = |source| Error::io(path, "reading", source);
        serde_json::from_slice(&fs::read(path).map_err(error)?)
            .map_err(|wrong| error(io::Error::new(io::ErrorKind::InvalidData, wrong)))
    }

    /// What its file is called.
    pub fn name(&self) -> String {
        let file = self.path.file_stem().unwrap_or_default().to_string_lossy();
        format!(
            "{} {file}.json",
            self.entry.source.as_deref().unwrap_or_default()
        )
    }

    /// Writes it to `path`, so that it is there after a power failure, too.
    pub fn write(&self, path: &Path) -> Result<()> {
        let temporary = path.with_extension("new");
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            path.parent()
                .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|source| Error::io(path, "writing", source))
    }

    /// Whether the entry is among `known`, by camera and time.
    pub fn is_in(&self, known: &BTreeSet<(String, String)>) -> bool {
        let (source, begin) = (self.entry.source.clone(), self.entry.begin.clone());
        source.zip(begin).is_some_and(|it| known.contains(&it))
    }

    /// The entry. Of a file that was never closed it is made from what the file holds, without the part of a fragment at its
    /// end that no player could use; of one that is not there it has no output.
    ///
    /// Errors: the file cannot be read or shortened.
    pub fn finished(self) -> Result<Redacted> {
        let mut entry = self.entry;
        if entry.output.is_some() {
            return Ok(entry);
        }
        entry.unfinished = true;
        let error = |source| Error::io(&self.path, "reading", source);
        let data = match fs::metadata(&self.path) {
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(entry),
            other => other.map_err(error)?,
        };
        // Its last fragment was written when it ended.
        let end = data.modified().map_err(error)?;
        let whole = whole(&self.path).map_err(error)?;
        if whole.length < data.len() {
            File::options()
                .write(true)
                .open(&self.path)
                .and_then(|file| file.set_len(whole.length).and_then(|()| file.sync_all()))
                .map_err(|source| Error::io(&self.path, "shortening", source))?;
        }
        entry.frames = whole.frames;
        entry.end_at(end);
        entry.output = Some(FileIdentity::of(&self.path)?);
        Ok(entry)
    }
}
