//! What a batch would do, told before it does anything.
//!
//! Invariant: nothing is written.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Result;
use floutage::batch::job_file::Changed;
use floutage::batch::journal::{Entry, OTHER_INPUT, State};
use floutage::batch::name;
use floutage::batch::plan::Item;
use floutage::storage::is_address;
use serde::Serialize;

use super::auto::{self, Speed};
use super::display::{amount, length};
use super::job::{Job, WorkArgs};
use super::places::Places;
use super::reconcile::{Outlook, can_be_written, compare, outlook, stamps};
use super::{PARTIAL, cores, journals, measure_lengths};
use crate::redact::catch_signals;
use crate::redact::plan::{LeftOut, kind};
use crate::say;

/// What would become of one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Will {
    /// It is done already.
    Stay,
    /// It is to be done, for the first time or after it failed.
    Do,
    /// It is done, but out of date for this reason.
    Redo(String),
    /// It is done, out of date for this reason, and would be reported only.
    Report(String),
    /// It would be compared with the journal by its content.
    Compare,
    /// It would fail.
    Fail(String),
}

#[derive(Serialize)]
struct Planned<'a> {
    input: &'a str,
    output: &'a str,
    size: u64,
    duration_s: f64,
    will: Will,
}

/// All that is told.
#[derive(Serialize)]
struct Told<'a> {
    files: Vec<Planned<'a>>,
    left_out: Vec<String>,
    size: u64,
    duration_s: f64,
    #[serde(skip)]
    amount: String,
    /// Measured, for what is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<f64>,
}

impl Will {
    fn line(&self) -> String {
        match self {
            Self::Do => String::new(),
            Self::Stay => ": done already".into(),
            Self::Redo(reason) => format!(": again: {reason}"),
            Self::Report(reason) => format!(": stays, and is reported: {reason}"),
            Self::Compare => ": done; its content is compared with the journal".into(),
            Self::Fail(reason) => format!(": would fail: {reason}"),
        }
    }

    fn is_work(&self) -> bool {
        matches!(self, Self::Do | Self::Redo(_))
    }
}

/// Says what would be done.
pub fn show(
    job: &Job,
    places: &Places,
    mut items: Vec<Item>,
    left_out: &[LeftOut],
    work: &WorkArgs,
) -> Result<ExitCode> {
    measure_lengths(&mut items)?;
    // What shards did before is taken over.
    let known: HashMap<String, Entry> = journals::newest(&job.folder)?
        .into_iter()
        .map(|(output, (entry, _))| (output, entry))
        .collect();
    let stamps = stamps(&known, places)?;
    let mut files = Vec::new();
    for item in &items {
        let entry = known.get(&item.output);
        let outlook = entry.map_or(Outlook::Missing, |entry| outlook(entry, item, &stamps));
        let will = match outlook {
            Outlook::Done if work.verify => Will::Compare,
            Outlook::Done => Will::Stay,
            Outlook::Touched => match entry.filter(|entry| entry.input != item.input) {
                Some(entry) => renamed(entry, item, places, work)?,
                None => Will::Compare,
            },
            Outlook::Other(reason) if job.changed == Changed::Report => Will::Report(reason.into()),
            Outlook::Other(reason) => obstacle(item, entry, places, work)?
                .map_or_else(|| Will::Redo(reason.into()), Will::Fail),
            Outlook::Missing => obstacle(item, entry, places, work)?.map_or(Will::Do, Will::Fail),
        };
        files.push(Planned {
            input: &item.input,
            output: &item.output,
            size: item.size,
            duration_s: item.duration_s,
            will,
        });
    }
    let missing: Vec<&Item> = items
        .iter()
        .zip(&files)
        .filter(|(_, file)| file.will.is_work())
        .map(|(item, _)| item)
        .collect();
    catch_signals()?;
    let speed = auto::best(&missing, cores())?;
    let seconds: f64 = missing.iter().map(|item| item.duration_s).sum();
    let told = Told {
        left_out: left_out.iter().map(LeftOut::line).collect(),
        size: items.iter().map(|item| item.size).sum(),
        duration_s: items.iter().map(|item| item.duration_s).sum(),
        amount: amount(&items),
        jobs: speed.map(|speed| speed.jobs),
        frames_per_s: speed.map(|speed| speed.frames_per_s),
        seconds_left: speed.map(|speed| seconds / speed.times_real_time.max(1e-6)),
        files,
    };
    if work.json {
        say::out(&say::json(&told)?);
    } else if !work.quiet {
        told.print(speed);
    }
    let failing = told.count(|will| matches!(will, Will::Fail(_)));
    let out_of_date = told.count(|will| matches!(will, Will::Report(_)));
    Ok(match failing + out_of_date {
        0 => ExitCode::SUCCESS,
        _ if failing == told.files.len() => ExitCode::FAILURE,
        _ => ExitCode::from(PARTIAL),
    })
}

/// What becomes of a file that is done, by the journal of another input.
fn renamed(entry: &Entry, item: &Item, places: &Places, work: &WorkArgs) -> Result<Will> {
    if let Some(problem) = obstacle(item, Some(entry), places, work)? {
        return Ok(Will::Fail(problem));
    }
    Ok(match compare(entry, item, places)? {
        None => Will::Stay,
        Some(OTHER_INPUT) if !work.overwrite => {
            Will::Report(format!("{OTHER_INPUT}, {}", entry.input))
        }
        Some(reason) => Will::Redo(reason.into()),
    })
}

/// Why `item` would fail, as far as that can be told without redacting it.
fn obstacle(
    item: &Item,
    entry: Option<&Entry>,
    places: &Places,
    work: &WorkArgs,
) -> Result<Option<String>> {
    let own =
        |entry: &Entry| entry.owned && (entry.state == State::Done || entry.input == item.input);
    let owned = entry.is_some_and(own);
    if !owned && !work.overwrite && places.find(&item.output)?.is_some() {
        let problem = "the output exists and is not of this batch; --overwrite replaces it";
        return Ok(Some(problem.into()));
    }
    if !is_address(&item.output)
        && let Err(problem) = can_be_written(&name::path(&item.output))
    {
        return Ok(Some(problem));
    }
    if is_address(&item.input) {
        let problem = "there is no such object";
        return Ok(places
            .find(&item.input)?
            .is_none()
            .then(|| problem.to_owned()));
    }
    Ok(kind(&name::path(&item.input))
        .err()
        .map(|error| say::causes(&error)))
}

impl Told<'_> {
    fn count(&self, which: impl Fn(&Will) -> bool) -> usize {
        self.files.iter().filter(|file| which(&file.will)).count()
    }

    fn print(&self, speed: Option<Speed>) {
        for line in &self.left_out {
            say::out(line);
        }
        for file in &self.files {
            say::out(&format!(
                "{} -> {}{}",
                file.input,
                file.output,
                file.will.line()
            ));
        }
        say::out(&format!("{} files, {}", self.files.len(), self.amount));
        let count = |which: fn(&Will) -> bool, text: &str| match self.count(which) {
            0 => None,
            some => Some(format!("{some} {text}")),
        };
        let parts: Vec<String> = [
            count(|will| *will == Will::Stay, "done already"),
            count(|will| *will == Will::Compare, "to be compared"),
            count(|will| matches!(will, Will::Redo(_)), "to be done again"),
            count(
                |will| matches!(will, Will::Report(_)),
                "out of date, to be reported",
            ),
            count(|will| matches!(will, Will::Fail(_)), "that would fail"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !parts.is_empty() {
            say::out(&format!("of them: {}", parts.join(", ")));
        }
        if let (Some(speed), Some(seconds)) = (speed, self.seconds_left) {
            say::out(&format!(
                "measured: {:.1} frames/s with {} at once; about {} for what is missing",
                speed.frames_per_s,
                speed.jobs,
                length(seconds)
            ));
        }
    }
}
