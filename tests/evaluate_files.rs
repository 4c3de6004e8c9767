//! `floutage evaluate` on files of every form: exact figures on scenes of markers that the test detector finds exactly, and
//! errors that say what is wrong with which file.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::clip::Clip;
use common::program::{Run, fixture, names, run};
use common::scene::Scene;
use common::{ffmpeg, run_tool, temp_dir};
use floutage::detect::Class;
use floutage::geometry::BBox;
use serde_json::{Value, json};

const FRAMES: usize = 16;

fn scene() -> Scene {
    Scene::new(320, 240, FRAMES).on_grid(16)
}

fn evaluate(input: &Path, truth: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.env_remove("FLOUTAGE_MODELS_DIR").arg("evaluate");
    command.arg(input).arg("--truth").arg(truth).arg("--json");
    // What makes no run needs no model.
    if !arguments.contains(&"--redacted") {
        command.args(["--input-size", "native", "--model"]);
        command.arg(fixture("marker-detector"));
    }
    run(command.args(arguments))
}

/// Every box with its frame and number of the track, both from 1.
fn boxes(scene: &Scene) -> Vec<(usize, usize, Class, BBox)> {
    let frame = |index: usize| {
        let boxes = scene.truth(index).into_iter().enumerate();
        boxes.map(move |(track, (class, bbox))| (index + 1, track + 1, class, bbox))
    };
    (0..scene.frames).flat_map(frame).collect()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn csv(boxes: &[(usize, usize, Class, BBox)]) -> String {
    let line = |(frame, track, class, it): &(usize, usize, Class, BBox)| {
        format!(
            "{frame},{track},{},{},{},{},0.9,{class},1\n",
            it.x1,
            it.y1,
            it.width(),
            it.height()
        )
    };
    boxes.iter().map(line).collect()
}

fn row<'a>(json: &'a Value, class: &str) -> &'a Value {
    let rows = json["classes"][class].as_array().expect("rows");
    rows.iter()
        .find(|row| row["height"] == "all")
        .expect("all heights")
}

fn check(row: &Value, wanted: &[(&str, Value)]) {
    for (name, value) in wanted {
        assert_eq!(&row[*name], value, "{name} in {row}");
    }
}

#[test]
fn a_run_that_finds_everything_leaks_nothing() {
    let folder = temp_dir();
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let truth = write(folder.path(), "truth.csv", &csv(&boxes(&scene())));
    let alone = ["--look-ahead", "0", "--hold", "0"];
    let json = evaluate(&clip, &truth, &alone).succeeded().json();
    assert_eq!(
        (&json["frames"], &json["frames_analysed"]),
        (&json!(FRAMES), &json!(FRAMES))
    );
    for class in ["face", "plate"] {
        let wanted = [
            ("boxes", json!(FRAMES)),
            ("leaks", json!(0)),
            ("coverage", json!(1.0)),
            ("tracks", json!(1)),
            ("leaking_tracks", json!(0)),
            // The test detector answers in cells of 8 pixels: none is half of a marker.
            ("boxes_analysed", json!(FRAMES)),
            ("recall", json!(0.0)),
        ];
        check(row(&json, class), &wanted);
    }
    assert_eq!(json["false_areas"], json!({"face": 0, "plate": 0}));
    // A margin alters what is no marker, without one hardly anything is.
    let altered = |json: &Value| json["over_redaction"].as_f64().expect("a share");
    let arguments = [
        "--margin",
        "0",
        "--face-shape",
        "rectangle",
        "--look-ahead",
        "0",
        "--hold",
        "0",
    ];
    let exact = evaluate(&clip, &truth, &arguments).succeeded().json();
    assert!(
        altered(&exact) < 0.002 && altered(&json) > 0.01,
        "{} {}",
        altered(&exact),
        altered(&json)
    );
    // A zone covers what lies in it, whatever is found.
    let zone = ["--zone", "0,0 1,0 1,1 0,1"];
    let zoned = evaluate(&clip, &truth, &zone).succeeded().json();
    assert_eq!(
        (&row(&zoned, "face")["leaks"], altered(&zoned)),
        (&json!(0), 1.0)
    );
}

#[test]
fn results_of_a_file_are_counted_exactly_whatever_its_form() {
    let folder = temp_dir();
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let truth = write(folder.path(), "truth.csv", &csv(&boxes(&scene())));
    // The face is missed in frames 5 to 8 and 12; in 13 the box is a third too low, and there is a ghost in 2.
    let mut found = boxes(&scene());
    found.retain(|(frame, track, ..)| *track != 1 || !(5..=8).contains(frame) && *frame != 12);
    for (frame, _, class, bbox) in &mut found {
        if (*frame, *class) == (13, Class::Face) {
            let third = bbox.height() / 3.0;
            *bbox = bbox.scale_translate(1.0, 1.0, 0.0, third);
        }
    }
    found.push((2, 9, Class::Face, BBox::from_xywh(280.0, 10.0, 30.0, 30.0)));
    let results = write(folder.path(), "results.csv", &csv(&found));
    let entry = |(frame, _, class, it): &(usize, usize, Class, BBox)| {
        json!({"image_id": frame, "category_id": *class as usize + 1, "score": 0.9,
            "bbox": [it.x1, it.y1, it.width(), it.height()]})
    };
    let list: Vec<Value> = found.iter().map(entry).collect();
    let coco = write(folder.path(), "results.json", &json!(list).to_string());
    let named = format!(
        "frame,id,left,top,width,height,conf,label,visibility\n{}",
        csv(&found)
    );
    let named = write(folder.path(), "named.csv", &named);
    let measure = |file: &Path, more: &[&str]| {
        let file = file.to_str().expect("UTF-8");
        evaluate(&clip, &truth, &[&["--results", file], more].concat())
            .succeeded()
            .json()
    };
    let json = measure(&results, &[]);
    let wanted = [
        ("boxes", json!(16)),
        ("leaks", json!(6)),
        ("leaking_frames", json!(6)),
        ("longest_run", json!(4)),
        ("leaking_tracks", json!(1)),
        // A third too low is an IoU of one half: just found.
        ("boxes_found", json!(11)),
        ("false_detections", json!(1)),
    ];
    check(row(&json, "face"), &wanted);
    let wanted = [
        ("leaks", json!(0)),
        ("boxes_found", json!(16)),
        ("precision", json!(1.0)),
    ];
    check(row(&json, "plate"), &wanted);
    assert_eq!(json["false_areas"], json!({"face": 1, "plate": 0}));
    let face = &json["tracks"]["face"][0];
    check(
        face,
        &[
            ("longest_run_from", json!(5)),
            ("leaks", json!(6)),
            ("id", json!(1)),
        ],
    );
    assert_eq!(json, measure(&coco, &[]));
    assert_eq!(json, measure(&named, &[]));
    // With a margin the low box covers, too.
    assert_eq!(
        row(&measure(&results, &["--margin", "1"]), "face")["leaks"],
        5
    );
    // Nothing is as sure as that.
    let none = measure(&results, &["--confidence-threshold", "0.95"]);
    check(
        row(&none, "face"),
        &[
            ("leaks", json!(16)),
            ("recall", json!(0.0)),
            ("precision", Value::Null),
        ],
    );
    // All of one class: the plates of the file are wrong faces then, and the truth's plates faces.
    let faces = measure(&results, &["--class", "face"]);
    assert_eq!(row(&faces, "face")["boxes"], 32);
    assert_eq!(faces["classes"]["plate"], json!([]));
}

/// Three frames of the scene as pictures, and their truth; a box of no class of ours, one to be ignored.
fn pictures(folder: &Path) -> PathBuf {
    let clip = Clip::new(scene()).write(folder, "clip.mkv");
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(pictures.join("more")).expect("made");
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for (id, (index, name)) in [(0, "a.png"), (7, "more/b.png"), (15, "c.png")]
        .iter()
        .enumerate()
    {
        let select = format!("select=eq(n\\,{index})");
        let mut tool = ffmpeg();
        tool.arg("-i")
            .arg(&clip)
            .args(["-vf", &select, "-frames:v", "1"]);
        run_tool(tool.arg(pictures.join(name)));
        images.push(json!({"id": 40 + id, "file_name": name, "width": 320, "height": 240}));
        for (class, it) in scene().truth(*index) {
            annotations.push(json!({"id": annotations.len() + 1, "image_id": 40 + id, "category_id": class as usize + 5,
                "bbox": [it.x1, it.y1, it.width(), it.height()], "iscrowd": 0}));
        }
    }
    annotations.push(json!({"id": 90, "image_id": 40, "category_id": 9, "bbox": [1, 1, 50, 50]}));
    annotations.push(
        json!({"id": 91, "image_id": 40, "category_id": 5, "bbox": [1, 200, 30, 30], "iscrowd": 1}),
    );
    let truth = json!({"images": images, "annotations": annotations, "categories": [
        {"id": 5, "name": "face"}, {"id": 6, "name": "licence plate"}, {"id": 9, "name": "car"}]});
    write(folder, "truth.json", &truth.to_string());
    pictures
}

#[test]
fn pictures_are_measured_by_run_results_and_redacted_version() {
    let folder = temp_dir();
    let pictures = pictures(folder.path());
    let truth = folder.path().join("truth.json");
    evaluate(&pictures, &folder.path().join("clip.mkv"), &[]).failed(&["clip.mkv"]);
    let as_csv = write(folder.path(), "truth.csv", &csv(&boxes(&scene())));
    evaluate(&pictures, &as_csv, &[]).failed(&["truth.csv", "COCO's JSON"]);
    evaluate(
        &pictures,
        &truth,
        &["--sweep", "margin=0,1,look-ahead=0,12"],
    )
    .failed(&["look-ahead", "no order in time"]);
    let said = evaluate(&pictures, &truth, &["--hold", "3"]).succeeded();
    assert!(
        said.stderr.contains("pictures are not tracked"),
        "{}",
        said.stderr
    );
    let json = evaluate(&pictures, &truth, &[]).succeeded().json();
    let all = [
        ("boxes", json!(3)),
        ("leaks", json!(0)),
        ("boxes_analysed", json!(3)),
    ];
    for class in ["face", "plate"] {
        check(row(&json, class), &all);
    }
    assert!(json["tracks"].is_null() && json["frames"] == 3, "{json}");
    let mut command = common::program::redact(&pictures, &folder.path().join("redacted"));
    run(command.args(["--style", "fill"])).succeeded();
    let redacted = folder.path().join("redacted");
    assert_eq!(names(&redacted), ["a.png", "c.png", "more/b.png"]);
    // What is a file must be one, and a folder a folder.
    let picture = pictures.join("a.png");
    evaluate(&picture, &truth, &[]).failed(&["a.png", "one picture"]);
    let version = picture.to_str().expect("UTF-8");
    evaluate(&pictures, &truth, &["--redacted", version]).failed(&["a.png", "it is a file"]);
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let version = pictures.to_str().expect("UTF-8");
    evaluate(&clip, &as_csv, &["--redacted", version]).failed(&["it is a folder"]);
    let against = |other: &Path| {
        let other = other.to_str().expect("UTF-8");
        evaluate(&pictures, &truth, &["--redacted", other])
            .succeeded()
            .json()
    };
    let json = against(&redacted);
    for class in ["face", "plate"] {
        check(
            row(&json, class),
            &[("leaks", json!(0)), ("recall", Value::Null)],
        );
    }
    check(
        row(&against(&pictures), "face"),
        &[("leaks", json!(3)), ("coverage", json!(0.0))],
    );
    let it = scene().truth(7)[0].1;
    let list = json!([{"image_id": 41, "category_id": 5, "score": 0.5, "bbox": [it.x1, it.y1, it.width(), it.height()]},
        {"image_id": 40, "category_id": 5, "score": 0.5, "bbox": [1, 201, 30, 30]}]);
    let results = write(folder.path(), "results.json", &list.to_string());
    let json = evaluate(
        &pictures,
        &truth,
        &["--results", results.to_str().expect("UTF-8")],
    )
    .succeeded()
    .json();
    check(
        row(&json, "face"),
        &[
            ("boxes_found", json!(1)),
            ("leaks", json!(2)),
            ("false_detections", json!(0)),
        ],
    );
    let report = folder.path().join("report.html");
    let arguments = ["--html", report.to_str().expect("UTF-8"), "--redacted"];
    let other = pictures.to_str().expect("UTF-8");
    let arguments = [&arguments[..], &[other, "--include-crops"]].concat();
    evaluate(&pictures, &truth, &arguments).succeeded();
    let html = std::fs::read_to_string(&report).expect("written");
    assert_eq!(html.matches("data:image/png").count(), 6, "one of each box");
}

#[test]
fn a_clip_where_nothing_is_shows_what_is_redacted_without_need() {
    let folder = temp_dir();
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let nothing = "frame,id,left,top,width,height,conf,class,visibility\n";
    let truth = write(folder.path(), "nothing.csv", nothing);
    let said = evaluate(&clip, &truth, &["--look-ahead", "0", "--hold", "0"]).succeeded();
    assert!(said.stderr.contains("no face or plate"), "{}", said.stderr);
    let json = said.json();
    let wanted = [
        ("boxes", json!(0)),
        ("leak_rate", Value::Null),
        ("precision", json!(0.0)),
    ];
    for class in ["face", "plate"] {
        check(row(&json, class), &wanted);
        assert_eq!(json["areas"][class], json["false_areas"][class]);
        assert!(
            json["areas"][class].as_u64() >= Some(FRAMES as u64),
            "{json}"
        );
    }
}

#[test]
fn boxes_outside_the_picture_are_not_passed_over_in_silence() {
    let folder = temp_dir();
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let text = csv(&boxes(&scene()));
    let some = format!("{text}4,7,320,10,30,30,1,1,1\n5,7,300,-30,30,30,1,1,1\n");
    let truth = write(folder.path(), "some.csv", &some);
    let said = evaluate(&clip, &truth, &[]).succeeded();
    assert!(
        said.stderr
            .contains("2 of 34 boxes lie outside the picture"),
        "{}",
        said.stderr
    );
    assert_eq!(said.json()["boxes_outside_frames"], 2);
    let truth = write(folder.path(), "all.csv", "1,1,1300,700,40,40,1,1,1\n");
    evaluate(&clip, &truth, &[]).failed(&["all.csv", "outside the picture", "another size"]);
    // Likewise those of results.
    let truth = write(folder.path(), "right.csv", &text);
    for (name, results, says) in [
        (
            "all.csv",
            "1,1,1300,700,40,40,1,1,1\n",
            "1 of 1 boxes lie outside the picture",
        ),
        ("none.csv", "", "there is no detection in it"),
    ] {
        let results = write(folder.path(), name, results);
        let said = evaluate(
            &clip,
            &truth,
            &["--results", results.to_str().expect("UTF-8")],
        )
        .succeeded();
        assert!(
            said.stderr.contains(name) && said.stderr.contains(says),
            "{}",
            said.stderr
        );
    }
}

#[test]
fn wrong_files_are_named_with_what_is_wrong() {
    let folder = temp_dir();
    let path = |name: &str| folder.path().join(name);
    let clip = Clip::new(scene()).write(folder.path(), "clip.mp4");
    let good = write(folder.path(), "good.csv", &csv(&boxes(&scene())));
    let text = |name: &str, text: &str| write(folder.path(), name, text);
    for (truth, words) in [
        (
            text("short.csv", "1,1,0,0,5,5,1,1,1\n1,1,0,0,5\n"),
            ["short.csv", "line 2"],
        ),
        (
            text("nan.csv", "1,1,0,NaN,5,5,1,1,1\n"),
            ["nan.csv", "line 1"],
        ),
        (
            text("class.csv", "1,1,0,0,5,5,1,4,1\n"),
            ["class.csv", "--class"],
        ),
        (text("empty.csv", "\n"), ["empty.csv", "it is empty"]),
        (
            text("late.csv", "17,1,0,0,5,5,1,1,1\n"),
            ["late.csv", "only 16 frames"],
        ),
        (text("truth.json", "{}"), ["truth.json", "MOTChallenge"]),
        (path("none.csv"), ["none.csv", "reading failed"]),
    ] {
        evaluate(&clip, &truth, &[]).failed(&words);
    }
    let with = |option: &str, file: &Path, words: &[&str]| {
        let file = file.to_str().expect("UTF-8");
        evaluate(&clip, &good, &[option, file]).failed(words);
    };
    with(
        "--results",
        &text("no-class.csv", "1,-1,0,0,5,5,0.5,-1,-1,-1\n"),
        &["no-class.csv", "line 1", "--class"],
    );
    with(
        "--results",
        &text("nan-2.csv", "1,1,0,0,5,5,nan,1,1\n"),
        &["nan-2.csv", "line 1", "conf"],
    );
    with(
        "--results",
        &text("cut.json", "[{\"image_id\": 1,\n"),
        &["cut.json", "line 2"],
    );
    with(
        "--results",
        &text("late-2.csv", "99,1,0,0,5,5,1,1,1\n"),
        &["late-2.csv", "frame 99"],
    );
    with(
        "--redacted",
        &path("none.mp4"),
        &["none.mp4", "no such file"],
    );
    with("--redacted", &good, &["good.csv"]);
    let shorter = Clip::new(Scene::new(320, 240, 12)).write(folder.path(), "shorter.mp4");
    with(
        "--redacted",
        &shorter,
        &["shorter.mp4: it has 12 frames", "clip.mp4, has 16"],
    );
    let longer = Clip::new(Scene::new(320, 240, 20)).write(folder.path(), "longer.mp4");
    with(
        "--redacted",
        &longer,
        &["longer.mp4: it has 20 frames", "clip.mp4, has 16"],
    );
    let smaller = Clip::new(Scene::new(160, 120, FRAMES)).write(folder.path(), "smaller.mp4");
    with(
        "--redacted",
        &smaller,
        &["smaller.mp4", "160x120", "320x240"],
    );
    evaluate(&path("nowhere.mp4"), &good, &[]).failed(&["nowhere.mp4", "no such"]);
    // A report that was there stays when the next one cannot be made; none appears.
    let report = text("report.html", "the old one");
    let arguments = ["--html", report.to_str().expect("UTF-8")];
    evaluate(&clip, &path("late.csv"), &arguments).failed(&["late.csv"]);
    assert_eq!(
        std::fs::read_to_string(&report).expect("there"),
        "the old one"
    );
    let new = path("new.html");
    let arguments = ["--html", new.to_str().expect("UTF-8")];
    evaluate(&clip, &path("late.csv"), &arguments).failed(&["late.csv"]);
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.contains("new.html"))
    );
    with("--html", &clip, &["clip.mp4", ".html"]);
    // What would leave regions open, and what would change nothing.
    let wrong = ["--detect-every", "2", "--look-ahead", "0"];
    evaluate(&clip, &good, &wrong).failed(&["detect-every = 2", "at most 1"]);
    let wrong = ["--sweep", "detect-every=1,2,look-ahead=0,12"];
    evaluate(&clip, &good, &wrong).failed(&["detect-every = 2", "at most 1"]);
    let version = clip.to_str().expect("UTF-8");
    let refused = evaluate(&clip, &good, &["--redacted", version, "--margin", "1"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let nowhere = path("nowhere").join("new.html");
    let arguments = ["--html", nowhere.to_str().expect("UTF-8")];
    let said = evaluate(&clip, &good, &arguments).failed(&["nowhere/new.html", "No such file"]);
    assert!(!said.stderr.contains("partial"), "{}", said.stderr);
}
