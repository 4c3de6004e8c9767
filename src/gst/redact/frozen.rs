//! The cells of each track, taken once.
//!
//! Many frames of one face, each reduced to a few cells of its own, hold more than one frame does. So a track's cells are
//! taken in the first frame in which it is redacted and used in all others. A tracker gives a new number to whatever it
//! sees after a scene cut.
//!
//! Invariant: of a track only one set of cells is ever painted, as long as it is not absent for [`ABSENT`] frames.

use std::collections::HashMap;

use crate::error::Result;
use crate::frame::Frame;
use crate::gst::meta::MarkedRegion;
use crate::redact::{Cells, Redactor, Region};

/// Frames without a track after which its cells are forgotten; trackers give up much earlier.
const ABSENT: u64 = 3000;
/// Frames between two looks for absent tracks.
const TIDY: u64 = 500;

/// Cells by track.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    frame: u64,
    cells: HashMap<i32, (Cells, u64)>,
}

impl Frozen {
    /// The regions of the next frame, those of known tracks with the cells that were taken first.
    ///
    /// Errors: a region whose box is not valid.
    pub fn regions(
        &mut self,
        redactor: &Redactor,
        frame: &Frame<'_>,
        marked: &[MarkedRegion],
    ) -> Result<Vec<Region>> {
        self.frame += 1;
        if self.frame.is_multiple_of(TIDY) {
            let now = self.frame;
            self.cells.retain(|_, (_, last)| now - *last < ABSENT);
        }
        let freeze = |marked: &MarkedRegion| {
            let mut region = marked.region;
            if let Some(track) = marked.track {
                if let Some((cells, last)) = self.cells.get_mut(&track) {
                    region.frozen = Some(*cells);
                    *last = self.frame;
                } else if let Some(cells) = redactor.sample(frame, &region)? {
                    region.frozen = Some(cells);
                    self.cells.insert(track, (cells, self.frame));
                }
            }
            Ok(region)
        };
        marked.iter().map(freeze).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Class;
    use crate::frame::{Colour, PixelFormat};
    use crate::geometry::BBox;
    use crate::redact::Settings;

    fn frozen(all: &mut Frozen, grey: u8, track: Option<i32>) -> Option<Cells> {
        let (luma, chroma) = (vec![grey; 64 * 64], vec![128; 32 * 32]);
        let frame = Frame::new(
            PixelFormat::I420,
            64,
            64,
            Colour::default(),
            &[&luma, &chroma, &chroma],
            &[64, 32, 32],
        )
        .unwrap();
        let marked = MarkedRegion {
            region: Region::new(BBox::from_xywh(16.0, 16.0, 20.0, 20.0), Class::Face),
            track,
            state: None,
        };
        let settings = Settings {
            levels: 8,
            accept_reversible: true,
            ..Settings::default()
        };
        let redactor = Redactor::new(settings).unwrap();
        all.regions(&redactor, &frame, &[marked]).unwrap()[0].frozen
    }

    #[test]
    fn a_tracks_first_cells_stay_and_other_tracks_have_their_own() {
        let mut all = Frozen::default();
        let first = frozen(&mut all, 20, Some(1));
        assert!(first.is_some());
        assert_eq!(frozen(&mut all, 200, Some(1)), first);
        assert_ne!(frozen(&mut all, 200, Some(2)), first);
        assert_eq!(frozen(&mut all, 120, None), None);
        assert_eq!(frozen(&mut all, 120, Some(1)), first);
    }

    #[test]
    fn tracks_that_are_long_gone_are_forgotten() {
        let mut all = Frozen::default();
        for track in 0..100 {
            frozen(&mut all, 20, Some(track));
        }
        assert_eq!(all.cells.len(), 100);
        for _ in 0..ABSENT + TIDY {
            frozen(&mut all, 20, Some(5));
        }
        assert_eq!(all.cells.len(), 1);
    }
}
