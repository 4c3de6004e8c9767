//! MPEG transport streams as files: packets of one size, each of which begins with a mark and counts on within its stream. What
//! was lost on the way to the recorder shows in the counts alone: demuxers go on with what is there.

use std::collections::HashMap;
use std::io::Read;

use super::chain::{cut, damaged};

const SYNC: u8 = 0x47;
/// Bytes of a packet itself.
const PACKET: usize = 188;
/// Streams below are tables, which a recording begins with. Files put behind each other count anew from there on.
const TABLES: u16 = 0x20;
/// The stream of packets that only fill, and count nothing.
const NULL: u16 = 0x1fff;

/// How packets lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Bytes before the mark: a time stamp in files of camcorders and Blu-ray (M2TS).
    before: usize,
    /// Bytes behind the packet: a code that corrects errors, in files of some receivers.
    behind: usize,
}

impl Packets {
    const KNOWN: [Self; 3] = [
        Self {
            before: 0,
            behind: 0,
        },
        Self {
            before: 4,
            behind: 0,
        },
        Self {
            before: 0,
            behind: 16,
        },
    ];

    /// Those of a file that begins with `head`, which shows two packets at least; None when it is something else.
    pub fn of(head: &[u8]) -> Option<Self> {
        let fits = |it: &Self| {
            [0, it.size()]
                .iter()
                .all(|at| head.get(at + it.before) == Some(&SYNC))
        };
        Self::KNOWN.into_iter().find(fits)
    }

    fn size(&self) -> usize {
        self.before + PACKET + self.behind
    }
}

/// What is wrong with the file of `length` bytes that `reader` reads from its beginning; None when nothing is.
///
/// Source: ISO/IEC 13818-1, 2.4.3.3 (marks, errors and counts of packets).
pub fn problem(
    reader: &mut impl Read,
    packets: Packets,
    length: u64,
) -> std::io::Result<Option<String>> {
    let size = packets.size() as u64;
    let mut counts = Counts::default();
    let mut bytes = vec![0; packets.size()];
    for index in 0..length / size {
        reader.read_exact(&mut bytes)?;
        let packet = &bytes[packets.before..][..PACKET];
        if packet[0] != SYNC || !counts.goes_on(packet) {
            return Ok(Some(damaged(index * size, length)));
        }
    }
    Ok((!length.is_multiple_of(size)).then(|| cut(length)))
}

/// The last count of each stream, and whether it was repeated.
#[derive(Default)]
struct Counts(HashMap<u16, (u8, bool)>);

impl Counts {
    /// False when `packet` is marked as wrong, or one before it in its stream is missing.
    fn goes_on(&mut self, packet: &[u8]) -> bool {
        let stream = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        let (extended, filled, count) = (
            packet[3] & 0x20 != 0,
            packet[3] & 0x10 != 0,
            packet[3] & 0x0f,
        );
        if packet[1] & 0x80 != 0 {
            return false;
        }
        if stream == NULL {
            return true;
        }
        // A break that the sender tells of.
        let told = extended && packet[4] > 0 && packet[5] & 0x80 != 0;
        let Some(&(last, repeated)) = self.0.get(&stream) else {
            self.0.insert(stream, (count, false));
            return true;
        };
        // A packet may be sent twice; without a payload it does not count on.
        let same = count == last && (!filled || !repeated);
        let next = filled && count == (last + 1) & 0x0f;
        let goes_on = told || same || next;
        if !goes_on && stream < TABLES {
            self.0.clear();
        }
        self.0.insert(stream, (count, filled && count == last));
        goes_on || stream < TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::chain::tests::{breaks, check};

    /// Five packets of one stream with payloads, as `packets` says.
    fn stream(packets: Packets) -> Vec<u8> {
        let mut whole = Vec::new();
        for count in 13..18u8 {
            whole.extend(std::iter::repeat_n(1, packets.before));
            whole.extend([SYNC, 0x01, 0x00, 0x10 | count & 0x0f]);
            whole.extend([7; PACKET - 4]);
            whole.extend(std::iter::repeat_n(2, packets.behind));
        }
        whole
    }

    #[test]
    fn packets_begin_with_a_mark_and_count_on() {
        for packets in Packets::KNOWN {
            let whole = stream(packets);
            let size = packets.size();
            let at = packets.before + 2 * size;
            // The mark, the sign of an error, and the count.
            breaks(&whole, &[at, at + 1, at + 3]);
            let mut missing = whole.clone();
            missing.drain(2 * size..3 * size);
            let told = check(&missing).expect("a packet is missing");
            assert!(told.contains(&format!("byte {}", 2 * size)), "{told}");
        }
        assert_eq!(check(b"Genau"), None);
        let mut animation = b"GIF89a".to_vec();
        animation.resize(PACKET, 0);
        animation.extend([&[SYNC][..], &[0; 300]].concat());
        assert_eq!(check(&animation), None);
    }

    #[test]
    fn repeated_filling_and_announced_packets_are_no_damage() {
        let packets = Packets::KNOWN[0];
        let whole = stream(packets);
        let (before, behind) = whole.split_at(2 * PACKET);
        let with = |packet: &[u8]| check(&[before, packet, behind].concat());
        let last = &before[PACKET..];
        assert_eq!(with(last), None, "sent twice");
        assert!(with(&[last, last].concat()).is_some(), "sent three times");
        let mut null = last.to_vec();
        (null[1], null[2], null[3]) = (0x1f, 0xff, 0x15);
        assert_eq!(with(&null), None, "of the stream that fills");
        let mut clock = last.to_vec();
        (clock[3], clock[4], clock[5]) = (clock[3] & 0x0f | 0x20, 183, 0);
        assert_eq!(with(&clock), None, "without a payload");

        let table = |count: u8| [&[SYNC, 0, 0, 0x10 | count][..], &[7; PACKET - 4]].concat();
        let joined = [&table(5)[..], &whole, &table(0), &whole].concat();
        assert_eq!(check(&joined), None, "two files in one");
        assert!(check(&[&whole[..], &whole].concat()).is_some());

        let mut missing = whole.clone();
        missing.drain(2 * PACKET..3 * PACKET);
        let at = 2 * PACKET;
        (missing[at + 3], missing[at + 4], missing[at + 5]) = (missing[at + 3] | 0x30, 1, 0x80);
        assert_eq!(check(&missing), None, "a break that is told of");
    }
}
