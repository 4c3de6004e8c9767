//! `floutage attack`: how far attackers get with redacted faces and plates.

mod clip;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use floutage::attack::disguise::Disguise;
use floutage::attack::faces::Faces;
use floutage::attack::plates::Printer;
use floutage::attack::rebuild;
use floutage::attack::recognition::Recogniser;
use floutage::attack::report::{Form, Report};
use floutage::media::report::Stop;

use crate::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with a folder of pictures for each person: aligned faces without surroundings (PNG, JPEG, WebP). In the order of
    /// their names, the first half is what the attacker has, the rest is redacted.
    #[arg(value_name = "FACES", conflicts_with = "clip")]
    faces: Option<PathBuf>,
    /// Video whose faces are attacked, each track a person; repeatable, together with --truth.
    #[arg(long, value_name = "CLIP")]
    clip: Vec<PathBuf>,
    /// What is in the clip: MOTChallenge CSV as for `floutage evaluate`; one for each --clip, in their order.
    #[arg(long, value_name = "CSV")]
    truth: Vec<PathBuf>,
    /// Recognition model with which to attack, too (ONNX; 1x3xHxW, R, G, B from -1 to 1). Nothing else ever loads one.
    #[arg(long, value_name = "FILE")]
    recognition_model: Option<PathBuf>,
    /// Plates to draw and read, 0 to 1000; 0 leaves them out.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=1000))]
    plates: u16,
    /// Font of fixed pitch for the plates [default: DejaVu Sans Mono Bold or Liberation Mono Bold].
    #[arg(long, value_name = "FILE")]
    font: Option<PathBuf>,
    /// What text, noise, motion and samples are drawn from.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Fail when a default is not at chance.
    #[arg(long)]
    check: bool,
    /// Print Markdown tables.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Nothing is written, so a signal may end the program at once; this is never set.
static STOP: Stop = Stop::new();

pub fn run(args: Args) -> Result<ExitCode> {
    if args.clip.len() != args.truth.len() {
        bail!(
            "{} clips and {} truths given: each --clip needs its --truth",
            args.clip.len(),
            args.truth.len()
        );
    }
    let no_faces = args.faces.is_none() && args.clip.is_empty();
    if no_faces && (args.plates == 0 || args.recognition_model.is_some()) {
        bail!("there is nothing to attack: name a folder of faces, or --clip and --truth");
    }
    // What is wrong with the input shows before the first minute of work.
    let printer = match args.plates {
        0 => None,
        _ => Some(Printer::open(args.font.as_deref())?),
    };
    let mut recogniser = match &args.recognition_model {
        Some(file) => Some(Recogniser::open(file)?),
        None => None,
    };
    let faces = match &args.faces {
        Some(folder) => Some(Faces::read(folder)?),
        None if args.clip.is_empty() => None,
        None => {
            floutage::init()?;
            crate::logging::bridge();
            let clips: Vec<_> = args.clip.iter().zip(&args.truth).collect();
            Some(clip::faces(&clips, &STOP)?)
        }
    };
    let styles = Disguise::table();
    let mut report = Report {
        seed: args.seed,
        faces: None,
        plates: None,
        rebuild: None,
    };
    if let Some(faces) = &faces {
        report.faces = Some(faces.attacked(&styles, recogniser.as_mut(), args.seed)?);
        report.rebuild = Some(rebuild::attacked(faces, args.seed)?);
    }
    if let Some(printer) = &printer {
        let plates = usize::from(args.plates);
        report.plates = Some(printer.attacked(&styles, plates, args.seed)?);
    }
    let text = match (args.json, args.markdown) {
        (true, _) => say::json(&report)?,
        (_, true) => report.tables(Form::Markdown),
        _ => report.tables(Form::Text),
    };
    let said = say::out(text.trim_end());
    let failures = report.failures();
    if args.check && !failures.is_empty() {
        bail!("the defaults do not hold: {}", failures.join("; "));
    }
    Ok(ExitCode::from(u8::from(!said)))
}
