//! What became of each file, in an SQLite database with a write-ahead log.
//!
//! Invariants: one process writes a journal at a time; a step is on the disk before the next one begins; a state other than
//! [`State::Done`] vouches for nothing under the output's name.

mod entry;
mod tables;
#[cfg(test)]
mod tests;

pub use entry::{Entry, OTHER_INPUT, State};

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params, params_from_iter};

use self::entry::entry;
use self::tables::VERSION;
use super::identity::{Identity, Stamp};
use super::plan::Item;
use crate::error::{Error, Result};
use crate::media::report::Report;

/// An open journal.
pub struct Journal {
    connection: Connection,
    path: PathBuf,
    /// It was made, and nothing was written into it yet.
    blank: bool,
    /// Holds the lock by which other processes see that the journal is in use.
    _lock: Option<File>,
}

impl Journal {
    /// Opens the journal at `path` for writing, or makes it. Its folder is made as well.
    ///
    /// Errors: [`Error::Media`] when another process is at work on it, or it is no journal; [`Error::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Error::io(folder, "creating", error))?;
        }
        let lock_path = lock_path(path);
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| Error::io(&lock_path, "creating", error))?;
        let mut tries = 0;
        while matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            // Who only looks whether it is in use holds it for a moment.
            if tries == 5 {
                let problem = "another process is at work on this batch; wait for it, or stop it";
                return Err(Error::media(path.display().to_string(), problem));
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(whole(path), flags).map_err(|error| wrong(path, &error))?;
        let mut journal = Self {
            connection,
            path: path.to_owned(),
            blank: false,
            _lock: Some(lock),
        };
        // Before anything is written into it.
        journal.check()?;
        journal.prepare().map_err(|error| wrong(path, &error))?;
        journal.blank = false;
        Ok(journal)
    }

    /// Opens the journal at `path` to look at it, also while another process writes it, or without the right to write. One
    /// that was made and not begun knows nothing.
    ///
    /// Errors: [`Error::Media`] when there is none.
    pub fn look(path: &Path) -> Result<Self> {
        if !path.is_file() {
            let problem = "there is no journal of a batch";
            return Err(Error::media(path.display().to_string(), problem));
        }
        // To read a write-ahead log its index has to be writable.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |connection: rusqlite::Result<Connection>| -> Result<Self> {
            let mut journal = Self {
                connection: connection.map_err(|error| wrong(path, &error))?,
                path: path.to_owned(),
                blank: false,
                _lock: None,
            };
            journal
                .connection
                .busy_timeout(Duration::from_secs(10))
                .map_err(|error| journal.wrong(&error))?;
            journal.check()?;
            Ok(journal)
        };
        let looked = open(Connection::open_with_flags(whole(path), flags));
        if looked.is_ok() || !is_at_rest(path) {
            return looked;
        }
        // Without that right, what is in the file is all there is, when no log lies beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        open(Connection::open_with_flags(unchanging(path), flags)).or(looked)
    }

    /// Whether a process is at work on the journal at `path`.
    pub fn is_in_use(path: &Path) -> bool {
        let Ok(lock) = File::open(lock_path(path)) else {
            return false;
        };
        matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(Duration::from_secs(10))?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        // Each step is to survive a power failure, too.
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        tables::prepare(&self.connection)
    }

    /// Refuses what is no journal; notes whether it was begun.
    fn check(&mut self) -> Result<()> {
        let version = tables::version(&self.connection).map_err(|error| self.wrong(&error))?;
        // To look at, those of version 1 lack nothing.
        if (1..=VERSION).contains(&version) {
            return Ok(());
        }
        if version == 0 && tables::none(&self.connection).map_err(|error| self.wrong(&error))? {
            self.blank = true;
            return Ok(());
        }
        let problem = format!(
            "this is no journal, or one of another version of floutage ({version}, known is {VERSION}); move it away if it does not belong here"
        );
        Err(Error::media(self.path.display().to_string(), problem))
    }

    fn wrong(&self, error: &rusqlite::Error) -> Error {
        wrong(&self.path, error)
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        self.connection
            .execute(sql, values)
            .map(|_| ())
            .map_err(|error| self.wrong(&error))
    }

    /// Makes `items` the batch: files that were known stay as they are, unknown ones are pending, others are no longer listed,
    /// and forgotten unless something was made of them.
    pub fn list(&mut self, items: &[Item]) -> Result<()> {
        self.list_all(items)
            .map_err(|error| wrong(&self.path, &error))
    }

    fn list_all(&mut self, items: &[Item]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.execute("UPDATE file SET listed = 0", [])?;
        {
            let mut add = transaction.prepare(
                "INSERT INTO file (output, input, listed, arguments, settings, settings_hash, model_hash, models, state)
                 VALUES (?1, ?2, 1, '[]', '{}', '', '', '', 'pending')
                 ON CONFLICT (output) DO UPDATE SET listed = 1",
            )?;
            for item in items {
                add.execute(params![item.output, item.input])?;
            }
        }
        // What is or may be under the output's name stays known as this batch's own.
        transaction.execute(
            "DELETE FROM file WHERE listed = 0 AND state <> 'done' AND owned = 0 AND upload IS NULL",
            [],
        )?;
        transaction.commit()
    }

    /// Every listed file, in the order of outputs.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        self.query("SELECT * FROM file WHERE listed = 1 ORDER BY output")
    }

    /// Every file that this journal knows of, also of earlier batches, in the order of outputs.
    pub fn known(&self) -> Result<Vec<Entry>> {
        self.query("SELECT * FROM file ORDER BY output")
    }

    /// Outputs that are done and not listed any more, in order.
    pub fn unlisted(&self) -> Result<Vec<Entry>> {
        self.query("SELECT * FROM file WHERE listed = 0 AND state = 'done' ORDER BY output")
    }

    fn query(&self, sql: &str) -> Result<Vec<Entry>> {
        if self.blank {
            return Ok(Vec::new());
        }
        self.connection
            .prepare(sql)
            .and_then(|mut query| query.query_map([], entry)?.collect())
            .map_err(|error| self.wrong(&error))
    }

    /// Takes over what `other` knows of `outputs`, in place of what is known here. They are listed here when [`Self::list`]
    /// names them.
    ///
    /// Errors: [`Error::Media`]; then nothing was taken over.
    pub fn adopt<'a>(
        &mut self,
        other: &Self,
        outputs: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let mut facts = Vec::new();
        for output in outputs {
            facts.extend(other.facts(output).map_err(|error| other.wrong(&error))?);
        }
        self.put(facts).map_err(|error| wrong(&self.path, &error))
    }

    /// What is known of `output`, as [`tables::FACTS`] orders it.
    fn facts(&self, output: &str) -> rusqlite::Result<Option<Vec<Value>>> {
        let sql = format!("SELECT {} FROM file WHERE output = ?1", tables::FACTS);
        let row = self.connection.query_row(&sql, [output], |row| {
            (0..row.as_ref().column_count())
                .map(|column| row.get(column))
                .collect()
        });
        row.optional()
    }

    fn put(&mut self, facts: Vec<Vec<Value>>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for row in facts {
            let places = vec!["?"; row.len()].join(", ");
            let sql = format!(
                "INSERT OR REPLACE INTO file ({}, listed) VALUES ({places}, 0)",
                tables::FACTS
            );
            transaction.execute(&sql, params_from_iter(row))?;
        }
        transaction.commit()
    }

    /// `item` goes back to the start; its old result, if there is one, vouches for nothing any more.
    pub fn reset(&self, id: i64, item: &Item) -> Result<()> {
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        self.execute(
            "UPDATE file SET input = ?2, arguments = ?3, settings = ?4, settings_hash = ?5, model_hash = ?6, models = ?7,
                 state = 'pending', changed = NULL, attempts = 0, error = NULL, report = NULL,
                 result_size = NULL, result_mtime_ns = NULL, result_blake3 = NULL, result_etag = NULL WHERE id = ?1",
            params![
                id,
                item.input,
                json(serde_json::to_string(&item.arguments)),
                json(serde_json::to_string(&item.settings)),
                item.settings_hash(),
                item.model_hash,
                item.models,
            ],
        )
    }

    /// What has the output's name was made of another input: it is not this file's own to replace.
    pub fn disown(&self, id: i64) -> Result<()> {
        self.execute("UPDATE file SET owned = 0 WHERE id = ?1", params![id])
    }

    /// Work on the file begins; `identity` is what it reads, with no hash where that is not known yet.
    pub fn start(&self, id: i64, identity: &Identity) -> Result<()> {
        self.execute(
            "UPDATE file SET state = 'running', attempts = attempts + 1, error = NULL, frames = 0, share = NULL,
                 size = ?2, mtime_ns = ?3, blake3 = ?4, etag = ?6, started = ?5, finished = NULL WHERE id = ?1",
            params![
                id,
                identity.stamp.size as i64,
                identity.stamp.mtime_ns,
                (!identity.blake3.is_empty()).then_some(&identity.blake3),
                now(),
                identity.stamp.etag,
            ],
        )
    }

    /// The hash of what a running file reads, where it was not known when work began.
    pub fn identified(&self, id: i64, blake3: &str) -> Result<()> {
        self.execute(
            "UPDATE file SET blake3 = ?2 WHERE id = ?1",
            params![id, blake3],
        )
    }

    /// The result is being sent as `upload`; None when no upload is left.
    pub fn uploading(&self, id: i64, upload: Option<&str>) -> Result<()> {
        self.execute(
            "UPDATE file SET upload = ?2 WHERE id = ?1",
            params![id, upload],
        )
    }

    /// How far a running file is.
    pub fn progress(&self, id: i64, frames: u64, share: Option<f64>) -> Result<()> {
        self.execute(
            "UPDATE file SET frames = ?2, share = ?3 WHERE id = ?1",
            params![id, frames as i64, share],
        )
    }

    /// The result is complete under another name, with the hash `blake3`.
    pub fn written(&self, id: i64, blake3: &str, report: &Report) -> Result<()> {
        let report = serde_json::to_string(report)
            .map_err(|error| Error::media(self.path.display().to_string(), error.to_string()))?;
        self.execute(
            "UPDATE file SET state = 'written', owned = 1, result_blake3 = ?2, report = ?3 WHERE id = ?1",
            params![id, blake3, report],
        )
    }

    /// The result has its name, and the stamp `stamp`.
    pub fn done(&self, id: i64, stamp: &Stamp) -> Result<()> {
        self.execute(
            "UPDATE file SET state = 'done', changed = NULL, upload = NULL, result_size = ?2, result_mtime_ns = ?3,
                 result_etag = ?5, finished = ?4 WHERE id = ?1",
            params![id, stamp.size as i64, stamp.mtime_ns, now(), stamp.etag],
        )
    }

    /// The file could not be redacted.
    pub fn fail(&self, id: i64, error: &str) -> Result<()> {
        self.execute(
            "UPDATE file SET state = 'failed', error = ?2, finished = ?3 WHERE id = ?1",
            params![id, error, now()],
        )
    }

    /// The file is to be done, after a stop that was asked for.
    pub fn put_back(&self, id: i64) -> Result<()> {
        self.execute(
            "UPDATE file SET state = 'pending', attempts = 0 WHERE id = ?1",
            params![id],
        )
    }

    /// The finished file's input has another time or name, but the same content.
    pub fn touched(&self, id: i64, input: &str, stamp: &Stamp) -> Result<()> {
        self.execute(
            "UPDATE file SET input = ?5, size = ?2, mtime_ns = ?3, etag = ?4 WHERE id = ?1",
            params![id, stamp.size as i64, stamp.mtime_ns, stamp.etag, input],
        )
    }

    /// Notes, or takes back, why a finished file would have to be done again.
    pub fn mark_changed(&self, id: i64, why: Option<&str>) -> Result<()> {
        self.execute(
            "UPDATE file SET changed = ?2 WHERE id = ?1",
            params![id, why],
        )
    }

    /// Keeps a fact of the whole batch.
    pub fn note(&self, name: &str, value: &str) -> Result<()> {
        self.execute(
            "INSERT INTO note VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
            params![name, value],
        )
    }

    /// A fact of the whole batch.
    pub fn noted(&self, name: &str) -> Result<Option<String>> {
        if self.blank {
            return Ok(None);
        }
        self.connection
            .query_row("SELECT value FROM note WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|error| self.wrong(&error))
    }
}

/// True when no write-ahead log lies beside the journal at `path`.
fn is_at_rest(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |found| found.len()) == 0
}

/// `path` from the root on: SQLite takes one that begins with `file:` for an address.
fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The address by which SQLite opens the journal at `path` as a file that nobody changes.
fn unchanging(path: &Path) -> PathBuf {
    let escaped: String = whole(path)
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    format!("file:{escaped}?immutable=1").into()
}

/// Where the lock of the journal at `path` is.
fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

fn wrong(path: &Path, error: &rusqlite::Error) -> Error {
    let damaged = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    );
    let remedy = if damaged {
        "; restore it, or move it away: what it knew of is then not known as this batch's own"
    } else {
        ""
    };
    let problem = format!("the batch's journal: {error}{remedy}");
    Error::media(path.display().to_string(), problem)
}
