//! The page's table of what was redacted.

use std::fmt::Write;

use jiff::Timestamp;

use super::Language;
use crate::audit::check::Checked;
use crate::audit::entry::{Event, Redacted};

#[derive(Default)]
struct Sums {
    outputs: u64,
    failed: u64,
    frames: u64,
    faces: u64,
    plates: u64,
    filled: u64,
    lost: u64,
    damaged: u64,
    seconds: f64,
    with_sound: u64,
    unconfined: u64,
}

/// Puts the sums over `outputs`, and over what failed, into the page.
pub(super) fn counts(
    html: &mut String,
    checked: &Checked,
    outputs: &[&Redacted],
    language: Language,
) {
    let say = |english, french| language.say(english, french);
    let mut sums = Sums::default();
    for output in outputs {
        sums.outputs += 1;
        sums.frames += output.frames;
        sums.faces += output.faces;
        sums.plates += output.plates;
        sums.filled += output.frames_failed_closed;
        sums.lost += output.frames_lost;
        sums.damaged += output.frames_damaged;
        sums.seconds += output.duration_s;
        sums.with_sound += u64::from(output.audio_kept > 0);
        sums.unconfined += u64::from(!output.confinement.starts_with("full"));
    }
    let failed = checked
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Failed { .. }));
    sums.failed = failed.count() as u64;
    let _ = write!(
        html,
        "<h2>{}</h2><table>",
        say("What was redacted", "Ce qui a été flouté")
    );
    for (name, value) in [
        (
            say(
                "Files, segments and hours of streams",
                "Fichiers, segments et heures de flux",
            ),
            language.number(sums.outputs),
        ),
        (say("Frames", "Images"), language.number(sums.frames)),
        (
            say(
                "Faces, summed over frames",
                "Visages, sommés sur les images",
            ),
            language.number(sums.faces),
        ),
        (
            say(
                "Licence plates, summed over frames",
                "Plaques, sommées sur les images",
            ),
            language.number(sums.plates),
        ),
        (
            say(
                "Frames filled whole because they could not be analysed",
                "Images entièrement masquées faute d’analyse",
            ),
            language.number(sums.filled),
        ),
        (
            say(
                "Frames lost in damaged inputs",
                "Images perdues dans des sources abîmées",
            ),
            language.number(sums.lost),
        ),
        (
            say("Frames damaged", "Images abîmées"),
            language.number(sums.damaged),
        ),
        (
            say("Minutes of video", "Minutes de vidéo"),
            language.tenths(sums.seconds / 60.0),
        ),
        (
            say(
                "Outputs with sound kept",
                "Sorties dont le son est conservé",
            ),
            language.number(sums.with_sound),
        ),
        (
            say(
                "Inputs refused or failed, without output",
                "Sources refusées ou en échec, sans sortie",
            ),
            language.number(sums.failed),
        ),
        (
            say(
                "Outputs of a process that was not fully confined",
                "Sorties d’un processus non entièrement confiné",
            ),
            language.number(sums.unconfined),
        ),
    ] {
        let _ = write!(html, "<tr><th>{name}</th><td class=\"n\">{value}</td></tr>");
    }
    if let Some(hours) = hours(checked) {
        let _ = write!(
            html,
            "<tr><th>{}</th><td class=\"n\">{}</td></tr>",
            say("Hours in service", "Heures de service"),
            language.tenths(hours)
        );
    }
    html.push_str("</table>\n");
}

/// Hours between the service's starts and stops; None where it never started. Where it ended without a word, up to the last entry.
fn hours(checked: &Checked) -> Option<f64> {
    let (mut sum, mut begin, mut last) = (0.0, None::<Timestamp>, None);
    let mut any = false;
    let to = |begin: Option<Timestamp>, end: Option<Timestamp>| {
        let seconds = begin.zip(end).map(|(begin, end)| end.duration_since(begin));
        seconds.map_or(0.0, |it| it.as_secs_f64().max(0.0))
    };
    for (time, event) in &checked.events {
        let now = time.parse::<Timestamp>().ok();
        match event {
            Event::Started { .. } => {
                any = true;
                sum += to(begin, last);
                begin = now;
            }
            Event::Stopped { .. } => {
                sum += to(begin, now);
                begin = None;
            }
            _ => {}
        }
        last = now.or(last);
    }
    sum += to(begin, last);
    any.then_some(sum / 3600.0)
}
