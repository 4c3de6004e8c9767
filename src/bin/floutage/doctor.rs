//! `floutage doctor`: what this machine has, what it lacks, and how to mend each lack.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use floutage::detect::registry::Registry;
use floutage::detect::session::{self, Provider, Session, SessionOptions};
use floutage::media::requirements::{self, OLDEST_GSTREAMER, Role};
use serde::Serialize;

use crate::say;

/// Check GStreamer, encoders, ONNX Runtime, models and processors, and say how to mend what is missing.
///
/// The exit code is not 0 when something is missing without which nothing can be redacted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Look for models in this folder first.
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
}

/// Runs the checks and prints them; a failure when something required is missing.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut checks = Vec::new();
    check_gstreamer(&mut checks);
    check_runtime(&mut checks);
    check_models(&mut checks, args.models_dir.as_deref());
    check_machine(&mut checks);
    let report = Report::new(checks);
    let text = if args.json {
        say::json(&report)?
    } else {
        report.table()
    };
    let said = say::out(text.trim_end());
    Ok(if report.ok && said {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What came of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// It is there and works.
    Ok,
    /// It is not there, or does not work.
    Lacks,
    /// For information.
    Note,
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    group: &'static str,
    name: String,
    status: Status,
    /// True: without it nothing can be redacted.
    required: bool,
    /// What was found, or what is wrong.
    detail: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
    /// The Debian package that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'static str>,
}

impl Check {
    fn new(group: &'static str, name: impl Into<String>, status: Status) -> Self {
        Self {
            group,
            name: name.into(),
            status,
            required: false,
            detail: String::new(),
            mend: None,
            package: None,
        }
    }

    fn ok(group: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::new(group, name, Status::Ok)
        }
    }

    fn lack(
        group: &'static str,
        name: impl Into<String>,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            detail: detail.into(),
            mend: Some(mend.into()),
            ..Self::new(group, name, Status::Lacks)
        }
    }

    fn note(group: &'static str, name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::new(group, name, Status::Note)
        }
    }

    fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
}

const GSTREAMER: &str = "GStreamer";
const RUNTIME: &str = "ONNX Runtime";
const MODELS: &str = "Models";
const MACHINE: &str = "Machine";

fn check_gstreamer(checks: &mut Vec<Check>) {
    if let Err(error) = gst::init() {
        let mend = "reinstall libgstreamer1.0-0";
        checks.push(Check::lack(GSTREAMER, "library", error.to_string(), mend).required());
        return;
    }
    let (major, minor, micro, _) = gst::version();
    let version = format!("{major}.{minor}.{micro}");
    let (oldest_major, oldest_minor) = OLDEST_GSTREAMER;
    checks.push(
        if (major, minor) >= OLDEST_GSTREAMER {
            Check::ok(GSTREAMER, "version", version)
        } else {
            let mend = format!("upgrade to GStreamer {oldest_major}.{oldest_minor} or newer");
            Check::lack(GSTREAMER, "version", format!("{version} is too old"), mend)
        }
        .required(),
    );
    for requirement in requirements::ALL {
        let name = match requirement.role {
            Role::Every | Role::Audio => requirement.of.to_string(),
            Role::Gateway => format!("gateway: {}", requirement.of),
            role => format!("{} {}", requirement.of, role.name()),
        };
        let check = match requirement.available() {
            Some(choice) => Check::ok(GSTREAMER, name, choice.element),
            None => Check {
                package: requirement.packages().next(),
                ..Check::lack(
                    GSTREAMER,
                    name,
                    format!("no {}", requirement.names()),
                    requirement.mend(),
                )
            },
        };
        checks.push(Check {
            required: requirement.required,
            ..check
        });
    }
}

fn check_runtime(checks: &mut Vec<Check>) {
    let found = session::runtime_path()
        .and_then(|path| session::runtime_version().map(|version| (path, version)));
    match found {
        Ok((path, version)) => {
            let detail = format!("{version}, {}", path.display());
            checks.push(Check::ok(RUNTIME, "library", detail).required());
        }
        Err(error) => {
            let mend = "run `make setup`, or name a libonnxruntime.so in ORT_DYLIB_PATH";
            checks.push(Check::lack(RUNTIME, "library", error.to_string(), mend).required());
            return;
        }
    }
    for provider in Provider::ALL {
        if provider != Provider::Cpu {
            checks.push(check_provider(provider));
        }
    }
}

/// A provider other than the processor: built in, known to the library, and working. Not having one is no lack.
fn check_provider(provider: Provider) -> Check {
    let name = format!("provider {provider}");
    if !provider.built_in() {
        let detail = format!("not built in (cargo feature {provider})");
        return Check::note(RUNTIME, name, detail);
    }
    match provider.in_runtime() {
        Ok(true) => {}
        Ok(false) => {
            let mend = "name an ONNX Runtime built with it in ORT_DYLIB_PATH";
            let detail = "built in, but this ONNX Runtime does not have it";
            return Check::lack(RUNTIME, name, detail, mend);
        }
        Err(error) => {
            return Check::lack(RUNTIME, name, error.to_string(), "mend ONNX Runtime first");
        }
    }
    let works = Registry::load(None).and_then(|registry| open_default(&registry, provider));
    match works {
        Ok(model) => Check::ok(RUNTIME, name, format!("runs {model}")),
        Err(error) => {
            let mend = "install its driver and libraries, or use the provider cpu";
            Check::lack(RUNTIME, name, error.to_string(), mend)
        }
    }
}

/// Opens the first default model on `provider`; its name.
fn open_default(registry: &Registry, provider: Provider) -> floutage::Result<String> {
    let name = registry.defaults().into_iter().next().unwrap_or_default();
    let model = registry.open(&name)?;
    let options = SessionOptions {
        provider,
        ..SessionOptions::default()
    };
    Session::open(&name, &model.bytes, &options)?;
    Ok(name)
}

fn check_models(checks: &mut Vec<Check>, models_dir: Option<&Path>) {
    let registry = match Registry::load(models_dir) {
        Ok(registry) => registry,
        Err(error) => {
            let mend = "correct the file or setting named";
            checks.push(Check::lack(MODELS, "list", error.to_string(), mend).required());
            return;
        }
    };
    let runtime = session::runtime_version().is_ok();
    for spec in registry.specs() {
        let is_default = if spec.default { " (default)" } else { "" };
        let name = format!("{}{is_default}", spec.name);
        let absent = registry.file(spec).is_none();
        if absent && !spec.default {
            let detail = match spec.url {
                Some(_) => format!("not fetched: `floutage models pull {}`", spec.name),
                None => format!("{} is in no models folder", spec.file),
            };
            checks.push(Check::note(MODELS, name, detail));
            continue;
        }
        let check = match registry.open(&spec.name) {
            Ok(model) if runtime => {
                let options = SessionOptions::default();
                match Session::open(&spec.name, &model.bytes, &options) {
                    Ok(_) => Check::ok(MODELS, name, found(&model.path, "it loads")),
                    Err(error) => {
                        let mend = "use a newer ONNX Runtime (`make setup`)";
                        Check::lack(MODELS, name, error.to_string(), mend)
                    }
                }
            }
            Ok(model) => Check::ok(MODELS, name, found(&model.path, "not loaded")),
            Err(error) => {
                let mend = match spec.url {
                    Some(_) => format!("run `floutage models pull {}`", spec.name),
                    None if !absent => {
                        "put the file there that models.toml describes, or correct its sha256"
                            .into()
                    }
                    None => "name its folder with --models-dir or FLOUTAGE_MODELS_DIR".into(),
                };
                Check::lack(MODELS, name, error.to_string(), mend)
            }
        };
        checks.push(Check {
            required: spec.default,
            ..check
        });
    }
    if registry.defaults().is_empty() {
        let mend = "mark one with `default = true` in models.toml";
        let check = Check::lack(MODELS, "default", "no model is the default", mend);
        checks.push(check);
    }
}

fn found(path: &Path, loads: &str) -> String {
    format!("{}, sha256 right, {loads}", path.display())
}

fn check_machine(checks: &mut Vec<Check>) {
    let version = floutage::sandbox::landlock_version();
    checks.push(if version == 0 {
        let mend = "use a kernel of Linux 5.13 or newer with Landlock among its security modules (boot option lsm=landlock,...)";
        Check::lack(MACHINE, "confinement", "this kernel has no Landlock", mend)
    } else {
        let detail = if version < 6 { "files only; Linux 6.12 confines connections and signals, too" } else { "full" };
        Check::ok(MACHINE, "confinement", format!("Landlock {version}: {detail}"))
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = session::automatic_threads();
    let detail = format!("{cores} usable, {threads} of them for detection");
    checks.push(Check::note(MACHINE, "cores", detail));
    if let Ok(text) = std::fs::read_to_string("/proc/meminfo")
        && let (Some(total), Some(available)) = (
            mebibytes(&text, "MemTotal:"),
            mebibytes(&text, "MemAvailable:"),
        )
    {
        let detail = format!("{total} MiB, {available} MiB of them available");
        checks.push(Check::note(MACHINE, "memory", detail));
    }
}

/// The value of `key` in the text of /proc/meminfo, which counts KiB.
fn mebibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}

/// All checks, as printed with `--json`.
#[derive(Debug, Serialize)]
struct Report {
    /// True when nothing required is missing.
    ok: bool,
    version: &'static str,
    checks: Vec<Check>,
}

impl Report {
    fn new(checks: Vec<Check>) -> Self {
        Self {
            ok: !checks
                .iter()
                .any(|check| check.required && check.status == Status::Lacks),
            version: env!("CARGO_PKG_VERSION"),
            checks,
        }
    }

    /// The checks for people: a block per group, a line per check, then how to mend what is missing.
    fn table(&self) -> String {
        let width = self.checks.iter().map(|check| check.name.chars().count());
        let width = width.max().unwrap_or(0);
        let mut text = format!("floutage {}\n", self.version);
        let mut group = "";
        for check in &self.checks {
            if check.group != group {
                group = check.group;
                text += &format!("\n{group}\n");
            }
            let status = match (check.status, check.required) {
                (Status::Ok, _) => "ok",
                (Status::Lacks, true) => "LACKS",
                (Status::Lacks, false) => "lacks",
                (Status::Note, _) => "",
            };
            let line = format!("  {status:<6} {:<width$}  {}", check.name, check.detail);
            text += line.trim_end();
            text.push('\n');
            if let Some(mend) = &check.mend {
                text += &format!("         {:<width$}  -> {mend}\n", "");
            }
        }
        let mut packages: Vec<&str> = self.checks.iter().filter_map(|c| c.package).collect();
        packages.sort_unstable();
        packages.dedup();
        if !packages.is_empty() {
            text += &format!("\nOn Debian: apt-get install {}\n", packages.join(" "));
        }
        let optional = |check: &&Check| !check.required && check.status == Status::Lacks;
        text += match (self.ok, self.checks.iter().any(|c| optional(&c))) {
            (true, false) => "\nEverything is there.\n",
            (true, true) => "\nEverything required is there; some files or settings need more.\n",
            (false, _) => "\nNothing can be redacted before what LACKS is mended.\n",
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_lacks_and_how_to_mend_it() {
        let optional = Check {
            package: Some("some-package"),
            ..Check::lack(
                GSTREAMER,
                "AV1 encoder",
                "not found",
                "install some-package",
            )
        };
        let report = Report::new(vec![
            Check::ok(GSTREAMER, "version", "1.22.0").required(),
            optional,
            Check::note(MACHINE, "cores", "2 usable"),
        ]);
        assert!(report.ok);
        assert_eq!(
            report.table(),
            format!(
                "floutage {}\n\n\
                 GStreamer\n  \
                 ok     version      1.22.0\n  \
                 lacks  AV1 encoder  not found\n                      \
                 -> install some-package\n\n\
                 Machine\n         \
                 cores        2 usable\n\n\
                 On Debian: apt-get install some-package\n\n\
                 Everything required is there; some files or settings need more.\n",
                env!("CARGO_PKG_VERSION")
            )
        );
    }

    #[test]
    fn a_required_lack_is_shown_and_fails() {
        let lack = Check::lack(RUNTIME, "library", "not found", "run `make setup`").required();
        let report = Report::new(vec![lack]);
        assert!(!report.ok);
        let table = report.table();
        assert!(table.contains("LACKS  library  not found\n"), "{table}");
        assert!(table.contains("-> run `make setup`\n"), "{table}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["checks"][0]["status"], "lacks");
        assert_eq!(json["checks"][0]["mend"], "run `make setup`");
    }

    #[test]
    fn memory_is_read_in_mebibytes() {
        let text = "MemTotal:       16384 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(mebibytes(text, "MemTotal:"), Some(16));
        assert_eq!(mebibytes(text, "MemAvailable:"), Some(2));
        assert_eq!(mebibytes("MemTotal: much", "MemTotal:"), None);
    }
}
