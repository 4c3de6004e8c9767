//! MP4 and QuickTime: the tree of boxes.
//!
//! Sources: ISO/IEC 14496-12; Apple's QuickTime File Format; what `mp4mux` and `qtmux` of GStreamer write.

use std::io;

use super::mp4_fragments::{self, Fragments};
use super::mp4_leaf::{check_leaf, stsd};
use super::mp4_samples::{Track, check_media};
use super::source::{Credentials, Walk, show};

/// Which boxes may be in which; a box on none of the lists is a finding. `""` is the file.
const CHILDREN: &[(&str, &[&[u8; 4]])] = &[
    ("", &[b"ftyp", b"free", b"mdat", b"moov"]),
    ("moov", &[b"mvhd", b"trak", b"udta", b"mvex"]),
    ("mvex", &[b"mehd", b"trex"]),
    ("trak", &[b"tkhd", b"edts", b"mdia", b"udta"]),
    ("edts", &[b"elst"]),
    ("mdia", &[b"mdhd", b"hdlr", b"minf"]),
    ("minf", &[b"vmhd", b"smhd", b"hdlr", b"dinf", b"stbl"]),
    ("dinf", &[b"dref"]),
    (
        "stbl",
        &[
            b"stsd", b"stts", b"stss", b"stsc", b"stsz", b"stco", b"co64", b"ctts",
        ],
    ),
    ("udta", &[b"meta"]),
    ("meta", &[b"hdlr", b"ilst"]),
    ("ilst", &[b"\xa9too"]),
];

/// What a box of content credentials begins with: its identifier, version and flags, what it is for, and where another part of
/// it would be.
const CREDENTIALS: &[u8] = b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81\0\0\0\0manifest\0\0\0\0\0\0\0\0\0";

/// The largest box of them that is read.
const LARGEST_CREDENTIALS: u64 = 64 << 10;

/// The largest index that is read.
const LARGEST_INDEX: u64 = 256 << 20;

/// The name of a box for people.
pub fn name(kind: [u8; 4]) -> String {
    kind.iter()
        .map(|&byte| {
            if (0x20..0x7f).contains(&byte) {
                byte as char
            } else {
                '?'
            }
        })
        .collect()
}

fn allowed(parent: &str) -> Option<&'static [&'static [u8; 4]]> {
    let found = CHILDREN.iter().find(|(kind, _)| *kind == parent);
    found.map(|(_, children)| *children)
}

/// Four bytes as a number.
pub fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// The four bytes behind the two times with which a head begins: a track's number, or units of time a second.
pub fn after_times(head: &[u8]) -> Option<u32> {
    number(head, if head.first() == Some(&1) { 20 } else { 12 })
}

/// A box: its kind, where its content begins in `bytes`, and where it ends. None when there is none.
pub fn next_box(bytes: &[u8], at: usize) -> Option<([u8; 4], usize, usize)> {
    let size = number(bytes, at)?;
    let kind: [u8; 4] = bytes.get(at + 4..at + 8)?.try_into().ok()?;
    let (head, size) = match size {
        1 => {
            let wide = bytes.get(at + 8..at + 16)?.try_into().ok()?;
            (16, usize::try_from(u64::from_be_bytes(wide)).ok()?)
        }
        size => (8, size as usize),
    };
    let end = at.checked_add(size)?;
    (size >= head && end <= bytes.len()).then_some((kind, at + head, end))
}

/// Where media data lies in the file.
type Media = Vec<(u64, u64)>;

pub fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.format("MP4");
    let (mut at, mut media, mut tracks): (u64, Media, Vec<Track>) = (0, Vec::new(), Vec::new());
    let (mut indexed, mut fragments) = (false, Fragments::default());
    let mut after_ftyp = false;
    while at < walk.length && !walk.is_full() {
        let head = walk.up_to(at, 16)?;
        let Some((kind, head, size)) = top(&head, walk.length - at) else {
            let rest = walk.up_to(at, 48)?;
            let problem = format!(
                "{} bytes after the last box: {}",
                walk.length - at,
                show(&rest)
            );
            walk.report(at, "file", problem);
            break;
        };
        match &kind {
            b"mdat" => media.push((at + head, at + size)),
            b"moov" if !indexed && size <= LARGEST_INDEX => {
                indexed = true;
                let Some(bytes) = walk.take(at + head, size - head, "moov")? else {
                    break;
                };
                let mut tree = Tree {
                    walk: &mut *walk,
                    base: at + head,
                    tracks: &mut tracks,
                    scale: 0,
                };
                tree.children("moov", "moov", &bytes, 0, bytes.len());
            }
            b"moof" if indexed && size <= mp4_fragments::LARGEST => {
                let Some(body) = walk.take(at + head, size - head, "moof")? else {
                    break;
                };
                fragments.head(walk, (at, at + head), &body, &mut tracks);
            }
            b"mfra" | b"sidx" if indexed && size <= mp4_fragments::LARGEST => {
                let Some(body) = walk.take(at + head, size - head, &name(kind))? else {
                    break;
                };
                fragments.index(at, size, kind, body);
            }
            b"ftyp" | b"free" if size <= 4096 => {
                let Some(body) = walk.take(at + head, size - head, &name(kind))? else {
                    break;
                };
                if let Err(problem) = check_leaf(kind, &body) {
                    walk.report(at, name(kind), problem);
                }
                if kind == *b"ftyp" && body.starts_with(b"qt  ") {
                    walk.format("QuickTime");
                }
            }
            // Behind the first box, as the hash in it wants it.
            b"uuid" if after_ftyp && head == 8 && size <= LARGEST_CREDENTIALS => {
                let Some(body) = walk.take(at + head, size - head, "uuid")? else {
                    break;
                };
                let kept = body.strip_prefix(CREDENTIALS).is_some_and(|jumbf| {
                    walk.credentials(Credentials {
                        place: at..at + size,
                        within: "uuid",
                        jumbf: jumbf.to_vec(),
                    })
                });
                if !kept {
                    unexpected(walk, at, kind, head, size)?;
                }
            }
            _ => unexpected(walk, at, kind, head, size)?,
        }
        after_ftyp = kind == *b"ftyp";
        at += size;
    }
    if !indexed {
        walk.report(0, "file", "there is no index (moov)");
    }
    let end = walk.length;
    fragments.finish(walk, &tracks, end);
    check_media(walk, &media, &tracks)
}

/// Reports a box that is on no list.
fn unexpected(walk: &mut Walk<'_>, at: u64, kind: [u8; 4], head: u64, size: u64) -> io::Result<()> {
    let content = walk.up_to(at + head, (size - head).min(48))?;
    let problem = format!("{size} bytes that are not expected: {}", show(&content));
    walk.report(at, name(kind), problem);
    Ok(())
}

/// A box of the file itself: its kind, the length of its head and of all of it, of which `rest` bytes are there.
fn top(head: &[u8], rest: u64) -> Option<([u8; 4], u64, u64)> {
    let short = number(head, 0)?;
    let kind: [u8; 4] = head.get(4..8)?.try_into().ok()?;
    let (length, size) = match short {
        0 => (8, rest),
        1 => (16, u64::from_be_bytes(head.get(8..16)?.try_into().ok()?)),
        short => (8, u64::from(short)),
    };
    (size >= length && size <= rest).then_some((kind, length, size))
}

/// The boxes of the index.
struct Tree<'t, 'w> {
    walk: &'t mut Walk<'w>,
    /// Where the index's content lies in the file.
    base: u64,
    tracks: &'t mut Vec<Track>,
    /// The movie's units of time a second.
    scale: u64,
}

impl Tree<'_, '_> {
    /// The boxes in `bytes` from `at` to `end`, which are the content of the box `parent` at `path`.
    fn children(&mut self, parent: &str, path: &str, bytes: &[u8], mut at: usize, end: usize) {
        let list = allowed(parent).unwrap_or_default();
        let content = &bytes[..end];
        if parent == "trak" {
            self.tracks.push(Track::default());
        }
        while at < end && !self.walk.is_full() {
            let offset = self.base + at as u64;
            let Some((kind, inside, after)) = next_box(content, at) else {
                let problem = format!(
                    "{} bytes that are no box: {}",
                    end - at,
                    show(&content[at..])
                );
                self.walk.report(offset, path, problem);
                return;
            };
            let body = &content[inside..after];
            let path = format!("{path}/{}", name(kind));
            if !list.contains(&&kind) {
                let problem = format!("{} bytes that are not expected: {}", body.len(), show(body));
                self.walk.report(offset, path, problem);
            } else if let Some((name, _)) =
                CHILDREN.iter().find(|(name, _)| name.as_bytes() == kind)
            {
                // `meta` has a version and flags before its boxes.
                let skip = if kind == *b"meta" { 4 } else { 0 };
                if body.len() < skip || body[..skip] != [0; 4][..skip] {
                    self.walk.report(offset, &*path, "its head is wrong");
                } else {
                    self.children(name, &path, bytes, inside + skip, after);
                }
            } else {
                self.leaf(kind, &path, offset, body);
            }
            at = after;
        }
        if parent == "trak" {
            self.end_of_track(path, self.base + end as u64);
        }
    }

    fn leaf(&mut self, kind: [u8; 4], path: &str, offset: u64, body: &[u8]) {
        if let Err(problem) = check_leaf(kind, body) {
            self.walk.report(offset, path, problem);
            return;
        }
        match &kind {
            b"mvhd" => {
                self.scale = after_times(body).map_or(0, u64::from);
            }
            b"mehd" => {
                if let Err(problem) = mp4_fragments::mehd(body, self.scale) {
                    self.walk.report(offset, path, problem);
                }
            }
            _ => {}
        }
        let Some(track) = self.tracks.last_mut() else {
            return;
        };
        match &kind {
            b"stsd" => match stsd(body) {
                Ok(entry) => track.coding = entry,
                Err(problem) => self.walk.report(offset, path, problem),
            },
            b"hdlr" if path.ends_with("mdia/hdlr") => {
                track.kind = body.get(8..12).unwrap_or_default().to_vec();
            }
            b"trex" => {
                if let Err(problem) = mp4_fragments::trex(body, track.id) {
                    self.walk.report(offset, path, problem);
                }
            }
            b"elst" => track.edits = Some((offset, body.to_vec())),
            b"mdhd" => track.media_head = body.to_vec(),
            b"tkhd" => {
                track.id = after_times(body).unwrap_or_default();
            }
            b"ctts" | b"stsc" | b"stsz" | b"stco" | b"co64" | b"stts" => {
                track.tables.push((kind, offset, body.to_vec()));
            }
            _ => {}
        }
    }

    fn end_of_track(&mut self, path: &str, offset: u64) {
        let Some(track) = self.tracks.last() else {
            return;
        };
        let kind = match track.kind.as_slice() {
            b"vide" => "video".to_owned(),
            b"soun" => "audio".to_owned(),
            other => format!("{:?}", String::from_utf8_lossy(other)),
        };
        let coding = track.coding.name.clone();
        self.walk.track(offset, path, &kind, &coding);
        if let Some(problem) = track.hidden_by_edits() {
            let at = track.edits.as_ref().map_or(offset, |(at, _)| *at);
            self.walk.report(at, format!("{path}/edts/elst"), problem);
        }
    }
}
