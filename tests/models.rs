//! `floutage models` by its command line.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use floutage::detect::session::runtime_path;
use sha2::{Digest, Sha256};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A data folder and a models folder, both empty but for a `models.toml` with one model.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(url: &str, sha256: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("models")).unwrap();
        let url = if url.is_empty() {
            String::new()
        } else {
            format!("url = \"{url}\"\n")
        };
        std::fs::write(
            dir.path().join("models/models.toml"),
            format!(
                "[[model]]\nname = \"tiny\"\nfile = \"tiny.onnx\"\nsha256 = \"{sha256}\"\n{url}\
                 head = \"boxes\"\nclasses = [\"face\"]\nlicence = \"test licence\"\n\
                 [model.input]\norder = \"bgr\"\nmean = [0.0, 0.0, 0.0]\nscale = [1.0, 1.0, 1.0]\n\
                 [model.thresholds]\nface = 0.5\n"
            ),
        )
        .unwrap();
        Self { dir }
    }

    fn pulled(&self) -> PathBuf {
        self.dir.path().join("data/floutage/models")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::cargo_bin("floutage").unwrap();
        command
            .arg("models")
            .args(args)
            .arg("--models-dir")
            .arg(self.dir.path().join("models"))
            .env("XDG_DATA_HOME", self.dir.path().join("data"))
            .env("HOME", self.dir.path())
            // The set-up's folder is under the home that was just replaced.
            .env("ORT_DYLIB_PATH", runtime_path().unwrap());
        for variable in [
            "FLOUTAGE_MODELS_DIR",
            "http_proxy",
            "HTTP_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(variable);
        }
        command.output().unwrap()
    }

    /// Names of the files that a pull left.
    fn left(&self) -> Vec<String> {
        std::fs::read_dir(self.pulled())
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fails_with(output: &Output, expected: &str) {
    let error = text(&output.stderr);
    assert!(!output.status.success(), "it succeeded");
    assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    assert!(!error.contains("panicked"), "{error}");
}

/// A server on 127.0.0.1 that answers every request with `answer`; returns its address and the count of requests.
fn serve(answer: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/tiny.onnx", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let requests = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            requests.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        }
    });
    (address, count)
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[test]
fn pull_puts_the_pinned_file_into_the_data_folder_once() {
    let (url, requests) = serve(ok(b"weights"));
    let place = Place::new(&url, &sha256(b"weights"));
    let output = place.run(&["pull", "tiny"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(place.left(), ["tiny.onnx"]);
    assert_eq!(
        std::fs::read(place.pulled().join("tiny.onnx")).unwrap(),
        b"weights"
    );
    assert!(text(&output.stdout).contains("test licence"));

    let output = place.run(&["pull", "tiny"]);
    assert!(text(&output.stdout).contains("already there"));
    assert_eq!(requests.load(Ordering::SeqCst), 1);

    let output = place.run(&["verify", "tiny"]);
    assert!(output.status.success() && text(&output.stdout).contains("tiny: right"));

    std::fs::write(place.pulled().join("tiny.onnx"), "spoilt").unwrap();
    let output = place.run(&["verify", "tiny"]);
    fails_with(&output, "cannot be used");
    assert!(text(&output.stdout).contains(&sha256(b"spoilt")));
    fails_with(&place.run(&["pull", "tiny"]), "is another file");
}

#[test]
fn pull_refuses_another_file_and_leaves_nothing() {
    let (url, _) = serve(ok(b"other weights"));
    let place = Place::new(&url, &sha256(b"weights"));
    let output = place.run(&["pull", "tiny"]);
    fails_with(&output, &sha256(b"weights"));
    fails_with(&output, &sha256(b"other weights"));
    assert!(place.left().is_empty(), "{:?}", place.left());
}

#[test]
fn pull_refuses_what_is_cut_off_missing_or_too_large() {
    let cut =
        b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\nConnection: close\r\n\r\nweights".to_vec();
    let missing =
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    let large =
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\nConnection: close\r\n\r\n".to_vec();
    for (answer, expected) in [
        (cut, "not fetched"),
        (missing, "404"),
        (large, "9000000000 bytes"),
    ] {
        let (url, _) = serve(answer);
        let place = Place::new(&url, &sha256(b"weights"));
        fails_with(&place.run(&["pull", "tiny"]), expected);
        assert!(place.left().is_empty(), "{:?}", place.left());
    }
}

#[test]
fn pull_without_an_address_or_a_name_it_knows_is_refused() {
    let place = Place::new("", &sha256(b"weights"));
    fails_with(
        &place.run(&["pull", "tiny"]),
        "no official address is known",
    );
    fails_with(
        &place.run(&["pull", "nosuch"]),
        "known are tiny, floutage-v2",
    );
}

#[test]
fn pull_of_a_server_that_is_not_there_is_an_error() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let place = Place::new(&format!("http://127.0.0.1:{port}/x"), &sha256(b"weights"));
    fails_with(
        &place.run(&["pull", "tiny"]),
        "not fetched from http://127.0.0.1",
    );
}

#[test]
fn list_names_models_licences_and_places() {
    let place = Place::new("", &sha256(b"weights"));
    let listed = text(&place.run(&["list"]).stdout);
    for expected in [
        "tiny",
        "floutage-v2 (default)",
        "Apache-2.0",
        "not here; floutage models pull yunet",
    ] {
        assert!(listed.contains(expected), "{expected:?} is not in {listed}");
    }
    let listed: serde_json::Value =
        serde_json::from_slice(&place.run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["name"], "tiny");
    assert_eq!(listed[0]["classes"][0], "face");
    assert_eq!(listed[0]["path"], serde_json::Value::Null);
}

#[test]
fn the_repository_s_default_model_is_the_described_one() {
    let mut command = Command::cargo_bin("floutage").unwrap();
    let output = command
        .args(["models", "verify", "floutage-v2", "--models-dir"])
        .arg(root("models"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn inspect_says_what_a_file_has() {
    let place = Place::new("", &sha256(b"weights"));
    let file = root("fixtures/marker-detector/marker-detector.onnx");
    let file = file.to_str().unwrap();
    let output = place.run(&["inspect", file, "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["sha256"], sha256(&std::fs::read(file).unwrap()));
    assert_eq!(found["model"], serde_json::Value::Null);
    assert_eq!(found["inputs"][0]["name"], "image");
    assert_eq!(
        found["inputs"][0]["shape"],
        serde_json::json!([null, 3, null, null])
    );
    assert_eq!(
        found["outputs"][0]["shape"],
        serde_json::json!([null, null, 4])
    );
    assert!(found["heads"].as_array().unwrap().contains(&"boxes".into()));

    let plain = text(&place.run(&["inspect", file]).stdout);
    assert!(plain.contains("image f32[?x3x?x?]"), "{plain}");
    assert!(plain.contains("describe it in"), "{plain}");

    let file = root("fixtures/marker-detector/wrong-outputs.onnx");
    let plain = text(&place.run(&["inspect", file.to_str().unwrap()]).stdout);
    assert!(plain.contains("none fits"), "{plain}");

    let file = root("models/floutage-v2.onnx");
    let plain = text(&place.run(&["inspect", file.to_str().unwrap()]).stdout);
    assert!(plain.contains("model   floutage-v2"), "{plain}");
}

#[test]
fn inspect_refuses_what_is_no_model() {
    let place = Place::new("", &sha256(b"weights"));
    let dir = place.dir.path();
    let written = |name: &str, content: &[u8]| {
        std::fs::write(dir.join(name), content).unwrap();
        dir.join(name).to_str().unwrap().to_string()
    };
    let whole = std::fs::read(root("models/floutage-v2.onnx")).unwrap();
    for file in [
        written("text.onnx", b"this is not a model"),
        written("empty.onnx", b""),
        written("cut.onnx", &whole[..whole.len() / 2]),
    ] {
        let output = place.run(&["inspect", &file]);
        fails_with(&output, "not an ONNX model");
        fails_with(&output, &file);
    }
    fails_with(
        &place.run(&["inspect", dir.to_str().unwrap()]),
        "is not a file",
    );
    fails_with(
        &place.run(&["inspect", "/no/such.onnx"]),
        "/no/such.onnx: reading failed",
    );
    fails_with(&place.run(&["inspect", "tiny"]), "tiny.onnx is not here");
}

#[test]
fn a_wrong_models_toml_is_named() {
    let place = Place::new("", "abc");
    fails_with(
        &place.run(&["list"]),
        "models.toml, model tiny: sha256 = \"abc\": must be",
    );
}

/// Runs `inspect` on a good model with the given ONNX Runtime.
fn inspect_with_runtime(variables: &[(&str, &Path)]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::cargo_bin("floutage").unwrap();
    command
        .args(["models", "inspect"])
        .arg(root("fixtures/marker-detector/marker-detector.onnx"))
        .env("HOME", home.path())
        .env_remove("XDG_DATA_HOME")
        .env_remove("ORT_DYLIB_PATH");
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().unwrap()
}

#[test]
fn a_library_that_is_missing_or_no_onnx_runtime_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.so");
    let output = inspect_with_runtime(&[("ORT_DYLIB_PATH", &missing)]);
    fails_with(&output, "none.so cannot be loaded");
    fails_with(&output, "make setup");

    let not_a_library = dir.path().join("libonnxruntime.so");
    std::fs::write(&not_a_library, "text").unwrap();
    let output = inspect_with_runtime(&[("ORT_DYLIB_PATH", &not_a_library)]);
    fails_with(&output, "libonnxruntime.so cannot be loaded");

    // In a folder that is only searched, what cannot be loaded does not end the search.
    let lib = dir.path().join("floutage/lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::fs::write(lib.join("libonnxruntime.so.1.99.0"), "text").unwrap();
    let output = inspect_with_runtime(&[("XDG_DATA_HOME", dir.path())]);
    if !output.status.success() {
        fails_with(&output, "the set-up's folder");
        fails_with(&output, "libonnxruntime.so.1.99.0 cannot be loaded");
        fails_with(&output, "the system's libraries");
    }

    // A library of something else: one that this test itself has loaded.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let libc = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.contains("/libc.so") || path.contains("/libc-"));
    let output = inspect_with_runtime(&[("ORT_DYLIB_PATH", Path::new(libc.unwrap()))]);
    fails_with(&output, "is not ONNX Runtime");
}

#[test]
fn the_library_is_found_in_the_set_up_s_folder_under_a_versioned_name() {
    let library = runtime_path().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let lib = dir.path().join("floutage/lib");
    std::fs::create_dir_all(&lib).unwrap();
    std::os::unix::fs::symlink(library, lib.join("libonnxruntime.so.1.99.0")).unwrap();
    let output = inspect_with_runtime(&[("XDG_DATA_HOME", dir.path())]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn threads_that_ask_at_once_get_one_library() {
    // The search for ONNX Runtime runs once, whoever asks first.
    let found = Arc::new(Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let path = runtime_path().unwrap();
                found.lock().unwrap().push(path);
            });
        }
    });
    let found = found.lock().unwrap();
    assert!(found.iter().all(|path| *path == found[0]));
}
