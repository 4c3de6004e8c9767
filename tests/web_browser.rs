//! The page in a real browser: headless Chromium, driven by `tests/web_support/browser.mjs`.
//!
//! Screenshots go into the folder `FLOUTAGE_SCREENSHOTS`, if set.

mod common;
mod web_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ffmpeg, repository, run_tool, skip, temp_dir};
use web_support::{ADMIN, CAMERAS, RECORDINGS, Server, VIEWER};

/// Where `packaging/browser.sh` puts the driver.
const DRIVER: &str = "target/browser/node_modules/playwright-core/index.mjs";

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("FLOUTAGE_CHROMIUM").map(PathBuf::from);
    let usual = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ];
    named
        .into_iter()
        .chain(usual.map(PathBuf::from))
        .find(|path| path.exists())
}

/// A stream and a recording as the gateway makes them: fragmented MP4 with H.264.
fn film(folder: &Path) -> (Vec<(String, Vec<u8>)>, PathBuf) {
    let source = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=15",
        "-pix_fmt",
        "yuv420p",
    ];
    let codec = [
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "15",
        "-keyint_min",
        "15",
        "-sc_threshold",
        "0",
    ];
    let mut command = ffmpeg();
    command.args(source).args(["-t", "90"]).args(codec);
    command.args([
        "-f",
        "hls",
        "-hls_time",
        "1",
        "-hls_list_size",
        "0",
        "-hls_segment_type",
        "fmp4",
    ]);
    command
        .args(["-hls_segment_filename", "%d.m4s", "index.m3u8"])
        .current_dir(folder);
    run_tool(&mut command);
    let parts = std::fs::read_dir(folder)
        .expect("readable")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name");
            (name, std::fs::read(entry.path()).expect("readable"))
        })
        .filter(|(name, _)| name != "index.m3u8")
        .collect();
    let recording = folder.join("recording.mp4");
    let mut command = ffmpeg();
    command.args(source).args(["-t", "6"]).args(codec);
    command
        .args(["-movflags", "frag_keyframe+empty_moov"])
        .arg(&recording);
    run_tool(&mut command);
    (parts, recording)
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(chromium) = chromium() else {
        skip!("no Chromium; packaging/browser.sh installs it");
    };
    let driver = repository(DRIVER);
    if !driver.exists() {
        skip!("no {DRIVER}; packaging/browser.sh installs it");
    }
    let dir = temp_dir();
    let (parts, recording) = film(dir.path());
    let server = Server::new();
    server.site.hls.lock().unwrap().extend(parts);
    std::fs::copy(recording, server.site.recording(RECORDINGS[0])).expect("copied");
    let screenshots = std::env::var_os("FLOUTAGE_SCREENSHOTS")
        .map_or(dir.path().join("screenshots"), PathBuf::from);
    let before = server.site.settings_of(CAMERAS[0]);

    let output = Command::new("node")
        .arg(repository("tests/web_support/browser.mjs"))
        .env("DRIVER", driver)
        .env("CHROMIUM", chromium)
        .env("BASE", format!("http://{}", server.address))
        .env("SCREENSHOTS", screenshots)
        .env("ADMIN", format!("{}\n{}", ADMIN.0, ADMIN.1))
        .env("VIEWER", format!("{}\n{}", VIEWER.0, VIEWER.1))
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    // What the script drew and saved is what the gateway has: the first zone deleted, the drawn one and a rectangle kept.
    let after = server.site.settings_of(CAMERAS[0]);
    assert_eq!(after.zones.len(), 2, "{after:?}");
    assert!(!after.zones.contains(&before.zones[0]));
    let drawn = &after.zones[0];
    assert_eq!(drawn.len(), 4, "{after:?}");
    for (&(x, y), (near_x, near_y)) in
        drawn
            .iter()
            .zip([(0.6, 0.3), (0.9, 0.3), (0.9, 0.7), (0.55, 0.75)])
    {
        assert!(
            (x - near_x).abs() < 0.02 && (y - near_y).abs() < 0.02,
            "{drawn:?}"
        );
    }
    assert!((after.margin - 0.5).abs() < 1e-9, "{after:?}");
    assert_eq!(after.confidence_threshold, Some(0.25));
    // By finger, on the other camera.
    let touched = server.site.settings_of(CAMERAS[1]);
    assert_eq!(
        (touched.zones.len(), touched.zones[1].len()),
        (2, 3),
        "{touched:?}"
    );
}
