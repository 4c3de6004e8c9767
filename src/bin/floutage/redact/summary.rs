//! What is said at the end.

use std::path::PathBuf;
use std::process::ExitCode;

use floutage::media::report::{Report, lossy};
use serde::Serialize;

use super::plan::LeftOut;
use crate::say;

/// The outcome of all files.
#[derive(Debug, Serialize)]
pub struct Summary {
    files: Vec<Report>,
    errors: Vec<Failure>,
    /// What input folders hold beside that.
    left_out: Vec<LeftOut>,
    /// Something could not be said.
    #[serde(skip)]
    unsaid: bool,
}

#[derive(Debug, Serialize)]
struct Failure {
    /// As in the reports of files.
    #[serde(serialize_with = "lossy")]
    input: PathBuf,
    error: String,
}

impl Summary {
    pub fn new(left_out: Vec<LeftOut>) -> Self {
        Self {
            files: Vec::new(),
            errors: Vec::new(),
            left_out,
            unsaid: false,
        }
    }

    fn say(&mut self, line: &str) {
        self.unsaid |= !say::out(line);
    }

    /// Notes a finished file and, unless `silent`, says so.
    pub fn add(&mut self, report: Report, silent: bool) {
        if !silent {
            self.say(&describe(&report));
        }
        self.files.push(report);
    }

    /// Notes a failed file.
    pub fn fail(&mut self, input: PathBuf, error: &anyhow::Error) {
        self.errors.push(Failure {
            input,
            error: say::causes(error),
        });
    }

    /// Says what became of several files together; one file has said all.
    pub fn print_total(&mut self) {
        let left_out: Vec<String> = self.left_out.iter().map(LeftOut::line).collect();
        for line in left_out {
            self.say(&line);
        }
        if self.files.len() + self.errors.len() > 1 {
            let frames: u64 = self.files.iter().map(|report| report.frames).sum();
            let failed: u64 = self
                .files
                .iter()
                .map(|report| report.frames_failed_closed)
                .sum();
            let line = format!(
                "{} files redacted, {} failed; {frames} frames, {failed} of them filled whole",
                self.files.len(),
                self.errors.len()
            );
            self.say(&line);
        }
    }

    /// Prints everything as one JSON object.
    pub fn print_json(&mut self) -> anyhow::Result<()> {
        let text = say::json(self)?;
        self.say(&text);
        Ok(())
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.errors.is_empty() || self.unsaid))
    }
}

fn describe(report: &Report) -> String {
    let mut text = format!(
        "{} -> {}\n  {} frames, {} faces and {} plates redacted, {} frames filled because they could not be analysed",
        report.input.display(),
        report.output.display(),
        report.frames,
        report.regions.face,
        report.regions.plate,
        report.frames_failed_closed,
    );
    if report.frames_lost + report.frames_damaged > 0 {
        text.push_str(&format!(
            "\n  the input is damaged: {} frames could not be decoded and are missing, {} are damaged",
            report.frames_lost, report.frames_damaged
        ));
    }
    if !report.streams_dropped.is_empty() {
        text.push_str(&format!(
            "\n  left out: {}",
            report.streams_dropped.join(", ")
        ));
    }
    for warning in &report.warnings {
        text.push_str(&format!("\n  warning: {warning}"));
    }
    let speed = report
        .times_real_time()
        .map(|times| format!(", {times:.1} times real time"));
    text.push_str(&format!(
        "\n  {:.1} s, {:.1} frames/s{}",
        report.elapsed_s,
        report.frames_per_second(),
        speed.unwrap_or_default()
    ));
    text
}
