//! Videos in a process of their own: a decoder that crashes on a file takes neither the other files nor the clean-up
//! along.
//!
//! The program starts itself with `--worker INPUT OUTPUT` among the arguments of `redact`. The worker redacts this one
//! file and writes one JSON object a line to its standard output: its progress, and at last the outcome.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use floutage::Error;
use floutage::media::partial::remove_leftover;
use floutage::media::report::{Progress, Report};
use floutage::storage::is_address;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use super::STOP;
use super::plan::Job;
use super::step::{Outcome, Step};
use crate::confine;
use crate::say;

/// What a worker says.
#[derive(Serialize, Deserialize)]
enum Line {
    Progress(Progress),
    Done(Box<Report>),
    Step(Box<Outcome>),
    Failed { problem: String, interrupted: bool },
}

impl Line {
    fn say(&self) {
        if let Ok(text) = serde_json::to_string(self) {
            say::out(&say::escaped(&text));
        }
    }
}

/// The running workers.
static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Asks the running workers to stop.
pub fn interrupt() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for worker in running.iter().filter_map(|id| Pid::from_raw(*id)) {
        // It may be over already.
        let _ = kill_process(worker, Signal::TERM);
    }
}

/// A worker that is to be stopped when all are.
struct Noted(i32);

impl Noted {
    fn new(id: i32) -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(id);
        Self(id)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|id| *id != self.0);
    }
}

/// In the worker: ends with the program that started it.
pub fn follow_parent() {
    // Without it the worker finishes its file, which does no harm.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
}

/// In the worker: tells how far it is.
pub fn tell(progress: &Progress) {
    Line::Progress(*progress).say();
}

/// In the worker: tells what became of the file.
pub fn conclude(outcome: Result<Report>) {
    say_or_fail(outcome.map(|report| Line::Done(Box::new(report))));
}

/// In the worker: tells what became of the step.
pub fn conclude_step(outcome: Result<Outcome>) {
    say_or_fail(outcome.map(|outcome| Line::Step(Box::new(outcome))));
}

fn say_or_fail(line: Result<Line>) {
    match line {
        Ok(line) => line.say(),
        Err(error) => Line::Failed {
            problem: say::causes(&error),
            interrupted: matches!(error.downcast_ref(), Some(Error::Interrupted)),
        }
        .say(),
    }
}

/// Redacts `job` in a worker that gets `arguments`, the first of which is the command, and `threads` to use; all there are
/// where there is no number. An input or output that is an object goes over `link`.
pub fn redact_apart(
    job: &Job,
    arguments: impl Iterator<Item = OsString>,
    threads: Option<usize>,
    link: Option<OwnedFd>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report> {
    let input = link.map_or_else(Stdio::null, Stdio::from);
    match converse(job, arguments, None, threads, input, progress)? {
        Line::Done(report) => Ok(Report {
            input: job.input.clone(),
            output: job.output.clone(),
            ..*report
        }),
        _ => Err(confused(job)),
    }
}

/// Has a worker do one step of the work on `job`.
pub fn step_apart(
    job: &Job,
    arguments: impl Iterator<Item = OsString>,
    threads: Option<usize>,
    step: &Step,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Outcome> {
    let text = serde_json::to_vec(step).context("a step cannot be put into words")?;
    let (input, mut asking) = std::io::pipe().context("no pipe can be made for a process")?;
    let line = std::thread::scope(|scope| {
        // A worker that ends early reads no more, and says why.
        scope.spawn(move || asking.write_all(&text));
        let word = Some("--step");
        converse(job, arguments, word, threads, Stdio::from(input), progress)
    })?;
    match line {
        Line::Step(outcome) => Ok(*outcome),
        _ => Err(confused(job)),
    }
}

fn confused(job: &Job) -> anyhow::Error {
    let problem = "its process answered something else; please report it";
    Error::media(job.input.display().to_string(), problem).into()
}

/// Starts a worker with `input` as its standard input, and returns the last thing that it says.
fn converse(
    job: &Job,
    mut arguments: impl Iterator<Item = OsString>,
    word: Option<&str>,
    threads: Option<usize>,
    input: Stdio,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Line> {
    // The name of the file may be another program's by now; this is the one that runs.
    let this = PathBuf::from("/proc/self/exe");
    let this = if this.exists() {
        this
    } else {
        std::env::current_exe().context("the program's own file cannot be found")?
    };
    let mut command = Command::new(this);
    confine::quieten(&mut command, confine::registry().as_deref());
    // What decodes is to know of no credentials.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"AWS_") {
            command.env_remove(name);
        }
    }
    if let Some(threads) = threads {
        command.env("RAYON_NUM_THREADS", threads.to_string());
    }
    let mut child = command
        .arg0("floutage")
        .args(arguments.next())
        .arg("--worker")
        .args([&job.input, &job.output])
        .args(word)
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .context("no process can be started for the file")?;
    // Its end of a pipe must not stay open here.
    drop(command);
    let noted = Noted::new(child.id() as i32);
    if STOP.requested() {
        interrupt();
    }
    let mut outcome = None;
    if let Some(said) = child.stdout.take() {
        for line in BufReader::new(said).split(b'\n').map_while(Result::ok) {
            // Libraries may write to standard output as well.
            match serde_json::from_slice(&line) {
                Ok(Line::Progress(state)) => progress(&state),
                Ok(last) => outcome = Some(last),
                Err(_) => {}
            }
        }
    }
    let status = child.wait().context("the file's process is lost")?;
    drop(noted);
    match outcome {
        Some(Line::Failed {
            interrupted: true, ..
        }) => Err(Error::Interrupted.into()),
        Some(Line::Failed { problem, .. }) => Err(anyhow!(problem)),
        Some(line) => Ok(line),
        None => {
            if !is_address(&job.output) {
                remove_leftover(&job.output);
            }
            if STOP.requested() {
                return Err(Error::Interrupted.into());
            }
            let problem = end(status);
            Err(Error::media(job.input.display().to_string(), problem).into())
        }
    }
}

/// Why there is no outcome.
fn end(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "the process that read it was killed; the memory may be too small".into(),
        Some(signal) => format!(
            "GStreamer or one of its decoders crashed on it (signal {signal}), and nothing was written; \
             convert it to another codec or pixel format first"
        ),
        None => format!("the process that read it ended without a result ({status})"),
    }
}
