//! Recordings: what is on the disk plays and is redacted, whatever ended the gateway.

mod common;
mod gateway;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::codec::Codec;
use common::program::names;
use common::{report_skip, temp_dir};
use floutage::serve::state::{Health, Site};
use gateway::*;

fn recording(folder: &Path, more: &str) -> String {
    format!(
        "[record]\nenabled = true\ndirectory = \"{}\"\n{more}\n",
        folder.display()
    )
}

fn files(folder: &Path) -> Vec<PathBuf> {
    names(folder)
        .into_iter()
        .map(|name| folder.join(name))
        .collect()
}

#[test]
fn kill_9_leaves_files_that_play_to_their_last_fragment() {
    let dir = temp_dir();
    let name = format!("killed-{}", std::process::id());
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let kept = dir.path().join("kept");
    let file = dir.path().join("floutage.toml");
    let text = config(&format!(
        "{RTSP}{}{}",
        recording(&kept, "segment = \"4s\""),
        looped(&name, &path)
    ));
    std::fs::write(&file, text).expect("it can be written");
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_floutage"))
        .args(["serve", "-c"])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let folder = kept.join(&name);
    wait_for("three files", || {
        (folder.exists() && files(&folder).len() >= 3).then_some(())
    });
    gateway.kill().expect("it can be killed");
    gateway.wait().expect("it ends");
    let files = files(&folder);
    let mut scenes = 0;
    for file in &files {
        let seen = is_redacted(file, 1);
        assert_eq!(
            seen.scenes,
            seen.pictures,
            "{}: the filled picture is not recorded",
            file.display()
        );
        scenes += seen.scenes;
        assert_eq!(packet_times(file)[0], 0.0, "{}", file.display());
    }
    // Two whole files, and what was there of the third.
    assert!(scenes > 2 * 45, "{scenes} in {files:?}");
    // The worker ended with the gateway.
    wait_for("the worker's end", || {
        workers(&name).is_empty().then_some(())
    });
}

#[test]
fn the_oldest_recordings_go_when_there_are_too_many() {
    let dir = temp_dir();
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let kept = dir.path().join("kept");
    std::fs::create_dir_all(kept.join("door")).expect("it can be made");
    let old = kept.join("door/2020-01-01T00-00-00.000Z.mp4");
    let foreign = kept.join("door/holiday.mp4");
    for file in [&old, &foreign] {
        std::fs::write(file, vec![0; 1 << 20]).expect("it can be written");
    }
    let record = recording(
        &kept,
        "segment = \"2s\"\nretention = { age = \"1h\", size = \"100MB\" }",
    );
    let served = Served::start(
        dir.path(),
        &config(&format!("{RTSP}{record}{}", looped("door", &path))),
    );
    wait_for("the old one to go", || (!old.exists()).then_some(()));
    assert!(foreign.exists(), "only recordings are deleted");
    let listed = wait_for("two recordings", || {
        Some(served.gateway.recordings("door")).filter(|listed| listed.len() >= 2)
    });
    assert!(
        listed.windows(2).all(|pair| pair[0].start < pair[1].start),
        "{listed:?}"
    );
    assert!(
        (1.5..6.0).contains(&listed[0].seconds) && listed[0].bytes > 1000,
        "{listed:?}"
    );
    let found = served
        .gateway
        .recording_path("door", &listed[0].file)
        .expect("it is listed");
    is_redacted(&found, 20);
    for wrong in ["holiday.mp4", "../../floutage.toml", "", "/etc/passwd"] {
        assert_eq!(
            served.gateway.recording_path("door", wrong),
            None,
            "{wrong}"
        );
    }
    assert!(served.status("door").recording);
}

#[test]
fn a_full_disk_stops_nothing_but_the_recording_and_is_told() {
    let dir = temp_dir();
    let kept = dir.path().join("small");
    std::fs::create_dir(&kept).expect("it can be made");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k", "tmpfs"])
        .arg(&kept)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        report_skip("a_full_disk", "a small disk can be mounted by root alone");
        return;
    }
    let path = clip(dir.path(), "clip.mp4", Codec::H264, 3);
    let cameras = format!(
        "{}[camera.record]\nenabled = true\ndirectory = \"{}\"\n\n{}[camera.record]\nenabled = true\ndirectory = \"{}\"\nsegment = \"2s\"\nretention = {{ age = \"1h\" }}\n",
        looped("stuck", &path),
        kept.display(),
        looped("purging", &path),
        kept.display(),
    );
    let served = Served::start(dir.path(), &config(&format!("{RTSP}{cameras}")));
    let told = served.wait("stuck", "is told", |status| {
        status
            .last_error
            .as_ref()
            .is_some_and(|error| error.contains("recording"))
    });
    assert!(
        matches!(told.health, Health::Live | Health::Degraded),
        "{told:?}"
    );
    let to = dir.path().join("on.mkv");
    record(&served.address("stuck"), "tcp", 3, &to);
    is_redacted(&to, 30);
    drop(served);
    for file in names(&kept).into_iter().map(|name| kept.join(name)) {
        is_redacted(&file, 1);
    }
    let unmounted = Command::new("umount")
        .arg(&kept)
        .status()
        .expect("umount runs");
    assert!(unmounted.success());
}
