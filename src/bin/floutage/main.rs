//! The `floutage` program.

mod attack;
mod audit;
mod batch;
mod bench;
mod check_config;
mod cli;
mod confine;
mod doctor;
mod evaluate;
mod logging;
mod manual;
mod models;
mod options;
mod password;
mod redact;
mod say;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::Parser;

/// Exit code after Ctrl-C or a termination signal, as shells have it.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    // ONNX Runtime starts what reports to its makers, and writes a file for it, before it can be told not to.
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    if let Err(error) = floutage::sandbox::return_freed_frames() {
        say::err(&format!("warning: {error}"));
    }
    let cli = cli::Cli::parse();
    logging::start(cli.command.is_quiet());
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => {
            say::err(&format!("floutage: {}", say::causes(&error)));
            let interrupted = matches!(
                error.downcast_ref::<floutage::Error>(),
                Some(floutage::Error::Interrupted)
            );
            ExitCode::from(if interrupted { INTERRUPTED } else { 1 })
        }
    }
}
