//! Pictures of faces by identity, and attacks that tell whose face was redacted.
//!
//! An identity's first pictures are the gallery, which the attacker has with names; the later ones are the probes, redacted.
//! The styles have no secret, so a gallery that the attacker redacts is the same as one of redacted pictures with names:
//! "redacted gallery" stands for both.

use std::path::Path;

use rayon::prelude::*;
use serde::Serialize;

use super::disguise::Disguise;
use super::picture::Picture;
use super::recognition::Recogniser;
use super::ridge::{self, Labelled};
use super::statistics::{Outcome, Scores};
use crate::error::{Error, Result};

/// Side of the pictures that are attacked, in pixels. Smaller ones are drawn larger, which helps the attacker: kernels of a
/// fixed size hide less of a large face.
pub const SIDE: usize = 96;
/// Parts of a picture along a side that attackers compare.
const PARTS: usize = 12;
/// Most pictures of one identity that are used, spread evenly.
pub const MOST_PICTURES: usize = 20;
/// Most identities that are used, the first by name.
const MOST_IDENTITIES: usize = 500;

/// Pictures of faces by identity, of [`SIDE`] pixels each; at least two identities with at least two pictures.
#[derive(Clone, Debug)]
pub struct Faces {
    identities: Vec<Vec<Picture>>,
}

/// What attackers made of one style.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceRow {
    /// The style.
    pub style: String,
    /// True for what floutage does by default.
    pub default: bool,
    /// What each attacker reached.
    pub attacks: Vec<Outcome>,
    /// True when none did better than one who guesses.
    pub at_chance: bool,
}

/// What attackers made of all styles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceTable {
    /// Identities.
    pub identities: usize,
    /// Pictures with names.
    pub gallery: usize,
    /// Redacted pictures whose names are asked for.
    pub probes: usize,
    /// One row for each style.
    pub rows: Vec<FaceRow>,
}

impl Faces {
    /// Pictures by identity, in order of time: the first half of each is the gallery. Identities with one picture are left
    /// out, of many pictures some are taken.
    ///
    /// Errors: [`Error::Media`] about `origin` when fewer than two identities remain.
    pub fn new(origin: &str, identities: Vec<Vec<Picture>>) -> Result<Self> {
        let enough = identities
            .into_iter()
            .filter(|pictures| pictures.len() >= 2);
        let identities: Vec<Vec<Picture>> = enough
            .take(MOST_IDENTITIES)
            .map(|pictures| {
                let pictures = spread(pictures, MOST_PICTURES);
                pictures.iter().map(|it| it.resized(SIDE, SIDE)).collect()
            })
            .collect();
        if identities.len() < 2 {
            return Err(Error::media(
                origin,
                "has fewer than two identities with two or more pictures each: nothing can be confused",
            ));
        }
        Ok(Self { identities })
    }

    /// Reads `folder`: a folder for each identity with its pictures (PNG, JPEG, WebP), which show the face alone, aligned. In
    /// the order of their names, the first half is the gallery.
    ///
    /// Errors: [`Error::Io`], [`Error::Media`] for a picture that cannot be read, or as [`Faces::new`].
    pub fn read(folder: &Path) -> Result<Self> {
        let mut identities = Vec::new();
        for identity in sorted(folder)?.into_iter().filter(|path| path.is_dir()) {
            let is_picture = |path: &std::path::PathBuf| {
                let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
                ["png", "jpg", "jpeg", "webp"]
                    .iter()
                    .any(|known| extension == *known)
            };
            let files = sorted(&identity)?.into_iter().filter(is_picture).collect();
            let pictures: Result<Vec<_>> = spread(files, MOST_PICTURES)
                .iter()
                .map(|path| Picture::read(path))
                .collect();
            identities.push(pictures?);
            if identities.len() == MOST_IDENTITIES {
                break;
            }
        }
        Self::new(&folder.display().to_string(), identities)
    }

    /// The pictures of each identity.
    pub fn identities(&self) -> &[Vec<Picture>] {
        &self.identities
    }

    /// Gallery and probes: each picture with its identity.
    fn halves(&self) -> [Vec<(usize, &Picture)>; 2] {
        let mut halves = [Vec::new(), Vec::new()];
        for (identity, pictures) in self.identities.iter().enumerate() {
            for (index, picture) in pictures.iter().enumerate() {
                let later = usize::from(index >= pictures.len().div_ceil(2));
                halves[later].push((identity, picture));
            }
        }
        halves
    }

    /// Attacks `styles`, with a recognition model too where there is one. `seed` draws the intervals' samples.
    ///
    /// Errors: those of the redactor and the model.
    pub fn attacked(
        &self,
        styles: &[Disguise],
        recogniser: Option<&mut Recogniser>,
        seed: u64,
    ) -> Result<FaceTable> {
        let [gallery, probes] = self.halves();
        let plain = features(&gallery, &Disguise::Clear)?;
        let mut rows: Vec<FaceRow> = styles
            .par_iter()
            .map(|style| {
                let (known, unknown) = (features(&gallery, style)?, features(&probes, style)?);
                let identities = self.identities.len();
                let near = |known| nearest(known, &unknown, identities, near_pixels);
                let trained = ridge::attack(&known, &unknown, identities);
                let attacks = [
                    ("pixels, clear gallery", near(&plain)),
                    ("pixels, redacted gallery", near(&known)),
                    ("trained on redacted", trained),
                ];
                Ok(FaceRow::new(*style, &attacks, seed))
            })
            .collect::<Result<_>>()?;
        if let Some(recogniser) = recogniser {
            let plain = recogniser.features(&gallery, &Disguise::Clear)?;
            for (style, row) in styles.iter().zip(&mut rows) {
                let known = recogniser.features(&gallery, style)?;
                let unknown = recogniser.features(&probes, style)?;
                for (name, gallery) in [
                    ("model, clear gallery", &plain),
                    ("model, redacted gallery", &known),
                ] {
                    let scores = nearest(gallery, &unknown, self.identities.len(), cosine);
                    row.add(Outcome::of(name, &scores, seed));
                }
            }
        }
        Ok(FaceTable {
            identities: self.identities.len(),
            gallery: gallery.len(),
            probes: probes.len(),
            rows,
        })
    }
}

impl FaceRow {
    fn new(style: Disguise, attacks: &[(&str, Scores)], seed: u64) -> Self {
        let mut row = Self {
            style: style.to_string(),
            default: style.is_default(),
            attacks: Vec::new(),
            at_chance: true,
        };
        for (name, scores) in attacks {
            row.add(Outcome::of(name, scores, seed));
        }
        row
    }

    fn add(&mut self, outcome: Outcome) {
        self.at_chance &= outcome.at_chance();
        self.attacks.push(outcome);
    }

    /// The attack that came farthest.
    pub fn strongest(&self) -> Option<&Outcome> {
        self.attacks.iter().max_by(|a, b| a.auc.total_cmp(&b.auc))
    }
}

fn features(pictures: &[(usize, &Picture)], style: &Disguise) -> Result<Vec<Labelled>> {
    let seen =
        |(own, picture): &(usize, &Picture)| Ok((*own, style.applied(picture)?.features(PARTS)));
    pictures.iter().map(seen).collect()
}

/// Scores by the most alike picture of each identity.
fn nearest(
    gallery: &[Labelled],
    probes: &[Labelled],
    identities: usize,
    alike: impl Fn(&[f64], &[f64]) -> f64,
) -> Scores {
    let score = |(own, probe): &Labelled| {
        let mut scores = vec![f64::NEG_INFINITY; identities];
        for (identity, known) in gallery {
            scores[*identity] = scores[*identity].max(alike(probe, known));
        }
        (*own, scores)
    };
    Scores {
        identities,
        probes: probes.iter().map(score).collect(),
    }
}

fn near_pixels(a: &[f64], b: &[f64]) -> f64 {
    -a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = (dot(a, a) * dot(b, b)).sqrt();
    if length > 0.0 {
        dot(a, b) / length
    } else {
        0.0
    }
}

/// At most `most` of `all`, spread evenly.
fn spread<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let count = all.len();
    let every = all.into_iter().enumerate();
    let chosen = every.filter(|(n, _)| count <= most || n * most / count != (n + 1) * most / count);
    chosen.map(|(_, one)| one).collect()
}

fn sorted(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let read = || -> std::io::Result<Vec<_>> {
        let entries = std::fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path()));
        let mut paths = entries.collect::<std::io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(|error| Error::io(folder, "reading", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::random;
    use crate::redact::{Settings, Style};

    /// Faces that differ by the place and brightness of a few blobs, with other light in each picture.
    fn people(count: usize) -> Faces {
        let mut rng = random::generator(5);
        let person = |_| {
            let blobs: Vec<[f64; 3]> = (0..12)
                .map(|_| [rng.f64() * 96.0, rng.f64() * 96.0, 160.0 * rng.f64() - 80.0])
                .collect();
            let mut picture = |_| {
                let light = 0.9 + 0.2 * rng.f64();
                Picture::from_fn(96, 96, |x, y| {
                    let blob = |[bx, by, level]: &[f64; 3]| {
                        let distance = (x as f64 - bx).powi(2) + (y as f64 - by).powi(2);
                        level * (-distance / 300.0).exp()
                    };
                    let value = light * (120.0 + blobs.iter().map(blob).sum::<f64>());
                    let noise = 6.0 * rng.f64();
                    [(value + noise).clamp(0.0, 255.0) as u8; 3]
                })
            };
            (0..8).map(&mut picture).collect()
        };
        Faces::new("test", (0..count).map(person).collect()).unwrap()
    }

    #[test]
    fn clear_faces_are_recognised_and_fills_are_not() {
        let faces = people(12);
        let ours = |style, cells, levels| Disguise::Ours {
            style,
            cells,
            levels,
        };
        let styles = [
            Disguise::Clear,
            Disguise::Gaussian19,
            ours(Style::Mosaic, 4, 32),
            ours(Style::Fill, 4, 8),
            Disguise::of(&Settings::default(), crate::detect::Class::Plate),
        ];
        let table = faces.attacked(&styles, None, 7).unwrap();
        assert_eq!(
            (table.identities, table.gallery, table.probes),
            (12, 48, 48)
        );
        for (row, known) in table.rows.iter().zip([true, true, true, false, false]) {
            assert_eq!(row.at_chance, !known, "{row:?}");
            let strongest = row.strongest().unwrap();
            assert_eq!(strongest.auc > 0.9, known, "{row:?}");
        }
        assert_eq!(table, faces.attacked(&styles, None, 7).unwrap());
    }

    #[test]
    fn too_few_faces_are_an_error_and_many_pictures_are_thinned() {
        let one = vec![vec![Picture::plain(9, 9, [1; 3]); 4]];
        let error = Faces::new("folder", one).unwrap_err().to_string();
        assert!(
            error.contains("folder") && error.contains("two identities"),
            "{error}"
        );
        assert_eq!(spread((0..40).collect(), 4), [9, 19, 29, 39]);
        assert_eq!(spread(vec![1, 2, 3], 4), [1, 2, 3]);
    }

    #[test]
    fn a_folder_is_read_by_identity() {
        let folder = tempfile::tempdir().unwrap();
        for (identity, shade) in [("anna", 10), ("bert", 200)] {
            let person = folder.path().join(identity);
            std::fs::create_dir(&person).unwrap();
            for name in ["1.png", "2.png"] {
                let picture = image::RgbImage::from_pixel(20, 24, image::Rgb([shade; 3]));
                picture.save(person.join(name)).unwrap();
            }
            std::fs::write(person.join("notes.txt"), "not a picture").unwrap();
        }
        let faces = Faces::read(folder.path()).unwrap();
        assert_eq!(faces.identities().len(), 2);
        assert_eq!(
            faces.identities()[1][1],
            Picture::plain(SIDE, SIDE, [200; 3])
        );
        std::fs::write(folder.path().join("bert/3.png"), "broken").unwrap();
        let error = Faces::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("3.png"), "{error}");
        assert!(Faces::read(&folder.path().join("none")).is_err());
    }
}
