//! The command line: which commands there are.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{audit, bench, doctor, evaluate, models, redact, verify};

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
    /// Check that a redacted file holds nothing beside its pictures, and that nothing is found in them again.
    Verify(Box<verify::Args>),
    /// Check the tamper-evident record, make its page for a data protection officer, change its key.
    Audit(audit::Args),
    /// Check that everything floutage needs is installed, and say how to mend what is not.
    Doctor(doctor::Args),
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
            Self::Verify(args) => verify::run(*args),
            Self::Audit(args) => audit::run(args),
            Self::Doctor(args) => doctor::run(args),
        }
    }
}
