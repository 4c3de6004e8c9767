//! The program with the default model on the drawn street of `fixtures/scene`: what was drawn is found, redacted,
//! and nothing else is touched.

mod common;

use assert_cmd::Command;
use common::{repository, temp_dir};
use image::RgbImage;

/// A box in pixels: left, top, right, bottom.
type Area = [u32; 4];

/// The faces as `fixtures/scene/draw.py` prints them, from hairline to chin and from cheek to cheek.
const FACES: [Area; 3] = [
    [470, 182, 518, 252],
    [285, 153, 345, 238],
    [103, 168, 175, 267],
];
const PLATE: Area = [689, 401, 785, 422];
/// Far from all of them: window, wall, awning, road, coat.
const BACKGROUND: [Area; 5] = [
    [10, 80, 60, 280],
    [400, 0, 520, 100],
    [560, 60, 940, 180],
    [600, 480, 950, 535],
    [60, 380, 220, 530],
];

fn open(path: &std::path::Path) -> RgbImage {
    image::open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .to_rgb8()
}

/// Mean absolute difference of all samples in `area`, in levels of 0 to 255.
fn difference(a: &RgbImage, b: &RgbImage, [x0, y0, x1, y1]: Area) -> f64 {
    let mut sum = 0u64;
    for y in y0..y1 {
        for x in x0..x1 {
            let (p, q) = (a.get_pixel(x, y), b.get_pixel(x, y));
            sum += (0..3).map(|i| u64::from(p[i].abs_diff(q[i]))).sum::<u64>();
        }
    }
    sum as f64 / f64::from((x1 - x0) * (y1 - y0) * 3)
}

/// Mean absolute difference of neighbours in a row: what is left of eyes, mouth or characters.
fn detail(picture: &RgbImage, [x0, y0, x1, y1]: Area) -> f64 {
    let mut sum = 0u64;
    for y in y0..y1 {
        for x in x0..x1 - 1 {
            let (p, q) = (picture.get_pixel(x, y), picture.get_pixel(x + 1, y));
            sum += (0..3).map(|i| u64::from(p[i].abs_diff(q[i]))).sum::<u64>();
        }
    }
    sum as f64 / f64::from((x1 - 1 - x0) * (y1 - y0) * 3)
}

#[test]
fn the_drawn_faces_and_plate_are_redacted_and_nothing_else() {
    let dir = temp_dir();
    let input = repository("fixtures/scene/scene.jpg");
    let output = dir.path().join("redacted.png");
    let run = Command::new(env!("CARGO_BIN_EXE_floutage"))
        .arg("redact")
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .arg("--json")
        .arg("--models-dir")
        .arg(repository("models"))
        .assert()
        .success();
    let summary: serde_json::Value =
        serde_json::from_slice(&run.get_output().stdout).expect("the output is JSON");
    let file = &summary["files"][0];
    assert_eq!(file["regions"]["face"], FACES.len(), "{summary}");
    assert_eq!(file["regions"]["plate"], 1, "{summary}");
    assert_eq!(file["frames_failed_closed"], 0, "{summary}");

    let (before, after) = (open(&input), open(&output));
    assert_eq!(after.dimensions(), (960, 540));
    assert_eq!(before.dimensions(), after.dimensions());
    for area in FACES.into_iter().chain([PLATE]) {
        let changed = difference(&before, &after, area);
        assert!(changed > 12.0, "{area:?} changed by {changed} only");
        let (was, left) = (detail(&before, area), detail(&after, area));
        assert!(
            left < was / 3.0,
            "{area:?}: detail went only from {was} to {left}"
        );
    }
    for area in BACKGROUND {
        let changed = difference(&before, &after, area);
        assert!(changed < 1.0, "{area:?} changed by {changed}");
    }
}
