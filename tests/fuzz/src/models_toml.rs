//! Descriptions of models, in any text.

use floutage::detect::registry;

/// Reads `data` as `models.toml`. What is accepted can be used without further checks.
pub fn models_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(specs) = registry::parse(text, "fuzz") else {
        return;
    };
    for spec in specs {
        // `floutage models pull` writes to a file of this name.
        assert!(!spec.file.is_empty() && !spec.file.contains(['/', '\\', '\0']));
        assert!(spec.file != "." && spec.file != "..");
        assert!(!spec.name.is_empty());
        assert!(spec.sha256.is_some_and(|sum| sum.len() == 64));
        assert!(!spec.classes.is_empty());
        assert!(spec.multiple > 0);
        for class in spec.classes.iter().flatten() {
            let threshold = spec.thresholds.get(class).copied();
            assert!(threshold.is_some_and(|it| it > 0.0 && it < 1.0));
        }
    }
}
