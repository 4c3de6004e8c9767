//! Plates with known text, and attackers who read them after redaction.
//!
//! The matcher knows font, layout, place and light. It draws plates, redacts them in the same way and keeps what comes nearest,
//! character by character until nothing changes: the attack of L. Hill et al., PETS 2016, on a layout of fixed slots.

use std::path::{Path, PathBuf};

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};
use fastrand::Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::disguise::Disguise;
use super::picture::Picture;
use super::random::{self, normal};
use super::tesseract;
use crate::error::{Error, Result};
use crate::evaluate::wilson;

/// Size of a plate in pixels: 520 × 110 mm at 0.4 pixels per mm.
const SIZE: (usize, usize) = (208, 44);
/// Width of the coloured band at the left edge.
const BAND: usize = 16;
/// Where letters (L) and digits (D) are.
const LAYOUT: &str = "LL-DDD-LL";
/// Letters that plates have: without those that look like others.
const LETTERS: &str = "ABCDEFGHJKLMNPQRSTVWXYZ";
const DIGITS: &str = "0123456789";
/// Passes of the matcher over all characters, at most.
const PASSES: usize = 4;
/// Where Debian has fonts of fixed pitch.
const FONTS: [&str; 2] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationMono-Bold.ttf",
];

/// What draws plates: a font of fixed pitch.
pub struct Printer {
    /// How much ink each character puts on each pixel, by slot and choice.
    ink: Vec<Vec<Vec<(usize, usize, f32)>>>,
    blank: Picture,
    font: FontVec,
}

/// How well plates of one style were read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlateRow {
    /// The style.
    pub style: String,
    /// True for what floutage does by default.
    pub default: bool,
    /// By the matcher.
    pub matcher: Reading,
    /// By Tesseract; None where it is not installed.
    pub tesseract: Option<Reading>,
    /// True when no attacker read more than by chance.
    pub at_chance: bool,
}

/// Characters read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Share of characters that were read.
    pub accuracy: f64,
    /// Its 95 % interval (Wilson).
    pub accuracy_95: (f64, f64),
}

/// How well plates were read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlateTable {
    /// Plates drawn.
    pub plates: usize,
    /// Characters on them, dashes not counted.
    pub characters: usize,
    /// The share that one who guesses reads.
    pub chance: f64,
    /// One row for each style.
    pub rows: Vec<PlateRow>,
}

impl Printer {
    /// With the font in `file`, or a fixed-pitch one of Debian's.
    ///
    /// Errors: [`Error::Io`] or [`Error::Media`] when there is no such font; says which package has one.
    pub fn open(file: Option<&Path>) -> Result<Self> {
        let known = || FONTS.iter().map(PathBuf::from).find(|path| path.is_file());
        let path = file.map(Path::to_owned).or_else(known).ok_or_else(|| {
            Error::media(
                FONTS[0],
                "there is no font to draw plates with; install the package fonts-dejavu-core or name a font file",
            )
        })?;
        let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, "reading", error))?;
        let font = FontVec::try_from_vec(bytes)
            .map_err(|_| Error::media(path.display().to_string(), "is no TrueType font"))?;
        let slots = LAYOUT.chars().enumerate();
        let ink = slots
            .map(|(slot, kind)| {
                let choices = choices(kind).chars();
                choices.map(|c| ink(&font, slot, c, (0.0, 0.0))).collect()
            })
            .collect();
        Ok(Self {
            ink,
            blank: blank(),
            font,
        })
    }

    /// A plate as a camera sees it: a little shifted, with noise.
    fn seen(&self, text: &[usize], rng: &mut Rng) -> Picture {
        let mut shift = || 0.8 * rng.f32() - 0.4;
        let shift = (shift(), shift());
        let slots = LAYOUT.chars().zip(text).enumerate();
        let ink: Vec<Vec<_>> = slots
            .map(|(slot, (kind, &choice))| ink(&self.font, slot, nth(kind, choice), shift))
            .collect();
        let mut plate = painted(&self.blank, ink.iter().map(Vec::as_slice));
        for y in 0..plate.height() {
            for x in 0..plate.width() {
                let noise = 3.0 * normal(rng);
                let noisy = |value| (f64::from(value) + noise).clamp(0.0, 255.0) as u8;
                plate.set(x, y, plate.at(x, y).map(noisy));
            }
        }
        plate
    }

    /// A plate as the attacker draws it.
    fn drawn(&self, text: &[usize]) -> Picture {
        let slots = self.ink.iter().zip(text);
        painted(
            &self.blank,
            slots.map(|(slot, &choice)| slot[choice].as_slice()),
        )
    }

    /// Draws `plates` plates with random text, hides each in all `styles` and reads what is left. `seed` draws text and noise.
    ///
    /// Errors: those of the redactor, and of a Tesseract that is there but does not run.
    pub fn attacked(&self, styles: &[Disguise], plates: usize, seed: u64) -> Result<PlateTable> {
        let mut rng = random::generator(seed);
        let shown: Vec<(Vec<usize>, Picture)> = (0..plates)
            .map(|_| {
                let text = guess(&mut rng);
                let plate = self.seen(&text, &mut rng);
                (text, plate)
            })
            .collect();
        let characters = plates * slots().count();
        let chances = slots().map(|(_, kind)| 1.0 / choices(kind).len() as f64);
        let chance = chances.sum::<f64>() / slots().count() as f64;
        let has_tesseract = tesseract::is_installed();
        let row = |style: &Disguise| {
            let read = |(index, (text, plate)): (usize, &(Vec<usize>, Picture))| {
                let hidden = style.applied(plate)?;
                let mut rng = random::generator(seed ^ (index as u64 + 1));
                let matched = self.matched(style, &hidden, &mut rng)?;
                let same = slots().filter(|&(slot, _)| matched[slot] == text[slot]);
                let ocr = if has_tesseract {
                    let read = tesseract::read(&hidden.resized(SIZE.0 * 2, SIZE.1 * 2))?;
                    alike(&written(text), &read)
                } else {
                    0
                };
                Ok((same.count(), ocr))
            };
            let read: Result<Vec<(usize, usize)>> =
                shown.par_iter().enumerate().map(read).collect();
            let (mut matched, mut ocr) = (0, 0);
            for (by_matcher, by_ocr) in read? {
                matched += by_matcher;
                ocr += by_ocr;
            }
            let matcher = Reading::new(matched, characters);
            let tesseract = has_tesseract.then(|| Reading::new(ocr, characters));
            let mut all = std::iter::once(&matcher).chain(&tesseract);
            Ok(PlateRow {
                style: style.to_string(),
                default: style.is_default(),
                at_chance: all.all(|it| it.accuracy_95.0 <= chance),
                matcher,
                tesseract,
            })
        };
        Ok(PlateTable {
            plates,
            characters,
            chance,
            rows: styles.iter().map(row).collect::<Result<_>>()?,
        })
    }

    /// The text whose plate, drawn and hidden in the same way, is nearest to `hidden`.
    fn matched(&self, style: &Disguise, hidden: &Picture, rng: &mut Rng) -> Result<Vec<usize>> {
        let distance = |text: &[usize]| -> Result<u64> {
            let drawn = style.applied(&self.drawn(text))?;
            let pairs = drawn.pixels().iter().zip(hidden.pixels());
            Ok(pairs.map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum())
        };
        let mut best = guess(rng);
        let mut least = distance(&best)?;
        for _ in 0..PASSES {
            let before = least;
            for (slot, kind) in slots() {
                for choice in 0..choices(kind).len() {
                    let mut text = best.clone();
                    text[slot] = choice;
                    let distance = distance(&text)?;
                    if distance < least {
                        (best, least) = (text, distance);
                    }
                }
            }
            if least == before {
                break;
            }
        }
        Ok(best)
    }
}

impl Reading {
    fn new(read: usize, all: usize) -> Self {
        Self {
            accuracy: read as f64 / all.max(1) as f64,
            accuracy_95: wilson(read as u64, all as u64),
        }
    }
}

/// What a slot may hold.
fn choices(kind: char) -> &'static str {
    match kind {
        'L' => LETTERS,
        'D' => DIGITS,
        _ => "-",
    }
}

fn nth(kind: char, choice: usize) -> char {
    choices(kind).chars().nth(choice).unwrap_or('-')
}

/// The slots that hold letters or digits.
fn slots() -> impl Iterator<Item = (usize, char)> {
    LAYOUT.chars().enumerate().filter(|&(_, kind)| kind != '-')
}

/// Random text, as the choice of each slot.
fn guess(rng: &mut Rng) -> Vec<usize> {
    LAYOUT
        .chars()
        .map(|kind| rng.usize(..choices(kind).len()))
        .collect()
}

/// Letters and digits of a text.
fn written(text: &[usize]) -> String {
    slots().map(|(slot, kind)| nth(kind, text[slot])).collect()
}

/// The pixels that `character` inks in `slot`, moved by `shift` pixels.
fn ink(
    font: &FontVec,
    slot: usize,
    character: char,
    shift: (f32, f32),
) -> Vec<(usize, usize, f32)> {
    let pitch = (SIZE.0 - BAND - 8) as f32 / LAYOUT.len() as f32;
    let glyph = font.glyph_id(character);
    let size = PxScale::from(100.0 * pitch / font.as_scaled(100.0).h_advance(font.glyph_id('0')));
    let scaled = font.as_scaled(size);
    let baseline = (SIZE.1 as f32 + scaled.ascent() + scaled.descent()) / 2.0;
    let left = (BAND + 4) as f32 + slot as f32 * pitch;
    let place = point(left + shift.0, baseline + shift.1);
    let mut ink = Vec::new();
    if let Some(outline) = font.outline_glyph(glyph.with_scale_and_position(size, place)) {
        let bounds = outline.px_bounds();
        outline.draw(|x, y, share| {
            let (x, y) = (
                bounds.min.x as i64 + i64::from(x),
                bounds.min.y as i64 + i64::from(y),
            );
            let inside = (0..SIZE.0 as i64).contains(&x) && (0..SIZE.1 as i64).contains(&y);
            if inside && share > 0.0 {
                ink.push((x as usize, y as usize, share.min(1.0)));
            }
        });
    }
    ink
}

/// A plate without text.
fn blank() -> Picture {
    Picture::from_fn(SIZE.0, SIZE.1, |x, y| {
        let edge = x.min(y).min(SIZE.0 - 1 - x).min(SIZE.1 - 1 - y) < 2;
        match (edge, x < BAND) {
            (true, _) => [40; 3],
            (false, true) => [30, 60, 150],
            (false, false) => [225; 3],
        }
    })
}

/// A plate with ink on it.
fn painted<'a>(blank: &Picture, ink: impl Iterator<Item = &'a [(usize, usize, f32)]>) -> Picture {
    let mut plate = blank.clone();
    for &(x, y, share) in ink.flatten() {
        let mixed = |value: u8| (f32::from(value) * (1.0 - share) + 25.0 * share) as u8;
        plate.set(x, y, plate.at(x, y).map(mixed));
    }
    plate
}

/// Characters of `text` that `read` has, in its order: all but those of the edit distance.
fn alike(text: &str, read: &str) -> usize {
    let text: Vec<char> = text.chars().collect();
    let mut costs: Vec<usize> = (0..=text.len()).collect();
    for (row, other) in read.chars().filter(char::is_ascii_alphanumeric).enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], row + 1);
        for (index, own) in text.iter().enumerate() {
            let replaced = diagonal + usize::from(*own != other);
            diagonal = costs[index + 1];
            costs[index + 1] = replaced.min(diagonal + 1).min(costs[index] + 1);
        }
    }
    text.len() - costs[text.len()].min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Style;

    #[test]
    fn the_matcher_reads_what_is_there() {
        let printer = Printer::open(None).unwrap();
        let ours = |style, levels| Disguise::Ours {
            style,
            cells: 4,
            levels,
        };
        let styles = [Disguise::Clear, Disguise::Gaussian19, ours(Style::Fill, 8)];
        let table = printer.attacked(&styles, 6, 3).unwrap();
        assert_eq!((table.plates, table.characters), (6, 42));
        assert!((0.05..0.1).contains(&table.chance));
        let accuracy: Vec<f64> = table.rows.iter().map(|row| row.matcher.accuracy).collect();
        assert!(accuracy[0] > 0.95 && accuracy[1] > 0.6, "{accuracy:?}");
        assert!(
            table.rows[2].at_chance && !table.rows[1].at_chance,
            "{table:?}"
        );
        if let Some(read) = table.rows[0].tesseract {
            assert!(read.accuracy > 0.6, "{read:?}");
        }
    }

    #[test]
    fn likeness_is_by_edit_distance() {
        assert_eq!(alike("AB123CD", "AB-123-CD\n"), 7);
        assert_eq!(alike("AB123CD", "XAB123CD"), 6);
        assert_eq!(alike("AB123CD", ""), 0);
        assert_eq!(alike("AB123CD", "AB723C"), 5);
        assert_eq!(alike("AB123CD", "zzzzzzzzzzzzzzzzzzz"), 0);
    }

    #[test]
    fn a_file_that_is_no_font_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("font.ttf");
        std::fs::write(&path, "no font").unwrap();
        let error = Printer::open(Some(&path)).err().unwrap().to_string();
        assert!(error.contains("font.ttf"), "{error}");
    }
}
