//! JPEG, PNG and WebP: which segments and chunks a picture may consist of.
//!
//! Sources: ITU-T T.81, annex B; PNG specification (third edition), 5 and 11; RFC 9649.

use std::io;

use super::source::{Credentials, Walk, show};

/// What a segment of content credentials begins with: JPEG XT's mark, the number of the box and of its part.
const CREDENTIALS: &[u8] = b"JP\x02\x11\0\0\0\x01";

/// The `JFIF` segment without a thumbnail, after its length.
fn is_jfif(body: &[u8]) -> bool {
    body.len() == 14 && body.starts_with(b"JFIF\0\x01") && body[12..] == [0, 0]
}

pub fn jpeg(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.format("JPEG");
    walk.track(0, "file", "video", "jpeg");
    let Some(bytes) = walk.take(0, walk.length, "file")? else {
        return Ok(());
    };
    let mut at = 2;
    let (mut scan, mut after_jfif) = (false, false);
    while at < bytes.len() && !walk.is_full() {
        if scan {
            // Coded data ends at the next marker that is neither an escaped byte nor a restart.
            let marker = bytes[at..]
                .windows(2)
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7));
            at += marker.unwrap_or(bytes.len() - at);
            scan = false;
            continue;
        }
        let (offset, Some(&[0xff, marker])) = (
            at as u64,
            bytes
                .get(at..at + 2)
                .and_then(|pair| pair.first_chunk::<2>()),
        ) else {
            walk.report(
                at as u64,
                "file",
                format!("no segment: {}", show(&bytes[at..])),
            );
            return Ok(());
        };
        if marker == 0xd9 {
            let rest = &bytes[at + 2..];
            if !rest.is_empty() {
                let problem = format!("{} bytes after the picture: {}", rest.len(), show(rest));
                walk.report(offset + 2, "file", problem);
            }
            return Ok(());
        }
        let length = bytes
            .get(at + 2..at + 4)
            .map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])));
        let Some(body) = bytes.get(at + 4..at + 2 + length).filter(|_| length >= 2) else {
            walk.report(offset, format!("marker {marker:#x}"), "its length is wrong");
            return Ok(());
        };
        let fits = match marker {
            0xe0 => is_jfif(body),
            // Frame, Huffman tables, scan, quantisation, restart interval: of the lengths that their content tells.
            0xc0..=0xc2 => body
                .get(5)
                .is_some_and(|&count| body.len() == 6 + 3 * usize::from(count)),
            0xc4 => huffman(body),
            0xdb => quantisation(body),
            0xda => body
                .first()
                .is_some_and(|&count| body.len() == 4 + 2 * usize::from(count)),
            0xdd => body.len() == 2,
            // Content credentials, in one segment behind the first one.
            0xeb => match body.strip_prefix(CREDENTIALS) {
                Some(jumbf) if after_jfif => walk.credentials(Credentials {
                    place: offset..offset + 2 + length as u64,
                    within: "APP11",
                    jumbf: jumbf.to_vec(),
                }),
                _ => false,
            },
            _ => false,
        };
        if !fits {
            let place = match marker {
                0xe0..=0xef => format!("APP{}", marker - 0xe0),
                0xfe => "COM".into(),
                other => format!("marker {other:#x}"),
            };
            walk.report(
                offset,
                place,
                format!("{} bytes that are not expected: {}", body.len(), show(body)),
            );
        }
        at += 2 + length;
        after_jfif = marker == 0xe0;
        scan = marker == 0xda;
    }
    walk.report(bytes.len() as u64, "file", "the picture has no end");
    Ok(())
}

fn huffman(mut body: &[u8]) -> bool {
    while let Some(counts) = body.get(1..17) {
        let values: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let Some(rest) = body.get(17 + values..) else {
            return false;
        };
        body = rest;
    }
    body.is_empty()
}

fn quantisation(mut body: &[u8]) -> bool {
    while let Some(&first) = body.first() {
        let size = if first >> 4 == 0 { 64 } else { 128 };
        let Some(rest) = body.get(1 + size..) else {
            return false;
        };
        body = rest;
    }
    true
}

pub fn png(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.format("PNG");
    walk.track(0, "file", "video", "png");
    let Some(bytes) = walk.take(0, walk.length, "file")? else {
        return Ok(());
    };
    let (mut at, mut data) = (8, Vec::new());
    let mut header = None;
    while at < bytes.len() && !walk.is_full() {
        let length = bytes
            .get(at..at + 4)
            .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
        let end = length.and_then(|length| at.checked_add(12)?.checked_add(length as usize));
        let Some(chunk) = end.and_then(|end| bytes.get(at..end)) else {
            walk.report(
                at as u64,
                "file",
                format!("no chunk: {}", show(&bytes[at..])),
            );
            return Ok(());
        };
        let (kind, body) = (&chunk[4..8], &chunk[8..chunk.len() - 4]);
        match kind {
            b"IHDR" if body.len() == 13 && at == 8 => header = Some(body.to_vec()),
            b"IDAT" => data.extend_from_slice(body),
            b"IEND" if body.is_empty() => {
                let rest = &bytes[at + chunk.len()..];
                if !rest.is_empty() {
                    let problem = format!("{} bytes after the picture: {}", rest.len(), show(rest));
                    walk.report((at + chunk.len()) as u64, "file", problem);
                }
                if let Some(problem) = hidden_in_pixels(header.as_deref(), &data) {
                    walk.report(8, "IDAT", problem);
                }
                return Ok(());
            }
            _ => {
                let place = String::from_utf8_lossy(kind).into_owned();
                walk.report(
                    at as u64,
                    place,
                    format!("{} bytes that are not expected: {}", body.len(), show(body)),
                );
            }
        }
        at += chunk.len();
    }
    walk.report(bytes.len() as u64, "file", "the picture has no end");
    Ok(())
}

/// What the compressed pixels hold beside pixels, if anything: bytes behind the stream, or more lines than there are.
fn hidden_in_pixels(header: Option<&[u8]>, data: &[u8]) -> Option<String> {
    use flate2::{Decompress, FlushDecompress, Status};
    let header = header?;
    let number = |at: usize| {
        u64::from(u32::from_be_bytes([
            header[at],
            header[at + 1],
            header[at + 2],
            header[at + 3],
        ]))
    };
    let (width, height) = (number(0), number(4));
    let channels = match header[9] {
        2 => 3,
        6 => 4,
        _ => {
            return Some(format!(
                "a colour type that is never written here: {}",
                header[9]
            ));
        }
    };
    if header[8] != 8 || header[10..] != [0, 0, 0] {
        return Some("a depth or interlacing that is never written here".into());
    }
    let wanted = width
        .checked_mul(channels)?
        .checked_add(1)?
        .checked_mul(height)?;
    let mut inflate = Decompress::new(true);
    let mut scratch = vec![0; 1 << 16];
    loop {
        let (read, written) = (inflate.total_in(), inflate.total_out());
        let rest = &data[usize::try_from(read).ok()?.min(data.len())..];
        match inflate.decompress(rest, &mut scratch, FlushDecompress::None) {
            Ok(Status::StreamEnd) => break,
            Ok(_)
                if inflate.total_out() <= wanted
                    && (inflate.total_in(), inflate.total_out()) != (read, written) => {}
            _ => return Some("the pixels are damaged".into()),
        }
    }
    let behind = data.len() as u64 - inflate.total_in();
    if behind > 0 {
        return Some(format!("{behind} bytes after the compressed pixels"));
    }
    (inflate.total_out() != wanted).then(|| {
        format!(
            "{} bytes of pixels, there should be {wanted}",
            inflate.total_out()
        )
    })
}

pub fn webp(walk: &mut Walk<'_>) -> io::Result<()> {
    walk.format("WebP");
    walk.track(0, "file", "video", "webp");
    let head = walk.up_to(0, 20)?;
    let number = |at: usize| {
        let four = head.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes([
            four[0], four[1], four[2], four[3],
        ])))
    };
    let (Some(whole), Some(size)) = (number(4), number(16)) else {
        walk.report(0, "file", "the picture is cut off");
        return Ok(());
    };
    let told = whole + 8;
    if told > walk.length {
        let problem = format!("it should have {told} bytes, it has {}", walk.length);
        walk.report(walk.length, "file", problem);
    } else if told < walk.length {
        let rest = walk.up_to(told, 48)?;
        let problem = format!(
            "{} bytes after the picture: {}",
            walk.length - told,
            show(&rest)
        );
        walk.report(told, "file", problem);
    }
    if &head[12..16] != b"VP8L" {
        walk.report(
            12,
            String::from_utf8_lossy(&head[12..16]).into_owned(),
            "a chunk that is never written here",
        );
        return Ok(());
    }
    let end = 20 + size;
    let padded = end + size % 2;
    if padded > told {
        walk.report(16, "file", "the pixels are cut off");
    } else if padded < told {
        let rest = walk.up_to(end, 48)?;
        walk.report(
            end,
            "file",
            format!("bytes after the pixels: {}", show(&rest)),
        );
    } else if padded > end && walk.up_to(end, 1)? != [0] {
        walk.report(end, "file", "a padding byte that is not 0");
    }
    Ok(())
}
