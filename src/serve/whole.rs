//! How much of a recording is whole, whatever ended it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::boxes::{header, samples};

/// The longest head of a fragment that is written.
const HEAD: usize = 64 << 20;

/// What of a recording is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Bytes up to the end of its last whole fragment.
    pub length: u64,
    /// Pictures up to there.
    pub frames: u64,
}

/// Finds where the last whole fragment of the recording `path` ends.
///
/// Errors: those of reading.
pub fn whole(path: &Path) -> io::Result<Whole> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut whole, mut at, mut frames) = (Whole::default(), 0, 0);
    loop {
        let mut head = vec![0; end.saturating_sub(at).min(16) as usize];
        file.read_exact_at(&mut head, at)?;
        let Some((kind, size)) = header(&head) else {
            return Ok(whole);
        };
        let next = at.saturating_add(size as u64);
        if next > end {
            return Ok(whole);
        }
        match &kind {
            b"moof" if size < HEAD => {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, at)?;
                frames += samples(&bytes);
            }
            b"moov" | b"mdat" => {
                whole = Whole {
                    length: next,
                    frames,
                };
            }
            _ => {}
        }
        at = next;
    }
}
