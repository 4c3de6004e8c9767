//! Files that are not as they should be.

use std::path::{Path, PathBuf};

/// The first `share` (0 to 1) of the bytes of `path`, as a new file `name` beside it.
pub fn truncated(path: &Path, name: &str, share: f64) -> PathBuf {
    let bytes = read(path);
    let keep = (bytes.len() as f64 * share) as usize;
    write(path, name, &bytes[..keep])
}

/// `path` with the bytes from `from` to `to` (shares of its length, 0 to 1) overwritten by noise, as a new
/// file `name` beside it.
pub fn damaged(path: &Path, name: &str, from: f64, to: f64) -> PathBuf {
    let mut bytes = read(path);
    let at = |share: f64| (bytes.len() as f64 * share) as usize;
    let (from, to) = (at(from), at(to));
    let mut state = 0x2545_f491u32;
    for byte in &mut bytes[from..to] {
        // Xorshift (Marsaglia 2003): the same noise every time.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = (state >> 24) as u8;
    }
    write(path, name, &bytes)
}

/// The offset and length of the first MP4 box `kind` at the top level of the file ("mdat"), its 8 bytes of head
/// included (ISO/IEC 14496-12, 4.2).
pub fn mp4_box(path: &Path, kind: &[u8; 4]) -> Option<(usize, usize)> {
    let bytes = read(path);
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 8) {
        let size = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
        let size = match size {
            0 => bytes.len() - at,
            1 => u64::from_be_bytes(bytes.get(at + 8..at + 16)?.try_into().ok()?) as usize,
            size => size,
        };
        if &head[4..] == kind {
            return Some((at, size));
        }
        at = at.checked_add(size.max(8))?;
    }
    None
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = path.with_file_name(name);
    std::fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}
