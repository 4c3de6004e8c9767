//! The figures of all attacks, as tables for the terminal and in Markdown.

use serde::Serialize;

use super::disguise::Disguise;
use super::faces::{FaceRow, FaceTable};
use super::plates::{PlateTable, Reading};
use super::rebuild::{FRAMES, FramesRow, RebuildTable};

/// The least that attackers get of what is not hidden.
const READ: f64 = 0.8;

/// What all attacks gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What draws text, noise, motion and samples.
    pub seed: u64,
    /// Whose face is it? None without faces.
    pub faces: Option<FaceTable>,
    /// What does the plate say? None without plates.
    pub plates: Option<PlateTable>,
    /// What did the face look like? None without faces.
    pub rebuild: Option<RebuildTable>,
}

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns of equal width.
    Text,
    /// With bars, for documents.
    Markdown,
}

impl Report {
    /// What was measured at a default and is better than chance, or gains from many frames, and attackers that fail where success is
    /// to be had, so that their failing elsewhere shows nothing; empty when the defaults hold.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.blunt();
        for row in self.faces.iter().flat_map(|table| &table.rows) {
            if row.default && !row.at_chance {
                failures.push(format!(
                    "faces under {} are told apart better than by chance",
                    row.style
                ));
            }
        }
        for row in self.plates.iter().flat_map(|table| &table.rows) {
            if row.default && !row.at_chance {
                failures.push(format!(
                    "plates under {} are read better than by chance",
                    row.style
                ));
            }
        }
        for row in self.rebuild.iter().flat_map(|table| &table.frames) {
            if row.frozen && row.gain_95.0 > 0.01 {
                failures.push(format!("many frames of {} show more than one", row.style));
            }
        }
        failures
    }

    /// Attackers that do not get what is there to be had.
    fn blunt(&self) -> Vec<String> {
        let clear = Disguise::Clear.to_string();
        let mut blunt = Vec::new();
        if let Some(table) = &self.faces {
            let known = |row: &FaceRow| row.style == clear && !row.at_chance;
            if !table.rows.iter().any(known) {
                blunt.push("the attackers do not even tell these faces apart as they are");
            }
            if !table.rows.iter().any(|row| row.default) {
                blunt.push("no default was attacked");
            }
        }
        if let Some(table) = &self.plates {
            let row = table.rows.iter().find(|row| row.style == clear);
            if row.is_none_or(|row| row.matcher.accuracy < READ) {
                blunt.push("the matcher does not even read plates as they are");
            }
            let tesseract = row.and_then(|row| row.tesseract);
            if tesseract.is_some_and(|read| read.accuracy < READ / 2.0) {
                blunt.push("Tesseract does not even read plates as they are");
            }
        }
        if let Some(table) = &self.rebuild {
            let gains = |row: &FramesRow| !row.frozen && row.gain_95.0 > 0.0;
            if !table.frames.iter().any(gains) {
                blunt.push("many frames show no more than one even with cells of their own");
            }
            if !table.kernels.iter().any(|row| row.rebuilt > READ) {
                blunt.push("not even a Gaussian was undone");
            }
        }
        blunt.into_iter().map(str::to_owned).collect()
    }

    /// All tables.
    pub fn tables(&self, form: Form) -> String {
        let mut text = String::new();
        if let Some(table) = &self.faces {
            text += &faces(table, form);
        }
        if let Some(table) = &self.plates {
            text += &plates(table, form);
        }
        if let Some(table) = &self.rebuild {
            text += &frames(table, form);
            text += &kernels(table, form);
        }
        text
    }
}

fn faces(table: &FaceTable, form: Form) -> String {
    let attackers = table.rows.first().map_or(&[][..], |row| &row.attacks);
    let mut head = vec!["style".to_owned()];
    head.extend(attackers.iter().map(|it| format!("AUC, {}", it.attacker)));
    head.extend(["most AUC, 95 %", "EER", "most rank 1, 95 %", "at chance"].map(String::from));
    let rows = table.rows.iter().map(|row| {
        let mut cells = vec![name(&row.style, row.default)];
        cells.extend(row.attacks.iter().map(|it| share(it.auc)));
        let strongest = row.strongest();
        cells.push(strongest.map_or(String::new(), |it| range(it.auc_95)));
        cells.push(strongest.map_or(String::new(), |it| share(it.eer)));
        let named = row
            .attacks
            .iter()
            .max_by(|a, b| a.rank1.total_cmp(&b.rank1));
        cells.push(named.map_or(String::new(), |it| {
            format!("{} ({})", share(it.rank1), range(it.rank1_95))
        }));
        cells.push(verdict(row.at_chance));
        cells
    });
    let chance = 1.0 / table.identities as f64;
    let title = format!(
        "Whose face is it? {} identities, {} pictures with names, {} redacted ones to name; chance: AUC .500, rank 1 {}",
        table.identities,
        table.gallery,
        table.probes,
        share(chance)
    );
    drawn(&title, &head, rows.collect(), form)
}

fn plates(table: &PlateTable, form: Form) -> String {
    let head = ["style", "matcher, 95 %", "Tesseract, 95 %", "at chance"].map(String::from);
    let reading = |it: &Reading| format!("{} ({})", share(it.accuracy), range(it.accuracy_95));
    let rows = table.rows.iter().map(|row| {
        let absent = || "not installed".to_owned();
        vec![
            name(&row.style, row.default),
            reading(&row.matcher),
            row.tesseract.as_ref().map_or_else(absent, reading),
            verdict(row.at_chance),
        ]
    });
    let title = format!(
        "What does the plate say? {} plates, {} characters; chance: {} of them",
        table.plates,
        table.characters,
        share(table.chance)
    );
    drawn(&title, &head, rows.collect(), form)
}

fn frames(table: &RebuildTable, form: Form) -> String {
    let head = ["style", "cells", "one frame", "all frames", "gain, 95 %"].map(String::from);
    let rows = table.frames.iter().map(|row| {
        let cells = if row.frozen {
            "of the first frame"
        } else {
            "of each frame"
        };
        vec![
            row.style.clone(),
            cells.to_owned(),
            share(row.one),
            share(row.many),
            format!("{} ({})", share(row.gain), range(row.gain_95)),
        ]
    });
    let title = format!(
        "Do {FRAMES} frames show more than one? {} faces rebuilt; correlation of detail, 0: none",
        table.faces
    );
    drawn(&title, &head, rows.collect(), form)
}

fn kernels(table: &RebuildTable, form: Form) -> String {
    let head = ["style", "as seen", "rebuilt, 95 %"].map(String::from);
    let rows = table.kernels.iter().map(|row| {
        let rebuilt = format!("{} ({})", share(row.rebuilt), range(row.rebuilt_95));
        vec![row.style.clone(), share(row.seen), rebuilt]
    });
    let title = format!(
        "Can it be undone with the kernel known? {} faces rebuilt; correlation of detail, 0: none",
        table.faces
    );
    drawn(&title, &head, rows.collect(), form)
}

fn name(style: &str, default: bool) -> String {
    format!("{style}{}", if default { " (default)" } else { "" })
}

fn verdict(at_chance: bool) -> String {
    if at_chance { "yes" } else { "no" }.to_owned()
}

/// ".123", "1.000", "-.050".
fn share(value: f64) -> String {
    let text = format!("{value:.3}");
    match text.strip_prefix("-0.") {
        Some("000") => ".000".to_owned(),
        Some(rest) => format!("-.{rest}"),
        None => text.strip_prefix('0').map_or(text.clone(), str::to_owned),
    }
}

fn range((low, high): (f64, f64)) -> String {
    format!("{} to {}", share(low), share(high))
}

fn drawn(title: &str, head: &[String], rows: Vec<Vec<String>>, form: Form) -> String {
    let mut text = format!("{title}\n\n");
    let all = || std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    match form {
        Form::Markdown => {
            for (index, row) in all().enumerate() {
                text += &format!("| {} |\n", row.join(" | "));
                if index == 0 {
                    text += &format!("|{}\n", "---|".repeat(head.len()));
                }
            }
        }
        Form::Text => {
            let width = |column: usize| all().map(|row| row[column].chars().count()).max();
            let widths: Vec<usize> = (0..head.len()).filter_map(width).collect();
            for row in all() {
                let cells = row.iter().zip(&widths);
                let line: String = cells
                    .map(|(cell, width)| format!("{cell:width$}  "))
                    .collect();
                text += line.trim_end();
                text.push('\n');
            }
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::plates::PlateRow;
    use crate::attack::rebuild::KernelRow;

    /// A report by attackers that work, on defaults that hold.
    fn good() -> Report {
        let face = |style: &str, default| FaceRow {
            style: style.into(),
            default,
            attacks: Vec::new(),
            at_chance: default,
        };
        let reading = |accuracy: f64| Reading {
            accuracy,
            accuracy_95: (accuracy, accuracy),
        };
        let plate = |style: &str, default| PlateRow {
            style: style.into(),
            default,
            matcher: reading(if default { 0.07 } else { 1.0 }),
            tesseract: Some(reading(if default { 0.0 } else { 0.9 })),
            at_chance: default,
        };
        let frames = |frozen, gain| FramesRow {
            style: "mosaic".into(),
            frozen,
            one: 0.3,
            many: 0.3 + gain,
            gain,
            gain_95: (gain - 0.01, gain + 0.01),
        };
        Report {
            seed: 1,
            faces: Some(FaceTable {
                identities: 2,
                gallery: 4,
                probes: 4,
                rows: vec![face("nothing", false), face("fill", true)],
            }),
            plates: Some(PlateTable {
                plates: 2,
                characters: 14,
                chance: 0.07,
                rows: vec![plate("nothing", false), plate("fill", true)],
            }),
            rebuild: Some(RebuildTable {
                faces: 2,
                frames: vec![frames(false, 0.4), frames(true, 0.0)],
                kernels: vec![KernelRow {
                    style: "Gaussian 19 px".into(),
                    seen: 0.9,
                    rebuilt: 0.99,
                    rebuilt_95: (0.98, 1.0),
                }],
            }),
        }
    }

    type Spoil = fn(&mut FaceTable, &mut PlateTable, &mut RebuildTable);

    #[test]
    fn defaults_that_do_not_hold_and_attackers_that_do_not_work_are_failures() {
        assert_eq!(good().failures(), [""; 0]);
        let spoilt: [(Spoil, &str); 9] = [
            (
                |faces, _, _| faces.rows[1].at_chance = false,
                "faces under fill",
            ),
            (
                |faces, _, _| faces.rows[0].at_chance = true,
                "tell these faces",
            ),
            (|faces, _, _| faces.rows.truncate(1), "no default"),
            (
                |_, plates, _| plates.rows[1].at_chance = false,
                "plates under fill",
            ),
            (
                |_, plates, _| plates.rows[0].matcher.accuracy = 0.1,
                "the matcher",
            ),
            (
                |_, plates, _| plates.rows[0].tesseract = Some(plates.rows[1].matcher),
                "Tesseract",
            ),
            (
                |_, _, rebuild| rebuild.frames[1].gain_95.0 = 0.2,
                "many frames of",
            ),
            (
                |_, _, rebuild| rebuild.frames[0].gain_95.0 = -0.1,
                "no more than one",
            ),
            (|_, _, rebuild| rebuild.kernels[0].rebuilt = 0.5, "Gaussian"),
        ];
        for (spoil, word) in spoilt {
            let mut report = good();
            let (faces, plates) = (report.faces.as_mut(), report.plates.as_mut());
            spoil(
                faces.expect("there"),
                plates.expect("there"),
                report.rebuild.as_mut().expect("there"),
            );
            let failures = report.failures();
            assert!(
                failures.len() == 1 && failures[0].contains(word),
                "{word}: {failures:?}"
            );
        }
    }

    #[test]
    fn shares_are_short_and_tables_have_all_columns() {
        let wanted = [
            (0.5, ".500"),
            (1.0, "1.000"),
            (-0.05, "-.050"),
            (-0.0001, ".000"),
        ];
        for (value, text) in wanted {
            assert_eq!(share(value), text);
        }
        let head = ["a", "b"].map(String::from);
        let rows = || vec![vec!["long".to_owned(), "1".to_owned()]];
        let text = drawn("Title", &head, rows(), Form::Text);
        assert_eq!(text, "Title\n\na     b\nlong  1\n\n");
        let text = drawn("Title", &head, rows(), Form::Markdown);
        assert_eq!(text, "Title\n\n| a | b |\n|---|---|\n| long | 1 |\n\n");
    }
}
