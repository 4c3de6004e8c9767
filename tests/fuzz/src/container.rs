//! Finished files, walked through byte by byte.

use floutage::verify::{MOST_FINDINGS, inspect_source};

/// Walks through `data` as `floutage verify` does. What it finds is bounded and inside the file, and a file with bytes
/// behind it is never without findings.
pub fn container(data: &[u8]) {
    let inspection = inspect_source(&data).expect("memory can be read");
    assert!(inspection.findings.len() <= MOST_FINDINGS);
    for finding in &inspection.findings {
        assert!(finding.offset <= data.len() as u64, "{finding:?}");
        assert!(!finding.problem.is_empty() && finding.problem.len() < 2000);
    }
    if inspection.format.is_empty() {
        assert!(!inspection.findings.is_empty(), "what is not known is told");
    }
}
