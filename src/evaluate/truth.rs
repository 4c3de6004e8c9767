//! What is known to be in a clip or in pictures.

use std::path::Path;

use super::mot;
use crate::detect::Class;
use crate::error::{Error, Result};
use crate::geometry::BBox;

/// One box of the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBox {
    /// Number of the track.
    pub track: u64,
    /// Where, in the frame's pixels.
    pub bbox: BBox,
    /// What.
    pub class: Class,
    /// False: it is there, but nothing is asked of it.
    pub counts: bool,
}

/// The boxes of every frame, the first frame at index 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    frames: Vec<Vec<TruthBox>>,
}

impl Truth {
    /// Reads `path`: lines of `frame,id,left,top,width,height,conf,class,visibility`, frames counted from 1, class 1 a face
    /// and 2 a plate, conf 0 to be ignored.
    ///
    /// Errors: [`Error::Io`] when the file cannot be read, [`Error::Media`] with the first line that is not of this form.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_as(path, None)
    }

    /// As [`read`](Self::read); with `class` every box is of that class.
    ///
    /// Errors: as for [`read`](Self::read).
    pub fn read_as(path: &Path, class: Option<Class>) -> Result<Self> {
        let text = read_text(path)?;
        Self::parse(&text, class)
            .map_err(|problem| Error::media(path.display().to_string(), problem))
    }

    /// As [`read_as`](Self::read_as), from text.
    ///
    /// Errors: which line is wrong; a file without lines. One with the names of the columns alone says that nothing is there.
    pub fn parse(text: &str, class: Option<Class>) -> Result<Self, String> {
        let mut truth = Self::default();
        if text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(format!(
                "it is empty; where nothing is, it must say so by the line {} alone",
                mot::NAMES
            ));
        }
        for record in mot::parse(text, class)? {
            let counts = record.confidence > 0.0;
            let track = u64::try_from(record.track).map_err(|_| {
                format!(
                    "a box of frame {} has no track: id is {}",
                    record.frame + 1,
                    record.track
                )
            })?;
            let found = TruthBox {
                track,
                bbox: record.bbox,
                class: record.class,
                counts,
            };
            let same = |it: &TruthBox| (it.track, it.class) == (track, found.class);
            if truth.frame(record.frame).iter().any(same) {
                return Err(format!(
                    "track {track} has two {} boxes in frame {}; give each its own id",
                    found.class,
                    record.frame + 1
                ));
            }
            truth.add(record.frame, found);
        }
        Ok(truth)
    }

    /// Adds a box to frame `index`.
    pub(super) fn add(&mut self, index: usize, found: TruthBox) {
        if self.frames.len() <= index {
            self.frames.resize_with(index + 1, Vec::new);
        }
        self.frames[index].push(found);
    }

    /// The boxes of frame `index`, counted from 0.
    pub fn frame(&self, index: usize) -> &[TruthBox] {
        self.frames.get(index).map_or(&[], Vec::as_slice)
    }

    /// Number of frames up to the last that has a box.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }
}

/// The text of a file with truth or results.
pub(super) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::io(path, "reading", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_boxes_of_their_frames() {
        let text = "frame,id,left,top,width,height,conf,class,visibility\n\
                    1,3,10.5,20,30,40,1,1,0.9\n\n3,4,1,2,3,4,0,2,1\n3,3,11,20,30,40,1,1,0.9\n";
        let truth = Truth::parse(text, None).unwrap();
        assert_eq!(truth.frames(), 3);
        assert_eq!(truth.frame(0).len(), 1);
        assert_eq!(truth.frame(0)[0].bbox, BBox::new(10.5, 20.0, 40.5, 60.0));
        assert!(truth.frame(1).is_empty() && truth.frame(99).is_empty());
        let plate = truth.frame(2)[0];
        assert!(plate.class == Class::Plate && !plate.counts && plate.track == 4);
    }

    #[test]
    fn a_clip_where_nothing_is_has_a_truth() {
        let truth = Truth::parse(&format!("{}\n", mot::NAMES), None).unwrap();
        assert_eq!(truth.frames(), 0);
    }

    #[test]
    fn what_is_no_truth_is_refused() {
        let error = |text: &str| Truth::parse(text, None).unwrap_err();
        assert!(error("\u{feff}\n").contains("it is empty"));
        assert!(error("{\"images\": []}").contains("MOTChallenge"));
        assert!(error("1,5,1,2,3,4,1,1,1\n1,5,9,2,3,4,1,1,1\n").contains("track 5 has two face"));
        assert!(error("1,-1,1,2,3,4,1,1,1\n").contains("has no track"));
        assert!(error("1,1,1,1,2,2,1,1,1\n1,1,1\n").starts_with("line 2: "));
    }
}
