//! MP4 and QuickTime: the form of the boxes that hold no others, and of the descriptions of codings.
//!
//! Each check accepts what `mp4mux` and `qtmux` write, and nothing that has room for more.

use super::mp4::{name, next_box, number};
use super::nal;
use super::obu;
use super::packets::Coding;
use super::source::show;

type Checked = Result<(), String>;

/// Brands of [`ftyp`].
const BRANDS: &[&[u8; 4]] = &[
    b"mp41", b"mp42", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"avc1", b"av01", b"qt  ",
    b"M4V ",
];
/// Names of handlers that the muxers write.
const HANDLERS: &[&[u8]] = &[
    b"",
    b"\0",
    b"VideoHandler\0",
    b"SoundHandler\0",
    b"\x0cVideoHandler",
    b"\x0cSoundHandler",
];
/// What may stand as the program that made a stream: encoders of ours.
pub const ENCODERS: &[&str] = &[
    "x264",
    "x265",
    "openh264",
    "openh264enc",
    "VP9",
    "AV1",
    "libvpx",
    "aom",
    "libopus",
    "Lavc",
    "AAC",
];

fn zero(body: &[u8], range: std::ops::Range<usize>, what: &str) -> Checked {
    let part = body
        .get(range)
        .ok_or_else(|| format!("it is too short for its {what}"))?;
    if part.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(format!("{what} should be 0, not {}", show(part)))
}

/// Checks that `body` has exactly `wanted` bytes.
pub fn sized(body: &[u8], wanted: usize) -> Checked {
    if body.len() == wanted {
        return Ok(());
    }
    Err(format!(
        "it has {} bytes, not {wanted}: {}",
        body.len(),
        show(body)
    ))
}

/// Checks that `body` is a table: `head` bytes, the last four of which are the number of entries, and nothing behind these.
fn table(body: &[u8], head: usize, entry: usize) -> Checked {
    let count = number(body, head - 4).ok_or("it is too short for a table")? as usize;
    let wanted = count
        .checked_mul(entry)
        .and_then(|size| size.checked_add(head));
    sized(body, wanted.ok_or("its table is too long")?)
}

/// Checks the content of a box of `kind`.
pub fn check_leaf(kind: [u8; 4], body: &[u8]) -> Checked {
    match &kind {
        b"ftyp" => ftyp(body),
        b"free" => sized(body, 0),
        b"mvhd" => mvhd(body),
        b"tkhd" => tkhd(body),
        b"mdhd" => mdhd(body),
        b"hdlr" => hdlr(body),
        b"vmhd" => vmhd(body),
        b"smhd" => sized(body, 8).and(zero(body, 0..8, "balance")),
        b"dref" => dref(body),
        b"elst" => table(body, 8, if body.first() == Some(&1) { 20 } else { 12 }),
        // Looked at where more is known.
        b"stsd" | b"mehd" | b"trex" => Ok(()),
        b"stts" | b"ctts" | b"co64" => table(body, 8, 8),
        b"stss" | b"stco" => table(body, 8, 4),
        b"stsc" => table(body, 8, 12),
        b"stsz" => match number(body, 4) {
            Some(0) => table(body, 12, 4),
            _ => sized(body, 12),
        },
        b"\xa9too" => encoder(body),
        _ => Err("it is not known".into()),
    }
}

fn ftyp(body: &[u8]) -> Checked {
    let (chunks, rest) = body.as_chunks::<4>();
    if !rest.is_empty() || chunks.len() < 2 || chunks.len() > 12 {
        return Err(format!("its length is wrong: {}", show(body)));
    }
    for (index, brand) in chunks.iter().enumerate() {
        if index != 1 && !BRANDS.contains(&brand) && *brand != [0; 4] {
            return Err(format!("an unknown brand: {}", show(brand)));
        }
    }
    // The minor version is a date in QuickTime.
    let known = [[0; 4], [0, 0, 2, 0], [0x20, 5, 3, 0]];
    if !known.contains(&chunks[1]) {
        return Err(format!("an unknown version: {}", show(&chunks[1])));
    }
    Ok(())
}

/// 0 where times are 4 bytes long, else what 8 bytes add up to for `fields` of them.
fn version(body: &[u8], fields: usize, short: usize) -> Result<usize, String> {
    let more = match body.first() {
        Some(0) => 0,
        Some(1) => fields * 4,
        _ => return Err("its version is unknown".into()),
    };
    sized(body, short + more)?;
    Ok(more)
}

/// A transformation matrix of quarter turns and nothing else.
fn matrix(body: &[u8], at: usize) -> Checked {
    for index in 0..9 {
        let value = number(body, at + index * 4).unwrap_or(1);
        let plain = matches!(value, 0 | 0x1_0000 | 0xffff_0000 | 0x4000_0000);
        if !plain || (matches!(index, 6 | 7) && value != 0) {
            return Err(format!(
                "its matrix is unusual: {}",
                show(&body[at..at + 36])
            ));
        }
    }
    Ok(())
}

fn mvhd(body: &[u8]) -> Checked {
    let more = version(body, 3, 100)?;
    zero(body, 1..4, "flags")?;
    zero(body, 26 + more..36 + more, "reserved bytes")?;
    matrix(body, 36 + more)?;
    zero(body, 72 + more..96 + more, "preview and selection")
}

fn tkhd(body: &[u8]) -> Checked {
    let more = version(body, 3, 84)?;
    let ids = if more == 0 { 12 } else { 20 };
    zero(body, ids + 4..ids + 8, "reserved bytes")?;
    zero(body, 24 + more..36 + more, "layer and reserved bytes")?;
    zero(body, 38 + more..40 + more, "reserved bytes")?;
    matrix(body, 40 + more)
}

fn mdhd(body: &[u8]) -> Checked {
    let more = version(body, 3, 24)?;
    zero(body, 1..4, "flags")?;
    match body.get(20 + more..24 + more) {
        // "und": not known.
        Some([0x55, 0xc4, 0, 0]) => Ok(()),
        other => Err(format!(
            "its language is stated: {}",
            show(other.unwrap_or_default())
        )),
    }
}

fn hdlr(body: &[u8]) -> Checked {
    zero(body, 0..4, "version and flags")?;
    let kind = body.get(8..12).ok_or("it is too short")?;
    let known: &[&[u8]] = &[b"vide", b"soun", b"mdir", b"alis"];
    if !known.contains(&kind) {
        return Err(format!(
            "a handler of a kind that should not be there: {}",
            show(kind)
        ));
    }
    if !matches!(&body[4..8], [0, 0, 0, 0] | b"mhlr" | b"dhlr") {
        return Err(format!("its component is unknown: {}", show(&body[4..8])));
    }
    zero(body, 12..24, "reserved bytes")?;
    let title = &body[24..];
    if HANDLERS.contains(&title) {
        return Ok(());
    }
    Err(format!("its name is not one of ours: {}", show(title)))
}

fn vmhd(body: &[u8]) -> Checked {
    sized(body, 12)?;
    match &body[4..] {
        [0, 0, 0, 0, 0, 0, 0, 0] | [0, 0x40, 0x80, 0, 0x80, 0, 0x80, 0] => Ok(()),
        other => Err(format!("its mode is unusual: {}", show(other))),
    }
}

/// The data is in this file.
fn dref(body: &[u8]) -> Checked {
    zero(body, 0..4, "version and flags")?;
    sized(body, 20)?;
    match (&body[4..8], &body[12..16], &body[16..20]) {
        ([0, 0, 0, 1], b"url " | b"alis", [0, 0, 0, 1]) => Ok(()),
        _ => Err(format!("it names other files: {}", show(&body[8..]))),
    }
}

/// The tag that names the encoder.
fn encoder(body: &[u8]) -> Checked {
    let text = body.get(16..).unwrap_or_default();
    let is_text = number(body, 0) == Some(body.len() as u32)
        && body.get(4..16) == Some(b"data\0\0\0\x01\0\0\0\0");
    if is_text && ENCODERS.iter().any(|known| known.as_bytes() == text) {
        return Ok(());
    }
    Err(format!("it is none of our encoders: {}", show(body)))
}

/// How a track is coded.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub name: String,
    pub coding: Coding,
}

/// Checks the one description in an `stsd`.
pub fn stsd(body: &[u8]) -> Result<Entry, String> {
    zero(body, 0..4, "version and flags")?;
    if number(body, 4) != Some(1) {
        return Err("there must be one description".into());
    }
    let (kind, inside, end) = next_box(body, 8).ok_or("its description is cut off")?;
    sized(body, end)?;
    let entry = &body[inside..end];
    zero(entry, 0..6, "reserved bytes")?;
    let (mut at, mut coding) = match &kind {
        b"avc1" | b"hvc1" | b"hev1" | b"avc3" | b"vp09" | b"av01" => {
            visual(entry)?;
            let coding = match &kind {
                b"vp09" => Coding::Vp9,
                b"av01" => Coding::Av1,
                _ => Coding::Unknown,
            };
            (78, coding)
        }
        b"mp4a" | b"Opus" | b"sowt" | b"twos" | b"in24" | b"fl32" | b"alaw" | b"ulaw" | b"raw " => {
            let coding = if kind == *b"Opus" {
                Coding::Opus
            } else {
                Coding::Samples
            };
            (sound(entry)?, coding)
        }
        _ => {
            return Err(format!(
                "a coding that is never written here: {}",
                name(kind)
            ));
        }
    };
    while at < entry.len() {
        // QuickTime ends such a list with a zero.
        if entry[at..] == [0; 4] {
            break;
        }
        let (part, inside, after) =
            next_box(entry, at).ok_or_else(|| format!("no box: {}", show(&entry[at..])))?;
        let found = extension(part, &entry[inside..after])
            .map_err(|problem| format!("{}: {problem}", name(part)))?;
        if let Some(found) = found {
            coding = found;
        }
        at = after;
    }
    Ok(Entry {
        name: name(kind),
        coding,
    })
}

fn visual(entry: &[u8]) -> Checked {
    zero(entry, 8..16, "version and vendor")?;
    for at in [16, 20] {
        let quality = number(entry, at).ok_or("it is too short")?;
        if !matches!(quality, 0 | 0x200) {
            return Err(format!("its quality is unusual: {quality:#x}"));
        }
    }
    zero(entry, 36..40, "reserved bytes")?;
    zero(entry, 42..74, "name of the compressor")?;
    match entry.get(74..78) {
        Some([0, 24, 0xff, 0xff]) => Ok(()),
        other => Err(format!(
            "its depth is unusual: {}",
            show(other.unwrap_or_default())
        )),
    }
}

/// Length of a sound description without its boxes.
fn sound(entry: &[u8]) -> Result<usize, String> {
    let version = entry.get(8..10).ok_or("it is too short")?;
    zero(entry, 10..16, "revision and vendor")?;
    match version {
        [0, 0] => Ok(28),
        [0, 1] if entry.len() >= 44 => Ok(44),
        _ => Err(format!("its version is unusual: {}", show(version))),
    }
}

/// Checks what stands beside a description of a coding; the coding that it tells, if any.
fn extension(kind: [u8; 4], body: &[u8]) -> Result<Option<Coding>, String> {
    match &kind {
        b"avcC" => return nal::avcc(body).map(Some),
        b"hvcC" => return nal::hvcc(body).map(Some),
        b"av1C" => obu::av1c(body)?,
        b"vpcC" => {
            sized(body, 12)?;
            zero(body, 10..12, "size of more data")?;
        }
        b"btrt" => sized(body, 12)?,
        b"pasp" => sized(body, 8)?,
        b"fiel" => sized(body, 2)?,
        b"colr" => match (body.get(..4), body.len()) {
            (Some(b"nclx"), 11) | (Some(b"nclc"), 10) => {}
            _ => return Err(format!("a colour profile: {}", show(body))),
        },
        b"dOps" => sized(body, 11)?,
        b"esds" => esds(body)?,
        b"chan" => sized(body, 12)?,
        b"wave" => {
            let mut at = 0;
            while at < body.len() {
                let (part, inside, after) = next_box(body, at).ok_or("no box")?;
                match &part {
                    b"esds" => esds(&body[inside..after])?,
                    b"frma" | b"mp4a" => sized(&body[inside..after], 4)?,
                    b"enda" => sized(&body[inside..after], 2)?,
                    [0, 0, 0, 0] => sized(&body[inside..after], 0)?,
                    _ => return Err(format!("{} is not expected", name(part))),
                }
                at = after;
            }
        }
        _ => {
            return Err(format!(
                "{} bytes that are not expected: {}",
                body.len(),
                show(body)
            ));
        }
    }
    Ok(None)
}

/// AAC's description (ISO/IEC 14496-1, 7.2.6.5): three descriptors in each other, of lengths that fit, and a
/// configuration without room for a comment.
fn esds(body: &[u8]) -> Checked {
    zero(body, 0..4, "version and flags")?;
    let odd = || format!("its descriptors are unusual: {}", show(body));
    let tail = |bytes: &[u8], tag: u8| -> Option<(usize, usize)> {
        let (found, length) = (*bytes.first()?, usize::from(*bytes.get(1)?));
        (found == tag && length < 0x80 && length + 2 <= bytes.len()).then_some((2, length + 2))
    };
    let rest = &body[4..];
    let (from, to) = tail(rest, 3).ok_or_else(odd)?;
    sized(rest, to)?;
    // An id of two bytes and no flags.
    let rest = &rest[from + 3..];
    let (from, to) = tail(rest, 4).ok_or_else(odd)?;
    let (config, after) = rest.split_at(to);
    let config = config.get(from + 13..).ok_or_else(odd)?;
    let (from, to) = tail(config, 5).ok_or_else(odd)?;
    if to != config.len() || to - from > 5 || after != [6, 1, 2] {
        return Err(odd());
    }
    Ok(())
}
