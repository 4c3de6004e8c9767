//! A watcher on everything that is written to a folder, which looks for what must not be on a disk.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The files that other processes finish or remove meanwhile are passed over.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

const WINDOW: usize = 48;

/// Pieces of the coded pictures of every clip in `folder`.
pub fn pieces(folder: &Path) -> HashSet<Vec<u8>> {
    let mut found = HashSet::new();
    for path in files(folder) {
        let bytes = std::fs::read(path).expect("it can be read");
        let start = bytes
            .windows(4)
            .position(|name| name == b"mdat")
            .expect("an MP4");
        // Past the encoder's own description of its settings, which every file of one encoder has.
        let start = start + 1200;
        for piece in bytes[start.min(bytes.len())..].chunks_exact(WINDOW) {
            if piece.iter().collect::<HashSet<_>>().len() > WINDOW / 2 {
                found.insert(piece.to_vec());
            }
        }
    }
    assert!(found.len() > 20, "the clips have {} pieces", found.len());
    found
}

/// What was seen on the disk while a batch ran.
#[derive(Default)]
pub struct Seen {
    pub names: HashSet<String>,
    pub looks: u64,
}

/// Watches `folder` until `stop`: notes every name, and looks into every file that changes for one of `pieces`.
pub fn watch(folder: &Path, pieces: &HashSet<Vec<u8>>, stop: &AtomicBool) -> Seen {
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    let watcher = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("inotify");
    let mut watched: BTreeMap<i32, PathBuf> = BTreeMap::new();
    let add = |path: &Path, watched: &mut BTreeMap<i32, PathBuf>| {
        let flags = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE;
        if let Ok(id) = inotify::add_watch(&watcher, path, flags) {
            watched.insert(id, path.to_owned());
        }
    };
    for entry in walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
    {
        if entry.file_type().is_dir() {
            add(entry.path(), &mut watched);
        }
    }
    let mut seen = Seen::default();
    let mut buffer = [std::mem::MaybeUninit::uninit(); 1 << 14];
    let mut last = false;
    loop {
        let mut changed = HashSet::new();
        let mut reader = inotify::Reader::new(&watcher, &mut buffer);
        while let Ok(event) = reader.next() {
            let (Some(parent), Some(name)) = (watched.get(&event.wd()).cloned(), event.file_name())
            else {
                continue;
            };
            let path = parent.join(name.to_str().expect("text"));
            if path.is_dir() {
                add(&path, &mut watched);
                // What came before the watch.
                changed.extend(files(&path));
            }
            changed.insert(path);
        }
        for path in changed {
            let name = path
                .strip_prefix(folder)
                .expect("inside")
                .to_string_lossy()
                .into_owned();
            seen.names.insert(name.clone());
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            seen.looks += 1;
            for window in bytes.windows(WINDOW) {
                assert!(
                    !pieces.contains(window),
                    "{name} holds coded pictures of an input"
                );
            }
        }
        if last {
            return seen;
        }
        last = stop.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
    }
}
