//! From encoded pictures to fragmented MP4, on a thread of its own: one fragment a group of pictures, for recordings and
//! the page alike.
//!
//! An epoch is a run of fragments that one init segment describes: it ends where pictures turn to the filled one or back,
//! and where size or parameters change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use gst::prelude::*;

use super::boxes::{Cutter, Part};
use super::unit::{Output, Unit, caps};
use crate::error::Result;
use crate::media::encode::Codec;
use crate::media::wiring::{make, wiring};

/// Pictures that wait for this thread at most.
const WAITING: usize = 128;
/// Decode times of 32 bits are not to run out.
const LONGEST: u64 = 12 * 3600 * 1_000_000_000;

/// One group of pictures.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// `moof` and `mdat`.
    pub bytes: Vec<u8>,
    /// When its first picture was taken.
    pub start: SystemTime,
    /// How long it lasts.
    pub duration: Duration,
}

/// Takes fragments, on the muxer's thread; may take its time.
pub trait Taker: Send {
    /// An epoch begins: its init segment, and whether it holds but the filled picture.
    fn begin(&mut self, init: &[u8], filled: bool);
    /// The next fragment of the epoch.
    fn fragment(&mut self, fragment: &Fragment);
    /// Called a few times a second.
    fn look(&mut self) {}
}

/// The muxer of one stream, as its output. It ends, with what it holds, when it is dropped.
pub struct Muxer {
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

struct Line {
    units: SyncSender<Option<Unit>>,
    broken: AtomicBool,
    over: AtomicBool,
    dropped: Arc<AtomicU64>,
}

impl Muxer {
    /// Starts a muxer for pictures in `codec`; what it cannot take is counted in `dropped`.
    ///
    /// Errors: no thread can be started.
    pub fn start(
        name: &str,
        codec: Codec,
        takers: Vec<Box<dyn Taker>>,
        dropped: Arc<AtomicU64>,
    ) -> Result<Self> {
        let (units, queue) = sync_channel(WAITING);
        let line = Arc::new(Line {
            units,
            broken: AtomicBool::new(false),
            over: AtomicBool::new(false),
            dropped,
        });
        let work = Work {
            name: name.to_owned(),
            codec,
            takers,
            epoch: None,
        };
        let thread = std::thread::Builder::new()
            .name(format!("mux {name}"))
            .spawn(move || work.run(&queue))
            .map_err(|error| crate::Error::media(name, error.to_string()))?;
        Ok(Self {
            line,
            thread: Some(thread),
        })
    }

    /// Its end for the hub.
    pub fn output(&self) -> Arc<dyn Output> {
        self.line.clone()
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        self.line.over.store(true, Ordering::Relaxed);
        // The thread may be over, or so far behind that this waits for it.
        let _ = self.line.units.send(None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Output for Line {
    fn take(&self, unit: &Unit) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return false;
        }
        if self.broken.load(Ordering::Relaxed) && !unit.key {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        match self.units.try_send(Some(unit.clone())) {
            Ok(()) => self.broken.store(false, Ordering::Relaxed),
            Err(TrySendError::Full(_)) => {
                self.broken.store(true, Ordering::Relaxed);
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return false,
        }
        true
    }
}

struct Epoch {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    cutter: Cutter,
    filled: bool,
    parameters: Vec<u8>,
    begin: u64,
    last: u64,
    /// Monotonic time and wall clock of key frames whose fragment is yet to come.
    keys: std::collections::VecDeque<(u64, i64)>,
}

struct Work {
    name: String,
    codec: Codec,
    takers: Vec<Box<dyn Taker>>,
    epoch: Option<Epoch>,
}

impl Work {
    fn run(mut self, queue: &Receiver<Option<Unit>>) {
        loop {
            match queue.recv_timeout(Duration::from_millis(200)) {
                Ok(Some(unit)) => {
                    if let Err(error) = self.take(&unit) {
                        tracing::error!("{}: {error}", self.name);
                        self.epoch = None;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.pull(gst::ClockTime::ZERO);
            self.takers.iter_mut().for_each(|taker| taker.look());
        }
        self.end();
    }

    fn take(&mut self, unit: &Unit) -> Result<()> {
        if unit.key {
            let parameters = parameters(self.codec, unit);
            let fits = self.epoch.as_ref().is_some_and(|epoch| {
                epoch.filled == unit.filled
                    && epoch.parameters == parameters
                    && unit.time - epoch.begin < LONGEST
            });
            if !fits {
                self.end();
                self.epoch = Some(Epoch::start(self.codec, unit, parameters)?);
            }
        }
        let Some(epoch) = &mut self.epoch else {
            return Ok(());
        };
        if unit.key {
            epoch.keys.push_back((unit.time, unit.clock));
        }
        epoch.last = unit.time;
        let mut buffer = unit.data.copy();
        if let Some(buffer) = buffer.get_mut() {
            let time = gst::ClockTime::from_nseconds(unit.time.saturating_sub(epoch.begin));
            buffer.set_pts(time);
            buffer.set_dts(time);
            if !unit.key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        epoch
            .source
            .push_buffer(buffer)
            .map(|_| ())
            .map_err(|error| crate::Error::media(&self.name, format!("cannot be muxed: {error}")))
    }

    /// Hands on what the muxer has ready within `patience`.
    fn pull(&mut self, patience: gst::ClockTime) {
        let Some(epoch) = &mut self.epoch else { return };
        while let Some(sample) = epoch.sink.try_pull_sample(patience) {
            let Some(map) = sample
                .buffer()
                .and_then(|buffer| buffer.map_readable().ok())
            else {
                continue;
            };
            for part in epoch.cutter.push(&map) {
                match part {
                    Part::Init(init) => self
                        .takers
                        .iter_mut()
                        .for_each(|taker| taker.begin(&init, epoch.filled)),
                    Part::Fragment(bytes) => {
                        let Some((time, clock)) = epoch.keys.pop_front() else {
                            continue;
                        };
                        let end = epoch.keys.front().map_or(epoch.last, |next| next.0);
                        let wall =
                            Duration::from_nanos((time as i64).saturating_add(clock).max(0) as u64);
                        let fragment = Fragment {
                            bytes,
                            start: SystemTime::UNIX_EPOCH + wall,
                            duration: Duration::from_nanos(end.saturating_sub(time)),
                        };
                        self.takers
                            .iter_mut()
                            .for_each(|taker| taker.fragment(&fragment));
                    }
                }
            }
        }
    }

    /// Ends the epoch with everything that is in the muxer.
    fn end(&mut self) {
        let Some(epoch) = &self.epoch else { return };
        if epoch.source.end_of_stream().is_ok() {
            // try_pull_sample gives up at the end of the stream, long before that.
            self.pull(gst::ClockTime::from_seconds(2));
        }
        self.epoch = None;
    }
}

impl Epoch {
    fn start(codec: Codec, first: &Unit, parameters: Vec<u8>) -> Result<Self> {
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder()
            .caps(&caps(codec))
            .format(gst::Format::Time)
            .build();
        source.set_max_bytes(0);
        let (parser, form) = match codec {
            Codec::H265 => (
                "h265parse",
                gst::Caps::builder("video/x-h265").field("stream-format", "hvc1"),
            ),
            _ => (
                "h264parse",
                gst::Caps::builder("video/x-h264").field("stream-format", "avc"),
            ),
        };
        let filter = make("capsfilter")?;
        filter.set_property("caps", form.field("alignment", "au").build());
        let muxer = make("mp4mux")?;
        // Fragments end at key frames; none is ever so long.
        muxer.set_property("fragment-duration", 60_000u32);
        muxer.set_property("streamable", true);
        let sink = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .build();
        let chain = [
            source.clone().upcast(),
            make(parser)?,
            filter,
            muxer,
            sink.clone().upcast::<gst::Element>(),
        ];
        pipeline
            .add_many(&chain)
            .and_then(|()| gst::Element::link_many(&chain))
            .map_err(wiring)?;
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| crate::Error::media("mp4mux", "does not start"))?;
        Ok(Self {
            pipeline,
            source,
            sink,
            cutter: Cutter::default(),
            filled: first.filled,
            parameters,
            begin: first.time,
            last: first.time,
            keys: std::collections::VecDeque::new(),
        })
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // Nothing waits for it any more.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The parameter sets of a key frame: what an init segment is made of.
fn parameters(codec: Codec, unit: &Unit) -> Vec<u8> {
    let Ok(map) = unit.data.map_readable() else {
        return Vec::new();
    };
    let is_parameter = |first: u8| match codec {
        Codec::H265 => (32..=34).contains(&(first >> 1 & 0x3f)),
        _ => matches!(first & 0x1f, 7 | 8),
    };
    let is_picture = |first: u8| match codec {
        Codec::H265 => first >> 1 & 0x3f < 32,
        _ => (1..=5).contains(&(first & 0x1f)),
    };
    let starts: Vec<usize> = map
        .windows(3)
        .enumerate()
        .filter(|(_, bytes)| *bytes == [0, 0, 1])
        .map(|(at, _)| at + 3)
        .take(16)
        .collect();
    let mut found = Vec::new();
    for (index, &start) in starts.iter().enumerate() {
        let Some(&first) = map.get(start) else { break };
        if is_picture(first) {
            break;
        }
        if is_parameter(first) {
            let end = starts.get(index + 1).map_or(map.len(), |next| next - 3);
            found.extend_from_slice(
                map[start..end]
                    .strip_suffix(&[0])
                    .unwrap_or(&map[start..end]),
            );
        }
    }
    found
}
