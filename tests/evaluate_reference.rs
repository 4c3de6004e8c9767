//! Recall and precision of `floutage evaluate` against pycocotools, on the truth of the rendered clips with made-up results.

mod common;

use std::path::Path;
use std::process::Command;

use common::program::run;
use common::{repository, run_tool, skip, temp_dir};
use floutage::detect::Class;
use floutage::evaluate::Truth;

/// Where `packaging/test.sh` puts pycocotools.
const PACKAGES: &str = "target/metrics-python";

/// Random numbers from 0 to 1, the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Results as of a middling detector: some boxes missed, most found a little or far beside, some twice, and ghosts.
fn made_up(truth: &Truth, seed: u64) -> String {
    let mut random = Random(seed);
    let mut lines = String::new();
    let mut line = |frame: usize, sides: [f32; 4], score: f32, class: Class| {
        let [x, y, w, h] = sides;
        lines += &format!(
            "{frame},-1,{x:.3},{y:.3},{w:.3},{h:.3},{score:.6},{},-1,-1\n",
            class as usize + 1
        );
    };
    for index in 0..truth.frames() {
        for it in truth.frame(index) {
            let (w, h) = (it.bbox.width(), it.bbox.height());
            let times = [0, 1, 1, 1, 1, 2][(random.next() * 6.0) as usize % 6];
            for _ in 0..times {
                let mut off = |scale: f32| (random.next() - 0.5) * scale;
                let (dx, dy, dw, dh) = (off(0.7) * w, off(0.7) * h, off(0.6) * w, off(0.6) * h);
                let class = if off(1.0) > 0.45 {
                    Class::Plate
                } else {
                    it.class
                };
                let score = off(0.98) + 0.5;
                line(
                    index + 1,
                    [it.bbox.x1 + dx, it.bbox.y1 + dy, w + dw, h + dh],
                    score,
                    class,
                );
            }
        }
        let (x, y) = (random.next() * 1200.0, random.next() * 650.0);
        let class = if random.next() < 0.5 {
            Class::Face
        } else {
            Class::Plate
        };
        line(index + 1, [x, y, 40.0, 30.0], random.next(), class);
    }
    lines
}

#[test]
fn recall_and_precision_are_those_of_pycocotools() {
    let packages = repository(PACKAGES);
    if !packages.join("pycocotools").is_dir() {
        skip!("no pycocotools in {PACKAGES}; `make test` puts it there");
    }
    let folder = temp_dir();
    let results = folder.path().join("results.csv");
    for (seed, clip) in ["street-day", "street-night", "entrance", "parking"]
        .iter()
        .enumerate()
    {
        let truth = repository(&format!("fixtures/{clip}.csv"));
        let read = Truth::read(&truth).expect("the truth can be read");
        std::fs::write(&results, made_up(&read, seed as u64)).expect("written");
        let mut python = Command::new("python3");
        python
            .env("PYTHONPATH", &packages)
            .arg(repository("tests/evaluation/reference.py"));
        let said = run_tool(python.arg(&truth).arg(&results));
        let wanted: serde_json::Value = serde_json::from_slice(&said).expect("JSON");
        let ours = ours(clip, &truth, &results);
        for class in ["face", "plate"] {
            let rows = ours["classes"][class].as_array().expect("rows");
            let Some(all) = rows.iter().find(|row| row["height"] == "all") else {
                panic!("{clip} {class}: {ours}");
            };
            let mine = [
                &all["boxes_analysed"],
                &all["boxes_found"],
                &all["false_detections"],
            ];
            let theirs = ["boxes", "found", "wrong"].map(|name| &wanted[class][name]);
            assert_eq!(mine, theirs, "{clip} {class}");
            let found = theirs[1].as_f64().expect("a number");
            let wrong = theirs[2].as_f64().expect("a number");
            assert!(wrong > 20.0, "{clip} {class}: {wanted}");
            let precision = all["precision"].as_f64().expect("a share");
            assert!((precision - found / (found + wrong)).abs() < 1e-12);
        }
    }
}

fn ours(clip: &str, truth: &Path, results: &Path) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .arg("evaluate")
        .arg(repository(&format!("fixtures/{clip}.mp4")));
    command
        .arg("--truth")
        .arg(truth)
        .arg("--results")
        .arg(results)
        .arg("--json");
    run(&mut command).succeeded().json()
}
