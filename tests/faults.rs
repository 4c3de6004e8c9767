//! The fault campaign over files: whatever goes wrong, no frame that is not redacted is in any output, and nothing good
//! is lost.
//!
//! A seeded generator chooses what goes wrong and when. `make faults` runs many, `make test` a few: `FLOUTAGE_FAULTS` says how
//! many, `FLOUTAGE_FAULT_SEED` which; a failure names the seed of its fault.

mod common;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::clip::Clip;
use common::codec::Codec;
use common::look::{decode_frames, find_markers};
use common::program::{names, redact, redact_with, run, start};
use common::scene::Scene;
use common::temp_dir;
use floutage::detect::{Certainty, Class, Detection, Detector, StageTimes};
use floutage::frame::{Frame, Matrix};
use floutage::geometry::BBox;
use floutage::media::encode::{Container, Encoding, Preset};
use floutage::media::pipeline::Tracking;
use floutage::media::report::Stop;
use floutage::media::video::{VideoOptions, redact_video};
use floutage::redact::{Settings, Style};
use floutage::{Error, Result};
use rustix::process::{Pid, Signal, kill_process};

const FRAMES: usize = 24;

/// Numbers that look random, the same for the same seed (Marsaglia's xorshift64).
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            chance.next();
        }
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// `few` faults in `make test`; of `make faults` the `share` of all.
fn count(few: u64, share: f64) -> u64 {
    std::env::var("FLOUTAGE_FAULTS")
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .map_or(few, |all| (all * share).ceil() as u64)
}

fn scene() -> Scene {
    Scene::new(160, 128, FRAMES).on_grid(16)
}

/// What is there before a fault: an input, and a good output of an earlier run.
struct Stage {
    folder: tempfile::TempDir,
    input: PathBuf,
    before: Vec<u8>,
    good: Vec<u8>,
}

impl Stage {
    fn new(extension: &str) -> Self {
        let folder = temp_dir();
        let codec = if extension == "webm" {
            Codec::Vp9
        } else {
            Codec::H264
        };
        let input = Clip::new(scene())
            .codec(codec)
            .audio()
            .write(folder.path(), &format!("in.{extension}"));
        let before = std::fs::read(&input).expect("made");
        let good = b"a good output of an earlier run".to_vec();
        std::fs::create_dir(folder.path().join("out")).expect("a folder");
        let stage = Self {
            folder,
            input,
            before,
            good,
        };
        stage.reset();
        stage
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out/out.mp4")
    }

    fn reset(&self) {
        for name in names(&self.folder.path().join("out")) {
            std::fs::remove_file(self.folder.path().join("out").join(name)).expect("removed");
        }
        std::fs::write(self.output(), &self.good).expect("written");
    }

    /// The invariant. `killed`: nobody was left to tidy up.
    fn check(&self, succeeded: bool, killed: bool, fault: &str) {
        let there = names(&self.folder.path().join("out"));
        let output = std::fs::read(self.output())
            .unwrap_or_else(|error| panic!("{fault}: nothing is left: {error}"));
        if output == self.good {
            assert!(!succeeded || killed, "{fault}: it says that it succeeded");
        } else {
            nothing_shows(&self.output(), fault);
        }
        for name in &there {
            let partial = name != "out.mp4";
            assert!(!partial || killed, "{fault}: {there:?} is left");
        }
        if killed && there.len() > 1 {
            // What a killed run leaves holds coded frames behind the redactor, and goes with the next run.
            run(redact(&self.sound_input(), &self.output()).arg("--overwrite")).succeeded();
            assert_eq!(
                names(&self.folder.path().join("out")),
                ["out.mp4"],
                "{fault}"
            );
            nothing_shows(&self.output(), fault);
        }
        assert_eq!(
            std::fs::read(&self.input).expect("the input is there"),
            self.before,
            "{fault}: the input"
        );
    }

    fn sound_input(&self) -> PathBuf {
        self.input.clone()
    }
}

fn nothing_shows(output: &Path, fault: &str) {
    for (index, frame) in decode_frames(output).iter().enumerate() {
        for class in Class::ALL {
            // A damaged marker may be found as some pixels less or more; a hidden one not at all.
            let found = find_markers(frame, Matrix::Bt709, class);
            assert!(
                found.is_empty(),
                "{fault}: frame {index} shows a {class} at {found:?}"
            );
        }
    }
}

fn command(stage: &Stage, input: &Path) -> Command {
    let mut command = redact(input, &stage.output());
    command.args([
        "--overwrite",
        "--quiet",
        "--style",
        "fill",
        "--preset",
        "ultrafast",
        "--margin",
        "0.4",
    ]);
    command
}

/// Noise, holes and ends in the middle of coded pictures, tables and packets.
#[test]
fn damaged_inputs() {
    for extension in ["mp4", "mkv", "webm"] {
        let stage = Stage::new(extension);
        let broken = stage.folder.path().join(format!("broken.{extension}"));
        for index in 0..count(3, 0.08) {
            let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
            let mut chance = Chance::new(seed);
            let mut bytes = stage.before.clone();
            let length = bytes.len() as u64;
            for _ in 0..=chance.below(4) {
                let (at, size) = (
                    chance.below(length) as usize,
                    1 + chance.below(200) as usize,
                );
                let end = (at + size).min(bytes.len());
                match chance.below(4) {
                    0 => bytes[at..end].fill(0),
                    1 => bytes.truncate(at.max(bytes.len() / 2)),
                    2 => drop(bytes.drain(at.min(bytes.len())..end.min(bytes.len()))),
                    _ => bytes
                        .get_mut(at..end)
                        .unwrap_or_default()
                        .iter_mut()
                        .for_each(|byte| *byte = chance.next() as u8),
                }
                if bytes.len() < length as usize {
                    break;
                }
            }
            std::fs::write(&broken, &bytes).expect("written");
            stage.reset();
            let outcome = run(&mut command(&stage, &broken));
            // Damaged pictures can show anything that was never there; that the program ends well is what counts, and that
            // frames which decode as they were are redacted.
            let fault = format!("damage {seed} in {extension}");
            let sound = decode_frames(&stage.input);
            let output = std::fs::read(stage.output()).expect("an output");
            assert_eq!(
                outcome.code != Some(0),
                output == stage.good,
                "{fault}: {outcome:?}"
            );
            assert_eq!(
                names(&stage.folder.path().join("out")),
                ["out.mp4"],
                "{fault}"
            );
            if output != stage.good {
                no_clear_marker(&sound, &stage.output(), &fault);
            }
        }
    }
}

/// No frame of `output` shows a marker where the sound clip has it at that time or near it.
fn no_clear_marker(sound: &[common::scene::Picture], output: &Path, fault: &str) {
    let scene = scene();
    for (index, frame) in decode_frames(output).iter().enumerate() {
        for near in index.saturating_sub(2)..(index + 3).min(sound.len()) {
            for (class, area) in scene.truth(near) {
                let share = common::look::marker_share(frame, Matrix::Bt709, class, &area);
                // Half a marker, coded as one: damaged colours are no marker's.
                assert!(
                    share < 0.5,
                    "{fault}: frame {index} shows a {class} ({share})"
                );
            }
        }
    }
}

fn limited(command: &mut Command, bytes: u64) -> &mut Command {
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(move || {
            let limit = rustix::process::Rlimit {
                current: Some(bytes),
                maximum: Some(bytes),
            };
            rustix::process::setrlimit(rustix::process::Resource::Fsize, limit)?;
            Ok(())
        })
    }
}

/// The disk is full after some bytes: by a limit of the process, which also sends a signal.
#[test]
fn outputs_that_cannot_grow() {
    let stage = Stage::new("mp4");
    for index in 0..count(3, 0.12) {
        let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
        let limit = Chance::new(seed).below(9_000);
        stage.reset();
        let mut command = command(&stage, &stage.input);
        let registry = PathBuf::from("/nonexistent/registry.bin");
        // The list of plugins is a file, too.
        let outcome = run(limited(
            command
                .env("GST_REGISTRY_1_0", registry)
                .env("GST_REGISTRY_UPDATE", "no"),
            limit,
        ));
        stage.check(
            outcome.code == Some(0),
            false,
            &format!("limit of {limit} bytes"),
        );
    }
}

/// As above, with a file system that is full, where one can be mounted.
#[test]
fn a_disk_that_is_full() {
    let stage = Stage::new("mkv");
    let disk = stage.folder.path().join("out");
    std::fs::remove_file(stage.output()).expect("removed");
    for index in 0..count(2, 0.08) {
        let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
        let pages = 2 + Chance::new(seed).below(3);
        let size = format!("size={}k", pages * 4);
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&disk)
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            common::skip!("no small file system can be mounted");
        }
        struct Unmount<'a>(&'a Path);
        impl Drop for Unmount<'_> {
            fn drop(&mut self) {
                let _ = Command::new("umount").arg(self.0).status();
            }
        }
        let unmount = Unmount(&disk);
        std::fs::write(stage.output(), &stage.good).expect("written");
        let outcome = run(&mut command(&stage, &stage.input));
        stage.check(outcome.code == Some(0), false, &format!("{pages} pages"));
        drop(unmount);
    }
}

/// Reading and writing fail with an error of the device, at any call: a library in between makes them.
#[test]
fn devices_that_fail() {
    let stage = Stage::new("mp4");
    let Some(library) = failing_library(stage.folder.path()) else {
        common::skip!("there is no C compiler");
    };
    for index in 0..count(4, 0.2) {
        let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
        let mut chance = Chance::new(seed);
        let (what, name) = [
            ("read", "in.mp4"),
            ("write", "floutage-partial"),
            ("sync", "floutage-partial"),
        ][chance.below(3) as usize];
        let after = if what == "sync" { 0 } else { chance.below(12) };
        stage.reset();
        let mut command = command(&stage, &stage.input);
        command.env("LD_PRELOAD", &library);
        command
            .env("FAIL_WHAT", what)
            .env("FAIL_NAME", name)
            .env("FAIL_AFTER", after.to_string());
        let outcome = run(&mut command);
        let fault = format!("{what} of {name} fails after {after} calls (seed {seed})");
        stage.check(outcome.code == Some(0), false, &fault);
        if what == "sync" {
            assert_ne!(outcome.code, Some(0), "{fault}: {outcome:?}");
        }
    }
}

/// A library to be loaded first, whose calls fail with EIO on files of a name.
fn failing_library(folder: &Path) -> Option<PathBuf> {
    const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
static int fails(const char *what, int fd) {
  static int calls;
  const char *wanted = getenv("FAIL_WHAT"), *name = getenv("FAIL_NAME"), *after = getenv("FAIL_AFTER");
  char link[64], path[4096];
  ssize_t length;
  if (!wanted || !name || !after || strcmp(what, wanted)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  if (!strstr(path, name)) return 0;
  if (__sync_fetch_and_add(&calls, 1) < atoi(after)) return 0;
  errno = EIO;
  return 1;
}
#define WRAP(kind, type, call, parameters, arguments) \
  type call parameters { \
    static type (*real) parameters; \
    if (!real) real = dlsym(RTLD_NEXT, #call); \
    return fails(kind, fd) ? -1 : real arguments; \
  }
WRAP("read", ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
WRAP("read", ssize_t, pread64, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
WRAP("write", ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
WRAP("write", ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP("sync", int, fsync, (int fd), (fd))
WRAP("sync", int, fdatasync, (int fd), (fd))
"#;
    let (source, library) = (folder.join("fail.c"), folder.join("fail.so"));
    std::fs::write(&source, SOURCE).ok()?;
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

/// The process that a program has started for its file, once there is one.
fn child_of(program: &Child) -> Option<Pid> {
    let path = format!("/proc/{0}/task/{0}/children", program.id());
    let text = std::fs::read_to_string(path).ok()?;
    Pid::from_raw(text.split_whitespace().next()?.parse().ok()?)
}

/// Signals at any time, to the program or to the process of its file.
#[test]
fn signals() {
    let stage = Stage::new("mp4");
    for index in 0..count(4, 0.16) {
        let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
        let mut chance = Chance::new(seed);
        let signal = [
            Signal::TERM,
            Signal::INT,
            Signal::KILL,
            Signal::KILL,
            Signal::SEGV,
        ][chance.below(5) as usize];
        // A crash is one of the decoder, in the process of its file.
        let to_child = signal == Signal::SEGV || chance.below(2) == 0;
        stage.reset();
        let mut program = start(&mut command(&stage, &stage.input));
        std::thread::sleep(Duration::from_millis(chance.below(900)));
        let whole = Pid::from_child(&program);
        let target = if to_child {
            child_of(&program)
        } else {
            Some(whole)
        };
        let fault =
            format!("signal {signal:?} (seed {seed}, to the child: {to_child}, {target:?})");
        if let Some(target) = target {
            // It may be over already.
            let _ = kill_process(target, signal);
        }
        let killed = target == Some(whole) && signal == Signal::KILL;
        let child = killed.then(|| child_of(&program)).flatten();
        let status = program.wait().expect("it ends");
        // A process whose parent was killed ends by itself.
        for _ in 0..600 {
            let alive =
                child.is_some_and(|child| rustix::process::test_kill_process(child).is_ok());
            if !(alive || killed && in_use(&stage)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        stage.check(status.success(), killed, &fault);
    }
}

/// True while a process holds the partial file.
fn in_use(stage: &Stage) -> bool {
    let partial = stage.folder.path().join("out/.out.mp4.floutage-partial");
    std::fs::File::open(partial).is_ok_and(|file| file.try_lock().is_err())
}

/// Models whose answers are not numbers, far too many, or of another shape.
#[test]
fn models_that_fail() {
    let stage = Stage::new("mp4");
    for model in ["nan-on-blue", "many-boxes", "wrong-outputs"] {
        stage.reset();
        let mut command = redact_with(model);
        command
            .arg(&stage.input)
            .arg("-o")
            .arg(stage.output())
            .args(["--overwrite", "--quiet"]);
        let outcome = run(&mut command);
        // They find no markers, so these may show; the rest has to hold.
        let output = std::fs::read(stage.output()).expect("an output");
        assert_eq!(
            outcome.code != Some(0),
            output == stage.good,
            "{model}: {outcome:?}"
        );
        assert_eq!(
            names(&stage.folder.path().join("out")),
            ["out.mp4"],
            "{model}"
        );
    }
}

/// Finds the markers as they are, and now and then does what `Chance` says instead.
struct Faulty {
    frame: usize,
    chance: Chance,
    /// Frames in which it answered something else.
    faults: Arc<Mutex<Vec<usize>>>,
}

impl Detector for Faulty {
    fn detect(&mut self, _: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let frame = self.frame;
        self.frame += 1;
        let at = |bbox: BBox, class: Class| Detection {
            bbox,
            class,
            confidence: 0.9,
            certainty: Certainty::Confident,
        };
        let truth: Vec<Detection> = scene()
            .truth(frame)
            .into_iter()
            .map(|(class, bbox)| at(bbox, class))
            .collect();
        if self.chance.below(3) > 0 {
            return Ok((truth, StageTimes::default()));
        }
        self.faults
            .lock()
            .expect("nobody panicked with it")
            .push(frame);
        let bad = |bbox: BBox| Ok((vec![at(bbox, Class::Face)], StageTimes::default()));
        match self.chance.below(24) {
            0 => panic!("injected"),
            1 => Err(Error::Detection("injected".into())),
            2 => bad(BBox::new(f32::NAN, 0.0, 10.0, 10.0)),
            3 => bad(BBox::new(f32::NEG_INFINITY, 0.0, f32::INFINITY, 10.0)),
            4 => bad(BBox::new(50.0, 50.0, 20.0, 20.0)),
            5 => bad(BBox::new(7.0, 7.0, 7.0, 7.0)),
            6 => Ok((
                vec![at(BBox::new(0.0, 0.0, 9.0, 9.0), Class::Face); 1_000_000],
                StageTimes::default(),
            )),
            7 => {
                let mut wrong = truth;
                wrong.iter_mut().for_each(|it| it.confidence = f32::NAN);
                Ok((wrong, StageTimes::default()))
            }
            _ => Err(Error::Detection(
                String::from_utf8_lossy(&[0xff; 100]).into_owned(),
            )),
        }
    }
}

/// Every frame for which a detector gave no good answer is filled, counted, and shows nothing.
#[test]
fn detectors_that_answer_anything() {
    floutage::init().expect("GStreamer starts");
    let stage = Stage::new("mp4");
    let mut settings = Settings::default();
    settings.face.style = Style::Fill;
    for index in 0..count(6, 0.2) {
        let seed = setting("FLOUTAGE_FAULT_SEED", 1) * 1000 + index;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let detector = Faulty {
            frame: 0,
            chance: Chance::new(seed),
            faults: faults.clone(),
        };
        let options = VideoOptions {
            encoding: Encoding {
                codec: Container::Mp4.default_codec(),
                quality: 12,
                preset: Preset::UltraFast,
            },
            keep_audio: false,
            overwrite: true,
            tracking: Tracking {
                settings: floutage::track::Settings {
                    look_ahead: 0,
                    hold: 0,
                },
                detect_every: 1,
            },
            draw: false,
            strict: false,
            tally: false,
            link: None,
        };
        stage.reset();
        let fault = format!("detector {seed}");
        let outcome = redact_video(
            &stage.input,
            &stage.output(),
            Arc::new(Mutex::new(detector)),
            &settings,
            &options,
            &Stop::new(),
            &mut |_| {},
        );
        let report = match outcome {
            Ok(report) => report,
            // A panic is an error of the program, which ends the file.
            Err(error) => {
                assert!(error.to_string().contains("injected"), "{fault}: {error}");
                stage.check(false, false, &fault);
                continue;
            }
        };
        let faults = faults.lock().expect("nobody panicked with it").len() as u64;
        assert_eq!(
            (report.frames, report.frames_failed_closed),
            (FRAMES as u64, faults),
            "{fault}"
        );
        stage.check(true, false, &fault);
    }
}
