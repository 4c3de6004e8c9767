//! `floutage models`: what models there are, whether their files are right, fetching and inspecting them.

mod pull;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use floutage::detect::heads::{Head, OutputShape};
use floutage::detect::places::Surroundings;
use floutage::detect::registry::{ModelSpec, Registry, read_file};
use floutage::detect::session::{Port, Session, SessionOptions};
use floutage::digest::sha256_of;
use serde_json::json;

/// Options of `floutage models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Folder with models.toml and model files, searched before all others
    #[arg(long, global = true, value_name = "DIR")]
    models_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the known models and where their files are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the files of the named models against their sha256; of all that are there, if none is named
    Verify {
        /// Names of models
        names: Vec<String>,
    },
    /// Fetch models of others from their official address into the user's data folder
    Pull {
        /// Names of models
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Say what inputs and outputs a model file has and which heads would fit
    Inspect {
        /// An ONNX file, or the name of a known model
        file: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `floutage models`.
pub fn run(args: Args) -> Result<()> {
    let registry = Registry::load(args.models_dir.as_deref())?;
    match args.command {
        Command::List { json } => list(&registry, json),
        Command::Verify { names } => verify(&registry, &names),
        Command::Pull { names } => {
            let folder = Surroundings::current()
                .user_models_folder()
                .context("no place for models: set XDG_DATA_HOME or HOME")?;
            for name in &names {
                let report = pull::pull(&registry, registry.spec(name)?, &folder)?;
                print(&format!("{report}\n"))?;
            }
            Ok(())
        }
        Command::Inspect { file, json } => inspect(&registry, &file, json),
    }
}

/// Writes to standard output; a reader that went away is no reason to panic, as `print!` would.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("writing to standard output")
}

/// State of a model's file.
enum State {
    Right(PathBuf),
    Wrong(PathBuf, String),
    Absent,
}

fn state(registry: &Registry, spec: &ModelSpec) -> Result<State> {
    let Some(path) = registry.file(spec) else {
        return Ok(State::Absent);
    };
    let actual = sha256_of(&read_file(&path)?);
    Ok(match &spec.sha256 {
        Some(expected) if *expected != actual => State::Wrong(path, actual),
        _ => State::Right(path),
    })
}

fn list(registry: &Registry, as_json: bool) -> Result<()> {
    let mut text = String::new();
    let mut entries = Vec::new();
    for spec in registry.specs() {
        let classes: Vec<&str> = spec
            .classes
            .iter()
            .map(|class| class.map_or("ignore", |class| class.name()))
            .collect();
        let file = registry.file(spec);
        if as_json {
            entries.push(json!({
                "name": spec.name,
                "version": spec.version,
                "default": spec.default,
                "head": spec.head.name(),
                "classes": classes,
                "licence": spec.licence,
                "source": spec.source,
                "sha256": spec.sha256,
                "url": spec.url,
                "path": file.as_ref().map(|path| path.display().to_string()),
                "described-in": spec.origin,
            }));
            continue;
        }
        let place = match (&file, &spec.url) {
            (Some(path), _) => path.display().to_string(),
            (None, Some(_)) => format!("not here; floutage models pull {}", spec.name),
            (None, None) => "not here".into(),
        };
        let default = if spec.default { " (default)" } else { "" };
        writeln!(text, "{}{default}", spec.name)?;
        for (key, value) in [
            ("version", spec.version.as_str()),
            ("finds", &classes.join(", ")),
            ("head", spec.head.name()),
            ("licence", &spec.licence),
            ("source", &spec.source),
            ("note", &spec.note),
            ("file", &place),
        ] {
            if !value.is_empty() {
                writeln!(text, "  {key:<8} {value}")?;
            }
        }
    }
    if as_json {
        text = format!("{:#}\n", json!(entries));
    }
    print(&text)
}

fn verify(registry: &Registry, names: &[String]) -> Result<()> {
    let specs: Vec<&ModelSpec> = if names.is_empty() {
        registry.specs().iter().collect()
    } else {
        names
            .iter()
            .map(|name| registry.spec(name))
            .collect::<floutage::Result<_>>()?
    };
    let mut bad = 0;
    for spec in specs {
        let line = match state(registry, spec)? {
            State::Right(path) => format!("{}: right, {}", spec.name, path.display()),
            State::Wrong(path, actual) => {
                bad += 1;
                format!(
                    "{}: WRONG, {} has sha256 {actual}, {} says {}",
                    spec.name,
                    path.display(),
                    spec.origin,
                    spec.sha256.as_deref().unwrap_or("nothing")
                )
            }
            State::Absent => {
                // A model that nobody asked for need not be here.
                bad += usize::from(spec.default || !names.is_empty());
                format!("{}: not here", spec.name)
            }
        };
        print(&format!("{line}\n"))?;
    }
    if bad > 0 {
        bail!("{bad} of the models cannot be used");
    }
    Ok(())
}

fn inspect(registry: &Registry, file: &str, as_json: bool) -> Result<()> {
    let named = registry.specs().iter().find(|spec| spec.name == file);
    let path = match named {
        Some(spec) => registry
            .file(spec)
            .with_context(|| format!("{file}: its file {} is not here", spec.file))?,
        None => PathBuf::from(file),
    };
    let bytes = read_file(&path)?;
    let sha256 = sha256_of(&bytes);
    let options = SessionOptions {
        threads: 1,
        ..Default::default()
    };
    let session = Session::open(&path.display().to_string(), &bytes, &options)?;
    let known = registry.with_sha256(&sha256);
    let heads = fitting(&session);
    if as_json {
        let ports = |ports: &[Port]| -> Vec<serde_json::Value> {
            let one =
                |port: &Port| json!({"name": port.name, "type": port.element, "shape": port.shape});
            ports.iter().map(one).collect()
        };
        return print(&format!(
            "{:#}\n",
            json!({
                "file": path.display().to_string(),
                "bytes": bytes.len(),
                "sha256": sha256,
                "model": known.map(|spec| &spec.name),
                "inputs": ports(session.inputs()),
                "outputs": ports(session.outputs()),
                "heads": heads,
            })
        ));
    }
    let mut text = format!(
        "{}, {} bytes\nsha256  {sha256}\n",
        path.display(),
        bytes.len()
    );
    match known {
        Some(spec) => writeln!(text, "model   {} ({})", spec.name, spec.origin)?,
        None => writeln!(text, "model   none of models.toml")?,
    }
    for (kind, ports) in [("input", session.inputs()), ("output", session.outputs())] {
        for port in ports {
            writeln!(text, "{kind:<7} {port}")?;
        }
    }
    if heads.is_empty() {
        writeln!(text, "heads   none fits these outputs")?;
    } else {
        writeln!(text, "heads   {}", heads.join(", "))?;
    }
    if known.is_none() && !heads.is_empty() {
        let beside = Path::new(&path).with_extension("toml");
        writeln!(text, "To use it, describe it in {}.", beside.display())?;
    }
    print(&text)
}

/// Names of the heads that could read the outputs of `session`.
fn fitting(session: &Session) -> Vec<&'static str> {
    let outputs: Vec<OutputShape<'_>> = session.outputs().iter().map(Port::output_shape).collect();
    Head::fitting(&outputs)
        .into_iter()
        .map(Head::name)
        .collect()
}
