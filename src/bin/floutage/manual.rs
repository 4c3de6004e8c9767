//! `floutage completions` and `floutage man`: what shells and `man` know of the program, from its own command line.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::say;

/// Print completions for a shell.
///
/// For bash, for example: floutage completions bash > ~/.local/share/bash-completion/completions/floutage
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Write the manual pages of the program and of each command.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Folder to write them into; it is made if need be.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn completions(args: CompletionsArgs) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "floutage", &mut text);
    if !say::out(String::from_utf8(text)?.trim_end()) {
        bail!("the completions were not written");
    }
    Ok(())
}

pub fn man(args: ManArgs) -> Result<()> {
    let folder = args.folder;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{}: it cannot be made", folder.display()))?;
    // `floutage help` needs no page of its own.
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, &folder)
        .with_context(|| format!("{}: pages cannot be written", folder.display()))
}
