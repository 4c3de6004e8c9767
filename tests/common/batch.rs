//! Batches by their command line, and what they left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::clip::Clip;
use super::program::{fixture, names};
use super::scene::Scene;

/// Name of the folder of journal and account.
pub const FOLDER: &str = "floutage-batch";

/// Settings of the marker detector, analysed at full resolution and frame by frame.
pub fn settings() -> Vec<String> {
    let model = fixture("marker-detector");
    [
        "--look-ahead=0",
        "--hold=0",
        "--input-size=native",
        "--preset=ultrafast",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("--model={}", model.display())])
    .collect()
}

/// `floutage batch` with `words`, as yet without settings.
pub fn bare<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.arg("batch").args(words);
    for name in [
        "FLOUTAGE_MODELS_DIR",
        "SLURM_ARRAY_TASK_ID",
        "JOB_COMPLETION_INDEX",
    ] {
        command.env_remove(name);
    }
    command
}

/// `floutage batch INPUT -o OUTPUT`, two files at once.
pub fn batch(input: &Path, output: &Path) -> Command {
    let mut command = bare([]);
    command.arg(input).arg("-o").arg(output);
    command.args(settings()).args(["--jobs", "2"]);
    command
}

/// A folder `in` with `count` tiny clips, no two of them alike.
pub fn clips(folder: &Path, count: usize) -> PathBuf {
    let input = folder.join("in");
    std::fs::create_dir_all(&input).expect("a folder can be made");
    for index in 0..count {
        let scene = Scene::new(160, 120, 6 + index % 5).on_grid(16);
        Clip::new(scene).write(&input, &format!("clip-{index:02}.mp4"));
    }
    input
}

/// The files under `output` but journal and account, with their content.
pub fn results(output: &Path) -> BTreeMap<String, Vec<u8>> {
    names(output)
        .into_iter()
        .filter(|name| !name.starts_with(FOLDER))
        .map(|name| {
            let bytes = std::fs::read(output.join(&name)).expect("it can be read");
            (name, bytes)
        })
        .collect()
}

/// The account in `folder`.
pub fn account(folder: &Path) -> serde_json::Value {
    let text = std::fs::read(folder.join("report.json")).expect("there is an account");
    serde_json::from_slice(&text).expect("JSON")
}
