//! `floutage evaluate`: how many faces and plates of a clip would leak, against what is known to be in it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use floutage::detect::Class;
use floutage::evaluate::{BUCKETS, Bucket, Leaks, Redacted, Truth, measure, wilson};
use floutage::media::regions::find_regions;
use floutage::media::report::Stop;
use serde_json::json;

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
    let frames: Vec<Vec<Redacted>> = found
        .iter()
        .map(|regions| {
            let area = |class: Class, bbox: floutage::geometry::BBox| Redacted {
                bbox: bbox.dilate(settings.class(class).margin),
                class,
            };
            let areas = regions
                .iter()
                .map(|it| area(it.region.class, it.region.bbox));
            areas.collect()
        })
        .collect();
    let size = (report.width as usize, report.height as usize);
    let leaks = measure(&truth, &frames, size);
    let text = if args.json {
        serde_json::to_string_pretty(&figures(&leaks))?
    } else {
        table(&leaks)
    };
    let said = say::out(text.trim_end());
    Ok(ExitCode::from(u8::from(!said)))
}

/// "12-24" and the like, by index of the bucket.
fn bucket_name(index: usize) -> String {
    match (
        index.checked_sub(1).map(|below| BUCKETS[below]),
        BUCKETS[index],
    ) {
        (None, most) => format!("under {most}"),
        (Some(least), most) if most.is_infinite() => format!("{least} and more"),
        (Some(least), most) => format!("{least} to {most}"),
    }
}

fn rows(leaks: &Leaks, class: Class) -> Vec<(String, Bucket)> {
    let buckets = leaks.buckets[class as usize].iter().enumerate();
    let mut rows: Vec<(String, Bucket)> = buckets
        .filter(|(_, bucket)| bucket.boxes > 0)
        .map(|(index, bucket)| (bucket_name(index), *bucket))
        .collect();
    if !rows.is_empty() {
        rows.push(("all".to_owned(), leaks.from(class, 0.0)));
    }
    rows
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn table(leaks: &Leaks) -> String {
    let mut text = format!(
        "{:8}{:14}{:>8}{:>12}{:>20}{:>18}{:>14}\n",
        "", "height", "boxes", "leak rate", "95 % interval", "tracks that leak", "longest run"
    );
    for class in Class::ALL {
        for (name, bucket) in rows(leaks, class) {
            let (low, high) = wilson(bucket.leaks, bucket.boxes);
            text.push_str(&format!(
                "{:8}{name:14}{:>8}{:>12.4}{:>20}{:>18}{:>14}\n",
                class.name(),
                bucket.boxes,
                share(bucket.leaks, bucket.boxes),
                format!("{low:.4} to {high:.4}"),
                format!("{} of {}", bucket.leaking_tracks, bucket.tracks),
                bucket.longest_run
            ));
        }
    }
    text.push_str(&format!(
        "\n{} frames; {:.2} % of all pixels redacted without need; {:.2} regions per frame where nothing is\n",
        leaks.frames,
        leaks.over_redaction * 100.0,
        share(leaks.false_regions, leaks.frames)
    ));
    text
}

fn figures(leaks: &Leaks) -> serde_json::Value {
    let bucket = |(name, bucket): (String, Bucket)| {
        json!({
            "height": name,
            "boxes": bucket.boxes,
            "leaks": bucket.leaks,
            "leak_rate": share(bucket.leaks, bucket.boxes),
            "leak_rate_95": wilson(bucket.leaks, bucket.boxes),
            "tracks": bucket.tracks,
            "leaking_tracks": bucket.leaking_tracks,
            "longest_run": bucket.longest_run,
        })
    };
    let classes: serde_json::Map<_, _> = Class::ALL
        .into_iter()
        .map(|class| {
            let rows: Vec<_> = rows(leaks, class).into_iter().map(bucket).collect();
            (class.name().to_owned(), json!(rows))
        })
        .collect();
    json!({
        "frames": leaks.frames,
        "classes": classes,
        "over_redaction": leaks.over_redaction,
        "false_regions": leaks.false_regions,
    })
}
