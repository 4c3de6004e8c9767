//! Keeps one camera's worker alive, and its outputs whatever becomes of the worker.
//!
//! Invariant: outputs get redacted pictures of the worker or the filled one, with times that only grow; a worker that says
//! nothing, hangs or crashes is ended and started again, ever more slowly up to a bound.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::config::camera::{Camera, LiveEncoding};
use super::config::secret::without_credentials;
use super::filler::Form;
use super::line::Line;
use super::report::Report;
use super::state::Health;
use super::unit::{Hub, Unit, monotonic, wall_minus_monotonic};
use super::wire::{self, Counts, FromWorker, Job, Stream, ToWorker};
use crate::Result;
use crate::gst::lock;

/// Makes the command that runs the worker of the camera named; everything else comes over its standard input.
pub type Workers = Arc<dyn Fn(&str) -> Command + Send + Sync>;

/// A new worker has so long for its first picture, for models and cameras need a while.
const FIRST_PICTURE: Duration = Duration::from_secs(20);
/// The first and the longest time between two attempts.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// The longest, where the camera or the settings refuse: cameras lock out who tries too often.
const BACKOFF_REFUSED: Duration = Duration::from_secs(60);
/// After so long without a fault the next one is a first one again.
const GOOD: Duration = Duration::from_secs(30);
/// A size for the filled picture until the camera's is known.
const UNKNOWN: Form = Form {
    width: 1280,
    height: 720,
};

/// One camera's outputs and what is known about it.
pub struct Shared {
    /// The full stream.
    pub full: Hub,
    /// The smaller one.
    pub sub: Hub,
    /// What is known.
    pub report: Mutex<Report>,
    /// Pictures that outputs dropped, or that came without their beginning.
    pub dropped: Arc<AtomicU64>,
}

impl Shared {
    /// The outputs of `stream`.
    pub fn hub(&self, stream: Stream) -> &Hub {
        match stream {
            Stream::Full => &self.full,
            Stream::Sub => &self.sub,
        }
    }
}

enum Event {
    Said(u64, FromWorker, Vec<u8>),
    Gone(u64),
    Stop,
}

/// The running supervisor; the camera stops when it is dropped.
pub struct Supervisor {
    /// Outputs and knowledge.
    pub shared: Arc<Shared>,
    events: Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts `camera` with a worker from `workers`; its outputs are those of `shared`, or new ones.
    ///
    /// Errors: settings that cannot be used.
    pub fn start(camera: &Camera, workers: Workers, shared: Option<Arc<Shared>>) -> Result<Self> {
        let encoding = camera.encode.resolve()?;
        let shared = shared.unwrap_or_else(|| {
            Arc::new(Shared {
                full: Hub::default(),
                sub: Hub::default(),
                report: Mutex::new(Report::new()),
                dropped: Arc::default(),
            })
        });
        let (events, queue) = channel();
        let speaker: Arc<Mutex<Option<UnixStream>>> = Arc::default();
        for hub in [&shared.full, &shared.sub] {
            let speaker = speaker.clone();
            hub.on_key_asked(move || ask_for_key(&speaker));
        }
        let keeper = Keeper {
            camera: camera.clone(),
            encoding,
            workers,
            shared: shared.clone(),
            events: events.clone(),
            speaker,
            worker: None,
            generation: 0,
            attempts: 0,
            next_start: Instant::now(),
            streams: [Line::new(UNKNOWN), Line::new(small(UNKNOWN, camera))],
            rate: (Instant::now(), 0),
        };
        let thread = std::thread::Builder::new()
            .name(format!("camera {}", camera.name))
            .spawn(move || keeper.run(&queue))
            .map_err(|error| crate::Error::media(&camera.name, error.to_string()))?;
        Ok(Self {
            shared,
            events,
            thread: Some(thread),
        })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The thread may be over.
        let _ = self.events.send(Event::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn ask_for_key(speaker: &Mutex<Option<UnixStream>>) {
    if let Some(socket) = &mut *lock(speaker) {
        // A worker that does not listen is dealt with elsewhere; it must not make this thread wait.
        let _ = wire::send(socket, &ToWorker::KeyFrame, &[]);
    }
}

fn small(form: Form, camera: &Camera) -> Form {
    let Some(sub) = &camera.sub else { return form };
    let width = sub.width.min(form.width);
    let height =
        (u64::from(form.height) * u64::from(width) / u64::from(form.width.max(1))) as u32 & !1;
    Form {
        width,
        height: height.max(16),
    }
}

struct Worker {
    child: Child,
    started: Instant,
    last_unit: Option<Instant>,
    overload: bool,
    problem: Option<(String, bool)>,
}

struct Keeper {
    camera: Camera,
    encoding: LiveEncoding,
    workers: Workers,
    shared: Arc<Shared>,
    events: Sender<Event>,
    speaker: Arc<Mutex<Option<UnixStream>>>,
    worker: Option<Worker>,
    generation: u64,
    attempts: u32,
    next_start: Instant,
    streams: [Line; 2],
    rate: (Instant, u64),
}

impl Keeper {
    fn run(mut self, queue: &Receiver<Event>) {
        loop {
            if self.worker.is_none() && Instant::now() >= self.next_start {
                self.start();
            }
            match queue.recv_timeout(Duration::from_millis(100)) {
                Ok(Event::Said(generation, message, body)) if generation == self.generation => {
                    self.hear(message, body)
                }
                Ok(Event::Gone(generation)) if generation == self.generation => self.lost(),
                Ok(Event::Said(..) | Event::Gone(_)) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.watch();
            self.fill();
        }
        self.end_worker();
    }

    fn start(&mut self) {
        self.generation += 1;
        match self.spawn() {
            Ok(child) => {
                self.worker = Some(Worker {
                    child,
                    started: Instant::now(),
                    last_unit: None,
                    overload: false,
                    problem: None,
                });
            }
            Err(error) => self.failed(
                &error.to_string(),
                matches!(
                    error,
                    crate::Error::Setting { .. } | crate::Error::Io { .. }
                ),
            ),
        }
    }

    fn spawn(&self) -> Result<Child> {
        let job = self.job()?;
        let broken = |error: std::io::Error| {
            crate::Error::media(
                &self.camera.name,
                format!("its process does not start: {error}"),
            )
        };
        let (ours, theirs) = UnixStream::pair().map_err(broken)?;
        // A worker that hangs must not make this process wait.
        ours.set_write_timeout(Some(Duration::from_millis(200)))
            .map_err(broken)?;
        let child = (self.workers)(&self.camera.name)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(broken)?;
        let mut speaker = ours.try_clone().map_err(broken)?;
        wire::send(&mut speaker, &ToWorker::Start(Box::new(job)), &[]).map_err(broken)?;
        speaker.flush().map_err(broken)?;
        *lock(&self.speaker) = Some(speaker);
        let (events, generation, mut from) = (self.events.clone(), self.generation, ours);
        std::thread::Builder::new()
            .name(format!("from {}", self.camera.name))
            .spawn(move || {
                while let Ok((message, body)) = wire::receive::<FromWorker>(&mut from) {
                    if events.send(Event::Said(generation, message, body)).is_err() {
                        return;
                    }
                }
                // Nobody waits for it when the camera was stopped.
                let _ = events.send(Event::Gone(generation));
            })
            .map_err(broken)?;
        Ok(child)
    }

    fn job(&self) -> Result<Job> {
        let camera = &self.camera;
        Ok(Job {
            name: camera.name.clone(),
            source: camera.source.clone(),
            user: camera.user.clone(),
            password: camera.login().password()?,
            certificate: camera.certificate.clone(),
            transport: camera.transport,
            jitter: camera.jitter.0.as_millis() as u32,
            zones: camera.zones.clone(),
            min_fps: camera.min_fps,
            detect: camera.detect.clone(),
            redact: camera.redact.clone(),
            encode: camera.encode.clone(),
            sub: camera.sub.clone(),
            size: lock(&self.shared.report).size,
        })
    }

    fn hear(&mut self, message: FromWorker, body: Vec<u8>) {
        match message {
            FromWorker::Unit {
                stream,
                time,
                key,
                clock,
            } => self.picture(stream, time, key, clock, body),
            FromWorker::Format {
                stream,
                width,
                height,
            } => {
                self.streams[stream as usize].form = Form { width, height };
                if stream == Stream::Full {
                    lock(&self.shared.report).size = Some((width, height));
                }
            }
            FromWorker::Installed(installed) => {
                lock(&self.shared.report).installed = Some(installed);
            }
            FromWorker::Snapshot => lock(&self.shared.report).snapshot = Some(Arc::new(body)),
            FromWorker::Status(counts) => self.status(counts),
            FromWorker::Failed { problem, lasting } => {
                if let Some(worker) = &mut self.worker {
                    worker.problem = Some((problem, lasting));
                }
            }
        }
    }

    fn picture(&mut self, stream: Stream, time: u64, key: bool, clock: Option<i64>, body: Vec<u8>) {
        let line = &mut self.streams[stream as usize];
        if line.needs_key && !key {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        line.needs_key = false;
        let now = Instant::now();
        line.last_picture = Some(now);
        let unit = Unit {
            data: gst::Buffer::from_slice(body),
            time: line.stamp(time.min(monotonic())),
            key,
            filled: false,
            clock: clock.unwrap_or_else(wall_minus_monotonic),
        };
        self.shared.hub(stream).give(&unit);
        if stream == Stream::Full
            && let Some(worker) = &mut self.worker
        {
            worker.last_unit = Some(now);
            if now - worker.started > GOOD {
                self.attempts = 0;
            }
            let overload = worker.overload;
            lock(&self.shared.report).turn(if overload {
                Health::Degraded
            } else {
                Health::Live
            });
        }
    }

    fn status(&mut self, counts: Counts) {
        let mut report = lock(&self.shared.report);
        let seconds = self.rate.0.elapsed().as_secs_f64();
        let frames = counts.frames.saturating_sub(self.rate.1);
        // Smoothed over a few seconds.
        let rate = frames as f64 / seconds.max(0.1);
        report.frames_per_second = if self.rate.1 == 0 {
            rate
        } else {
            report.frames_per_second.mul_add(0.5, rate * 0.5)
        };
        self.rate = (Instant::now(), counts.frames);
        if let Some(worker) = &mut self.worker {
            worker.overload = counts.overload.is_some();
        }
        if counts.overload.is_some() && report.last_error != counts.overload {
            report.last_error.clone_from(&counts.overload);
        }
        report.now = counts;
    }

    /// Ends a worker from which nothing comes.
    fn watch(&mut self) {
        let Some(worker) = &self.worker else { return };
        let stall = self.camera.stall_timeout.0;
        let silent = match worker.last_unit {
            Some(last) => last.elapsed() > stall,
            None => worker.started.elapsed() > stall.max(FIRST_PICTURE),
        };
        let filling = worker.overload
            && lock(&self.shared.report).now.overload.is_some()
            && worker.started.elapsed() < Duration::from_secs(3600);
        if silent
            && !(filling
                && worker
                    .last_unit
                    .is_some_and(|last| last.elapsed() < stall + Duration::from_secs(20)))
        {
            let problem = format!("no picture for {} seconds", stall.as_secs());
            self.end_worker();
            self.failed(&problem, false);
        }
    }

    /// The worker's socket was closed.
    fn lost(&mut self) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        let said = worker.problem.take();
        // It said its last word, or broke the rules.
        let _ = worker.child.kill();
        let status = worker.child.wait().ok();
        let (problem, lasting) = said.unwrap_or_else(|| (ended(status), false));
        self.failed(&problem, lasting);
    }

    fn end_worker(&mut self) {
        self.generation += 1;
        *lock(&self.speaker) = None;
        if let Some(mut worker) = self.worker.take() {
            // It holds nothing that is worth a farewell. A process that is gone cannot be killed.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }

    fn failed(&mut self, problem: &str, lasting: bool) {
        *lock(&self.speaker) = None;
        let most = if lasting { BACKOFF_REFUSED } else { BACKOFF[1] };
        let wait = BACKOFF[0]
            .saturating_mul(1 << self.attempts.min(10))
            .min(most);
        // Cameras that fell together do not come back together.
        let wait = wait.mul_f64(0.5 + fastrand::f64());
        self.attempts += 1;
        self.next_start = Instant::now() + wait;
        let problem = without_credentials(problem);
        tracing::warn!(
            "camera {}: {problem}; tried again in {:.1} s",
            self.camera.name,
            wait.as_secs_f64()
        );
        let mut report = lock(&self.shared.report);
        report.turn(if lasting {
            Health::Failed
        } else {
            Health::Reconnecting
        });
        report.last_error = Some(problem);
        report.reconnects += 1;
        report.past = report.counts();
        report.now = Counts {
            detect_every: report.now.detect_every,
            ..Counts::default()
        };
        report.frames_per_second = 0.0;
        self.rate = (Instant::now(), 0);
    }

    /// Shows the filled picture where there is none.
    fn fill(&mut self) {
        let streams: &[Stream] = if self.camera.sub.is_some() {
            &[Stream::Full, Stream::Sub]
        } else {
            &[Stream::Full]
        };
        for &stream in streams {
            let line = &mut self.streams[stream as usize];
            let unit = match line.filled(&self.camera.name, &self.encoding) {
                Ok(Some(unit)) => unit,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!("camera {}: {error}", self.camera.name);
                    continue;
                }
            };
            self.shared.hub(stream).give(&unit);
            // What comes next of a worker that only paused cannot be decoded without.
            if self
                .worker
                .as_ref()
                .is_some_and(|worker| worker.last_unit.is_some())
            {
                ask_for_key(&self.speaker);
            }
        }
    }
}

/// Why a worker that did not say so ended.
fn ended(status: Option<std::process::ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.and_then(|status| status.signal()) {
        Some(signal) => format!("its process was ended by signal {signal}"),
        None => "its process ended".into(),
    }
}
