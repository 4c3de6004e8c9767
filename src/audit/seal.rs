//! Lines with a signature at their end.
//!
//! The signature is over the very bytes of the line, so that no two texts are the same line.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::digest::hexadecimal;

const BEFORE: &str = ",\"signature\":\"";
const AFTER: &str = "\"}";
/// The longest line that is written or read, in bytes.
pub const LONGEST: usize = 1 << 16;

/// The JSON object `text` with a signature by `key`.
pub fn seal(text: &str, key: &SigningKey) -> String {
    let signature = hexadecimal(&key.sign(text.as_bytes()).to_bytes());
    let open = text.strip_suffix('}').unwrap_or(text);
    format!("{open}{BEFORE}{signature}{AFTER}")
}

/// A line taken apart.
pub struct Sealed {
    /// The JSON object without the signature.
    pub text: String,
    signature: Signature,
}

impl Sealed {
    /// Takes `line` apart; None when it has no signature, or one that is not written as [`seal`] does.
    pub fn parse(line: &str) -> Option<Self> {
        let (open, signature) = line.strip_suffix(AFTER)?.rsplit_once(BEFORE)?;
        let bytes: [u8; 64] = bytes(signature)?.try_into().ok()?;
        Some(Self {
            text: format!("{open}}}"),
            signature: Signature::from_bytes(&bytes),
        })
    }

    /// True when `key` signed it.
    pub fn is_by(&self, key: &VerifyingKey) -> bool {
        key.verify_strict(self.text.as_bytes(), &self.signature)
            .is_ok()
    }
}

/// SHA-256 of a line without its end, in hexadecimal.
pub fn hash(line: &str) -> String {
    hexadecimal(&Sha256::digest(line.as_bytes()))
}

/// What `text` says in lower-case hexadecimal.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// The public key that `text` names in hexadecimal.
pub fn public(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&bytes(text)?.try_into().ok()?).ok()
}

/// A public key in hexadecimal.
pub fn public_text(key: &VerifyingKey) -> String {
    hexadecimal(key.as_bytes())
}
