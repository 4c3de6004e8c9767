//! The model card says what was measured, of the file that is shipped.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn models(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(models(name)).unwrap_or_else(|error| panic!("models/{name}: {error}"))
}

/// The default models' entries.
fn defaults() -> Vec<toml::Table> {
    let all: toml::Table = read("models.toml").parse().unwrap();
    let entries = all["model"].as_array().unwrap();
    let is_default = |entry: &&toml::Table| {
        entry
            .get("default")
            .and_then(toml::Value::as_bool)
            .unwrap_or(false)
    };
    let tables = entries.iter().map(|entry| entry.as_table().unwrap());
    tables.filter(is_default).cloned().collect()
}

/// The rows of a table, header first, without the line of dashes.
fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn share(part: &Value) -> f64 {
    part["share"].as_f64().unwrap()
}

#[test]
fn the_card_is_of_the_file_that_is_shipped() {
    let card = read("README.md");
    let defaults = defaults();
    assert!(!defaults.is_empty());
    for entry in defaults {
        let name = entry["name"].as_str().unwrap();
        let file = entry["file"].as_str().unwrap();
        let bytes = std::fs::read(models(file)).unwrap();
        let sum: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(entry["sha256"].as_str(), Some(&*sum), "{name}");
        let figures: Value = serde_json::from_str(&read(&format!("{name}.json"))).unwrap();
        assert_eq!(figures["sha256"].as_str(), Some(&*sum), "{name}.json");
        assert_eq!(figures["models"][name]["bytes"], bytes.len());
        assert!(card.contains(&format!("`{file}`, {} kB", bytes.len().div_ceil(1000))));
        let thresholds = entry["thresholds"].as_table().unwrap();
        let said = format!(
            "face {:.2}, plate {:.2}",
            thresholds["face"].as_float().unwrap(),
            thresholds["plate"].as_float().unwrap()
        );
        assert!(card.contains(&said), "the card does not say {said}");
        // What was measured "at the given thresholds" was measured at these.
        for (class, threshold) in thresholds {
            let title = format!("validation pictures, {class}s: given thresholds");
            let parts = figures["parts"].as_array().unwrap();
            let part = parts.iter().find(|part| part["title"] == title).unwrap();
            assert_eq!(
                part["figures"][name]["threshold"].as_f64(),
                threshold.as_float()
            );
        }
    }
}

#[test]
fn every_figure_of_the_card_was_measured() {
    let card = read("README.md");
    for entry in defaults() {
        let name = entry["name"].as_str().unwrap();
        let figures: Value = serde_json::from_str(&read(&format!("{name}.json"))).unwrap();
        let (_, block) = card
            .split_once(&format!("<!-- figures: {name} -->"))
            .unwrap_or_else(|| panic!("the card has no figures of {name}"));
        let (block, _) = block.split_once("<!-- end of figures -->").unwrap();
        let parts = figures["parts"].as_array().unwrap();
        assert_eq!(block.matches("#### ").count(), parts.len());
        let mut compared = 0;
        for part in parts {
            let title = part["title"].as_str().unwrap();
            let (_, table) = block
                .split_once(&format!("#### {title}\n"))
                .unwrap_or_else(|| panic!("the card has no table {title}"));
            let table = rows(table.split("#### ").next().unwrap());
            for row in &table[1..table.len() - 1] {
                for (model, cell) in table[0].iter().zip(row).skip(2) {
                    let measured = &part["figures"][*model]["parts"][row[0]];
                    let (recall, coverage) = (&measured["recall"], &measured["coverage"]);
                    let of = recall["of"].as_u64().unwrap();
                    if of == 0 {
                        assert_eq!(*cell, "-");
                        continue;
                    }
                    let said: Vec<f64> = cell
                        .split([' ', '/', '[', ']', '-'])
                        .filter_map(|text| text.parse().ok())
                        .collect();
                    let bound = |index: usize| coverage["interval"][index].as_f64().unwrap();
                    let wanted = [share(recall), share(coverage), bound(0), bound(1)];
                    assert_eq!(said.len(), wanted.len(), "{title}: {cell}");
                    for (said, wanted) in said.iter().zip(wanted) {
                        assert!((said - wanted).abs() < 0.0051, "{title}, {row:?}: {wanted}");
                    }
                    assert_eq!(row[1].parse::<u64>().ok(), Some(of), "{title}, {row:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 20, "{compared} cells");
    }
}
