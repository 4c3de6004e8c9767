//! Ground truth in MOTChallenge's format, in any text.

use floutage::evaluate::Truth;

/// Reads `data` as ground truth. What is accepted has boxes that are boxes.
pub fn truth(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(truth) = Truth::parse(text, None) {
        for index in 0..truth.frames().min(1000) {
            for it in truth.frame(index) {
                assert!(it.bbox.is_valid(), "{it:?}");
            }
        }
    }
}
