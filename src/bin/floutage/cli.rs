//! The command line: which commands there are.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{bench, check_config, doctor, evaluate, models, redact, serve};

/// Finds faces and licence plates in video and pictures and redacts them irreversibly.
#[derive(Debug, Parser)]
#[command(name = "floutage", version, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Redact video files, pictures, or folders of them.
    Redact(Box<redact::Args>),
    /// List, check, download or inspect detection models.
    Models(models::Args),
    /// Measure speed and memory on a clip, against a plain transcode. Writes nothing.
    Bench(Box<bench::Args>),
    /// Measure which faces and plates of a clip would leak, against what is known to be in it. Writes nothing.
    Evaluate(Box<evaluate::Args>),
    /// Check that everything floutage needs is installed, and say how to mend what is not.
    Doctor(doctor::Args),
    /// Serve cameras, redacted, as RTSP streams, recordings and a web page, as a configuration file has it.
    Serve(serve::Args),
    /// Say what is wrong with a configuration of `serve`, by key, value and line.
    CheckConfig(check_config::Args),
    /// One camera of `serve`, which starts this by itself.
    #[command(name = serve::WORKER, hide = true)]
    ServeWorker(serve::WorkerArgs),
}

impl Command {
    /// True when warnings are not to be shown.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Redact(args) if args.is_quiet())
    }

    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Redact(args) => redact::run(*args),
            Self::Models(args) => models::run(args).map(|()| ExitCode::SUCCESS),
            Self::Bench(args) => bench::run(*args),
            Self::Evaluate(args) => evaluate::run(*args),
            Self::Doctor(args) => doctor::run(args),
            Self::Serve(args) => serve::run(args),
            Self::CheckConfig(args) => check_config::run(args),
            Self::ServeWorker(_) => serve::run_worker(),
        }
    }
}
