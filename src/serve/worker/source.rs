//! From a camera's address to decoded pictures.
//!
//! Invariant: only the first video stream is asked for; sound and data never reach the machine where the protocol can
//! refuse them (RTSP), and have no way on where it cannot.

use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use gst::prelude::*;

use super::damage::Damage;
use crate::error::{Error, Result};
use crate::media::guard::Guard;
use crate::media::source::{Kind, decoder, stay_inside};
use crate::media::wiring::{make, pad, wiring};
use crate::serve::config::camera::Transport;
use crate::serve::wire::Job;

/// The camera's wall clock minus the monotonic clock in nanoseconds; [`UNKNOWN`] until it tells.
pub type CameraClock = Arc<AtomicI64>;

/// No time at all.
pub const UNKNOWN: i64 = i64::MIN;

/// What a source is like.
pub struct Source {
    /// True for a file, which is played over and over at its own pace.
    pub looped: bool,
}

/// Where a source goes.
#[derive(Clone)]
pub struct Entrance {
    /// What takes its decoded pictures.
    pub entry: gst::Element,
    /// What fails on its threads, and the pipeline that it is put into.
    pub guard: Arc<Guard>,
    /// What is known of its damage.
    pub damage: Arc<Damage>,
}

impl Entrance {
    fn pipeline(&self) -> Result<gst::Pipeline> {
        let gone = || Error::media("pipeline", "it is being stopped");
        self.guard.pipeline().ok_or_else(gone)
    }

    fn to(&self, entry: &gst::Element) -> Self {
        Self {
            entry: entry.clone(),
            ..self.clone()
        }
    }
}

/// Puts the source of `job` where `to` says.
///
/// Errors: an element that is not installed, a certificate that cannot be read.
pub fn add(job: &Job, to: &Entrance, clock: &CameraClock) -> Result<Source> {
    let (scheme, rest) = job.source.split_once("://").unwrap_or_default();
    match scheme {
        "rtsp" | "rtsps" => rtsp(job, to, clock)?,
        "http" | "https" => motion_jpeg(job, to)?,
        "v4l2" => device(rest, to)?,
        "file" => {
            file(rest, to)?;
            return Ok(Source { looped: true });
        }
        _ => {
            return Err(Error::setting(
                "source",
                &job.source,
                "an address of a known kind",
            ));
        }
    }
    Ok(Source { looped: false })
}

fn rtsp(job: &Job, to: &Entrance, clock: &CameraClock) -> Result<()> {
    let pipeline = to.pipeline()?;
    let source = make("rtspsrc")?;
    source.set_property("location", &job.source);
    source.set_property("latency", job.jitter);
    source.set_property("drop-on-latency", true);
    source.set_property("tcp-timeout", 8_000_000u64);
    source.set_property("teardown-timeout", gst::ClockTime::from_mseconds(300));
    source.set_property_from_str(
        "protocols",
        match (job.transport, job.source.starts_with("rtsps")) {
            (Transport::Tcp, false) => "tcp",
            (Transport::Udp, false) => "udp",
            (Transport::Tcp, true) => "tls+tcp",
            (Transport::Udp, true) => "tls+udp",
        },
    );
    hear_clock(&source, &pipeline, clock);
    if let Some(user) = &job.user {
        source.set_property("user-id", user);
    }
    if let Some(password) = &job.password {
        source.set_property("user-pw", password.reveal());
    }
    if let Some(certificate) = &job.certificate {
        let database = gio::TlsFileDatabase::new(certificate).map_err(|error| {
            Error::setting(
                "certificate",
                certificate.display(),
                format!("a readable PEM file ({error})"),
            )
        })?;
        source.set_property("tls-database", database);
        // The one that is named is trusted whatever its host name, as cameras' own certificates need.
        source.set_property_from_str(
            "tls-validation-flags",
            "unknown-ca+expired+revoked+insecure+not-activated",
        );
    }
    let taken = AtomicBool::new(false);
    source.connect("select-stream", false, move |values| {
        let caps = values
            .get(2)
            .and_then(|value| value.get::<gst::Caps>().ok());
        let video = caps
            .as_ref()
            .and_then(|caps| caps.structure(0))
            .is_some_and(|it| it.get::<&str>("media") == Ok("video"));
        Some((video && !taken.swap(true, Ordering::Relaxed)).to_value())
    });
    pipeline.add(&source).map_err(wiring)?;
    let to = to.clone();
    source.connect_pad_added(move |_, pad| {
        // As everywhere: a failure ends the pipeline.
        let _ = to.guard.run(|| depayload(pad, &to));
    });
    Ok(())
}

/// Notes what the camera's wall clock shows, where its sender reports tell.
fn hear_clock(source: &gst::Element, pipeline: &gst::Pipeline, clock: &CameraClock) {
    let (clock, pipeline) = (clock.clone(), pipeline.downgrade());
    source.connect("new-manager", false, move |values| {
        let manager = values.get(1)?.get::<gst::Element>().ok()?;
        let (clock, pipeline) = (clock.clone(), pipeline.clone());
        manager.connect("new-jitterbuffer", false, move |values| {
            let buffer = values.get(1)?.get::<gst::Element>().ok()?;
            let (clock, pipeline) = (clock.clone(), pipeline.clone());
            buffer.connect("handle-sync", false, move |values| {
                let sync = values.get(1)?.get::<gst::Structure>().ok()?;
                let base = pipeline.upgrade()?.base_time()?;
                if let Some(offset) = wall_minus_monotonic(&sync, base) {
                    clock.store(offset, Ordering::Relaxed);
                }
                None
            });
            None
        });
        None
    });
}

/// The camera's wall clock minus the monotonic clock in nanoseconds, from what a jitter buffer tells about a sender report
/// in a pipeline that began at `base`.
fn wall_minus_monotonic(sync: &gst::StructureRef, base: gst::ClockTime) -> Option<i64> {
    /// Seconds from the epoch of NTP, 1900, to that of Unix, 1970.
    const EPOCHS: i64 = 2_208_988_800;
    let number = |name| sync.get::<u64>(name).ok().map(|number| number as i64);
    let report = sync.get::<gst::Buffer>("sr-buffer").ok()?;
    let report = report.map_readable().ok()?;
    let word = |at: usize| {
        let bytes = report.get(at..at + 4)?.try_into().ok()?;
        Some(i64::from(u32::from_be_bytes(bytes)))
    };
    let (seconds, fraction) = (word(8)?, word(12)?);
    // Zero is what a camera sends that has no clock.
    let since = seconds.checked_sub(EPOCHS).filter(|since| *since > 0)?;
    let wall = since * 1_000_000_000 + ((fraction * 1_000_000_000) >> 32);
    let rate = i64::from(
        sync.get::<u32>("clock-rate")
            .ok()
            .filter(|rate| *rate > 0)?,
    );
    let ticks = number("sr-ext-rtptime")?.checked_sub(number("base-rtptime")?)?;
    let past = i64::try_from(i128::from(ticks) * 1_000_000_000 / i128::from(rate)).ok()?;
    let running = number("base-time")?.checked_add(past)?;
    wall.checked_sub(running.checked_add(base.nseconds() as i64)?)
}

/// RTP encoding names, with what takes the packets apart and what comes out.
const ENCODINGS: &[(&str, &str, &str, &str)] = &[
    ("H264", "rtph264depay", "h264parse", "video/x-h264"),
    ("H265", "rtph265depay", "h265parse", "video/x-h265"),
    ("JPEG", "rtpjpegdepay", "jpegparse", "image/jpeg"),
    (
        "MP4V-ES",
        "rtpmp4vdepay",
        "mpeg4videoparse",
        "video/mpeg, mpegversion=4",
    ),
    ("VP8", "rtpvp8depay", "identity", "video/x-vp8"),
    ("VP9", "rtpvp9depay", "vp9parse", "video/x-vp9"),
];

fn depayload(from: &gst::Pad, to: &Entrance) -> Result<()> {
    let caps = from.current_caps().unwrap_or_else(|| from.query_caps(None));
    let name = caps
        .structure(0)
        .and_then(|it| it.get::<String>("encoding-name").ok())
        .unwrap_or_default();
    let Some((_, depay, parse, coded)) = ENCODINGS.iter().find(|it| it.0 == name) else {
        let known: Vec<&str> = ENCODINGS.iter().map(|it| it.0).collect();
        let problem = format!(
            "sends {name:?}, which is not known; set the camera to one of {}",
            known.join(", ")
        );
        return Err(Error::media(to.guard.input(), problem));
    };
    let coded: gst::Caps = coded.parse().map_err(wiring)?;
    let depay = make(depay)?;
    if depay.find_property("wait-for-keyframe").is_some() {
        depay.set_property("wait-for-keyframe", true);
    }
    to.damage.watch_packets(&depay, &to.guard)?;
    let mut chain = vec![depay, make(parse)?];
    chain.extend(live_decoder(&coded, to)?);
    attach(from, &chain, to)
}

/// The decoder for `caps`, set so that it hands out each picture at once, and watched for damage.
fn live_decoder(caps: &gst::Caps, to: &Entrance) -> Result<Option<gst::Element>> {
    let decoder = decoder(to.guard.input(), caps)?;
    if let Some(decoder) = &decoder {
        to.damage.watch_decoder(decoder, &to.guard)?;
        // With several, libav delays pictures by as many.
        if decoder.find_property("max-threads").is_some() {
            decoder.set_property("max-threads", 1i32);
        }
        // A broken packet costs pictures, not the connection.
        if decoder.find_property("max-errors").is_some() {
            decoder.set_property("max-errors", -1i32);
        }
    }
    Ok(decoder)
}

fn attach(from: &gst::Pad, chain: &[gst::Element], to: &Entrance) -> Result<()> {
    to.pipeline()?.add_many(chain).map_err(wiring)?;
    let linked = chain.iter().chain(std::iter::once(&to.entry));
    gst::Element::link_many(linked).map_err(wiring)?;
    for element in chain {
        element.sync_state_with_parent().map_err(wiring)?;
    }
    let first = chain.first().unwrap_or(&to.entry);
    from.link(&pad(first, "sink")?)
        .map(|_| ())
        .map_err(|error| Error::media("pipeline", format!("{error}")))
}

fn motion_jpeg(job: &Job, to: &Entrance) -> Result<()> {
    let source = make("souphttpsrc")?;
    source.set_property("location", &job.source);
    source.set_property("is-live", true);
    source.set_property("do-timestamp", true);
    source.set_property("timeout", 8u32);
    if let Some(user) = &job.user {
        source.set_property("user-id", user);
    }
    if let Some(password) = &job.password {
        source.set_property("user-pw", password.reveal());
    }
    let parts = make("multipartdemux")?;
    parts.set_property("single-stream", true);
    to.pipeline()?
        .add_many([&source, &parts])
        .and_then(|()| source.link(&parts))
        .map_err(wiring)?;
    decode_pads(&parts, to);
    Ok(())
}

fn device(path: &str, to: &Entrance) -> Result<()> {
    // Before the element says it in words that help less.
    let is_device = std::fs::metadata(path).is_ok_and(|it| it.file_type().is_char_device());
    if !is_device {
        let problem = "there is no video device of this name; is the camera plugged in? /dev/v4l/by-id names those that are";
        return Err(Error::media(path, problem));
    }
    let source = make("v4l2src")?;
    source.set_property("device", path);
    let parse = make("parsebin")?;
    stay_inside(&parse, &to.guard);
    to.pipeline()?
        .add_many([&source, &parse])
        .and_then(|()| source.link(&parse))
        .map_err(wiring)?;
    decode_pads(&parse, to);
    Ok(())
}

fn file(path: &str, to: &Entrance) -> Result<()> {
    let source = make("filesrc")?;
    source.set_property("location", path);
    let parse = make("parsebin")?;
    stay_inside(&parse, &to.guard);
    let pace = make("clocksync")?;
    to.pipeline()?
        .add_many([&source, &parse, &pace])
        .and_then(|()| source.link(&parse))
        .and_then(|()| pace.link(&to.entry))
        .map_err(wiring)?;
    decode_pads(&parse, &to.to(&pace));
    Ok(())
}

/// Decodes the first video that `demux` finds; everything else ends in a sink that throws it away.
fn decode_pads(demux: &gst::Element, to: &Entrance) {
    let (to, guard) = (to.clone(), to.guard.clone());
    let taken = AtomicBool::new(false);
    let connect = move |from: &gst::Pad| {
        let caps = from.current_caps().unwrap_or_else(|| from.query_caps(None));
        let wanted = Kind::of(&caps) == Kind::Video && !taken.swap(true, Ordering::Relaxed);
        if !wanted {
            let sink = crate::media::wiring::discard()?;
            to.pipeline()?.add(&sink).map_err(wiring)?;
            sink.sync_state_with_parent().map_err(wiring)?;
            return from
                .link(&pad(&sink, "sink")?)
                .map(|_| ())
                .map_err(|error| Error::media("pipeline", format!("{error}")));
        }
        let chain: Vec<gst::Element> = live_decoder(&caps, &to)?.into_iter().collect();
        attach(from, &chain, &to)
    };
    demux.connect_pad_added(move |_, pad| {
        // A failure ends the pipeline; there is nothing to hand back.
        let _ = guard.run(|| connect(pad));
    });
}
