//! The boxes of fragmented MP4, as far as cutting a stream into init segment and fragments needs them.

/// What a stream of fragmented MP4 consists of.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// `ftyp` and `moov`: what a player needs before any fragment.
    Init(Vec<u8>),
    /// `moof` and `mdat`: one group of pictures.
    Fragment(Vec<u8>),
}

/// Cuts a stream of bytes at its boxes.
#[derive(Debug, Default)]
pub struct Cutter {
    waiting: Vec<u8>,
    part: Vec<u8>,
}

impl Cutter {
    /// Takes bytes; returns the parts that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Part> {
        self.waiting.extend_from_slice(bytes);
        let mut parts = Vec::new();
        while let Some((kind, size)) = header(&self.waiting) {
            if self.waiting.len() < size {
                break;
            }
            let whole: Vec<u8> = self.waiting.drain(..size).collect();
            match &kind {
                b"ftyp" | b"moof" => self.part = whole,
                b"moov" => {
                    self.part.extend(whole);
                    parts.push(Part::Init(std::mem::take(&mut self.part)));
                }
                b"mdat" => {
                    self.part.extend(whole);
                    parts.push(Part::Fragment(std::mem::take(&mut self.part)));
                }
                // Indexes and the muxer's own notes: not needed.
                _ => {}
            }
        }
        parts
    }
}

/// Kind and size of the box that `bytes` begin with; None when they are too few.
pub fn header(bytes: &[u8]) -> Option<([u8; 4], usize)> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let size = match size {
        1 => u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?) as usize,
        size => size as usize,
    };
    Some((kind, size.max(8)))
}

/// Where the boxes `path` lead to in `bytes`: the last one's content.
fn find(bytes: &[u8], path: &[&[u8; 4]]) -> Option<std::ops::Range<usize>> {
    let (mut start, mut end) = (0, bytes.len());
    for wanted in path {
        let mut at = start;
        loop {
            let (kind, size) = header(bytes.get(at..end)?)?;
            let next = at.checked_add(size).filter(|next| *next <= end)?;
            if kind == **wanted {
                (start, end) = (at + 8, next);
                break;
            }
            at = next;
        }
    }
    Some(start..end)
}

const DECODE_TIME: [&[u8; 4]; 3] = [b"moof", b"traf", b"tfdt"];

/// The decode time of a fragment's first picture, in units of the track.
pub fn decode_time(fragment: &[u8]) -> Option<u64> {
    let content = &fragment[find(fragment, &DECODE_TIME)?];
    if content.first()? == &1 {
        return Some(u64::from_be_bytes(content.get(4..12)?.try_into().ok()?));
    }
    Some(u32::from_be_bytes(content.get(4..8)?.try_into().ok()?).into())
}

/// How many pictures a fragment has.
pub fn samples(fragment: &[u8]) -> u64 {
    let count = || {
        let content = &fragment[find(fragment, &[b"moof", b"traf", b"trun"])?];
        Some(u32::from_be_bytes(content.get(4..8)?.try_into().ok()?))
    };
    count().unwrap_or(0).into()
}

/// Sets a fragment's number; nothing changes where it has none.
pub fn set_sequence(fragment: &mut [u8], sequence: u32) {
    if let Some(range) = find(fragment, &[b"moof", b"mfhd"])
        && let Some(number) = fragment[range].get_mut(4..8)
    {
        number.copy_from_slice(&sequence.to_be_bytes());
    }
}

/// Sets the decode time of a fragment's first picture; false, and nothing changes, where it has none or it does not fit.
pub fn set_decode_time(fragment: &mut [u8], time: u64) -> bool {
    let Some(range) = find(fragment, &DECODE_TIME) else {
        return false;
    };
    let content = &mut fragment[range];
    match (content.first(), content.len(), u32::try_from(time)) {
        (Some(1), 12.., _) => content[4..12].copy_from_slice(&time.to_be_bytes()),
        (Some(0), 8.., Ok(short)) => content[4..8].copy_from_slice(&short.to_be_bytes()),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut bytes = (content.len() as u32 + 8).to_be_bytes().to_vec();
        bytes.extend(kind);
        bytes.extend(content);
        bytes
    }

    fn fragment(version: u8, time: &[u8]) -> Vec<u8> {
        let tfdt = boxed(b"tfdt", &[&[version, 0, 0, 0], time].concat());
        let traf = boxed(b"traf", &[boxed(b"tfhd", &[0; 8]), tfdt].concat());
        let moof = boxed(b"moof", &[boxed(b"mfhd", &[0; 8]), traf].concat());
        [moof, boxed(b"mdat", b"pictures")].concat()
    }

    #[test]
    fn a_stream_is_cut_wherever_it_is_torn() {
        let init = [boxed(b"ftyp", b"iso6"), boxed(b"moov", b"tracks")].concat();
        let first = fragment(0, &[0, 0, 0, 7]);
        let stream = [
            init.clone(),
            boxed(b"uuid", b"notes"),
            first.clone(),
            first.clone(),
        ]
        .concat();
        for step in [1, 5, 13, stream.len()] {
            let mut cutter = Cutter::default();
            let parts: Vec<Part> = stream
                .chunks(step)
                .flat_map(|chunk| cutter.push(chunk))
                .collect();
            assert_eq!(
                parts,
                [
                    Part::Init(init.clone()),
                    Part::Fragment(first.clone()),
                    Part::Fragment(first.clone())
                ]
            );
        }
    }

    #[test]
    fn fragments_are_numbered_and_their_pictures_counted() {
        let mut numbered = fragment(0, &[0; 4]);
        set_sequence(&mut numbered, 7);
        let at = find(&numbered, &[b"moof", b"mfhd"]).expect("it has one");
        assert_eq!(numbered[at], [0, 0, 0, 0, 0, 0, 0, 7]);
        set_sequence(&mut boxed(b"moof", b""), 1);
        assert_eq!(samples(&numbered), 0, "no run");
        let run = boxed(b"trun", &[0, 0, 7, 1, 0, 0, 0, 9]);
        assert_eq!(samples(&boxed(b"moof", &boxed(b"traf", &run))), 9);
    }

    #[test]
    fn decode_times_are_read_and_written_in_both_widths() {
        for mut fragment in [
            fragment(0, &[0, 0, 1, 0]),
            fragment(1, &[0, 0, 0, 0, 0, 0, 1, 0]),
        ] {
            assert_eq!(decode_time(&fragment), Some(256));
            assert!(set_decode_time(&mut fragment, 9));
            assert_eq!(decode_time(&fragment), Some(9));
        }
        assert!(
            !set_decode_time(&mut fragment(0, &[0; 4]), 1 << 40),
            "it does not fit"
        );
        assert_eq!(decode_time(b"no boxes at all"), None);
        assert!(!set_decode_time(&mut boxed(b"moof", b""), 1));
    }

    proptest! {
        /// What comes out of a worker that was taken over, or is left of a file, may be anything.
        #[test]
        fn any_bytes_are_looked_through(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(8), any::<u8>()], 0..80),
            torn in 1usize..20,
            kinds in prop::collection::vec((0usize..7, 0u32..40), 0..4),
        ) {
            let known = [b"ftyp", b"moov", b"moof", b"mdat", b"traf", b"tfdt", b"trun"];
            let mut stream = bytes.clone();
            for (kind, size) in kinds {
                stream.extend(size.to_be_bytes());
                stream.extend(known[kind]);
                stream.extend(&bytes);
            }
            let mut cutter = Cutter::default();
            let mut given = 0;
            for chunk in stream.chunks(torn) {
                for part in cutter.push(chunk) {
                    let (Part::Init(part) | Part::Fragment(part)) = part;
                    given += part.len();
                }
            }
            prop_assert!(given <= stream.len());
            let before = stream.clone();
            samples(&stream);
            set_sequence(&mut stream, 7);
            if set_decode_time(&mut stream, 9) {
                prop_assert_eq!(decode_time(&stream), Some(9));
            }
            prop_assert_eq!(stream.len(), before.len());
        }
    }
}
