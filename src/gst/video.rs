//! From GStreamer's caps and mapped buffers to the core's frames.

use gst_video::prelude::*;
use gst_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo};

use crate::error::{Error, Result};
use crate::frame::{Colour, Frame, FrameMut, Matrix, PixelFormat};
use crate::track::scene::Thumbnail;

/// Caps that every element of this plugin takes: 8-bit 4:2:0 in system memory, of any size.
pub fn caps() -> gst::Caps {
    gst_video::VideoCapsBuilder::new()
        .format_list([VideoFormat::I420, VideoFormat::Nv12])
        .build()
}

/// What `caps` say of the pictures.
///
/// Errors: caps that do not describe pictures, for the log of `category`.
pub fn info(
    category: &gst::DebugCategory,
    caps: &gst::Caps,
) -> Result<VideoInfo, gst::LoggableError> {
    VideoInfo::from_caps(caps)
        .map_err(|_| gst::loggable_error!(category, "cannot read the caps {caps}"))
}

fn pixel_format(format: VideoFormat) -> Option<PixelFormat> {
    match format {
        VideoFormat::I420 => Some(PixelFormat::I420),
        VideoFormat::Nv12 => Some(PixelFormat::Nv12),
        _ => None,
    }
}

/// How the samples described by `info` are to be read. Unknown coefficients are taken by height, as players do.
pub fn colour(info: &VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        VideoColorMatrix::Bt2020 => Matrix::Bt2020,
        VideoColorMatrix::Unknown if info.height() >= 720 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    Colour {
        matrix,
        full_range: colorimetry.range() == VideoColorRange::Range0_255,
    }
}

/// What a mapped frame lacks to be one of ours.
fn unsupported(info: &VideoInfo) -> Error {
    Error::Frame {
        format: "unsupported format",
        width: info.width() as usize,
        height: info.height() as usize,
        problem: format!("{} is neither I420 nor NV12", info.format()),
    }
}

fn strides(info: &VideoInfo, format: PixelFormat, mapped: &[i32]) -> Result<Vec<usize>> {
    mapped
        .iter()
        .take(format.planes())
        .map(|&stride| usize::try_from(stride).map_err(|_| unsupported(info)))
        .collect()
}

/// A mapped frame as the core reads it.
///
/// Errors: a format that is not ours, planes too short for the caps, negative strides.
pub fn frame<'a>(mapped: &'a VideoFrameRef<&gst::BufferRef>) -> Result<Frame<'a>> {
    let info = mapped.info();
    let format = pixel_format(info.format()).ok_or_else(|| unsupported(info))?;
    let strides = strides(info, format, mapped.plane_stride())?;
    let mut planes = Vec::with_capacity(format.planes());
    for index in 0..format.planes() {
        planes.push(
            mapped
                .plane_data(index as u32)
                .map_err(|_| unsupported(info))?,
        );
    }
    Frame::new(
        format,
        info.width() as usize,
        info.height() as usize,
        colour(info),
        &planes,
        &strides,
    )
}

/// A frame mapped for writing as the core writes it.
///
/// Errors: as for [`frame`].
pub fn frame_mut<'a>(mapped: &'a mut VideoFrameRef<&mut gst::BufferRef>) -> Result<FrameMut<'a>> {
    let info = mapped.info().clone();
    let format = pixel_format(info.format()).ok_or_else(|| unsupported(&info))?;
    let strides = strides(&info, format, mapped.plane_stride())?;
    let planes = mapped
        .planes_data_mut()
        .into_iter()
        .take(format.planes())
        .collect();
    FrameMut::new(
        format,
        info.width() as usize,
        info.height() as usize,
        colour(&info),
        planes,
        &strides,
    )
}

/// The thumbnail of the buffer's picture; None when it cannot be read.
pub fn thumbnail(info: &VideoInfo, buffer: &gst::BufferRef) -> Option<Thumbnail> {
    let mapped = VideoFrameRef::from_buffer_ref_readable(buffer, info).ok()?;
    Some(Thumbnail::new(&frame(&mapped).ok()?))
}

/// Length of one frame at `rate`; None at a rate of 0, which stands for one that varies.
pub fn frame_length(rate: gst::Fraction) -> Option<gst::ClockTime> {
    let (frames, seconds) = (
        u64::try_from(rate.numer()).ok()?,
        u64::try_from(rate.denom()).ok()?,
    );
    (frames > 0).then(|| gst::ClockTime::SECOND.mul_div_round(seconds, frames))?
}

/// Length of a frame where the caps do not tell.
pub const USUAL_FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);

/// Length of one frame as `info` tells, or the usual one.
pub fn nominal_length(info: &VideoInfo) -> gst::ClockTime {
    frame_length(info.fps())
        .filter(|length| !length.is_zero())
        .unwrap_or(USUAL_FRAME)
}

/// Tells upstream that buffers may have any strides and offsets, said by their video meta.
pub fn propose_layout(query: &mut gst::query::Allocation) {
    if query
        .find_allocation_meta::<gst_video::VideoMeta>()
        .is_none()
    {
        query.add_allocation_meta::<gst_video::VideoMeta>(None);
    }
}
