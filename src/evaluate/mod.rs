//! How well faces and plates were covered, measured against what is known to be in a clip or in pictures.
//!
//! A *leak* is a box of the truth in one frame of which less than 90 % was altered; a track leaks if it does in any frame.
//! Sizes are heights of the truth's boxes in the frame's pixels. What is computed from what:
//!
//! | figure | of |
//! |---|---|
//! | recall, precision | confident detections, before tracking and margin, in frames that were analysed |
//! | coverage, leaks, exposed runs, over-redaction | areas redacted, margin and shape included, soft edges not; or pixels that differ |
//! | false areas | areas redacted, margin included, that meet no box of the truth |
//!
//! Invariant: boxes that the truth marks as to be ignored neither leak nor count as redacted without need, and what is
//! detected there is neither right nor wrong.

mod alignment;
mod coarse;
mod coco;
mod colour;
mod coverage;
mod evaluation;
mod figures;
mod interval;
mod matching;
mod mot;
mod pixels;
mod results;
mod truth;

pub use alignment::{Alignment, OutOfStep};
pub use coco::{Picture, Pictures};
pub use colour::in_colours_of;
pub use coverage::{Altered, Redacted, Regions};
pub use evaluation::{BoxResult, ENOUGH, Evaluation, Seen};
pub use figures::{ALL_HEIGHTS, BUCKETS, Figures, Heights, Rate, TrackResult, buckets};
pub use interval::{bootstrap, wilson};
pub use matching::{LEAST_IOU, Matches, matches};
pub use pixels::{Difference, Luma};
pub use results::Results;
pub use truth::{Truth, TruthBox};
