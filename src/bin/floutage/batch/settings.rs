//! The settings of `redact` as a batch takes them: on the command line, in a job file, or in a row of a manifest.
//!
//! There is one list of them, that of `redact` itself, and a file is redacted by handing them to `redact`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, FromArgMatches, Parser};
use floutage::batch::identity::hash_text;
use floutage::detect::registry::Registry;
use floutage::digest::sha256_of;
use floutage::media::encode::Container;
use floutage::media::picture::PictureFormat;

use crate::cli::{self, Cli};
use crate::redact::credentials::{self, Credentials};
use crate::redact::plan::Kind;
use crate::redact::split::Splitting;
use crate::redact::{self, record::Record};

/// Options of `redact` that are no setting: the batch has its own, or gives them itself.
const NOT_SETTINGS: &[&str] = &[
    "inputs",
    "output",
    "overwrite",
    "worker",
    "quiet",
    "json",
    "tally",
    "sample",
    "step",
];
/// Settings that do not bear on the result, or of which the models' hash tells more.
const WITHOUT_EFFECT: &[&str] = &["models_dir", "inference_threads", "model", "audit_log"];

/// Every setting of `redact` as an argument of its command line.
fn options() -> Vec<Arg> {
    <redact::Args as clap::Args>::augment_args(Command::new("redact"))
        .get_arguments()
        .filter(|option| !NOT_SETTINGS.contains(&option.get_id().as_str()))
        .map(|option| option.clone().required(false))
        .collect()
}

/// Settings as they were given: the option's long name, and its values; none for a switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given(BTreeMap<String, Vec<String>>);

impl clap::Args for Given {
    fn augment_args(command: Command) -> Command {
        command.args(options())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let mut given = BTreeMap::new();
        for option in options() {
            let id = option.get_id().as_str();
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let name = option.get_long().unwrap_or(id).to_owned();
            let values = if option.get_action().takes_values() {
                raw(matches, id)
            } else {
                Vec::new()
            };
            given.insert(name, values);
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn raw(matches: &ArgMatches, id: &str) -> Vec<String> {
    matches
        .get_raw(id)
        .into_iter()
        .flatten()
        .map(|value| value.to_string_lossy().into_owned())
        .collect()
}

impl Given {
    /// The settings of a table in a job file.
    pub fn from_toml(table: &toml::Table) -> Result<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in table {
            let values = match value {
                toml::Value::Boolean(true) => Vec::new(),
                toml::Value::Boolean(false) => continue,
                toml::Value::Array(several) => several.iter().map(plain).collect(),
                one => vec![plain(one)],
            };
            given.insert(name.clone(), values);
        }
        Ok(Self(given))
    }

    /// A setting as text, as in a manifest; `true` turns a switch on.
    pub fn set(&mut self, name: &str, value: &str) {
        let is_switch = options()
            .iter()
            .any(|option| option.get_long() == Some(name) && !option.get_action().takes_values());
        match value {
            "true" if is_switch => drop(self.0.insert(name.to_owned(), Vec::new())),
            "false" if is_switch => drop(self.0.remove(name)),
            _ => drop(self.0.insert(name.to_owned(), vec![value.to_owned()])),
        }
    }

    /// These settings, with those of `stronger` in place of the same ones here.
    pub fn with(&self, stronger: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(stronger.0.clone());
        Self(all)
    }

    fn arguments(&self) -> Vec<String> {
        self.0
            .iter()
            .flat_map(|(name, values)| {
                let switch = values.is_empty().then(|| format!("--{name}"));
                let values = values.iter().map(move |value| format!("--{name}={value}"));
                switch.into_iter().chain(values)
            })
            .collect()
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Settings that have been checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For the command line of `redact`.
    pub arguments: Vec<String>,
    /// All that bear on the result, defaults included, by name.
    pub values: BTreeMap<String, String>,
    /// The codec asked for.
    pub codec: Option<floutage::media::encode::Codec>,
    /// Hash of the models and their descriptions.
    pub model_hash: String,
    /// Names and SHA-256 of the models.
    pub models: String,
    /// Outputs get content credentials.
    signed: bool,
}

impl Settings {
    /// Checks `given`; `origin` says where it is from.
    pub fn check(given: &Given, origin: &str) -> Result<Self> {
        let arguments = given.arguments();
        let known = options();
        for name in given.0.keys() {
            if !known.iter().any(|option| option.get_long() == Some(name)) {
                bail!("{origin}: there is no setting `{name}`; see `floutage redact --help`");
            }
        }
        let full = ["floutage", "redact", "input", "--output=output"];
        let full = full.map(str::to_owned).into_iter().chain(arguments.clone());
        let wrong = |error: clap::Error| {
            // The first line says what is wrong, the others how the command line looks.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            anyhow!("{origin}: {}", line.trim_start_matches("error: "))
        };
        let redact = match Cli::try_parse_from(full).map_err(wrong)?.command {
            cli::Command::Redact(args) => args,
            _ => bail!("{origin}: these are no settings"),
        };
        redact.check().with_context(|| origin.to_owned())?;
        let signed = redact.credentials().with_context(|| origin.to_owned())?;
        let matches = Command::new("settings")
            .no_binary_name(true)
            .args(known.clone())
            .try_get_matches_from(&arguments)
            .map_err(wrong)?;
        let values = known
            .iter()
            .map(|option| option.get_id().as_str())
            .filter(|id| !WITHOUT_EFFECT.contains(id))
            .filter_map(|id| {
                let values = raw_or_switch(&known, &matches, id);
                (!values.is_empty()).then(|| (id.replace('_', "-"), values.join(" ")))
            })
            .collect();
        let (models, model_hash) = models(&redact).with_context(|| origin.to_owned())?;
        Ok(Self {
            arguments,
            values,
            codec: redact.codec()?,
            model_hash,
            models,
            signed: signed.is_some(),
        })
    }

    /// Refuses an `output` that these settings cannot make of a file of `kind`.
    pub fn check_output(&self, output: &Path, kind: Kind) -> Result<()> {
        match kind {
            Kind::Video => {
                let container = Container::of(output)?;
                if let Some(codec) = self.codec {
                    container
                        .check(codec)
                        .with_context(|| output.display().to_string())?;
                }
            }
            Kind::Picture if PictureFormat::of_name(output).is_none() => bail!(
                "{}: the output of a picture is a file whose name ends in .jpg, .png or .webp",
                output.display()
            ),
            Kind::Picture => {}
        }
        if self.signed {
            credentials::format(output)?;
        }
        Ok(())
    }
}

/// The record that the settings of a file name, as `arguments` of `redact` or in the environment.
///
/// Errors: it cannot be written to.
pub fn record(arguments: &[String]) -> Result<Option<Record>> {
    parsed(arguments)?.record()
}

/// What the settings of a file name to sign with, likewise.
///
/// Errors: it cannot be used.
pub fn credentials(arguments: &[String]) -> Result<Option<Credentials>> {
    parsed(arguments)?.credentials()
}

/// How the settings of a file split it, likewise; None where they do not.
///
/// Errors: they are no settings.
pub fn splitting(arguments: &[String]) -> Result<Option<Splitting>> {
    let how = parsed(arguments)?.splitting()?;
    // The account counts.
    Ok(how.map(|how| Splitting { tally: true, ..how }))
}

fn parsed(arguments: &[String]) -> Result<Box<redact::Args>> {
    let words = ["floutage", "redact", "input", "--output=output"].map(str::to_owned);
    let words = words.into_iter().chain(arguments.iter().cloned());
    match Cli::try_parse_from(words)?.command {
        cli::Command::Redact(args) => Ok(args),
        _ => bail!("these are no settings"),
    }
}

fn raw_or_switch(known: &[Arg], matches: &ArgMatches, id: &str) -> Vec<String> {
    let is_switch = known
        .iter()
        .any(|option| option.get_id() == id && !option.get_action().takes_values());
    if is_switch {
        let on = matches.get_flag(id);
        return on.then(|| "true".to_owned()).into_iter().collect();
    }
    raw(matches, id)
}

/// Names and SHA-256 of the models that `args` ask for, and a hash of all that is known of them.
fn models(args: &redact::Args) -> Result<(String, String)> {
    let settings = args.detector().settings()?;
    let registry = Registry::load(settings.models_dir.as_deref())?;
    let names = if settings.models.is_empty() {
        registry.defaults()
    } else {
        settings.models
    };
    let mut shown = Vec::new();
    let mut hashed = String::new();
    for name in names {
        let model = registry.open(&name)?;
        let digest = sha256_of(&model.bytes);
        let spec = model.spec;
        shown.push(format!("{} {digest}", spec.name));
        // What it is called and where it lies does not matter; how it is used does.
        let used = (
            &spec.head,
            &spec.classes,
            &spec.normalisation,
            spec.multiple,
            spec.size,
            &spec.thresholds,
        );
        hashed.push_str(&format!("{digest} {used:?}\n"));
    }
    Ok((shown.join(", "), hash_text(&hashed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toml(text: &str) -> Given {
        Given::from_toml(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_table_is_a_command_line() {
        let given = toml(
            "style = \"fill\"\nmargin = 0.5\nstrict = true\ndraw = false\nzone = [\"0,0 1,0 1,1\"]",
        );
        assert_eq!(
            given.arguments(),
            [
                "--margin=0.5",
                "--strict",
                "--style=fill",
                "--zone=0,0 1,0 1,1"
            ]
        );
        let stronger = toml("style = \"blur\"");
        assert!(
            given
                .with(&stronger)
                .arguments()
                .contains(&"--style=blur".into())
        );
    }

    #[test]
    fn wrong_settings_name_where_they_are_from() {
        for (text, word) in [
            ("stile = 1", "stile"),
            ("margin = 7", "margin"),
            ("style = \"smear\"", "smear"),
            ("worker = [\"a\", \"b\"]", "worker"),
        ] {
            let error = format!(
                "{:#}",
                Settings::check(&toml(text), "job.toml").unwrap_err()
            );
            assert!(
                error.contains("job.toml") && error.contains(word),
                "{error}"
            );
        }
    }

    #[test]
    fn manifests_turn_switches_on_and_off() {
        let mut given = toml("strict = true");
        given.set("strict", "false");
        given.set("draw", "true");
        given.set("style", "fill");
        assert_eq!(given.arguments(), ["--draw", "--style=fill"]);
    }
}
