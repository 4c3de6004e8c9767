//! The filled picture that is shown when there is none: grey, with the camera's name and two lines that say so.
//!
//! It is encoded once; to show it is to repeat it.

use font8x8::UnicodeFonts;
use gst::prelude::*;

use super::config::camera::LiveEncoding;
use super::worker::live_encoder;
use crate::error::{Error, Result};
use crate::media::wiring::wiring;

/// What the picture says beneath the camera's name.
const LINES: [&str; 2] = ["PAS D'IMAGE", "NO PICTURE"];
/// Luma of background and letters.
const SHADES: [u8; 2] = [64, 200];

/// Size of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The filled picture of camera `name` as key frames to be shown in turn, Annex B.
///
/// Two, for a decoder tells one key frame from the next by a number in it.
///
/// Errors: no encoder, or one that fails.
pub fn encode(name: &str, form: Form, encoding: &LiveEncoding) -> Result<Vec<gst::Buffer>> {
    let failed = |what: &str| {
        Error::media(
            name,
            format!("the filled picture cannot be encoded: {what}"),
        )
    };
    let format =
        gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, form.width, form.height)
            .fps(gst::Fraction::new(2, 1))
            .build()
            .map_err(wiring)?;
    let pipeline = gst::Pipeline::new();
    let source = gst_app::AppSrc::builder()
        .caps(&format.to_caps().map_err(wiring)?)
        .format(gst::Format::Time)
        .build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    let mut chain: Vec<gst::Element> = vec![source.clone().upcast()];
    chain.extend(live_encoder(encoding)?);
    chain.push(sink.clone().upcast());
    pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(wiring)?;
    let outcome = run(&pipeline, &source, &sink, &picture(name, &format));
    // A pipeline that is over.
    let _ = pipeline.set_state(gst::State::Null);
    let units = outcome.map_err(|()| failed("the encoder failed"))?;
    if units.len() == 2 {
        Ok(units)
    } else {
        Err(failed("the encoder gave no picture"))
    }
}

fn run(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    sink: &gst_app::AppSink,
    picture: &[u8],
) -> Result<Vec<gst::Buffer>, ()> {
    pipeline.set_state(gst::State::Playing).map_err(drop)?;
    for second in 0..2 {
        let mut buffer = gst::Buffer::from_slice(picture.to_vec());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_seconds(second));
        }
        if second > 0 {
            // The first is one anyway. The encoder takes it up with the picture that follows.
            let event = gst_video::DownstreamForceKeyUnitEvent::builder()
                .all_headers(true)
                .build();
            source.send_event(event);
        }
        source.push_buffer(buffer).map_err(drop)?;
    }
    source.end_of_stream().map_err(drop)?;
    let mut units = Vec::new();
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(10)) {
        let Some(buffer) = sample.buffer() else {
            continue;
        };
        if !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
            units.push(gst::Buffer::from_slice(
                buffer.map_readable().map_err(drop)?.to_vec(),
            ));
        }
    }
    Ok(units)
}

/// The picture as I420.
fn picture(name: &str, format: &gst_video::VideoInfo) -> Vec<u8> {
    let mut data = vec![128; format.size()];
    let (width, height, stride) = (
        format.width() as usize,
        format.height() as usize,
        format.stride()[0] as usize,
    );
    data[..stride * height].fill(SHADES[0]);
    let lines = [name, LINES[0], LINES[1]];
    let longest = lines
        .iter()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(1);
    // Eight pixels a letter, as large as leaves a margin.
    let scale = (width / (8 * (longest + 4)))
        .min(height / (12 * (lines.len() + 2)))
        .max(1);
    let top = height.saturating_sub(lines.len() * 12 * scale) / 2;
    for (row, line) in lines.into_iter().enumerate() {
        let left = width.saturating_sub(line.chars().count() * 8 * scale) / 2;
        for (column, letter) in line.chars().enumerate() {
            let Some(glyph) = font8x8::BASIC_FONTS.get(letter) else {
                continue;
            };
            for (y, bits) in glyph.into_iter().enumerate() {
                for x in (0..8).filter(|x| bits >> x & 1 == 1) {
                    for dy in 0..scale {
                        let at = (top + (row * 12 + y) * scale + dy) * stride
                            + left
                            + (column * 8 + x) * scale;
                        if at + scale <= stride * height {
                            data[at..at + scale].fill(SHADES[1]);
                        }
                    }
                }
            }
        }
    }
    data
}
