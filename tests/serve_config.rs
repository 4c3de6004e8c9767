//! The configuration: what is wrong is told by key, value and line, and what changes is taken up without disturbing the rest.

mod common;
mod gateway;

use std::process::Command;

use common::codec::Codec;
use common::program::{Run, run};
use common::temp_dir;
use floutage::serve::state::{CameraSettings, Health, Site};
use gateway::*;

fn check(text: &str) -> Run {
    let dir = temp_dir();
    let file = dir.path().join("floutage.toml");
    std::fs::write(&file, text).expect("it can be written");
    run(Command::new(env!("CARGO_BIN_EXE_floutage"))
        .arg("check-config")
        .arg(&file))
}

const CAMERA: &str = "[[camera]]\nname = \"a\"\nsource = \"rtsp://camera/stream\"\n";

#[test]
fn every_mistake_is_told_by_key_value_and_line() {
    for (text, words) in [
        (format!("{CAMERA}colour = 3\n"), &["line 4", "colour"][..]),
        (
            format!("{CAMERA}[camera.redact]\nmargin = 7.5\n"),
            &["line 5", "margin = 7.5", "from 0 to 3"],
        ),
        (
            format!("{CAMERA}[camera.redact]\nstyle = \"mosaic\"\nlevels = 8\n"),
            &["line 6", "levels = 8", "i-accept-reversible"],
        ),
        (
            format!("[redact]\nlevels = 2\n{CAMERA}"),
            &["line 2", "levels = 2", "i-accept-reversible"],
        ),
        (
            format!("{CAMERA}[camera.redact]\nlevels = 8\ni-accept-reversible = false\n"),
            &["line 5", "levels = 8"],
        ),
        (
            format!("[detect]\ninput-size = 33\n{CAMERA}"),
            &["line 2", "input-size = 33", "multiple of 32"],
        ),
        (
            format!("{CAMERA}[camera.detect]\ndetect-every = 7\n"),
            &["line 5", "detect-every = 7", "at most 6", "look-ahead of 5"],
        ),
        (
            format!("[encode]\ncodec = \"vp9\"\n{CAMERA}"),
            &["line 2", "codec = vp9", "h264 or h265"],
        ),
        (
            format!("{CAMERA}min-fps = 0\n"),
            &["line 4", "min-fps = 0", "from 0.5 to 60"],
        ),
        (
            format!("{CAMERA}stall-timeout = \"soon\"\n"),
            &["line 4", "stall-timeout", "soon"],
        ),
        (
            format!("{CAMERA}zones = [[[0.0, 0.0], [2.0, 0.0], [1.0, 1.0]]]\n"),
            &["line 4", "zone"],
        ),
        (
            format!("{CAMERA}user = \"u\"\n"),
            &["line 4", "user = u", "password-file"],
        ),
        (
            format!("{CAMERA}{CAMERA}"),
            &["line 5", "name = a", "different"],
        ),
        (
            "[[camera]]\nname = \"A b\"\nsource = \"file:///x\"\n".into(),
            &["line 2", "name = A b"],
        ),
        (
            "[[camera]]\nname = \"a\"\nsource = \"ftp://x\"\n".into(),
            &["line 3", "source = ftp://x"],
        ),
        (
            "[[camera]]\nname = \"a\"\nsource = \"rtsp://u:hunter2@x\"\n".into(),
            &["line 3", "source = rtsp://x", "password-file"],
        ),
        ("[[camera]]\nname = \"a\"\n".into(), &["line 1", "source"]),
        (
            format!("[rtsp]\nlisten = \"0.0.0.0:8554\"\n{CAMERA}"),
            &["line 2", "listen = 0.0.0.0:8554", "allow-anonymous"],
        ),
        (
            format!("[rtsp]\nmulticast-interface = \"eth0\"\n{CAMERA}"),
            &["line 2", "multicast-interface = eth0", "multicast = true"],
        ),
        (
            format!("[rtsp]\nmulticast = true\nmulticast-interface = \"\"\n{CAMERA}"),
            &[
                "line 3",
                "multicast-interface",
                "name of a network interface",
            ],
        ),
        (
            format!("[web]\nlisten = \"0.0.0.0:8080\"\n{CAMERA}"),
            &["line 2", "listen = 0.0.0.0:8080", "tls"],
        ),
        (
            format!("{CAMERA}[camera.record]\nschedule = [\"Mon 7\"]\n"),
            &["line 5", "Mon 7"],
        ),
        (
            format!("{CAMERA}[[camera.push]]\nurl = \"http://x\"\n"),
            &["line 5", "url = http://x", "srt://"],
        ),
        ("a = = b\n".into(), &["line 1"]),
        (String::new(), &["camera: there is none"]),
    ] {
        let run = check(&text).failed(words);
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    let run = check(&format!(
        "{CAMERA}min-fps = 0\n[camera.redact]\nmargin = 9\n"
    ));
    assert_eq!(
        run.stderr.lines().count(),
        2,
        "all of them at once: {}",
        run.stderr
    );
    check(CAMERA).succeeded();
    for accepted in [
        "levels = 8\ni-accept-reversible = true",
        "levels = 8\nstyle = \"fill\"",
    ] {
        check(&format!("{CAMERA}[camera.redact]\n{accepted}\n")).succeeded();
    }
}

#[test]
fn the_example_is_right() {
    let example = common::repository("packaging/floutage.toml");
    run(Command::new(env!("CARGO_BIN_EXE_floutage"))
        .arg("check-config")
        .arg(example))
    .succeeded();
}

#[test]
fn a_camera_that_did_not_change_loses_no_frame_when_another_does() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 20);
    let text = config(&format!(
        "{RTSP}{}\n{}",
        looped("still", &path),
        looped("changed", &path)
    ));
    let served = Served::start(dir.path(), &text);
    for camera in ["still", "changed"] {
        served.wait(camera, "is live", |status| status.health == Health::Live);
    }
    let to = dir.path().join("still.mkv");
    let mut client = recorder(&served.address("still"), "tcp", 8, &to);
    wait_for("the client", || {
        to.metadata().ok().filter(|data| data.len() > 20_000)
    });
    let mut settings = served.gateway.settings("changed").expect("it is known");
    assert_eq!(
        settings,
        CameraSettings {
            zones: vec![],
            margin: f64::from(0.4f32),
            confidence_threshold: None
        }
    );
    settings.zones = vec![vec![(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]];
    settings.margin = 0.5;
    served
        .gateway
        .change("changed", settings.clone())
        .expect("it is taken up");
    assert_eq!(served.gateway.settings("changed"), Some(settings.clone()));
    // What is wrong is not taken up, and changes nothing.
    assert!(
        served
            .gateway
            .change(
                "changed",
                CameraSettings {
                    margin: 5.0,
                    ..settings.clone()
                }
            )
            .is_err()
    );
    assert!(served.gateway.change("nobody", settings).is_err());
    served.wait("changed", "is live again", |status| {
        status.health == Health::Live
    });
    assert!(client.wait().expect("ffmpeg ends").success());
    let times = packet_times(&to);
    let gaps = times
        .windows(2)
        .skip(1)
        .filter(|pair| pair[1] - pair[0] > 1.5 / 15.0)
        .count();
    assert_eq!(gaps, 0, "{times:?}");
    let filled = dir.path().join("zone.mkv");
    record(&served.address("changed"), "tcp", 3, &filled);
    let seen = look(&filled);
    assert!(
        seen.pictures > 20 && seen.scenes == 0 && seen.leaks == 0,
        "the zone covers everything: {seen:?}"
    );
}
