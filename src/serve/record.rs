//! Recordings: fragmented MP4 files that play to their last whole fragment, whatever ends the gateway.
//!
//! Invariants: what is written is redacted, and never the filled picture of a camera that is away; a write that fails
//! leaves the file as it was before it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::Zoned;

use super::boxes::{decode_time, samples, set_decode_time, set_sequence};
use super::config::outputs::{Recording, Retention};
use super::fragments::{Fragment, Taker};
use super::recordings::{Gone, file_name, make_room, purge};
use super::sealed::{Seal, Segment};

/// Time between two looks at what has to go.
const PURGE_EVERY: Duration = Duration::from_secs(30);
/// Nothing recorded for so long is told.
const GAP: Duration = Duration::from_secs(5);

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
        let path = folder.join(file_name(begin));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::recordings::list;

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
