//! `floutage bench` by its command line, on a clip made here. No figure is held to a time.

mod common;

use std::process::Command;

use common::clip::Clip;
use common::program::{Run, fixture, names, run};
use common::scene::Scene;
use common::temp_dir;

fn bench(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .args(["bench", "--model"])
        .arg(fixture("marker-detector"));
    command.env_remove("FLOUTAGE_MODELS_DIR");
    run(command.args(arguments))
}

#[test]
fn it_measures_the_same_frames_with_and_without_redaction_and_writes_nothing() {
    let folder = temp_dir();
    let clip = Clip::new(Scene::new(320, 240, 40)).write(folder.path(), "clip.mp4");
    let clip = clip.to_str().expect("a name");
    let run = bench(&["--json", "--rounds", "2", clip]).succeeded();
    assert_eq!(names(folder.path()), ["clip.mp4"]);
    let json = run.json();
    assert_eq!(json["width"], 320);
    assert_eq!(json["height"], 240);
    let rounds = json["rounds"].as_array().expect("rounds");
    assert_eq!(rounds.len(), 2);
    for round in rounds {
        for pass in ["decode", "redaction", "transcode", "whole"] {
            assert_eq!(round[pass]["frames"], 40, "{pass}");
            for figure in ["wall_s", "processor_s", "peak_memory_bytes"] {
                let value = round[pass][figure].as_f64().expect("a number");
                assert!(value > 0.0, "{pass} {figure}");
            }
        }
        let speed = |pass: &str| round[pass]["frames_per_second"].as_f64().expect("a number");
        let ratio = round["ratio"].as_f64().expect("a ratio");
        assert!((ratio - speed("whole") / speed("transcode")).abs() < 1e-6);
        let shares = round["shares"].as_object().expect("shares");
        let stages: Vec<&str> = shares.keys().map(String::as_str).collect();
        for stage in ["decode", "letterbox", "inference", "redaction", "encode"] {
            assert!(stages.contains(&stage), "{stages:?}");
        }
        let share = |stage: &str| shares[stage].as_f64().expect("a share");
        // What is measured inside the pipeline is there.
        assert!(share("letterbox") > 0.0 && share("inference") > 0.0 && share("redaction") > 0.0);
        let sum: f64 = shares.values().filter_map(serde_json::Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        assert_eq!(round["frames_failed_closed"], 0);
    }
    let text = bench(&["--rounds", "1", clip]).succeeded().stdout;
    for word in [
        "plain transcode",
        "whole pipeline",
        "pipeline/transcode",
        "inference",
        "MiB",
    ] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let folder = temp_dir();
    let missing = folder.path().join("none.mp4");
    bench(&["--json", missing.to_str().expect("a name")]).failed(&["none.mp4", "no such file"]);
    let text = folder.path().join("text.mp4");
    std::fs::write(&text, "this is no video").expect("written");
    bench(&["--json", text.to_str().expect("a name")]).failed(&["text.mp4"]);
    let clip = Clip::new(Scene::new(64, 48, 3)).write(folder.path(), "clip.mp4");
    let clip = clip.to_str().expect("a name");
    let outcome = bench(&["--rounds", "0", clip]);
    assert!(
        outcome.code != Some(0) && outcome.stderr.contains("--rounds"),
        "{outcome:?}"
    );
}
