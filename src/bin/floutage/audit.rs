//! `floutage audit`: checks the tamper-evident record, makes the page for a data protection officer, changes the key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use floutage::audit::{Checked, Expected, Language, Log, check, page, state_folder};
use floutage::media::partial::PartialFile;
use floutage::serve::sealed::{self, Recorded};

use crate::say;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find any change to a log: edits, removed, moved or added entries, a cut end.
    Verify(VerifyArgs),
    /// Make the page for a data protection officer, in HTML.
    Report(ReportArgs),
    /// Sign with a new key from now on, and record that.
    Rotate {
        /// The log.
        #[arg(value_name = "LOG")]
        log: PathBuf,
    },
}

/// What a log is compared with.
#[derive(Debug, clap::Args)]
struct Trust {
    /// The log.
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Public key that the log must have used, in hexadecimal [default: that of the key in the state folder].
    #[arg(long, value_name = "HEX")]
    public_key: Option<String>,
    /// Last entry as noted earlier, NUMBER:HASH; entries after it are welcome.
    #[arg(long, value_name = "NUMBER:HASH", value_parser = parse_head)]
    head: Option<(u64, String)>,
    /// Be content when it cannot be told whether entries are missing at the end.
    #[arg(long)]
    without_head: bool,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    #[command(flatten)]
    trust: Trust,
    /// Folder with the gateway's recordings, one folder for each camera in it, as `directory` under [record] has it: compare
    /// every file with its entry; repeatable, and all folders have to be named.
    #[arg(long, value_name = "FOLDER")]
    recordings: Vec<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lang {
    En,
    Fr,
}

#[derive(Debug, clap::Args)]
struct ReportArgs {
    #[command(flatten)]
    trust: Trust,
    /// File to write.
    #[arg(short, long, value_name = "HTML")]
    output: PathBuf,
    /// Replace an output that exists.
    #[arg(long)]
    overwrite: bool,
    /// Language of the page.
    #[arg(long, value_enum, default_value_t = Lang::Fr)]
    lang: Lang,
    /// What `floutage evaluate --json` printed for the model in use.
    #[arg(long, value_name = "JSON")]
    evaluation: Option<PathBuf>,
    /// What `floutage attack --json` printed for the settings in use.
    #[arg(long, value_name = "JSON")]
    attack: Option<PathBuf>,
}

fn parse_head(text: &str) -> Result<(u64, String), String> {
    let wrong = || "must be NUMBER:HASH, as `floutage audit verify` prints it".to_owned();
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    if hash.len() != 64 {
        return Err(wrong());
    }
    Ok((number, hash.to_ascii_lowercase()))
}

/// The folder with keys and heads.
pub fn state() -> Result<PathBuf> {
    state_folder().context("there is no home folder for the log's key: set XDG_STATE_HOME")
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Verify(args) => verify(&args),
        Command::Report(args) => report(&args),
        Command::Rotate { log } => {
            if !log.is_file() {
                bail!("{}: there is no such log", log.display());
            }
            let done = Log::new(&log, &state()?).rotate()?;
            let said = say::out(&format!("entry {}: the key is changed", done.seq));
            Ok(ExitCode::from(u8::from(!said)))
        }
    }
}

impl Trust {
    fn check(&self) -> Result<Checked> {
        let expected = Expected {
            public_key: self.public_key.as_ref().map(|key| key.to_ascii_lowercase()),
            head: self.head.clone(),
        };
        let mut checked = check(&self.log, state_folder().as_deref(), &expected)?;
        if !checked.end_known && !self.without_head && checked.problems.is_empty() {
            checked.problems.push(
                "there is no head record here, so entries missing at the end would not show: give --head, or --without-head to be \
                 content"
                    .into(),
            );
        }
        Ok(checked)
    }
}

fn verify(args: &VerifyArgs) -> Result<ExitCode> {
    let checked = args.trust.check()?;
    let recorded = if args.recordings.is_empty() {
        None
    } else {
        let log = Log::new(&args.trust.log, &state()?);
        Some(sealed::check(&checked, &log, &args.recordings)?)
    };
    let ok = checked.problems.is_empty()
        && recorded
            .as_ref()
            .is_none_or(|recorded| recorded.problems.is_empty());
    let text = if args.json {
        let said = serde_json::json!({ "ok": ok, "record": checked, "recordings": recorded });
        say::json(&said)?
    } else {
        let mut text = describe(&args.trust.log, &checked);
        if let Some(recorded) = &recorded {
            text.push_str(&describe_recorded(recorded));
        }
        text
    };
    let said = say::out(&text);
    Ok(ExitCode::from(u8::from(!ok || !said)))
}

fn describe(log: &Path, checked: &Checked) -> String {
    let mut text = format!(
        "{}: {} entries from {} to {}\n",
        log.display(),
        checked.entries,
        checked.from,
        checked.to
    );
    if let (Some(key), Some((seq, hash))) = (checked.keys.last(), &checked.head) {
        text.push_str(&format!(
            "  log {}, public key {key}\n  last entry {seq}:{hash}\n",
            checked.log
        ));
    }
    for problem in &checked.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    text.push_str(match (checked.problems.is_empty(), checked.end_known) {
        (true, true) => "intact",
        (true, false) => "intact as far as it goes; the end is not known",
        (false, _) => "NOT INTACT",
    });
    text
}

fn describe_recorded(recorded: &Recorded) -> String {
    let mut text = format!(
        "\nrecordings: {} as they were recorded ({} cut off and entered later), {} being written, {} purged\n",
        recorded.as_recorded, recorded.unfinished, recorded.open, recorded.purged
    );
    for problem in &recorded.problems {
        text.push_str(&format!("  {problem}\n"));
    }
    text.push_str(if recorded.problems.is_empty() {
        "recordings intact"
    } else {
        "RECORDINGS NOT INTACT"
    });
    text
}

fn figures(path: Option<&Path>) -> Result<Option<serde_json::Value>> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot be read", path.display()))?;
    let value = serde_json::from_str(&text)
        .with_context(|| format!("{}: this is no JSON", path.display()))?;
    Ok(Some(value))
}

fn report(args: &ReportArgs) -> Result<ExitCode> {
    let checked = args.trust.check()?;
    let language = match args.lang {
        Lang::En => Language::English,
        Lang::Fr => Language::French,
    };
    let evaluation = figures(args.evaluation.as_deref())?;
    let attack = figures(args.attack.as_deref())?;
    let html = page(&checked, language, evaluation.as_ref(), attack.as_ref());
    let partial = PartialFile::create(&args.output, args.overwrite)?;
    std::fs::write(partial.path(), html)
        .with_context(|| format!("{}: cannot be written", args.output.display()))?;
    partial.finish()?;
    let ok = checked.problems.is_empty();
    let said = say::out(&format!(
        "{}: {}",
        args.output.display(),
        if ok {
            "written"
        } else {
            "written; the record is NOT INTACT"
        }
    ));
    Ok(ExitCode::from(u8::from(!ok || !said)))
}
