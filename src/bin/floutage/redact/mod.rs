//! `floutage redact`: files, pictures and folders.

pub mod credentials;
mod picture;
pub mod plan;
mod process;
mod progress;
pub mod record;
pub mod slots;
pub mod split;
mod step;
mod summary;
pub mod worker;

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use floutage::Error;
use floutage::detect::SharedDetector;
use floutage::media::encode::{Codec, Container};
use floutage::media::picture::PictureOptions;
use floutage::media::report::{Progress, Report, Stop};
use floutage::media::sample::sample;
use floutage::media::split::obstacle;
use floutage::media::video::{VideoOptions, redact_video};
use floutage::redact::{Redactor, Settings};
use floutage::sandbox::Confinement;
use floutage::storage::is_address;
use floutage::storage::link::Link;

use self::credentials::{Credentials, Unsigned};
use self::plan::{Job, Kind, plan};
use self::progress::Display;
use self::record::Record;
use self::slots::Slots;
use self::split::{Became, Splitter, Splitting};
use self::summary::Summary;
use crate::confine::{self, ConfineArgs};
use crate::logging;
use crate::options::{DetectorArgs, EncodingArgs, RedactionArgs, TrackingArgs};
use crate::say;

/// What becomes of the input's audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Audio {
    /// It is left out: voices identify people.
    Drop,
    /// It comes along, without its tags.
    Keep,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video files, pictures (JPEG, PNG, WebP), or folders, which are searched recursively.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Output file (.mp4, .mov, .mkv, .webm, or a picture), or a folder for several inputs.
    #[arg(short, long, value_name = "OUTPUT")]
    output: PathBuf,
    /// Replace outputs that exist.
    #[arg(long)]
    overwrite: bool,
    /// Fail when a frame was lost, damaged or could not be analysed, and keep no output.
    #[arg(long)]
    strict: bool,
    /// What becomes of the audio: voices identify people.
    #[arg(long, value_enum, default_value_t = Audio::Drop)]
    audio: Audio,
    /// Draw the regions' outlines on the redacted picture, for tuning, with the number of the track and why: d detected, u
    /// detected with doubt, i between two detections, a soon detected, h just detected.
    #[arg(long)]
    draw: bool,
    /// Cut longer videos into chunks of at least so many seconds, which several processes redact at the same time, and join
    /// them without encoding them again; what is redacted is the same. 1 to 86400 [default with no number: 600].
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "600",
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    split: Option<u64>,
    /// Count what an account needs.
    #[arg(long, hide = true)]
    tally: bool,
    /// Only measure for so many seconds, and write nothing.
    #[arg(long, hide = true, value_name = "SECONDS")]
    sample: Option<u64>,
    /// Redact this one input into this output, and talk to the program that asked for it.
    #[arg(long, hide = true, num_args = 2, value_names = ["INPUT", "OUTPUT"], allow_hyphen_values = true)]
    worker: Option<Vec<PathBuf>>,
    /// Do the step that standard input asks for.
    #[arg(long, hide = true)]
    step: bool,
    /// Record each file, signed, in this log of JSON Lines; `floutage audit verify` finds any change to it.
    #[arg(long, value_name = "LOG", env = "FLOUTAGE_AUDIT_LOG")]
    audit_log: Option<PathBuf>,
    /// Put a signed statement of what was done into each MP4, MOV and JPEG (C2PA content credentials); PEM file with the
    /// certificate, those of its issuers, and the private key, which nobody else may read.
    #[arg(long, value_name = "PEM", env = "FLOUTAGE_C2PA")]
    c2pa: Option<PathBuf>,
    /// Show no progress, no summary and no warnings.
    #[arg(short, long)]
    quiet: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    tracking: TrackingArgs,
    #[command(flatten)]
    redaction: RedactionArgs,
    /// Redact with settings of which attackers can tell faces or read plates (see `floutage attack`): any style but fill
    /// with more than one level.
    #[arg(long, help_heading = "Redaction")]
    i_accept_reversible: bool,
    #[command(flatten)]
    encoding: EncodingArgs,
    #[command(flatten)]
    confine: ConfineArgs,
    /// Quality of JPEG pictures, 1 to 100.
    #[arg(
        long,
        value_name = "LEVEL",
        default_value_t = 90,
        value_parser = clap::value_parser!(u8).range(1..=100),
        help_heading = "Encoding"
    )]
    picture_quality: u8,
}

impl Args {
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Checks every setting before any file is touched.
    pub fn check(&self) -> Result<()> {
        self.redaction()?.check_strength()?;
        self.detector.settings()?;
        self.tracking.settings().check_cover()?;
        self.encoding.encoding(Codec::H264)?;
        Ok(())
    }

    /// The record that these settings name, ready to be written to.
    pub fn record(&self) -> Result<Option<Record>> {
        Record::open(self, &self.redaction()?)
    }

    /// What these settings name to sign with.
    pub fn credentials(&self) -> Result<Option<Credentials>> {
        Credentials::open(self, &self.redaction()?)
    }

    /// How to redact.
    fn redaction(&self) -> Result<Settings> {
        Ok(Settings {
            accept_reversible: self.i_accept_reversible,
            ..self.redaction.settings()?
        })
    }

    /// How to find what must be redacted.
    pub fn detector(&self) -> &DetectorArgs {
        &self.detector
    }

    /// How to split long videos, where that was asked for.
    pub fn splitting(&self) -> Result<Option<Splitting>> {
        let Some(seconds) = self.split else {
            return Ok(None);
        };
        let tracking = self.tracking.settings();
        Ok(Some(Splitting {
            seconds,
            obstacle: obstacle(&self.redaction()?, tracking.detect_every),
            tracking: tracking.settings,
            strict: self.strict,
            tally: self.tally,
        }))
    }

    /// The codec asked for.
    pub fn codec(&self) -> Result<Option<Codec>> {
        Ok(self.encoding.codec()?)
    }
}

/// Set by Ctrl-C and termination signals.
pub static STOP: Stop = Stop::new();

/// Has Ctrl-C and termination signals stop the work and its workers.
pub fn catch_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        STOP.request();
        worker::interrupt();
    })
    .context("signals cannot be caught")
}

pub fn run(args: Args) -> Result<ExitCode> {
    args.check()?;
    let settings = args.redaction()?;
    if let Some([input, output]) = args.worker.as_deref() {
        return Ok(if args.step {
            process::step_for_parent(&args, settings, input, output)
        } else {
            process::work_for_parent(&args, settings, input, output)
        });
    }
    let (jobs, left_out) = plan(&args.inputs, &args.output, args.encoding.codec()?)?;
    check_outputs(&args, &jobs)?;
    let record = Record::open(&args, &settings)?;
    let credentials = args.credentials()?;
    args.confine.warn();
    let confinement = confine_parent(&args, &jobs, record.as_ref())?;
    let worker = Worker::new(&args, settings, credentials)?;
    catch_signals()?;
    if jobs.len() > 1 {
        // Once for all, before the first file is touched.
        worker.detector()?;
    }
    let mut summary = Summary::new(left_out);
    for job in &jobs {
        match worker.redact(job) {
            Ok(mut report) => {
                if let Some(record) = &record {
                    record.done(job, &report, confinement)?;
                }
                if report.confinement.is_empty() {
                    confinement.name().clone_into(&mut report.confinement);
                }
                summary.add(report, args.quiet || args.json);
            }
            Err(error) => {
                if let Some(record) = &record {
                    record.failed(&job.input, &error)?;
                }
                let interrupted = matches!(error.downcast_ref(), Some(Error::Interrupted));
                if interrupted || jobs.len() == 1 {
                    return Err(error);
                }
                say::err(&format!("floutage: {}", say::causes(&error)));
                summary.fail(job.input.clone(), &error);
            }
        }
    }
    if args.json {
        summary.print_json()?;
    } else if !args.quiet {
        summary.print_total();
    }
    Ok(summary.exit_code())
}

/// Confines the program that starts the workers and redacts pictures: to what all jobs together need.
fn confine_parent(args: &Args, jobs: &[Job], record: Option<&Record>) -> Result<Confinement> {
    let mut sandbox = confine::for_detection(&args.detector.settings()?)
        .read_all(jobs.iter().map(|job| &job.input))
        .may_execute();
    for job in jobs {
        sandbox = sandbox.write(job.output.parent().unwrap_or(&job.output));
    }
    for place in record.iter().flat_map(|record| record.places()) {
        sandbox = sandbox.write(place);
    }
    for folder in confine::registry()
        .into_iter()
        .chain(confine::chosen_registry())
    {
        sandbox = sandbox.write(folder);
    }
    args.confine.confine(&sandbox)
}

/// Refuses what could not be written, before hours of work.
fn check_outputs(args: &Args, jobs: &[Job]) -> Result<()> {
    for job in jobs {
        if is_address(&job.output) {
            anyhow::bail!(
                "{}: objects are written by `floutage batch`",
                job.output.display()
            );
        }
        if args.c2pa.is_some() {
            credentials::format(&job.output)?;
        }
        if job.kind == Kind::Video {
            let container = Container::of(&job.output)
                .with_context(|| format!("{}: taken for a video", job.input.display()))?;
            let encoding = args.encoding.encoding(container.default_codec())?;
            container.check(encoding.codec)?;
        }
        if !args.overwrite && job.output.exists() {
            anyhow::bail!(
                "{}: the output exists; --overwrite replaces it",
                job.output.display()
            );
        }
        let there = job.output.ancestors().skip(1).find(|path| path.exists());
        if let Some(file) = there.filter(|path| !path.is_dir()) {
            anyhow::bail!(
                "{}: cannot be written, for {} is a file and no folder",
                job.output.display(),
                file.display()
            );
        }
    }
    Ok(())
}

struct Worker<'a> {
    /// Opened when it is needed: videos open it in processes of their own.
    detector: OnceCell<SharedDetector>,
    redactor: Redactor,
    settings: Settings,
    /// In a process of one file there are none: it decodes.
    credentials: Option<Credentials>,
    args: &'a Args,
}

impl<'a> Worker<'a> {
    fn new(args: &'a Args, settings: Settings, credentials: Option<Credentials>) -> Result<Self> {
        Ok(Self {
            detector: OnceCell::new(),
            redactor: Redactor::new(settings.clone())?,
            settings,
            credentials,
            args,
        })
    }

    fn detector(&self) -> Result<&SharedDetector> {
        if let Some(detector) = self.detector.get() {
            return Ok(detector);
        }
        let opened = self.args.detector.open()?;
        Ok(self.detector.get_or_init(|| opened))
    }

    fn redact(&self, job: &Job) -> Result<Report> {
        if STOP.requested() {
            return Err(Error::Interrupted.into());
        }
        if let Some(folder) = job
            .output
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("{}: the folder cannot be made", folder.display()))?;
        }
        let Some(credentials) = &self.credentials else {
            return self.redact_into(job);
        };
        let unsigned = Unsigned::beside(&job.output);
        let report = self.redact_into(&Job {
            output: unsigned.path().to_owned(),
            ..job.clone()
        })?;
        credentials.sign(&report, unsigned.path(), &job.output, self.args.overwrite)?;
        Ok(Report {
            output: job.output.clone(),
            ..report
        })
    }

    fn redact_into(&self, job: &Job) -> Result<Report> {
        match job.kind {
            Kind::Picture => self.picture(job),
            Kind::Video => {
                let mut display = Display::new(&job.input, self.args.quiet);
                let split = self.in_chunks(job, &mut |progress| display.update(progress))?;
                let reason = match split {
                    Became::Done(report) => {
                        display.finish();
                        return Ok(*report);
                    }
                    Became::Whole(reason) => reason,
                };
                let outcome = worker::redact_apart(
                    job,
                    std::env::args_os().skip(1),
                    None,
                    None,
                    &mut |progress| display.update(progress),
                );
                display.finish();
                outcome.map(|report| split::whole(report, reason))
            }
        }
    }

    /// Redacts the video in chunks, where that was asked for and can be done.
    fn in_chunks(&self, job: &Job, progress: &mut (dyn FnMut(&Progress) + Send)) -> Result<Became> {
        let Some(how) = self.args.splitting()? else {
            return Ok(Became::Whole(None));
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let splitter = Splitter {
            job,
            how: &how,
            arguments: &|| std::env::args_os().skip(1).collect(),
            threads: Some(1),
            slots: &Slots::new(cores),
        };
        splitter.redact(progress)
    }

    fn picture(&self, job: &Job) -> Result<Report> {
        let options = PictureOptions {
            quality: self.args.picture_quality,
            draw: self.args.draw,
            overwrite: self.args.overwrite,
            strict: self.args.strict,
        };
        picture::redact(
            job,
            self.detector()?,
            &self.redactor,
            &options,
            self.args.tally,
        )
    }

    /// The way to the objects of `job`, where it has any.
    fn link(&self, job: &Job) -> Result<Option<Arc<Link>>> {
        if !is_address(&job.input) && !is_address(&job.output) {
            return Ok(None);
        }
        Ok(Some(Link::inherited()?))
    }

    fn video(&self, job: &Job, progress: &mut dyn FnMut(&Progress)) -> Result<Report> {
        floutage::init()?;
        logging::bridge();
        let options = self.options(job)?;
        if let Some(seconds) = self.args.sample {
            let limit = std::time::Duration::from_secs(seconds);
            let detector = self.detector()?.clone();
            return Ok(sample(
                &job.input,
                detector,
                &self.settings,
                &options,
                limit,
                &STOP,
            )?);
        }
        let report = redact_video(
            &job.input,
            &job.output,
            self.detector()?.clone(),
            &self.settings,
            &options,
            &STOP,
            progress,
        )?;
        Ok(report)
    }

    /// How to redact the video of `job`.
    fn options(&self, job: &Job) -> Result<VideoOptions> {
        let container = Container::of(&job.output)?;
        Ok(VideoOptions {
            encoding: self.args.encoding.encoding(container.default_codec())?,
            keep_audio: self.args.audio == Audio::Keep,
            overwrite: self.args.overwrite,
            tracking: self.args.tracking.settings(),
            draw: self.args.draw,
            strict: self.args.strict,
            tally: self.args.tally,
            link: self.link(job)?,
        })
    }
}
