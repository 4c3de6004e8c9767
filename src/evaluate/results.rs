//! Results of any detector or tracker on a video, read from a file.

use std::path::Path;

use super::coco::video_results;
use super::mot;
use super::truth::read_text;
use crate::detect::{Certainty, Class, Detection};
use crate::error::{Error, Result};

/// The detections of each frame, as far as the file goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    frames: Vec<Vec<Detection>>,
}

impl Results {
    /// Reads `path`: MOTChallenge's CSV with confidences, or COCO's results in JSON with frame numbers from 1 for images. With
    /// `class` every box is of that class.
    ///
    /// Errors: [`Error::Io`] when the file cannot be read, [`Error::Media`] with the first line or entry that is wrong.
    pub fn read(path: &Path, class: Option<Class>) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text, class)
            .map_err(|problem| Error::media(path.display().to_string(), problem))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// Errors: what is wrong, and where.
    pub fn parse(text: &str, class: Option<Class>) -> Result<Self, String> {
        let found: Vec<(usize, Detection)> = if text.trim_start().starts_with(['[', '{']) {
            video_results(text, class)?
        } else {
            let records = mot::parse(text, class)?.into_iter();
            let detection = |record: mot::Record| Detection {
                bbox: record.bbox,
                class: record.class,
                confidence: record.confidence,
                certainty: Certainty::Confident,
            };
            records
                .map(|record| (record.frame, detection(record)))
                .collect()
        };
        let mut results = Self::default();
        for (frame, detection) in found {
            if results.frames.len() <= frame {
                results.frames.resize_with(frame + 1, Vec::new);
            }
            results.frames[frame].push(detection);
        }
        Ok(results)
    }

    /// The detections of frame `index`, counted from 0.
    pub fn frame(&self, index: usize) -> &[Detection] {
        self.frames.get(index).map_or(&[], Vec::as_slice)
    }

    /// Number of frames up to the last that has a detection.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;

    #[test]
    fn both_formats_say_the_same() {
        let csv = "2,-1,10,20,30,40,0.5,1,-1,-1\n";
        let json =
            r#" [{"image_id": 2, "category_id": 1, "bbox": [10, 20, 30, 40], "score": 0.5}]"#;
        let results = Results::parse(csv, None).unwrap();
        assert_eq!(results, Results::parse(json, None).unwrap());
        assert_eq!(results.frames(), 2);
        assert!(results.frame(0).is_empty() && results.frame(7).is_empty());
        let found = results.frame(1)[0];
        assert_eq!(found.bbox, BBox::from_xywh(10.0, 20.0, 30.0, 40.0));
        assert_eq!((found.confidence, found.class), (0.5, Class::Face));
        let plates = Results::parse(json, Some(Class::Plate)).unwrap();
        assert_eq!(plates.frame(1)[0].class, Class::Plate);
        // To find nothing is a result.
        assert_eq!(Results::parse("", None).unwrap().frames(), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, word) in [
            ("1,1,1,1,2,2,1,-1,-1,-1", "--class"),
            (
                "[{\"image_id\": 0, \"category_id\": 1, \"bbox\": [1, 1, 2, 2]}]",
                "image 0",
            ),
            (
                "[{\"image_id\": 1, \"category_id\": 9, \"bbox\": [1, 1, 2, 2]}]",
                "category 9",
            ),
            (
                "[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [1, 1, 0, 2]}]",
                "no area",
            ),
            ("[\n{\"image_id\": 1,\n", "line 3"),
        ] {
            let error = Results::parse(text, None).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
