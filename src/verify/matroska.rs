//! Matroska and WebM: the tree of elements.
//!
//! Sources: RFC 9559; what `matroskamux` and `webmmux` of GStreamer write.

use std::io;

use super::ebml::{Element, element, unsigned, vint};
use super::mp4_leaf::ENCODERS;
use super::packets::Coding;
use super::source::{Walk, show};
use super::{nal, obu};

/// What an element may hold.
#[derive(Clone, Copy)]
enum Content {
    /// Other elements.
    Master(&'static [u32]),
    /// A number of at most so many bytes.
    Number(u64),
    /// One of these texts, with or without a zero behind it.
    Text(&'static [&'static str]),
    /// The identifier of a segment or track, which the muxer draws at random: so many bytes.
    Random(u64),
    /// What has a check of its own.
    Own,
}
use Content::{Master, Number, Own, Random, Text};

const VOID: u32 = 0xec;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1f43_b675;
const TRACK: u32 = 0xae;
const CODEC: u32 = 0x86;
const PRIVATE: u32 = 0x63a2;
const NUMBER: u32 = 0xd7;
const KIND: u32 = 0x83;
const TAG: u32 = 0x67c8;
const BLOCK: u32 = 0xa1;
const SIMPLE: u32 = 0xa3;

/// Every element that may be there: identifier, name, content. Not among them: Title, Chapters, Attachments, names
/// of tracks other than the muxer's, block additions, encryption, segments linked to others, CRC-32.
const ELEMENTS: &[(u32, &str, Content)] = &[
    (
        0x1a45_dfa3,
        "EBML",
        Master(&[0x4286, 0x42f7, 0x42f2, 0x42f3, 0x4282, 0x4287, 0x4285]),
    ),
    (0x4286, "EBMLVersion", Number(1)),
    (0x42f7, "EBMLReadVersion", Number(1)),
    (0x42f2, "EBMLMaxIDLength", Number(1)),
    (0x42f3, "EBMLMaxSizeLength", Number(1)),
    (0x4282, "DocType", Text(&["matroska", "webm"])),
    (0x4287, "DocTypeVersion", Number(1)),
    (0x4285, "DocTypeReadVersion", Number(1)),
    (
        SEGMENT,
        "Segment",
        Master(&[
            0x114d_9b74,
            VOID,
            0x1549_a966,
            0x1654_ae6b,
            CLUSTER,
            0x1c53_bb6b,
            0x1254_c367,
        ]),
    ),
    (0x114d_9b74, "SeekHead", Master(&[0x4dbb, VOID])),
    (0x4dbb, "Seek", Master(&[0x53ab, 0x53ac])),
    (0x53ab, "SeekID", Number(4)),
    (0x53ac, "SeekPosition", Number(8)),
    (VOID, "Void", Own),
    (
        0x1549_a966,
        "Info",
        Master(&[0x73a4, 0x2a_d7b1, 0x4489, 0x4d80, 0x5741, 0x4461]),
    ),
    (0x73a4, "SegmentUID", Random(16)),
    (0x2a_d7b1, "TimestampScale", Number(8)),
    (0x4489, "Duration", Number(8)),
    (0x4d80, "MuxingApp", Own),
    (0x5741, "WritingApp", Text(&["GStreamer Matroska muxer"])),
    // When the file was written: not when it was recorded.
    (0x4461, "DateUTC", Number(8)),
    (0x1654_ae6b, "Tracks", Master(&[TRACK])),
    (
        TRACK,
        "TrackEntry",
        Master(&[
            NUMBER, 0x73c5, KIND, 0x88, 0x55aa, 0x9c, 0x23_e383, 0x536e, CODEC, PRIVATE, 0xe0,
            0xe1, 0x56bb, 0x56aa, 0x22_b59c,
        ]),
    ),
    (NUMBER, "TrackNumber", Number(8)),
    (0x73c5, "TrackUID", Random(8)),
    (KIND, "TrackType", Number(1)),
    (0x88, "FlagDefault", Number(1)),
    (0x55aa, "FlagForced", Number(1)),
    (0x9c, "FlagLacing", Number(1)),
    (0x23_e383, "DefaultDuration", Number(8)),
    (0x536e, "Name", Text(&["Video", "Audio"])),
    (0x22_b59c, "Language", Text(&["und"])),
    (CODEC, "CodecID", Own),
    (PRIVATE, "CodecPrivate", Own),
    (0x56bb, "SeekPreRoll", Number(8)),
    (0x56aa, "CodecDelay", Number(8)),
    (
        0xe0,
        "Video",
        Master(&[
            0xb0, 0xba, 0x9a, 0x9d, 0x54b0, 0x54ba, 0x54b2, 0x55b0, 0x53b8, 0x2383e3,
        ]),
    ),
    (0xb0, "PixelWidth", Number(8)),
    (0xba, "PixelHeight", Number(8)),
    (0x9a, "FlagInterlaced", Number(1)),
    (0x9d, "FieldOrder", Number(1)),
    (0x54b0, "DisplayWidth", Number(8)),
    (0x54ba, "DisplayHeight", Number(8)),
    (0x54b2, "DisplayUnit", Number(1)),
    (0x53b8, "StereoMode", Number(1)),
    (
        0x55b0,
        "Colour",
        Master(&[0x55b1, 0x55b2, 0x55b7, 0x55b8, 0x55b9, 0x55ba, 0x55bb]),
    ),
    (0x55b1, "MatrixCoefficients", Number(1)),
    (0x55b2, "BitsPerChannel", Number(1)),
    (0x55b7, "ChromaSitingHorz", Number(1)),
    (0x55b8, "ChromaSitingVert", Number(1)),
    (0x55b9, "Range", Number(1)),
    (0x55ba, "TransferCharacteristics", Number(1)),
    (0x55bb, "Primaries", Number(1)),
    (0xe1, "Audio", Master(&[0xb5, 0x78b5, 0x9f, 0x6264])),
    (0xb5, "SamplingFrequency", Number(8)),
    (0x78b5, "OutputSamplingFrequency", Number(8)),
    (0x9f, "Channels", Number(1)),
    (0x6264, "BitDepth", Number(1)),
    (
        CLUSTER,
        "Cluster",
        Master(&[0xe7, 0xa7, 0xab, SIMPLE, 0xa0, VOID]),
    ),
    (0xe7, "Timestamp", Number(8)),
    (0xa7, "Position", Number(8)),
    (0xab, "PrevSize", Number(8)),
    (SIMPLE, "SimpleBlock", Own),
    (0xa0, "BlockGroup", Master(&[BLOCK, 0x9b, 0xfb, 0x75a2])),
    (BLOCK, "Block", Own),
    (0x9b, "BlockDuration", Number(8)),
    (0xfb, "ReferenceBlock", Number(8)),
    (0x75a2, "DiscardPadding", Number(8)),
    (0x1c53_bb6b, "Cues", Master(&[0xbb])),
    (0xbb, "CuePoint", Master(&[0xb3, 0xb7])),
    (0xb3, "CueTime", Number(8)),
    (
        0xb7,
        "CueTrackPositions",
        Master(&[0xf7, 0xf1, 0x5378, 0xf0]),
    ),
    (0xf7, "CueTrack", Number(8)),
    (0xf1, "CueClusterPosition", Number(8)),
    (0xf0, "CueRelativePosition", Number(8)),
    (0x5378, "CueBlockNumber", Number(8)),
    (0x1254_c367, "Tags", Master(&[0x7373])),
    (0x7373, "Tag", Master(&[0x63c0, TAG])),
    (0x63c0, "Targets", Master(&[0x63c5])),
    (0x63c5, "TagTrackUID", Random(8)),
    (TAG, "SimpleTag", Own),
];

fn known(id: u32) -> Option<(&'static str, Content)> {
    let found = ELEMENTS.iter().find(|(other, ..)| *other == id);
    found.map(|(_, name, content)| (*name, *content))
}

/// Longest content of an element that is neither a block nor a codec's private data.
const SMALL: u64 = 4096;
/// Elements in each other: more than any list above goes.
const DEEPEST: usize = 8;

#[derive(Default)]
struct Tracks {
    /// Number, kind, name of the coding and its private data of the track being read.
    current: (u64, u64, String, Vec<u8>),
    codings: Vec<(u64, Coding)>,
}

pub fn walk(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.format("Matroska");
    let mut tracks = Tracks::default();
    let all = [0x1a45_dfa3, SEGMENT];
    let end = walk.length;
    master(walk, &all, 0, end, "", &mut tracks, 0)
}

fn master(
    walk: &mut Walk<'_>,
    list: &[u32],
    from: u64,
    to: u64,
    path: &str,
    tracks: &mut Tracks,
    depth: usize,
) -> io::Result<()> {
    let mut at = from;
    while at < to && !walk.is_full() {
        let head = walk.up_to(at, 12.min(to - at))?;
        let found = element(&head);
        let Some(Element { id, head, size }) = found else {
            let rest = walk.up_to(at, (to - at).min(48))?;
            let problem = format!("{} bytes that are no element: {}", to - at, show(&rest));
            walk.report(at, if path.is_empty() { "file" } else { path }, problem);
            return Ok(());
        };
        let inside = at + head as u64;
        // A live recording does not know how long it gets.
        let open = matches!(id, SEGMENT | CLUSTER);
        let size = match size {
            Some(size) => size,
            None if open => to.saturating_sub(inside),
            None => u64::MAX,
        };
        let end = inside.saturating_add(size);
        if end > to {
            walk.report(
                at,
                path,
                format!("element {id:#x} is longer than what it is in"),
            );
            return Ok(());
        }
        let place = match known(id) {
            Some((name, _)) if path.is_empty() => name.to_owned(),
            Some((name, _)) => format!("{path}/{name}"),
            None => format!("{path}/{id:#x}"),
        };
        match known(id) {
            Some((_, content)) if list.contains(&id) => match content {
                Master(inner) if depth < DEEPEST => {
                    if id == TRACK {
                        tracks.current = Default::default();
                    }
                    master(walk, inner, inside, end, &place, tracks, depth + 1)?;
                    if id == TRACK {
                        end_of_track(walk, at, &place, tracks);
                    }
                }
                Own if matches!(id, SIMPLE | BLOCK) => block(walk, inside, size, &place, tracks)?,
                Own if id == TAG => simple_tag(walk, at, inside, end, &place)?,
                _ => leaf(walk, id, content, inside, size, &place, tracks)?,
            },
            _ => {
                let bytes = walk.up_to(inside, size.min(48))?;
                let problem = format!("{size} bytes that are not expected: {}", show(&bytes));
                walk.report(at, place, problem);
            }
        }
        at = end;
    }
    Ok(())
}

fn leaf(
    walk: &mut Walk<'_>,
    id: u32,
    content: Content,
    from: u64,
    size: u64,
    place: &str,
    tracks: &mut Tracks,
) -> io::Result<()> {
    let largest = if id == PRIVATE { 1 << 20 } else { SMALL };
    if size > largest {
        walk.report(from, place, format!("{size} bytes are too many"));
        return Ok(());
    }
    let Some(body) = walk.take(from, size, place)? else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(&body);
    let text = text.strip_suffix('\0').unwrap_or(&text).to_owned();
    let fits = match content {
        Number(most) => size <= most,
        Random(wanted) => size == wanted,
        Text(list) => list.contains(&text.as_str()),
        _ => match id {
            VOID => is_void(&body),
            0x4d80 => is_muxer(&text),
            CODEC => text.len() <= 24 && text.bytes().all(|byte| byte.is_ascii_graphic()),
            _ => true,
        },
    };
    if !fits {
        walk.report(from, place, format!("it should not say {}", show(&body)));
        return Ok(());
    }
    match id {
        0x4282 if text == "webm" => walk.format("WebM"),
        NUMBER => tracks.current.0 = unsigned(&body),
        KIND => tracks.current.1 = unsigned(&body),
        CODEC => tracks.current.2 = text,
        PRIVATE => tracks.current.3 = body,
        _ => {}
    }
    Ok(())
}

/// Zeros, or an unused entry of the muxer's list of places: it points nowhere.
fn is_void(body: &[u8]) -> bool {
    if body.iter().all(|&byte| byte == 0) {
        return true;
    }
    let unused = body.strip_prefix(&[1, 0, 0, 0, 0, 0, 0, 0x12, 0x53, 0xab, 0x84]);
    let kinds = [
        [0x10, 0x43, 0xa7, 0x70],
        [0x12, 0x54, 0xc3, 0x67],
        [0x1c, 0x53, 0xbb, 0x6b],
        [0x19, 0x41, 0xa4, 0x69],
    ];
    unused.is_some_and(|rest| {
        rest.len() == 15
            && kinds.iter().any(|kind| rest.starts_with(kind))
            && rest[4..7] == [0x53, 0xac, 0x88]
            && rest[7..] == [0xff; 8]
    })
}

/// `GStreamer matroskamux version 1.22.0`
fn is_muxer(text: &str) -> bool {
    let version = text.strip_prefix("GStreamer matroskamux version ");
    version.is_some_and(|version| {
        version.len() <= 12
            && version
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// A tag may name the encoder and its rate.
fn simple_tag(walk: &mut Walk<'_>, at: u64, from: u64, to: u64, place: &str) -> io::Result<()> {
    let Some(body) = walk.take(from, (to - from).min(SMALL + 1), place)? else {
        return Ok(());
    };
    let mut rest = body.as_slice();
    let mut values: [Option<String>; 2] = [None, None];
    let mut odd = body.len() as u64 > SMALL;
    while !rest.is_empty() && !odd {
        let Some(Element {
            id,
            head,
            size: Some(size),
        }) = element(rest)
        else {
            odd = true;
            break;
        };
        let end = usize::try_from(size)
            .ok()
            .and_then(|size| head.checked_add(size));
        let Some(content) = end.and_then(|end| rest.get(head..end)) else {
            odd = true;
            break;
        };
        let text = String::from_utf8_lossy(content);
        let text = text.strip_suffix('\0').unwrap_or(&text).to_owned();
        match id {
            0x45a3 if values[0].is_none() => values[0] = Some(text),
            0x4487 if values[1].is_none() => values[1] = Some(text),
            _ => odd = true,
        }
        rest = &rest[head + content.len()..];
    }
    let fits = match (&values[0], &values[1]) {
        (Some(name), Some(value)) if name == "ENCODER" => ENCODERS.contains(&value.as_str()),
        (Some(name), Some(value)) if name == "BITSPS" => {
            value.len() <= 12 && value.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    };
    if odd || !fits {
        walk.report(
            at,
            place,
            format!("a tag that should not be there: {}", show(&body)),
        );
    }
    Ok(())
}

fn end_of_track(walk: &mut Walk<'_>, at: u64, place: &str, tracks: &mut Tracks) {
    let (number, kind, coding, private) = std::mem::take(&mut tracks.current);
    let kind = match kind {
        1 => "video".to_owned(),
        2 => "audio".to_owned(),
        17 => "subtitle".to_owned(),
        other => format!("{other:#x}"),
    };
    walk.track(at, place, &kind, &coding);
    let found = match coding.as_str() {
        "V_MPEG4/ISO/AVC" => nal::avcc(&private),
        "V_MPEGH/ISO/HEVC" => nal::hvcc(&private),
        "V_AV1" if private.is_empty() => Ok(Coding::Av1),
        "V_AV1" => obu::av1c(&private).map(|()| Coding::Av1),
        "V_VP9" if private.is_empty() => Ok(Coding::Vp9),
        "A_OPUS" if private.len() == 19 && private.starts_with(b"OpusHead") => Ok(Coding::Opus),
        "A_AAC" if private.len() <= 5 => Ok(Coding::Samples),
        "A_PCM/INT/LIT" | "A_PCM/INT/BIG" | "A_PCM/FLOAT/IEEE" if private.is_empty() => {
            Ok(Coding::Samples)
        }
        // A WAVE header of a law by which samples are coded.
        "A_MS/ACM" if private.len() <= 18 => Ok(Coding::Samples),
        _ => Err(format!(
            "a coding that is never written here: {coding} with {}",
            show(&private)
        )),
    };
    match found {
        Ok(coding) => tracks.codings.push((number, coding)),
        Err(problem) => walk.report(at, place, problem),
    }
}

fn block(
    walk: &mut Walk<'_>,
    from: u64,
    size: u64,
    place: &str,
    tracks: &Tracks,
) -> io::Result<()> {
    let Some(body) = walk.take(from, size, place)? else {
        return Ok(());
    };
    let Some((Some(number), width)) = vint(&body) else {
        walk.report(from, place, "a block without a track");
        return Ok(());
    };
    let Some(&[_, _, flags]) = body
        .get(width..width + 3)
        .and_then(|head| head.first_chunk::<3>())
    else {
        walk.report(from, place, "a block without a head");
        return Ok(());
    };
    let Some((_, coding)) = tracks.codings.iter().find(|(other, _)| *other == number) else {
        walk.report(
            from,
            place,
            format!("a block of a track {number} that is not there"),
        );
        return Ok(());
    };
    // Lacing, and reserved bits.
    if flags & 0x76 != 0 {
        walk.report(from, place, format!("a block with flags {flags:#x}"));
        return Ok(());
    }
    walk.packet();
    let head = width + 3;
    for (at, problem) in coding.check(&body[head..]) {
        walk.report(from + (head + at) as u64, place, problem);
    }
    Ok(())
}
