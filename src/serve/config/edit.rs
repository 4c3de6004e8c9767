//! Changes of the configuration file that keep its comments and order.

use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::Config;
use crate::serve::state::CameraSettings;
use crate::{Error, Result};

/// Writes `settings` of `camera` into the file `path`, whole or not at all.
///
/// Errors: [`Error::Setting`] for an unknown camera or a value out of its range, [`Error::Io`]; the file is as before.
pub fn write(path: &Path, camera: &str, settings: &CameraSettings) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::io(path, "reading", error))?;
    let changed = change(&text, camera, settings)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.floutage-partial"));
    let outcome = replace(path, &temporary, &changed);
    if outcome.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(&temporary);
    }
    outcome
}

fn replace(path: &Path, temporary: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let failed = |action| move |error| Error::io(path, action, error);
    let permissions = std::fs::metadata(path)
        .map_err(failed("reading"))?
        .permissions();
    let mut file = std::fs::File::create(temporary).map_err(failed("writing"))?;
    file.set_permissions(permissions)
        .map_err(failed("writing"))?;
    file.write_all(text.as_bytes()).map_err(failed("writing"))?;
    file.sync_all().map_err(failed("writing"))?;
    std::fs::rename(temporary, path).map_err(failed("renaming"))
}

/// `text` with `settings` of `camera`.
fn change(text: &str, camera: &str, settings: &CameraSettings) -> Result<String> {
    let unknown = || {
        Error::setting(
            "camera",
            camera,
            "the name of a camera in the configuration",
        )
    };
    let broken =
        |what: String| Error::setting("configuration", what, "right before it can be changed");
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error: toml_edit::TomlError| broken(error.message().to_owned()))?;
    let table = document
        .get_mut("camera")
        .and_then(Item::as_array_of_tables_mut)
        .and_then(|tables| {
            tables
                .iter_mut()
                .find(|table| table.get("name").and_then(Item::as_str) == Some(camera))
        })
        .ok_or_else(unknown)?;
    let zones: Array = settings
        .zones
        .iter()
        .map(|zone| {
            zone.iter()
                .map(|&(x, y)| Array::from_iter([x, y]))
                .collect::<Array>()
        })
        .collect();
    set(table, "zones", value(zones));
    let section = |table: &mut Table, name: &str, key: &str, new: Option<f64>| {
        if new.is_none() && table.get(name).is_none() {
            return;
        }
        let inner = table.entry(name).or_insert_with(toml_edit::table);
        let Some(inner) = inner.as_table_like_mut() else {
            return;
        };
        match new {
            // Class settings come before the general one, and would hide it.
            Some(new) => {
                inner.insert(key, value(new));
                for class in ["face", "plate"] {
                    let general = key.strip_prefix("confidence-").unwrap_or(key);
                    inner.remove(&format!("{class}-{general}"));
                }
            }
            None => {
                inner.remove(key);
            }
        }
    };
    section(table, "redact", "margin", Some(settings.margin));
    section(
        table,
        "detect",
        "confidence-threshold",
        settings.confidence_threshold,
    );
    let changed = document.to_string();
    Config::parse(&changed).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        broken(all.join("; "))
    })?;
    Ok(changed)
}

/// Replaces `key`, with the comments about it kept.
fn set(table: &mut Table, key: &str, new: Item) {
    match table.get_mut(key) {
        Some(old) => {
            let decor = old.as_value().map(|value| value.decor().clone());
            *old = new;
            if let (Some(decor), Some(value)) = (decor, old.as_value_mut()) {
                *value.decor_mut() = decor;
            }
        }
        None => {
            table.insert(key, new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[[camera]]\nname = \"a\" # the door\nsource = \"file:///a.mp4\"\nzones = [] # none yet\n\n[camera.redact]\nface-margin = 0.2\n\n[[camera]]\nname = \"b\"\nsource = \"file:///b.mp4\"\n";

    fn settings(zones: Vec<Vec<(f64, f64)>>, margin: f64) -> CameraSettings {
        CameraSettings {
            zones,
            margin,
            confidence_threshold: None,
        }
    }

    #[test]
    fn comments_and_other_cameras_stay() {
        let zone = vec![(0.0, 0.0), (0.5, 0.0), (0.5, 0.25)];
        let changed = change(TEXT, "a", &settings(vec![zone.clone()], 0.5)).unwrap();
        for kept in [
            "# ours",
            "# the door",
            "# none yet",
            "name = \"b\"\nsource = \"file:///b.mp4\"\n",
        ] {
            assert!(changed.contains(kept), "{kept}: {changed}");
        }
        let config = Config::parse(&changed).unwrap();
        assert_eq!(config.cameras[0].zones, [zone]);
        assert_eq!(config.cameras[0].redact.margin, Some(0.5));
        assert_eq!(config.cameras[0].redact.face_margin, None);
        assert!(config.cameras[1].zones.is_empty());
    }

    #[test]
    fn what_is_wrong_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floutage.toml");
        std::fs::write(&path, TEXT).unwrap();
        for (camera, settings, word) in [
            ("c", settings(vec![], 0.4), "camera = c"),
            ("a", settings(vec![], 7.0), "margin = 7"),
            ("a", settings(vec![vec![(0.0, 0.0)]], 0.4), "zone"),
            (
                "a",
                settings(vec![vec![(0.0, 0.0), (2.0, 0.0), (1.0, 1.0)]], 0.4),
                "zone",
            ),
        ] {
            let error = write(&path, camera, &settings).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
