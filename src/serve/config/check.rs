//! What is wrong with a configuration.

use std::collections::BTreeSet;
use std::fmt;

use toml_edit::{Document, Item, TableLike};

use super::Config;
use super::camera::{Camera, Detect, Redact};
use super::outputs::{Push, Record};
use super::secret::without_credentials;
use crate::{Error, Result};

/// Something wrong, by key, value and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: Option<usize>,
    /// What is wrong, with key and value.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl Problem {
    pub(super) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_of(text, span.start));
        // The value or unknown key itself, where it is short and in one line.
        let shown = error
            .span()
            .and_then(|span| text.get(span))
            .filter(|shown| !shown.is_empty() && shown.len() < 80 && !shown.contains('\n'))
            .map(without_credentials);
        let key = line
            .and_then(|line| text.lines().nth(line - 1))
            .and_then(|line| line.split_once('='))
            .map(|(key, _)| key.trim().to_owned());
        let message = error.message();
        let what = match (key, shown) {
            (Some(key), Some(shown)) if key != shown => format!("{key} = {shown}: {message}"),
            (Some(key), _) => format!("{key}: {message}"),
            (None, Some(shown)) => format!("{shown}: {message}"),
            (None, None) => message.to_owned(),
        };
        Self { line, what }
    }

    pub(super) fn unreadable(error: &std::io::Error) -> Self {
        Self {
            line: None,
            what: format!("cannot be read: {error}"),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
}

/// A step from a table to what is in it.
#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Gathers problems, and finds their lines.
struct Check<'a> {
    text: &'a str,
    document: Option<Document<&'a str>>,
    found: Vec<Problem>,
}

impl Check<'_> {
    /// Notes what `outcome` says is wrong in the table at `path`.
    fn note<T>(&mut self, path: &[Step<'_>], outcome: Result<T>) {
        let Err(error) = outcome else { return };
        let Error::Setting {
            name,
            value,
            allowed,
        } = &error
        else {
            let line = self.line(path, None);
            return self.found.push(Problem {
                line,
                what: error.to_string(),
            });
        };
        // What is checked as a class's value may have been said of all classes.
        let general = match name.split_once('-') {
            Some(("face" | "plate", "threshold")) => "confidence-threshold",
            Some(("face" | "plate", general)) => general,
            _ => name,
        };
        let has = |key| {
            self.table(path)
                .is_some_and(|table| table.get(key).is_some())
        };
        let key = if !has(name) && has(general) {
            general
        } else {
            name
        };
        let line = self.line(path, Some(key));
        let what = format!("{key} = {}: must be {allowed}", without_credentials(value));
        self.found.push(Problem { line, what });
    }

    /// The table at `path`, if the file has it.
    fn table(&self, path: &[Step<'_>]) -> Option<&dyn TableLike> {
        let mut table: &dyn TableLike = self.document.as_ref()?.as_table();
        let mut steps = path.iter();
        while let Some(step) = steps.next() {
            let Step::Key(name) = step else { return None };
            let item = table.get(name)?;
            table = match item.as_table_like() {
                Some(inner) => inner,
                None => match steps.next()? {
                    Step::Index(index) => table_at(item, *index)?,
                    Step::Key(_) => return None,
                },
            };
        }
        Some(table)
    }

    /// The line of `key` in the table at `path`, else of the table, else of the nearest table about it that is there.
    fn line(&self, path: &[Step<'_>], key: Option<&str>) -> Option<usize> {
        let of = |table: &dyn TableLike, name: &str| {
            let span = table.key(name).and_then(toml_edit::Key::span);
            span.or_else(|| table.get(name)?.span())
                .map(|span| line_of(self.text, span.start))
        };
        if let Some(table) = self.table(path) {
            let own = key.and_then(|key| of(table, key));
            return own.or_else(|| table.iter().filter_map(|(name, _)| of(table, name)).min());
        }
        let (last, about) = path.split_last()?;
        let Step::Key(name) = last else {
            return self.line(about.split_last()?.1, None);
        };
        let table = self.table(about)?;
        of(table, name).or_else(|| self.line(about, None))
    }
}

fn table_at(item: &Item, index: usize) -> Option<&dyn TableLike> {
    if let Some(tables) = item.as_array_of_tables() {
        return tables.get(index).map(|table| table as &dyn TableLike);
    }
    item.as_array()?
        .get(index)?
        .as_inline_table()
        .map(|table| table as &dyn TableLike)
}

/// Everything that is wrong with `config`, which was read from `text`.
pub fn problems(config: &Config, text: &str) -> Vec<Problem> {
    let mut check = Check {
        text,
        document: Document::parse(text).ok(),
        found: Vec::new(),
    };
    check.detect(&[Step::Key("detect")], &config.detect);
    check.note(&[Step::Key("redact")], config.redact.settings(&[]));
    check.note(&[Step::Key("encode")], config.encode.resolve());
    // Enabled in one place and the folder in another is fine; each camera is checked as a whole below.
    check.note(
        &[Step::Key("record")],
        Record {
            enabled: None,
            ..config.record.clone()
        }
        .resolve(""),
    );
    check.rtsp(config);
    check.web(config);
    if config.cameras.is_empty() {
        let what = "camera: there is none; add a [[camera]] section".to_owned();
        check.found.push(Problem { line: None, what });
    }
    let mut names = BTreeSet::new();
    for (index, camera) in config.cameras.iter().enumerate() {
        check.camera(index, camera, config);
        if !names.insert(&camera.name) {
            let wrong = Error::setting(
                "name",
                &camera.name,
                "different from the names of the cameras before it",
            );
            check.note::<()>(&[Step::Key("camera"), Step::Index(index)], Err(wrong));
        }
    }
    check.found.sort_by_key(|problem| problem.line);
    check.found.dedup();
    check.found
}

impl Check<'_> {
    fn detect(&mut self, path: &[Step<'_>], detect: &Detect) {
        self.note(path, detect.detector());
        self.note(path, detect.tracking());
        if let Some(most) = detect.most_every
            && !(1..=crate::gst::MOST_EVERY).contains(&most)
        {
            let allowed = format!("from 1 to {}", crate::gst::MOST_EVERY);
            self.note::<()>(path, Err(Error::setting("most-every", most, allowed)));
        }
    }

    fn rtsp(&mut self, config: &Config) {
        let path = [Step::Key("rtsp")];
        let rtsp = &config.rtsp;
        if rtsp.users.is_empty() && !rtsp.listen.ip().is_loopback() && !rtsp.allow_anonymous {
            let allowed = "an address of this machine alone (127.0.0.1) unless there are users or allow-anonymous = true";
            self.note::<()>(&path, Err(Error::setting("listen", rtsp.listen, allowed)));
        }
        if let Some(interface) = &rtsp.multicast_interface {
            // As long as the kernel lets them be.
            let is_name = (1..=15).contains(&interface.len()) && !interface.contains('/');
            if !is_name || !rtsp.multicast {
                let allowed = "the name of a network interface, beside multicast = true";
                self.note::<()>(
                    &path,
                    Err(Error::setting("multicast-interface", interface, allowed)),
                );
            }
        }
        for (index, user) in rtsp.users.iter().enumerate() {
            let path = [path[0], Step::Key("users"), Step::Index(index)];
            self.note(&path, user.login().validate());
            for name in user.cameras.iter().filter(|name| *name != "*") {
                if !config.cameras.iter().any(|camera| camera.name == *name) {
                    self.note::<()>(
                        &path,
                        Err(Error::setting(
                            "cameras",
                            name,
                            "names of cameras, or \"*\"",
                        )),
                    );
                }
            }
        }
    }

    fn web(&mut self, config: &Config) {
        let Some(web) = &config.web else { return };
        for (user, error) in web.problems() {
            let path = [
                Step::Key("web"),
                Step::Key("users"),
                Step::Index(user.unwrap_or(0)),
            ];
            let path = if user.is_some() {
                &path[..]
            } else {
                &path[..1]
            };
            self.note::<()>(path, Err(error));
        }
    }

    fn camera(&mut self, index: usize, camera: &Camera, config: &Config) {
        let here = [Step::Key("camera"), Step::Index(index)];
        let section = |name| [here[0], here[1], Step::Key(name)];
        self.note(&here, name(&camera.name));
        self.note(&here, source(&camera.source));
        self.note(&here, camera.login().validate());
        if !(0.5..=60.0).contains(&camera.min_fps) {
            self.note::<()>(
                &here,
                Err(Error::setting("min-fps", camera.min_fps, "from 0.5 to 60")),
            );
        }
        if camera.stall_timeout.0.as_millis() < 2000 {
            self.note::<()>(
                &here,
                Err(Error::setting(
                    "stall-timeout",
                    camera.stall_timeout,
                    "2s or more",
                )),
            );
        }
        if camera.jitter.0.as_millis() > 5000 {
            self.note::<()>(
                &here,
                Err(Error::setting("jitter", camera.jitter, "5s or less")),
            );
        }
        for zone in &camera.zones {
            // Apart, so that they are not reported as something in [redact].
            if Redact::default()
                .settings(std::slice::from_ref(zone))
                .is_err()
            {
                let allowed = "3 or more corners [x, y], each from 0 to 1";
                self.note::<()>(
                    &here,
                    Err(Error::setting("zones", format!("{zone:?}"), allowed)),
                );
            }
        }
        self.detect(&section("detect"), &camera.detect);
        self.note(&section("redact"), camera.redact.settings(&[]));
        // As the camera is redacted in the end; said where the levels are.
        let outcome = irreversible(&camera.redact.over(&config.redact));
        if camera.redact.levels.is_some() {
            self.note(&section("redact"), outcome);
        } else {
            self.note(&[Step::Key("redact")], outcome);
        }
        self.note(&section("encode"), camera.encode.resolve());
        self.note(
            &section("record"),
            camera.record.over(&config.record).resolve(&camera.name),
        );
        if let Some(sub) = &camera.sub {
            let path = section("sub");
            if !(64..=3840).contains(&sub.width) || sub.width % 2 != 0 {
                self.note::<()>(
                    &path,
                    Err(Error::setting(
                        "width",
                        sub.width,
                        "an even number from 64 to 3840",
                    )),
                );
            }
            if !(16..=100_000).contains(&sub.bitrate) {
                self.note::<()>(
                    &path,
                    Err(Error::setting(
                        "bitrate",
                        sub.bitrate,
                        "from 16 to 100000 kilobits per second",
                    )),
                );
            }
        }
        for (number, push) in camera.push.iter().enumerate() {
            let path = [here[0], here[1], Step::Key("push"), Step::Index(number)];
            self.note(&path, target(push));
        }
    }
}

/// Refuses settings weaker than those that were measured at chance, unless they are accepted.
fn irreversible(redact: &Redact) -> Result<()> {
    // What cannot be understood is told elsewhere.
    let settings = redact.settings(&[]);
    settings.map_or(Ok(()), |settings| settings.check_strength())
}

fn name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::setting(
        "name",
        name,
        "1 to 64 of a to z, 0 to 9, - and _",
    ))
}

fn source(source: &str) -> Result<()> {
    const SCHEMES: [&str; 6] = [
        "rtsp://", "rtsps://", "http://", "https://", "v4l2://", "file://",
    ];
    let wrong = |allowed: &str| {
        Err(Error::setting(
            "source",
            without_credentials(source),
            allowed,
        ))
    };
    let Some(scheme) = SCHEMES
        .into_iter()
        .find(|scheme| source.starts_with(scheme))
    else {
        return wrong(
            "an address that begins with rtsp://, rtsps://, http://, https://, v4l2:// or file://",
        );
    };
    let rest = &source[scheme.len()..];
    if rest.is_empty() {
        return wrong("an address with a host or path");
    }
    if matches!(scheme, "v4l2://" | "file://") {
        return if rest.starts_with('/') {
            Ok(())
        } else {
            wrong("followed by an absolute path: three slashes")
        };
    }
    no_credentials("source", source)
}

fn no_credentials(key: &'static str, url: &str) -> Result<()> {
    if without_credentials(url) == url {
        return Ok(());
    }
    let allowed = "an address without user and password: give them as user and password-file";
    Err(Error::setting(key, without_credentials(url), allowed))
}

fn target(push: &Push) -> Result<()> {
    let known = ["rtsp://", "rtsps://", "srt://"]
        .iter()
        .any(|scheme| push.url.starts_with(scheme));
    if !known {
        let allowed = "an address that begins with rtsp://, rtsps:// or srt://";
        return Err(Error::setting(
            "url",
            without_credentials(&push.url),
            allowed,
        ));
    }
    if push.url.contains("passphrase=") {
        return Err(Error::setting(
            "url",
            "(not shown)",
            "without a passphrase: give it as password-file",
        ));
    }
    no_credentials("url", &push.url)?;
    let srt = push.url.starts_with("srt://");
    if !srt || push.user.is_some() {
        push.login().validate()?;
    }
    Ok(())
}
