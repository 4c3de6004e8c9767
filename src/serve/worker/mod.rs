//! One camera, in a process of its own: what crashes, hangs or eats memory here is ended and started again by the gateway,
//! and no other camera notices.
//!
//! Invariant: this process hands out redacted pictures and numbers; errors and logs hold no credentials.

mod damage;
mod encoder;
mod ladder;
mod pipeline;
mod source;

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;

use self::ladder::{Ladder, Seen};
use self::pipeline::{Camera, Outlet, WAITING, seconds};
use super::config::secret::without_credentials;
use super::wire::{self, Counts, FromWorker, Installed, Job, ToWorker};
use crate::audit::{ModelIdentity, Versions};
use crate::error::{Error, Result};
use crate::gst::lock;
use crate::sandbox::Confinement;

pub use self::encoder::live as live_encoder;

/// Works for the gateway at the other end of standard input until that closes it or the camera fails. `confine` gives up what
/// the camera does not need, before any thread is started.
///
/// Errors: standard input is not the gateway's socket.
pub fn run(confine: impl FnOnce(&Job) -> Result<Confinement>) -> Result<()> {
    let lost = |error| {
        Error::media(
            "worker",
            format!("is started by floutage serve alone ({error})"),
        )
    };
    let socket = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .map_err(lost)?;
    let mut from = socket.try_clone().map_err(lost)?;
    let (start, _) = wire::receive::<ToWorker>(&mut from).map_err(lost)?;
    let ToWorker::Start(job) = start else {
        return Err(lost(io::ErrorKind::InvalidData.into()));
    };
    let to = Arc::new(Mutex::new(socket));
    let speaker = to.clone();
    let out: Outlet = Arc::new(move |message, body| {
        if wire::send(&mut *lock(&speaker), &message, body).is_err() {
            // The gateway is gone, and nobody else wants what this makes.
            std::process::exit(0);
        }
    });
    let outcome = confine(&job)
        .map_err(Failure::from)
        .and_then(|confinement| watch(&job, &out, from, confinement));
    let failure = match outcome {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    out(
        FromWorker::Failed {
            problem: without_credentials(&failure.problem),
            lasting: failure.lasting,
        },
        &[],
    );
    Ok(())
}

/// Why the camera's pipeline ended.
struct Failure {
    problem: String,
    lasting: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let lasting = matches!(
            error,
            Error::Setting { .. } | Error::Model { .. } | Error::Runtime(_)
        );
        Self {
            problem: error.to_string(),
            lasting,
        }
    }
}

/// What finds and redacts.
fn installed(job: &Job, confinement: Confinement) -> Result<Installed> {
    Ok(Installed {
        versions: Versions::current(),
        models: ModelIdentity::of(&job.detect.detector()?)?,
        confinement: confinement.name().to_owned(),
    })
}

fn watch(
    job: &Job,
    out: &Outlet,
    mut from: UnixStream,
    confinement: Confinement,
) -> Result<(), Failure> {
    let camera = Camera::build(job, out)?;
    out(FromWorker::Installed(installed(job, confinement)?), &[]);
    let keys = camera.keys.clone();
    std::thread::spawn(move || {
        loop {
            match wire::receive::<ToWorker>(&mut from) {
                Ok((ToWorker::KeyFrame, _)) => keys.ask(),
                Ok((ToWorker::Start(_), _)) => {}
                // Without its gateway a worker has no purpose; a hung pipeline must not keep it.
                Err(_) => std::process::exit(0),
            }
        }
    });
    let outcome = play(job, &camera, out);
    // Best effort: a pipeline that does not stop ends with the process.
    let _ = camera.pipeline.set_state(gst::State::Null);
    outcome
}

fn play(job: &Job, camera: &Camera, out: &Outlet) -> Result<(), Failure> {
    let bus = camera
        .pipeline
        .bus()
        .ok_or_else(|| Error::media(&job.name, "the pipeline has no bus"))?;
    let refused = |_| Error::media(&job.name, "the pipeline does not start");
    if let Err(error) = camera.pipeline.set_state(gst::State::Playing) {
        return Err(bus.pop_filtered(&[gst::MessageType::Error]).map_or_else(
            || refused(error).into(),
            |message| failure(camera, &message),
        ));
    }
    let tracking = job.detect.tracking()?;
    let least = tracking.detect_every;
    let mut ladder = Ladder::new(least, job.detect.most_every(&tracking), job.min_fps);
    let mut watch = Watch {
        last: Instant::now(),
        decoded: 0,
        thinned: 0,
        lost: 0,
    };
    loop {
        let left = Duration::from_secs(1).saturating_sub(watch.last.elapsed());
        let wait = gst::ClockTime::try_from(left).unwrap_or_default();
        if let Some(message) =
            bus.timed_pop_filtered(wait, &[gst::MessageType::Error, gst::MessageType::Eos])
        {
            match message.view() {
                gst::MessageView::Eos(_) if camera.looped => again(camera)?,
                gst::MessageView::Eos(_) => {
                    return Err(Failure {
                        problem: "the camera ended the stream".into(),
                        lasting: false,
                    });
                }
                gst::MessageView::Error(_) => return Err(failure(camera, &message)),
                _ => {}
            }
        }
        if watch.last.elapsed() >= Duration::from_secs(1) {
            let rung = ladder.step(watch.second(camera));
            camera
                .traffic
                .every
                .store(rung.detect_every, Ordering::Relaxed);
            camera.traffic.closed.store(rung.filled, Ordering::Relaxed);
            let apart = rung.rate.map_or(0, |rate| (1e9 / rate) as u64);
            camera.traffic.apart.store(apart, Ordering::Relaxed);
            out(
                FromWorker::Status(counts(
                    camera,
                    &watch,
                    rung.detect_every,
                    rung.given_up(least),
                )),
                &[],
            );
        }
    }
}

/// Plays a file from its beginning. Everything of it has come through: its end drained the look-ahead.
fn again(camera: &Camera) -> Result<()> {
    camera
        .pipeline
        .seek_simple(gst::SeekFlags::FLUSH, gst::ClockTime::ZERO)
        .map_err(|_| {
            Error::media(
                camera.guard.input(),
                "the file cannot be played again; use MP4 or Matroska",
            )
        })
}

/// What was counted at the last full second.
struct Watch {
    last: Instant,
    decoded: u64,
    thinned: u64,
    lost: u64,
}

impl Watch {
    fn second(&mut self, camera: &Camera) -> Seen {
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let traffic = &camera.traffic;
        let (entered, thinned, decoded) = (
            load(&traffic.entered),
            load(&traffic.thinned),
            load(&traffic.decoded),
        );
        let waiting = camera.waiting();
        let elapsed = self.last.elapsed().as_secs_f64().max(0.1);
        let total = decoded.saturating_sub(entered + thinned + u64::from(waiting));
        let seen = Seen {
            waiting: f64::from(waiting) / f64::from(WAITING),
            // One can be on its way between two counters.
            lost: total.saturating_sub(self.lost + 1),
            camera_rate: (decoded - self.decoded) as f64 / elapsed,
        };
        *self = Self {
            last: Instant::now(),
            decoded,
            thinned,
            lost: self.lost.max(total),
        };
        seen
    }
}

fn counts(camera: &Camera, watch: &Watch, detect_every: u32, overload: Option<String>) -> Counts {
    let stats: gst::Structure = camera.bin.property("stats");
    let part = |name: &str| stats.get::<gst::Structure>(name).ok();
    let (detect, redact) = (part("detect"), part("redact"));
    let number = |part: &Option<gst::Structure>, name: &str| {
        part.as_ref()
            .and_then(|it| it.get::<u64>(name).ok())
            .unwrap_or(0)
    };
    Counts {
        frames: number(&redact, "frames"),
        failed_closed: number(&redact, "failed-closed"),
        damaged: number(&redact, "arrived-damaged"),
        dropped: watch.lost + watch.thinned,
        regions: [("face", "faces"), ("plate", "plates")]
            .map(|(class, name)| (class.to_owned(), number(&redact, name)))
            .into(),
        inference_seconds: number(&detect, "inference-ns") as f64 / 1e9,
        detect_every,
        latency_seconds: seconds(camera.traffic.latency.load(Ordering::Relaxed)),
        overload,
    }
}

/// What an error message means.
fn failure(camera: &Camera, message: &gst::Message) -> Failure {
    if let Some(error) = camera.guard.take_failure() {
        return error.into();
    }
    let gst::MessageView::Error(said) = message.view() else {
        return Failure {
            problem: "the pipeline failed".into(),
            lasting: false,
        };
    };
    let error = said.error();
    let debug = said.debug().unwrap_or_default();
    let lasting = error.matches(gst::ResourceError::NotAuthorized)
        || debug.contains("Unauthorized")
        || debug.contains("(401)");
    let problem = if lasting {
        "the camera refuses user or password".into()
    } else {
        error.message().to_owned()
    };
    Failure { problem, lasting }
}
