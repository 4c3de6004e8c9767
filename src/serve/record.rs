//! Recordings: fragmented MP4 files that play to their last whole fragment, whatever ends the gateway.
//!
//! Invariants: what is written is redacted, and never the filled picture of a camera that is away; a write that fails
//! leaves the file as it was before it; only files that this module named are ever deleted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::boxes::{decode_time, header, samples, set_decode_time, set_sequence};
use super::config::outputs::{Recording, Retention};
use super::fragments::{Fragment, Taker};
use super::sealed::{Seal, Segment};
use super::state;

/// Time between two looks at what has to go.
const PURGE_EVERY: Duration = Duration::from_secs(30);
/// Nothing recorded for so long is told.
const GAP: Duration = Duration::from_secs(5);
/// The longest head of a fragment that is written.
const HEAD: usize = 64 << 20;
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
    seal: Option<Seal>,
    init: Vec<u8>,
    filled: bool,
    open: Option<Open>,
    purged: Option<Instant>,
    failing: bool,
    /// When the last file ended, and why, where it should have gone on.
    ended: Option<(SystemTime, &'static str)>,
}

struct Open {
    path: PathBuf,
    file: File,
    /// Bytes of whole fragments.
    length: u64,
    begin: SystemTime,
    /// Decode time of its first fragment, from which its own times count.
    zero: u64,
    /// When its last picture ended.
    end: SystemTime,
    segment: Option<Segment>,
    fragments: u32,
}

impl Recorder {
    /// A recorder; what goes wrong goes to `tell`, and every file into the record of `seal`.
    pub fn new(settings: Recording, seen: Seen, tell: Tell, seal: Option<Seal>) -> Self {
        Self {
            settings,
            seen,
            tell,
            seal,
            init: Vec::new(),
            filled: true,
            open: None,
            purged: None,
            failing: false,
            ended: None,
        }
    }

    fn wanted(&self) -> bool {
        let schedule = &self.settings.schedule;
        !self.filled && (schedule.is_empty() || schedule.iter().any(|it| it.covers(&Zoned::now())))
    }

    /// Closes the file, if one is open. `reason` is why nothing follows it, where something should.
    fn close(&mut self, reason: Option<&'static str>) {
        if let Some(mut open) = self.open.take() {
            if let Some(segment) = open.segment.take() {
                segment.close(open.end);
            }
            self.ended = reason.map(|reason| (open.end, reason));
        }
        self.seen.recording.store(false, Ordering::Relaxed);
    }

    /// Opens a file for `fragment`, which begins at `zero` by its own times.
    fn open(&mut self, fragment: &Fragment, zero: u64) -> io::Result<Open> {
        let open = Open::create(
            &self.settings.directory,
            fragment.start,
            zero,
            &self.init,
            self.seal.as_ref(),
        )?;
        if let (Some(seal), Some((end, reason))) = (&self.seal, self.ended.take()) {
            let gap = fragment.start.duration_since(end).unwrap_or_default();
            if gap >= GAP {
                seal.gap(gap, reason);
            }
        }
        Ok(open)
    }

    fn write(&mut self, fragment: &Fragment) -> io::Result<()> {
        let long = |open: &Open| {
            fragment
                .start
                .duration_since(open.begin)
                .is_ok_and(|length| length >= self.settings.segment)
        };
        if self.open.as_ref().is_some_and(long) {
            self.close(None);
        }
        let mut bytes = fragment.bytes.clone();
        let time = decode_time(&bytes).unwrap_or(0);
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open(fragment, time)?,
        };
        set_decode_time(&mut bytes, time.saturating_sub(open.zero));
        set_sequence(&mut bytes, open.fragments + 1);
        let written = open
            .file
            .write_all(&bytes)
            .and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // Half a fragment would end the file for players. A disk that is full can still shorten a file.
            let _ = open.file.set_len(open.length);
            if open.length <= self.init.len() as u64 {
                let _ = std::fs::remove_file(&open.path);
                if let Some(segment) = open.segment.take() {
                    segment.forget();
                }
            }
            self.open = Some(open);
            self.close(Some("write failed"));
            return Err(error);
        }
        open.length += bytes.len() as u64;
        open.fragments += 1;
        open.end = fragment.start + fragment.duration;
        if let Some(segment) = &mut open.segment {
            segment.add(&bytes, samples(&bytes));
        }
        self.open = Some(open);
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
    fn create(
        folder: &Path,
        begin: SystemTime,
        zero: u64,
        init: &[u8],
        seal: Option<&Seal>,
    ) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.mp4", stamp(begin).strftime(NAME)));
        let make = || OpenOptions::new().write(true).create_new(true).open(&path);
        if path.exists() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        // Its note first: no file without one.
        let mut segment = seal
            .map(|seal| seal.begin(&path, begin))
            .transpose()
            .map_err(io::Error::other)?;
        let made = make().and_then(|mut file| {
            let written = file.write_all(init);
            if written.is_err() {
                // Nothing of it can be played.
                let _ = std::fs::remove_file(&path);
            }
            written.map(|()| file)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                if let Some(segment) = segment {
                    segment.forget();
                }
                return Err(error);
            }
        };
        if let Some(segment) = &mut segment {
            segment.add(init, 0);
        }
        Ok(Self {
            path,
            file,
            length: init.len() as u64,
            begin,
            zero,
            end: begin,
            segment,
            fragments: 0,
        })
    }
}

impl Taker for Recorder {
    fn begin(&mut self, init: &[u8], filled: bool) {
        self.close(filled.then_some("no picture"));
        self.init = init.to_vec();
        self.filled = filled;
    }

    fn fragment(&mut self, fragment: &Fragment) {
        if !self.wanted() {
            self.close(None);
            return;
        }
        let mut outcome = self.write(fragment);
        if let Err(error) = &outcome
            && error.kind() == io::ErrorKind::StorageFull
            && self.settings.retention != Retention::default()
        {
            let gone = make_room(&self.settings.directory, fragment.bytes.len() as u64 * 4);
            if gone.files > 0 {
                outcome = self.write(fragment);
            }
            self.purged(&gone);
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
        let gone = purge(
            &self.settings.directory,
            &self.settings.retention,
            current.as_deref(),
            SystemTime::now(),
        );
        self.purged(&gone);
    }
}

impl Recorder {
    /// Has the record tell what was deleted.
    fn purged(&self, gone: &Gone) {
        if let (Some(seal), Some(through)) = (&self.seal, gone.through) {
            seal.purged(gone.files, gone.bytes, through);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close(None);
    }
}

/// What was deleted.
#[derive(Default)]
struct Gone {
    files: u64,
    bytes: u64,
    /// When the youngest file began.
    through: Option<SystemTime>,
}

impl Gone {
    fn add(&mut self, file: &state::Recording) {
        self.files += 1;
        self.bytes += file.bytes;
        self.through = self.through.max(Some(file.start));
    }
}

/// Deletes what `retention` does not keep in `folder`, oldest first, but never `current`.
fn purge(folder: &Path, retention: &Retention, current: Option<&Path>, now: SystemTime) -> Gone {
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
fn make_room(folder: &Path, wanted: u64) -> Gone {
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

/// What of a recording is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Bytes up to the end of its last whole fragment.
    pub length: u64,
    /// Pictures up to there.
    pub frames: u64,
}

/// Finds where the last whole fragment of the recording `path` ends.
///
/// Errors: those of reading.
pub fn whole(path: &Path) -> io::Result<Whole> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    let (mut whole, mut at, mut frames) = (Whole::default(), 0, 0);
    loop {
        let mut head = vec![0; end.saturating_sub(at).min(16) as usize];
        file.read_exact_at(&mut head, at)?;
        let Some((kind, size)) = header(&head) else {
            return Ok(whole);
        };
        let next = at.saturating_add(size as u64);
        if next > end {
            return Ok(whole);
        }
        match &kind {
            b"moof" if size < HEAD => {
                let mut bytes = vec![0; size];
                file.read_exact_at(&mut bytes, at)?;
                frames += samples(&bytes);
            }
            b"moov" | b"mdat" => {
                whole = Whole {
                    length: next,
                    frames,
                };
            }
            _ => {}
        }
        at = next;
    }
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
            None,
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
