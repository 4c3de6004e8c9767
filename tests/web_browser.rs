//! The page in a real browser: headless Chromium, driven by `tests/web_support/browser.mjs`.
//!
//! Screenshots go into the folder `FLOUTAGE_SCREENSHOTS`, if set.

mod common;
mod web_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{ffmpeg, repository, run_tool, skip, temp_dir};
use web_support::{ADMIN, CAMERAS, EPOCH, RECORDINGS, Server, VIEWER};

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

/// ffmpeg on `seconds` of a moving picture of this size, in H.264 with a key frame every second.
fn moving(size: &str, seconds: u64) -> Command {
    let mut command = ffmpeg();
    let source = format!("testsrc2=size={size}:rate=15");
    command.args(["-f", "lavfi", "-i", &source, "-t", &seconds.to_string()]);
    command.args([
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
    ]);
    command.args(["-g", "15", "-keyint_min", "15", "-sc_threshold", "0"]);
    command
}

/// Parts of a live stream of two sizes: `a-init.mp4`, `a0.m4s`...
fn stream(folder: &Path) -> Vec<(String, Vec<u8>)> {
    for (kind, size) in [("a", "640x360"), ("b", "480x270")] {
        let mut command = moving(size, EPOCH);
        command.args(["-f", "hls", "-hls_time", "1", "-hls_list_size", "0"]);
        command.args(["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename"]);
        command
            .arg(format!("{kind}-init.mp4"))
            .arg("-hls_segment_filename");
        command.arg(format!("{kind}%d.m4s")).arg("index.m3u8");
        run_tool(command.current_dir(folder));
    }
    let entries = std::fs::read_dir(folder).expect("readable");
    let parts = entries.map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name");
        (name, std::fs::read(entry.path()).expect("readable"))
    });
    parts.filter(|(name, _)| name != "index.m3u8").collect()
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
    let server = Server::new();
    let parts = stream(dir.path());
    server.site.hls.lock().unwrap().extend(parts);
    let mut command = moving("640x360", 6);
    command.args(["-movflags", "frag_keyframe+empty_moov"]);
    run_tool(command.arg(server.site.recording(RECORDINGS[0])));
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
