//! `floutage check-config`: what is wrong with a configuration of the gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use floutage::serve::config::Config;

use crate::say;

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Configuration file.
    #[arg(value_name = "FILE", default_value = "/etc/floutage/floutage.toml")]
    config: PathBuf,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match Config::read(&args.config) {
        Ok(config) => {
            let count = config.cameras.len();
            let cameras = if count == 1 { "camera" } else { "cameras" };
            say::out(&format!(
                "{}: nothing is wrong; {count} {cameras}",
                args.config.display()
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in problems {
                say::err(&format!("{}: {problem}", args.config.display()));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
