//! The program itself, run by its command line on files of a test.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::repository;

/// No run of a test's tiny file lasts nearly as long; a run that does has hung.
const LIMIT: Duration = Duration::from_secs(300);

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Run {
    /// Exit code; None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The test detector `fixtures/marker-detector/NAME.onnx`.
pub fn fixture(name: &str) -> PathBuf {
    repository(&format!("fixtures/marker-detector/{name}.onnx"))
}

/// `floutage redact` with the marker detector, analysed at full resolution and frame by frame so that regions are exactly
/// the markers.
pub fn redact(input: &Path, output: &Path) -> Command {
    let mut command = redact_with("marker-detector");
    command.arg(input).arg("-o").arg(output);
    command
}

/// `floutage redact` with the fixture `model`, as yet without files.
pub fn redact_with(model: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["redact", "--look-ahead", "0", "--hold", "0"]);
    command.args(["--input-size", "native", "--model"]);
    command.arg(fixture(model));
    command.env_remove("FLOUTAGE_MODELS_DIR");
    command
}

/// Runs `command` to its end.
pub fn run(command: &mut Command) -> Run {
    let mut command = assert_cmd::Command::from_std(std::mem::replace(command, Command::new("")));
    let output = command.timeout(LIMIT).output().expect("the program runs");
    Run::of(&output)
}

/// Starts `command` with its output piped.
pub fn start(command: &mut Command) -> std::process::Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// `command` on a kernel without Landlock: a filter that `command` inherits makes the system call unknown.
pub fn without_landlock(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let program: BpfProgram = SeccompFilter::new(
        [(libc::SYS_landlock_create_ruleset, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS as u32),
        std::env::consts::ARCH
            .try_into()
            .expect("a known processor"),
    )
    .and_then(TryInto::try_into)
    .expect("a filter");
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        command.pre_exec(move || seccompiler::apply_filter(&program).map_err(std::io::Error::other))
    }
}

impl Run {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let run = Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        for bad in ["panicked", "RUST_BACKTRACE", "CRITICAL", "assertion"] {
            assert!(!run.stderr.contains(bad), "{bad}: {run:?}");
        }
        run
    }

    /// Checks that the program was content.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Checks that the program failed with one line that has all of `words` in it, and nothing else to say.
    pub fn failed(self, words: &[&str]) -> Self {
        assert!(
            matches!(self.code, Some(code) if code > 0),
            "it should have failed: {self:?}"
        );
        let lines: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(lines.len(), 1, "one line: {}", self.stderr);
        for word in words {
            assert!(lines[0].contains(word), "no {word:?} in {:?}", lines[0]);
        }
        self
    }

    /// What `--json` printed.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The report of the only file that `--json` printed.
    pub fn report(&self) -> serde_json::Value {
        let json = self.json();
        assert_eq!(json["files"].as_array().map(Vec::len), Some(1), "{json}");
        json["files"][0].clone()
    }
}

/// Set in a test program that is to confine itself: the folder to work in.
pub const INNER: &str = "FLOUTAGE_TEST_CONFINED";

/// Runs the test `name` of this program once more, in `folder`.
pub fn again(name: &str, folder: &Path) {
    let program = std::env::current_exe().expect("this test is a file");
    let mut inner = Command::new(program);
    inner
        .args(["--exact", name, "--test-threads", "1", "--nocapture"])
        .env(INNER, folder);
    super::run_tool(&mut inner);
}

/// The names of all files under `folder`, hidden ones too, in order.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|entry| entry.expect("the folder can be read"))
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let inside = entry.path().strip_prefix(folder).expect("inside");
            inside.to_string_lossy().into_owned()
        })
        .collect();
    names.sort();
    names
}
