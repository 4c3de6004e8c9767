//! `floutage check-config`: what is wrong with a configuration of the gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use floutage::serve::config::Config;

use crate::say;

#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Configuration file [default: /etc/floutage/floutage.toml].
    #[arg(value_name = "FILE", conflicts_with = "option")]
    config: Option<PathBuf>,
    /// The same, named as for `serve`.
    #[arg(short, long = "config", value_name = "FILE", id = "option")]
    option: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let path = args.config.or(args.option);
    let path = path.unwrap_or_else(|| PathBuf::from("/etc/floutage/floutage.toml"));
    match Config::read(&path) {
        Ok(config) => {
            let count = config.cameras.len();
            let cameras = if count == 1 { "camera" } else { "cameras" };
            say::out(&format!(
                "{}: nothing is wrong; {count} {cameras}",
                path.display()
            ));
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            for problem in problems {
                say::err(&format!("{}: {problem}", path.display()));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}
