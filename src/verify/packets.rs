//! What a packet of each coding may consist of.

use super::{nal, obu};

/// How packets are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    /// H.264 with lengths of so many bytes before its units.
    Avc(usize),
    /// H.265 likewise.
    Hevc(usize),
    Vp9,
    Av1,
    Opus,
    /// Packets whose inside is nothing but samples, or cannot be told without decoding (AAC).
    Samples,
    /// The description that should tell is missing.
    #[default]
    Unknown,
}

impl Coding {
    /// What in `packet` should not be there, by place in it.
    pub fn check(self, packet: &[u8]) -> Vec<(usize, String)> {
        match self {
            Self::Avc(length) => nal::check(packet, length, nal::Kind::Avc),
            Self::Hevc(length) => nal::check(packet, length, nal::Kind::Hevc),
            Self::Av1 => obu::check(packet),
            Self::Vp9 => one(vp9(packet)),
            Self::Opus => one(opus(packet)),
            Self::Samples => Vec::new(),
            Self::Unknown => vec![(0, "its coding is not described".into())],
        }
    }
}

fn one(problem: Result<(), (usize, String)>) -> Vec<(usize, String)> {
    problem.err().into_iter().collect()
}

/// A packet is one frame, or a superframe whose index says how long each of its frames is (VP9 bitstream
/// specification, annex B). Frames begin with the marker 2 (6.1).
fn vp9(packet: &[u8]) -> Result<(), (usize, String)> {
    let Some(&last) = packet.last() else {
        return Err((0, "an empty picture".into()));
    };
    let mut frames = vec![(0, packet.len())];
    if last & 0xe0 == 0xc0 {
        let (count, width) = (usize::from(last & 7) + 1, usize::from(last >> 3 & 3) + 1);
        let index = 2 + count * width;
        if packet.len() >= index && packet[packet.len() - index] == last {
            let sizes = &packet[packet.len() - index + 1..packet.len() - 1];
            let (mut at, end) = (0usize, packet.len() - index);
            frames.clear();
            for size in sizes.chunks_exact(width) {
                let size = size
                    .iter()
                    .rev()
                    .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                frames.push((at, size));
                at = at.saturating_add(size);
            }
            if at != end {
                let problem = "bytes of a superframe belong to none of its frames";
                return Err((at.min(end), problem.into()));
            }
        }
    }
    for (at, size) in frames {
        if size == 0 || packet.get(at).is_none_or(|byte| byte >> 6 != 2) {
            return Err((at, "this is no VP9 frame".into()));
        }
    }
    Ok(())
}

/// Padding of an Opus packet (RFC 6716, 3.2.5) holds zeros.
fn opus(packet: &[u8]) -> Result<(), (usize, String)> {
    let Some(&toc) = packet.first() else {
        return Err((0, "an empty packet".into()));
    };
    if toc & 3 != 3 {
        return Ok(());
    }
    let count = *packet.get(1).ok_or((1, "a packet is cut off".to_owned()))?;
    if count & 0x40 == 0 {
        return Ok(());
    }
    let (mut at, mut padding) = (2, 0usize);
    loop {
        let byte = *packet
            .get(at)
            .ok_or((at, "a packet is cut off".to_owned()))?;
        at += 1;
        padding += if byte == 255 { 254 } else { usize::from(byte) };
        if byte != 255 {
            break;
        }
    }
    let from = packet.len().saturating_sub(padding).max(at);
    if packet[from..].iter().any(|&byte| byte != 0) {
        return Err((from, "padding of a sound packet is not empty".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superframes_hold_nothing_between_frames() {
        assert!(Coding::Vp9.check(&[0x82, 1, 2]).is_empty());
        assert!(
            Coding::Vp9
                .check(&[0x82, 1, 0x84, 2, 0xc1, 2, 2, 0xc1])
                .is_empty()
        );
        assert_eq!(
            Coding::Vp9.check(&[0x82, 1, 0x84, 2, 7, 0xc1, 2, 2, 0xc1])[0].0,
            4
        );
        assert_eq!(Coding::Vp9.check(b"hidden").len(), 1);
        assert_eq!(Coding::Vp9.check(&[]).len(), 1);
    }

    #[test]
    fn padding_of_sound_is_empty() {
        assert!(Coding::Opus.check(&[0x03, 0x41, 2, 9, 0, 0]).is_empty());
        assert_eq!(Coding::Opus.check(&[0x03, 0x41, 2, 9, 0, 5]).len(), 1);
        assert!(Coding::Opus.check(&[0x08, 1, 2]).is_empty());
        assert_eq!(Coding::Opus.check(&[0x03, 0x41, 255]).len(), 1);
    }
}
