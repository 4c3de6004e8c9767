//! What is told of a batch: per file and in total, as JSON, CSV and a page for people.
//!
//! Invariant: numbers, names and hashes only; no picture.

mod html;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::identity::Identity;
use super::journal::{Entry, State};
use crate::error::{Error, Result};
use crate::media::partial::PartialFile;
use crate::media::report::Regions;
use crate::media::tally::{HEIGHTS, Histograms, Tally};

/// The whole account.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// Version of the program that wrote it.
    pub floutage: String,
    /// When it was written.
    pub written: String,
    /// Sums.
    pub total: Totals,
    /// Lower bounds of the classes of height in pixels used below.
    pub height_classes: [u32; HEIGHTS.len()],
    /// Every setting that all files share.
    pub settings: BTreeMap<String, String>,
    /// Models used, with their SHA-256.
    pub models: Vec<String>,
    /// What input folders hold beside that, with the reason.
    pub left_out: Vec<String>,
    /// Every file, in the order of outputs.
    pub files: Vec<FileAccount>,
}

/// Sums over all files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Files of the batch.
    pub files: usize,
    /// Of those, by state.
    pub states: BTreeMap<&'static str, usize>,
    /// Finished files whose input, model or settings are others by now.
    pub changed: usize,
    /// Length of all videos in seconds.
    pub duration_s: f64,
    /// Pictures written.
    pub frames: u64,
    /// Regions redacted, summed over all frames.
    pub regions: Regions,
    /// Tracks.
    pub tracks: Regions,
    /// Frames filled whole because they could not be analysed.
    pub frames_failed_closed: u64,
    /// Frames that could not be decoded.
    pub frames_lost: u64,
    /// Frames that were damaged.
    pub frames_damaged: u64,
    /// Work in seconds, summed over all files.
    pub elapsed_s: f64,
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Faces by size and confidence.
    pub face: Histograms,
    /// Licence plates likewise.
    pub plate: Histograms,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct FileAccount {
    /// The file read.
    pub input: String,
    /// The file written.
    pub output: String,
    /// How far it is.
    pub state: State,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it would have to be done again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The input when it was redacted.
    pub input_identity: Option<Identity>,
    /// The result.
    pub output_identity: Option<Identity>,
    /// Hash of the settings.
    pub settings_hash: String,
    /// Settings that not all files share.
    pub settings: BTreeMap<String, String>,
    /// Hash of the models.
    pub model_hash: String,
    /// Length of the video in seconds.
    pub duration_s: f64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures written.
    pub frames: u64,
    /// Regions redacted, summed over all frames.
    pub regions: Regions,
    /// Frames filled whole.
    pub frames_failed_closed: u64,
    /// Frames that could not be decoded.
    pub frames_lost: u64,
    /// Frames that were damaged.
    pub frames_damaged: u64,
    /// Work in seconds.
    pub elapsed_s: f64,
    /// Frames per second of work.
    pub frames_per_s: f64,
    /// What went wrong and was survived.
    pub warnings: Vec<String>,
    /// Other streams that were left out.
    pub streams_dropped: Vec<String>,
    /// Sizes, confidences, tracks and times.
    pub tally: Tally,
}

impl Account {
    /// The account of `entries`, each file once.
    ///
    /// Errors: [`Error::Media`] when two journals claim one output.
    pub fn of(mut entries: Vec<Entry>, left_out: Vec<String>) -> Result<Self> {
        entries.sort_by(|a, b| a.output.cmp(&b.output));
        if let Some(pair) = entries
            .windows(2)
            .find(|pair| pair[0].output == pair[1].output)
        {
            let problem = "two journals of the folder claim this file, and no plan says whose it is; put the plan.json of the last plan beside them, or move the journals of earlier plans away";
            return Err(Error::media(&pair[0].output, problem));
        }
        let shared = shared_settings(&entries);
        let mut total = Totals {
            files: entries.len(),
            ..Totals::default()
        };
        let mut models: Vec<String> = entries
            .iter()
            .map(|entry| entry.models.clone())
            .filter(|models| !models.is_empty())
            .collect();
        models.sort();
        models.dedup();
        let files: Vec<FileAccount> = entries
            .into_iter()
            .map(|entry| FileAccount::of(entry, &shared))
            .collect();
        for file in &files {
            total.add(file);
        }
        Ok(Self {
            floutage: env!("CARGO_PKG_VERSION").into(),
            written: gst::glib::DateTime::now_utc()
                .and_then(|now| now.format("%Y-%m-%dT%H:%M:%SZ"))
                .map(String::from)
                .unwrap_or_default(),
            total,
            height_classes: HEIGHTS,
            settings: shared,
            models,
            left_out,
            files,
        })
    }

    /// Writes `report.json`, `report.csv` and `report.html` into `folder`, which is made.
    ///
    /// Errors: [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(|error| Error::io(folder, "creating", error))?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::media("report.json", error.to_string()))?;
        write(&folder.join("report.json"), json.as_bytes())?;
        write(&folder.join("report.csv"), &self.csv()?)?;
        write(&folder.join("report.html"), html::page(self).as_bytes())
    }

    fn csv(&self) -> Result<Vec<u8>> {
        let wrong = |error: String| Error::media("report.csv", error);
        let mut table = csv::Writer::from_writer(Vec::new());
        table
            .write_record([
                "input",
                "output",
                "state",
                "error",
                "changed",
                "attempts",
                "input_bytes",
                "input_blake3",
                "output_bytes",
                "output_blake3",
                "settings_hash",
                "model_hash",
                "duration_s",
                "width",
                "height",
                "frames",
                "faces",
                "plates",
                "face_tracks",
                "plate_tracks",
                "frames_failed_closed",
                "frames_lost",
                "frames_damaged",
                "elapsed_s",
                "frames_per_s",
            ])
            .map_err(|error| wrong(error.to_string()))?;
        for file in &self.files {
            let of = |identity: &Option<Identity>| match identity {
                Some(known) => (known.stamp.size.to_string(), known.blake3.clone()),
                None => Default::default(),
            };
            let (input_bytes, input_hash) = of(&file.input_identity);
            let (output_bytes, output_hash) = of(&file.output_identity);
            table
                .write_record([
                    file.input.clone(),
                    file.output.clone(),
                    file.state.name().to_owned(),
                    file.error.clone().unwrap_or_default(),
                    file.changed.clone().unwrap_or_default(),
                    file.attempts.to_string(),
                    input_bytes,
                    input_hash,
                    output_bytes,
                    output_hash,
                    file.settings_hash.clone(),
                    file.model_hash.clone(),
                    format!("{:.3}", file.duration_s),
                    file.width.to_string(),
                    file.height.to_string(),
                    file.frames.to_string(),
                    file.regions.face.to_string(),
                    file.regions.plate.to_string(),
                    file.tally.tracks.face.to_string(),
                    file.tally.tracks.plate.to_string(),
                    file.frames_failed_closed.to_string(),
                    file.frames_lost.to_string(),
                    file.frames_damaged.to_string(),
                    format!("{:.3}", file.elapsed_s),
                    format!("{:.1}", file.frames_per_s),
                ])
                .map_err(|error| wrong(error.to_string()))?;
        }
        table.into_inner().map_err(|error| wrong(error.to_string()))
    }
}

impl FileAccount {
    fn of(entry: Entry, shared: &BTreeMap<String, String>) -> Self {
        let finished = entry.state == State::Done;
        let report = entry.report.filter(|_| finished).unwrap_or_default();
        let frames_per_s = report.frames_per_second();
        Self {
            input: entry.input,
            output: entry.output,
            state: entry.state,
            error: entry.error.filter(|_| !finished),
            changed: entry.changed,
            attempts: entry.attempts,
            input_identity: entry.identity,
            output_identity: entry.result.filter(|_| finished),
            settings_hash: entry.settings_hash,
            settings: entry
                .settings
                .into_iter()
                .filter(|(name, value)| shared.get(name) != Some(value))
                .collect(),
            model_hash: entry.model_hash,
            duration_s: report.duration_s,
            width: report.width,
            height: report.height,
            frames: report.frames,
            regions: report.regions,
            frames_failed_closed: report.frames_failed_closed,
            frames_lost: report.frames_lost,
            frames_damaged: report.frames_damaged,
            elapsed_s: report.elapsed_s,
            frames_per_s,
            warnings: report.warnings,
            streams_dropped: report.streams_dropped,
            tally: report.tally.unwrap_or_default(),
        }
    }
}

impl Totals {
    fn add(&mut self, file: &FileAccount) {
        *self.states.entry(file.state.name()).or_default() += 1;
        self.changed += usize::from(file.changed.is_some());
        self.duration_s += file.duration_s;
        self.frames += file.frames;
        self.regions.face += file.regions.face;
        self.regions.plate += file.regions.plate;
        self.tracks.face += file.tally.tracks.face;
        self.tracks.plate += file.tally.tracks.plate;
        self.frames_failed_closed += file.frames_failed_closed;
        self.frames_lost += file.frames_lost;
        self.frames_damaged += file.frames_damaged;
        self.elapsed_s += file.elapsed_s;
        if let (Some(input), Some(output)) = (&file.input_identity, &file.output_identity) {
            self.input_bytes += input.stamp.size;
            self.output_bytes += output.stamp.size;
        }
        self.face.add(&file.tally.face);
        self.plate.add(&file.tally.plate);
    }

    /// Files in `state`.
    pub fn in_state(&self, state: State) -> usize {
        self.states.get(state.name()).copied().unwrap_or(0)
    }
}

/// The settings that all `entries` with any share.
fn shared_settings(entries: &[Entry]) -> BTreeMap<String, String> {
    let mut with = entries.iter().filter(|entry| !entry.settings.is_empty());
    let Some(first) = with.next() else {
        return BTreeMap::new();
    };
    let mut shared = first.settings.clone();
    for entry in with {
        shared.retain(|name, value| entry.settings.get(name) == Some(value));
    }
    shared
}

/// Writes `bytes` to `path`, which changes as a whole.
///
/// Errors: [`Error::Io`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = PartialFile::create(path, true)?;
    fs::write(partial.path(), bytes).map_err(|error| Error::io(path, "writing", error))?;
    partial.finish()
}
