//! `floutage doctor` by its command line.

mod common;

use assert_cmd::Command;
use common::temp_dir;
use predicates::prelude::*;

fn doctor() -> Command {
    let mut command = Command::cargo_bin("floutage").expect("the program is built");
    command.arg("doctor");
    command
}

/// An environment without any GStreamer plugin or ONNX Runtime.
fn bare(command: &mut Command, folder: &std::path::Path) {
    command
        .env("GST_PLUGIN_SYSTEM_PATH_1_0", folder)
        .env("GST_PLUGIN_PATH_1_0", folder)
        .env("GST_REGISTRY", folder.join("registry.bin"))
        .env("ORT_DYLIB_PATH", folder.join("libonnxruntime.so"));
}

#[test]
fn a_complete_machine_passes() {
    doctor()
        .assert()
        .success()
        .stdout(predicate::str::contains("H.264 encoder"))
        .stdout(predicate::str::contains("LACKS").not())
        .stdout(predicate::str::contains("sha256 right, it loads"));
}

#[test]
fn json_says_the_same() {
    let output = doctor().arg("--json").assert().success();
    let report: serde_json::Value =
        serde_json::from_slice(&output.get_output().stdout).expect("the output is JSON");
    assert_eq!(report["ok"], true);
    let checks = report["checks"].as_array().expect("there are checks");
    for (group, name) in [
        ("GStreamer", "H.264 encoder"),
        ("GStreamer", "gateway: pushing by RTSP"),
        ("ONNX Runtime", "library"),
        ("Machine", "cores"),
    ] {
        assert!(
            checks
                .iter()
                .any(|check| check["group"] == group && check["name"] == name),
            "no {group}: {name}"
        );
    }
}

#[test]
fn a_bare_machine_fails_and_says_how_to_mend_it() {
    let dir = temp_dir();
    let mut command = doctor();
    bare(&mut command, dir.path());
    command
        .assert()
        .failure()
        .stdout(predicate::str::contains("LACKS  H.264 encoder"))
        .stdout(predicate::str::contains(
            "install gstreamer1.0-plugins-ugly",
        ))
        .stdout(predicate::str::contains("make setup"));
    let mut command = doctor();
    bare(&mut command, dir.path());
    let output = command.arg("--json").assert().failure();
    let report: serde_json::Value =
        serde_json::from_slice(&output.get_output().stdout).expect("the output is JSON");
    assert_eq!(report["ok"], false);
}

#[test]
fn a_model_that_is_not_the_described_one_is_found() {
    let dir = temp_dir();
    std::fs::write(dir.path().join("floutage-v2.onnx"), "not the model")
        .expect("it can be written");
    doctor()
        .arg("--models-dir")
        .arg(dir.path())
        .assert()
        .failure()
        .stdout(predicate::str::contains("sha256"))
        .stdout(predicate::str::contains("LACKS  floutage-v2 (default)"));
}
