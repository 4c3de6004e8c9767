//! EBML: identifiers, lengths and values.
//!
//! Source: RFC 8794, 4 to 7.

/// An element: its identifier, where its content begins, and how long that is; None when it does not say.
pub struct Element {
    pub id: u32,
    pub head: usize,
    pub size: Option<u64>,
}

/// The element at the start of `bytes`; None when there is none.
pub fn element(bytes: &[u8]) -> Option<Element> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    if width > 4 {
        return None;
    }
    let id = bytes
        .get(..width)?
        .iter()
        .fold(0u32, |sum, byte| sum << 8 | u32::from(*byte));
    let (size, length) = vint(bytes.get(width..)?)?;
    Some(Element {
        id,
        head: width + length,
        size,
    })
}

/// A number of varying length, without its marker: the value, None when all bits are set, and its length.
pub fn vint(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    if width > 8 {
        return None;
    }
    let mask = (1u64 << (7 * width)) - 1;
    let value = unsigned(bytes.get(..width)?) & mask;
    Some(((value != mask).then_some(value), width))
}

/// Up to eight bytes as a number.
pub fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
}
