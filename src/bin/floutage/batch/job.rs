//! What is to be done: a job file, the command line, or both.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use floutage::batch::job_file::{Changed, JobFile, Jobs, MOST_RETRIES};
use floutage::storage::is_address;

use super::settings::Given;

/// Files to read, and the folder to write to. Paths in a job file, a list or a manifest start from that file's folder.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceArgs {
    /// Video files, pictures, or folders, which are searched recursively; or objects, s3://BUCKET/KEY, and folders of them; or
    /// quoted patterns of either with `*`, `**`, `?` or `[...]`.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// Job file (TOML) with any of: inputs, lists, manifests, output, journal, endpoint, jobs, retries, changed, and a table `settings`.
    #[arg(short = 'c', long = "config", value_name = "JOB.toml")]
    pub config: Option<PathBuf>,
    /// Text file with one input a line.
    #[arg(long = "list", value_name = "FILE")]
    pub lists: Vec<PathBuf>,
    /// CSV file with a column `input`; further columns are `output` and any setting of `redact`.
    #[arg(long = "manifest", value_name = "FILE")]
    pub manifests: Vec<PathBuf>,
    /// Folder to write to, or s3://BUCKET/KEY.
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Folder for the journal and the account [default: `floutage-batch` in the output folder, where that is
    /// not in object storage].
    #[arg(long, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
}

/// How the work is done.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkArgs {
    /// Files at once, or `auto`: what a short measurement on this machine finds best [default: auto].
    #[arg(long, value_name = "COUNT|auto")]
    pub jobs: Option<Jobs>,
    /// How often a file that failed is tried again, after all others, 0 to 100 [default: 1].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=i64::from(MOST_RETRIES)))]
    pub retries: Option<u32>,
    /// What happens to finished files whose input, model or settings are others by now [default: redo].
    #[arg(long, value_parser = changed())]
    pub changed: Option<Changed>,
    /// Compare the content of all finished files with the journal, not only size and time.
    #[arg(long)]
    pub verify: bool,
    /// Replace outputs that exist and are not of this batch.
    #[arg(long)]
    pub overwrite: bool,
    /// Show no progress and no summary.
    #[arg(short, long)]
    pub quiet: bool,
    /// Print the account as JSON at the end.
    #[arg(long)]
    pub json: bool,
}

/// A job, from wherever it was told.
#[derive(Clone, Debug)]
pub struct Job {
    pub inputs: Vec<PathBuf>,
    /// Patterns with `*`, `?` or `[`.
    pub patterns: Vec<PathBuf>,
    pub lists: Vec<PathBuf>,
    pub manifests: Vec<PathBuf>,
    pub output: PathBuf,
    /// Folder of journal and account.
    pub folder: PathBuf,
    /// The server of objects, where it is not what the environment says.
    pub endpoint: Option<String>,
    pub jobs: Jobs,
    pub retries: u32,
    pub changed: Changed,
    pub settings: Given,
    /// Where the settings are from, for messages.
    pub origin: String,
}

/// What makes a pattern.
pub const SPECIAL: [char; 3] = ['*', '?', '['];
/// Name of the folder of journal and account in the output folder.
pub const FOLDER: &str = "floutage-batch";

impl Job {
    /// The job of the command line, which is stronger than the job file.
    pub fn resolve(source: SourceArgs, work: Option<&WorkArgs>, given: &Given) -> Result<Self> {
        let (file, base) = match &source.config {
            Some(path) => (read(path)?, path.parent().unwrap_or(Path::new(""))),
            None => (JobFile::default(), Path::new("")),
        };
        let own = |path: PathBuf| beside(base, path);
        let (mut patterns, mut inputs) = (Vec::new(), Vec::new());
        // Most patterns on the command line were resolved by the shell; what is left was quoted.
        for input in file
            .inputs
            .into_iter()
            .map(|named| own(named.into()))
            .chain(source.inputs)
        {
            if input.to_string_lossy().contains(SPECIAL) && !input.exists() {
                patterns.push(input);
            } else {
                inputs.push(input);
            }
        }
        let lists: Vec<_> = file
            .lists
            .into_iter()
            .map(own)
            .chain(source.lists)
            .collect();
        let manifests: Vec<_> = file
            .manifests
            .into_iter()
            .map(own)
            .chain(source.manifests)
            .collect();
        if inputs.is_empty() && patterns.is_empty() && lists.is_empty() && manifests.is_empty() {
            bail!("no inputs: name files or folders, --list, --manifest, or a job file with -c");
        }
        let Some(output) = source.output.or(file.output.map(own)) else {
            bail!("no output folder: name one with -o");
        };
        let folder = source
            .journal
            .or(file.journal.map(own))
            .unwrap_or_else(|| output.join(FOLDER));
        if is_address(&folder) {
            bail!(
                "journal and account cannot be in object storage: name a local folder for them with --journal"
            );
        }
        Ok(Self {
            inputs,
            patterns,
            lists,
            manifests,
            folder,
            endpoint: file.endpoint,
            output,
            jobs: work
                .and_then(|work| work.jobs)
                .or(file.jobs)
                .unwrap_or_default(),
            retries: work
                .and_then(|work| work.retries)
                .or(file.retries)
                .unwrap_or(1),
            changed: work
                .and_then(|work| work.changed)
                .or(file.changed)
                .unwrap_or_default(),
            settings: Given::from_toml(&file.settings)?.with(given),
            origin: match &source.config {
                Some(path) => format!("{}, [settings]", path.display()),
                None => "the settings".into(),
            },
        })
    }
}

/// `path` as it is meant in a file in the folder `base`; an address is one everywhere.
pub fn beside(base: &Path, path: PathBuf) -> PathBuf {
    if is_address(&path) {
        path
    } else {
        base.join(path)
    }
}

fn read(path: &Path) -> Result<JobFile> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
    JobFile::parse(&text).map_err(|error| anyhow::anyhow!("{shown}: {error}"))
}

/// Reads `--changed`.
fn changed() -> impl TypedValueParser<Value = Changed> {
    PossibleValuesParser::new([
        PossibleValue::new("redo").help("They are done again"),
        PossibleValue::new("report").help("They stay as they are and are reported"),
    ])
    .try_map(|text| text.parse::<Changed>())
}
