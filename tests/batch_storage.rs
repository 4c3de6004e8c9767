//! Batches whose inputs, outputs or both are in object storage, on a server of the test's own.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::batch::{FOLDER, account, bare, batch, clips, results, settings};
use common::clip::Clip;
use common::codec::Codec;
use common::program::{Run, names, run};
use common::s3::{KEY, SECRET, Server};
use common::scene::Scene;
use common::watch::{Seen, files, pieces, watch};
use common::{contains_bytes, ffmpeg, run_tool, skip, temp_dir};

/// A server, or the reason why there is none.
macro_rules! server {
    () => {
        match Server::start() {
            Some(server) => server,
            None => skip!("no moto_server in target/test-venv; `make test` installs it"),
        }
    };
}

/// What a batch in object storage writes to locally: `journal`, `tmp` and `home`.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = temp_dir();
        for folder in ["journal", "tmp", "home"] {
            std::fs::create_dir(dir.path().join(folder)).expect("made");
        }
        Self { dir }
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    /// `floutage batch INPUTS -o OUTPUT` in this world.
    fn batch(&self, server: &Server, inputs: &[&str], output: &str) -> Command {
        let mut command = bare(inputs.iter().copied());
        command
            .arg("-o")
            .arg(output)
            .arg("--journal")
            .arg(self.journal());
        command.args(settings()).args(["--jobs", "2"]);
        command
            .current_dir(self.dir.path())
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("HOME", self.dir.path().join("home"));
        // What is found by HOME otherwise: ONNX Runtime, and GStreamer's list of plug-ins.
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        for (name, folder) in [
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            let place = std::env::var_os(name).map_or(home.join(folder), PathBuf::from);
            command.env(name, place);
        }
        server.known_to(&mut command);
        command
    }

    /// Runs `work` while everything that is written to this world is looked at.
    fn watched(&self, originals: &Path, work: impl FnOnce()) -> Seen {
        let pieces = pieces(originals);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| watch(self.dir.path(), &pieces, &stop));
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            stop.store(true, Ordering::SeqCst);
            let seen = watching.join();
            outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Nobody's secrets are in any file.
    fn check_secrets(&self) {
        for path in files(self.dir.path()) {
            let bytes = std::fs::read(&path).unwrap_or_default();
            for secret in [KEY, SECRET] {
                assert!(
                    !contains_bytes(&bytes, secret.as_bytes()),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it can be read")
}

/// Stores every file in `folder` under `archive/in`.
fn store(server: &Server, folder: &Path) {
    for name in names(folder) {
        server.put(&format!("archive/in/{name}"), &read(&folder.join(&name)));
    }
}

fn shows_no_secret(run: &Run) {
    for secret in [KEY, SECRET] {
        assert!(
            !run.stdout.contains(secret) && !run.stderr.contains(secret),
            "{run:?}"
        );
    }
}

/// A clip of noise, which is as large redacted at quality 0: several parts of an upload.
fn large(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let noise = "color=gray:s=640x480:r=25,noise=alls=90:allf=t";
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", noise, "-frames:v", "75"]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-qp", "18"]);
    command.args(["-pix_fmt", "yuv420p"]).arg(&path);
    run_tool(&mut command);
    path
}

#[test]
fn objects_are_redacted_as_files_are_and_nothing_is_written_locally() {
    let server = server!();
    let dir = temp_dir();
    let originals = clips(dir.path(), 3);
    std::fs::create_dir(originals.join("deep")).expect("made");
    std::fs::rename(originals.join("clip-02.mp4"), originals.join("deep/c.mp4")).expect("renamed");
    let local = dir.path().join("local");
    run(&mut batch(&originals, &local)).succeeded();
    store(&server, &originals);
    server.put("archive/in/notes.txt", b"words");
    server.put("archive/in/page.png", b"\x89PNG");

    let world = World::new();
    let seen = world.watched(&originals, || {
        let done =
            run(&mut world.batch(&server, &["s3://archive/in"], "s3://archive/out")).succeeded();
        shows_no_secret(&done);
        for left_out in ["notes.txt", "page.png"] {
            assert!(done.stdout.contains(left_out), "{done:?}");
        }
    });
    assert!(seen.looks > 0);
    for name in &seen.names {
        let allowed = name.starts_with("journal") || name.starts_with("home/.local");
        assert!(allowed, "{name} was written");
    }
    for (name, bytes) in results(&local) {
        let object = server.get(&format!("archive/out/{name}"));
        assert!(object.as_ref() == Some(&bytes), "{name}");
    }
    assert_eq!(
        server.keys("archive").len(),
        5 + 3,
        "{:?}",
        server.keys("archive")
    );
    assert_eq!(server.uploads("archive"), [""; 0]);
    world.check_secrets();

    let told = account(&world.journal());
    assert_eq!(told["total"]["states"]["done"], 3, "{told}");
    for file in told["files"].as_array().expect("files") {
        for (name, identity) in [("input", "input_identity"), ("output", "output_identity")] {
            let address = file[name].as_str().expect("an address");
            let object = server.get(address.strip_prefix("s3://").expect("an object"));
            let object = object.expect("it is there");
            let hash = blake3::hash(&object).to_hex().to_string();
            assert_eq!(file[identity]["blake3"], hash, "{address}");
            assert_eq!(file[identity]["size"], object.len());
            assert!(file[identity]["etag"].is_string(), "{file}");
        }
    }

    // What is complete is left alone; what is missing, or of another input, is done.
    let again = |words: &[&str]| {
        run(world
            .batch(&server, &["s3://archive/in"], "s3://archive/out")
            .args(words))
    };
    let nothing = again(&["--verify"]).succeeded();
    assert!(!nothing.stderr.contains(" -> "), "{nothing:?}");
    server.put(
        "archive/in/clip-00.mp4",
        &read(&originals.join("deep/c.mp4")),
    );
    server.remove("archive/out/clip-01.mp4");
    let reported = again(&["--changed", "report"]);
    assert_eq!(reported.code, Some(3), "{reported:?}");
    assert!(
        reported.stdout.contains("the input has changed"),
        "{reported:?}"
    );
    assert!(
        reported.stdout.contains("the output is missing"),
        "{reported:?}"
    );
    again(&[]).succeeded();
    let of_another = server.get("archive/out/clip-00.mp4");
    assert!(of_another.is_some() && of_another == server.get("archive/out/deep/c.mp4"));
    assert_eq!(
        server.get("archive/out/clip-01.mp4").as_ref(),
        results(&local).get("clip-01.mp4")
    );
}

#[test]
fn large_objects_of_every_container_are_what_files_are() {
    let server = server!();
    let dir = temp_dir();
    let originals = dir.path().join("in");
    std::fs::create_dir(&originals).expect("made");
    large(&originals, "a.mp4");
    large(&originals, "b.mkv");
    Clip::new(Scene::new(160, 120, 40).on_grid(16))
        .codec(Codec::Vp9)
        .write(&originals, "c.webm");
    Clip::new(Scene::new(160, 120, 12).on_grid(16))
        .codec(Codec::Mpeg2)
        .write(&originals, "d.ts");
    let sizes: Vec<u64> = names(&originals)
        .iter()
        .map(|name| {
            std::fs::metadata(originals.join(name))
                .expect("there")
                .len()
        })
        .collect();
    assert!(sizes[0] > 9 << 20 && sizes[1] > 9 << 20, "{sizes:?}");
    let local = dir.path().join("local");
    run(batch(&originals, &local).args(["--quality", "0"])).succeeded();
    store(&server, &originals);
    let world = World::new();
    let mut command = world.batch(&server, &["s3://archive/in/"], "s3://archive/out");
    run(command.args(["--quality", "0"])).succeeded();
    let expected = results(&local);
    assert_eq!(expected.len(), 4);
    for name in ["a.mp4", "b.mkv"] {
        assert!(
            expected[name].len() > 17 << 20,
            "{name}: {}",
            expected[name].len()
        );
    }
    for (name, bytes) in expected {
        let object = server.get(&format!("archive/out/{name}"));
        let object = object.unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(object.len(), bytes.len(), "{name}");
        assert!(object == bytes, "{name}");
    }
}

#[test]
fn objects_are_named_by_key_pattern_list_and_job_file_and_mixed_with_files() {
    let server = server!();
    let dir = temp_dir();
    let originals = clips(dir.path(), 3);
    store(&server, &originals);
    let local = dir.path().join("local");
    run(&mut batch(&originals, &local)).succeeded();
    let expected = results(&local);

    // From storage into files.
    let world = World::new();
    let out = world.dir.path().join("files");
    let text = out.display().to_string();
    run(&mut world.batch(&server, &["s3://archive/in/clip-0[02].mp4"], &text)).succeeded();
    let got = results(&out);
    assert_eq!(
        got.keys().collect::<Vec<_>>(),
        ["clip-00.mp4", "clip-02.mp4"]
    );
    assert!(got.iter().all(|(name, bytes)| expected[name] == *bytes));

    // From files into storage.
    let world = World::new();
    let inputs = originals.display().to_string();
    run(&mut world.batch(&server, &[&inputs], "s3://archive/from-files/")).succeeded();
    for (name, bytes) in &expected {
        let object = server.get(&format!("archive/from-files/{name}"));
        assert!(object.as_ref() == Some(bytes), "{name}");
    }

    // A job file, which names the server, with a key and a list.
    let world = World::new();
    std::fs::write(
        world.dir.path().join("list"),
        "s3://archive/in/clip-01.mp4\n",
    )
    .expect("written");
    let job = format!(
        "inputs = [\"s3://archive/in/clip-00.mp4\"]\nlists = [\"list\"]\noutput = \"s3://archive/job\"\n\
         journal = \"journal\"\nendpoint = {:?}\n",
        server.endpoint()
    );
    let path = world.dir.path().join("job.toml");
    std::fs::write(&path, job).expect("written");
    let mut command = bare(["-c"]);
    command.arg(&path).args(settings());
    server.known_to(&mut command).env_remove("AWS_ENDPOINT_URL");
    run(&mut command).succeeded();
    for name in ["clip-00.mp4", "clip-01.mp4"] {
        let object = server.get(&format!("archive/job/{name}"));
        assert!(object.as_ref() == Some(&expected[name]), "{name}");
    }

    // A plan and its shards.
    let world = World::new();
    let mut plan = bare([
        "plan",
        "s3://archive/in",
        "-o",
        "s3://archive/shards",
        "--shards",
        "2",
    ]);
    plan.arg("--journal").arg(world.journal()).args(settings());
    run(server.known_to(&mut plan)).succeeded();
    for shard in ["1/2", "2/2"] {
        let mut command = bare(["run", "--shard", shard]);
        command.arg(world.journal());
        run(server.known_to(&mut command)).succeeded();
    }
    for (name, bytes) in &expected {
        let object = server.get(&format!("archive/shards/{name}"));
        assert!(object.as_ref() == Some(bytes), "{name}");
    }
}

#[test]
fn what_fails_leaves_no_object_and_says_why() {
    let server = server!();
    let dir = temp_dir();
    let originals = clips(dir.path(), 1);
    let clip = read(&originals.join("clip-00.mp4"));
    server.put("archive/in/clip.mp4", &clip);
    server.put("archive/bad/cut.mp4", &clip[..clip.len() * 2 / 3]);
    server.put("archive/bad/words.mp4", b"no video at all");
    server.put("archive/bad/empty.mp4", b"");
    server.put("archive/taken/clip.mp4", b"somebody's");
    let fails = |inputs: &[&str], output: &str, more: &[&str], words: &[&str]| {
        let world = World::new();
        let failed = run(world.batch(&server, inputs, output).args(more));
        shows_no_secret(&failed);
        assert!(matches!(failed.code, Some(1 | 3)), "{failed:?}");
        for word in words {
            let told = failed.stdout.contains(word) || failed.stderr.contains(word);
            assert!(told, "no {word:?} in {failed:?}");
        }
        world.check_secrets();
    };
    let before = server.keys("archive");
    fails(
        &["s3://archive/bad"],
        "s3://archive/out",
        &[],
        &["cut.mp4", "cut off", "words.mp4", "empty.mp4", "is empty"],
    );
    fails(
        &["s3://archive/in"],
        "s3://archive/taken",
        &[],
        &["not of this batch", "--overwrite"],
    );
    fails(
        &["s3://nowhere/in"],
        "s3://archive/out",
        &[],
        &["no bucket nowhere"],
    );
    fails(
        &["s3://archive/in"],
        "s3://nowhere/out",
        &[],
        &["no bucket nowhere"],
    );
    fails(
        &["s3://archive/none"],
        "s3://archive/out",
        &[],
        &["s3://archive/none", "no object"],
    );
    fails(
        &["s3://archive/none*.mp4"],
        "s3://archive/out",
        &[],
        &["no object fits"],
    );
    fails(
        &["s3://archive/in"],
        "s3://archive/in",
        &[],
        &["output folder is the input folder"],
    );
    fails(
        &["s3://archive/in/clip.mp4"],
        "s3://archive/in",
        &[],
        &["never overwritten"],
    );
    // Not even a beginning of an upload, which would be there until it is aborted.
    let writes = server.writes();
    assert!(writes.len() > 2, "the log shows no writing: {writes:?}");
    let log = dir.path().join("log.jsonl").display().to_string();
    fails(
        &["s3://archive/in"],
        "s3://archive/out",
        &["--audit-log", &log],
        &["--audit-log", "cannot be recorded"],
    );
    assert_eq!(server.writes(), writes);
    let picture = dir.path().join("p.png");
    image::RgbImage::new(64, 64)
        .save(&picture)
        .expect("written");
    fails(
        &[&picture.display().to_string()],
        "s3://archive/out",
        &[],
        &["p.png", "pictures in object storage"],
    );
    assert_eq!(server.keys("archive"), before);
    assert_eq!(server.uploads("archive"), [""; 0]);

    // The journal's folder has to be a local one.
    let mut command = bare(["s3://archive/in", "-o", "s3://archive/out"]);
    run(server.known_to(command.args(settings()))).failed(&["--journal"]);
    // `redact` reads files.
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["redact", "s3://archive/in/clip.mp4", "-o", "x.mp4"]);
    run(server.known_to(&mut command)).failed(&["floutage batch"]);

    // --overwrite replaces.
    let world = World::new();
    let mut command = world.batch(&server, &["s3://archive/in"], "s3://archive/taken");
    run(command.arg("--overwrite")).succeeded();
    assert!(
        server
            .get("archive/taken/clip.mp4")
            .is_some_and(|bytes| bytes.len() > 1000)
    );
}

#[test]
fn wrong_credentials_are_told() {
    // From the third request on the server looks at credentials: one waits for it, one makes the bucket.
    let Some(server) = Server::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "1")]) else {
        skip!("no moto_server in target/test-venv; `make test` installs it");
    };
    let world = World::new();
    let failed = run(&mut world.batch(&server, &["s3://archive/in"], "s3://archive/out"));
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("refused"), "{failed:?}");
    assert!(failed.stderr.contains("AWS_ACCESS_KEY_ID"), "{failed:?}");
    shows_no_secret(&failed);
    let none = |command: &mut Command| {
        let home = world.dir.path().join("home");
        command.env_remove("AWS_ACCESS_KEY_ID").env("HOME", home);
        command.env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
    };
    let mut command = world.batch(&server, &["s3://archive/in"], "s3://archive/out");
    none(&mut command);
    run(&mut command).failed(&["no credentials"]);
}

#[test]
fn a_batch_that_is_killed_leaves_nothing_and_goes_on() {
    let server = server!();
    let dir = temp_dir();
    let originals = dir.path().join("in");
    std::fs::create_dir(&originals).expect("made");
    large(&originals, "a.mp4");
    store(&server, &originals);
    let local = dir.path().join("local");
    run(batch(&originals, &local).args(["--quality", "0"])).succeeded();
    let world = World::new();
    let start = || {
        let mut command = world.batch(&server, &["s3://archive/in"], "s3://archive/out");
        command.args(["--quality", "0"]);
        command
    };
    let seen = world.watched(&originals, || {
        let mut child = start()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut workers = Vec::new();
        while workers.is_empty() || server.parts("archive") == 0 {
            assert_eq!(
                child.try_wait().expect("it can be asked"),
                None,
                "it is over already"
            );
            std::thread::sleep(Duration::from_millis(5));
            workers = workers_of(child.id());
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        // What decodes knows no credentials.
        for (words, variables) in workers {
            assert!(contains_bytes(&words, b"--worker"));
            for secret in [KEY, SECRET] {
                assert!(!contains_bytes(&words, secret.as_bytes()));
                assert!(!contains_bytes(&variables, secret.as_bytes()));
            }
        }
        assert_eq!(server.keys("archive"), ["in/a.mp4"]);
        assert_eq!(server.uploads("archive"), ["out/a.mp4"]);
        run(&mut start()).succeeded();
    });
    assert!(seen.looks > 0);
    assert_eq!(
        server.uploads("archive"),
        [""; 0],
        "the old upload was aborted"
    );
    assert!(server.get("archive/out/a.mp4").as_ref() == results(&local).get("a.mp4"));
    assert!(
        names(&world.journal())
            .iter()
            .all(|name| !name.starts_with(FOLDER))
    );
}

/// Command lines and variables of the processes that `parent` has started.
fn workers_of(parent: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let threads = std::fs::read_dir(format!("/proc/{parent}/task")).expect("it runs");
    for thread in threads.filter_map(Result::ok) {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let read = |name: &str| std::fs::read(format!("/proc/{child}/{name}"));
            if let (Ok(words), Ok(variables)) = (read("cmdline"), read("environ"))
                && contains_bytes(&words, b"--worker")
            {
                found.push((words, variables));
            }
        }
    }
    found
}

/// A batch of one large object, `a.mp4` of the folder that is returned, of whose result the first part has been sent.
fn under_way(server: &Server) -> (World, tempfile::TempDir, std::process::Child) {
    let originals = temp_dir();
    large(originals.path(), "a.mp4");
    store(server, originals.path());
    let world = World::new();
    let mut command = world.batch(server, &["s3://archive/in"], "s3://archive/out");
    command.args(["--quality", "0", "--retries", "0"]);
    let mut child = common::program::start(&mut command);
    while server.parts("archive") == 0 {
        assert_eq!(
            child.try_wait().expect("it can be asked"),
            None,
            "it is over already"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    (world, originals, child)
}

#[test]
fn a_server_that_goes_away_is_told_of() {
    let server = server!();
    let (_world, _, child) = under_way(&server);
    drop(server);
    let output = child.wait_with_output().expect("it ends");
    let ended = Run::of(&output);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("failed: s3://archive/in/a.mp4"),
        "{ended:?}"
    );
    shows_no_secret(&ended);
}

#[test]
fn an_input_that_changes_while_it_is_read_becomes_no_object() {
    let server = server!();
    let (_world, originals, child) = under_way(&server);
    let mut other = read(&originals.path().join("a.mp4"));
    *other.last_mut().expect("bytes") ^= 1;
    server.put("archive/in/a.mp4", &other);
    let output = child.wait_with_output().expect("it ends");
    let ended = Run::of(&output);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("has changed while it was read"),
        "{ended:?}"
    );
    assert_eq!(server.keys("archive"), ["in/a.mp4"]);
    assert_eq!(server.uploads("archive"), [""; 0]);
}
