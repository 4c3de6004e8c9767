//! Progress of one file: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use floutage::media::report::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Steps of the bar for the whole file.
const STEPS: u64 = 10_000;
/// Time between two plain lines.
const LINE: Duration = Duration::from_secs(5);

/// Shows how far one file is.
pub enum Display {
    Bar {
        bar: ProgressBar,
        started: Instant,
    },
    Lines {
        name: String,
        started: Instant,
        told: Instant,
    },
    Nothing,
}

impl Display {
    /// A display for `input`, on standard error.
    pub fn new(input: &Path, quiet: bool) -> Self {
        let name = input
            .file_name()
            .unwrap_or(input.as_os_str())
            .to_string_lossy()
            .into_owned();
        let started = Instant::now();
        if quiet {
            Self::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(STEPS);
            let style = ProgressStyle::with_template(
                "{prefix} {wide_bar} {percent:>3} % {msg}, {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name);
            Self::Bar { bar, started }
        } else {
            Self::Lines {
                name,
                started,
                told: started,
            }
        }
    }

    /// Shows `progress`.
    pub fn update(&mut self, progress: &Progress) {
        let rate =
            |started: &Instant| progress.frames as f64 / started.elapsed().as_secs_f64().max(1e-3);
        let regions = format!(
            "{} faces, {} plates",
            progress.regions.face, progress.regions.plate
        );
        match self {
            Self::Bar { bar, started } => {
                if let Some(share) = progress.share {
                    bar.set_position((share * STEPS as f64) as u64);
                }
                bar.set_message(format!("{:.0} frames/s, {regions}", rate(started)));
            }
            Self::Lines {
                name,
                started,
                told,
            } => {
                if told.elapsed() >= LINE {
                    *told = Instant::now();
                    let left = progress.share.filter(|share| *share > 0.0).map(|share| {
                        let left = started.elapsed().as_secs_f64() * (1.0 - share) / share;
                        format!("{:.0} %, {left:.0} s left, ", share * 100.0)
                    });
                    crate::say::err(&format!(
                        "{name}: {}{} frames, {:.0} frames/s, {regions}",
                        left.unwrap_or_default(),
                        progress.frames,
                        rate(started)
                    ));
                }
            }
            Self::Nothing => {}
        }
    }

    /// Takes the display away.
    pub fn finish(self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}
