//! The account as one page that needs nothing else: no script, no font, no picture.

use std::fmt::Write;

use super::{Account, FileAccount};
use crate::batch::journal::State;
use crate::media::report::Regions;
use crate::media::tally::{CONFIDENCES, HEIGHTS, Histograms};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#eceff3;--face:#2f6fb7;--plate:#b7662f;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--paper:#14171b;--soft:#262b32;--face:#6fa8e6;--plate:#e6a36f;--bad:#ff8a80}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:1150px;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-size:.87rem}th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--soft);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em;overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem}.tile{background:var(--soft);border-radius:.4rem;padding:.5rem .9rem}.tile b{display:block;font-size:1.25rem}
.charts{display:flex;flex-wrap:wrap;gap:1.5rem}figure{margin:0}figcaption{font-size:.87rem;margin-bottom:.2rem}
.bad{color:var(--bad)}.face{fill:var(--face);color:var(--face)}.plate{fill:var(--plate);color:var(--plate)}svg text{fill:var(--ink);font-size:10px}
.wide{overflow-x:auto}details{margin:.3rem 0}@media print{details{display:block}}
";

/// The page of `account`.
pub fn page(account: &Account) -> String {
    let mut page = String::new();
    let total = &account.total;
    let done = total.in_state(State::Done);
    let _ = write!(
        page,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Account of redaction</title><style>{STYLE}</style></head><body><h1>Account of redaction</h1>\
         <p>Written by floutage {} on {}. It holds numbers, names and hashes, and no picture. \
         A region is one face or licence plate in one frame; a track is one of them over its frames. \
         Numbers count what was found and redacted; they do not tell what was not found.</p><div class=\"tiles\">",
        text(&account.floutage),
        text(&account.written)
    );
    let unfinished = total.files - done;
    for (value, label, bad) in [
        (
            format!("{done} of {}", total.files),
            "files redacted",
            false,
        ),
        (
            unfinished.to_string(),
            "files failed or not done",
            unfinished > 0,
        ),
        (
            total.changed.to_string(),
            "files changed since",
            total.changed > 0,
        ),
        (clock(total.duration_s), "length of all videos", false),
        (total.frames.to_string(), "frames", false),
        (total.regions.face.to_string(), "face regions", false),
        (total.regions.plate.to_string(), "plate regions", false),
        (total.tracks.face.to_string(), "face tracks", false),
        (total.tracks.plate.to_string(), "plate tracks", false),
        (
            total.frames_failed_closed.to_string(),
            "frames filled whole",
            total.frames_failed_closed > 0,
        ),
        (
            total.frames_lost.to_string(),
            "frames lost",
            total.frames_lost > 0,
        ),
        (
            total.frames_damaged.to_string(),
            "frames damaged",
            total.frames_damaged > 0,
        ),
        (clock(total.elapsed_s), "of work", false),
        (
            rate(total.frames, total.elapsed_s),
            "frames/s per file",
            false,
        ),
    ] {
        let class = if bad { " bad" } else { "" };
        let _ = write!(
            page,
            "<div class=\"tile{class}\"><b>{}</b>{label}</div>",
            text(&value)
        );
    }
    page.push_str("</div>");
    problems(&mut page, account);
    page.push_str("<h2>What was found</h2><div class=\"charts\">");
    for (class, name, counts) in [
        ("face", "Faces", &total.face),
        ("plate", "Licence plates", &total.plate),
    ] {
        histograms(&mut page, class, name, counts);
    }
    page.push_str("</div>");
    files(&mut page, account);
    if !account.left_out.is_empty() {
        page.push_str("<h2>Left out of the input folders</h2><ul>");
        for line in &account.left_out {
            let _ = write!(page, "<li>{}</li>", text(line));
        }
        page.push_str("</ul>");
    }
    how(&mut page, account);
    page.push_str("</body></html>\n");
    page
}

fn problems(page: &mut String, account: &Account) {
    let mut rows = String::new();
    for file in &account.files {
        let mut told: Vec<String> = file.warnings.clone();
        if file.state != State::Done {
            let error = file.error.as_deref().unwrap_or("not done");
            told.insert(0, format!("{}: {error}", file.state.name()));
        }
        if let Some(changed) = &file.changed {
            told.push(format!("not up to date: {changed}"));
        }
        if !told.is_empty() {
            let _ = write!(
                rows,
                "<tr><td>{}</td><td>{}</td></tr>",
                text(&file.input),
                text(&told.join("; "))
            );
        }
    }
    if !rows.is_empty() {
        let _ = write!(
            page,
            "<h2 class=\"bad\">What needs attention</h2><table><tr><th>File</th><th>What</th></tr>{rows}</table>"
        );
    }
}

fn histograms(page: &mut String, class: &str, name: &str, counts: &Histograms) {
    let heights: Vec<String> = HEIGHTS
        .iter()
        .enumerate()
        .map(|(index, least)| match HEIGHTS.get(index + 1) {
            Some(next) => format!("{least}–{}", next - 1),
            None => format!("≥{least}"),
        })
        .collect();
    let tenths: Vec<String> = (0..CONFIDENCES).map(|tenth| format!(".{tenth}")).collect();
    bars(
        page,
        class,
        &format!("{name}: redacted regions by height in pixels"),
        &heights,
        &counts.height,
    );
    bars(
        page,
        class,
        &format!("{name}: detections by confidence"),
        &tenths,
        &counts.confidence,
    );
}

fn bars(page: &mut String, class: &str, title: &str, labels: &[String], counts: &[u64]) {
    const STEP: usize = 52;
    const TALL: f64 = 110.0;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let width = STEP * counts.len();
    let _ = write!(
        page,
        "<figure><figcaption>{}</figcaption><svg role=\"img\" width=\"{width}\" height=\"150\" viewBox=\"0 0 {width} 150\">",
        text(title)
    );
    for (index, (count, label)) in counts.iter().zip(labels).enumerate() {
        let tall = TALL * *count as f64 / most as f64;
        let (left, top, middle) = (
            index * STEP + 4,
            15.0 + TALL - tall,
            index * STEP + STEP / 2,
        );
        let _ = write!(
            page,
            "<rect class=\"{class}\" x=\"{left}\" y=\"{top:.1}\" width=\"{}\" height=\"{tall:.1}\"/>\
             <text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>\
             <text x=\"{middle}\" y=\"140\" text-anchor=\"middle\">{}</text>",
            STEP - 8,
            top - 3.0,
            text(label)
        );
    }
    page.push_str("</svg></figure>");
}

fn files(page: &mut String, account: &Account) {
    page.push_str(
        "<h2>Files</h2><div class=\"wide\"><table><tr><th>Input and output</th><th>State</th><th class=\"n\">Length</th>\
         <th class=\"n\">Frames</th><th class=\"n\">Faces</th><th class=\"n\">Plates</th><th class=\"n\">Tracks</th>\
         <th class=\"n\">Filled</th><th class=\"n\">Lost</th><th class=\"n\">Frames/s</th>\
         <th>Regions over time (<span class=\"face\">faces</span>, <span class=\"plate\">plates</span>)</th></tr>",
    );
    for file in &account.files {
        row(page, file);
    }
    page.push_str("</table></div>");
}

fn row(page: &mut String, file: &FileAccount) {
    let class = if file.state == State::Done {
        ""
    } else {
        " class=\"bad\""
    };
    let hashes = [
        ("input", file.input_identity.as_ref()),
        ("output", file.output_identity.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, identity)| Some((name, identity?)))
    .map(|(name, known)| {
        format!(
            "{name}: {} bytes, BLAKE3 <code>{}</code><br>",
            known.stamp.size,
            text(&known.blake3)
        )
    })
    .collect::<String>();
    let own: String = file
        .settings
        .iter()
        .map(|(name, value)| format!("{} = {}<br>", text(name), text(value)))
        .collect();
    let _ = write!(
        page,
        "<tr><td>{}<details><summary>{}</summary>{hashes}settings <code>{}</code><br>models <code>{}</code><br>{own}</details></td>\
         <td{class}>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td><td>",
        text(&file.input),
        text(&file.output),
        text(&file.settings_hash),
        text(&file.model_hash),
        file.state.name(),
        clock(file.duration_s),
        file.frames,
        file.regions.face,
        file.regions.plate,
        file.tally.tracks.face + file.tally.tracks.plate,
        file.frames_failed_closed,
        file.frames_lost,
        file.frames_per_s,
    );
    time_line(page, &file.tally.seconds);
    page.push_str("</td></tr>");
}

/// Regions over time as two rows of bars, in at most as many steps as fit.
fn time_line(page: &mut String, seconds: &[Regions]) {
    const STEPS: usize = 120;
    const TALL: f64 = 16.0;
    if seconds.is_empty() {
        return;
    }
    let each = seconds.len().div_ceil(STEPS);
    let steps: Vec<Regions> = seconds
        .chunks(each)
        .map(|chunk| Regions {
            face: chunk.iter().map(|second| second.face).sum(),
            plate: chunk.iter().map(|second| second.plate).sum(),
        })
        .collect();
    let width = 240.0 / steps.len() as f64;
    let _ = write!(
        page,
        "<svg role=\"img\" width=\"240\" height=\"34\" viewBox=\"0 0 240 34\">\
         <title>{} s, each bar {each} s</title>",
        seconds.len()
    );
    for (class, base, get) in [
        ("face", TALL, (|step| step.face) as fn(&Regions) -> u64),
        ("plate", 2.0 * TALL + 1.0, |step| step.plate),
    ] {
        let most = steps.iter().map(get).max().unwrap_or(0).max(1);
        for (index, count) in steps
            .iter()
            .map(get)
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            let tall = (TALL * count as f64 / most as f64).max(1.0);
            let _ = write!(
                page,
                "<rect class=\"{class}\" x=\"{:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{tall:.1}\"/>",
                index as f64 * width,
                base - tall,
                width.max(0.5)
            );
        }
    }
    page.push_str("</svg>");
}

fn how(page: &mut String, account: &Account) {
    page.push_str("<h2>How</h2><p>Models, with the SHA-256 of their files:</p><ul>");
    for models in &account.models {
        let _ = write!(page, "<li><code>{}</code></li>", text(models));
    }
    page.push_str("</ul><p>Settings that all files share; those of single files are listed with them:</p><table>");
    for (name, value) in &account.settings {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td></tr>",
            text(name),
            text(value)
        );
    }
    page.push_str("</table>");
}

fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}:{:02} min", whole / 60, whole % 60),
        _ => format!(
            "{}:{:02}:{:02} h",
            whole / 3600,
            whole / 60 % 60,
            whole % 60
        ),
    }
}

fn rate(frames: u64, seconds: f64) -> String {
    if seconds > 0.0 {
        format!("{:.1}", frames as f64 / seconds)
    } else {
        "–".into()
    }
}

/// Text in which nothing is taken for markup.
fn text(raw: &str) -> String {
    raw.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup_and_lengths_are_read_easily() {
        assert_eq!(text("<b>&\""), "&lt;b&gt;&amp;&quot;");
        assert_eq!(clock(3.21), "3.2 s");
        assert_eq!(clock(75.0), "1:15 min");
        assert_eq!(clock(7325.0), "2:02:05 h");
    }

    #[test]
    fn long_videos_have_bounded_time_lines() {
        let mut page = String::new();
        time_line(&mut page, &vec![Regions { face: 1, plate: 2 }; 7200]);
        assert_eq!(page.matches("<rect").count(), 240);
        let mut none = String::new();
        time_line(&mut none, &[]);
        assert_eq!(none, "");
    }
}
