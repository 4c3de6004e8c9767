//! MP4 and QuickTime: which bytes of the media data belong to which picture or packet, and that there are no others.

use std::io;

use super::mp4::{after_times, number};
use super::mp4_leaf::Entry;
use super::packets::Coding;
use super::source::{Walk, show};

/// What the index says of a track.
#[derive(Default)]
pub struct Track {
    pub kind: Vec<u8>,
    pub coding: Entry,
    pub media_head: Vec<u8>,
    /// Place and content of the edit list.
    pub edits: Option<(u64, Vec<u8>)>,
    /// Kind, place and content of the sample tables, whose lengths were checked.
    pub tables: Vec<([u8; 4], u64, Vec<u8>)>,
    /// Its number in the file.
    pub id: u32,
    /// What fragments hold of it.
    fragmented: Vec<Part>,
}

/// A part of the media data: a packet where packets can be told, else several.
#[derive(Clone, Copy)]
struct Part {
    from: u64,
    length: u64,
    packet: bool,
}

impl Track {
    fn table(&self, kind: &[u8; 4]) -> Option<&[u8]> {
        let mut found = self.tables.iter().filter(|(other, ..)| other == kind);
        found.next().map(|(_, _, body)| body.as_slice())
    }

    /// What an edit list keeps from being shown, if anything.
    ///
    /// Muxers write at most a delay and one part, which begins with the first picture: at the largest distance by which
    /// coding reorders pictures.
    pub fn hidden_by_edits(&self) -> Option<String> {
        let (_, body) = self.edits.as_ref()?;
        let wide = body.first() == Some(&1);
        let entry = if wide { 20 } else { 12 };
        let mut shown = Vec::new();
        for edit in body.get(8..)?.chunks_exact(entry) {
            let (start, rate) = if wide {
                (
                    i64::from_be_bytes(edit[8..16].try_into().ok()?),
                    &edit[16..],
                )
            } else {
                (
                    i64::from(i32::from_be_bytes(edit[4..8].try_into().ok()?)),
                    &edit[8..],
                )
            };
            if rate != [0, 1, 0, 0] {
                return Some("it changes the speed".into());
            }
            if start >= 0 {
                shown.push(start);
            }
        }
        if shown.len() > 1 {
            return Some(format!("it shows {} parts of the media", shown.len()));
        }
        let reordered = self.table(b"ctts").into_iter().flat_map(|body| {
            body[8..].chunks_exact(8).map(|entry| {
                i64::from(i32::from_be_bytes([entry[4], entry[5], entry[6], entry[7]]))
            })
        });
        // Sound begins with what its encoder needs to start: less than a tenth of a second.
        let scale = self.scale() as i64;
        let most =
            reordered
                .max()
                .unwrap_or(0)
                .max(if self.kind == b"soun" { scale / 10 } else { 0 });
        match shown.first() {
            Some(&start) if start > most => {
                Some(format!("it hides the first {start} ticks of the media"))
            }
            _ => None,
        }
    }

    /// Units of time a second; 0 where it does not say.
    pub fn scale(&self) -> u64 {
        after_times(&self.media_head).map_or(0, u64::from)
    }

    /// Notes a packet that a fragment tells of.
    pub fn add_sample(&mut self, from: u64, length: u64) {
        self.fragmented.push(Part {
            from,
            length,
            packet: true,
        });
    }

    /// The parts of the media data that belong to this track.
    fn parts(&self) -> Result<Vec<Part>, &'static str> {
        let lacks = "a table of its samples is missing";
        let (chunks, sizes) = (
            self.table(b"stsc").ok_or(lacks)?,
            self.table(b"stsz").ok_or(lacks)?,
        );
        let offsets: Vec<u64> = match (self.table(b"stco"), self.table(b"co64")) {
            (Some(body), None) => body[8..]
                .as_chunks::<4>()
                .0
                .iter()
                .map(|four| u64::from(u32::from_be_bytes(*four)))
                .collect(),
            (None, Some(body)) => body[8..]
                .as_chunks::<8>()
                .0
                .iter()
                .map(|eight| u64::from_be_bytes(*eight))
                .collect(),
            _ => return Err(lacks),
        };
        let same = number(sizes, 4).ok_or(lacks)?;
        let count = u64::from(number(sizes, 8).ok_or(lacks)?);
        let mut each = sizes[12..]
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| u32::from_be_bytes(*four));
        let runs: Vec<(u32, u32)> = chunks[8..]
            .chunks_exact(12)
            .map(|run| (number(run, 0).unwrap_or(0), number(run, 4).unwrap_or(0)))
            .collect();
        let (mut parts, mut run, mut used) = (Vec::new(), 0, 0u64);
        for (index, offset) in offsets.into_iter().enumerate() {
            while runs
                .get(run + 1)
                .is_some_and(|(first, _)| *first as usize <= index + 1)
            {
                run += 1;
            }
            let in_chunk = u64::from(runs.get(run).ok_or("a chunk has no samples")?.1);
            used += in_chunk;
            if used > count {
                return Err("it has more samples than sizes of them");
            }
            if same > 0 {
                let length = in_chunk.saturating_mul(u64::from(same));
                parts.push(Part {
                    from: offset,
                    length,
                    packet: false,
                });
                continue;
            }
            let mut from = offset;
            for size in each.by_ref().take(in_chunk as usize) {
                parts.push(Part {
                    from,
                    length: u64::from(size),
                    packet: true,
                });
                from = from.saturating_add(u64::from(size));
            }
        }
        if used != count {
            return Err("it has fewer samples than sizes of them");
        }
        parts.extend(&self.fragmented);
        Ok(parts)
    }
}

/// Checks every packet, and that the packets fill the `media` of the file without a gap.
pub fn check_media(walk: &mut Walk<'_>, media: &[(u64, u64)], tracks: &[Track]) -> io::Result<()> {
    let mut taken: Vec<(u64, u64)> = Vec::new();
    for (index, track) in tracks.iter().enumerate() {
        let place = format!("track {}", index + 1);
        let mut described = true;
        let parts = match track.parts() {
            Ok(parts) => parts,
            Err(problem) => {
                walk.report(0, place, problem);
                continue;
            }
        };
        for part in parts {
            let end = part.from.saturating_add(part.length);
            // In the order of the file.
            let about = media.partition_point(|(from, _)| *from <= part.from);
            let inside = about > 0 && end <= media[about - 1].1;
            if !inside {
                walk.report(part.from, &*place, "a packet is not in the media data");
            }
            if !inside || walk.is_full() {
                continue;
            }
            taken.push((part.from, end));
            if part.packet
                && let Some(bytes) = walk.take(part.from, part.length, &place)?
            {
                walk.packet();
                let unknown = track.coding.coding == Coding::Unknown;
                if unknown && !std::mem::replace(&mut described, false) {
                    // Said once.
                    continue;
                }
                for (at, problem) in track.coding.coding.check(&bytes) {
                    walk.report(part.from + at as u64, &*place, problem);
                }
            }
        }
    }
    taken.sort_unstable();
    for &(from, to) in media {
        let mut at = from;
        let first = taken.partition_point(|(start, _)| *start < from);
        let in_it = taken[first..].iter().take_while(|(start, _)| *start < to);
        for &(start, end) in in_it {
            gap(walk, at, start)?;
            if start < at {
                walk.report(start, "mdat", "packets overlap");
            }
            at = at.max(end);
        }
        gap(walk, at, to)?;
    }
    Ok(())
}

fn gap(walk: &mut Walk<'_>, from: u64, to: u64) -> io::Result<()> {
    if from < to {
        let bytes = walk.up_to(from, (to - from).min(48))?;
        let problem = format!(
            "{} bytes that belong to no packet: {}",
            to - from,
            show(&bytes)
        );
        walk.report(from, "mdat", problem);
    }
    Ok(())
}
