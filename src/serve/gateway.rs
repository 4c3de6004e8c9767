//! The running gateway: cameras as the configuration has them, their outputs, and what the page asks.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::config::Config;
use super::config::camera::Camera;
use super::config::{Problem, edit};
use super::rtsp::Server;
use super::state::{CameraSettings, CameraStatus, Recording, Site};
use super::supervisor::{Supervisor, Workers};
use crate::error::{Error, Result};
use crate::gst::lock;

/// A camera that runs.
struct Running {
    camera: Camera,
    supervisor: Supervisor,
}

/// The gateway; everything stops when it is dropped.
pub struct Gateway {
    path: PathBuf,
    workers: Workers,
    server: Server,
    state: Mutex<State>,
}

struct State {
    config: Config,
    cameras: Vec<Running>,
}

/// Everything that is wrong with the configuration in one error.
fn all(path: &Path, problems: &[Problem]) -> Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Error::media(path.display().to_string(), lines.join("\n  "))
}

impl Gateway {
    /// Starts what the configuration file `path` describes, with camera processes from `workers`.
    ///
    /// Errors: the configuration is wrong, or an address cannot be listened on.
    pub fn start(path: &Path, workers: Workers) -> Result<Self> {
        let config = Config::read(path).map_err(|problems| all(path, &problems))?;
        let server = Server::start(&config.rtsp)?;
        let gateway = Self {
            path: path.to_owned(),
            workers,
            server,
            state: Mutex::new(State {
                config: config.clone(),
                cameras: Vec::new(),
            }),
        };
        {
            let mut state = lock(&gateway.state);
            for camera in &config.cameras {
                let running = gateway.run(camera, &config)?;
                state.cameras.push(running);
            }
        }
        Ok(gateway)
    }

    /// The configuration as it was last taken up.
    pub fn config(&self) -> Config {
        lock(&self.state).config.clone()
    }

    /// The RTSP server's port.
    pub fn rtsp_port(&self) -> i32 {
        self.server.port()
    }

    fn run(&self, camera: &Camera, config: &Config) -> Result<Running> {
        let supervisor = Supervisor::start(camera, self.workers.clone(), None)?;
        let codec = camera.encode.resolve()?.codec;
        self.server.add(
            &camera.name,
            codec,
            camera.sub.is_some(),
            config.rtsp.multicast,
            &supervisor.shared,
        )?;
        Ok(Running {
            camera: camera.clone(),
            supervisor,
        })
    }

    /// Takes up the configuration file as it is now: cameras that did not change go on as if nothing had happened.
    ///
    /// Errors: the configuration is wrong; everything goes on as before.
    pub fn reload(&self) -> Result<()> {
        let config = Config::read(&self.path).map_err(|problems| all(&self.path, &problems))?;
        let mut state = lock(&self.state);
        if config.rtsp != state.config.rtsp || config.web != state.config.web {
            tracing::warn!("[rtsp] and [web] are taken up when floutage is started again");
        }
        let mut before = std::mem::take(&mut state.cameras);
        for camera in &config.cameras {
            let known = before
                .iter()
                .position(|running| running.camera.name == camera.name);
            match known.map(|index| before.remove(index)) {
                Some(running) if running.camera == *camera => state.cameras.push(running),
                other => {
                    if let Some(running) = other {
                        self.stop(running);
                    }
                    state.cameras.push(self.run(camera, &config)?);
                }
            }
        }
        before.into_iter().for_each(|running| self.stop(running));
        state.config = config;
        Ok(())
    }

    fn stop(&self, running: Running) {
        self.server.remove(&running.camera.name);
        drop(running);
    }
}

impl Site for Gateway {
    fn cameras(&self) -> Vec<CameraStatus> {
        let state = lock(&self.state);
        state
            .cameras
            .iter()
            .map(|running| self.status(running))
            .collect()
    }

    fn settings(&self, camera: &str) -> Option<CameraSettings> {
        let state = lock(&self.state);
        let camera = &state
            .cameras
            .iter()
            .find(|running| running.camera.name == camera)?
            .camera;
        let margin = camera.redact.settings(&[]).ok()?.face.margin;
        Some(CameraSettings {
            zones: camera.zones.clone(),
            margin: f64::from(margin),
            confidence_threshold: camera.detect.confidence_threshold.map(f64::from),
        })
    }

    fn change(&self, camera: &str, settings: CameraSettings) -> Result<(), Error> {
        edit::write(&self.path, camera, &settings)?;
        self.reload()
    }

    fn recordings(&self, _camera: &str) -> Vec<Recording> {
        Vec::new()
    }

    fn recording_path(&self, _camera: &str, _file: &str) -> Option<PathBuf> {
        None
    }

    fn hls(&self, _camera: &str, _name: &str) -> Option<(Vec<u8>, &'static str)> {
        None
    }

    fn snapshot(&self, camera: &str) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        let running = state
            .cameras
            .iter()
            .find(|running| running.camera.name == camera)?;
        let snapshot = lock(&running.supervisor.shared.report).snapshot.clone();
        snapshot.map(|snapshot| snapshot.to_vec())
    }

    fn ready(&self) -> bool {
        let state = lock(&self.state);
        state.cameras.len() == state.config.cameras.len()
    }
}

impl Gateway {
    fn status(&self, running: &Running) -> CameraStatus {
        let shared = &running.supervisor.shared;
        let report = lock(&shared.report).clone();
        let counts = report.counts();
        let (width, height) = report.size.unwrap_or_default();
        CameraStatus {
            name: running.camera.name.clone(),
            health: report.health,
            since: report.since,
            width,
            height,
            frames_per_second: report.frames_per_second,
            latency: std::time::Duration::from_secs_f64(counts.latency_seconds.max(0.0)),
            detect_every: counts.detect_every.max(1),
            frames: counts.frames,
            frames_failed_closed: counts.failed_closed,
            frames_dropped: counts.dropped
                + shared.dropped.load(std::sync::atomic::Ordering::Relaxed),
            regions: counts.regions,
            inference_seconds: counts.inference_seconds,
            reconnects: report.reconnects,
            last_error: report.last_error,
            recording: false,
            clients: self.server.clients(&running.camera.name),
        }
    }
}
