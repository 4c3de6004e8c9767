//! The part of a decoded video that is one chunk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use gst_video::VideoFrameRef;
use serde::{Deserialize, Serialize};

use super::guard::Guard;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::gst::video;
use crate::track::scene::{Change, Thumbnail, View};

/// A part of a video, from one key frame to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its place among the chunks, from 0 on.
    pub number: usize,
    /// Packets in front of its first one, in coded order.
    pub skip: u64,
    /// When its first picture is shown, in nanoseconds from the beginning of the video.
    pub start: u64,
    /// When the next chunk's is; None in the last one.
    pub end: Option<u64>,
    /// Pictures in it.
    pub frames: u64,
    /// Pictures behind it that are compared with the next chunk's.
    pub after: u64,
    /// Hash of the times of its pictures.
    pub times: String,
}

/// Lets the pictures of one chunk pass, and ends the stream behind them.
pub struct Window {
    chunk: Chunk,
    /// Whether to look at the pictures, too.
    looks: bool,
    packets: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    times: blake3::Hasher,
    frames: u64,
    view: View,
    looked: Looked,
    head: blake3::Hasher,
    after: blake3::Hasher,
    compared: u64,
    over: bool,
}

/// What was seen of the pictures of a chunk.
#[derive(Clone, Debug, Default)]
pub struct Looked {
    /// What happened before each of them.
    pub changes: Vec<Change>,
    /// The first one that shows something, with its number among them, and the last one.
    pub first: Option<(usize, Thumbnail)>,
    /// See `first`.
    pub last: Option<Thumbnail>,
    /// Hashes of so many pictures at its beginning, one after the other.
    pub heads: Vec<String>,
    /// Hash of the pictures behind it.
    pub after: Option<String>,
}

/// Hash of the times at which pictures are shown.
pub fn times_of(times: &[u64]) -> String {
    let mut hasher = blake3::Hasher::new();
    for time in times {
        hasher.update(&time.to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Pictures at the beginning of a chunk that must be the same when decoding began earlier.
pub const COMPARED: u64 = 24;

impl Window {
    /// A window on `chunk`; with `looks` it sees what happens in the pictures.
    pub fn new(chunk: &Chunk, looks: bool) -> Arc<Self> {
        Arc::new(Self {
            chunk: chunk.clone(),
            looks,
            packets: AtomicU64::new(0),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps packets in front of the chunk from passing `pad`, whose stream is read from its beginning.
    pub fn skip_packets(self: &Arc<Self>, pad: &gst::Pad, guard: &Arc<Guard>) {
        let window = self.clone();
        guard.probe(pad, gst::PadProbeType::BUFFER, move |_, _| {
            let number = window.packets.fetch_add(1, Ordering::Relaxed);
            Ok(if number < window.chunk.skip {
                gst::PadProbeReturn::Handled
            } else {
                gst::PadProbeReturn::Ok
            })
        });
    }

    /// Keeps pictures that are not the chunk's from passing `pad`, and everything behind the chunk from coming to `entry`, the pad
    /// through which they come to its element.
    pub fn keep_pictures(self: &Arc<Self>, entry: &gst::Pad, pad: &gst::Pad, guard: &Arc<Guard>) {
        let window = self.clone();
        let all = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
        // An event that cannot go on behind an end would count as an error.
        guard.probe(entry, all, move |_, _| {
            Ok(if window.state().over {
                gst::PadProbeReturn::Handled
            } else {
                gst::PadProbeReturn::Ok
            })
        });
        let (window, name) = (self.clone(), guard.input().to_owned());
        guard.probe(pad, gst::PadProbeType::BUFFER, move |pad, info| {
            let Some(buffer) = info.buffer() else {
                return Ok(gst::PadProbeReturn::Ok);
            };
            let time = buffer
                .pts()
                .ok_or_else(|| Error::media(&name, "a picture does not say when it is shown"))?
                .nseconds();
            if time < window.chunk.start {
                return Ok(gst::PadProbeReturn::Handled);
            }
            let mut state = window.state();
            if window.chunk.end.is_none_or(|end| time < end) {
                state.times.update(&time.to_le_bytes());
                state.frames += 1;
                if window.looks {
                    state.look(&name, pad, buffer)?;
                }
                return Ok(gst::PadProbeReturn::Ok);
            }
            if state.over {
                return Ok(gst::PadProbeReturn::Handled);
            }
            if window.looks {
                state.look_behind(&name, pad, buffer)?;
            }
            state.over = !window.looks || state.compared >= window.chunk.after;
            if state.over {
                drop(state);
                // Whether anybody still takes it shows in what comes out.
                pad.push_event(gst::event::Eos::new());
            }
            Ok(gst::PadProbeReturn::Handled)
        });
    }

    /// Checks that the pictures that passed are those of the chunk, no more, no less, and at their times.
    pub fn check(&self) -> std::result::Result<(), String> {
        let state = self.state();
        let complete = state.frames == self.chunk.frames
            && state.times.finalize().to_hex().as_str() == self.chunk.times
            && (!self.looks || state.compared == self.chunk.after);
        complete.then_some(()).ok_or_else(|| {
            format!(
                "its pictures from {:.3} s on are others than its packets say",
                self.chunk.start as f64 / 1e9
            )
        })
    }

    /// What was seen.
    pub fn looked(&self) -> Looked {
        let state = self.state();
        let after = (state.compared > 0).then(|| state.after.finalize().to_hex().to_string());
        Looked {
            after,
            last: state.view.last().cloned(),
            ..state.looked.clone()
        }
    }
}

impl State {
    fn look(&mut self, name: &str, pad: &gst::Pad, buffer: &gst::BufferRef) -> Result<()> {
        let hashed = self.frames <= COMPARED;
        let view = with_frame(name, pad, buffer, |frame| {
            if hashed {
                hash(&mut self.head, frame);
            }
            Thumbnail::new(frame)
        })?;
        if hashed {
            let head = self.head.finalize().to_hex().to_string();
            self.looked.heads.push(head);
        }
        if self.looked.first.is_none() && !view.is_flat() {
            self.looked.first = Some((self.looked.changes.len(), view.clone()));
        }
        self.looked.changes.push(self.view.next(view));
        Ok(())
    }

    fn look_behind(&mut self, name: &str, pad: &gst::Pad, buffer: &gst::BufferRef) -> Result<()> {
        with_frame(name, pad, buffer, |frame| hash(&mut self.after, frame))?;
        self.compared += 1;
        Ok(())
    }
}

fn with_frame<T>(
    name: &str,
    pad: &gst::Pad,
    buffer: &gst::BufferRef,
    read: impl FnOnce(&Frame<'_>) -> T,
) -> Result<T> {
    let unreadable = || Error::media(name, "a decoded picture cannot be read");
    let caps = pad.current_caps();
    let info = caps.and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
    let info = info.ok_or_else(unreadable)?;
    let mapped =
        VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| unreadable())?;
    Ok(read(&video::frame(&mapped)?))
}

/// Hashes what is visible of `frame`.
fn hash(hasher: &mut blake3::Hasher, frame: &Frame<'_>) {
    let format = frame.format();
    for plane in 0..format.planes() {
        let (bytes, rows) = format.plane_size(plane, frame.width(), frame.height());
        for row in 0..rows {
            hasher.update(&frame.row(plane, row)[..bytes]);
        }
    }
}
