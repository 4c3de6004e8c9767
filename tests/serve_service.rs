//! The gateway as a service: what it tells systemd, a reload by signal, an orderly end.

mod common;
mod gateway;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use common::codec::Codec;
use common::{repository, skip, temp_dir};
use gateway::*;
use rustix::process::{Pid, Signal, kill_process};

fn send(child: &Child, signal: Signal) {
    let id = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(id, signal).expect("it runs");
}

#[test]
fn a_service_tells_how_it_is_takes_up_a_reload_and_ends_in_order() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 2);
    let first = config(&format!("{RTSP}{}", looped("door", &path)));
    let file = dir.path().join("floutage.toml");
    std::fs::write(&file, &first).expect("it can be written");
    let socket = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let hears = |wanted: &str| {
        wait_for(wanted, || {
            let mut said = [0; 512];
            let length = socket.recv(&mut said).expect("it tells something");
            String::from_utf8_lossy(&said[..length])
                .lines()
                .any(|line| line == wanted)
                .then_some(())
        });
    };
    let mut service = Command::new(env!("CARGO_BIN_EXE_floutage"))
        .args(["serve", "-c"])
        .arg(&file)
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    hears("READY=1");
    let mut line = String::new();
    let mut output = BufReader::new(service.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("it says its addresses");
    let address = line
        .trim()
        .strip_prefix("door: ")
        .expect("the camera's")
        .to_owned();
    hears("WATCHDOG=1");

    // As old as before, so that nothing but the signal tells of the change.
    let next = dir.path().join("next.toml");
    std::fs::write(&next, format!("{first}{}", looped("gate", &path))).expect("written");
    let before = std::fs::metadata(&file).and_then(|data| data.modified());
    std::fs::File::options()
        .write(true)
        .open(&next)
        .and_then(|next| next.set_modified(before?))
        .expect("a time can be set");
    std::fs::rename(&next, &file).expect("it can be moved");
    let second = address.replace("/door", "/gate");
    let to = dir.path().join("gate.mkv");
    let plays = |to: &std::path::Path| {
        let mut child = recorder(&second, "tcp", 2, to);
        child.wait().expect("ffmpeg ends").success()
    };
    // The daemon looks at the file several times meanwhile.
    hears("WATCHDOG=1");
    assert!(!plays(&to), "taken up without the signal");
    send(&service, Signal::HUP);
    wait_for("the second camera", || plays(&to).then_some(()));
    is_redacted(&to, 0);

    send(&service, Signal::TERM);
    hears("STOPPING=1");
    assert!(service.wait().expect("it ends").success());
}

/// What is not known is ignored with a warning, and with it what it should allow or refuse.
#[test]
fn the_unit_is_understood_and_lets_the_service_confine_itself() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        skip!("there is no systemd-analyze");
    }
    let unit = std::fs::read_to_string(repository("packaging/debian/floutage.service"));
    let unit = unit.expect("the unit can be read");
    // The program is not installed here, nor are its pages.
    let program = env!("CARGO_BIN_EXE_floutage");
    let changed: String = unit
        .lines()
        .filter(|line| !line.starts_with("Documentation="))
        .map(|line| line.replace("/usr/bin/floutage", program) + "\n")
        .collect();
    let dir = temp_dir();
    let path = dir.path().join("floutage.service");
    std::fs::write(&path, changed).expect("written");
    let checked = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
    let allowed = unit
        .lines()
        .find_map(|line| line.strip_prefix("SystemCallFilter="))
        .expect("a filter");
    for call in [
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
        "seccomp",
    ] {
        assert!(allowed.split(' ').any(|it| it == call), "{call}: {allowed}");
    }
}
