//! Logs of the tamper-evident record.

use floutage::audit::{Expected, Language, check_bytes, page};

/// Checks `data` as a log, and makes its page. Nobody's signature is on what a fuzzer makes.
pub fn record(data: &[u8]) {
    let expected = Expected {
        public_key: Some("00".repeat(32)),
        head: Some((1, "00".repeat(32))),
    };
    let checked = check_bytes(data, &expected).expect("memory can be read");
    assert!(!checked.problems.is_empty() && !checked.end_known);
    assert_eq!(checked.entries as usize, checked.events.len());
    let html = page(&checked, Language::French, None, None);
    assert!(html.ends_with("</html>\n") && !html.contains("<script"));
}
