//! `floutage verify`: what a redacted file holds beside its pictures, and what is found in them again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use floutage::credentials::fingerprint;
use floutage::media::report::Stop;
use floutage::verify::{Finding, Inspection, MOST_FINDINGS, Residual, Search, inspect};
use serde::Serialize;

use crate::logging;
use crate::options::{DetectorArgs, RedactionArgs, TrackingArgs};
use crate::say;

/// Walks through the file byte by byte against a list of what is allowed in it, then looks for faces and plates again.
///
/// The exit code is 1 when anything is there that should not be, or when the comparison with the original shows
/// something that is not redacted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The redacted video (.mp4, .mov, .mkv, .webm) or picture.
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// What it was made of: regions found there must have changed, and none may be found elsewhere.
    #[arg(long, value_name = "INPUT")]
    original: Option<PathBuf>,
    /// Content credentials must be there, and signed with the certificate in this PEM file.
    #[arg(long, value_name = "PEM")]
    c2pa: Option<PathBuf>,
    /// Look at the structure only, not at the pictures.
    #[arg(long, conflicts_with = "original")]
    structure_only: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    tracking: TrackingArgs,
    #[command(flatten)]
    redaction: RedactionArgs,
}

#[derive(Serialize)]
struct Outcome {
    /// True when nothing is wrong.
    ok: bool,
    file: String,
    #[serde(flatten)]
    inspection: Inspection,
    #[serde(skip_serializing_if = "Option::is_none")]
    residual: Option<Residual>,
}

/// Set by Ctrl-C and termination signals.
static STOP: Stop = Stop::new();

pub fn run(args: Args) -> Result<ExitCode> {
    let settings = args.redaction.settings()?;
    args.detector.settings()?;
    for path in std::iter::once(&args.output).chain(&args.original) {
        if !path.is_file() {
            bail!("{}: there is no such file", path.display());
        }
    }
    let signer = args.c2pa.as_deref().map(fingerprint).transpose()?;
    let mut inspection = inspect(&args.output)?;
    if let Some(signer) = signer {
        let found = inspection.credentials.as_ref();
        if found.is_none_or(|found| found.certificate != signer) {
            inspection.findings.push(Finding {
                offset: 0,
                place: "file".into(),
                problem: "there are no content credentials of that certificate".into(),
            });
        }
    }
    let residual = if args.structure_only || inspection.format.is_empty() {
        None
    } else {
        floutage::init()?;
        logging::bridge();
        ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
        let search = Search {
            detector: args.detector.open()?,
            settings: &settings,
            tracking: args.tracking.settings(),
            stop: &STOP,
        };
        Some(search.run(&args.output, args.original.as_deref())?)
    };
    let ok = inspection.findings.is_empty() && !residual.as_ref().is_some_and(Residual::is_leak);
    let outcome = Outcome {
        ok,
        file: args.output.display().to_string(),
        inspection,
        residual,
    };
    let text = if args.json {
        say::json(&outcome)?
    } else {
        describe(&outcome, args.c2pa.is_some())
    };
    let said = say::out(&text);
    Ok(ExitCode::from(u8::from(!ok || !said)))
}

fn describe(outcome: &Outcome, pinned: bool) -> String {
    let inspection = &outcome.inspection;
    let mut text = format!(
        "{}: {}, {}, {} packets\n",
        outcome.file,
        if inspection.format.is_empty() {
            "unknown format"
        } else {
            &inspection.format
        },
        inspection.tracks.join(", "),
        inspection.packets
    );
    if let Some(signed) = &inspection.credentials {
        text.push_str(&format!(
            "  content credentials: of floutage {}, signed with the certificate {}{}\n",
            signed.version,
            signed.certificate,
            if pinned {
                ""
            } else {
                " (--c2pa tells whether it is yours)"
            }
        ));
    }
    if inspection.findings.is_empty() {
        text.push_str("  structure: nothing but what is allowed\n");
    }
    for finding in &inspection.findings {
        text.push_str(&format!(
            "  byte {}: {}: {}\n",
            finding.offset, finding.place, finding.problem
        ));
    }
    if inspection.findings.len() == MOST_FINDINGS {
        text.push_str("  and perhaps more\n");
    }
    if let Some(residual) = &outcome.residual {
        text.push_str(&pictures(residual));
    }
    text.push_str(if outcome.ok {
        "nothing is wrong"
    } else {
        "NOT AS IT SHOULD BE"
    });
    text
}

fn pictures(residual: &Residual) -> String {
    let mut text = format!(
        "  pictures: {} regions found again in {} of {} frames\n",
        residual.found, residual.frames_found, residual.frames
    );
    match (residual.outside, residual.compared, residual.unchanged) {
        (Some(outside), Some(compared), Some(unchanged)) => {
            text.push_str(&format!(
                "  against the original: {outside} of them outside what was redacted; \
                 {unchanged} of {compared} regions of the original look as before\n"
            ));
        }
        _ => text.push_str(
            "  (a redacted face may still look like one to the model; --original tells the difference)\n",
        ),
    }
    if let Some(frames) = residual
        .original_frames
        .filter(|frames| *frames != residual.frames)
    {
        text.push_str(&format!("  the original has {frames} frames\n"));
    }
    for place in &residual.places {
        let [x, y, width, height] = place.bbox;
        text.push_str(&format!(
            "    frame {}: {} at {x:.0},{y:.0}, {width:.0}x{height:.0}\n",
            place.frame, place.class
        ));
    }
    text
}
