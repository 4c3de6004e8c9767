//! The gateway's confinement: from inside, what its main process and a worker could still do; from outside, that the program
//! applies it, works under it, and says when a new configuration would need more.

mod common;
mod gateway;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::codec::Codec;
use common::program::{INNER, again, names, run, without_landlock};
use common::{skip, temp_dir};
use floutage::sandbox::{Confinement, landlock_version};
use floutage::serve::config::Config;
use floutage::serve::confine::{self, Places};
use floutage::serve::wire::Job;
use gateway::*;

fn recorded(clip: &Path, kept: &Path, camera: &str) -> String {
    config(&format!(
        "{RTSP}[record]\nenabled = true\ndirectory = \"{}\"\nsegment = \"2s\"\n\n{}",
        kept.display(),
        looped(camera, clip),
    ))
}

/// A worker's job for `camera`, as the gateway would send it.
fn job(camera: &floutage::serve::config::camera::Camera) -> Job {
    Job {
        name: camera.name.clone(),
        source: camera.source.clone(),
        user: None,
        password: None,
        certificate: None,
        transport: camera.transport,
        jitter: 0,
        zones: Vec::new(),
        min_fps: camera.min_fps,
        detect: camera.detect.clone(),
        redact: camera.redact.clone(),
        encode: camera.encode.clone(),
        sub: None,
        size: None,
    }
}

#[test]
fn inside_nothing_else_is_in_reach() {
    if let Some(folder) = std::env::var_os(INNER) {
        return confined(Path::new(&folder));
    }
    if landlock_version() == 0 {
        skip!("this kernel has no Landlock");
    }
    let dir = temp_dir();
    for part in ["etc", "else", "clips"] {
        fs::create_dir(dir.path().join(part)).expect("a folder");
        fs::write(dir.path().join(part).join("file"), part).expect("a file");
    }
    again("inside_nothing_else_is_in_reach", dir.path());
    assert_eq!(names(&dir.path().join("else")), ["file"]);
    assert_eq!(names(&dir.path().join("kept")), ["door/recording"]);
}

fn confined(folder: &Path) {
    let at = |name: &str| folder.join(name);
    floutage::init().expect("GStreamer starts");
    let file = at("etc/floutage.toml");
    fs::write(&file, recorded(&at("clips/file"), &at("kept"), "door")).expect("written");
    let config = Config::read(&file).expect("it is right");
    let places = Places::of(&config, &file, None).expect("it can be used");
    places.make();
    let confinement = places.sandbox().confine().expect("it works");
    assert_ne!(confinement, Confinement::None);

    let refused = |what: &str, outcome: std::io::Result<()>| {
        let error = outcome.expect_err(what);
        let kind = error.kind();
        assert_eq!(
            kind,
            std::io::ErrorKind::PermissionDenied,
            "{what}: {error}"
        );
    };
    let elsewhere = || {
        refused("reading", fs::read(at("else/file")).map(drop));
        refused("writing", fs::write(at("else/file"), "x"));
        refused("making", fs::write(at("else/new"), "x"));
        refused("removing", fs::remove_file(at("else/file")));
        refused("the configuration", fs::write(&file, "x"));
        refused("the clip", fs::write(at("clips/file"), "x"));
        refused("its neighbours", fs::read_dir(at("clips")).map(drop));
        refused(
            "temporary files",
            fs::write(std::env::temp_dir().join("floutage-x"), "x"),
        );
        refused(
            "the user's files",
            fs::read_dir("/root")
                .or_else(|_| fs::read_dir("/home"))
                .map(drop),
        );
    };
    elsewhere();
    assert!(fs::read_to_string(&file).expect("allowed").contains("door"));
    fs::create_dir(at("kept/door")).expect("allowed");
    fs::write(at("kept/door/recording"), "x").expect("allowed");
    let listener = TcpListener::bind("127.0.0.1:0").expect("it serves");
    let address = listener.local_addr().expect("an address");
    TcpStream::connect(address).expect("it pushes");
    Command::new("/bin/true")
        .status()
        .expect("it starts workers");

    // A worker gives up more; it inherits the rest.
    let sandbox = confine::worker(&job(&config.cameras[0])).expect("it can be used");
    sandbox.confine().expect("it works");
    elsewhere();
    assert_eq!(
        fs::read_to_string(at("clips/file")).expect("its clip"),
        "clips"
    );
    refused("the configuration", fs::read(&file).map(drop));
    refused("recordings", fs::read(at("kept/door/recording")).map(drop));
    refused("recordings", fs::write(at("kept/door/new"), "x"));
    refused("connections", TcpStream::connect(address).map(drop));
    refused("ports", TcpListener::bind("127.0.0.1:0").map(drop));
    refused("programs", Command::new("/bin/true").status().map(drop));
}

/// The running program; a test that fails leaves none behind.
struct Serving(Child);

impl Serving {
    fn start(folder: &Path, config: &Path, flags: &[&str]) -> Self {
        let said = fs::File::create(folder.join("said")).expect("a file");
        let child = serve(folder, config, flags)
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("it starts");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may be over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path, config: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .args(["serve", "-c"])
        .arg(config)
        .args(flags)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("GST_DEBUG_DUMP_DOT_DIR", folder.join("dots"))
        .env_remove("FLOUTAGE_AUDIT_LOG");
    command
}

fn is_confined(process: u32) {
    let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}"));
    let status = read("status").expect("it runs");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = read("limits").expect("it runs");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let zeros = core.map(|line| line.split_whitespace().filter(|word| *word == "0").count());
    assert_eq!(zeros, Some(2), "{core:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    if !folder.exists() {
        return Vec::new();
    }
    names(folder)
        .into_iter()
        .map(|name| folder.join(name))
        .collect()
}

#[test]
fn the_program_works_confined_and_says_when_a_configuration_needs_more() {
    if landlock_version() == 0 {
        skip!("this kernel has no Landlock");
    }
    let dir = temp_dir();
    let name = format!("confined-{}", std::process::id());
    let clip = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let (kept, other) = (dir.path().join("kept"), dir.path().join("other"));
    fs::create_dir_all(dir.path().join("etc")).expect("a folder");
    fs::create_dir_all(dir.path().join("dots")).expect("a folder");
    let file = dir.path().join("etc/floutage.toml");
    fs::write(&file, recorded(&clip, &kept, &name)).expect("written");
    let log = dir.path().join("audit.jsonl");
    let log_flag = format!("--audit-log={}", log.display());
    let flags = ["--require-sandbox", &log_flag];
    let mut serving = Serving::start(dir.path(), &file, &flags);
    wait_for("two entries", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        (text.matches("\"segment\"").count() >= 2).then_some(())
    });
    is_confined(serving.0.id());
    let entries = fs::read_to_string(&log).expect("it can be read");
    let confinement = if landlock_version() >= 6 {
        "full"
    } else {
        "partial"
    };
    assert!(
        entries.contains(&format!("\"confinement\":\"{confinement}\"")),
        "{entries}"
    );
    assert!(names(&dir.path().join("dots")).is_empty());

    // A folder in one that it has is taken up.
    let said = || fs::read_to_string(dir.path().join("said")).expect("it can be read");
    fs::write(&file, recorded(&clip, &kept.join("deeper"), &name)).expect("written");
    let deeper = kept.join("deeper").join(&name);
    wait_for("recordings there", || {
        (files(&deeper).len() >= 2).then_some(())
    });
    assert_eq!(said(), "");
    // Another one is told, and everything goes on as before.
    fs::write(&file, recorded(&clip, &other, &name)).expect("written");
    wait_for("a clear word", || {
        said().contains("start it again").then_some(())
    });
    let line = said();
    let line = line
        .lines()
        .find(|line| line.contains("start it again"))
        .expect("said");
    assert!(line.contains(&other.display().to_string()), "{line}");
    let before = files(&deeper).len();
    wait_for("more recordings", || {
        (files(&deeper).len() > before).then_some(())
    });
    assert!(serving.0.try_wait().expect("it can be asked").is_none());
    drop(serving);
    let _again = Serving::start(dir.path(), &file, &flags);
    wait_for("recordings elsewhere", || {
        (files(&other.join(&name)).len() >= 2).then_some(())
    });
    is_redacted(&files(&other.join(&name))[0], 10);
}

#[test]
fn where_the_kernel_cannot_it_is_told() {
    let dir = temp_dir();
    let file = dir.path().join("floutage.toml");
    let kept = dir.path().join("kept");
    fs::write(&file, recorded(&dir.path().join("none.mp4"), &kept, "door")).expect("written");
    let mut command = serve(dir.path(), &file, &["--require-sandbox"]);
    let outcome = run(without_landlock(&mut command));
    outcome.failed(&["--require-sandbox", "no Landlock"]);
    assert!(files(&kept).is_empty());
}
