//! What is known to be in a clip: boxes by frame and track, in MOTChallenge's CSV.

use std::path::Path;

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
        let text =
            std::fs::read_to_string(path).map_err(|error| Error::io(path, "reading", error))?;
        Self::parse(&text).map_err(|problem| Error::media(path.display().to_string(), problem))
    }

    /// As [`read`](Self::read), from text.
    ///
    /// Errors: which line is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut truth = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            // A head with names of the columns is common.
            if line.is_empty() || (index == 0 && line.starts_with("frame")) {
                continue;
            }
            let (frame, found) = parse_line(line).ok_or_else(|| {
                format!(
                    "line {}: {line:?} is not frame,id,left,top,width,height,conf,class,visibility with a frame from 1 \
                     to 10000000, a box with an area, and class 1 (face) or 2 (plate)",
                    index + 1
                )
            })?;
            if truth.frames.len() < frame {
                truth.frames.resize_with(frame, Vec::new);
            }
            truth.frames[frame - 1].push(found);
        }
        Ok(truth)
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

fn parse_line(line: &str) -> Option<(usize, TruthBox)> {
    let fields: Vec<f32> = line
        .split(',')
        .map(|field| field.trim().parse().ok())
        .collect::<Option<_>>()?;
    let &[frame, track, left, top, width, height, counts, class, ..] = fields.as_slice() else {
        return None;
    };
    let whole =
        |value: f32| (value.fract() == 0.0 && (0.0..=1e7).contains(&value)).then_some(value);
    let bbox = BBox::from_xywh(left, top, width, height);
    let class = match class {
        1.0 => Class::Face,
        2.0 => Class::Plate,
        _ => return None,
    };
    let found = TruthBox {
        track: whole(track)? as u64,
        bbox,
        class,
        counts: counts > 0.0,
    };
    let frame = whole(frame)? as usize;
    (frame >= 1 && bbox.is_valid()).then_some((frame, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_boxes_of_their_frames() {
        let text = "frame,id,left,top,width,height,conf,class,visibility\n\
                    1,3,10.5,20,30,40,1,1,0.9\n\n3,4,1,2,3,4,0,2,1\n3,3,11,20,30,40,1,1,0.9\n";
        let truth = Truth::parse(text).unwrap();
        assert_eq!(truth.frames(), 3);
        assert_eq!(truth.frame(0).len(), 1);
        assert_eq!(truth.frame(0)[0].bbox, BBox::new(10.5, 20.0, 40.5, 60.0));
        assert!(truth.frame(1).is_empty() && truth.frame(99).is_empty());
        let plate = truth.frame(2)[0];
        assert!(plate.class == Class::Plate && !plate.counts && plate.track == 4);
    }

    #[test]
    fn other_lines_are_named() {
        for bad in [
            "0,1,1,1,2,2,1,1,1",
            "1,1,1,1,0,2,1,1,1",
            "1,1,1,1,2,2,1,3,1",
            "1,1,1,1,2,2,1",
            "1,1,x,1,2,2,1,1,1",
            "1.5,1,1,1,2,2,1,1,1",
            "1,-1,1,1,2,2,1,1,1",
            "99999999,1,1,1,2,2,1,1,1",
            "1,1,nan,1,2,2,1,1,1",
        ] {
            let error = Truth::parse(&format!("1,1,1,1,2,2,1,1,1\n{bad}\n")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{bad}: {error}");
        }
    }
}
