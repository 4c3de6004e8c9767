//! The command line: which commands there are.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    attack, audit, batch, bench, check_config, doctor, evaluate, manual, models, password, redact,
    serve, verify,
};

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
    /// Redact an archive: every file once, resumable, several at once, with an account; also on a cluster.
    Batch(Box<batch::Args>),
    /// List, check, download or inspect detection models.
    Models(models::Args),
    /// Measure speed and memory on a clip, against a plain transcode. Writes nothing.
    Bench(Box<bench::Args>),
    /// Measure which faces and plates of a clip would leak, against what is known to be in it. Writes nothing.
    Evaluate(Box<evaluate::Args>),
    /// Measure how far attackers get with redacted faces and plates. Writes nothing.
    Attack(Box<attack::Args>),
    /// Check that a redacted file holds nothing beside its pictures, and that nothing is found in them again.
    Verify(Box<verify::Args>),
    /// Check the tamper-evident record, make its page for a data protection officer, change its key.
    Audit(audit::Args),
    /// Check that everything floutage needs is installed, and say how to mend what is not.
    Doctor(doctor::Args),
    /// Serve cameras, redacted, as RTSP streams, recordings and a web page, as a configuration file has it.
    Serve(serve::Args),
    /// Say what is wrong with a configuration of `serve`, by key, value and line.
    CheckConfig(check_config::Args),
    /// One camera of `serve`, which starts this by itself.
    #[command(name = serve::WORKER, hide = true)]
    ServeWorker(serve::WorkerArgs),
    /// Print the hash of a password, for the configuration of the web page.
    Password(password::Args),
    /// Print completions for a shell.
    Completions(manual::CompletionsArgs),
    /// Write the manual pages into a folder.
    #[command(hide = true)]
    Man(manual::ManArgs),
}

impl Command {
    /// True when warnings are not to be shown.
    pub fn is_quiet(&self) -> bool {
        match self {
            Self::Redact(args) => args.is_quiet(),
            Self::Batch(args) => args.is_quiet(),
            _ => false,
        }
    }

    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Redact(args) => redact::run(*args),
            Self::Batch(args) => batch::run(*args),
            Self::Models(args) => models::run(args).map(|()| ExitCode::SUCCESS),
            Self::Bench(args) => bench::run(*args),
            Self::Evaluate(args) => evaluate::run(*args),
            Self::Attack(args) => attack::run(*args),
            Self::Verify(args) => verify::run(*args),
            Self::Audit(args) => audit::run(args),
            Self::Doctor(args) => doctor::run(args),
            Self::Serve(args) => serve::run(args),
            Self::CheckConfig(args) => check_config::run(args),
            Self::ServeWorker(args) => serve::run_worker(&args),
            Self::Password(args) => password::run(args).map(|()| ExitCode::SUCCESS),
            Self::Completions(args) => manual::completions(args).map(|()| ExitCode::SUCCESS),
            Self::Man(args) => manual::man(args).map(|()| ExitCode::SUCCESS),
        }
    }
}
