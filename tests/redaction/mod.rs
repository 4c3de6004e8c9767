//! Redacting through the library with a detector whose answers are known.
#![allow(dead_code)] // Every test program uses its own part of this.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use floutage::detect::{Certainty, Class, Detection, Detector, SharedDetector, StageTimes};
use floutage::frame::Frame;
use floutage::geometry::BBox;
use floutage::media::encode::{Container, Encoding, Preset};
use floutage::media::pipeline::Tracking;
use floutage::media::report::{Report, Stop};
use floutage::media::video::{VideoOptions, redact_video};
use floutage::redact::{Settings, Shape, Style};
use floutage::{Error, Result};

/// A run that takes longer is stopped and fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// Finds the same in every frame.
pub struct Scripted(Vec<Detection>);

impl Scripted {
    pub fn nothing() -> SharedDetector {
        Arc::new(Mutex::new(Self(Vec::new())))
    }

    /// A licence plate, which is filled as a rectangle.
    pub fn plate(bbox: BBox) -> SharedDetector {
        Arc::new(Mutex::new(Self(vec![Detection {
            bbox,
            class: Class::Plate,
            confidence: 0.9,
            certainty: Certainty::Confident,
        }])))
    }
}

impl Detector for Scripted {
    fn detect(&mut self, _: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        Ok((self.0.clone(), StageTimes::default()))
    }
}

/// Redacts at good quality, regions without a margin; a hang ends as [`Error::Interrupted`].
pub fn redact(
    input: &Path,
    output: &Path,
    detector: SharedDetector,
    keep_audio: bool,
) -> Result<Report> {
    floutage::init().expect("GStreamer starts");
    let mut settings = Settings::default();
    settings.plate.style = Style::Fill;
    settings.plate.shape = Shape::Rectangle;
    settings.plate.margin = 0.0;
    let options = VideoOptions {
        encoding: Encoding {
            codec: Container::of(output)?.default_codec(),
            quality: 8,
            preset: Preset::UltraFast,
        },
        keep_audio,
        tracking: Tracking {
            settings: floutage::track::Settings {
                look_ahead: 0,
                hold: 0,
            },
            detect_every: 1,
        },
        overwrite: true,
        draw: false,
        strict: false,
        tally: false,
        link: None,
    };
    let (stop, over) = (Stop::new(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let started = Instant::now();
            while !over.load(Ordering::Relaxed) {
                if started.elapsed() > PATIENCE {
                    stop.request();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let outcome = redact_video(
            input,
            output,
            detector,
            &settings,
            &options,
            &stop,
            &mut |_| {},
        );
        over.store(true, Ordering::Relaxed);
        match outcome {
            Err(Error::Interrupted) => panic!("{}: it hangs", input.display()),
            outcome => outcome,
        }
    })
}
