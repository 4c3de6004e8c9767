//! The gateway's configuration, in any text.

use std::path::PathBuf;
use std::sync::OnceLock;

use floutage::serve::config::{Config, edit};
use floutage::serve::state::CameraSettings;

/// A file of this process.
fn file() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| super::folder("gateway").join("floutage.toml"))
}

/// Reads `data` as the gateway's configuration. What is refused is refused with reasons; what is accepted can be edited as the page
/// does, which changes the one camera alone.
pub fn gateway_toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = text.lines().count();
            for problem in problems {
                assert!(!problem.what.is_empty());
                assert!(
                    problem
                        .line
                        .is_none_or(|line| (1..=lines + 1).contains(&line))
                );
            }
            return;
        }
    };
    assert!(!config.cameras.is_empty());
    for camera in &config.cameras {
        assert!(!camera.name.is_empty() && !camera.name.contains(['/', '\\', '\0', '!']));
        assert!(camera.name != "." && camera.name != "..");
    }
    let path = file();
    std::fs::write(path, text).expect("the temporary folder can be written");
    let camera = &config.cameras[0];
    let wanted = CameraSettings {
        zones: vec![vec![(0.0, 0.0), (0.5, 0.0), (0.5, 0.25)]],
        margin: 0.5,
        confidence_threshold: Some(0.25),
    };
    if edit::write(path, &camera.name, &wanted).is_err() {
        let same = std::fs::read_to_string(path).expect("the file is there");
        assert_eq!(same, text, "what cannot be written changes nothing");
        return;
    }
    let edited = Config::read(path).expect("what was written is accepted");
    assert_eq!(edited.cameras[0].zones, wanted.zones);
    assert_eq!(edited.cameras[0].redact.margin, Some(0.5));
    assert_eq!(edited.cameras[1..], config.cameras[1..]);
    assert_eq!(
        (&edited.rtsp, &edited.web, &edited.audit),
        (&config.rtsp, &config.web, &config.audit)
    );
}
