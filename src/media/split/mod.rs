//! Very long videos in chunks that are redacted at the same time, by the same decisions as if they were one.
//!
//! A tracker's state reaches back without bound, so no overlap of chunks would make decisions equal. Instead there are steps,
//! each in a process of its own but the second one:
//!
//! 1. `index`: where the video can be cut, by its packets alone.
//! 2. `find`: for each chunk, what is in its frames; `decide`: one tracker goes over what was found in all of them, in order.
//! 3. `redact`: for each chunk, decode it once more, redact what was decided, and encode it.
//! 4. `join`: put the coded chunks, and sound where it is kept, into the output.
//!
//! Invariants: the frames of the chunks are, one for one and at the same times, those that the packets of the whole video
//! hold, and decoding from a cut on gives the same pictures as decoding from before it; what cannot be shown to be so is not
//! split. A frame of which nothing was decided is filled. Where frozen cells would hold anything of a picture the video is not split: a
//! chunk could not know those of its tracks that began before it.

mod decide;
mod find;
mod index;
mod join;
mod redact;
mod wire;

pub use super::window::Chunk;
pub use decide::{Decided, decide};
pub use find::{Found, find};
pub use index::{MOST_CHUNKS, cuts};
pub use join::join;
pub use redact::{Part, redact_chunk};

use crate::detect::Class;
use crate::redact::Settings;

/// What a step says, or why the video has to be redacted as a whole.
pub type Split<T> = Result<T, String>;

/// Why a video with these settings cannot be split; None when it can.
pub fn obstacle(settings: &Settings, detect_every: u32) -> Option<&'static str> {
    if detect_every > 1 {
        return Some("which frames are analysed (--detect-every) depends on all frames before");
    }
    let keeps_cells = Class::ALL
        .iter()
        .any(|class| settings.reversible(*class).is_some());
    keeps_cells.then_some("a region's cells are frozen for its whole track (--levels more than 1)")
}
