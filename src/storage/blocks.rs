//! BLAKE3 of content whose blocks come in any order: demuxers seek, and muxers write the beginning last.

use blake3::Hash;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root,
};

/// Bytes of a block; a power of two, so that each is a subtree of BLAKE3's.
pub const BLOCK: u64 = 4 << 20;

/// The hashes of the blocks seen so far.
#[derive(Default)]
pub struct Blocks {
    /// Of each block as a part of something longer.
    inner: Vec<Option<ChainingValue>>,
    /// Of the first one as the whole.
    whole: Option<Hash>,
}

impl Blocks {
    /// Notes the content of block `index`, which is not empty. False when it was noted before with another content.
    pub fn note(&mut self, index: u64, content: &[u8]) -> bool {
        let mut hasher = blake3::Hasher::new();
        if index > 0 {
            hasher.set_input_offset(index * BLOCK);
        }
        hasher.update(content);
        let value = hasher.finalize_non_root();
        if index == 0 {
            self.whole = Some(hasher.finalize());
        }
        let index = index as usize;
        if self.inner.len() <= index {
            self.inner.resize(index + 1, None);
        }
        self.inner[index]
            .replace(value)
            .is_none_or(|known| known == value)
    }

    /// True when block `index` was noted.
    pub fn has(&self, index: u64) -> bool {
        matches!(self.inner.get(index as usize), Some(Some(_)))
    }

    /// The hash of all `count` blocks; None when one of them was not noted.
    pub fn root(&self, count: u64) -> Option<Hash> {
        if count == 1 {
            return self.whole;
        }
        let values: Vec<ChainingValue> = self
            .inner
            .get(..count as usize)?
            .iter()
            .copied()
            .collect::<Option<_>>()?;
        let (left, right) = halves(&values)?;
        Some(merge_subtrees_root(
            &merged(left)?,
            &merged(right)?,
            Mode::Hash,
        ))
    }
}

/// As BLAKE3 divides: the left half is as long as a power of two can be, and the right one not empty.
fn halves(values: &[ChainingValue]) -> Option<(&[ChainingValue], &[ChainingValue])> {
    let left = values.len().checked_next_power_of_two()? / 2;
    values.split_at_checked(left)
}

fn merged(values: &[ChainingValue]) -> Option<ChainingValue> {
    if let [one] = values {
        return Some(*one);
    }
    let (left, right) = halves(values).filter(|(left, _)| !left.is_empty())?;
    Some(merge_subtrees_non_root(
        &merged(left)?,
        &merged(right)?,
        Mode::Hash,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_blocks_does_not_matter() {
        let content: Vec<u8> = (0..5 * BLOCK + 77)
            .map(|at| ((at * at) >> 7) as u8)
            .collect();
        for length in [
            1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK,
            3 * BLOCK,
            4 * BLOCK + 5,
            5 * BLOCK + 77,
        ] {
            let content = &content[..length as usize];
            let parts: Vec<&[u8]> = content.chunks(BLOCK as usize).collect();
            let count = parts.len() as u64;
            let mut blocks = Blocks::default();
            for (index, part) in parts.iter().enumerate().rev() {
                assert!(blocks.root(count).is_none());
                assert!(blocks.note(index as u64, part));
            }
            assert_eq!(blocks.root(count), Some(blake3::hash(content)), "{length}");
            assert!(
                blocks.note(count - 1, parts[parts.len() - 1]),
                "the same again"
            );
            assert!(!blocks.note(0, b"other"));
        }
        assert_eq!(Blocks::default().root(0), None);
    }
}
