//! Progress of a batch: bars on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use floutage::batch::name::printable;
use floutage::batch::plan::Item;
use floutage::media::report::Progress;
use floutage::storage::is_address;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::say;

/// Steps of a bar.
const STEPS: u64 = 10_000;
/// Time between two plain lines about the whole.
const LINE: Duration = Duration::from_secs(10);

/// Shows how far a batch is.
pub struct Display {
    kind: Kind,
    state: Mutex<State>,
}

enum Kind {
    Bars {
        all: MultiProgress,
        total: ProgressBar,
    },
    Lines,
    Nothing,
}

struct State {
    started: Instant,
    told: Instant,
    /// Bytes of all files, and of those that are over.
    bytes: u64,
    over: u64,
    files: usize,
    files_over: usize,
    /// Frames of files that are over.
    frames: u64,
    running: BTreeMap<i64, Running>,
}

struct Running {
    bar: Option<ProgressBar>,
    bytes: u64,
    started: Instant,
    progress: Progress,
}

impl Display {
    /// A display on standard error for `files` files of `bytes` bytes in all.
    pub fn new(files: usize, bytes: u64, quiet: bool) -> Self {
        let kind = if quiet {
            Kind::Nothing
        } else if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(STEPS));
            total.set_style(style("{prefix} {wide_bar} {percent:>3} % {msg}"));
            Kind::Bars { all, total }
        } else {
            Kind::Lines
        };
        let now = Instant::now();
        let display = Self {
            kind,
            state: Mutex::new(State {
                started: now,
                told: now,
                bytes: bytes.max(1),
                over: 0,
                files,
                files_over: 0,
                frames: 0,
                running: BTreeMap::new(),
            }),
        };
        display.refresh(&mut display.state());
        display
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Work on a file begins.
    pub fn start(&self, id: i64, input: &str, bytes: u64) {
        let bar = match &self.kind {
            Kind::Bars { all, .. } => {
                let bar = all.add(ProgressBar::new(STEPS));
                bar.set_style(style("  {prefix} {wide_bar} {percent:>3} % {msg}"));
                bar.set_prefix(name(input));
                Some(bar)
            }
            _ => None,
        };
        let running = Running {
            bar,
            bytes,
            started: Instant::now(),
            progress: Progress::default(),
        };
        self.state().running.insert(id, running);
    }

    /// A file is so far.
    pub fn update(&self, id: i64, progress: &Progress) {
        let mut state = self.state();
        if let Some(running) = state.running.get_mut(&id) {
            running.progress = *progress;
            if let Some(bar) = &running.bar {
                if let Some(share) = progress.share {
                    bar.set_position((share * STEPS as f64) as u64);
                }
                let rate =
                    progress.frames as f64 / running.started.elapsed().as_secs_f64().max(1e-3);
                bar.set_message(format!("{rate:.0} frames/s"));
            }
        }
        self.refresh(&mut state);
    }

    /// A file is over, with `frames` pictures.
    pub fn finish(&self, id: i64, frames: u64) {
        let mut state = self.state();
        if let Some(running) = state.running.remove(&id) {
            state.over += running.bytes;
            if let (Some(bar), Kind::Bars { all, .. }) = (&running.bar, &self.kind) {
                bar.finish_and_clear();
                all.remove(bar);
            }
        }
        state.files_over += 1;
        state.frames += frames;
        self.refresh(&mut state);
    }

    /// Says a line about a file.
    pub fn say(&self, line: &str) {
        match &self.kind {
            Kind::Bars { all, .. } => {
                let _ = all.println(printable(line));
            }
            Kind::Lines => say::err(line),
            Kind::Nothing => {}
        }
    }

    fn refresh(&self, state: &mut State) {
        let frames = state.frames
            + state
                .running
                .values()
                .map(|running| running.progress.frames)
                .sum::<u64>();
        let now = state
            .running
            .values()
            .map(|running| running.bytes as f64 * running.progress.share.unwrap_or(0.0))
            .sum::<f64>();
        let share = ((state.over as f64 + now) / state.bytes as f64).clamp(0.0, 1.0);
        let passed = state.started.elapsed().as_secs_f64();
        let left = (share > 0.0).then(|| passed * (1.0 - share) / share);
        let text = format!(
            "{} of {} files, {:.0} frames/s{}",
            state.files_over,
            state.files,
            frames as f64 / passed.max(1e-3),
            left.map_or_else(String::new, |left| format!(", {} left", length(left)))
        );
        match &self.kind {
            Kind::Bars { total, .. } => {
                total.set_prefix("batch");
                total.set_position((share * STEPS as f64) as u64);
                total.set_message(text);
            }
            Kind::Lines if state.told.elapsed() >= LINE => {
                state.told = Instant::now();
                say::err(&format!("{:.0} %, {text}", share * 100.0));
            }
            _ => {}
        }
    }

    /// Takes the display away.
    pub fn close(&self) {
        if let Kind::Bars { total, .. } = &self.kind {
            total.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn name(input: &str) -> String {
    let path = Path::new(input);
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// Seconds for people.
pub fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}:{:02} min", whole / 60, whole % 60),
        _ => format!("{}:{:02} h", whole / 3600, whole / 60 % 60),
    }
}

/// Bytes of `items`, and the length of their video as far as it is known.
pub fn amount(items: &[Item]) -> String {
    let bytes: u64 = items.iter().map(|item| item.size).sum();
    let seconds: f64 = items.iter().map(|item| item.duration_s).sum();
    let objects = items.iter().filter(|item| is_address(&item.input)).count();
    let shown = format!("{:.1} MB", bytes as f64 / 1e6);
    match objects {
        0 => format!("{shown}, {} of video", length(seconds)),
        _ if objects == items.len() => {
            format!("{shown}; the length of objects is not known before they are read")
        }
        _ => format!(
            "{shown}, {} of video without {objects} objects, whose length is not known before they are read",
            length(seconds)
        ),
    }
}
