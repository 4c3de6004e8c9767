//! Appending to a log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Event};
use super::{key, seal, time};
use crate::digest::hexadecimal;
use crate::error::{Error, Result};

/// What stands in the place of a hash before the first line.
pub(super) const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A log to append to. Several processes may do so at once.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    folder: PathBuf,
}

/// What was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Number of the entry.
    pub seq: u64,
    /// SHA-256 of its line.
    pub hash: String,
}

/// The signed note of a log's last entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub log: String,
    pub seq: u64,
    pub hash: String,
}

/// The file of the head of the log `id`.
pub(super) fn head_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.head"))
}

/// The head of the log `id`, which `key` must have signed if it is given; None when there is none.
pub(super) fn read_head(
    folder: &Path,
    id: &str,
    keys: &[ed25519_dalek::VerifyingKey],
) -> Result<Option<Head>> {
    let path = head_path(folder, id);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io(path, "reading", source)),
    };
    let wrong = || {
        let source = io::Error::new(io::ErrorKind::InvalidData, "its signature is wrong");
        Error::io(&path, "reading", source)
    };
    let sealed = seal::Sealed::parse(text.trim_end()).ok_or_else(wrong)?;
    if !keys.iter().any(|key| sealed.is_by(key)) {
        return Err(wrong());
    }
    let head: Head = serde_json::from_str(&sealed.text).map_err(|_| wrong())?;
    if head.log == id {
        Ok(Some(head))
    } else {
        Err(wrong())
    }
}

/// An open and locked log.
struct Open {
    file: File,
    /// Length of its whole lines.
    length: u64,
    /// What tells it from others; None when it is empty.
    id: Option<String>,
    last: Option<(Entry, String)>,
}

impl Log {
    /// The log `path`, whose key and head are in the folder `state`; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>, state: &Path) -> Self {
        Self {
            path: path.into(),
            folder: state.join("audit"),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of its key and head.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends `event`; makes the log and its key at the first call. When it returns, the entry is on the disk.
    ///
    /// Errors: [`Error::Io`] when it cannot be written; then the log is as it was before. [`Error::Media`] when the log
    /// is not as its head says: it has been changed.
    pub fn append(&self, event: Event) -> Result<Appended> {
        let mut open = self.open()?;
        let (id, key) = self.begin(&mut open)?;
        self.write(&mut open, &id, &key, event)
    }

    /// Checks that an entry could be appended now, without appending any but the first.
    ///
    /// Errors: as [`Log::append`].
    pub fn prepare(&self) -> Result<()> {
        let mut open = self.open()?;
        self.begin(&mut open).map(|_| ())
    }

    /// A folder for notes of what is to be recorded, made if it is not there; the log is then ready to be appended to.
    ///
    /// Errors: as [`Log::append`].
    pub fn notes(&self) -> Result<PathBuf> {
        let mut open = self.open()?;
        let (id, _) = self.begin(&mut open)?;
        let folder = self.notes_of(&id);
        fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, "making", source))?;
        Ok(folder)
    }

    /// Where notes of the log `id` are.
    pub fn notes_of(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.open"))
    }

    /// Calls `see` for every entry that can be read, unchecked.
    ///
    /// Errors: [`Error::Io`] when the log cannot be read.
    pub fn events(&self, mut see: impl FnMut(Event)) -> Result<()> {
        let error = |source| Error::io(&self.path, "reading", source);
        let file = File::open(&self.path).map_err(error)?;
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(error)?;
            let entry = std::str::from_utf8(&line)
                .ok()
                .and_then(seal::Sealed::parse)
                .and_then(|sealed| serde_json::from_str::<Entry>(&sealed.text).ok());
            if let Some(entry) = entry {
                see(entry.event);
            }
        }
        Ok(())
    }

    /// Makes a new key and records it; the old one is removed.
    ///
    /// Errors: as [`Log::append`].
    pub fn rotate(&self) -> Result<Appended> {
        let mut open = self.open()?;
        let (id, old) = self.begin(&mut open)?;
        let new = key::generate()?;
        let (path, next) = (key::path(&self.folder, &id), next_path(&self.folder, &id));
        key::write(&next, &new)?;
        let previous = open.last.as_ref().map_or(NOTHING, |(_, hash)| hash);
        let proof = hexadecimal(&new.sign(previous.as_bytes()).to_bytes());
        let new_key = seal::public_text(&new.verifying_key());
        let outcome = self.write(&mut open, &id, &old, Event::Rotated { new_key, proof });
        match outcome {
            Ok(appended) => {
                fs::rename(&next, &path).map_err(|source| Error::io(path, "renaming", source))?;
                Ok(appended)
            }
            Err(error) => {
                // The old key stays in use.
                let _ = fs::remove_file(&next);
                Err(error)
            }
        }
    }

    fn changed(&self, problem: &str) -> Error {
        let advice = "the log has been changed, or belongs to another machine or user; keep it as it is and name another file";
        Error::media(
            self.path.display().to_string(),
            format!("{problem}: {advice}"),
        )
    }

    fn open(&self) -> Result<Open> {
        let error = |source| Error::io(&self.path, "opening", source);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)
            .map_err(error)?;
        file.lock().map_err(error)?;
        let length = file.metadata().map_err(error)?.len();
        let mut open = Open {
            file,
            length,
            id: None,
            last: None,
        };
        if length == 0 {
            return Ok(open);
        }
        let end = open.end_of_lines(length).map_err(error)?;
        if end > 0 {
            let first = open.line(0, end).map_err(error)?;
            let last = open.last_line(end).map_err(error)?;
            let parse = |line: &str| {
                let sealed = seal::Sealed::parse(line)?;
                serde_json::from_str::<Entry>(&sealed.text).ok()
            };
            let lacks = || self.changed("it has lines that are no entries");
            let (first, entry) = (
                parse(&first).ok_or_else(lacks)?,
                parse(&last).ok_or_else(lacks)?,
            );
            let Event::Opened { log, .. } = first.event else {
                return Err(self.changed("it does not begin with its first entry"));
            };
            open.id = Some(log);
            open.last = Some((entry, seal::hash(&last)));
        }
        open.length = end;
        Ok(open)
    }

    /// The log's id and key, after its first entry and what an interrupted run left have been put in order.
    fn begin(&self, open: &mut Open) -> Result<(String, SigningKey)> {
        key::make_folder(&self.folder)?;
        let Some(id) = open.id.clone() else {
            return self.begin_new(open);
        };
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.changed("its name is none of ours"));
        }
        let key = self.current_key(&id, open)?;
        let keys = [key.verifying_key()];
        let (entry, hash) = open
            .last
            .as_ref()
            .ok_or_else(|| self.changed("it has no entry"))?;
        let signed_by_old = seal::public(&entry.key);
        let all: Vec<_> = keys.into_iter().chain(signed_by_old).collect();
        let head = read_head(&self.folder, &id, &all)?
            .ok_or_else(|| self.changed("its head record is missing"))?;
        let at_end = head.seq == entry.seq && head.hash == *hash;
        // A crash between the entry and its head.
        let one_behind = head.seq + 1 == entry.seq && head.hash == entry.previous;
        if !at_end && !one_behind {
            return Err(self.changed("it does not end where its head record says"));
        }
        let there = open
            .file
            .metadata()
            .map_err(|source| Error::io(&self.path, "opening", source))?;
        if there.len() > open.length {
            // A line that was being written when the machine stopped: nobody was told that it is recorded.
            self.cut(open)?;
        }
        Ok((id, key))
    }

    fn begin_new(&self, open: &mut Open) -> Result<(String, SigningKey)> {
        self.cut(open)?;
        let id = hexadecimal(&key::random::<16>()?);
        let key = key::generate()?;
        key::write(&key::path(&self.folder, &id), &key)?;
        let event = Event::Opened {
            log: id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if let Err(error) = self.write(open, &id, &key, event) {
            let _ = fs::remove_file(key::path(&self.folder, &id));
            return Err(error);
        }
        Ok((id, key))
    }

    /// The key with which the next entry is signed; finishes a rotation that was interrupted.
    fn current_key(&self, id: &str, open: &Open) -> Result<SigningKey> {
        let (path, next) = (key::path(&self.folder, id), next_path(&self.folder, id));
        let wanted = match &open.last {
            Some((
                Entry {
                    event: Event::Rotated { new_key, .. },
                    ..
                },
                _,
            )) => new_key.clone(),
            Some((entry, _)) => entry.key.clone(),
            None => String::new(),
        };
        let is_wanted = |key: &SigningKey| seal::public_text(&key.verifying_key()) == wanted;
        if let Some(new) = key::read(&next)? {
            let done = if is_wanted(&new) {
                fs::rename(&next, &path)
            } else {
                fs::remove_file(&next)
            };
            done.map_err(|source| Error::io(next, "renaming", source))?;
        }
        let key =
            key::read(&path)?.ok_or_else(|| self.changed("its key is not in the state folder"))?;
        if is_wanted(&key) {
            return Ok(key);
        }
        Err(self.changed("its last entry is signed with another key"))
    }

    /// Removes what lies behind the last whole line.
    fn cut(&self, open: &Open) -> Result<()> {
        open.file
            .set_len(open.length)
            .map_err(|source| Error::io(&self.path, "writing", source))
    }

    fn write(&self, open: &mut Open, id: &str, key: &SigningKey, event: Event) -> Result<Appended> {
        let (seq, previous) = match &open.last {
            Some((entry, hash)) => (entry.seq + 1, hash.clone()),
            None => (0, NOTHING.to_owned()),
        };
        let entry = Entry {
            seq,
            time: time::now(),
            previous,
            key: seal::public_text(&key.verifying_key()),
            event,
        };
        let unwritable = |problem: String| Error::media(self.path.display().to_string(), problem);
        let text = serde_json::to_string(&entry).map_err(|error| unwritable(error.to_string()))?;
        let line = seal::seal(&text, key);
        if line.len() >= seal::LONGEST {
            return Err(unwritable(format!(
                "an entry of {} bytes is too long",
                line.len()
            )));
        }
        let hash = seal::hash(&line);
        let written = (&open.file)
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| open.file.sync_data())
            .map_err(|source| Error::io(&self.path, "writing", source))
            .and_then(|()| {
                let log = id.to_owned();
                self.write_head(
                    key,
                    &Head {
                        log,
                        seq,
                        hash: hash.clone(),
                    },
                )
            });
        if let Err(error) = written {
            // As before, so that the next entry does not follow a part of this one.
            self.cut(open)?;
            return Err(error);
        }
        open.length += line.len() as u64 + 1;
        open.last = Some((entry, hash.clone()));
        Ok(Appended { seq, hash })
    }

    fn write_head(&self, key: &SigningKey, head: &Head) -> Result<()> {
        let path = head_path(&self.folder, &head.log);
        let text = serde_json::to_string(head)
            .map_err(|error| Error::media(path.display().to_string(), error.to_string()))?;
        let temporary = path.with_extension("head.new");
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(format!("{}\n", seal::seal(&text, key)).as_bytes())?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(|source| {
                let _ = fs::remove_file(&temporary);
                Error::io(&path, "writing", source)
            })
    }
}

fn next_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.key.next"))
}

impl Open {
    fn bytes(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (to - from) as usize];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// Where the last whole line before `length` ends.
    fn end_of_lines(&self, length: u64) -> io::Result<u64> {
        let from = length.saturating_sub(seal::LONGEST as u64);
        let bytes = self.bytes(from, length)?;
        let end = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map(|at| from + at as u64 + 1);
        match end {
            Some(end) => Ok(end),
            None if from == 0 => Ok(0),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its last line is too long",
            )),
        }
    }

    /// The line that begins at `from`.
    fn line(&self, from: u64, end: u64) -> io::Result<String> {
        let bytes = self.bytes(from, end.min(from + seal::LONGEST as u64))?;
        let line = bytes
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        String::from_utf8(line.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// The line that ends before `end`.
    fn last_line(&self, end: u64) -> io::Result<String> {
        let from = end.saturating_sub(seal::LONGEST as u64 + 1);
        let bytes = self.bytes(from, end - 1)?;
        let start = bytes
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(from, |at| from + at as u64 + 1);
        self.line(start, end)
    }
}
