//! How well faces and plates were covered, measured against what is known to be in a clip.
//!
//! A *leak* is a box of the truth in one frame of which less than 90 % was redacted; a track leaks if it does in any frame.
//! Sizes are heights of the truth's boxes in the frame's pixels.
//!
//! Invariant: boxes that the truth marks as to be ignored neither leak nor count as redacted without need.

mod coverage;
mod interval;
mod leaks;
mod truth;

pub use coverage::{Redacted, covered_share};
pub use interval::wilson;
pub use leaks::{BUCKETS, Bucket, Leaks, measure};
pub use truth::{Truth, TruthBox};
