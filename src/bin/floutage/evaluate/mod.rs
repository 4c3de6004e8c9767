//! `floutage evaluate`: how many faces and plates of a clip, or of pictures, would leak, against what is known to be in them.

mod crops;
mod figures;
mod html;
mod plots;
mod redacted;
mod results;
mod subject;
mod sweep;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use floutage::audit::ModelIdentity;
use floutage::detect::Class;
use floutage::evaluate::Evaluation;
use floutage::media::partial::PartialFile;
use floutage::media::pipeline::Tracking;
use floutage::media::report::Stop;

use crate::logging;
use crate::options::{DetectorArgs, RedactionArgs, TrackingArgs};
use crate::say;
use subject::{Kind, Subject};
use sweep::{Chosen, Sweep, Swept};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video file, or folder of pictures. It is redacted for measuring, unless --results or --redacted says what to measure.
    #[arg(value_name = "CLIP|FOLDER")]
    input: PathBuf,
    /// What is in it. For video MOTChallenge CSV, frame,id,left,top,width,height,conf,class,visibility, with class 1 or face
    /// and 2 or plate, conf 0 for boxes to ignore; a first line may name the columns. For pictures COCO JSON.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// What every box of the truth and of --results is, whatever the files say: face or plate.
    #[arg(long)]
    class: Option<Class>,
    /// Measure these detections instead of a run: MOTChallenge CSV with confidences, or COCO results JSON. The boxes count as
    /// redacted as they are; --margin makes them larger, --confidence-threshold leaves out doubtful ones.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Measure this redacted version instead of a run, whatever made it: a video with the same frames, or a folder with
    /// pictures of the same names, of the same size. What differs by more than encoding explains counts as redacted.
    #[arg(long, value_name = "CLIP|FOLDER", conflicts_with_all = ["results", "DetectorArgs", "TrackingArgs", "RedactionArgs"])]
    redacted: Option<PathBuf>,
    /// Run every combination of these settings and show how leaks and needless redaction trade off:
    /// `confidence-threshold=0.2,0.3,margin=0.2,0.4,look-ahead=0,12`.
    #[arg(long, value_name = "SETTING=VALUES,...", conflicts_with_all = ["results", "redacted"])]
    sweep: Option<Sweep>,
    /// Write a report with plots; it holds no picture.
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Put pictures of the worst leaks in the report: UNREDACTED faces and plates. For your own eyes only.
    #[arg(long, requires = "html", conflicts_with = "sweep")]
    include_crops: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    tracking: TrackingArgs,
    #[command(flatten)]
    redaction: RedactionArgs,
}

/// Set by Ctrl-C and termination signals.
static STOP: Stop = Stop::new();

/// What was found out.
enum Outcome {
    One(Evaluation),
    Many(Swept),
}

pub fn run(args: Args) -> Result<ExitCode> {
    let base = Chosen {
        detector: args.detector.settings()?,
        tracking: args.tracking.settings(),
        redaction: args.redaction.settings()?,
    };
    if let Some(sweep) = &args.sweep
        && let Some(option) = sweep.overridden(std::env::args_os())
    {
        bail!("{option} is one of the settings that --sweep varies; leave it out of one of them");
    }
    // What redact refuses is not worth a figure.
    base.tracking.check_cover()?;
    let subject = Subject::read(&args.input, &args.truth, args.class)?;
    let report = args.report()?;
    if matches!(subject.kind, Kind::Pictures(_)) && args.tracking.settings() != Tracking::default()
    {
        say::err(
            "warning: pictures are not tracked: --look-ahead, --hold and --detect-every change nothing",
        );
    }
    floutage::init()?;
    logging::bridge();
    ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
    let outcome = args.measure(&subject, &base)?;
    if let Some(report) = report {
        let crops = match &outcome {
            Outcome::One(evaluation) if args.include_crops => {
                say::err(crops::WARNING);
                crops::worst(&subject, evaluation, args.redacted.as_deref())?
            }
            _ => Vec::new(),
        };
        let page = html::page(&args.about()?, &outcome, &crops);
        if args.include_crops {
            keep_private(report.path())?;
        }
        std::fs::write(report.path(), page)
            .map_err(|error| floutage::Error::io(report.path(), "writing", error))?;
        report.finish()?;
    }
    let text = match (&outcome, args.json) {
        (Outcome::One(evaluation), true) => say::json(&figures::all(evaluation))?,
        (Outcome::One(evaluation), false) => table::all(evaluation),
        (Outcome::Many(swept), true) => say::json(&swept.json())?,
        (Outcome::Many(swept), false) => swept.table(),
    };
    let said = say::out(text.trim_end());
    Ok(ExitCode::from(u8::from(!said)))
}

/// Lets nobody but its owner read the file at `path`.
fn keep_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| floutage::Error::io(path, "writing", error))?;
    Ok(())
}

impl Args {
    fn measure(&self, subject: &Subject, base: &Chosen) -> Result<Outcome> {
        let evaluation = if let Some(sweep) = &self.sweep {
            let swept = sweep.run(subject, base)?;
            if let Some(point) = swept.points.first() {
                subject.check_boxes(&point.evaluation)?;
            }
            return Ok(Outcome::Many(swept));
        } else if let Some(file) = &self.results {
            let settings = results::as_they_are(&self.redaction, &base.redaction);
            results::evaluate(subject, file, self.class, &base.detector, &settings)?
        } else if let Some(other) = &self.redacted {
            redacted::evaluate(subject, other)?
        } else {
            let found = subject.find(self.detector.open()?, &base.redaction, base.tracking)?;
            subject.compare(&found, &base.redaction)
        };
        subject.check_boxes(&evaluation)?;
        Ok(Outcome::One(evaluation))
    }

    /// The report's file, before the work: what cannot be written should be known then. An old report is replaced.
    fn report(&self) -> Result<Option<PartialFile>> {
        let Some(path) = &self.html else {
            return Ok(None);
        };
        let extension = path.extension().and_then(|it| it.to_str());
        if !extension.is_some_and(|it| ["html", "htm"].contains(&it.to_ascii_lowercase().as_str()))
        {
            bail!(
                "{}: the name of the report must end in .html",
                path.display()
            );
        }
        Ok(Some(PartialFile::create(path, true)?))
    }

    /// What was measured, as pairs of a name and a value.
    fn about(&self) -> Result<Vec<(&'static str, String)>> {
        let name = |path: &PathBuf| path.display().to_string();
        let mut about = vec![
            ("Measured", name(&self.input)),
            ("Truth", name(&self.truth)),
        ];
        let measured = if let Some(file) = &self.results {
            format!("the detections in {}", name(file))
        } else if let Some(other) = &self.redacted {
            format!("the redacted version {}, by what differs", name(other))
        } else if self.sweep.is_some() {
            "runs with several settings".to_owned()
        } else {
            "a run with the settings given".to_owned()
        };
        about.push(("Against", measured));
        // As given: what was not given is at its default.
        let given: Vec<String> = std::env::args_os()
            .skip(1)
            .map(|it| it.to_string_lossy().into_owned())
            .collect();
        about.push(("Command", format!("floutage {}", given.join(" "))));
        if self.results.is_none() && self.redacted.is_none() {
            for model in ModelIdentity::of(&self.detector.settings()?)? {
                about.push(("Model", format!("{}, sha256 {}", model.name, model.sha256)));
            }
        }
        about.push(("Version", env!("CARGO_PKG_VERSION").to_owned()));
        Ok(about)
    }
}
