//! H.264 and H.265: which units a picture may consist of, and what supplemental information may say.
//!
//! Sources: ITU-T H.264, 7.3 and annex D; ITU-T H.265, 7.3 and annex D; ISO/IEC 14496-15, 5.3 and 8.3.

use super::packets::Coding;
use super::source::show;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Avc,
    Hevc,
}

type Problems = Vec<(usize, String)>;

/// What x264 puts in front of the words by which it names itself and its settings.
const X264: [u8; 16] = [
    0xdc, 0x45, 0xe9, 0xbd, 0xe6, 0xd9, 0x48, 0xb7, 0x96, 0x2c, 0xd8, 0x20, 0xd9, 0x23, 0xee, 0xef,
];

/// What in `packet`, units with lengths of `width` bytes in front, should not be there.
pub fn check(packet: &[u8], width: usize, kind: Kind) -> Problems {
    let (mut at, mut problems) = (0usize, Vec::new());
    while at < packet.len() {
        let Some(head) = packet.get(at..at + width) else {
            problems.push((
                at,
                format!("bytes after the last unit: {}", show(&packet[at..])),
            ));
            break;
        };
        let length = head
            .iter()
            .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let from = at + width;
        let Some(unit) = from.checked_add(length).and_then(|to| packet.get(from..to)) else {
            problems.push((at, "a unit is longer than its packet".into()));
            break;
        };
        if let Err(problem) = check_unit(unit, kind) {
            problems.push((at, problem));
        }
        at = from + length;
    }
    if packet.is_empty() {
        problems.push((0, "an empty picture".into()));
    }
    problems
}

fn check_unit(unit: &[u8], kind: Kind) -> Result<(), String> {
    let first = *unit.first().ok_or("an empty unit")?;
    let number = match kind {
        Kind::Avc => first & 0x1f,
        Kind::Hevc => first >> 1 & 0x3f,
    };
    match (kind, number) {
        // Slices, parameter sets, ends.
        (Kind::Avc, 1..=5 | 7 | 8) | (Kind::Hevc, 0..=9 | 16..=21 | 32..=34) => not_empty(unit),
        (Kind::Avc, 10 | 11) | (Kind::Hevc, 36 | 37) => bare(unit, kind, 0),
        (Kind::Avc, 9) | (Kind::Hevc, 35) => bare(unit, kind, 1),
        (Kind::Avc, 6) => sei(&unit[1..], kind),
        (Kind::Hevc, 39 | 40) => sei(unit.get(2..).unwrap_or_default(), kind),
        (Kind::Avc, 12) | (Kind::Hevc, 38) => {
            let head = if kind == Kind::Avc { 1 } else { 2 };
            let filler = unit.get(head..).unwrap_or_default();
            match filler.split_last() {
                Some((0x80, rest)) if rest.iter().all(|&byte| byte == 0xff) => Ok(()),
                _ => Err(format!("filler that is not empty: {}", show(filler))),
            }
        }
        _ => Err(format!("a unit of type {number}: {}", show(unit))),
    }
}

/// A unit with `payload` bytes after its head: a delimiter, an end.
fn bare(unit: &[u8], kind: Kind, payload: usize) -> Result<(), String> {
    let head = if kind == Kind::Avc { 1 } else { 2 };
    let stops = payload == 0 || unit.last().is_some_and(|byte| byte & 0x1f == 0x10);
    if unit.len() == head + payload && stops {
        return Ok(());
    }
    Err(format!("a delimiter that holds more: {}", show(unit)))
}

/// Where the data of a slice or parameter set ends cannot be told without decoding it; it cannot be nothing, though.
fn not_empty(unit: &[u8]) -> Result<(), String> {
    if unit[1..].iter().any(|&byte| byte != 0 && byte != 3) {
        return Ok(());
    }
    Err("a unit without content".into())
}

/// The unit without the bytes that keep start codes from occurring in it.
fn unescape(unit: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unit.len());
    for (at, &byte) in unit.iter().enumerate() {
        if byte != 3 || at < 2 || unit[at - 2..at] != [0, 0] {
            bytes.push(byte);
        }
    }
    bytes
}

/// Supplemental information: timing and recovery, with lengths that leave no room, and x264's own name.
fn sei(body: &[u8], kind: Kind) -> Result<(), String> {
    let body = unescape(body);
    let mut at = 0;
    let varying = |at: &mut usize| -> Option<usize> {
        let mut sum = 0usize;
        loop {
            let byte = *body.get(*at)?;
            *at += 1;
            sum += usize::from(byte);
            if byte != 255 {
                return Some(sum);
            }
        }
    };
    let cut = || format!("supplemental information is damaged: {}", show(&body));
    while at < body.len() && body[at..] != [0x80] {
        let number = varying(&mut at).ok_or_else(cut)?;
        let length = varying(&mut at).ok_or_else(cut)?;
        let payload = at
            .checked_add(length)
            .and_then(|to| body.get(at..to))
            .ok_or_else(cut)?;
        let known = match (kind, number) {
            // Buffering period, picture timing, recovery point, and H.265's active parameter sets and checksums.
            (_, 0 | 1) => length <= 64,
            (_, 6) => length <= 8,
            (Kind::Hevc, 129) => length <= 16,
            (Kind::Hevc, 132) => length <= 49,
            // Colour volume and light level of the picture.
            (_, 137) => length == 24,
            (_, 144) => length == 4,
            (Kind::Avc, 5) => is_x264(payload),
            _ => false,
        };
        if !known {
            return Err(format!(
                "supplemental information of type {number}: {}",
                show(payload)
            ));
        }
        at += length;
    }
    if body.get(at..) != Some(&[0x80]) {
        return Err(cut());
    }
    Ok(())
}

/// True for what x264 says of itself: its version, and settings that are numbers.
fn is_x264(payload: &[u8]) -> bool {
    let Some(text) = payload
        .strip_prefix(&X264)
        .and_then(|text| text.strip_suffix(b"\0"))
        .and_then(|text| std::str::from_utf8(text).ok())
    else {
        return false;
    };
    let Some((head, options)) = text.split_once(" - options: ") else {
        return false;
    };
    let numbers = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || b" r.".contains(&byte))
    };
    let version = head
        .strip_prefix("x264 - core ")
        .and_then(|rest| rest.split_once(" - H.264/MPEG-4 AVC codec - Copyleft 2003-"))
        .and_then(|(version, rest)| Some((version, rest.split_once(" - ")?)));
    let Some((version, (year, address))) = version else {
        return false;
    };
    numbers(version)
        && version.len() < 32
        && year.len() == 4
        && numbers(year)
        && address == "http://www.videolan.org/x264.html"
        && options.len() < 1500
        && options.split(' ').all(is_option)
}

/// True for `key=value` with a short lower-case key and a value of digits; some values are words.
fn is_option(option: &str) -> bool {
    const WORDS: &[&str] = &[
        "dia",
        "hex",
        "umh",
        "esa",
        "tesa",
        "crf",
        "cqp",
        "abr",
        "2pass",
        "cbr",
        "none",
        "vbr",
        "stitchable",
        "infinite",
    ];
    let Some((key, value)) = option.split_once('=') else {
        return option == "stitchable";
    };
    let name = !key.is_empty()
        && key.len() <= 20
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'8');
    let numbers = value.len() <= 16
        && value
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"x:.,-a".contains(&byte));
    name && (numbers || WORDS.contains(&value))
}

/// Checks an AVC configuration; how long the lengths are that it tells.
pub fn avcc(body: &[u8]) -> Result<Coding, String> {
    let odd = || format!("its parameters are damaged: {}", show(body));
    let width = usize::from(body.get(4).ok_or_else(odd)? & 3) + 1;
    let mut at = 5;
    for (mask, number) in [(0x1f, 7), (0xff, 8)] {
        let count = body.get(at).ok_or_else(odd)? & mask;
        at += 1;
        for _ in 0..count {
            let unit = unit(body, &mut at).ok_or_else(odd)?;
            if unit.first().is_none_or(|byte| byte & 0x1f != number) {
                return Err(format!("no parameter set: {}", show(unit)));
            }
        }
    }
    // Profiles from High on say how deep samples are, and end with a count of more sets.
    if !matches!(body.len() - at, 0 | 4) || (body.len() - at == 4 && body[at + 3] != 0) {
        return Err(format!("bytes after its parameters: {}", show(&body[at..])));
    }
    Ok(Coding::Avc(width))
}

fn unit<'a>(body: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let length = usize::from(u16::from_be_bytes(body.get(*at..*at + 2)?.try_into().ok()?));
    let unit = body.get(*at + 2..*at + 2 + length)?;
    *at += 2 + length;
    Some(unit)
}

/// As [`avcc`], for HEVC.
pub fn hvcc(body: &[u8]) -> Result<Coding, String> {
    let odd = || format!("its parameters are damaged: {}", show(body));
    let width = usize::from(body.get(21).ok_or_else(odd)? & 3) + 1;
    let arrays = *body.get(22).ok_or_else(odd)?;
    let mut at = 23;
    for _ in 0..arrays {
        let number = body.get(at).ok_or_else(odd)? & 0x3f;
        let count = u16::from_be_bytes([
            *body.get(at + 1).ok_or_else(odd)?,
            *body.get(at + 2).ok_or_else(odd)?,
        ]);
        at += 3;
        for _ in 0..count {
            let unit = unit(body, &mut at).ok_or_else(odd)?;
            let same = unit.first().is_some_and(|byte| byte >> 1 & 0x3f == number);
            if !same || !matches!(number, 32..=34) {
                return Err(format!("no parameter set: {}", show(unit)));
            }
        }
    }
    if at != body.len() {
        return Err(format!("bytes after its parameters: {}", show(&body[at..])));
    }
    Ok(Coding::Hevc(width))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(units: &[&[u8]]) -> Vec<u8> {
        let with_length = |unit: &&[u8]| [&(unit.len() as u32).to_be_bytes()[..], unit].concat();
        units.iter().flat_map(with_length).collect()
    }

    fn problems(unit: &[u8], kind: Kind) -> usize {
        check(&packet(&[unit]), 4, kind).len()
    }

    #[test]
    fn pictures_pass_and_what_carries_texts_does_not() {
        assert_eq!(problems(&[0x65, 0x88, 0x80], Kind::Avc), 0);
        assert_eq!(problems(&[0x09, 0x10], Kind::Avc), 0);
        assert_eq!(problems(b"\x09\x10secret", Kind::Avc), 1);
        assert_eq!(problems(&[0x0c, 0xff, 0xff, 0x80], Kind::Avc), 0);
        assert_eq!(problems(b"\x0csecret\x80", Kind::Avc), 1);
        assert_eq!(problems(b"\x1fsecret", Kind::Avc), 1);
        let mut user = b"\x06\x05\x16".to_vec();
        user.extend([7; 16]);
        user.extend(b"secret\x80");
        assert_eq!(problems(&user, Kind::Avc), 1);
        // Captions of television.
        assert_eq!(problems(b"\x06\x04\x06secret\x80", Kind::Avc), 1);
        assert_eq!(problems(b"\x4e\x01\x05\x06secret\x80", Kind::Hevc), 1);
        assert_eq!(problems(&[0x02, 0x01, 0x80], Kind::Hevc), 0);
        assert_eq!(problems(b"\x60\x01secret", Kind::Hevc), 1);
        let mut longer = packet(&[&[0x65, 0x80]]);
        longer.extend(b"abc");
        assert_eq!(check(&longer, 4, Kind::Avc).len(), 1);
    }

    #[test]
    fn x264_may_name_itself_and_nothing_else() {
        let text = "x264 - core 164 r3095 baee400 - H.264/MPEG-4 AVC codec - Copyleft 2003-2022 - \
                    http://www.videolan.org/x264.html - options: cabac=1 analyse=0x3:0x113 me=hex rc=crf crf=21.0\0";
        assert!(is_x264(&[&X264[..], text.as_bytes()].concat()));
        for (from, to) in [
            ("crf=21.0", "crf=21.0 name=Anna"),
            ("2003-2022", "2003-Anna"),
            ("164", "164 Anna Li"),
        ] {
            assert!(
                !is_x264(&[&X264[..], text.replace(from, to).as_bytes()].concat()),
                "{to}"
            );
        }
        assert!(!is_x264(&X264));
    }
}
