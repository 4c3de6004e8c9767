//! `floutage password`, `floutage completions` and the manual pages.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::program::{Run, names, run};
use common::temp_dir;

fn floutage(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(arguments);
    command
}

fn password(typed: &[u8]) -> Run {
    let mut child = floutage(&["password"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may not read a password that is not text.
    let _ = child.stdin.take().expect("piped").write_all(typed);
    Run::of(&child.wait_with_output().expect("it ends"))
}

#[test]
fn a_password_becomes_a_hash_that_the_configuration_takes() {
    let said = password(b"correct horse battery\n").succeeded();
    let hash = said.stdout.trim_end();
    let settings: floutage::serve::config::web::WebSettings = toml::from_str(&format!(
        "[[users]]\nname = \"anne\"\npassword-hash = \"{hash}\"\n"
    ))
    .expect("TOML");
    settings.validate().expect("valid");
    // Another time, another salt; without a line's end, the same password.
    assert_ne!(
        password(b"correct horse battery")
            .succeeded()
            .stdout
            .trim_end(),
        hash
    );
}

#[test]
fn a_bad_password_is_refused_and_not_repeated() {
    for typed in ["", "\n", "short\n", &"x".repeat(300)] {
        let said = password(typed.as_bytes()).failed(&["password", "12 or more"]);
        assert!(
            said.stdout.is_empty() && (typed.len() < 5 || !said.stderr.contains(typed.trim_end()))
        );
    }
    password(b"\xff\xfe not text\n").failed(&["password", "standard input"]);
}

#[test]
fn shells_can_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&mut floutage(&["completions", shell])).succeeded();
        for word in ["redact", "doctor", "password", "look-ahead"] {
            assert!(said.stdout.contains(word), "{shell}: {word}");
        }
    }
    let script = run(&mut floutage(&["completions", "bash"]))
        .succeeded()
        .stdout;
    let mut bash = Command::new("bash");
    bash.args(["-c", "eval \"$1\" && COMP_WORDS=(floutage doc) COMP_CWORD=1 && _floutage floutage doc floutage && echo \"${COMPREPLY[@]}\"", "-"]);
    assert_eq!(run(bash.arg(script)).succeeded().stdout.trim(), "doctor");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let dir = temp_dir();
    let folder = dir.path().join("new/man");
    let path = folder.to_str().expect("text");
    run(&mut floutage(&["man", path])).succeeded();
    let pages = names(&folder);
    for page in [
        "floutage.1",
        "floutage-redact.1",
        "floutage-models-pull.1",
        "floutage-password.1",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page}: {pages:?}");
    }
    let page = std::fs::read_to_string(folder.join("floutage-redact.1")).expect("readable");
    assert!(
        page.contains("look\\-ahead") && page.starts_with(".ie"),
        "{page}"
    );
    let file = folder.join("floutage.1");
    run(&mut floutage(&[
        "man",
        file.join("x").to_str().expect("text"),
    ]))
    .failed(&["floutage.1"]);
}
