//! Walks through files of containers that say how long each of their parts is, but not the whole: FLV and ASF (WMV), and
//! MPEG transport streams (`transport`). Demuxers pass over what is broken in them, and take a part for the whole.
//!
//! Such files are often recordings that ended abruptly: what is there is redacted, and the damage told.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use super::transport;

/// ASF's GUIDs of the header, the data, and the file properties inside the header.
const ASF_HEADER: [u8; 16] = guid(0x30);
const ASF_DATA: [u8; 16] = guid(0x36);
const ASF_PROPERTIES: [u8; 16] = [
    0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65,
];

const fn guid(first: u8) -> [u8; 16] {
    [
        first, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, 0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62, 0xce,
        0x6c,
    ]
}

/// What is wrong with `file` of `length` bytes, which begins with `head`; None when nothing is, or when it is of
/// another container.
///
/// Sources: Adobe Flash Video File Format Specification 10.1, annex E; Microsoft's Advanced Systems Format, 3 and 5;
/// ISO/IEC 13818-1, 2.4.3.
pub fn problem(
    file: &mut (impl Read + Seek),
    length: u64,
    head: &[u8],
) -> std::io::Result<Option<String>> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    // A GIF begins with the same byte, and may have it again where the next packet would begin.
    let packets = transport::Packets::of(reader.fill_buf()?).filter(|_| !head.starts_with(b"GIF8"));
    let found = if head.starts_with(b"FLV\x01") {
        flv(&mut reader, length)
    } else if head.starts_with(&ASF_HEADER[..12]) {
        asf(&mut reader, length)
    } else if let Some(packets) = packets {
        transport::problem(&mut reader, packets, length)
    } else {
        return Ok(None);
    };
    match found {
        // The file ends in the middle of something.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(Some(cut(length))),
        found => found,
    }
}

pub(super) fn cut(length: u64) -> String {
    format!("the file is cut off after {length} bytes; pictures are missing at its end")
}

pub(super) fn damaged(at: u64, length: u64) -> String {
    format!("the file is damaged at byte {at} of {length}; pictures may be broken or missing")
}

pub(super) fn take<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn flv(reader: &mut (impl Read + Seek), length: u64) -> std::io::Result<Option<String>> {
    reader.seek(SeekFrom::Start(5))?;
    // The header, and the size of the tag before the first one.
    let mut at = u64::from(u32::from_be_bytes(take(reader)?)) + 4;
    while at < length {
        reader.seek(SeekFrom::Start(at))?;
        let [kind, size @ ..] = take::<4>(reader)?;
        let size = u64::from(u32::from_be_bytes([0, size[0], size[1], size[2]]));
        // Bit 5 is for encrypted tags.
        if !matches!(kind & !0x20, 8 | 9 | 18) {
            return Ok(Some(damaged(at, length)));
        }
        let end = at + 11 + size;
        if end > length {
            return Ok(Some(cut(length)));
        }
        if end + 4 <= length {
            reader.seek(SeekFrom::Start(end))?;
            let before = u64::from(u32::from_be_bytes(take(reader)?));
            // Some programs leave it 0.
            if before != 0 && before != 11 + size {
                return Ok(Some(damaged(at, length)));
            }
        }
        at = end + 4;
    }
    Ok(None)
}

fn asf(reader: &mut (impl Read + Seek), length: u64) -> std::io::Result<Option<String>> {
    reader.seek(SeekFrom::Start(16))?;
    let header = u64::from_le_bytes(take(reader)?);
    if header > length {
        return Ok(Some(cut(length)));
    }
    let mut packet = 0u64;
    // Behind the header's own 30 bytes its objects follow each other.
    let mut at = 30;
    while at + 24 <= header {
        reader.seek(SeekFrom::Start(at))?;
        let id: [u8; 16] = take(reader)?;
        let size = u64::from_le_bytes(take(reader)?);
        if size < 24 || size > header - at {
            return Ok(Some(damaged(at, length)));
        }
        if id == ASF_PROPERTIES {
            reader.seek(SeekFrom::Start(at + 92))?;
            packet = u64::from(u32::from_le_bytes(take(reader)?));
        }
        at += size;
    }
    reader.seek(SeekFrom::Start(header))?;
    let id: [u8; 16] = take(reader)?;
    let size = u64::from_le_bytes(take(reader)?);
    if id != ASF_DATA {
        return Ok(Some(damaged(header, length)));
    }
    // 0 in what is still recorded.
    let end = if size == 0 {
        length
    } else {
        header.saturating_add(size)
    };
    if end > length {
        return Ok(Some(cut(length)));
    }
    // Packets of one size, and of one way to begin.
    let mut at = header + 50;
    let mut first = None;
    while packet > 0 && at + packet <= end {
        reader.seek(SeekFrom::Start(at))?;
        let [flags] = take(reader)?;
        if *first.get_or_insert(flags) != flags {
            return Ok(Some(damaged(at, length)));
        }
        at += packet;
    }
    Ok(None)
}

#[cfg(test)]
pub mod tests {
    use std::io::Write;

    use super::*;

    pub fn check(bytes: &[u8]) -> Option<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        // As it is after the head was read.
        file.seek(SeekFrom::Start(12)).unwrap();
        problem(&mut file, bytes.len() as u64, &bytes[..bytes.len().min(12)]).unwrap()
    }

    /// `whole` is right, and neither without its last byte nor with another one at each of `places`.
    pub fn breaks(whole: &[u8], places: &[usize]) {
        assert_eq!(check(whole), None);
        let cut = check(&whole[..whole.len() - 1]).expect("told");
        assert!(cut.contains("cut off"), "{cut}");
        for &place in places {
            let mut broken = whole.to_vec();
            broken[place] ^= 0x55;
            assert!(check(&broken).is_some(), "byte {place}");
        }
        // Whatever is cut, nothing panics or hangs.
        for length in 0..whole.len() {
            check(&whole[..length]);
        }
    }

    #[test]
    fn tags_of_flv_follow_each_other() {
        let mut whole = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        for _ in 0..3 {
            whole.extend([9, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 15]);
        }
        let end = whole.len() - 4;
        assert_eq!(check(&whole[..end]), None, "without the last size");
        whole.truncate(end);
        breaks(&whole, &[13, 16, 31, 32]);
    }

    #[test]
    fn packets_of_asf_begin_alike() {
        let mut whole = ASF_HEADER.to_vec();
        whole.extend(134u64.to_le_bytes());
        whole.extend([0; 6]);
        whole.extend(ASF_PROPERTIES);
        whole.extend(104u64.to_le_bytes());
        whole.extend([0; 68]);
        whole.extend(100u32.to_le_bytes());
        whole.extend([0; 8]);
        assert_eq!(whole.len(), 134);
        whole.extend(ASF_DATA);
        whole.extend(350u64.to_le_bytes());
        whole.extend([0; 26]);
        for _ in 0..3 {
            whole.push(0x82);
            whole.extend([7; 99]);
        }
        breaks(&whole, &[134, 284, 384]);
        // Sizes of the header and of an object in it that no file has.
        for place in [16, 46] {
            let mut broken = whole.clone();
            broken[place..place + 8].fill(0xff);
            assert!(check(&broken).is_some(), "byte {place}");
        }
    }
}
