//! The work itself: several files at once, each in a process of its own.
//!
//! Invariant: the order in which a file's result becomes known is result, hash in the journal, name. A process killed in
//! between leaves what the next run can tell from a result.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use floutage::Error;
use floutage::batch::identity::{Identity, Stamp, hash_file};
use floutage::batch::job_file::Changed;
use floutage::batch::journal::{Journal, OTHER_INPUT};
use floutage::batch::name;
use floutage::batch::plan::Item;
use floutage::media::partial::place;
use floutage::media::report::{Progress, Report};
use floutage::sandbox::Confinement;
use floutage::storage::is_address;

use super::display::Display;
use super::exchange::Exchange;
use super::places::Places;
use super::reconcile::{Task, Why, can_be_written, compare, redo_or_report, staged, sweep};
use super::settings::{credentials, record, splitting};
use crate::redact::credentials::Credentials;
use crate::redact::plan::{Job, Kind, kind};
use crate::redact::record::Record;
use crate::redact::slots::Slots;
use crate::redact::split::{self, Became, Splitter};
use crate::redact::{STOP, worker};
use crate::say;

/// How often a running file's progress goes into the journal.
const NOTE: Duration = Duration::from_secs(1);
/// What a file that failed waits for before it is tried again: a process that was killed takes a moment to end.
const REST: Duration = Duration::from_millis(500);

/// How to work.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Processes at once: files, or chunks of a file that is split.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// How often a file is tried again.
    pub retries: u32,
    pub changed: Changed,
    pub overwrite: bool,
}

/// The work on one batch.
pub struct Pool<'a> {
    journal: Mutex<&'a mut Journal>,
    queue: Mutex<VecDeque<Task>>,
    /// Tasks that are neither over nor in the queue.
    busy: AtomicUsize,
    display: Display,
    options: Options,
    slots: Slots,
    places: &'a Places,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Pool<'a> {
    /// A pool for `tasks`.
    pub fn new(
        journal: &'a mut Journal,
        places: &'a Places,
        tasks: Vec<Task>,
        options: Options,
        quiet: bool,
    ) -> Self {
        let bytes = tasks.iter().map(|task| task.item.size).sum();
        Self {
            journal: Mutex::new(journal),
            busy: AtomicUsize::new(0),
            display: Display::new(tasks.len(), bytes, quiet),
            queue: Mutex::new(tasks.into()),
            options,
            slots: Slots::new(options.jobs),
            places,
        }
    }

    /// Works until nothing is left to do, or a signal asks to stop. What fails is in the journal.
    ///
    /// Errors: the journal cannot be written; [`Error::Interrupted`].
    pub fn run(&self) -> Result<()> {
        let outcome = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.options.jobs)
                .map(|_| scope.spawn(|| self.work()))
                .collect();
            let mut outcome = Ok(());
            for worker in workers {
                let ended = worker.join().unwrap_or_else(|_| {
                    bail!("an internal error stopped the work; please report it")
                });
                outcome = outcome.and(ended);
            }
            outcome
        });
        self.display.close();
        outcome?;
        if STOP.requested() {
            return Err(Error::Interrupted.into());
        }
        Ok(())
    }

    /// The next task; None when there will be no more.
    fn next(&self) -> Option<Task> {
        loop {
            if STOP.requested() {
                return None;
            }
            {
                let mut queue = locked(&self.queue);
                if let Some(task) = queue.pop_front() {
                    self.busy.fetch_add(1, Ordering::SeqCst);
                    return Some(task);
                }
                if self.busy.load(Ordering::SeqCst) == 0 {
                    return None;
                }
            }
            // Another task may fail and come back.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn work(&self) -> Result<()> {
        while let Some(mut task) = self.next() {
            if task.tries > 0 {
                std::thread::sleep(REST);
            }
            self.display
                .start(task.id, &task.item.input, task.item.size);
            let outcome = self.one(&mut task);
            let frames = outcome.as_ref().map_or(0, |report| {
                report.as_ref().map_or(0, |report| report.frames)
            });
            self.display.finish(task.id, frames);
            let told = match outcome {
                Ok(report) => {
                    if let Some(report) = report {
                        self.display.say(&format!(
                            "{} -> {}: {} frames, {:.1} frames/s",
                            task.item.input,
                            task.item.output,
                            report.frames,
                            report.frames_per_second()
                        ));
                    }
                    Ok(())
                }
                Err(error) => self.failed(task, &error),
            };
            self.busy.fetch_sub(1, Ordering::SeqCst);
            if told.is_err() {
                STOP.request();
                worker::interrupt();
            }
            told?;
        }
        Ok(())
    }

    /// Notes a failure, and puts the task back where it may be tried again.
    fn failed(&self, mut task: Task, error: &anyhow::Error) -> Result<()> {
        let journal = locked(&self.journal);
        // An upload was aborted when it was given up.
        sweep(&task.item.output);
        if matches!(error.downcast_ref(), Some(Error::Interrupted)) {
            return Ok(journal.put_back(task.id)?);
        }
        // Errors name files as they are.
        let text = name::printable(&say::causes(error)).into_owned();
        journal.fail(task.id, &text)?;
        drop(journal);
        let again = task.tries < self.options.retries;
        if !again && let Ok(Some(record)) = record(&task.item.arguments) {
            record.failed(&name::path(&task.item.input), error)?;
        }
        let rest = if again {
            "; it is tried again later"
        } else {
            ""
        };
        self.display
            .say(&format!("failed: {}: {text}{rest}", task.item.input));
        if again {
            task.tries += 1;
            locked(&self.queue).push_back(task);
        }
        Ok(())
    }

    /// Redacts one file; None when there was nothing to do.
    fn one(&self, task: &mut Task) -> Result<Option<Report>> {
        if let Why::Compare(entry) = &task.why {
            match compare(entry, &task.item, self.places)? {
                None => {
                    let input = self.places.stamp(&task.item.input)?;
                    let output = self.places.stamp(&task.item.output)?;
                    let journal = locked(&self.journal);
                    journal.touched(task.id, &task.item.input, &input)?;
                    journal.done(task.id, &output)?;
                    return Ok(None);
                }
                Some(OTHER_INPUT) if !self.options.overwrite => {
                    let reason = format!(
                        "{OTHER_INPUT}, {}; name another output folder, or replace it with --overwrite",
                        entry.input
                    );
                    locked(&self.journal).mark_changed(task.id, Some(&reason))?;
                    return Ok(None);
                }
                Some(reason) => {
                    let journal = locked(&self.journal);
                    let Some(why) =
                        redo_or_report(&journal, task.id, reason, self.options.changed)?
                    else {
                        return Ok(None);
                    };
                    journal.reset(task.id, &task.item)?;
                    task.why = why;
                }
            }
        }
        if !self.options.overwrite && !task.owned && self.places.find(&task.item.output)?.is_some()
        {
            bail!(
                "{}: the output exists and is not of this batch; --overwrite replaces it",
                task.item.output
            );
        }
        if !is_address(&task.item.output)
            && let Err(problem) = can_be_written(&name::path(&task.item.output))
        {
            bail!("{}: {problem}", task.item.output);
        }
        // Before an upload begins.
        let record = record(&task.item.arguments)?;
        let written = is_address(&task.item.output);
        if record.is_some() && (written || is_address(&task.item.input)) {
            bail!(
                "--audit-log: objects cannot be recorded yet; leave it out, or copy them to files"
            );
        }
        let credentials = credentials(&task.item.arguments)?;
        if credentials.is_some() && written {
            bail!("--c2pa: objects cannot be signed yet; leave it out, or write files");
        }
        let mut exchange = Exchange::begin(&task.item, self.places)?;
        if let Some(upload) = &exchange.upload {
            locked(&self.journal).uploading(task.id, Some(upload.id()))?;
        }
        let report = if exchange.upload.is_some() {
            self.make_object(task, &mut exchange)
        } else {
            self.make_file(task, &mut exchange, record.as_ref(), credentials)
        };
        report.map(Some)
    }

    /// Redacts into a file, which gets its name when it is complete.
    fn make_file(
        &self,
        task: &mut Task,
        exchange: &mut Exchange,
        record: Option<&Record>,
        credentials: Option<Credentials>,
    ) -> Result<Report> {
        let (input, output) = (name::path(&task.item.input), name::path(&task.item.output));
        let (input, output) = (&*input, &*output);
        if let Some(folder) = output.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
        }
        let staged = staged(output);
        let (report, read) = self.redact(task, &staged, exchange)?;
        if let Err(error) = self.check_input(task, exchange, &read) {
            let _ = std::fs::remove_file(&staged);
            return Err(error);
        }
        if let Some(credentials) = credentials {
            credentials.sign(&report, &staged, &staged, true)?;
        }
        if let Some(record) = record {
            // Before the journal knows of it: a kill may leave an entry too many, but no result without one.
            let job = Job {
                input: input.to_owned(),
                output: staged.clone(),
                kind: kind(input)?,
            };
            record.done(&job, &report, Confinement::Off)?;
        }
        let result = hash_file(&staged)?;
        locked(&self.journal).written(task.id, &result, &report)?;
        place(&staged, output, self.options.overwrite || task.owned)?;
        let stamp = Stamp::of(output)?;
        task.owned = true;
        locked(&self.journal).done(task.id, &stamp)?;
        Ok(report)
    }

    /// Redacts into an object, which gets its name when it is complete.
    fn make_object(&self, task: &mut Task, exchange: &mut Exchange) -> Result<Report> {
        let output = task.item.output.clone();
        let (report, read) = self.redact(task, Path::new(&output), exchange)?;
        self.check_input(task, exchange, &read)?;
        let upload = exchange.upload.take().context("the upload is lost")?;
        let ready = upload.finish()?;
        // It may have appeared meanwhile.
        if !self.options.overwrite && !task.owned && self.places.find(&output)?.is_some() {
            bail!("{output}: another program has written it; --overwrite replaces it");
        }
        locked(&self.journal).written(task.id, &ready.blake3, &report)?;
        task.owned = true;
        let found = ready.complete()?;
        locked(&self.journal).done(task.id, &found.into())?;
        Ok(report)
    }

    /// Has a process of its own redact into `target`; also says what it read.
    fn redact(
        &self,
        task: &Task,
        target: &Path,
        exchange: &mut Exchange,
    ) -> Result<(Report, Stamp)> {
        let (input, output) = (name::path(&task.item.input), name::path(&task.item.output));
        let (input, output) = (&*input, &*output);
        let identity = match &exchange.object {
            // Its hash is that of what is read.
            Some(object) => Identity {
                stamp: object.found().clone().into(),
                blake3: String::new(),
            },
            None => Identity::of(input)?,
        };
        locked(&self.journal).start(task.id, &identity)?;
        let job = Job {
            input: input.to_owned(),
            output: target.to_owned(),
            kind: Kind::Video,
        };
        let mut noted = Instant::now();
        let mut note = |progress: &Progress| {
            self.display.update(task.id, progress);
            if noted.elapsed() >= NOTE {
                noted = Instant::now();
                // What another terminal sees is a little old then.
                let _ = locked(&self.journal).progress(task.id, progress.frames, progress.share);
            }
        };
        let report = match self.in_chunks(task, &job, exchange, &mut note)? {
            Became::Done(report) => *report,
            Became::Whole(reason) => {
                let arguments = arguments(&task.item, self.options.threads, [], target);
                let threads = Some(self.options.threads);
                let _slot = self.slots.take();
                let report = exchange.serve(|link| {
                    worker::redact_apart(&job, arguments, threads, link, &mut note)
                })?;
                split::whole(report, reason)
            }
        };
        let report = Report {
            output: output.to_owned(),
            ..report
        };
        Ok((report, identity.stamp))
    }

    /// Redacts a file in chunks, where that is asked for and can be done.
    fn in_chunks(
        &self,
        task: &Task,
        job: &Job,
        exchange: &Exchange,
        progress: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Became> {
        let Some(how) = splitting(&task.item.arguments)? else {
            return Ok(Became::Whole(None));
        };
        if !exchange.is_none() {
            let reason = "it is in object storage, or goes there; files are split";
            return Ok(Became::Whole(Some(reason.into())));
        }
        let words = || {
            let target = &job.output;
            arguments(&task.item, self.options.threads, [], target).collect()
        };
        let splitter = Splitter {
            job,
            how: &how,
            arguments: &words,
            threads: Some(self.options.threads),
            slots: &self.slots,
        };
        splitter.redact(progress)
    }

    /// Fails when what was read has changed meanwhile, and notes the hash of an object.
    fn check_input(&self, task: &Task, exchange: &Exchange, read: &Stamp) -> Result<()> {
        if self.places.stamp(&task.item.input)? != *read {
            bail!(
                "{}: it has changed while it was read; wait until it is complete",
                task.item.input
            );
        }
        if let Some(object) = &exchange.object {
            let hash = object.hash()?;
            locked(&self.journal).identified(task.id, &hash)?;
        }
        Ok(())
    }
}

/// The command line of the worker that redacts `item` into `output`, with `more` words.
pub fn arguments(
    item: &Item,
    threads: usize,
    more: impl IntoIterator<Item = String>,
    output: &Path,
) -> impl Iterator<Item = OsString> {
    let mut target = OsString::from("--output=");
    target.push(output);
    let words: Vec<OsString> = ["redact", "--tally", "--quiet", "--overwrite"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("--inference-threads={threads}")])
        .chain(
            item.arguments
                .iter()
                .filter(|word| !word.starts_with("--inference-threads="))
                .cloned(),
        )
        .chain(more)
        .map(OsString::from)
        .chain([
            target,
            "--".into(),
            name::path(&item.input).into_owned().into(),
        ])
        .collect();
    words.into_iter()
}
