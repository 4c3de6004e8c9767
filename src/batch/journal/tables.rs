//! The tables of a journal, and what brings those of older versions to this one.

use rusqlite::Connection;

/// Version of the tables below.
pub(super) const VERSION: i64 = 2;
/// What brings the tables of version 1 to this one.
const SINCE_1: &str = "
ALTER TABLE file ADD COLUMN etag TEXT;
ALTER TABLE file ADD COLUMN result_etag TEXT;
ALTER TABLE file ADD COLUMN upload TEXT;
";
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY,
    output TEXT NOT NULL UNIQUE,
    input TEXT NOT NULL,
    listed INTEGER NOT NULL,        -- belongs to the present batch
    arguments TEXT NOT NULL,        -- JSON
    settings TEXT NOT NULL,         -- JSON
    settings_hash TEXT NOT NULL,
    model_hash TEXT NOT NULL,
    models TEXT NOT NULL,
    size INTEGER, mtime_ns INTEGER, blake3 TEXT,
    state TEXT NOT NULL,            -- pending, running, written, done, failed
    changed TEXT,                   -- why a finished file would have to be done again
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    owned INTEGER NOT NULL DEFAULT 0,   -- what has the output's name was made by this batch
    result_size INTEGER, result_mtime_ns INTEGER, result_blake3 TEXT,
    etag TEXT, result_etag TEXT,    -- of objects
    upload TEXT,                    -- an upload of the result that may not be over
    report TEXT,                    -- JSON
    started INTEGER, finished INTEGER,  -- seconds since 1970
    frames INTEGER, share REAL      -- how far a running file is
);
CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL);
";

/// What is known of a file, but for its number and whether it is listed.
pub(super) const FACTS: &str = "output, input, arguments, settings, settings_hash, model_hash, models, size, mtime_ns, \
    blake3, state, changed, attempts, error, owned, result_size, result_mtime_ns, result_blake3, etag, result_etag, \
    upload, report, started, finished, frames, share";

/// Makes the tables of `connection` those of this version.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let missing = match version(connection)? {
        0 => TABLES,
        1 => SINCE_1,
        _ => return Ok(()),
    };
    let set = format!("BEGIN; {missing} PRAGMA user_version = {VERSION}; COMMIT;");
    connection.execute_batch(&set)
}

/// The version of the tables of `connection`.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// True when `connection` has no tables at all.
pub(super) fn none(connection: &Connection) -> rusqlite::Result<bool> {
    let count: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    Ok(count == 0)
}
