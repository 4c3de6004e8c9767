//! Recordings in the tamper-evident record: one entry for each file, written when it is closed.
//!
//! Only the gateway's main process writes recordings, so one log is enough for all cameras: entries of one machine are in
//! one chain, and a log is as hard to cut as it is long. A note of each open file lies beside the log's key (`notes.rs`), so
//! that a file cut off by a kill or a power failure is entered at the next start, as unfinished.
//!
//! A thread of its own appends: a disk that hangs stops neither the recordings nor what is shown live. What cannot be
//! appended is told, kept, and tried again.
//!
//! Invariants: no file is begun without its note; a note goes only after its entry is on the disk; an entry names its file
//! by camera and time, and by the hash of what was meant to be written.

mod check;
mod notes;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use self::check::{Recorded, check};
use self::notes::Note;
use super::config::camera::Camera;
use super::recordings::stamp;
use super::wire::{Counts, Installed};
use crate::audit::{self, Event, FileIdentity, Log, Redacted, Versions};
use crate::digest::hexadecimal;
use crate::error::{Error, Result};

/// Time between two attempts to append what could not be.
const AGAIN: Duration = Duration::from_secs(5);

/// The record of a gateway.
pub struct Sealer {
    to: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    folder: PathBuf,
    /// Held as long as the gateway runs.
    _lock: File,
}

enum Order {
    /// The file of this note is closed.
    Close(PathBuf),
    /// Something else happened.
    Tell(Event),
    /// The gateway stops.
    Stop,
}

impl Sealer {
    /// Opens the log `path`, with keys and notes in `state`, enters what an earlier run left open, and says that a service of
    /// `settings` has started.
    ///
    /// Errors: the log cannot be written, is not as it was left, or another gateway writes to it.
    pub fn start(path: &Path, state: &Path, settings: Value) -> Result<Self> {
        let log = Log::new(path, state);
        let folder = log.notes()?;
        let lock = lock(&folder.join("lock"), path)?;
        let left = notes::all(&folder)?;
        let (to, orders) = channel();
        let keeper = Keeper {
            log,
            waiting: Vec::new(),
            told: false,
        };
        // At once: a log that cannot be written must keep the gateway from starting.
        keeper.log.append(Event::Started {
            versions: Versions::of_program(),
            models: Vec::new(),
            settings,
        })?;
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || keeper.run(left, &orders))
            .map_err(|error| Error::media("record", error.to_string()))?;
        Ok(Self {
            to,
            thread: Some(thread),
            folder,
            _lock: lock,
        })
    }

    /// The record of `camera`, of whose worker `seen` tells what is known.
    ///
    /// Errors: settings that cannot be used.
    pub fn camera(&self, camera: &Camera, seen: Seen) -> Result<Seal> {
        Ok(Seal {
            camera: camera.name.clone(),
            settings: describe(camera)?,
            to: self.to.clone(),
            folder: self.folder.clone(),
            seen,
        })
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        // The thread is over when it cannot hear that.
        let _ = self.to.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Folders of files that an earlier run left open, which are to be entered.
///
/// Errors: the log cannot be written.
pub fn left_open(log: &Log) -> Result<Vec<PathBuf>> {
    let notes = notes::all(&log.notes()?)?;
    let folder = |note: &PathBuf| Some(Note::read(note).ok()?.path.parent()?.to_owned());
    Ok(notes.iter().filter_map(folder).collect())
}

/// Keeps other gateways from the notes in whose folder `path` lies.
fn lock(path: &Path, log: &Path) -> Result<File> {
    let error = |source| Error::io(path, "opening", source);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(error)?;
    file.try_lock().map_err(|_| {
        let problem = "another gateway records in this log; name another one";
        Error::media(log.display().to_string(), problem)
    })?;
    Ok(file)
}

struct Keeper {
    log: Log,
    waiting: Vec<Order>,
    told: bool,
}

impl Keeper {
    fn run(mut self, left: Vec<PathBuf>, orders: &Receiver<Order>) {
        self.recover(left);
        loop {
            let order = if self.waiting.is_empty() {
                orders.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                orders.recv_timeout(AGAIN)
            };
            match order {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => self.waiting.push(order),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.append();
        }
        self.waiting.push(Order::Tell(Event::Stopped {
            reason: "asked".into(),
        }));
        self.append();
    }

    /// Enters what was left open, but what has an entry already: the note may have outlived it.
    fn recover(&mut self, left: Vec<PathBuf>) {
        if left.is_empty() {
            return;
        }
        let mut known = std::collections::BTreeSet::new();
        let outcome = self.log.events(|event| {
            if let Event::Redacted(entry) = event
                && let (Some(source), Some(begin)) = (entry.source, entry.begin)
            {
                known.insert((source, begin));
            }
        });
        if let Err(error) = outcome {
            tracing::error!("{error}");
        }
        for path in left {
            match Note::read(&path) {
                Ok(note) if note.is_in(&known) => notes::remove(&path),
                Ok(_) => self.waiting.push(Order::Close(path)),
                Err(error) => tracing::error!("{error}"),
            }
        }
        self.append();
    }

    /// Appends what waits, in order, as far as that goes.
    fn append(&mut self) {
        while let Some(order) = self.waiting.first() {
            match self.one(order) {
                Ok(()) => {
                    self.waiting.remove(0);
                    self.told = false;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.told, true) {
                        tracing::error!("recordings are not entered in the record: {error}");
                    }
                    return;
                }
            }
        }
    }

    fn one(&self, order: &Order) -> Result<()> {
        match order {
            Order::Tell(event) => self.log.append(event.clone()).map(drop),
            Order::Stop => Ok(()),
            Order::Close(path) => {
                // What cannot be read now stays for the next start, and keeps nothing else from being entered.
                let entry = match Note::read(path).and_then(Note::finished) {
                    Ok(entry) => entry,
                    Err(error) => {
                        tracing::error!("a recording is not entered in the record yet: {error}");
                        return Ok(());
                    }
                };
                self.log.append(Event::Redacted(Box::new(entry)))?;
                notes::remove(path);
                Ok(())
            }
        }
    }
}

/// What is known of a camera at the moment.
pub type Seen = Arc<dyn Fn() -> (Counts, Option<Installed>) + Send + Sync>;

/// One camera's way into the record.
#[derive(Clone)]
pub struct Seal {
    camera: String,
    settings: Value,
    to: Sender<Order>,
    folder: PathBuf,
    seen: Seen,
}

impl Seal {
    /// Notes that the file `path` is begun, whose first picture was taken at `begin`.
    ///
    /// Errors: the note cannot be written.
    pub fn begin(&self, path: &Path, begin: SystemTime) -> Result<Segment> {
        let (counts, installed) = (self.seen)();
        let installed = installed.unwrap_or_default();
        let entry = Redacted {
            what: "segment".into(),
            source: Some(self.camera.clone()),
            versions: installed.versions,
            models: installed.models,
            settings: self.settings.clone(),
            confinement: installed.confinement,
            begin: Some(time(begin)),
            ..Redacted::default()
        };
        let note = Note {
            path: path.to_owned(),
            entry,
        };
        let place = self.folder.join(note.name());
        note.write(&place)?;
        Ok(Segment {
            seal: self.clone(),
            note,
            place,
            counts,
            digest: Sha256::new(),
            bytes: 0,
        })
    }

    /// Says that `files` recordings of together `bytes` were deleted, the youngest of which began at `through`.
    pub fn purged(&self, files: u64, bytes: u64, through: SystemTime) {
        let age = through.elapsed().unwrap_or_default().as_secs_f64() / 86_400.0;
        self.tell(Event::Purged {
            files,
            bytes,
            days: (age * 100.0).round() / 100.0,
            source: Some(self.camera.clone()),
            through: Some(time(through)),
        });
    }

    /// Says that nothing was recorded for a while, though it should have been.
    pub fn gap(&self, length: Duration, reason: &str) {
        self.tell(Event::Gap {
            source: self.camera.clone(),
            seconds: length.as_secs_f64().round(),
            reason: reason.into(),
        });
    }

    fn tell(&self, event: Event) {
        // The thread is over only after all recorders.
        let _ = self.to.send(Order::Tell(event));
    }
}

/// A file that is being written.
pub struct Segment {
    seal: Seal,
    note: Note,
    place: PathBuf,
    counts: Counts,
    digest: Sha256,
    bytes: u64,
}

impl Segment {
    /// Takes note of `bytes` that the file has got, with so many `frames`.
    pub fn add(&mut self, bytes: &[u8], frames: u64) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.note.entry.frames += frames;
    }

    /// The file is complete; its last picture ended at `end`.
    pub fn close(mut self, end: SystemTime) {
        let (counts, _) = (self.seal.seen)();
        let was = &self.counts;
        let class = |counts: &Counts, name: &str| counts.regions.get(name).copied().unwrap_or(0);
        let entry = &mut self.note.entry;
        entry.output = Some(FileIdentity {
            sha256: hexadecimal(&self.digest.clone().finalize()),
            bytes: self.bytes,
        });
        entry.faces = class(&counts, "face").saturating_sub(class(was, "face"));
        entry.plates = class(&counts, "plate").saturating_sub(class(was, "plate"));
        entry.frames_failed_closed = counts.failed_closed.saturating_sub(was.failed_closed);
        entry.frames_lost = counts.dropped.saturating_sub(was.dropped);
        entry.end_at(end);
        // If that fails the file is entered from what it holds, as unfinished.
        if let Err(error) = self.note.write(&self.place) {
            tracing::error!("{error}");
        }
        let _ = self.seal.to.send(Order::Close(self.place));
    }

    /// The file is gone: nothing was written that could be played.
    pub fn forget(self) {
        notes::remove(&self.place);
    }
}

impl Redacted {
    /// Sets the end, and the length with it.
    fn end_at(&mut self, end: SystemTime) {
        let begin = self.begin.as_ref().and_then(|begin| begin.parse().ok());
        let begin = begin.map_or(end, |begin: jiff::Timestamp| SystemTime::from(begin));
        self.duration_s = end.duration_since(begin).unwrap_or_default().as_secs_f64();
        self.end = Some(time(end));
    }
}

/// UTC, to the millisecond, as names of recordings have it.
fn time(time: SystemTime) -> String {
    format!("{:.3}", stamp(time))
}

/// The settings of `camera` by name, without names of files, addresses and credentials; and a hash of all that bears on its
/// pictures, the places of its zones included, to tell whether two files were made alike.
fn describe(camera: &Camera) -> Result<Value> {
    let mut settings = audit::settings(
        &camera.detect.detector()?,
        &camera.detect.tracking()?,
        &camera.redact.settings(&camera.zones)?,
    );
    let encoding = camera.encode.resolve()?;
    let all = json!([
        camera.detect,
        camera.redact,
        camera.zones,
        camera.encode,
        camera.min_fps
    ]);
    let more = [
        (
            "most-every",
            json!(camera.detect.most_every(&camera.detect.tracking()?)),
        ),
        ("min-fps", json!(camera.min_fps)),
        ("codec", json!(encoding.codec.name())),
        ("quality", json!(encoding.quality)),
        ("audio", json!("drop")),
        (
            "sha256",
            json!(hexadecimal(&Sha256::digest(all.to_string()))),
        ),
    ];
    if let Value::Object(known) = &mut settings {
        known.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(settings)
}
