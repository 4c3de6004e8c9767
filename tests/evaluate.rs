//! Leaks on the rendered clips with the default weights, by the command line. The bounds are a little above what was
//! measured: no face from 24 pixels on leaks in any frame, and no plate from 12 pixels on.

mod common;

use std::process::Command;

use common::program::{Run, run};
use common::{repository, temp_dir};

fn evaluate(clip: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.env_remove("FLOUTAGE_MODELS_DIR").arg("evaluate");
    command.arg(repository(&format!("fixtures/{clip}.mp4")));
    command
        .arg("--truth")
        .arg(repository(&format!("fixtures/{clip}.csv")));
    run(command.args(arguments))
}

/// Leaks and boxes of `class` in the buckets whose names are in `heights`.
fn leaks(json: &serde_json::Value, class: &str, heights: &[&str]) -> (u64, u64) {
    let rows = json["classes"][class].as_array().expect("rows");
    let wanted = rows.iter().filter(|row| {
        let name = row["height"].as_str().expect("a name");
        heights.contains(&name)
    });
    wanted.fold((0, 0), |(leaks, boxes), row| {
        let number = |name: &str| row[name].as_u64().expect("a number");
        (leaks + number("leaks"), boxes + number("boxes"))
    })
}

const LARGE: [&str; 2] = ["48 to 96", "96 and more"];
const PLATES: [&str; 4] = ["12 to 24", "24 to 48", "48 to 96", "96 and more"];

#[test]
fn large_faces_and_plates_of_the_rendered_clips_do_not_leak() {
    // Clip, most leaking faces of 24 to 48 pixels, least boxes of those, of larger faces, of plates from 12 pixels on.
    let clips = [
        ("street-day", 0.01, 300, 60, 200),
        ("street-night", 0.02, 100, 4, 200),
        ("entrance", 0.02, 25, 100, 0),
        ("parking", 0.02, 35, 15, 500),
    ];
    for (clip, most, middle_boxes, large_boxes, plate_boxes) in clips {
        let json = evaluate(clip, &["--json"]).succeeded().json();
        let (leaking, boxes) = leaks(&json, "face", &["24 to 48"]);
        let rate = leaking as f64 / boxes as f64;
        assert!(
            boxes >= middle_boxes && rate <= most,
            "{clip}: {leaking} of {boxes}"
        );
        let (leaking, boxes) = leaks(&json, "face", &LARGE);
        assert!(
            boxes >= large_boxes && leaking == 0,
            "{clip}: {leaking} of {boxes}"
        );
        let (leaking, boxes) = leaks(&json, "plate", &PLATES);
        assert!(
            boxes >= plate_boxes && leaking == 0,
            "{clip}: {leaking} of {boxes}"
        );
    }
}

#[test]
fn analysing_every_other_frame_leaks_hardly_more() {
    for clip in ["street-day", "street-night", "parking"] {
        let json = evaluate(clip, &["--json", "--sweep", "detect-every=1,2"])
            .succeeded()
            .json();
        let leaking = [0, 1].map(|index| {
            let figures = &json["sweep"][index]["figures"];
            let of = |class: &str| leaks(figures, class, &["all"]).0;
            of("face") + of("plate")
        });
        assert!(
            leaking[0] > 0 && leaking[1] as f64 <= 1.1 * leaking[0] as f64,
            "{clip}: {leaking:?}"
        );
    }
}

#[test]
fn a_sweep_shows_that_without_tracking_more_leaks() {
    let sweep = [
        "--json",
        "--sweep",
        "look-ahead=0,12,hold=0,12,margin=0.4,0.8",
    ];
    let json = evaluate("street-day", &sweep).succeeded().json();
    let points = json["sweep"].as_array().expect("a list");
    assert_eq!(points.len(), 8);
    let point = |look_ahead: u64, hold: u64, margin: f64| {
        let found = points.iter().find(|point| {
            let settings = &point["settings"];
            settings["look-ahead"].as_f64() == Some(look_ahead as f64)
                && settings["hold"].as_f64() == Some(hold as f64)
                && settings["margin"].as_f64() == Some(margin)
        });
        found.expect("every combination is there")
    };
    let rate = |point: &serde_json::Value| {
        let (leaking, boxes) = leaks(&point["figures"], "face", &["under 12", "12 to 24"]);
        leaking as f64 / boxes as f64
    };
    let (alone, tracked) = (point(0, 0, 0.4), point(12, 12, 0.4));
    assert!(
        rate(alone) > 1.1 * rate(tracked),
        "{} {}",
        rate(alone),
        rate(tracked)
    );
    let altered = |point: &serde_json::Value| point["figures"]["over_redaction"].as_f64();
    assert!(altered(alone) < altered(tracked));
    assert!(altered(tracked) < altered(point(12, 12, 0.8)));
    // What is kept from one combination to the next does not change what comes out.
    let mut single = evaluate(
        "street-day",
        &["--json", "--look-ahead", "0", "--hold", "12"],
    )
    .succeeded()
    .json();
    single.as_object_mut().expect("an object").remove("tracks");
    assert_eq!(point(0, 12, 0.4)["figures"], single);
}

#[test]
fn the_table_and_the_errors_say_what_they_are_about() {
    let text = evaluate("entrance", &["--look-ahead", "0"])
        .succeeded()
        .stdout;
    for word in ["face", "48 to 96", "leak rate", "225 frames"] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    let folder = temp_dir();
    let wrong = folder.path().join("wrong.csv");
    std::fs::write(&wrong, "1,1,0,0,5,5,1,1,1\n1,1,0,0,5\n").expect("written");
    let late = folder.path().join("late.csv");
    std::fs::write(&late, "226,1,0,0,5,5,1,1,1\n").expect("written");
    for (truth, words) in [
        (wrong, ["wrong.csv", "line 2"]),
        (late, ["late.csv", "225 frames"]),
        (
            folder.path().join("none.csv"),
            ["none.csv", "reading failed"],
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
        command
            .arg("evaluate")
            .arg(repository("fixtures/entrance.mp4"));
        run(command.arg("--truth").arg(truth)).failed(&words);
    }
}
