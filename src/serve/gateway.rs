//! The running gateway: cameras as the configuration has them, their outputs, and what the page asks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use super::config::Config;
use super::config::camera::Camera;
use super::config::outputs::Recording as RecordingSettings;
use super::config::{Problem, edit};
use super::confine::Places;
use super::fragments::{Muxer, Taker};
use super::hls::Live;
use super::push::Pusher;
use super::record::{Recorder, Seen};
use super::recordings;
use super::rtsp::Server;
use super::sealed::{Seal, Sealer};
use super::state::{CameraSettings, CameraStatus, Recording, Site};
use super::supervisor::{Shared, Supervisor, Workers};
use crate::audit::state_folder;
use crate::error::{Error, Result};
use crate::gst::lock;

/// A camera that runs.
struct Running {
    camera: Camera,
    supervisor: Supervisor,
    /// Ends after the supervisor, with everything that it got.
    _muxer: Option<Muxer>,
    _pushers: Vec<Pusher>,
    live: Option<Live>,
    recorded: Option<Recorded>,
}

/// Where a camera's recordings are.
struct Recorded {
    settings: RecordingSettings,
    seen: Seen,
}

/// The gateway; everything stops when it is dropped.
pub struct Gateway {
    path: PathBuf,
    workers: Workers,
    server: Server,
    state: Mutex<State>,
    /// What this process is confined to.
    places: Mutex<Option<Places>>,
    /// Ends after all cameras, with everything that they have to say.
    sealer: Option<Sealer>,
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

/// Opens the record `log`.
fn seal(log: &Path, config: &Config) -> Result<Sealer> {
    let state = state_folder().ok_or_else(|| {
        let problem = "there is no home folder for its key: set XDG_STATE_HOME";
        Error::media(log.display().to_string(), problem)
    })?;
    let recorded = |camera: &&Camera| camera.record.enabled == Some(true);
    let settings = serde_json::json!({
        "cameras": config.cameras.len(),
        "recorded": config.cameras.iter().filter(recorded).count(),
        "retention": retentions(config)?,
    });
    Sealer::start(log, &state, settings)
}

/// For how long recordings are kept, and how much of them, each way once; empty where nothing bounds it.
fn retentions(config: &Config) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for camera in &config.cameras {
        if let Some(recording) = camera.record.resolve(&camera.name)? {
            let age = recording.retention.age.map(|age| age.to_string());
            let size = recording.retention.size.map(|size| size.to_string());
            let both: Vec<String> = age.into_iter().chain(size).collect();
            all.insert(both.join(", "));
        }
    }
    Ok(all)
}

impl Gateway {
    /// Starts what the configuration file `path` describes, with camera processes from `workers`.
    ///
    /// Errors: the configuration is wrong, an address cannot be listened on, or the record that it names cannot be written.
    pub fn start(path: &Path, workers: Workers) -> Result<Self> {
        Self::start_with(path, workers, None)
    }

    /// As [`start`](Self::start), with the record in `log`, if one is given, instead of the one in the configuration.
    ///
    /// Errors: as of [`start`](Self::start).
    pub fn start_with(path: &Path, workers: Workers, log: Option<&Path>) -> Result<Self> {
        let config = Self::read(path)?;
        let sealer = log
            .or(config.audit.log.as_deref())
            .map(|log| seal(log, &config))
            .transpose()?;
        let server = Server::start(&config.rtsp)?;
        let gateway = Self {
            path: path.to_owned(),
            workers,
            server,
            state: Mutex::new(State {
                config: config.clone(),
                cameras: Vec::new(),
            }),
            places: Mutex::default(),
            sealer,
        };
        {
            let mut state = lock(&gateway.state);
            for camera in &config.cameras {
                let running = gateway.run(camera)?;
                state.cameras.push(running);
            }
        }
        Ok(gateway)
    }

    /// The configuration in the file `path`.
    ///
    /// Errors: everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Config> {
        Config::read(path).map_err(|problems| all(path, &problems))
    }

    /// Says to what this process has confined itself: configurations that need more are refused from now on.
    pub fn is_confined_to(&self, places: Places) {
        *lock(&self.places) = Some(places);
    }

    /// The configuration as it was last taken up.
    pub fn config(&self) -> Config {
        lock(&self.state).config.clone()
    }

    /// The RTSP server's port.
    pub fn rtsp_port(&self) -> i32 {
        self.server.port()
    }

    fn run(&self, camera: &Camera) -> Result<Running> {
        let supervisor = Supervisor::start(camera, self.workers.clone(), None)?;
        let codec = camera.encode.resolve()?.codec;
        let shared = &supervisor.shared;
        self.server
            .add(&camera.name, codec, camera.sub.is_some(), shared)?;
        let live = camera.hls.then(Live::default);
        let mut takers: Vec<Box<dyn Taker>> = Vec::new();
        if let Some(live) = &live {
            takers.push(Box::new(live.clone()));
        }
        let recorded = camera
            .record
            .resolve(&camera.name)?
            .map(|settings| Recorded {
                settings,
                seen: Seen::default(),
            });
        if let Some(recorded) = &recorded {
            let teller = shared.clone();
            let tell = Box::new(move |problem| lock(&teller.report).last_error = Some(problem));
            takers.push(Box::new(Recorder::new(
                recorded.settings.clone(),
                recorded.seen.clone(),
                tell,
                self.seal(camera, shared)?,
            )));
        }
        let muxer = if takers.is_empty() {
            None
        } else {
            let muxer = Muxer::start(&camera.name, codec, takers, shared.dropped.clone())?;
            shared.full.add(muxer.output());
            Some(muxer)
        };
        let pushers = camera
            .push
            .iter()
            .map(|target| Pusher::start(&camera.name, target, codec, shared))
            .collect::<Result<_>>()?;
        Ok(Running {
            camera: camera.clone(),
            supervisor,
            _muxer: muxer,
            _pushers: pushers,
            live,
            recorded,
        })
    }

    /// The record of `camera`; none where none is kept.
    fn seal(&self, camera: &Camera, shared: &Arc<Shared>) -> Result<Option<Seal>> {
        let Some(sealer) = &self.sealer else {
            return Ok(None);
        };
        let shared = shared.clone();
        let seen = move || {
            let report = lock(&shared.report);
            (report.counts(), report.installed.clone())
        };
        sealer.camera(camera, Arc::new(seen)).map(Some)
    }

    /// Takes up the configuration file as it is now: cameras that did not change go on as if nothing had happened.
    ///
    /// Errors: the configuration is wrong; everything goes on as before.
    pub fn reload(&self) -> Result<()> {
        let config = Self::read(&self.path)?;
        if let Some(places) = &*lock(&self.places)
            && let Some(lacking) = places.lacking(&Places::of(&config, &self.path, None)?)
        {
            let problem = format!(
                "{} is not within what floutage confined itself to when it started: start it again to take up this configuration",
                lacking.display()
            );
            return Err(Error::media(self.path.display().to_string(), problem));
        }
        let mut state = lock(&self.state);
        if config.rtsp != state.config.rtsp
            || config.web != state.config.web
            || config.audit != state.config.audit
        {
            tracing::warn!("[rtsp], [web] and [audit] are taken up when floutage is started again");
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
                    state.cameras.push(self.run(camera)?);
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

    fn recordings(&self, camera: &str) -> Vec<Recording> {
        let folder = self.of(camera, |running| {
            Some(running.recorded.as_ref()?.settings.directory.clone())
        });
        folder.map_or_else(Vec::new, |folder| recordings::list(&folder))
    }

    fn recording_path(&self, camera: &str, file: &str) -> Option<PathBuf> {
        let folder = self.of(camera, |running| {
            Some(running.recorded.as_ref()?.settings.directory.clone())
        })?;
        let known = recordings::list(&folder)
            .into_iter()
            .any(|recording| recording.file == file);
        known.then(|| folder.join(file))
    }

    fn hls(&self, camera: &str, name: &str) -> Option<(Vec<u8>, &'static str)> {
        self.of(camera, |running| running.live.clone())?.part(name)
    }

    fn snapshot(&self, camera: &str) -> Option<Vec<u8>> {
        let snapshot = self.of(camera, |running| {
            lock(&running.supervisor.shared.report).snapshot.clone()
        })?;
        Some(snapshot.to_vec())
    }

    fn ready(&self) -> bool {
        let state = lock(&self.state);
        state.cameras.len() == state.config.cameras.len()
    }
}

impl Gateway {
    /// What `look` finds of `camera`.
    fn of<T>(&self, camera: &str, look: impl FnOnce(&Running) -> Option<T>) -> Option<T> {
        let state = lock(&self.state);
        look(
            state
                .cameras
                .iter()
                .find(|running| running.camera.name == camera)?,
        )
    }

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
            frames_damaged: counts.damaged,
            frames_dropped: counts.dropped + shared.dropped.load(Relaxed),
            regions: counts.regions,
            inference_seconds: counts.inference_seconds,
            reconnects: report.reconnects,
            last_error: report.last_error,
            recording: running
                .recorded
                .as_ref()
                .is_some_and(|it| it.seen.recording.load(Relaxed)),
            clients: self.server.clients(&running.camera.name),
        }
    }
}
