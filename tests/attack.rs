//! Attacks on the rendered people, by the command line, and what `redact` refuses because of them.

mod common;

use std::path::Path;
use std::process::Command;

use common::program::{Run, fixture, redact, run};
use common::{repository, temp_dir};
use serde_json::Value;

fn attack() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.env_remove("FLOUTAGE_MODELS_DIR").arg("attack");
    command
}

fn clip(command: &mut Command, name: &str) {
    for (option, extension) in [("--clip", "mp4"), ("--truth", "csv")] {
        let file = repository(&format!("fixtures/{name}.{extension}"));
        command.arg(option).arg(file);
    }
}

fn row<'a>(table: &'a Value, style: &str) -> &'a Value {
    let rows = table["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["style"] == style);
    row.unwrap_or_else(|| panic!("no {style} in {table}"))
}

fn most(row: &Value, figure: &str) -> f64 {
    let attacks = row["attacks"].as_array().expect("attacks").iter();
    let figures = attacks.map(|attack| attack[figure].as_f64().expect("a number"));
    figures.fold(0.0, f64::max)
}

/// Two people of three pictures each: stripes of one's own, in changing light.
fn people(folder: &Path) {
    for (name, width) in [("anna", 3), ("bert", 7)] {
        let person = folder.join(name);
        std::fs::create_dir_all(&person).expect("a folder");
        for light in 0..4 {
            let picture = image::RgbImage::from_fn(40, 40, |x, y| {
                image::Rgb([((x + y) / width % 2 * 150 + light * 20) as u8; 3])
            });
            let file = person.join(format!("{light}.png"));
            picture.save(file).expect("a picture");
        }
    }
}

fn refused(outcome: &Run, words: &[&str]) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for word in words {
        assert!(outcome.stderr.contains(word), "{word}: {outcome:?}");
    }
}

#[test]
fn the_rendered_people_are_safe_under_the_defaults_and_not_under_what_others_do() {
    let mut command = attack();
    clip(&mut command, "parking");
    clip(&mut command, "street-day");
    command.args(["--plates", "4", "--json", "--check"]);
    let report = run(&mut command).succeeded().json();

    let faces = &report["faces"];
    assert!(
        faces["identities"].as_u64().expect("a number") >= 8,
        "{faces}"
    );
    let clear = row(faces, "nothing");
    assert!(
        most(clear, "auc") > 0.85 && most(clear, "rank1") > 0.6,
        "{clear}"
    );
    for style in ["Gaussian 19 px", "blur, 4x4 cells, 8 levels"] {
        let row = row(faces, style);
        assert!(
            most(row, "auc") > 0.65 && row["at_chance"] == false,
            "{row}"
        );
    }
    let defaults: Vec<&Value> = faces["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["default"] == true)
        .collect();
    assert_eq!(defaults.len(), 2, "{faces}");
    for row in defaults {
        assert!(
            most(row, "auc") <= 0.55 && row["at_chance"] == true,
            "{row}"
        );
    }

    let plates = &report["plates"];
    assert!(
        row(plates, "nothing")["matcher"]["accuracy"].as_f64() > Some(0.9),
        "{plates}"
    );
    assert_eq!(row(plates, "fill")["at_chance"], true, "{plates}");

    let rebuilt = &report["rebuild"];
    for row in rebuilt["frames"].as_array().expect("rows") {
        let gain = row["gain"].as_f64().expect("a number");
        let levels = row["style"].as_str().expect("a name").ends_with("1 level");
        match (row["frozen"] == true, levels) {
            (true, _) | (_, true) => assert!(gain < 0.05, "{row}"),
            (false, false) => assert!(gain > 0.1, "{row}"),
        }
    }
    let kernels = rebuilt["kernels"].as_array().expect("rows");
    let rebuilt = |style: &str| {
        let row = kernels.iter().find(|row| row["style"] == style);
        row.expect("a row")["rebuilt"].as_f64().expect("a number")
    };
    assert!(rebuilt("Gaussian 19 px") > 0.8, "{kernels:?}");
    assert!(rebuilt("mosaic, 4x4 cells, 1 level") < 0.05, "{kernels:?}");
}

#[test]
fn folders_and_recognition_models_are_taken_and_tables_printed() {
    let dir = temp_dir();
    people(dir.path());
    // Not a recognition model, but its answers differ with what it sees.
    let mut command = attack();
    command
        .arg(dir.path())
        .args(["--plates", "0", "--markdown"]);
    command
        .arg("--recognition-model")
        .arg(fixture("marker-detector"));
    let outcome = run(&mut command).succeeded();
    let table = &outcome.stdout;
    for words in [
        "Whose face is it? 2 identities, 4 pictures with names",
        "| style | AUC, pixels, clear gallery |",
        "AUC, model, redacted gallery |",
        "| blur, 4x4 cells, 1 level (default) | .500 | .500 | .500 | .500 | .500 |",
        "Do 100 frames show more than one?",
    ] {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert!(!table.contains("What does the plate say?"), "{table}");
}

#[test]
fn what_cannot_be_attacked_is_named() {
    let dir = temp_dir();
    let nothing = run(attack().args(["--plates", "0"]));
    refused(&nothing, &["nothing to attack", "--clip"]);
    refused(&run(attack().arg(dir.path())), &["two identities"]);
    let missing = dir.path().join("none");
    refused(&run(attack().arg(&missing)), &["none", "reading failed"]);

    people(dir.path());
    let text = dir.path().join("text.onnx");
    std::fs::write(&text, "no model").expect("a file");
    let mut command = attack();
    command
        .arg(dir.path())
        .arg("--recognition-model")
        .arg(&text);
    refused(&run(&mut command), &["text.onnx"]);
    let mut command = attack();
    command
        .arg("--clip")
        .arg(repository("fixtures/entrance.mp4"));
    refused(&run(&mut command), &["1 clips and 0 truths"]);
    let mut command = attack();
    clip(&mut command, "entrance");
    refused(&run(&mut command), &["entrance.mp4", "two identities"]);
    let mut command = attack();
    command.args(["--plates", "1", "--font"]).arg(&text);
    refused(&run(&mut command), &["text.onnx", "TrueType"]);
}

#[test]
fn reversible_settings_are_refused_until_they_are_accepted() {
    let dir = temp_dir();
    let input = dir.path().join("in.png");
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([90; 3]));
    picture.save(&input).expect("a picture");
    let output = dir.path().join("out.png");
    let weak: [&[&str]; 3] = [
        &["--levels", "8"],
        &["--levels", "2", "--cells", "1"],
        &[
            "--plate-style",
            "mosaic",
            "--face-style",
            "fill",
            "--levels",
            "2",
        ],
    ];
    for weak in weak {
        let outcome = run(redact(&input, &output).args(weak));
        refused(
            &outcome,
            &[
                "levels = ",
                "i-accept-reversible",
                "style fill",
                "not safe from attackers",
            ],
        );
        assert!(!output.exists(), "{weak:?}");
        let mut accepted = redact(&input, &output);
        run(accepted.args(weak).arg("--i-accept-reversible")).succeeded();
        std::fs::remove_file(&output).expect("it was written");
    }
    for safe in [
        &["--style", "fill", "--levels", "8"][..],
        &["--style", "mosaic"],
        &[],
    ] {
        run(redact(&input, &output).args(safe)).succeeded();
        std::fs::remove_file(&output).expect("it was written");
    }
}
