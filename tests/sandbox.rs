//! Confinement, from inside and from outside: what a process that was taken over could still do.

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::clip::Clip;
use common::program::{INNER, Run, again, names, redact, run, without_landlock};
use common::scene::Scene;
use common::{run_tool, skip, temp_dir};
use floutage::sandbox::{Confinement, Sandbox, landlock_version};
use gst::prelude::*;

/// The plugin of GStreamer's own that has `element`, not loaded yet.
fn plugin_of(element: &str) -> PathBuf {
    gst::init().expect("GStreamer starts");
    let factory = gst::ElementFactory::find(element).expect("installed");
    let plugin = factory.plugin().expect("from a plugin");
    plugin.filename().expect("from a file")
}

/// Copies of two plugins, to be loaded before and after.
const PLUGINS: [(&str, &str); 2] = [
    ("videotestsrc", "plugins/libgstvideotestsrc.so"),
    ("audiotestsrc", "else/libgstaudiotestsrc.so"),
];

#[test]
fn inside_nothing_else_is_in_reach() {
    if let Some(folder) = std::env::var_os(INNER) {
        return confined(Path::new(&folder));
    }
    if landlock_version() == 0 {
        skip!("this kernel has no Landlock");
    }
    let folder = temp_dir();
    for part in ["in", "out", "else", "plugins"] {
        fs::create_dir(folder.path().join(part)).expect("a folder");
        fs::write(folder.path().join(part).join("file"), part).expect("a file");
    }
    for (element, copy) in PLUGINS {
        fs::copy(plugin_of(element), folder.path().join(copy)).expect("a copy");
    }
    again("inside_nothing_else_is_in_reach", folder.path());
    assert_eq!(
        fs::read_to_string(folder.path().join("out/new")).expect("written inside"),
        "redacted"
    );
    let left = names(&folder.path().join("else"));
    assert_eq!(left, ["file", "libgstaudiotestsrc.so"]);
}

fn confined(folder: &Path) {
    let at = |name: &str| folder.join(name);
    gst::init().expect("GStreamer starts");
    let load = |(_, copy): (&str, &str)| gst::Plugin::load_file(at(copy));
    assert!(load(PLUGINS[0]).is_ok(), "before, it can be loaded");
    let listener = TcpListener::bind("127.0.0.1:0").expect("before, ports can be taken");
    let address = listener.local_addr().expect("an address");
    let confinement = Sandbox::new()
        .read(at("in"))
        .write(at("out"))
        .confine()
        .expect("it works");
    assert_ne!(confinement, Confinement::None);

    assert_eq!(fs::read_to_string(at("in/file")).expect("allowed"), "in");
    fs::write(at("out/partial"), "redacted").expect("allowed");
    fs::rename(at("out/partial"), at("out/new")).expect("allowed");
    fs::remove_file(at("out/file")).expect("allowed");

    let refused = |what: &str, outcome: std::io::Result<()>| {
        let error = outcome.expect_err(what);
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::PermissionDenied,
            "{what}: {error}"
        );
    };
    refused("reading", fs::read(at("else/file")).map(drop));
    refused("listing", fs::read_dir(at("else")).map(drop));
    refused("writing", fs::write(at("else/file"), "x"));
    refused("making", fs::write(at("else/new"), "x"));
    refused("writing an input", fs::write(at("in/file"), "x"));
    refused("removing", fs::remove_file(at("else/file")));
    refused(
        "the user's files",
        fs::read_dir("/root")
            .or_else(|_| fs::read_dir("/home"))
            .map(drop),
    );
    refused(
        "temporary files",
        fs::write(std::env::temp_dir().join("floutage-escaped"), "x"),
    );
    refused("programs", Command::new("/bin/true").status().map(drop));
    refused("connections", TcpStream::connect(address).map(drop));
    refused("ports", TcpListener::bind("127.0.0.1:0").map(drop));
    refused("packets", UdpSocket::bind("127.0.0.1:0").map(drop));
    assert!(load(PLUGINS[1]).is_err(), "a plugin from elsewhere");
    // Threads that are started later are confined, too.
    let elsewhere = at("else/file");
    std::thread::spawn(move || {
        assert!(fs::read(elsewhere).is_err());
    })
    .join()
    .expect("the thread ends");
    let status = fs::read_to_string("/proc/self/status").expect("one's own");
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    let limits = fs::read_to_string("/proc/self/limits").expect("one's own");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .expect("a limit");
    assert_eq!(
        core.split_whitespace().filter(|word| *word == "0").count(),
        2,
        "{core}"
    );
}

fn clip(folder: &Path) -> PathBuf {
    Clip::new(Scene::new(160, 128, 8).on_grid(16)).write(folder, "in.mp4")
}

fn confinement(outcome: &Run) -> String {
    outcome.report()["confinement"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn the_program_confines_itself_and_writes_nothing_but_its_output() {
    let dir = temp_dir();
    let input = clip(dir.path());
    let (home, dots) = (dir.path().join("home"), dir.path().join("dots"));
    fs::create_dir_all(&home)
        .and_then(|()| fs::create_dir_all(&dots))
        .expect("folders");
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")))
        .expect("a home");
    let output = dir.path().join("out/new/out.mp4");
    let mut command = redact(&input, &output);
    command
        .env("HOME", &home)
        .env("XDG_DATA_HOME", data)
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_RUNTIME_DIR")
        .env("TMPDIR", &dots)
        .env("GST_DEBUG_DUMP_DOT_DIR", &dots)
        .env("GST_DEBUG_FILE", dots.join("log"));
    let outcome = run(command.args(["--json", "--require-sandbox"]));
    if landlock_version() == 0 {
        outcome.failed(&["Landlock"]);
        skip!("this kernel has no Landlock");
    }
    let outcome = outcome.succeeded();
    assert!(
        ["full", "partial"].contains(&confinement(&outcome).as_str()),
        "{outcome:?}"
    );
    if landlock_version() >= 6 {
        assert_eq!(confinement(&outcome), "full");
    }
    assert_eq!(names(&dots), [] as [&str; 0]);
    assert_eq!(
        names(&home),
        [".local/state/floutage/gstreamer/registry.bin"]
    );
    assert_eq!(names(&dir.path().join("out")), ["new/out.mp4"]);
    let off = run(redact(&input, &dir.path().join("off.mp4")).args(["--json", "--no-sandbox"]))
        .succeeded();
    assert_eq!(confinement(&off), "off");
}

#[test]
fn pictures_are_redacted_in_a_confined_process_too() {
    let dir = temp_dir();
    let input = dir.path().join("in.png");
    run_tool(
        common::ffmpeg()
            .args(["-f", "lavfi", "-i", "testsrc2=s=64x64", "-frames:v", "1"])
            .arg(&input),
    );
    let outcome = run(redact(&input, &dir.path().join("out.png")).arg("--json")).succeeded();
    if landlock_version() >= 6 {
        assert_eq!(confinement(&outcome), "full");
    }
}

#[test]
fn where_the_kernel_cannot_it_is_told() {
    let dir = temp_dir();
    let input = clip(dir.path());
    let mut command = redact(&input, &dir.path().join("a.mp4"));
    let outcome = run(without_landlock(command.arg("--json"))).succeeded();
    assert_eq!(confinement(&outcome), "none");
    let warnings = outcome
        .stderr
        .lines()
        .filter(|line| line.contains("no Landlock"))
        .count();
    assert_eq!(warnings, 1, "{}", outcome.stderr);
    let output = dir.path().join("b.mp4");
    let mut command = redact(&input, &output);
    let outcome = run(without_landlock(
        command.args(["--require-sandbox", "--quiet"]),
    ));
    outcome.failed(&["--require-sandbox", "no Landlock"]);
    assert!(!output.exists());
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_floutage"));
    let outcome = run(without_landlock(doctor.arg("doctor")));
    assert!(
        outcome.stdout.contains("this kernel has no Landlock"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn memory_can_be_locked() {
    let dir = temp_dir();
    let input = clip(dir.path());
    let outcome = run(redact(&input, &dir.path().join("out.mp4")).arg("--lock-memory"));
    if !rustix::process::geteuid().is_root() && outcome.code != Some(0) {
        outcome.failed(&["--lock-memory"]);
        skip!("memory cannot be locked by this user");
    }
    outcome.succeeded();
}
