//! `floutage evaluate`: how many faces and plates of a clip would leak, against what is known to be in it.

mod figures;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use floutage::detect::{Certainty, Detection};
use floutage::evaluate::{Evaluation, Redacted, Regions, Seen, Truth};
use floutage::media::regions::{Found, find_regions};
use floutage::media::report::Stop;
use floutage::redact::Settings;

use crate::logging;
use crate::options::{DetectorArgs, RedactionArgs, TrackingArgs};
use crate::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video file to redact for measuring; nothing is written.
    #[arg(value_name = "CLIP")]
    clip: PathBuf,
    /// What is in it: MOTChallenge CSV, frame,id,left,top,width,height,conf,class,visibility, with class 1 for faces and 2
    /// for plates, conf 0 for boxes to ignore.
    #[arg(long, value_name = "CSV")]
    truth: PathBuf,
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

pub fn run(args: Args) -> Result<ExitCode> {
    let settings = args.redaction.settings()?;
    args.detector.settings()?;
    if !args.clip.is_file() {
        bail!("{}: there is no such file", args.clip.display());
    }
    let truth = Truth::read(&args.truth)?;
    floutage::init()?;
    logging::bridge();
    ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
    let (found, report) = find_regions(
        &args.clip,
        args.detector.open()?,
        &settings,
        args.tracking.settings(),
        &STOP,
        &mut |_| {},
    )?;
    if truth.frames() > found.len() {
        bail!(
            "{}: the truth has boxes in frame {}, the clip {} only {} frames",
            args.truth.display(),
            truth.frames(),
            args.clip.display(),
            found.len()
        );
    }
    let size = (report.width as usize, report.height as usize);
    let evaluation = compare(&truth, &found, &settings, size);
    let text = if args.json {
        serde_json::to_string_pretty(&figures::all(&evaluation))?
    } else {
        table::all(&evaluation)
    };
    let said = say::out(text.trim_end());
    Ok(ExitCode::from(u8::from(!said)))
}

/// What was found in frames of `size` pixels (width, height), against the truth.
fn compare(
    truth: &Truth,
    found: &[Found],
    settings: &Settings,
    size: (usize, usize),
) -> Evaluation {
    let mut evaluation = Evaluation::default();
    for (index, frame) in found.iter().enumerate() {
        let area = |marked: &floutage::gst::meta::MarkedRegion| {
            let class = settings.class(marked.region.class);
            Redacted {
                bbox: marked.region.bbox.dilate(class.margin),
                shape: class.shape,
                class: marked.region.class,
            }
        };
        let regions = Regions {
            size,
            areas: frame.regions.iter().map(area).collect(),
            zones: settings.zones.clone(),
            filled: frame.filled,
        };
        let confident = |all: &Vec<Detection>| -> Vec<Detection> {
            all.iter()
                .filter(|it| it.certainty == Certainty::Confident)
                .copied()
                .collect()
        };
        let detections = frame.detections.as_ref().map(confident);
        let seen = Seen {
            size,
            detections: detections.as_deref(),
            altered: &regions,
            areas: &regions.areas,
        };
        evaluation.add(index, truth.frame(index), &seen);
    }
    evaluation
}
