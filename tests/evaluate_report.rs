//! The HTML report of `floutage evaluate`: one file that loads nothing, with pictures of leaks only when asked for.

mod common;

use std::path::Path;
use std::process::Command;

use common::clip::Clip;
use common::program::{Run, fixture, names, run};
use common::scene::Scene;
use common::temp_dir;
use floutage::digest::sha256_of;

/// Evaluates a clip of markers.
fn report(folder: &Path, arguments: &[&str]) -> (Run, String) {
    let scene = Scene::new(320, 240, 10).on_grid(16);
    let clip = Clip::new(scene.clone()).write(folder, "a <b> & \"c\".mp4");
    let mut lines = String::new();
    for index in 0..10 {
        for (track, (class, it)) in scene.truth(index).into_iter().enumerate() {
            let (width, height) = (it.width(), it.height());
            lines += &format!(
                "{},{track},{},{},{width},{height},1,{class},1\n",
                index + 1,
                it.x1,
                it.y1
            );
        }
    }
    let truth = folder.join("truth.csv");
    std::fs::write(&truth, lines).expect("written");
    // Of which nothing is known.
    std::fs::write(folder.join("nothing.csv"), "").expect("written");
    let path = folder.join("report.html");
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command
        .arg("evaluate")
        .arg(&clip)
        .arg("--truth")
        .arg(&truth);
    command
        .args(["--input-size", "native", "--model"])
        .arg(fixture("marker-detector"));
    command.arg("--html").arg(&path).args(arguments);
    command.current_dir(folder);
    let said = run(&mut command).succeeded();
    let html = std::fs::read_to_string(&path).expect("the report is there");
    assert!(names(folder).iter().all(|name| !name.contains("partial")));
    (said, html)
}

/// Nothing is loaded, nothing runs, names are escaped, every element is closed.
fn check(html: &str) {
    for bad in [
        "http:",
        "https:",
        "<script",
        "@import",
        "url(",
        "<link",
        "javascript:",
        "<b>",
    ] {
        assert!(!html.contains(bad), "{bad}");
    }
    assert!(html.contains("a &lt;b&gt; &amp;"));
    for name in [
        "svg", "table", "tr", "td", "g", "text", "h2", "p", "figure", "body", "html",
    ] {
        let open =
            html.matches(&format!("<{name} ")).count() + html.matches(&format!("<{name}>")).count();
        assert_eq!(open, html.matches(&format!("</{name}>")).count(), "{name}");
    }
}

#[test]
fn a_report_shows_figures_and_no_picture() {
    let folder = temp_dir();
    let (said, html) = report(folder.path(), &["--results", "nothing.csv"]);
    check(&html);
    assert!(
        !html.contains("data:image") && said.stderr.contains("there is no detection in it"),
        "{}",
        said.stderr
    );
    for part in [
        "Boxes that leak, by height",
        "Longest exposed runs",
        "Coverage of each track",
        "face 0, 48 px",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(html.contains("10 frames from 1; 10 of 10 leak"));
    assert!(!html.contains("sha256"), "no model has a part in it");
    let (_, covered) = report(folder.path(), &[]);
    let model = std::fs::read(fixture("marker-detector")).expect("readable");
    assert!(covered.contains(&sha256_of(&model)));
    assert!(covered.contains("No track leaks in any frame."));
}

#[test]
fn pictures_of_leaks_are_there_when_asked_for_with_a_warning() {
    let folder = temp_dir();
    let (said, html) = report(
        folder.path(),
        &["--results", "nothing.csv", "--include-crops"],
    );
    check(&html);
    assert_eq!(html.matches("data:image/png;base64,").count(), 2);
    assert!(said.stderr.contains("not redacted") && html.contains("not redacted"));
    use std::os::unix::fs::PermissionsExt;
    let report = folder.path().join("report.html");
    let mode = std::fs::metadata(report)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args([
        "evaluate",
        "clip.mp4",
        "--truth",
        "truth.csv",
        "--include-crops",
    ]);
    let refused = run(&mut command);
    assert!(
        refused.code == Some(2) && refused.stderr.contains("--html"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_sweep_is_a_table_and_a_plot() {
    let folder = temp_dir();
    let sweep = [
        "--sweep",
        "margin=0.4,0,hold=0,3",
        "--face-shape",
        "rectangle",
    ];
    let (said, html) = report(folder.path(), &sweep);
    check(&html);
    assert_eq!(html.matches("<circle").count(), 4);
    assert!(
        html.contains("margin 0.4, hold 3") && html.contains("Leaks against needless redaction")
    );
    let rows: Vec<&str> = said
        .stdout
        .lines()
        .filter(|line| line.contains("0 of 10"))
        .collect();
    assert_eq!(rows.len(), 4, "{}", said.stdout);
    // Markers are found in every frame: no margin and no hold leak nothing, and alter least.
    let best: Vec<&&str> = rows.iter().filter(|row| row.starts_with('*')).collect();
    assert_eq!(best.len(), 1, "{}", said.stdout);
    let words: Vec<&str> = best[0].split_whitespace().take(3).collect();
    assert_eq!(words, ["*", "0", "0"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_floutage"));
    command.args(["evaluate", "clip.mp4", "--truth", "truth.csv"]);
    let refused = run(command.args(["--sweep", "colour=red"]));
    let help = refused.stderr.contains("look-ahead");
    assert!(refused.code == Some(2) && help, "{}", refused.stderr);
}
