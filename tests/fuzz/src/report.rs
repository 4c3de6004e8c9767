//! What the page for a data protection officer takes from others: figures of an evaluation and of an attack.

use floutage::audit::{Checked, Language, page};

/// Makes the page with `data` as both. Nothing of it becomes markup.
pub fn report(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    for language in [Language::English, Language::French] {
        let html = page(&Checked::default(), language, Some(&value), Some(&value));
        assert!(html.ends_with("</html>\n"));
        for markup in ["<script", "<img", "<a ", "onerror=\""] {
            assert!(!html.contains(markup), "{markup}");
        }
    }
}
