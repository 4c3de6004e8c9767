//! Lists of inputs: text files with one name a line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What some programs put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The names in a list, in its order; lines without one are passed over. Names need not be UTF-8.
pub fn parse(content: &[u8]) -> Vec<&Path> {
    content
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(content)
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| Path::new(OsStr::from_bytes(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_name() {
        let names = parse("\u{feff}a.mp4\r\n\r\nb c.mp4\n".as_bytes());
        assert_eq!(names, [Path::new("a.mp4"), Path::new("b c.mp4")]);
    }
}
