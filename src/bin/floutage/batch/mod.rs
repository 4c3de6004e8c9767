//! `floutage batch`: archives, on one machine or many.

mod auto;
mod display;
mod dry_run;
mod exchange;
mod inputs;
mod job;
mod journals;
mod objects;
mod places;
mod pool;
mod reconcile;
mod settings;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use floutage::batch::account::Account;
use floutage::batch::job_file::Jobs;
use floutage::batch::journal::{Journal, State};
use floutage::batch::name;
use floutage::batch::plan::{Item, Plan, Shard, journal_name};
use floutage::media::duration::durations;
use floutage::storage::is_address;

use self::job::{Job, SourceArgs, WorkArgs};
use self::places::Places;
use self::pool::{Options, Pool};
use self::reconcile::Task;
use self::settings::Given;
use crate::redact::plan::LeftOut;
use crate::redact::{STOP, catch_signals};
use crate::say;

/// Exit code when some files are done and others are not.
const PARTIAL: u8 = 3;
/// Name of a batch's only journal.
const JOURNAL: &str = "journal.sqlite";
/// Name of a plan.
const PLAN: &str = "plan.json";
/// Where a fact of the journal holds what was left out of folders, one line each.
const LEFT_OUT: &str = "left-out";

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 every file is done; 1 nothing could be done; 2 \
the command line is wrong; 3 some files are done, others failed or are out of date; 130 interrupted. Starting it again does what is missing."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    source: SourceArgs,
    /// Say what would become of each file, and how long it would take by a short measurement; write nothing. The exit code is 3
    /// when some would fail, 1 when all would.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    settings: Given,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Share files out among machines: writes a plan.
    Plan(Box<PlanArgs>),
    /// Do one shard of a plan.
    Run(Box<RunArgs>),
    /// Say how far a batch is, also while it runs.
    Status(show::StatusArgs),
    /// Write the account of a batch, of all its shards together.
    Report(show::ReportArgs),
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Number of shards, balanced by the length of videos.
    #[arg(long, value_name = "COUNT")]
    shards: usize,
    #[command(flatten)]
    settings: Given,
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The plan, the folder it is in, or the output folder.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Which shard, as 1/4 to 4/4 [default: from SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, which count from 0].
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    work: WorkArgs,
}

impl Args {
    pub fn is_quiet(&self) -> bool {
        self.work.quiet
    }
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        None => batch(args.source, args.dry_run, &args.work, &args.settings),
        Some(Command::Plan(args)) => plan(*args),
        Some(Command::Run(args)) => shard(*args),
        Some(Command::Status(args)) => show::status(&args),
        Some(Command::Report(args)) => show::report(&args),
    }
}

/// A whole batch on this machine.
fn batch(source: SourceArgs, dry_run: bool, work: &WorkArgs, given: &Given) -> Result<ExitCode> {
    let job = Job::resolve(source, Some(work), given)?;
    let places = Places::new(job.endpoint.clone());
    let (items, left_out) = inputs::items(&job, &places)?;
    if items.is_empty() {
        bail!("there is nothing to redact in what was named");
    }
    let path = job.folder.join(JOURNAL);
    if dry_run {
        return dry_run::show(&job, &places, items, &left_out, work);
    }
    let plan = job.folder.join(PLAN);
    if plan.is_file() {
        bail!(
            "{}: this batch is shared out by a plan: do its shards with `floutage batch run`, or plan again with --shards 1; \
             without the plan, what its shards have done is taken over",
            plan.display()
        );
    }
    let outputs = items.iter().map(|item| item.output.as_str()).collect();
    tell_taken_over(journals::take_over(
        &job.folder,
        &BTreeMap::from([(path.clone(), outputs)]),
    )?);
    let mut journal = Journal::open(&path)?;
    note_left_out(&journal, &left_out)?;
    let options = Options {
        jobs: 0,
        threads: 0,
        retries: job.retries,
        changed: job.changed,
        overwrite: work.overwrite,
    };
    let interrupted = work_on(&mut journal, &places, items, job.jobs, options, work)?;
    let account = Account::of(journal.entries()?, journals::left_out(&journal)?)?;
    account.write(&job.folder)?;
    conclude(&account, work, &job.folder, interrupted)
}

/// One shard of a plan.
fn shard(args: RunArgs) -> Result<ExitCode> {
    let path = if args.plan.is_dir() {
        journals::folder(&args.plan).join(PLAN)
    } else {
        args.plan.clone()
    };
    let plan = Plan::read(&path)?;
    let shard = match args.shard {
        Some(shard) => shard,
        None => Shard::from_environment(|name| std::env::var(name).ok())?
            .context("which shard? Name it with --shard I/N; no array task or completion index is in the environment")?,
    };
    let index = shard.within(plan.shards)?;
    if args.shard.is_none()
        && let Some(odd) = Shard::odd_array(|name| std::env::var(name).ok(), plan.shards)
    {
        say::err(&format!("floutage: {odd}"));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut journal = Journal::open(&folder.join(journal_name(index, plan.shards)))?;
    let options = Options {
        jobs: 0,
        threads: 0,
        retries: args.work.retries.unwrap_or(1),
        changed: args.work.changed.unwrap_or_default(),
        overwrite: args.work.overwrite,
    };
    let jobs = args.work.jobs.unwrap_or_default();
    let interrupted = work_on(
        &mut journal,
        &Places::default(),
        plan.shard(index),
        jobs,
        options,
        &args.work,
    )?;
    let account = Account::of(journal.entries()?, Vec::new())?;
    conclude(&account, &args.work, &folder, interrupted)
}

/// Does what is missing of `items`; true when it was interrupted.
fn work_on(
    journal: &mut Journal,
    places: &Places,
    items: Vec<Item>,
    jobs: Jobs,
    mut options: Options,
    work: &WorkArgs,
) -> Result<bool> {
    catch_signals()?;
    places.check_targets(&items)?;
    let tasks = reconcile::tasks(journal, places, items, options.changed, work.verify)?;
    let cores = cores();
    options.jobs = match jobs {
        Jobs::Count(count) => count,
        Jobs::Auto => {
            let items: Vec<&Item> = tasks.iter().map(|task| &task.item).collect();
            auto::best_jobs(&items, cores)?
        }
    }
    .clamp(1, most_processes(&tasks)?);
    options.threads = (cores / options.jobs).max(1);
    let pool = Pool::new(journal, places, tasks, options, work.quiet);
    match pool.run() {
        Ok(()) => Ok(false),
        Err(_) if STOP.requested() => Ok(true),
        Err(error) => Err(error),
    }
}

/// Cores for this batch: those that there are, or as many of them as Slurm granted. Not every cluster binds tasks to their cores.
fn cores() -> usize {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    let granted = std::env::var("SLURM_CPUS_PER_TASK").ok();
    let granted = granted.and_then(|count| count.parse::<usize>().ok());
    granted.map_or(there, |granted| granted.clamp(1, there))
}

/// Processes that `tasks` can keep busy: a file that is split is for as many as there are.
fn most_processes(tasks: &[Task]) -> Result<usize> {
    for task in tasks {
        if settings::splitting(&task.item.arguments)?.is_some() {
            return Ok(usize::MAX);
        }
    }
    Ok(tasks.len().max(1))
}

fn note_left_out(journal: &Journal, left_out: &[LeftOut]) -> Result<()> {
    let lines: Vec<String> = left_out.iter().map(LeftOut::line).collect();
    Ok(journal.note(LEFT_OUT, &lines.join("\n"))?)
}

/// Says what became of it, and how to exit.
fn conclude(
    account: &Account,
    work: &WorkArgs,
    folder: &Path,
    interrupted: bool,
) -> Result<ExitCode> {
    if work.json {
        say::out(&say::json(account)?);
    } else if !work.quiet {
        for line in show::summary(account) {
            say::out(&line);
        }
        say::out(&format!("journal and account: {}", folder.display()));
    }
    if interrupted {
        return Err(floutage::Error::Interrupted.into());
    }
    Ok(exit_code(account))
}

fn exit_code(account: &Account) -> ExitCode {
    let done = account.total.in_state(State::Done);
    match done {
        _ if done == account.total.files && account.total.changed == 0 => ExitCode::SUCCESS,
        0 => ExitCode::FAILURE,
        _ => ExitCode::from(PARTIAL),
    }
}

fn plan(args: PlanArgs) -> Result<ExitCode> {
    let job = Job::resolve(args.source, None, &args.settings)?;
    let places = Places::new(job.endpoint.clone());
    let (mut items, left_out) = inputs::items(&job, &places)?;
    if items.is_empty() {
        bail!("there is nothing to redact in what was named");
    }
    measure_lengths(&mut items)?;
    let mut plan = Plan::new(items, args.shards)?;
    plan.left_out = left_out.iter().map(LeftOut::line).collect();
    std::fs::create_dir_all(&job.folder)
        .with_context(|| format!("{}: the folder cannot be made", job.folder.display()))?;
    let path = job.folder.join(PLAN);
    let mut outputs: BTreeMap<PathBuf, Vec<&str>> = BTreeMap::new();
    for (shard, item) in &plan.files {
        let journal = job.folder.join(journal_name(*shard, plan.shards));
        outputs.entry(journal).or_default().push(&item.output);
    }
    // Before the plan: cut off in between, the old one still finds what it knew.
    tell_taken_over(journals::take_over(&job.folder, &outputs)?);
    plan.write(&path)?;
    for line in &plan.left_out {
        say::out(line);
    }
    for index in 0..plan.shards {
        let files = plan.shard(index);
        say::out(&format!(
            "shard {}/{}: {} files, {}",
            index + 1,
            plan.shards,
            files.len(),
            display::amount(&files)
        ));
    }
    say::out(&format!("plan: {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

fn tell_taken_over(count: usize) {
    if count > 0 {
        say::out(&format!(
            "taken over: {count} files that are done, from earlier journals"
        ));
    }
}

/// Fills in the lengths of videos, where they can be told.
fn measure_lengths(items: &mut [Item]) -> Result<()> {
    floutage::init()?;
    // That of an object is not known before it is read; its bytes count.
    let mut files: Vec<&mut Item> = items
        .iter_mut()
        .filter(|item| !is_address(&item.input))
        .collect();
    let paths: Vec<_> = files.iter().map(|item| name::path(&item.input)).collect();
    let paths: Vec<&Path> = paths.iter().map(AsRef::as_ref).collect();
    let lengths = durations(&paths);
    for (item, length) in files.iter_mut().zip(lengths) {
        item.duration_s = length.unwrap_or(0.0);
    }
    Ok(())
}
