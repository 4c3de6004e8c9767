//! Boxes of JUMBF (ISO/IEC 19566-5), in the one form in which they are written here.

use std::fmt;

/// What ends the identifier of a box's kind.
const KIND_TAIL: [u8; 12] = [
    0x00, 0x11, 0x00, 0x10, 0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71,
];
/// A description with a label that can be asked for.
const LABELLED: u8 = 0x03;
/// The same, with a salt.
const SALTED: u8 = 0x13;
/// Length of the box of a salt.
const SALT: usize = 24;

/// The kind and content of each of some boxes.
pub type Boxes<'a> = Vec<([u8; 4], &'a [u8])>;

/// A superbox: its label, and the boxes in it.
pub struct Superbox<'a> {
    /// Its label.
    pub label: &'a str,
    /// The boxes in it.
    pub boxes: Boxes<'a>,
}

/// What is wrong with a box.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The boxes that `bytes` consist of.
pub fn boxes(mut bytes: &[u8]) -> Result<Boxes<'_>, Wrong> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let next = bytes.split_first_chunk::<8>().and_then(|(head, rest)| {
            let [a, b, c, d, kind @ ..] = *head;
            let length = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(8)?;
            Some((kind, rest.split_at_checked(length)?))
        });
        let Some((kind, (body, rest))) = next else {
            return Err(Wrong(format!("{} bytes that are no box", bytes.len())));
        };
        found.push((kind, body));
        bytes = rest;
    }
    Ok(found)
}

/// Takes the content of a superbox of the kind `kind` apart.
pub fn open<'a>(kind: &[u8; 4], body: &'a [u8]) -> Result<Superbox<'a>, Wrong> {
    let mut boxes = boxes(body)?;
    if boxes.first().is_none_or(|(name, _)| name != b"jumd") {
        return Err(Wrong("a box without a description".into()));
    }
    let (_, description) = boxes.remove(0);
    let label = label(kind, description)
        .ok_or_else(|| Wrong("a description that is not expected".into()))?;
    Ok(Superbox { label, boxes })
}

fn label<'a>(kind: &[u8; 4], description: &'a [u8]) -> Option<&'a str> {
    let rest = description.strip_prefix(kind)?.strip_prefix(&KIND_TAIL)?;
    let (&form, rest) = rest.split_first()?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    let private = &rest[end + 1..];
    let fits = match form {
        LABELLED => private.is_empty(),
        SALTED => private.len() == SALT && private.starts_with(b"\0\0\0\x18c2sh"),
        _ => false,
    };
    fits.then(|| std::str::from_utf8(&rest[..end]).ok())?
}
