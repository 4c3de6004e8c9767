//! What is said at the end.

use std::path::PathBuf;
use std::process::ExitCode;

use floutage::media::report::Report;
use serde::Serialize;

/// The outcome of all files.
#[derive(Debug, Serialize)]
pub struct Summary {
    files: Vec<Report>,
    errors: Vec<Failure>,
    /// Files of input folders that are no media.
    left_out: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Failure {
    input: PathBuf,
    error: String,
}

impl Summary {
    pub fn new(left_out: Vec<PathBuf>) -> Self {
        Self {
            files: Vec::new(),
            errors: Vec::new(),
            left_out,
        }
    }

    /// Notes a finished file and, unless `silent`, says so.
    pub fn add(&mut self, report: Report, silent: bool) {
        if !silent {
            println!("{}", describe(&report));
        }
        self.files.push(report);
    }

    /// Notes a failed file.
    pub fn fail(&mut self, input: PathBuf, error: &anyhow::Error) {
        self.errors.push(Failure {
            input,
            error: format!("{error:#}"),
        });
    }

    /// Says what became of several files together; one file has said all.
    pub fn print_total(&self) {
        if !self.left_out.is_empty() {
            println!(
                "{} files are no media and were left out",
                self.left_out.len()
            );
        }
        if self.files.len() + self.errors.len() > 1 {
            let frames: u64 = self.files.iter().map(|report| report.frames).sum();
            let failed: u64 = self
                .files
                .iter()
                .map(|report| report.frames_failed_closed)
                .sum();
            println!(
                "{} files redacted, {} failed; {frames} frames, {failed} of them filled whole",
                self.files.len(),
                self.errors.len()
            );
        }
    }

    /// Prints everything as one JSON object.
    pub fn print_json(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string_pretty(self)?);
        Ok(())
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(u8::from(!self.errors.is_empty()))
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
