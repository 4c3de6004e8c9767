//! The folder of a camera's recordings: what lies there, and what has to go.
//!
//! Invariant: only files with names that this module gives are ever listed or deleted.

use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::config::outputs::Retention;
use super::state;

/// How file names tell their beginning, in UTC.
const NAME: &str = "%Y-%m-%dT%H-%M-%S%.3fZ";

/// The name of a recording that begins at `begin`.
pub fn file_name(begin: SystemTime) -> String {
    format!("{}.mp4", stamp(begin).strftime(NAME))
}

/// `time` as names of recordings have it, to the millisecond.
pub fn stamp(time: SystemTime) -> Timestamp {
    let stamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    stamp.round(jiff::Unit::Millisecond).unwrap_or(stamp)
}

/// The recordings in `folder`, oldest first: files with names that this module gives.
pub fn list(folder: &Path) -> Vec<state::Recording> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<state::Recording> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| of(&entry))
        .collect();
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

fn of(entry: &std::fs::DirEntry) -> Option<state::Recording> {
    let file = entry.file_name().into_string().ok()?;
    let stamp = file.strip_suffix(".mp4")?;
    let start = jiff::civil::DateTime::strptime(NAME, stamp)
        .ok()?
        .to_zoned(TimeZone::UTC)
        .ok()?
        .timestamp();
    let start = SystemTime::from(start);
    let data = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
    // Its last fragment was written when it ended.
    let seconds = data
        .modified()
        .ok()?
        .duration_since(start)
        .unwrap_or_default()
        .as_secs_f64();
    Some(state::Recording {
        file,
        start,
        seconds,
        bytes: data.len(),
    })
}

/// What was deleted.
#[derive(Default)]
pub struct Gone {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the youngest file began.
    pub through: Option<SystemTime>,
}

impl Gone {
    fn add(&mut self, file: &state::Recording) {
        self.files += 1;
        self.bytes += file.bytes;
        self.through = self.through.max(Some(file.start));
    }
}

/// Deletes what `retention` does not keep in `folder`, oldest first, but never `current`.
pub fn purge(
    folder: &Path,
    retention: &Retention,
    current: Option<&Path>,
    now: SystemTime,
) -> Gone {
    let mut gone = Gone::default();
    let files = list(folder);
    let mut total: u64 = files.iter().map(|file| file.bytes).sum();
    for file in files {
        let path = folder.join(&file.file);
        if Some(path.as_path()) == current {
            break;
        }
        let old = retention.age.is_some_and(|age| {
            now.duration_since(file.start)
                .is_ok_and(|since| since > age.0)
        });
        let large = retention.size.is_some_and(|size| total > size.as_u64());
        if !old && !large {
            break;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => {
                total -= file.bytes;
                gone.add(&file);
            }
            Err(error) => tracing::warn!("{}: cannot be deleted: {error}", path.display()),
        }
    }
    gone
}

/// Deletes the oldest recordings in `folder` until `wanted` bytes have become free.
pub fn make_room(folder: &Path, wanted: u64) -> Gone {
    let mut gone = Gone::default();
    for file in list(folder) {
        if gone.bytes >= wanted {
            break;
        }
        if std::fs::remove_file(folder.join(&file.file)).is_ok() {
            gone.add(&file);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use bytesize::ByteSize;

    use super::*;
    use crate::serve::config::units::Span;

    fn named(folder: &Path, hour: u32, bytes: usize) -> PathBuf {
        let path = folder.join(format!("2026-11-25T{hour:02}-00-00.000Z.mp4"));
        std::fs::write(&path, vec![0; bytes]).unwrap();
        path
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_oldest_go_first_and_nothing_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for hour in 1..=5 {
            named(folder, hour, 1000);
        }
        std::fs::write(folder.join("mine.mp4"), vec![0; 9000]).unwrap();
        let size = Retention {
            size: Some(ByteSize(3500)),
            age: None,
        };
        purge(folder, &size, None, SystemTime::now());
        assert_eq!(
            names(folder),
            [
                "2026-11-25T03-00-00.000Z.mp4",
                "2026-11-25T04-00-00.000Z.mp4",
                "2026-11-25T05-00-00.000Z.mp4",
                "mine.mp4"
            ]
        );
        let current = folder.join("2026-11-25T04-00-00.000Z.mp4");
        let none = Retention {
            size: Some(ByteSize(0)),
            age: None,
        };
        purge(folder, &none, Some(&current), SystemTime::now());
        assert_eq!(
            names(folder),
            [
                "2026-11-25T04-00-00.000Z.mp4",
                "2026-11-25T05-00-00.000Z.mp4",
                "mine.mp4"
            ]
        );
        let age = Retention {
            size: None,
            age: Some(Span(Duration::from_secs(3600))),
        };
        let later = SystemTime::now()
            + Duration::from_secs(2 * 3600)
            + Duration::from_secs(3600 * 24 * 400);
        purge(folder, &age, None, later);
        assert_eq!(names(folder), ["mine.mp4"]);
    }

    #[test]
    fn names_tell_when_a_recording_began() {
        let folder = tempfile::tempdir().unwrap();
        named(folder.path(), 7, 3);
        let found = list(folder.path());
        assert_eq!(found.len(), 1);
        let expected: Timestamp = "2026-11-25T07:00:00Z".parse().unwrap();
        assert_eq!(found[0].start, SystemTime::from(expected));
        assert_eq!(found[0].bytes, 3);
    }
}
