//! The program as a Python package, in a fresh virtual environment.

mod common;

use std::process::Command;

use common::clip::Clip;
use common::program::run;
use common::scene::Scene;
use common::{repository, run_tool, skip, temp_dir};

#[test]
fn a_wheel_brings_program_models_and_onnx_runtime() {
    let maturin = repository("target/test-venv/bin/maturin");
    if !maturin.exists() {
        skip!("no maturin in target/test-venv; `make test` installs it");
    }
    let dir = temp_dir();
    let wheels = dir.path().join("wheels");
    // Of what is compiled for the tests anyway; `pip install .` makes it optimised.
    let mut build = Command::new(&maturin);
    build
        .current_dir(repository(""))
        .args([
            "build",
            "--quiet",
            "--locked",
            "--profile",
            "dev",
            "--compatibility",
            "linux",
            "--out",
        ])
        .arg(&wheels);
    run_tool(&mut build);
    let wheel = std::fs::read_dir(&wheels)
        .expect("read")
        .flatten()
        .next()
        .expect("a wheel")
        .path();
    let venv = dir.path().join("venv");
    run_tool(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let pip = venv.join("bin/pip");
    run_tool(
        Command::new(&pip)
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(&wheel),
    );

    let clip = Clip::new(Scene::new(160, 120, 6).on_grid(16)).write(dir.path(), "in.mp4");
    let mut outputs = Vec::new();
    for name in ["program", "module"] {
        let mut command = match name {
            "program" => Command::new(venv.join("bin/floutage")),
            _ => {
                let mut python = Command::new(venv.join("bin/python"));
                python.args(["-m", "floutage"]);
                python
            }
        };
        // Nothing of this machine's own set-up helps.
        command
            .env("XDG_DATA_HOME", dir.path().join("none"))
            .env_remove("ORT_DYLIB_PATH");
        command
            .env_remove("FLOUTAGE_MODELS_DIR")
            .env_remove("LD_LIBRARY_PATH");
        let output = dir.path().join(format!("{name}.mp4"));
        command.arg("redact").arg(&clip).arg("-o").arg(&output);
        run(&mut command).succeeded();
        outputs.push(std::fs::read(output).expect("it is there"));
    }
    assert!(outputs[0] == outputs[1]);
    let mut doctor = Command::new(venv.join("bin/floutage"));
    doctor
        .arg("doctor")
        .env("XDG_DATA_HOME", dir.path().join("none"))
        .env_remove("ORT_DYLIB_PATH");
    let told = run(&mut doctor);
    let venv = venv.display().to_string();
    assert!(told.stdout.contains(&venv), "{told:?}");
}
