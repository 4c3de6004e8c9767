//! Another server that gets a camera's stream: RTSP RECORD or an SRT listener.
//!
//! One thread a target: a target that is away is asked for again, ever more slowly, and nobody else waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::config::outputs::Push;
use super::config::secret::{Secret, without_credentials};
use super::supervisor::Shared;
use super::unit::Feed;
use crate::error::{Error, Result};
use crate::gst::lock;
use crate::media::encode::Codec;
use crate::media::wiring::{make, pad, wiring};

/// Most video that waits for the target before pictures are dropped.
const WAITING: Duration = Duration::from_secs(4);
/// The first and the longest time between two attempts.
const BACKOFF: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// After so long without a fault the next one is a first one again.
const GOOD: Duration = Duration::from_secs(60);

/// A running push; it ends when this is dropped.
pub struct Pusher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pusher {
    /// Pushes the full stream of `shared` to `target`.
    ///
    /// Errors: a password that cannot be read.
    pub fn start(camera: &str, target: &Push, codec: Codec, shared: &Arc<Shared>) -> Result<Self> {
        let password = target.login().password()?;
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work {
            camera: camera.to_owned(),
            target: target.clone(),
            password,
            codec,
            shared: shared.clone(),
            stop: stop.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("push {camera}"))
            .spawn(move || work.run())
            .map_err(|error| Error::media(camera, error.to_string()))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported.
            let _ = thread.join();
        }
    }
}

struct Work {
    camera: String,
    target: Push,
    password: Option<Secret>,
    codec: Codec,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

impl Work {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn run(&self) {
        let mut attempts = 0;
        while !self.stopped() {
            let begun = Instant::now();
            let Err(error) = self.push() else { return };
            if begun.elapsed() > GOOD {
                attempts = 0;
            }
            let wait = BACKOFF[0]
                .saturating_mul(1 << attempts.min(10))
                .min(BACKOFF[1])
                .mul_f64(0.5 + fastrand::f64());
            attempts += 1;
            let problem = without_credentials(&format!("push to {}: {error}", self.target.url));
            tracing::warn!(
                "camera {}: {problem}; tried again in {:.1} s",
                self.camera,
                wait.as_secs_f64()
            );
            lock(&self.shared.report).last_error = Some(problem);
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.stopped() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Ok when it was told to stop.
    fn push(&self) -> Result<()> {
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder().build();
        let parser = make(if self.codec == Codec::H265 {
            "h265parse"
        } else {
            "h264parse"
        })?;
        parser.set_property("config-interval", -1i32);
        let mut chain: Vec<gst::Element> = vec![source.clone().upcast(), parser];
        chain.extend(self.sink()?);
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(wiring)?;
        let feed = Feed::new(source, self.codec, WAITING, self.shared.dropped.clone());
        let outcome = self.watch(&pipeline, &feed);
        feed.end();
        // Whatever it says, nothing of it is used again.
        let _ = pipeline.set_state(gst::State::Null);
        outcome
    }

    fn sink(&self) -> Result<Vec<gst::Element>> {
        if self.target.url.starts_with("srt://") {
            let sink = make("srtsink")?;
            sink.set_property("uri", &self.target.url);
            sink.set_property_from_str("mode", "caller");
            sink.set_property("wait-for-connection", false);
            sink.set_property("sync", false);
            if let Some(passphrase) = &self.password {
                sink.set_property("passphrase", passphrase.reveal());
            }
            let muxer = make("mpegtsmux")?;
            without_stream_header(&muxer)?;
            return Ok(vec![muxer, sink]);
        }
        let sink = make("rtspclientsink")?;
        sink.set_property("location", &self.target.url);
        sink.set_property("latency", 0u32);
        let tls = self.target.url.starts_with("rtsps");
        sink.set_property_from_str("protocols", if tls { "tls+tcp" } else { "tcp" });
        if let Some(user) = &self.target.user {
            sink.set_property("user-id", user);
        }
        if let Some(password) = &self.password {
            sink.set_property("user-pw", password.reveal());
        }
        Ok(vec![sink])
    }

    fn watch(&self, pipeline: &gst::Pipeline, feed: &Arc<Feed>) -> Result<()> {
        let bus = pipeline
            .bus()
            .ok_or_else(|| Error::media("push", "the pipeline has no bus"))?;
        // Why it does not start is on the bus.
        let _ = pipeline.set_state(gst::State::Playing);
        self.shared.full.add(feed.clone());
        while !self.stopped() {
            let kinds = [gst::MessageType::Error, gst::MessageType::Eos];
            let Some(message) = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(200), &kinds)
            else {
                continue;
            };
            let problem = match message.view() {
                gst::MessageView::Error(error) => error.error().message().to_owned(),
                _ => "the connection ended".into(),
            };
            return Err(Error::media("server", problem));
        }
        Ok(())
    }
}

/// Takes the stream header out of what `muxer` says about its output: srtsink would send it once and leave out every packet
/// that is marked as one, with the key frame behind it.
fn without_stream_header(muxer: &gst::Element) -> Result<()> {
    let probe = gst::PadProbeType::EVENT_DOWNSTREAM;
    pad(muxer, "src")?.add_probe(probe, |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
        {
            let mut caps = caps.caps_owned();
            for structure in caps.make_mut().iter_mut() {
                structure.remove_field("streamheader");
            }
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}
