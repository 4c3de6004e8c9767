//! What a finished file holds beside its pictures: a walk through its structure, byte by byte, against a list of what is
//! allowed there.
//!
//! Invariants: nothing is taken on trust because a demuxer passes over it. Every byte belongs to a structure that is on
//! the list and has the form that it should have, or is reported with its place. No input makes it panic, and what it
//! keeps in memory is bounded.
//!
//! What coding itself can hide is out of its reach: what the decoder computes from entropy-coded bits, and bits after
//! the last block of a slice or a sound packet. That is why nothing coded is ever passed on from an input.

mod ebml;
mod matroska;
mod mp4;
mod mp4_fragments;
mod mp4_leaf;
mod mp4_samples;
mod nal;
mod obu;
mod packets;
mod picture;
mod redetect;
mod source;

use std::fs::File;
use std::path::Path;

use serde::Serialize;

use crate::credentials::Signed;
use crate::error::{Error, Result};
pub use redetect::{Place, Residual, Search};
pub use source::Source;
use source::Walk;

/// Something in a file that is not on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// The structure it is in: `moov/udta`, `Segment/Tags`, `APP1`.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a file turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Its format: `MP4`, `QuickTime`, `Matroska`, `WebM`, `JPEG`, `PNG`, `WebP`; empty when it is none of these.
    pub format: String,
    /// Its tracks in order, by kind and coding: `video avc1`.
    pub tracks: Vec<String>,
    /// Pictures and sound packets that were looked at one by one.
    pub packets: u64,
    /// Content credentials that are written here and hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Signed>,
    /// What is not on the list, in the order of the file; at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
}

/// Findings after which the walk ends: such a file was not made here.
pub const MOST_FINDINGS: usize = 200;

/// Walks through the file `path`.
///
/// Errors: [`Error::Io`] when it cannot be read. A file that is damaged, or of a format that is never written here, is
/// a finding and no error.
pub fn inspect(path: &Path) -> Result<Inspection> {
    File::open(path)
        .and_then(|file| inspect_source(&file))
        .map_err(|source| Error::io(path, "reading", source))
}

/// As [`inspect`], for anything that can be read.
///
/// Errors: those of `source`.
pub fn inspect_source(source: &dyn Source) -> std::io::Result<Inspection> {
    let mut walk = Walk::new(source)?;
    let head = walk.up_to(0, 16)?;
    match head.as_slice() {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4::walk(&mut walk)?,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska::walk(&mut walk)?,
        [0xff, 0xd8, ..] => picture::jpeg(&mut walk)?,
        [0x89, b'P', b'N', b'G', ..] => picture::png(&mut walk)?,
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => {
            picture::webp(&mut walk)?;
        }
        _ => walk.report(0, "file", "it is of no format that is written here"),
    }
    Ok(walk.done())
}

#[cfg(test)]
mod tests;
