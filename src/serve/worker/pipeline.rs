//! The pipeline of one camera.
//!
//! ```text
//! source ─ decoder ─ queue ─ videoconvert ─ floutagebin ─ videoscale ─┬ queue ─ encoder ─ out: full
//!                   (leaky)                        (ends in the gate)  ├ queue ─ videoscale ─ encoder ─ out: sub
//!                                                                      └ queue ─ jpegenc ─ out: snapshot
//! ```
//!
//! Invariant: every way out begins behind `floutagebin`, whose last element is the gate.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use super::damage::Damage;
use super::encoder::{KeyFrames, live, smaller};
use super::source::{self, CameraClock, Entrance, UNKNOWN};
use crate::detect::open;
use crate::error::Result;
use crate::gst::bin::FloutageBin;
use crate::gst::lock;
use crate::media::decoder_log::DecoderLog;
use crate::media::guard::Guard;
use crate::media::wiring::{make, pad, queue, wiring};
use crate::serve::wire::{FromWorker, Job, Stream};

/// Decoded pictures that wait for analysis at most.
pub const WAITING: u32 = 8;
/// Time between two snapshots.
const SNAPSHOTS: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// Takes what leaves the pipeline.
pub type Outlet = Arc<dyn Fn(FromWorker, &[u8]) + Send + Sync>;

/// What streaming threads and the ladder share.
#[derive(Default)]
pub struct Traffic {
    /// Pictures decoded.
    pub decoded: AtomicU64,
    /// Pictures that went on to be analysed.
    pub entered: AtomicU64,
    /// Pictures left out on purpose.
    pub thinned: AtomicU64,
    /// Microseconds from arrival to leaving the encoder, of the last picture.
    pub latency: AtomicU64,
    /// Nothing is let in.
    pub closed: AtomicBool,
    /// Least nanoseconds between two pictures; 0: any.
    pub apart: AtomicU64,
    /// One of so many pictures is to be analysed.
    pub every: AtomicU32,
    /// Width of the output.
    pub width: AtomicU32,
}

/// A camera's pipeline, not yet started.
pub struct Camera {
    /// The elements.
    pub pipeline: gst::Pipeline,
    /// The redacting part.
    pub bin: FloutageBin,
    /// Where decoded pictures wait.
    pub room: gst::Element,
    /// What passes.
    pub traffic: Arc<Traffic>,
    /// What fails on streaming threads.
    pub guard: Arc<Guard>,
    /// Key frames on request.
    pub keys: Arc<KeyFrames>,
    /// Whether it is a file that begins anew at its end.
    pub looped: bool,
    /// Hears of damage.
    _log: DecoderLog,
}

impl Camera {
    /// The pipeline of `job`; what leaves it goes to `out`.
    ///
    /// Errors: a setting, a model or an element that cannot be used.
    pub fn build(job: &Job, out: &Outlet) -> Result<Self> {
        let encoding = job.encode.resolve()?;
        let tracking = job.detect.tracking()?;
        let pipeline = gst::Pipeline::new();
        let guard = Guard::new(job.name.clone(), &pipeline);
        let traffic = Arc::new(Traffic::default());
        let camera_clock: CameraClock = Arc::new(UNKNOWN.into());

        let room = queue(WAITING, 0)?;
        room.set_property_from_str("leaky", "downstream");
        let formats = make("capsfilter")?;
        formats.set_property("caps", crate::gst::video::caps());
        let bin: FloutageBin = glib::Object::new();
        bin.detect()
            .set_detector(Arc::new(Mutex::new(open(&job.detect.detector()?)?)));
        bin.detect().fill_damaged();
        bin.redact()
            .set_settings(job.redact.settings(&job.zones)?)?;
        bin.track().set_settings(tracking.settings)?;
        bin.set_property("detect-every", tracking.detect_every);
        let fit = make("videoscale")?;
        fit.set_property("add-borders", true);
        let size = make("capsfilter")?;
        let tee = make("tee")?;
        let chain = [
            room.clone(),
            make("videoconvert")?,
            formats,
            bin.clone().upcast(),
            fit,
            size.clone(),
            tee.clone(),
        ];
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(wiring)?;
        thin(&room, &bin, &traffic, &guard)?;
        traffic
            .every
            .store(tracking.detect_every, Ordering::Relaxed);
        let sub_size = make("capsfilter")?;
        hold_size(&bin, job, [size, sub_size.clone()], &traffic, &guard)?;

        let mut encoders = Vec::new();
        let way = Way {
            pipeline: &pipeline,
            out,
            traffic: &traffic,
            guard: &guard,
            clock: &camera_clock,
        };
        let full = live(&encoding)?;
        encoders.push(full[0].clone());
        way.stream(&tee, vec![queue(2, 0)?], full, Stream::Full)?;
        if let Some(sub) = &job.sub {
            let coded = live(&smaller(&encoding, sub.bitrate))?;
            encoders.push(coded[0].clone());
            way.stream(
                &tee,
                vec![queue(2, 0)?, make("videoscale")?, sub_size],
                coded,
                Stream::Sub,
            )?;
        }
        way.snapshots(&tee)?;
        let interval = gst::ClockTime::try_from(encoding.key_interval)
            .unwrap_or(gst::ClockTime::from_seconds(2));
        let keys = KeyFrames::keep(&encoders, interval, &guard)?;
        let damage = Arc::new(Damage::default());
        let log = damage.listen();
        let entrance = Entrance {
            entry: room.clone(),
            guard: guard.clone(),
            damage,
        };
        let looped = source::add(job, &entrance, &camera_clock)?.looped;
        Ok(Self {
            pipeline,
            bin,
            room,
            traffic,
            guard,
            keys,
            looped,
            _log: log,
        })
    }

    /// Pictures waiting for analysis.
    pub fn waiting(&self) -> u32 {
        self.room.property("current-level-buffers")
    }
}

/// Counts pictures before and behind the waiting room, lets in as many as the ladder allows, and has the pictures on both
/// sides of a gap analysed: between two analyses there are but the camera's own intervals, so tracks cannot turn unseen.
///
/// A full room turns away what comes, and not what waits: so the picture before the gap is still to be analysed.
fn thin(
    room: &gst::Element,
    bin: &FloutageBin,
    traffic: &Arc<Traffic>,
    guard: &Arc<Guard>,
) -> Result<()> {
    let before = traffic.clone();
    let gaps: Arc<Mutex<Gaps>> = Arc::default();
    let (notes, waits) = (gaps.clone(), room.clone());
    let next: Mutex<Option<u64>> = Mutex::new(None);
    guard.probe(
        &pad(room, "sink")?,
        gst::PadProbeType::BUFFER,
        move |_, info| {
            before.decoded.fetch_add(1, Ordering::Relaxed);
            let time = info
                .buffer()
                .and_then(|buffer| buffer.pts())
                .map_or(0, gst::ClockTime::nseconds);
            let apart = before.apart.load(Ordering::Relaxed);
            let mut next = lock(&next);
            let mut early = false;
            if apart == 0 {
                *next = None;
            } else {
                let due = next.unwrap_or(time);
                // A tenth of the distance forgives a camera's jitter; times that jump begin anew.
                early = time + apart / 10 < due && due < time + 2 * apart;
                if !early {
                    *next = Some(if time < due + apart && time + apart > due {
                        due + apart
                    } else {
                        time + apart
                    });
                }
            }
            let full = waits.property::<u32>("current-level-buffers") + 1 >= WAITING;
            let mut gaps = lock(&notes);
            if early || before.closed.load(Ordering::Relaxed) {
                before.thinned.fetch_add(1, Ordering::Relaxed);
                return Ok(gst::PadProbeReturn::Handled);
            }
            if full {
                gaps.open = true;
                return Ok(gst::PadProbeReturn::Handled);
            }
            if std::mem::take(&mut gaps.open) {
                let last = gaps.last;
                gaps.edges.extend([last, time]);
            }
            gaps.last = time;
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    let (behind, bin) = (traffic.clone(), bin.clone());
    guard.probe(
        &pad(room, "src")?,
        gst::PadProbeType::BUFFER,
        move |_, info| {
            behind.entered.fetch_add(1, Ordering::Relaxed);
            let time = info
                .buffer()
                .and_then(|buffer| buffer.pts())
                .map_or(0, gst::ClockTime::nseconds);
            let mut gaps = lock(&gaps);
            // The picture before a gap that is still open has nothing after it as yet.
            let edge = gaps.edges.contains(&time) || (gaps.open && gaps.last == time);
            gaps.edges.retain(|edge| *edge > time);
            let every = if edge {
                1
            } else {
                behind.every.load(Ordering::Relaxed).max(1)
            };
            // The detector is on this thread, and has this picture next.
            bin.set_property("detect-every", every);
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    Ok(())
}

/// Where pictures were turned away.
#[derive(Default)]
struct Gaps {
    /// Nothing was let in since.
    open: bool,
    /// Time of the last picture that was let in.
    last: u64,
    /// Times of the pictures before and after gaps that have not left yet.
    edges: Vec<u64>,
}

/// Keeps the outputs' size: that of the job, else that of the first picture.
fn hold_size(
    bin: &FloutageBin,
    job: &Job,
    [full, sub]: [gst::Element; 2],
    traffic: &Arc<Traffic>,
    guard: &Arc<Guard>,
) -> Result<()> {
    let (known, sub_width, traffic, input) = (
        job.size,
        job.sub.as_ref().map(|sub| sub.width),
        traffic.clone(),
        guard.input().to_owned(),
    );
    guard.probe(
        &pad(bin.upcast_ref(), "src")?,
        gst::PadProbeType::BUFFER,
        move |pad, _| {
            if traffic.width.load(Ordering::Relaxed) != 0 {
                return Ok(gst::PadProbeReturn::Ok);
            }
            let info = pad
                .current_caps()
                .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
            let info = info.ok_or_else(|| {
                crate::Error::media(&input, "the decoder does not say what its pictures are")
            })?;
            let (width, height) = known.unwrap_or_else(|| displayed(&info));
            let fixed = |width: u32, height: u32| {
                gst::Caps::builder("video/x-raw")
                    .field("width", width as i32)
                    .field("height", height as i32)
                    .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
                    .build()
            };
            full.set_property("caps", fixed(width, height));
            if let Some(narrow) = sub_width {
                let narrow = narrow.min(width);
                let low = (u64::from(height) * u64::from(narrow) / u64::from(width)) as u32 & !1;
                sub.set_property("caps", fixed(narrow, low.max(16)));
            }
            traffic.width.store(width, Ordering::Relaxed);
            Ok(gst::PadProbeReturn::Ok)
        },
    );
    Ok(())
}

/// Size with square pixels, even, as encoders want it.
fn displayed(info: &gst_video::VideoInfo) -> (u32, u32) {
    let par = info.par();
    let (number, denominator) = (par.numer().max(1) as u64, par.denom().max(1) as u64);
    let width = (u64::from(info.width()) * number / denominator) as u32;
    ((width & !1).max(16), (info.height() & !1).max(16))
}

/// What every way out needs.
struct Way<'a> {
    pipeline: &'a gst::Pipeline,
    out: &'a Outlet,
    traffic: &'a Arc<Traffic>,
    guard: &'a Arc<Guard>,
    clock: &'a CameraClock,
}

impl Way<'_> {
    fn attach(&self, tee: &gst::Element, chain: &[gst::Element]) -> Result<()> {
        self.pipeline.add_many(chain).map_err(wiring)?;
        gst::Element::link_many(std::iter::once(tee).chain(chain)).map_err(wiring)
    }

    /// Encoded pictures of `stream`.
    fn stream(
        &self,
        tee: &gst::Element,
        mut chain: Vec<gst::Element>,
        coded: Vec<gst::Element>,
        stream: Stream,
    ) -> Result<()> {
        chain.extend(coded);
        let (out, guard, traffic, clock) = (
            self.out.clone(),
            self.guard.clone(),
            self.traffic.clone(),
            self.clock.clone(),
        );
        let mut known = None;
        let sink = sink(guard.clone(), move |sample| {
            let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
                return Ok(());
            };
            if known.as_deref() != Some(caps) {
                let number = |name| {
                    caps.structure(0)
                        .and_then(|it| it.get::<i32>(name).ok())
                        .unwrap_or(0) as u32
                };
                let (width, height) = (number("width"), number("height"));
                out(
                    FromWorker::Format {
                        stream,
                        width,
                        height,
                    },
                    &[],
                );
                known = Some(caps.to_owned());
            }
            let running = sample
                .segment()
                .and_then(|segment| {
                    segment
                        .downcast_ref::<gst::ClockTime>()?
                        .to_running_time(buffer.pts())
                })
                .unwrap_or_default();
            let Some(pipeline) = guard.pipeline() else {
                return Ok(());
            };
            let base = pipeline.base_time().unwrap_or_default();
            if let Some(now) = pipeline.current_running_time()
                && stream == Stream::Full
            {
                traffic
                    .latency
                    .store(now.saturating_sub(running).useconds(), Ordering::Relaxed);
            }
            let map = buffer.map_readable().map_err(wiring)?;
            let clock = Some(clock.load(Ordering::Relaxed)).filter(|offset| *offset != UNKNOWN);
            let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            let time = (base + running).nseconds();
            out(
                FromWorker::Unit {
                    stream,
                    time,
                    key,
                    clock,
                },
                &map,
            );
            Ok(())
        });
        chain.push(sink.upcast());
        self.attach(tee, &chain)
    }

    /// A JPEG picture now and then.
    fn snapshots(&self, tee: &gst::Element) -> Result<()> {
        let room = queue(1, 0)?;
        room.set_property_from_str("leaky", "downstream");
        let due = Mutex::new(gst::ClockTime::ZERO);
        self.guard.probe(
            &pad(&room, "sink")?,
            gst::PadProbeType::BUFFER,
            move |_, info| {
                let time = info
                    .buffer()
                    .and_then(|buffer| buffer.pts())
                    .unwrap_or_default();
                let mut due = lock(&due);
                if time < *due && *due - time <= SNAPSHOTS {
                    return Ok(gst::PadProbeReturn::Handled);
                }
                *due = time + SNAPSHOTS;
                Ok(gst::PadProbeReturn::Ok)
            },
        );
        let encoder = make("jpegenc")?;
        encoder.set_property("quality", 80i32);
        let out = self.out.clone();
        let sink = sink(self.guard.clone(), move |sample| {
            if let Some(buffer) = sample.buffer() {
                out(
                    FromWorker::Snapshot,
                    &buffer.map_readable().map_err(wiring)?,
                );
            }
            Ok(())
        });
        self.attach(tee, &[room, encoder, sink.upcast()])
    }
}

/// A sink that hands every buffer to `take` at once.
fn sink(
    guard: Arc<Guard>,
    mut take: impl FnMut(&gst::SampleRef) -> Result<()> + Send + 'static,
) -> gst_app::AppSink {
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            guard
                .run(|| take(&sample))
                .map(|()| gst::FlowSuccess::Ok)
                .ok_or(gst::FlowError::Error)
        })
        .build();
    gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .max_buffers(1)
        .callbacks(callbacks)
        .build()
}

/// How long the oldest picture may have waited, for people.
pub fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}
