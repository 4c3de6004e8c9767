//! What is told of a batch: before, while and after it is done.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use floutage::batch::account::Account;
use floutage::batch::journal::{Entry, Journal, State};
use floutage::batch::plan::{Item, Plan};

use super::auto;
use super::display::length;
use super::job::{FOLDER, Job};
use super::{JOURNAL, LEFT_OUT, PLAN, exit_code, measure_lengths};
use crate::redact::catch_signals;
use crate::redact::plan::LeftOut;
use crate::say;

#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The output folder, or the folder of the journal.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The output folder, or the folder of the journals, whose shards become one account.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Where to write report.json, report.csv and report.html [default: beside the journals].
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Print the account as JSON.
    #[arg(long)]
    json: bool,
}

/// The journals of `folder`, and the folder they are in.
fn journals(folder: &Path) -> Result<(Vec<Journal>, PathBuf)> {
    let inner = folder.join(FOLDER);
    let folder = if inner.is_dir() {
        inner
    } else {
        folder.to_owned()
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name == JOURNAL || name.starts_with("journal-") && name.ends_with(".sqlite")
        })
        .collect();
    paths.sort();
    if paths.is_empty() {
        bail!("{}: there is no journal of a batch", folder.display());
    }
    let journals = paths
        .iter()
        .map(|path| Journal::look(path))
        .collect::<floutage::Result<_>>()?;
    Ok((journals, folder))
}

/// What the journals in `folder` know, and what is planned there and no shard has begun.
fn entries(journals: &[Journal], folder: &Path) -> Result<(Vec<Entry>, Vec<String>)> {
    let (mut entries, mut left_out) = (Vec::new(), Vec::new());
    for journal in journals {
        entries.extend(journal.entries()?);
        let noted = journal.noted(LEFT_OUT)?.unwrap_or_default();
        left_out.extend(noted.lines().map(str::to_owned));
    }
    let plan = folder.join(PLAN);
    if plan.is_file() {
        let known: HashSet<String> = entries.iter().map(|entry| entry.output.clone()).collect();
        let planned = Plan::read(&plan)?.files.into_iter().map(|(_, item)| item);
        let new = planned.filter(|item| !known.contains(&item.output));
        entries.extend(new.map(|item| Entry::planned(&item)));
    }
    Ok((entries, left_out))
}

/// Says how far a batch is.
pub fn status(args: &StatusArgs) -> Result<ExitCode> {
    let (journals, folder) = journals(&args.folder)?;
    let (entries, left_out) = entries(&journals, &folder)?;
    let running: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.state == State::Running)
        .cloned()
        .collect();
    let account = Account::of(entries, left_out)?;
    if args.json {
        let running: Vec<_> = running
            .iter()
            .map(|entry| {
                serde_json::json!({
                    "input": entry.input, "frames": entry.frames, "share": entry.share, "started": entry.started,
                })
            })
            .collect();
        let status = serde_json::json!({ "total": account.total, "running": running });
        say::out(&serde_json::to_string_pretty(&status)?);
        return Ok(ExitCode::SUCCESS);
    }
    for line in summary(&account) {
        say::out(&line);
    }
    for entry in running {
        let share = entry
            .share
            .map_or_else(String::new, |share| format!(", {:.0} %", share * 100.0));
        say::out(&format!(
            "running: {}: {} frames{share}",
            entry.input, entry.frames
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the account of all journals of a folder.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let (journals, folder) = journals(&args.folder)?;
    let (entries, left_out) = entries(&journals, &folder)?;
    let account = Account::of(entries, left_out)?;
    let target = args.output.as_ref().unwrap_or(&folder);
    account.write(target)?;
    if args.json {
        say::out(&serde_json::to_string_pretty(&account)?);
    } else {
        for line in summary(&account) {
            say::out(&line);
        }
        say::out(&format!(
            "account: {}",
            target.join("report.html").display()
        ));
    }
    Ok(exit_code(&account))
}

/// The account in some lines.
pub fn summary(account: &Account) -> Vec<String> {
    let total = &account.total;
    let mut lines: Vec<String> = account.left_out.clone();
    for file in &account.files {
        if file.state == State::Failed {
            let error = file.error.as_deref().unwrap_or("no reason is known");
            lines.push(format!("failed: {}: {error}", file.input));
        }
        if let Some(changed) = &file.changed {
            lines.push(format!("out of date: {}: {changed}", file.output));
        }
    }
    let states: Vec<String> = total
        .states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    lines.push(format!(
        "{} files: {}; {} of video, {} frames, {} of them filled whole; {} face and {} plate regions",
        total.files,
        states.join(", "),
        length(total.duration_s),
        total.frames,
        total.frames_failed_closed,
        total.regions.face,
        total.regions.plate
    ));
    lines
}

/// Says what would be done.
pub fn dry_run(job: &Job, mut items: Vec<Item>, left_out: &[LeftOut]) -> Result<ExitCode> {
    measure_lengths(&mut items)?;
    for line in left_out.iter().map(LeftOut::line) {
        say::out(&line);
    }
    for item in &items {
        say::out(&format!("{} -> {}", item.input, item.output));
    }
    let seconds: f64 = items.iter().map(|item| item.duration_s).sum();
    let bytes: u64 = items.iter().map(|item| item.size).sum();
    let journal = job.folder.join(JOURNAL);
    let mut done = HashSet::new();
    if journal.is_file() {
        let entries = Journal::look(&journal)?.entries()?;
        let over = entries
            .into_iter()
            .filter(|entry| entry.state == State::Done);
        done.extend(over.map(|entry| entry.output));
    }
    say::out(&format!(
        "{} files, {:.1} MB, {} of video",
        items.len(),
        bytes as f64 / 1e6,
        length(seconds)
    ));
    let missing: Vec<&Item> = items
        .iter()
        .filter(|item| !done.contains(&item.output))
        .collect();
    if missing.len() < items.len() {
        let over = items.len() - missing.len();
        say::out(&format!("{over} of them are done already"));
    }
    catch_signals()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(speed) = auto::best(&missing, cores)? {
        let seconds: f64 = missing.iter().map(|item| item.duration_s).sum();
        say::out(&format!(
            "measured: {:.1} frames/s with {} at once; about {} for what is missing",
            speed.frames_per_s,
            speed.jobs,
            length(seconds / speed.times_real_time.max(1e-6))
        ));
    }
    Ok(ExitCode::SUCCESS)
}
