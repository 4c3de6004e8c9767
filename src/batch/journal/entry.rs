//! One file of a journal, and how far it is.

use std::collections::BTreeMap;

use rusqlite::Row;
use serde::Serialize;

use crate::batch::identity::{Identity, Stamp};
use crate::batch::plan::Item;
use crate::media::report::Report;

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// To be done.
    Pending,
    /// Being done, or cut off in the midst of it.
    Running,
    /// Redacted under another name; the result's hash is known.
    Written,
    /// Complete under its name.
    Done,
    /// Given up.
    Failed,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Pending,
        Self::Running,
        Self::Written,
        Self::Done,
        Self::Failed,
    ];

    /// The name in the journal and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Written => "written",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What is said of a result whose input is not the one that is asked for.
pub const OTHER_INPUT: &str = "it was made of another input";

/// One file of a journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Number in this journal.
    pub id: i64,
    /// The file read.
    pub input: String,
    /// The file written.
    pub output: String,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
    /// Hash of the settings.
    pub settings_hash: String,
    /// Hash of the models.
    pub model_hash: String,
    /// Names and SHA-256 of the models.
    pub models: String,
    /// The input as it was when it was last redacted.
    pub identity: Option<Identity>,
    /// How far it is.
    pub state: State,
    /// Why a finished file would have to be done again, where that was to be reported only.
    pub changed: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// Whether what has the output's name was made by this batch.
    pub owned: bool,
    /// The result, once it is complete.
    pub result: Option<Identity>,
    /// Hash of the result, known before it has its name.
    pub result_blake3: Option<String>,
    /// An upload of the result that may not be over.
    pub upload: Option<String>,
    /// Numbers of the result.
    pub report: Option<Report>,
    /// Seconds since 1970.
    pub started: Option<i64>,
    /// Seconds since 1970.
    pub finished: Option<i64>,
    /// Frames so far, while it runs.
    pub frames: u64,
    /// Share that is done, 0 to 1, while it runs.
    pub share: Option<f64>,
}

impl Entry {
    /// Which of the settings and models that `item` asks for are others; None where none are.
    pub fn differs(&self, item: &Item) -> Option<&'static str> {
        if self.settings_hash != item.settings_hash() {
            Some("the settings are others")
        } else if self.model_hash != item.model_hash {
            Some("the model is another")
        } else {
            None
        }
    }

    /// Whether something under the output's name, or an upload to it, may be this batch's own.
    pub fn has_made(&self) -> bool {
        self.owned || self.upload.is_some() || matches!(self.state, State::Written | State::Done)
    }

    /// When something was last done to it, in seconds since 1970.
    pub fn last(&self) -> Option<i64> {
        self.started.max(self.finished)
    }

    /// A file of a plan that no journal knows of yet.
    pub fn planned(item: &Item) -> Self {
        Self {
            id: 0,
            input: item.input.clone(),
            output: item.output.clone(),
            settings: item.settings.clone(),
            settings_hash: item.settings_hash(),
            model_hash: item.model_hash.clone(),
            models: item.models.clone(),
            identity: None,
            state: State::Pending,
            changed: None,
            attempts: 0,
            error: None,
            owned: false,
            result: None,
            result_blake3: None,
            upload: None,
            report: None,
            started: None,
            finished: None,
            frames: 0,
            share: None,
        }
    }
}

/// What a row of the table of files says.
pub(super) fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    // Journals of version 1 have no such columns.
    let later = |name: &str| row.get::<_, Option<String>>(name).unwrap_or(None);
    let identity =
        |size: &str, time: &str, hash: &str, etag: &str| -> rusqlite::Result<Option<Identity>> {
            let (size, time): (Option<i64>, Option<i64>) = (row.get(size)?, row.get(time)?);
            let hash: Option<String> = row.get(hash)?;
            Ok(match (size, time, hash) {
                (Some(size), Some(mtime_ns), Some(blake3)) => Some(Identity {
                    stamp: Stamp {
                        size: size as u64,
                        mtime_ns,
                        etag: later(etag),
                    },
                    blake3,
                }),
                _ => None,
            })
        };
    let state: String = row.get("state")?;
    let settings: String = row.get("settings")?;
    let report: Option<String> = row.get("report")?;
    Ok(Entry {
        id: row.get("id")?,
        input: row.get("input")?,
        output: row.get("output")?,
        settings: serde_json::from_str(&settings).unwrap_or_default(),
        settings_hash: row.get("settings_hash")?,
        model_hash: row.get("model_hash")?,
        models: row.get("models")?,
        identity: identity("size", "mtime_ns", "blake3", "etag")?,
        // What is not known is to be done again.
        state: State::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .unwrap_or(State::Pending),
        changed: row.get("changed")?,
        attempts: row.get("attempts")?,
        error: row.get("error")?,
        owned: row.get("owned")?,
        result: identity(
            "result_size",
            "result_mtime_ns",
            "result_blake3",
            "result_etag",
        )?,
        result_blake3: row.get("result_blake3")?,
        upload: later("upload"),
        report: report.and_then(|text| serde_json::from_str(&text).ok()),
        started: row.get("started")?,
        finished: row.get("finished")?,
        frames: row.get::<_, Option<i64>>("frames")?.unwrap_or(0) as u64,
        share: row.get("share")?,
    })
}
