//! `floutage bench`: speed and memory of the work on one clip, against a plain transcode.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use floutage::media::bench::{Bench, Benchmark, Pass, Round};
use floutage::media::encode::Codec;
use floutage::media::report::Stop;
use serde_json::json;

use crate::logging;
use crate::options::{DetectorArgs, EncodingArgs, RedactionArgs, TrackingArgs};
use crate::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video file to measure with; nothing is written.
    #[arg(value_name = "CLIP")]
    clip: PathBuf,
    /// How often each part is measured, 1 to 20.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    rounds: u8,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    detector: DetectorArgs,
    #[command(flatten)]
    tracking: TrackingArgs,
    #[command(flatten)]
    redaction: RedactionArgs,
    #[command(flatten)]
    encoding: EncodingArgs,
}

/// Set by Ctrl-C and termination signals.
static STOP: Stop = Stop::new();

pub fn run(args: Args) -> Result<ExitCode> {
    let settings = args.redaction.settings()?;
    args.detector.settings()?;
    let encoding = args.encoding.encoding(Codec::H264)?;
    if !args.clip.is_file() {
        bail!("{}: there is no such file", args.clip.display());
    }
    floutage::init()?;
    logging::bridge();
    ctrlc::set_handler(|| STOP.request()).context("signals cannot be caught")?;
    let bench = Bench {
        detector: args.detector.open()?,
        settings: &settings,
        tracking: args.tracking.settings(),
        encoding,
        rounds: usize::from(args.rounds),
    };
    let mut told = None;
    let benchmark = bench.run(&args.clip, &STOP, &mut |pass, passes, _| {
        if told != Some(pass) && !args.json {
            told = Some(pass);
            say::err(&format!("pass {} of {passes}", pass + 1));
        }
    })?;
    if args.json {
        say::out(&say::json(&figures(&benchmark))?);
    } else {
        say::out(table(&benchmark).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Least and most of the rounds' ratios.
fn range(benchmark: &Benchmark) -> (f64, f64) {
    let ratios = benchmark.rounds.iter().map(Round::ratio);
    ratios.fold((f64::INFINITY, 0.0), |(least, most), ratio| {
        (ratio.min(least), ratio.max(most))
    })
}

fn table(benchmark: &Benchmark) -> String {
    let median = benchmark.median();
    let (least, most) = range(benchmark);
    let memory = |pass: &Pass| {
        pass.peak_memory.map_or_else(
            || "unknown".to_owned(),
            |bytes| format!("{} MiB", bytes >> 20),
        )
    };
    let mut text = format!(
        "{}: {}x{}, {} frames, {}\n\n{:18}{:>10}{:>14}\n",
        benchmark.input.display(),
        benchmark.width,
        benchmark.height,
        median.whole.frames,
        benchmark.encoder,
        "",
        "frames/s",
        "peak memory"
    );
    for (name, pass) in [
        ("decode alone", &median.decode),
        ("without encoder", &median.redaction),
        ("plain transcode", &median.transcode),
        ("whole pipeline", &median.whole),
    ] {
        text.push_str(&format!(
            "{name:18}{:>10.1}{:>14}\n",
            pass.frames_per_second(),
            memory(pass)
        ));
    }
    text.push_str(&format!(
        "{:18}{:>10.3}  ({least:.3} to {most:.3} in {} rounds)\n\n{:18}{:>10}{:>14}\n",
        "pipeline/transcode",
        median.ratio(),
        benchmark.rounds.len(),
        "processor time",
        "share",
        "ms per frame"
    ));
    for share in median.shares() {
        text.push_str(&format!(
            "{:18}{:>8.1} %{:>14.2}\n",
            share.stage,
            share.share * 100.0,
            share.per_frame.as_secs_f64() * 1e3
        ));
    }
    if median.failed_closed > 0 {
        text.push_str(&format!(
            "\n{} frames were filled because they could not be analysed\n",
            median.failed_closed
        ));
    }
    text
}

fn figures(benchmark: &Benchmark) -> serde_json::Value {
    let pass = |pass: &Pass| {
        json!({
            "frames": pass.frames,
            "wall_s": pass.wall.as_secs_f64(),
            "processor_s": pass.processor.as_secs_f64(),
            "frames_per_second": pass.frames_per_second(),
            "peak_memory_bytes": pass.peak_memory,
        })
    };
    let round = |round: &Round| {
        let shares: serde_json::Map<_, _> = round
            .shares()
            .iter()
            .map(|it| (it.stage.to_owned(), json!(it.share)))
            .collect();
        json!({
            "decode": pass(&round.decode),
            "redaction": pass(&round.redaction),
            "transcode": pass(&round.transcode),
            "whole": pass(&round.whole),
            "ratio": round.ratio(),
            "shares": shares,
            "frames_failed_closed": round.failed_closed,
        })
    };
    json!({
        "input": benchmark.input,
        "width": benchmark.width,
        "height": benchmark.height,
        "encoder": benchmark.encoder,
        "median_ratio": benchmark.median().ratio(),
        "rounds": benchmark.rounds.iter().map(round).collect::<Vec<_>>(),
    })
}
