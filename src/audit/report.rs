//! The page for a data protection officer, out of a log: French or English, one HTML file that loads nothing.

mod counts;

use std::fmt::Write;

use serde_json::Value;

use self::counts::counts;

use super::check::Checked;
use super::entry::{Event, Redacted};
use super::figures::figures;

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// French.
    French,
}

impl Language {
    fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }

    /// One of the two texts.
    pub(super) fn say(self, english: &'static str, french: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }

    /// A number to one decimal.
    fn tenths(self, number: f64) -> String {
        let text = format!("{number:.1}");
        match self {
            Self::English => text,
            Self::French => text.replace('.', ","),
        }
    }

    /// A number with its thousands apart.
    pub(super) fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(if self == Self::English {
                    ','
                } else {
                    '\u{202f}'
                });
            }
            text.push(digit);
        }
        text
    }
}

/// `text` inside HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #bbb}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}\
td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85rem;overflow-wrap:anywhere}\
.good{background:#e6f4ea;padding:.6rem 1rem}.bad{background:#fce8e6;padding:.6rem 1rem}\
@media print{body{margin:0;max-width:none}}";

/// The page on `checked` in `language`. `evaluation` is what `floutage evaluate --json` printed for the model in use,
/// `attack` what `floutage attack --json` printed.
pub fn page(
    checked: &Checked,
    language: Language,
    evaluation: Option<&Value>,
    attack: Option<&Value>,
) -> String {
    let say = |english, french| language.say(english, french);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>\n",
        language.code(),
        title = say("Redaction record", "Registre du floutage"),
    );
    chain(&mut html, checked, language);
    let outputs: Vec<&Redacted> = checked
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::Redacted(redacted) => Some(&**redacted),
            _ => None,
        })
        .collect();
    counts(&mut html, checked, &outputs, language);
    installed(&mut html, checked, &outputs, language);
    settings(&mut html, &outputs, language);
    faults(&mut html, checked, language);
    figures(&mut html, evaluation, attack, language);
    let _ = writeln!(
        html,
        "<h2>{}</h2><p>{}</p></body></html>",
        say(
            "What this page cannot say",
            "Ce que cette page ne peut pas dire"
        ),
        say(
            "No detector finds every face and plate. The numbers count what was found and redacted; what was missed is \
             not counted anywhere. People can also be recognised by clothes, gait, voice, place or time. The record \
             holds no names of files, no pictures, and no positions or times of people.",
            "Aucun détecteur ne trouve tous les visages et toutes les plaques. Les nombres comptent ce qui a été trouvé \
             et flouté ; ce qui a échappé n’est compté nulle part. Une personne peut aussi être reconnue à ses vêtements, \
             sa démarche, sa voix, au lieu ou à l’heure. Le registre ne contient ni nom de fichier, ni image, ni position \
             ou heure de passage d’une personne.",
        ),
    );
    html
}

fn chain(html: &mut String, checked: &Checked, language: Language) {
    let say = |english, french| language.say(english, french);
    let intact = checked.problems.is_empty();
    let verdict = match (intact, checked.end_known) {
        (true, true) => say(
            "The record is intact: no entry was changed, removed, added or moved, and none is missing at the end.",
            "Le registre est intact : aucune entrée n’a été modifiée, retirée, ajoutée ou déplacée, et il n’en manque aucune à la fin.",
        ),
        (true, false) => say(
            "No entry was changed, removed, added or moved. Whether entries are missing at the end could not be checked here.",
            "Aucune entrée n’a été modifiée, retirée, ajoutée ou déplacée. L’absence d’entrées à la fin n’a pas pu être vérifiée ici.",
        ),
        (false, _) => say(
            "The record is NOT intact. What follows cannot be relied on.",
            "Le registre N’EST PAS intact. Ce qui suit n’est pas fiable.",
        ),
    };
    let _ = write!(
        html,
        "<p class=\"{}\">{verdict}</p>\n<ul>",
        if intact { "good" } else { "bad" }
    );
    for problem in &checked.problems {
        let _ = write!(html, "<li lang=\"en\">{}</li>", escape(problem));
    }
    let (seq, hash) = checked.head.clone().unwrap_or_default();
    let _ = write!(
        html,
        "</ul>\n<table><tr><th>{}</th><td>{} – {}</td></tr><tr><th>{}</th><td>{}</td></tr>\
         <tr><th>{}</th><td><code>{}</code></td></tr><tr><th>{}</th><td><code>{seq}:{}</code></td></tr></table>\n",
        say("Period (UTC)", "Période (UTC)"),
        escape(&checked.from),
        escape(&checked.to),
        say("Entries", "Entrées"),
        language.number(checked.entries),
        say("Public keys", "Clés publiques"),
        checked
            .keys
            .iter()
            .map(|key| escape(key))
            .collect::<Vec<_>>()
            .join("<br>"),
        say(
            "Last entry, to be noted elsewhere",
            "Dernière entrée, à noter ailleurs"
        ),
        escape(&hash),
    );
}

fn installed(html: &mut String, checked: &Checked, outputs: &[&Redacted], language: Language) {
    let say = |english, french| language.say(english, french);
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, value: String| {
        if !rows.contains(&(name.clone(), value.clone())) {
            rows.push((name, value));
        }
    };
    let started = checked.events.iter().filter_map(|(_, event)| match event {
        Event::Started {
            versions, models, ..
        } => Some((versions, models)),
        _ => None,
    });
    for (versions, models) in outputs
        .iter()
        .map(|output| (&output.versions, &output.models))
        .chain(started)
    {
        add("floutage".into(), versions.floutage.clone());
        add("GStreamer".into(), versions.gstreamer.clone());
        add("ONNX Runtime".into(), versions.onnxruntime.clone());
        for model in models {
            let name = format!("{} {}", say("Model", "Modèle"), model.name);
            add(name, format!("SHA-256 {}", model.sha256));
        }
    }
    let retentions = checked.events.iter().filter_map(|(_, event)| match event {
        Event::Started { settings, .. } => settings["retention"].as_array(),
        _ => None,
    });
    for kept in retentions.flatten().filter_map(Value::as_str) {
        let name = say(
            "Recordings are kept for",
            "Conservation des enregistrements",
        );
        let kept = match kept {
            "" => say("as long as there is room", "tant qu’il y a de la place"),
            limited => limited,
        };
        add(name.to_owned(), kept.to_owned());
    }
    let _ = write!(
        html,
        "<h2>{}</h2><table>",
        say("What was installed", "Ce qui était installé")
    );
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(
            html,
            "<tr><th>{}</th><td><code>{}</code></td></tr>",
            escape(&name),
            escape(&value)
        );
    }
    html.push_str("</table>\n");
}

/// Every set of settings that was in use, and for how many outputs.
fn settings(html: &mut String, outputs: &[&Redacted], language: Language) {
    let mut sets: Vec<(&Value, u64)> = Vec::new();
    for output in outputs {
        match sets
            .iter_mut()
            .find(|(known, _)| **known == output.settings)
        {
            Some((_, count)) => *count += 1,
            None => sets.push((&output.settings, 1)),
        }
    }
    let _ = write!(html, "<h2>{}</h2>", language.say("Settings", "Réglages"));
    for (set, count) in sets {
        let outputs = language.say("outputs", "sorties");
        let _ = write!(html, "<h3>{} {outputs}</h3><table>", language.number(count));
        for (name, value) in set.as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(
                html,
                "<tr><th>{}</th><td>{}</td></tr>",
                escape(name),
                escape(&value)
            );
        }
        html.push_str("</table>\n");
    }
}

fn faults(html: &mut String, checked: &Checked, language: Language) {
    let say = |english, french| language.say(english, french);
    let _ = write!(
        html,
        "<h2>{}</h2><table><tr><th>{}</th><th>{}</th></tr>",
        say(
            "Operation, gaps and purges",
            "Fonctionnement, interruptions et purges"
        ),
        say("Time (UTC)", "Heure (UTC)"),
        say("Event", "Événement"),
    );
    for (time, event) in &checked.events {
        let text = match event {
            Event::Opened { version, .. } => {
                format!(
                    "{} (floutage {})",
                    say("The record begins", "Début du registre"),
                    version
                )
            }
            Event::Rotated { .. } => say(
                "The signing key was changed",
                "La clé de signature a été changée",
            )
            .to_owned(),
            Event::Started { .. } => say("The service started", "Démarrage du service").to_owned(),
            Event::Stopped { reason } => {
                format!(
                    "{} ({reason})",
                    say("The service stopped", "Arrêt du service")
                )
            }
            Event::Gap {
                source,
                seconds,
                reason,
            } => {
                format!(
                    "{source}: {} {seconds:.0} s ({reason})",
                    say("nothing recorded for", "rien d’enregistré pendant")
                )
            }
            Event::Purged {
                files,
                bytes,
                days,
                source,
                ..
            } => format!(
                "{}{}: {} {}, {} {}, {days} {}",
                source
                    .as_ref()
                    .map(|source| format!("{source}: "))
                    .unwrap_or_default(),
                say("Purge", "Purge"),
                language.number(*files),
                say("files", "fichiers"),
                language.number(*bytes / 1_000_000),
                say("MB", "Mo"),
                say("days old", "jours d’ancienneté"),
            ),
            Event::Failed { reason, .. } => {
                format!(
                    "{} ({reason})",
                    say(
                        "An input could not be redacted",
                        "Une source n’a pas pu être floutée"
                    )
                )
            }
            Event::Redacted(output) if output.frames_failed_closed + output.frames_lost > 0 => {
                format!(
                    "{}: {} / {}: {}",
                    say("Frames filled whole", "Images entièrement masquées"),
                    language.number(output.frames_failed_closed),
                    say("lost", "perdues"),
                    language.number(output.frames_lost),
                )
            }
            Event::Redacted(output) if output.unfinished => format!(
                "{}: {}",
                output.source.as_deref().unwrap_or_default(),
                say(
                    "a recording was cut off, and entered at the next start",
                    "un enregistrement a été interrompu, et inscrit au démarrage suivant"
                )
            ),
            Event::Redacted(_) => continue,
        };
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td></tr>",
            escape(time),
            escape(&text)
        );
    }
    html.push_str("</table>\n");
}
