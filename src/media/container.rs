//! Finds files that end before they should, which demuxers take for short ones.

use std::io::{Read, Seek, SeekFrom};

use super::transfer::Input;
use crate::error::{Error, Result};

/// Checks that a file of a container that states its own length is as long as it says.
///
/// MP4 and QuickTime: every top-level box ends inside the file and there is an index (`moov`). Matroska and
/// WebM: the segment, where its size is known, ends inside the file. AVI: likewise the first RIFF chunk.
///
/// Returns what is wrong with a file of full length, of which a part can still be read: Matroska and WebM whose
/// elements do not follow each other, at which demuxers stop without a word; and what `chain` finds.
///
/// Sources: ISO/IEC 14496-12, 4.2; RFC 8794, 6 and RFC 9559, 5.1; Microsoft's RIFF.
///
/// Errors: [`Error::Media`] when the file is cut off, [`Error::Io`] when it cannot be read.
pub fn check_whole(input: &Input) -> Result<Option<String>> {
    let io = |source| Error::io(input.name(), "reading", source);
    let mut file = input.open()?;
    let length = file.seek(SeekFrom::End(0)).map_err(io)?;
    file.rewind().map_err(io)?;
    let mut head = [0u8; 12];
    let read = read_up_to(&mut file, &mut head).map_err(io)?;
    let cut = match (&head[..4], &head[4..8]) {
        _ if read < head.len() => None,
        (_, b"ftyp" | b"moov" | b"mdat" | b"free" | b"skip" | b"wide") => {
            check_boxes(&mut file, length).map_err(io)?
        }
        ([0x1a, 0x45, 0xdf, 0xa3], _) => match check_segment(&mut file, length).map_err(io)? {
            Segment::Whole => None,
            Segment::Cut(problem) => Some(problem),
            Segment::Damaged(at) => {
                return Ok(Some(format!(
                    "the file is damaged at byte {at} of {length}; pictures after it may be missing"
                )));
            }
        },
        (b"RIFF", size) if &head[8..12] == b"AVI " => {
            let size = size
                .iter()
                .rev()
                .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
            missing(8 + size, length)
        }
        _ => return super::chain::problem(&mut file, length, &head).map_err(io),
    };
    match cut {
        None => Ok(None),
        Some(problem) => Err(Error::media(input.name().display().to_string(), problem)),
    }
}

fn missing(end: u64, length: u64) -> Option<String> {
    (end > length).then(|| {
        format!(
            "the file is cut off: it should have at least {end} bytes and has {length}; get a whole copy"
        )
    })
}

fn read_up_to(file: &mut (impl Read + Seek), buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn check_boxes(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<Option<String>> {
    let mut position = 0u64;
    let mut indexed = false;
    while position < length {
        file.seek(SeekFrom::Start(position))?;
        let mut head = [0u8; 16];
        let read = read_up_to(file, &mut head)?;
        if read < 8 {
            // A few stray bytes at the end hold no media.
            break;
        }
        indexed |= matches!(&head[4..8], b"moov" | b"moof");
        let short = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let size = match short {
            0 => length - position,
            1 if read == 16 => u64::from_be_bytes([
                head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
            ]),
            1 => return Ok(missing(position + 16, length)),
            size => size,
        };
        if size < 8 {
            break;
        }
        let end = position.saturating_add(size);
        if end > length {
            return Ok(missing(end, length));
        }
        position = end;
    }
    Ok((!indexed).then(|| {
        "the file has no index (moov box): its recording was not finished; repair it or get a whole copy".into()
    }))
}

/// Reads an EBML element's id and size at the file's position; the size is None when it is not known.
fn element(file: &mut (impl Read + Seek)) -> std::io::Result<Option<(u32, Option<u64>, u64)>> {
    let mut head = [0u8; 12];
    let read = read_up_to(file, &mut head)?;
    let id_length = head[0].leading_zeros() as usize + 1;
    if id_length > 4 || read <= id_length {
        return Ok(None);
    }
    let id = head[..id_length]
        .iter()
        .fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte));
    let size_length = head[id_length].leading_zeros() as usize + 1;
    if size_length > 8 || read < id_length + size_length {
        return Ok(None);
    }
    let bits = 7 * size_length as u32;
    let mask = (1u64 << bits) - 1;
    let size = head[id_length..id_length + size_length]
        .iter()
        .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte))
        & mask;
    let size = (size != mask).then_some(size);
    Ok(Some((id, size, (id_length + size_length) as u64)))
}

/// What a look at the elements of a Matroska file says.
enum Segment {
    Whole,
    Cut(String),
    /// At this byte there is no element that could be there.
    Damaged(u64),
}

const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
/// Elements that may be anywhere: Void and CRC-32.
const GLOBAL: [u32; 2] = [0xec, 0xbf];
/// SeekHead, Info, Tracks, Cluster, Cues, Chapters, Tags, Attachments.
const IN_SEGMENT: [u32; 8] = [
    0x114d_9b74,
    0x1549_a966,
    0x1654_ae6b,
    CLUSTER,
    0x1c53_bb6b,
    0x1043_a770,
    0x1254_c367,
    0x1941_a469,
];
/// Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock.
const IN_CLUSTER: [u32; 7] = [0xe7, 0x5854, 0xa7, 0xab, 0xa3, 0xa0, 0xaf];

fn check_segment(file: &mut (impl Read + Seek), length: u64) -> std::io::Result<Segment> {
    let mut position = 0u64;
    while position < length {
        file.seek(SeekFrom::Start(position))?;
        let Some((id, size, head)) = element(file)? else {
            break;
        };
        let Some(size) = size else { break };
        let from = position.saturating_add(head);
        let end = from.saturating_add(size);
        if id == SEGMENT {
            if let Some(problem) = missing(end, length) {
                return Ok(Segment::Cut(problem));
            }
            return Ok(match damage(file, from, end, &IN_SEGMENT)? {
                Some(at) => Segment::Damaged(at),
                None => Segment::Whole,
            });
        }
        position = end;
    }
    Ok(Segment::Whole)
}

/// Where between the bytes `from` and `to` something else begins than one of the elements `known`, if anywhere. From
/// an element of unknown size on, as live recordings have, nothing can be said.
fn damage(
    file: &mut (impl Read + Seek),
    from: u64,
    to: u64,
    known: &[u32],
) -> std::io::Result<Option<u64>> {
    let mut position = from;
    while position < to {
        file.seek(SeekFrom::Start(position))?;
        let (id, size, head) = match element(file)? {
            Some(found) if known.contains(&found.0) || GLOBAL.contains(&found.0) => found,
            _ => return Ok(Some(position)),
        };
        let Some(size) = size else { return Ok(None) };
        let inside = position.saturating_add(head);
        let end = inside.saturating_add(size);
        if end > to {
            return Ok(Some(position));
        }
        if id == CLUSTER
            && let Some(at) = damage(file, inside, end, &IN_CLUSTER)?
        {
            return Ok(Some(at));
        }
        position = end;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> std::result::Result<Option<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip");
        std::fs::write(&path, bytes).unwrap();
        check_whole(&Input::file(&path)).map_err(|error| error.to_string())
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn boxes_must_end_inside_the_file() {
        let whole = [
            boxed(b"ftyp", b"isom"),
            boxed(b"moov", &[0; 40]),
            boxed(b"mdat", &[7; 100]),
        ]
        .concat();
        assert_eq!(check(&whole), Ok(None));
        for cut in 25..whole.len() - 1 {
            let outcome = check(&whole[..cut]);
            // A cut between boxes, or inside a box's head, leaves a file that is whole as far as boxes tell.
            let between = (60..68).contains(&cut);
            assert_eq!(outcome.is_ok(), between, "cut at {cut}: {outcome:?}");
        }
        let unfinished = [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 100])].concat();
        assert!(check(&unfinished).unwrap_err().contains("no index"));
        let mut wide = boxed(b"ftyp", b"isom");
        wide.extend(boxed(b"moov", &[]));
        wide.extend([0, 0, 0, 1]);
        wide.extend(b"mdat");
        wide.extend(17u64.to_be_bytes());
        assert!(check(&wide).unwrap_err().contains("cut off"));
        wide.push(1);
        assert_eq!(check(&wide), Ok(None));
    }

    #[test]
    fn elements_of_a_segment_must_follow_each_other() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x80];
        let cluster = [
            0x1f, 0x43, 0xb6, 0x75, 0x87, 0xe7, 0x81, 0, 0xa3, 0x82, 7, 7,
        ];
        let inside = [&[0xec, 0x81, 0], cluster.as_slice(), &cluster].concat();
        let segment = [0x18, 0x53, 0x80, 0x67, 0x80 | inside.len() as u8];
        let whole = [head.as_slice(), &segment, &inside].concat();
        assert_eq!(check(&whole), Ok(None));
        for (at, value, told) in [(10, 0x42, 10), (13, 0, 13), (21, 0x42, 21), (22, 0x90, 21)] {
            let mut broken = whole.clone();
            broken[at] = value;
            let told = format!("at byte {told} of");
            let damage = check(&broken).unwrap().unwrap_or_default();
            assert!(damage.contains(&told), "{at}: {damage}");
        }
        // What a block holds is for the decoder.
        let mut other = whole.clone();
        other[23] = 0;
        assert_eq!(check(&other), Ok(None));
    }

    #[test]
    fn segments_and_chunks_must_end_inside_the_file() {
        let head = [0x1a, 0x45, 0xdf, 0xa3, 0x84, 1, 2, 3, 4];
        let mut matroska = [head.as_slice(), &[0x18, 0x53, 0x80, 0x67, 0x88]].concat();
        // A Void element of eight bytes.
        matroska.extend([0xec, 0x86, 0, 0, 0, 0, 0]);
        assert!(check(&matroska).unwrap_err().contains("cut off"));
        matroska.push(0);
        assert_eq!(check(&matroska), Ok(None));
        let live = [head.as_slice(), &[0x18, 0x53, 0x80, 0x67, 0xff, 1, 2]].concat();
        assert_eq!(check(&live), Ok(None));
        assert!(
            check(b"RIFF\x10\0\0\0AVI LIST")
                .unwrap_err()
                .contains("cut off")
        );
        assert_eq!(check(b"RIFF\x08\0\0\0AVI LIST"), Ok(None));
        assert_eq!(check(b"G"), Ok(None));
        assert_eq!(check(b""), Ok(None));
    }
}
