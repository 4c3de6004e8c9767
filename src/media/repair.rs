//! Mends what decoders leave unsaid or say wrongly about pictures: colorimetry and time stamps.

use std::sync::{Arc, Mutex, PoisonError};

use gst::glib::translate::IntoGlib;
use gst::prelude::*;

use super::guard::Guard;

/// Length of a frame of which nothing else is known.
const USUAL_FRAME: gst::ClockTime = gst::ClockTime::from_mseconds(40);

/// Mends the pictures that leave `pad`, the source pad of a decoder.
///
/// - Colorimetry with unknown coefficients is invalid to GStreamer, which then forgets the range as well, and
///   full-range video would be written as limited. Unknown parts become what players assume.
/// - Interlaced pictures of unknown field order become such with the top field first.
/// - Times become those of one line, see [`one_timeline`].
/// - Time stamps that stand still or are missing (GIF, motion JPEG) go on by the frames' durations.
pub fn repair(pad: &gst::Pad, guard: &Arc<Guard>) {
    change_caps(pad, guard, complete);
    one_timeline(pad, guard);
    let last = Mutex::new(None::<(gst::ClockTime, gst::ClockTime)>);
    guard.probe(pad, gst::PadProbeType::BUFFER, move |pad, info| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(buffer) = info.buffer_mut() else {
            return Ok(gst::PadProbeReturn::Ok);
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
        if let Some(pts) = mended.or(pts) {
            *last = Some((pts, duration.unwrap_or(USUAL_FRAME)));
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// Gives what leaves `pad` the times at which it is shown: an edit list makes a demuxer send parts of the file, each
/// with its own way to count, and encoders keep frames back from one part to the next.
pub fn one_timeline(pad: &gst::Pad, guard: &Arc<Guard>) {
    type Segment = gst::FormattedSegment<gst::ClockTime>;
    let part = Arc::new(Mutex::new(None::<Segment>));
    let current = part.clone();
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(event) = info.event() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = match event.view() {
            gst::EventView::Segment(segment) => {
                let Some(new) = segment.segment().downcast_ref::<gst::ClockTime>() else {
                    return Ok(gst::PadProbeReturn::Ok);
                };
                let first = part.replace(new.clone()).is_none();
                first.then(|| {
                    gst::event::Segment::builder(&Segment::new())
                        .seqnum(event.seqnum())
                        .build()
                })
            }
            gst::EventView::Gap(gap) => {
                let (start, length) = gap.get();
                let start = part
                    .as_ref()
                    .map_or(Some(start), |part| part.to_running_time(start));
                start.map(|start| {
                    gst::event::Gap::builder(start)
                        .duration(length)
                        .seqnum(event.seqnum())
                        .build()
                })
            }
            _ => return Ok(gst::PadProbeReturn::Ok),
        };
        Ok(match changed {
            Some(event) => {
                info.data = Some(gst::PadProbeData::Event(event));
                gst::PadProbeReturn::Ok
            }
            // Not Drop: see `audio::drop_tags`.
            None => gst::PadProbeReturn::Handled,
        })
    });
    guard.probe(pad, gst::PadProbeType::BUFFER, move |_, info| {
        let part = current.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(part), Some(buffer)) = (part.as_ref(), info.buffer_mut()) else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let Some(pts) = buffer.pts() else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let Some((time, length)) = shown(part, pts, buffer.duration()) else {
            return Ok(gst::PadProbeReturn::Handled);
        };
        let buffer = buffer.make_mut();
        buffer.set_pts(time);
        if length.is_some() {
            buffer.set_duration(length);
        }
        Ok(gst::PadProbeReturn::Ok)
    });
}

/// When, and for how long, a picture of `part` with the time stamp `pts` is shown; None when it lies outside.
pub(super) fn shown(
    part: &gst::FormattedSegment<gst::ClockTime>,
    pts: gst::ClockTime,
    duration: Option<gst::ClockTime>,
) -> Option<(gst::ClockTime, Option<gst::ClockTime>)> {
    let (from, to) = part.clip(pts, duration.map(|duration| pts + duration))?;
    let from = from?;
    let length = to.map(|to| to.saturating_sub(from));
    Some((part.to_running_time(from)?, length))
}

/// Replaces the caps that leave `pad` by what `change` makes of them, if anything.
fn change_caps(pad: &gst::Pad, guard: &Arc<Guard>, change: fn(&gst::CapsRef) -> Option<gst::Caps>) {
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(caps) = change(caps.caps())
        {
            let event = gst::event::Caps::builder(&caps)
                .seqnum(event.seqnum())
                .build();
            info.data = Some(gst::PadProbeData::Event(event));
        }
        Ok(gst::PadProbeReturn::Ok)
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
pub fn leave_range_to_decoder(pad: &gst::Pad, guard: &Arc<Guard>) {
    change_caps(pad, guard, without_range);
}

/// `caps` of H.264 or H.265 with the range of their colorimetry unknown; None when there is none.
fn without_range(caps: &gst::CapsRef) -> Option<gst::Caps> {
    let structure = caps.structure(0)?;
    if !matches!(structure.name().as_str(), "video/x-h264" | "video/x-h265") {
        return None;
    }
    let text = structure.get::<&str>("colorimetry").ok()?;
    let known: gst_video::VideoColorimetry = text.parse().ok()?;
    // Matrix, transfer and primaries in the numbers of GStreamer's enumerations, 0 for unknown.
    let rest = [
        known.matrix().into_glib(),
        known.transfer().into_glib(),
        known.primaries().into_glib(),
    ];
    let mut caps = caps.to_owned();
    let changed = caps.make_mut();
    if rest == [0; 3] {
        // GStreamer has no text for colorimetry of which nothing is known.
        if let Some(structure) = changed.structure_mut(0) {
            structure.remove_field("colorimetry");
        }
    } else {
        let [matrix, transfer, primaries] = rest;
        changed.set("colorimetry", format!("0:{matrix}:{transfer}:{primaries}"));
    }
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
    crate::gst::video::frame_length(rate)
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
    fn frames_of_no_rate_have_no_duration() {
        gst::init().expect("GStreamer starts");
        let duration = |numer, denom| {
            let pad = gst::Pad::new(gst::PadDirection::Src);
            pad.set_active(true).unwrap();
            let caps = gst::Caps::builder("video/x-raw")
                .field("framerate", gst::Fraction::new(numer, denom))
                .build();
            pad.push_event(gst::event::StreamStart::new("a"));
            pad.push_event(gst::event::Caps::new(&caps));
            frame_duration(&pad).map(gst::ClockTime::nseconds)
        };
        assert_eq!(duration(0, 1), None);
        assert_eq!(duration(25, 1), Some(40_000_000));
    }

    #[test]
    fn the_range_of_coded_caps_goes_and_the_rest_stays() {
        gst::init().expect("GStreamer starts");
        let without = |name: &str, colorimetry: &str| {
            let caps = gst::Caps::builder(name)
                .field("colorimetry", colorimetry)
                .build();
            without_range(&caps).map(|caps| {
                let structure = caps.structure(0).unwrap();
                structure.get::<String>("colorimetry").ok()
            })
        };
        let kept = |text: &str| Some(Some(text.to_owned()));
        assert_eq!(without("video/x-h264", "1:3:5:1"), kept("0:3:5:1"));
        assert_eq!(without("video/x-h265", "bt601"), kept("0:4:16:4"));
        // As Matroska files say that state the range alone.
        assert_eq!(without("video/x-h264", "1:0:0:0"), Some(None));
        assert_eq!(without("video/x-h264", "2:0:0:0"), Some(None));
        assert_eq!(without("video/x-vp9", "1:3:5:1"), None);
    }

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
