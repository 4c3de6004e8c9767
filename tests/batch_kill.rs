//! A batch that is killed at random moments: what is complete stays, what is missing is done, and nothing unredacted is ever
//! on the disk.
//!
//! `FLOUTAGE_KILLS` and `FLOUTAGE_KILL_CLIPS` make it longer (`make test-kills`), `FLOUTAGE_KILL_SEED` repeats a run.

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::batch::{FOLDER, account, batch, clips, results};
use common::look::{each_frame, marker_share};
use common::program::{names, run};
use common::temp_dir;
use common::watch::{files, pieces, watch};
use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::geometry::BBox;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// A sequence of numbers that a seed repeats (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Fails when a marker can be seen in any frame of the video.
fn check_redacted(path: &Path) {
    each_frame(path, |index, picture| {
        let all = BBox::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        for class in Class::ALL {
            let share = marker_share(&picture, Matrix::Bt601, class, &all);
            assert!(
                share < 0.002,
                "{}: frame {index}: {class:?} {share}",
                path.display()
            );
        }
    });
}

#[test]
fn a_batch_that_is_killed_does_what_is_missing_and_nothing_twice() {
    let kills = setting("FLOUTAGE_KILLS", 8);
    let count = setting("FLOUTAGE_KILL_CLIPS", 12) as usize;
    let seed = setting("FLOUTAGE_KILL_SEED", u64::from(std::process::id()));
    eprintln!("FLOUTAGE_KILL_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let dir = temp_dir();
    let input = clips(dir.path(), count);
    let reference = dir.path().join("reference");
    let started = Instant::now();
    // Filled, for a blurred marker has the colours of a marker.
    run(batch(&input, &reference).args(["--style", "fill"])).succeeded();
    let whole = started.elapsed().as_millis() as u64;
    let reference = results(&reference);
    assert_eq!(reference.len(), count);
    reference
        .keys()
        .for_each(|name| check_redacted(&dir.path().join("reference").join(name)));

    // Everything that the program may write to lies in here.
    let world = dir.path().join("world");
    let out = world.join("out");
    for folder in [&out, &world.join("tmp"), &world.join("home")] {
        std::fs::create_dir_all(folder).expect("made");
    }
    let confined = || {
        let mut command: Command = batch(&input, &out);
        command.args(["--style", "fill"]);
        command
            .current_dir(&world)
            .env("TMPDIR", world.join("tmp"))
            .env("HOME", world.join("home"));
        // What is found by HOME otherwise: ONNX Runtime, and GStreamer's list of plug-ins.
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        for (name, folder) in [
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            let place = std::env::var_os(name).map_or(home.join(folder), PathBuf::from);
            command.env(name, place);
        }
        command
    };
    let pieces = pieces(&input);
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&world, &pieces, &stop));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut done = BTreeMap::new();
            for kill in 0..kills {
                let mut child = confined()
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .process_group(0)
                    .spawn()
                    .expect("it starts");
                // Mostly early, so that there is something left to be killed in.
                let moment = random.below(whole * 3 / (kills + 2) + 50);
                std::thread::sleep(Duration::from_millis(moment));
                let id = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
                // Everything at once, as when a machine fails; or the parent alone, as when its memory is too small.
                let killed = if kill % 2 == 0 {
                    rustix::process::kill_process_group(id, rustix::process::Signal::KILL)
                } else {
                    rustix::process::kill_process(id, rustix::process::Signal::KILL)
                };
                assert!(killed.is_ok());
                child.wait().expect("it ends");
                for path in files(&out) {
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    // What a worker that outlives its parent is removing meanwhile cannot be read.
                    if let (Some(whole), Ok(bytes)) = (reference.get(&name), std::fs::read(&path)) {
                        assert!(*whole == bytes, "{name} is not complete");
                    }
                }
                for (name, inode) in finished(&out) {
                    assert_eq!(
                        *done.entry(name.clone()).or_insert(inode),
                        inode,
                        "{name} was done twice"
                    );
                }
            }
            run(&mut confined()).succeeded();
            for (name, inode) in &done {
                assert_eq!(
                    finished(&out).get(name),
                    Some(inode),
                    "{name} was done twice"
                );
            }
        }));
        stop.store(true, Ordering::SeqCst);
        let seen = watching.join();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    assert!(results(&out) == reference, "{:?}", names(&out));
    let told = account(&out.join(FOLDER));
    assert_eq!(told["total"]["states"]["done"], count);
    assert_eq!(told["files"].as_array().map(Vec::len), Some(count));
    assert!(seen.looks > 0);
    for name in &seen.names {
        let allowed = match name.strip_prefix("out") {
            Some(rest) => {
                let rest = rest.trim_start_matches('/');
                rest.is_empty()
                    || rest.starts_with(FOLDER)
                    || rest.starts_with(".floutage-")
                    || rest.starts_with("..floutage-")
                    || reference.contains_key(rest)
            }
            // The list of GStreamer's plugins, which holds nothing of any video.
            None => {
                ["home/.local", "home/.local/state"].contains(&name.as_str())
                    || name.starts_with("home/.local/state/floutage")
            }
        };
        assert!(allowed, "{name} was written");
    }
}

/// The files that the journal says are done, with their inodes.
fn finished(out: &Path) -> BTreeMap<String, u64> {
    let mut command = common::batch::bare(["status"]);
    // Makes sure that the journal can be read after a kill.
    let status = command.arg(out).output().expect("it runs");
    let journal = out.join(FOLDER).join("journal.sqlite");
    if !status.status.success() {
        return BTreeMap::new();
    }
    let journal = floutage::batch::journal::Journal::look(&journal).expect("a journal");
    let entries = journal.entries().expect("entries");
    entries
        .into_iter()
        .filter(|entry| entry.state == floutage::batch::journal::State::Done)
        .map(|entry| {
            let path = PathBuf::from(&entry.output);
            let inode = std::fs::metadata(&path)
                .expect("a file that is done is there")
                .ino();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, inode)
        })
        .collect()
}
