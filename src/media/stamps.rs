//! What muxers write of their own accord and differently each time: times of creation and random numbers.
//!
//! Invariant: the same pictures with the same time stamps become the same bytes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use gst::glib;
use gst::prelude::*;

use super::encode::Container;
use crate::error::{Error, Result};

/// Largest description of a file's streams that is looked into, in bytes.
const LARGEST_MOOV: u64 = 1 << 30;

/// Length of a cluster of Matroska or WebM.
const LONGEST_CLUSTER: gst::ClockTime = gst::ClockTime::SECOND;

/// Makes `muxer`, of `container`, write the same each time for an input of `length` bytes. To be called right before the
/// pipeline starts; the random numbers are those of the whole process.
pub fn settle(muxer: &gst::Element, container: Container, length: u64) {
    if matches!(container, Container::Mkv | Container::WebM) {
        // A muxer returns to the beginning of its cluster: what goes to object storage has to wait as long.
        muxer.set_property("max-cluster-duration", LONGEST_CLUSTER.nseconds() as i64);
        if let Ok(epoch) = glib::DateTime::from_unix_utc(0) {
            muxer.set_property("creation-time", epoch);
        }
        // Track numbers and the segment's number are taken from GLib's generator.
        let seed = (length ^ (length >> 32)) as u32;
        // SAFETY: takes a number and locks the generator.
        unsafe { glib::ffi::g_random_set_seed(seed) };
    }
}

/// Sets the times of creation in the finished file at `path` to none (0).
///
/// Errors: [`Error::Io`]; [`Error::Media`] when the file is not what its muxer writes.
pub fn clear_times(path: &Path, container: Container) -> Result<()> {
    if !matches!(container, Container::Mp4 | Container::Mov) {
        return Ok(());
    }
    let io = |source| Error::io(path, "writing", source);
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(io)?;
    let Some((start, length)) = find(&mut file, b"moov").map_err(io)? else {
        let name = path.display().to_string();
        return Err(Error::media(name, "the muxer wrote no description"));
    };
    let mut moov = vec![0; length as usize];
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    file.read_exact(&mut moov).map_err(io)?;
    clear(&mut moov);
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    file.write_all(&moov).map_err(io)
}

/// As [`clear_times`], in what a muxer writes at once; true when `written` is the description.
pub fn clear_times_of(written: &mut [u8]) -> bool {
    // A picture could begin with the name, but not also with its own length and that of the header which comes first.
    let is_description = written.len() >= 16
        && word(written) as usize == written.len()
        && &written[4..8] == b"moov"
        && &written[12..16] == b"mvhd";
    if is_description {
        clear(&mut written[8..]);
    }
    is_description
}

/// Start and length of the content of the first top-level box of `kind`.
fn find(file: &mut File, kind: &[u8; 4]) -> io::Result<Option<(u64, u64)>> {
    let end = file.metadata()?.len();
    let mut at = 0;
    while at + 8 <= end {
        let mut head = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head[..8])?;
        let (mut length, mut header) = (u64::from(word(&head)), 8);
        if length == 1 && at + 16 <= end {
            file.read_exact(&mut head[8..])?;
            length = u64::from(word(&head[8..])) << 32 | u64::from(word(&head[12..]));
            header = 16;
        } else if length == 0 {
            length = end - at;
        }
        if length < header || length > end - at {
            break;
        }
        if &head[4..8] == kind && length - header <= LARGEST_MOOV {
            return Ok(Some((at + header, length - header)));
        }
        at += length;
    }
    Ok(None)
}

/// The big-endian number at the start of `bytes`, which are at least four.
fn word(bytes: &[u8]) -> u32 {
    bytes[..4]
        .iter()
        .fold(0, |value, &byte| value << 8 | u32::from(byte))
}

/// Clears the times in every header among `boxes`.
fn clear(mut boxes: &mut [u8]) {
    while boxes.len() >= 8 {
        let length = word(boxes) as usize;
        if length < 8 || length > boxes.len() {
            return;
        }
        let (this, rest) = boxes.split_at_mut(length);
        let (head, content) = this.split_at_mut(8);
        match &head[4..8] {
            b"trak" | b"mdia" => clear(content),
            // Version, flags, then two times of four or eight bytes each.
            b"mvhd" | b"tkhd" | b"mdhd" => {
                let times = if content.first() == Some(&1) { 16 } else { 8 };
                if let Some(times) = content.get_mut(4..4 + times) {
                    times.fill(0);
                }
            }
            _ => {}
        }
        boxes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn only_times_are_cleared() {
        let short = [&[0, 0, 0, 7][..], &[9; 12]].concat();
        let long = [&[1, 0, 0, 7][..], &[9; 20]].concat();
        let other = boxed(b"udta", &[9; 16]);
        let mut moov = boxed(b"mvhd", &short);
        let inner = [
            boxed(b"tkhd", &long),
            boxed(b"mdia", &boxed(b"mdhd", &short)),
        ]
        .concat();
        moov.extend(boxed(b"trak", &inner));
        moov.extend(&other);
        let mut cleared = moov.clone();
        clear(&mut cleared);
        let changed = moov.iter().zip(&cleared).filter(|(a, b)| a != b).count();
        assert_eq!(changed, 8 + 16 + 8);
        assert!(cleared.ends_with(&other));
        // Whatever the lengths say, nothing panics.
        for end in 0..moov.len() {
            let mut cut = moov[..end].to_vec();
            clear(&mut cut);
        }
    }

    #[test]
    fn only_a_description_is_taken_for_one() {
        let content = [&[0, 0, 0, 0][..], &[9; 8]].concat();
        let mut moov = boxed(b"moov", &boxed(b"mvhd", &content));
        assert!(clear_times_of(&mut moov));
        assert!(moov.ends_with(&[0; 8]));
        for end in 0..moov.len() {
            assert!(!clear_times_of(&mut moov[..end]));
        }
        assert!(!clear_times_of(&mut boxed(
            b"mdat",
            &boxed(b"mvhd", &content)
        )));
    }

    #[test]
    fn the_description_is_found_behind_large_boxes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        let large = [&[0, 0, 0, 1][..], b"mdat", &20u64.to_be_bytes(), &[5; 4]].concat();
        let content = [&[0, 0, 0, 0][..], &[9; 8]].concat();
        let bytes = [
            boxed(b"ftyp", b"isom"),
            large,
            boxed(b"moov", &boxed(b"mvhd", &content)),
        ];
        std::fs::write(&path, bytes.concat()).unwrap();
        clear_times(&path, Container::Mp4).unwrap();
        let after = std::fs::read(&path).unwrap();
        assert!(after.ends_with(&[0; 8]));
        std::fs::write(&path, b"no boxes here").unwrap();
        assert!(clear_times(&path, Container::Mp4).is_err());
        clear_times(&path, Container::Mkv).unwrap();
    }
}
