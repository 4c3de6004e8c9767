//! AV1: which units a picture may consist of.
//!
//! Source: AV1 Bitstream & Decoding Process Specification, 5.3 to 5.8 and 6.7.

use super::source::show;

/// What in `packet` should not be there, by place.
pub fn check(packet: &[u8]) -> Vec<(usize, String)> {
    let (mut at, mut problems) = (0usize, Vec::new());
    if packet.is_empty() {
        problems.push((0, "an empty picture".into()));
    }
    while at < packet.len() {
        let Some((number, from, to)) = unit(packet, at) else {
            problems.push((
                at,
                format!("bytes that are no unit: {}", show(&packet[at..])),
            ));
            break;
        };
        let body = &packet[from..to];
        match number {
            // Sequence header, frame header, tile group, frame, redundant frame header.
            1 | 3 | 4 | 6 | 7 if !body.is_empty() => {}
            // Temporal delimiter.
            2 if body.is_empty() => {}
            // Light level and colour volume of the picture.
            5 if matches!((body.first(), body.len()), (Some(1), 6) | (Some(2), 26)) => {}
            _ => problems.push((at, format!("a unit of type {number}: {}", show(body)))),
        }
        at = to;
    }
    problems
}

/// Type of the unit at `at`, and where its content is.
fn unit(packet: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let head = *packet.get(at)?;
    let mut from = at + 1;
    // Bit 7 and bit 0 are reserved.
    if head & 0x81 != 0 {
        return None;
    }
    if head & 4 != 0 {
        from += 1;
    }
    let length = if head & 2 == 0 {
        packet.len().checked_sub(from)?
    } else {
        let mut length = 0u64;
        for index in 0..8 {
            let byte = *packet.get(from)?;
            from += 1;
            length |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                break;
            }
        }
        usize::try_from(length).ok()?
    };
    let to = from.checked_add(length)?;
    (to <= packet.len()).then_some((head >> 3 & 15, from, to))
}

/// Checks an AV1 configuration (AV1 Codec ISO Media File Format Binding, 2.3): four bytes, and at most a sequence header.
pub fn av1c(body: &[u8]) -> Result<(), String> {
    // GStreamer 1.22 writes one more byte of zero than the four.
    let units = body.get(4..).ok_or("it is too short")?;
    if units.iter().all(|&byte| byte == 0) && units.len() <= 1 {
        return Ok(());
    }
    match unit(units, 0) {
        Some((1, _, to)) if to == units.len() => Ok(()),
        _ => Err(format!(
            "it holds more than a sequence header: {}",
            show(units)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_pass_and_metadata_does_not() {
        assert!(check(&[0x12, 0, 0x0a, 2, 1, 2, 0x32, 1, 9]).is_empty());
        // Country-specific metadata, padding, an unknown type, and bytes behind.
        assert_eq!(check(b"\x2a\x07\x04secret").len(), 1);
        assert_eq!(check(b"\x7a\x06secret").len(), 1);
        assert_eq!(check(b"\x12\x06secret").len(), 1);
        assert_eq!(check(&[0x12, 0, 0xff]).len(), 1);
        assert_eq!(check(&[0x32, 0xff, 0xff, 0xff]).len(), 1);
    }
}
