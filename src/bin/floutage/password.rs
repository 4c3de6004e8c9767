//! `floutage password`: the hash of a password, for the configuration of the web page.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, Result, bail};
use floutage::serve::web::password;

use crate::say;

/// Print the argon2 hash of a password, for `password-hash` in the configuration.
///
/// Asks twice without showing what is typed; reads one line where standard input is not a terminal.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: Args) -> Result<()> {
    let stdin = std::io::stdin();
    let typed = if stdin.is_terminal() {
        let typed =
            rpassword::prompt_password("Password: ").context("the password cannot be read")?;
        let again =
            rpassword::prompt_password("Once more: ").context("the password cannot be read")?;
        if typed != again {
            bail!("the two passwords differ; run this again");
        }
        typed
    } else {
        let mut line = String::new();
        let mut stdin = stdin.lock();
        stdin
            .read_line(&mut line)
            .context("the password cannot be read from standard input")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if !say::out(&password::hash(&typed)?) {
        bail!("the hash was not written");
    }
    Ok(())
}
