//! What is told of a batch while and after it is done.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use floutage::batch::account::Account;
use floutage::batch::journal::{Entry, State};

use super::display::length;
use super::{exit_code, journals};
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

/// Says how far a batch is.
pub fn status(args: &StatusArgs) -> Result<ExitCode> {
    let told = journals::look(&args.folder)?;
    let running: Vec<Entry> = told
        .entries
        .iter()
        .filter(|entry| entry.state == State::Running)
        .cloned()
        .collect();
    let account = Account::of(told.entries, told.left_out)?;
    if args.json {
        let facts = |entries: &[Entry]| -> Vec<_> {
            let facts = entries.iter().map(|entry| {
                serde_json::json!({
                    "input": entry.input, "frames": entry.frames, "share": entry.share, "started": entry.started,
                })
            });
            facts.collect()
        };
        let status = serde_json::json!({
            "total": account.total, "running": facts(&running), "cut_off": facts(&told.cut_off),
        });
        say::out(&say::json(&status)?);
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
    for entry in told.cut_off {
        say::out(&format!(
            "cut off: {}: its process was killed; the next start does it",
            entry.input
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the account of all journals of a folder.
pub fn report(args: &ReportArgs) -> Result<ExitCode> {
    let told = journals::look(&args.folder)?;
    let account = Account::of(told.entries, told.left_out)?;
    let target = args.output.as_ref().unwrap_or(&told.folder);
    account.write(target)?;
    if args.json {
        say::out(&say::json(&account)?);
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
