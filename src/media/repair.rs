//! Mends what decoders leave unsaid or say wrongly about pictures: colorimetry and time stamps.

use gst::prelude::*;

/// Mends the pictures that leave `pad`, the source pad of a decoder.
///
/// - Colorimetry with unknown coefficients is invalid to GStreamer, which then forgets the range as well, and
///   full-range video would be written as limited. Unknown parts become what players assume.
/// - Interlaced pictures of unknown field order become such with the top field first.
/// - Time stamps that stand still or are missing (GIF) go on by the frames' durations.
pub fn repair(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(caps) = complete(caps.caps())
        {
            let event = gst::event::Caps::builder(&caps)
                .seqnum(event.seqnum())
                .build();
            info.data = Some(gst::PadProbeData::Event(event));
        }
        gst::PadProbeReturn::Ok
    });
    let last = std::sync::Mutex::new(None::<(gst::ClockTime, gst::ClockTime)>);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let mut last = last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(buffer) = info.buffer_mut() else {
            return gst::PadProbeReturn::Ok;
        };
        let (pts, duration) = (
            buffer.pts(),
            buffer.duration().or_else(|| frame_duration(pad)),
        );
        if buffer.flags().contains(gst::BufferFlags::DISCONT) && pts.is_some() {
            *last = None;
        }
        let mended = match (*last, pts) {
            (Some((before, length)), None) => Some(before + length),
            (Some((before, length)), Some(now)) if now <= before => Some(before + length),
            (None, None) => Some(gst::ClockTime::ZERO),
            _ => None,
        };
        if mended.is_some() {
            buffer.make_mut().set_pts(mended);
        }
        if let (Some(pts), Some(duration)) = (mended.or(pts), duration) {
            *last = Some((pts, duration));
        }
        gst::PadProbeReturn::Ok
    });
}

/// `caps` with everything filled in that is missing; None when nothing is.
fn complete(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let coloured = complete_colorimetry(caps);
    let ordered = complete_field_order(coloured.as_deref().unwrap_or(caps));
    ordered.or(coloured)
}

/// Makes the decoder behind `pad`, the source pad of a demuxer or parser, take the range of H.264 and H.265 from the
/// bitstream, where it always is: of an MP4 file's full range GStreamer 1.22's demuxer says that it is limited.
pub fn leave_range_to_decoder(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(caps) = without_range(caps.caps())
        {
            let event = gst::event::Caps::builder(&caps)
                .seqnum(event.seqnum())
                .build();
            info.data = Some(gst::PadProbeData::Event(event));
        }
        gst::PadProbeReturn::Ok
    });
}

/// `caps` of H.264 or H.265 with the range of their colorimetry unknown; None when there is none.
fn without_range(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    if !matches!(structure.name().as_str(), "video/x-h264" | "video/x-h265") {
        return None;
    }
    let text = structure.get::<&str>("colorimetry").ok()?;
    let known: gst_video::VideoColorimetry = text.parse().ok()?;
    let unknown = gst_video::VideoColorimetry::new(
        gst_video::VideoColorRange::Unknown,
        known.matrix(),
        known.transfer(),
        known.primaries(),
    );
    let mut caps = caps.to_owned();
    caps.make_mut().set("colorimetry", unknown.to_string());
    Some(caps)
}

/// `caps` that call pictures interlaced without saying which field is first (Matroska), with the usual answer;
/// encoders that are told nothing take the other one.
fn complete_field_order(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    if structure.get::<&str>("interlace-mode") != Ok("interleaved")
        || structure.has_field("field-order")
    {
        return None;
    }
    let mut caps = caps.to_owned();
    caps.make_mut().set("field-order", "top-field-first");
    Some(caps)
}

fn frame_duration(pad: &gst::Pad) -> Option<gst::ClockTime> {
    let caps = pad.current_caps()?;
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let (frames, seconds) = (
        u64::try_from(rate.numer()).ok()?,
        u64::try_from(rate.denom()).ok()?,
    );
    gst::ClockTime::SECOND.mul_div_round(seconds, frames)
}

/// `caps` with the unknown parts of their colorimetry filled in; None when nothing is to be done.
fn complete_colorimetry(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    let text = structure.get::<&str>("colorimetry").ok()?;
    let mut parts: Vec<&str> = text.split(':').collect();
    let format: gst_video::VideoFormat = structure.get::<&str>("format").ok()?.parse().ok()?;
    let info = gst_video::VideoFormatInfo::from_format(format);
    // Range : matrix : transfer : primaries, in the numbers of GStreamer's enumerations; 4 is BT.601, 3 BT.709.
    if parts.len() != 4 || parts[1] != "0" || !info.is_yuv() {
        return None;
    }
    let height = structure.get::<i32>("height").ok()?;
    parts[1] = if height >= 720 { "3" } else { "4" };
    if parts[0] == "0" {
        parts[0] = "2";
    }
    let mut caps = caps.to_owned();
    caps.make_mut().set("colorimetry", parts.join(":"));
    Some(caps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_coefficients_are_filled_in_and_the_range_is_kept() {
        gst::init().expect("GStreamer starts");
        let completed = |format: &str, colorimetry: &str, height: i32| {
            let caps = gst::Caps::builder("video/x-raw")
                .field("format", format)
                .field("colorimetry", colorimetry)
                .field("height", height)
                .build();
            complete_colorimetry(&caps).map(|caps| {
                caps.structure(0)
                    .unwrap()
                    .get::<String>("colorimetry")
                    .unwrap()
            })
        };
        assert_eq!(
            completed("I420", "1:0:0:0", 480).as_deref(),
            Some("1:4:0:0")
        );
        assert_eq!(
            completed("I420", "0:0:5:1", 1080).as_deref(),
            Some("2:3:5:1")
        );
        assert_eq!(completed("I420", "bt709", 480), None);
        assert_eq!(completed("I420", "1:4:0:0", 480), None);
        assert_eq!(completed("BGRA", "1:0:0:0", 480), None);
    }
}
