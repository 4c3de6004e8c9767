//! Recordings: fragmented MP4 files that play to their last whole fragment, whatever ends the gateway.
//!
//! Invariants: what is written is redacted, and never the filled picture of a camera that is away; a write that fails
//! leaves the file as it was before it; only files that this module named are ever deleted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::boxes::{decode_time, set_decode_time};
use super::config::outputs::{Recording, Retention};
use super::fragments::{Fragment, Taker};
use super::state;

/// Time between two looks at what has to go.
const PURGE_EVERY: Duration = Duration::from_secs(30);
/// How file names tell their beginning, in UTC.
const NAME: &str = "%Y-%m-%dT%H-%M-%S%.3fZ";

/// What others see of a recorder.
#[derive(Clone, Default)]
pub struct Seen {
    /// A file is open.
    pub recording: Arc<AtomicBool>,
}

/// Tells what went wrong.
pub type Tell = Box<dyn Fn(String) + Send>;

/// Writes one camera's recordings.
pub struct Recorder {
    settings: Recording,
    seen: Seen,
    tell: Tell,
    init: Vec<u8>,
    filled: bool,
    open: Option<Open>,
    purged: Option<Instant>,
    failing: bool,
}

struct Open {
    path: PathBuf,
    file: File,
    /// Bytes of whole fragments.
    length: u64,
    begin: SystemTime,
    /// Decode time of its first fragment, from which its own times count.
    zero: u64,
}

impl Recorder {
    /// A recorder; what goes wrong goes to `tell`.
    pub fn new(settings: Recording, seen: Seen, tell: Tell) -> Self {
        Self {
            settings,
            seen,
            tell,
            init: Vec::new(),
            filled: true,
            open: None,
            purged: None,
            failing: false,
        }
    }

    fn wanted(&self) -> bool {
        let schedule = &self.settings.schedule;
        !self.filled && (schedule.is_empty() || schedule.iter().any(|it| it.covers(&Zoned::now())))
    }

    fn close(&mut self) {
        self.open = None;
        self.seen.recording.store(false, Ordering::Relaxed);
    }

    fn write(&mut self, fragment: &Fragment) -> io::Result<()> {
        let long = |open: &Open| {
            fragment
                .start
                .duration_since(open.begin)
                .is_ok_and(|length| length >= self.settings.segment)
        };
        if self.open.as_ref().is_some_and(long) {
            self.close();
        }
        let mut bytes = fragment.bytes.clone();
        let time = decode_time(&bytes).unwrap_or(0);
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::create(
                &self.settings.directory,
                fragment.start,
                time,
                &self.init,
            )?),
        };
        set_decode_time(&mut bytes, time.saturating_sub(open.zero));
        let written = open
            .file
            .write_all(&bytes)
            .and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // Half a fragment would end the file for players. A disk that is full can still shorten a file.
            let _ = open.file.set_len(open.length);
            if open.length <= self.init.len() as u64 {
                let _ = std::fs::remove_file(&open.path);
            }
            self.close();
            return Err(error);
        }
        open.length += bytes.len() as u64;
        self.seen.recording.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        let folder = self.settings.directory.display();
        let first = !self.failing;
        self.failing = true;
        if first {
            (self.tell)(format!("recording to {folder} failed: {error}"));
            tracing::error!("recording to {folder} failed: {error}");
        }
    }
}

impl Open {
    fn create(folder: &Path, begin: SystemTime, zero: u64, init: &[u8]) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let stamp = Timestamp::try_from(begin).unwrap_or(Timestamp::UNIX_EPOCH);
        let stamp = stamp.round(jiff::Unit::Millisecond).unwrap_or(stamp);
        let path = folder.join(format!("{}.mp4", stamp.strftime(NAME)));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = file.write_all(init) {
            // Nothing of it can be played.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            path,
            file,
            length: init.len() as u64,
            begin,
            zero,
        })
    }
}

impl Taker for Recorder {
    fn begin(&mut self, init: &[u8], filled: bool) {
        self.close();
        self.init = init.to_vec();
        self.filled = filled;
    }

    fn fragment(&mut self, fragment: &Fragment) {
        if !self.wanted() {
            self.close();
            return;
        }
        let mut outcome = self.write(fragment);
        if let Err(error) = &outcome
            && error.kind() == io::ErrorKind::StorageFull
            && self.settings.retention != Retention::default()
            && make_room(&self.settings.directory, fragment.bytes.len() as u64 * 4)
        {
            outcome = self.write(fragment);
        }
        match outcome {
            Ok(()) => self.failing = false,
            Err(error) => self.failed(&error),
        }
    }

    fn look(&mut self) {
        if self
            .purged
            .is_some_and(|last| last.elapsed() < PURGE_EVERY.min(self.settings.segment))
        {
            return;
        }
        self.purged = Some(Instant::now());
        let current = self.open.as_ref().map(|open| open.path.clone());
        purge(
            &self.settings.directory,
            &self.settings.retention,
            current.as_deref(),
            SystemTime::now(),
        );
    }
}

/// Deletes what `retention` does not keep in `folder`, oldest first, but never `current`.
fn purge(folder: &Path, retention: &Retention, current: Option<&Path>, now: SystemTime) {
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
            Ok(()) => total -= file.bytes,
            Err(error) => tracing::warn!("{}: cannot be deleted: {error}", path.display()),
        }
    }
}

/// Deletes the oldest recordings in `folder` until `wanted` bytes have become free; false when there was nothing to delete.
fn make_room(folder: &Path, wanted: u64) -> bool {
    let mut freed = 0;
    for file in list(folder) {
        if freed >= wanted {
            break;
        }
        if std::fs::remove_file(folder.join(&file.file)).is_ok() {
            freed += file.bytes;
        }
    }
    freed > 0
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

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_full_disk_leaves_whole_fragments_and_goes_on_when_there_is_room() {
        // /dev/full is no folder: what cannot be created is told once, and nothing panics.
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = told.clone();
        let settings = Recording {
            directory: PathBuf::from("/dev/null/recordings"),
            segment: Duration::from_secs(10),
            retention: Retention::default(),
            schedule: Vec::new(),
        };
        let mut recorder = Recorder::new(
            settings,
            Seen::default(),
            Box::new(move |what| heard.lock().unwrap().push(what)),
        );
        recorder.begin(b"init", false);
        let fragment = Fragment {
            bytes: vec![1],
            start: SystemTime::now(),
            duration: Duration::from_secs(2),
        };
        recorder.fragment(&fragment);
        recorder.fragment(&fragment);
        assert_eq!(told.lock().unwrap().len(), 1);
        let folder = tempfile::tempdir().unwrap();
        recorder.settings.directory = folder.path().join("new");
        recorder.fragment(&fragment);
        assert_eq!(list(&recorder.settings.directory).len(), 1);
        recorder.begin(b"init", true);
        recorder.fragment(&fragment);
        assert_eq!(
            list(&recorder.settings.directory).len(),
            1,
            "the filled picture is not recorded"
        );
    }
}
