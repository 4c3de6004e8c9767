//! Live encoders: a picture comes out as soon as it is in, and key frames when they are due.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;

use crate::error::{Error, Result};
use crate::media::encode::{Codec, Encoding, Preset};
use crate::media::guard::Guard;
use crate::media::wiring::{make, pad};
use crate::serve::config::camera::LiveEncoding;

/// Encoder, parser and a filter after which every buffer is one picture, key frames with their parameter sets.
///
/// Errors: no encoder for the codec is installed.
pub fn live(encoding: &LiveEncoding) -> Result<Vec<gst::Element>> {
    let general = Encoding {
        codec: encoding.codec,
        quality: encoding.quality,
        preset: encoding.preset,
    };
    let name = general.encoder_name()?;
    let encoder = make(name)?;
    match name {
        "x264enc" => {
            encoder.set_property_from_str("pass", "qual");
            encoder.set_property("quantizer", encoding.quality);
            encoder.set_property("bitrate", encoding.bitrate);
            encoder.set_property_from_str("speed-preset", encoding.preset.name());
            encoder.set_property_from_str("tune", "zerolatency");
            // Cameras share the machine: their number is what keeps its cores busy.
            encoder.set_property("threads", 1u32);
            encoder.set_property("key-int-max", i32::MAX as u32);
            encoder.set_property("aud", true);
        }
        "openh264enc" => {
            encoder.set_property_from_str("rate-control", "quality");
            encoder.set_property("bitrate", encoding.bitrate * 1000);
            encoder.set_property_from_str("complexity", "low");
            encoder.set_property("gop-size", i32::MAX as u32);
        }
        "x265enc" => {
            encoder.set_property_from_str("speed-preset", encoding.preset.name());
            encoder.set_property_from_str("tune", "zerolatency");
            encoder.set_property_from_str("log-level", "error");
            encoder.set_property("key-int-max", i32::MAX);
            let (quality, rate) = (encoding.quality, encoding.bitrate);
            let options = format!(
                "crf={quality}:vbv-maxrate={rate}:vbv-bufsize={rate}:info=0:pools=1:frame-threads=1:keyint=-1"
            );
            encoder.set_property("option-string", options);
        }
        _ => return Err(Error::setting("codec", encoding.codec, "h264 or h265")),
    }
    let (parser, media) = match encoding.codec {
        Codec::H265 => ("h265parse", "video/x-h265"),
        _ => ("h264parse", "video/x-h264"),
    };
    let parser = make(parser)?;
    parser.set_property("config-interval", -1i32);
    let form = make("capsfilter")?;
    let caps = gst::Caps::builder(media)
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    form.set_property("caps", caps);
    Ok(vec![encoder, parser, form])
}

/// The encoding of the smaller stream.
pub fn smaller(encoding: &LiveEncoding, bitrate: u32) -> LiveEncoding {
    LiveEncoding {
        bitrate,
        preset: Preset::SuperFast.min_speed(encoding.preset),
        ..encoding.clone()
    }
}

impl Preset {
    fn min_speed(self, other: Self) -> Self {
        if (other as u32) < self as u32 {
            other
        } else {
            self
        }
    }
}

/// Has the encoders make key frames together: every interval, and when asked.
pub struct KeyFrames {
    asked: Vec<AtomicBool>,
}

impl KeyFrames {
    /// Watches the sink pads of `encoders`.
    ///
    /// Errors: one without a sink pad.
    pub fn keep(
        encoders: &[gst::Element],
        interval: gst::ClockTime,
        guard: &Arc<Guard>,
    ) -> Result<Arc<Self>> {
        let keep = Arc::new(Self {
            asked: encoders.iter().map(|_| AtomicBool::new(false)).collect(),
        });
        for (index, encoder) in encoders.iter().enumerate() {
            let due: Mutex<Option<gst::ClockTime>> = Mutex::new(None);
            let keep = keep.clone();
            guard.probe(
                &pad(encoder, "sink")?,
                gst::PadProbeType::BUFFER,
                move |pad, info| {
                    let Some(pts) = info.buffer().and_then(|buffer| buffer.pts()) else {
                        return Ok(gst::PadProbeReturn::Ok);
                    };
                    let mut due = crate::gst::lock(&due);
                    let now = due.is_none_or(|due| pts >= due || pts + interval < due)
                        || keep.asked[index].swap(false, Ordering::Relaxed);
                    if now {
                        *due = Some(pts + interval);
                        let event = gst_video::DownstreamForceKeyUnitEvent::builder()
                            .all_headers(true)
                            .build();
                        pad.send_event(event);
                    }
                    Ok(gst::PadProbeReturn::Ok)
                },
            );
        }
        Ok(keep)
    }

    /// The next picture of each encoder is to be a key frame.
    pub fn ask(&self) {
        for asked in &self.asked {
            asked.store(true, Ordering::Relaxed);
        }
    }
}
