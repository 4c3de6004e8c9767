//! COCO's JSON: the truth of a folder of pictures, and results.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::mot::class_named;
use super::truth::{Truth, TruthBox, read_text};
use crate::detect::{Certainty, Class, Detection};
use crate::error::{Error, Result};
use crate::geometry::BBox;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: i64,
    file_name: PathBuf,
    width: Option<u64>,
    height: Option<u64>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    bbox: [f32; 4],
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Found {
    image_id: i64,
    category_id: i64,
    bbox: [f32; 4],
    #[serde(default = "sure")]
    score: f32,
}

fn sure() -> f32 {
    1.0
}

/// One picture of the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Its file, relative to the folder of pictures.
    pub file: PathBuf,
    /// Width and height in pixels, where the file says them.
    pub size: Option<(usize, usize)>,
}

/// The truth of a folder of pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pictures {
    /// Every picture, in the file's order.
    pub pictures: Vec<Picture>,
    /// Their boxes, by index of the picture. Each box is a track of its own.
    pub truth: Truth,
    indices: HashMap<i64, usize>,
    classes: HashMap<i64, Option<Class>>,
}

impl Pictures {
    /// Reads `path`. Categories named face, plate or licence plate, in any usual spelling, are what they say; others are
    /// left out. With `class` every box is of that class. Crowds (`iscrowd`) are ignored.
    ///
    /// Errors: [`Error::Io`] when the file cannot be read, [`Error::Media`] when it is not of this form, when no category is
    /// a face or plate, and for boxes without an area or of unknown pictures or categories.
    pub fn read(path: &Path, class: Option<Class>) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text, class)
            .map_err(|problem| Error::media(path.display().to_string(), problem))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// Errors: what is wrong, and where.
    pub fn parse(text: &str, class: Option<Class>) -> Result<Self, String> {
        let file: File = serde_json::from_str(text).map_err(|error| {
            format!(
                "for a folder of pictures COCO's JSON is needed, with images, annotations and categories: {error}"
            )
        })?;
        let mut all = Self::default();
        for category in &file.categories {
            all.classes
                .insert(category.id, class.or_else(|| class_named(&category.name)));
        }
        if all.classes.values().all(Option::is_none) {
            let names: Vec<&str> = file.categories.iter().map(|it| it.name.as_str()).collect();
            return Err(format!(
                "no category is named face or plate: {names:?}; --class says what every box is"
            ));
        }
        for image in file.images {
            let inside = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
            if !image.file_name.components().all(inside) {
                return Err(format!(
                    "{:?} is not a file within the folder",
                    image.file_name
                ));
            }
            if all.indices.insert(image.id, all.pictures.len()).is_some() {
                return Err(format!("two images have the id {}", image.id));
            }
            let sides = image.width.zip(image.height);
            all.pictures.push(Picture {
                file: image.file_name,
                size: sides.map(|(width, height)| (width as usize, height as usize)),
            });
        }
        for (number, it) in file.annotations.iter().enumerate() {
            let at = |problem: String| format!("annotation {} of the list: {problem}", number + 1);
            let Some((index, class, bbox)) = all
                .place(it.image_id, it.category_id, it.bbox)
                .map_err(at)?
            else {
                continue;
            };
            let found = TruthBox {
                track: number as u64 + 1,
                bbox,
                class,
                counts: it.iscrowd == 0,
            };
            all.truth.add(index, found);
        }
        Ok(all)
    }

    /// Index of the picture, class and box; None when it is neither face nor plate.
    fn place(
        &self,
        image: i64,
        category: i64,
        [left, top, width, height]: [f32; 4],
    ) -> Result<Option<(usize, Class, BBox)>, String> {
        let index = *self
            .indices
            .get(&image)
            .ok_or_else(|| format!("there is no image {image}"))?;
        let class = self
            .classes
            .get(&category)
            .ok_or_else(|| format!("there is no category {category}"))?;
        Ok(class
            .zip(Some(valid(left, top, width, height)?))
            .map(|(class, bbox)| (index, class, bbox)))
    }

    /// The detections of each picture out of a results file's `text`: a list of objects with `image_id`, `category_id`,
    /// `bbox` and `score`, with the numbers of this truth.
    ///
    /// Errors: what is wrong, and where.
    pub fn results(&self, text: &str) -> Result<Vec<Vec<Detection>>, String> {
        let mut all = vec![Vec::new(); self.pictures.len()];
        for (number, it) in parse_results(text)?.into_iter().enumerate() {
            let at = |problem: String| format!("result {} of the list: {problem}", number + 1);
            let placed = self.place(it.image_id, it.category_id, it.bbox);
            if let Some((index, class, bbox)) = placed.map_err(at)? {
                all[index].push(detection(bbox, class, it.score));
            }
        }
        Ok(all)
    }
}

/// The detections of each frame of a video, likewise; `image_id` is the frame's number, from 1, `category_id` 1 for faces and 2
/// for plates, unless `class` says what everything is.
pub(super) fn video_results(
    text: &str,
    class: Option<Class>,
) -> Result<Vec<(usize, Detection)>, String> {
    let results = parse_results(text)?.into_iter().enumerate();
    results
        .map(|(number, it)| {
            let at = |problem: String| format!("result {} of the list: {problem}", number + 1);
            let known = || class_named(&it.category_id.to_string());
            let class = class.or_else(known).ok_or_else(|| {
                at(format!(
                    "category {} is neither 1 (face) nor 2 (plate); --class says what every box is",
                    it.category_id
                ))
            })?;
            let frame = usize::try_from(it.image_id)
                .ok()
                .filter(|frame| (1..=10_000_000).contains(frame))
                .ok_or_else(|| {
                    at(format!(
                        "image {} is not the number of a frame",
                        it.image_id
                    ))
                })?;
            let [left, top, width, height] = it.bbox;
            let bbox = valid(left, top, width, height).map_err(at)?;
            Ok((frame - 1, detection(bbox, class, it.score)))
        })
        .collect()
}

fn parse_results(text: &str) -> Result<Vec<Found>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("not COCO's results, a list of objects with image_id, category_id, bbox and score: {error}")
    })
}

fn valid(left: f32, top: f32, width: f32, height: f32) -> Result<BBox, String> {
    let bbox = BBox::from_xywh(left, top, width, height);
    if bbox.is_valid() {
        Ok(bbox)
    } else {
        Err(format!(
            "a box of {width} by {height} pixels at {left}, {top} has no area"
        ))
    }
}

fn detection(bbox: BBox, class: Class, confidence: f32) -> Detection {
    Detection {
        bbox,
        class,
        confidence,
        certainty: Certainty::Confident,
    }
}

impl Pictures {
    /// Files that occur twice, which would be measured twice.
    pub fn repeated(&self) -> Option<&Path> {
        let mut seen = HashSet::new();
        let all = self.pictures.iter().map(|picture| picture.file.as_path());
        all.into_iter().find(|file| !seen.insert(*file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATEGORIES: &str = r#""categories": [{"id": 7, "name": "License-Plate"}, {"id": 1, "name": "car"}, {"id": 2, "name": "face"}]"#;

    fn truth(images: &str, annotations: &str) -> Result<Pictures, String> {
        let text =
            format!(r#"{{"images": [{images}], "annotations": [{annotations}], {CATEGORIES}}}"#);
        Pictures::parse(&text, None)
    }

    const IMAGES: &str = r#"{"id": 10, "file_name": "b/a.jpg", "width": 64, "height": 48}, {"id": 3, "file_name": "c.png"}"#;
    const PLATE: &str = r#"{"image_id": 3, "category_id": 7, "bbox": [1, 2, 30, 10]}"#;

    #[test]
    fn categories_are_known_by_name() {
        let car = r#"{"id": 5, "image_id": 3, "category_id": 1, "bbox": [0, 0, 60, 40]}"#;
        let crowd = r#"{"image_id": 10, "category_id": 2, "bbox": [1, 1, 5, 5], "iscrowd": 1}"#;
        let pictures = truth(IMAGES, &[PLATE, car, crowd].join(",")).unwrap();
        assert_eq!(pictures.pictures[0].size, Some((64, 48)));
        assert_eq!(pictures.pictures[1].file, Path::new("c.png"));
        let plates = pictures.truth.frame(1);
        assert_eq!(plates.len(), 1);
        assert_eq!((plates[0].class, plates[0].counts), (Class::Plate, true));
        assert!(!pictures.truth.frame(0)[0].counts);
        let results = r#"[{"image_id": 10, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.25},
                          {"image_id": 10, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]"#;
        let results = pictures.results(results).unwrap();
        assert_eq!((results[0].len(), results[1].len()), (1, 0));
        assert_eq!(
            (results[0][0].class, results[0][0].confidence),
            (Class::Face, 0.25)
        );
    }

    #[test]
    fn pictures_where_nothing_is_have_a_truth() {
        assert_eq!(truth(IMAGES, "").unwrap().truth.frames(), 0);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let wrong = |images: &str, annotations: &str, word: &str| {
            let error = truth(images, annotations).unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        };
        wrong(IMAGES, "{", "line 1 column");
        wrong(
            IMAGES,
            &PLATE.replace("3,", "4,"),
            "annotation 1 of the list: there is no image 4",
        );
        wrong(IMAGES, &PLATE.replace("7,", "8,"), "no category 8");
        wrong(IMAGES, &PLATE.replace("30", "0"), "no area");
        wrong(IMAGES, &PLATE.replace("30", "1e99"), "1");
        wrong(IMAGES, &PLATE.replace("30", "null"), "line 1");
        wrong(
            r#"{"id": 3, "file_name": "../c.png"}"#,
            PLATE,
            "within the folder",
        );
        wrong(
            r#"{"id": 3, "file_name": "/c.png"}"#,
            PLATE,
            "within the folder",
        );
        wrong(&[IMAGES, IMAGES].join(","), PLATE, "two images");
        let named =
            r#"{"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}"#;
        let error = Pictures::parse(named, None).unwrap_err();
        assert!(
            error.contains("person") && error.contains("--class"),
            "{error}"
        );
        let pictures = truth(IMAGES, PLATE).unwrap();
        for (results, word) in [
            ("{}", "line 1"),
            (r#"[{"image_id": 10}]"#, "category_id"),
            (
                r#"[{"image_id": 11, "category_id": 2, "bbox": [1, 2, 3, 4]}]"#,
                "result 1",
            ),
        ] {
            let error = pictures.results(results).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
