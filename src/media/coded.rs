//! Coded pictures in a file of their own, until a muxer takes them: GStreamer's own packets, which keep times exactly.

use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::encode::Container;
use super::guard::Guard;
use super::wiring::{make, pad};
use crate::error::{Error, Result};

/// The muxers' pads for video.
pub const VIDEO_PAD: &str = "video_%u";
/// Where times begin in such a file: pictures may be decoded before the first one is shown.
const BEGIN: gst::ClockTime = gst::ClockTime::from_seconds(1000 * 3600);

/// Elements behind a parser that give a file what the muxer of `container` will take.
///
/// Errors: [`Error::Media`] when an element is missing.
pub fn elements(container: Container, guard: &Arc<Guard>) -> Result<Vec<gst::Element>> {
    let mux = make(container.muxer())?;
    let taken = mux
        .factory()
        .into_iter()
        .flat_map(|factory| factory.static_pad_templates())
        .find(|template| template.name_template() == VIDEO_PAD)
        .ok_or_else(|| Error::media(container.muxer(), "takes no video"))?;
    let form = make("capsfilter")?;
    form.set_property("caps", taken.caps());
    begin_alike(&pad(&form, "src")?, guard);
    Ok(vec![form, make("gdppay")?])
}

/// Counts the times of what leaves `pad` from [`BEGIN`] on, whatever its encoder made of them.
fn begin_alike(pad: &gst::Pad, guard: &Arc<Guard>) {
    type Segment = gst::FormattedSegment<gst::ClockTime>;
    let current = Arc::new(Mutex::new(None::<Segment>));
    let part = current.clone();
    guard.probe(pad, gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(event) = info.event()
            && let gst::EventView::Segment(segment) = event.view()
            && let Some(segment) = segment.segment().downcast_ref::<gst::ClockTime>()
        {
            *part.lock().unwrap_or_else(PoisonError::into_inner) = Some(segment.clone());
            let mut alike = Segment::new();
            alike.set_start(BEGIN);
            alike.set_position(BEGIN);
            let event = gst::event::Segment::builder(&alike)
                .seqnum(event.seqnum())
                .build();
            info.data = Some(gst::PadProbeData::Event(event));
        }
        Ok(gst::PadProbeReturn::Ok)
    });
    let name = guard.input().to_owned();
    guard.probe(pad, gst::PadProbeType::BUFFER, move |_, info| {
        let part = current.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(part), Some(buffer)) = (part.as_ref(), info.buffer_mut()) else {
            return Ok(gst::PadProbeReturn::Ok);
        };
        let alike = |time: Option<gst::ClockTime>| match time {
            None => Ok(None),
            Some(time) => part
                .to_running_time_full(time)
                .and_then(|time| match time {
                    gst::Signed::Positive(after) => BEGIN.checked_add(after),
                    gst::Signed::Negative(before) => BEGIN.checked_sub(before),
                })
                .map(Some)
                .ok_or_else(|| Error::media(&name, "an encoded picture has no time")),
        };
        let (pts, dts) = (alike(buffer.pts())?, alike(buffer.dts())?);
        let buffer = buffer.make_mut();
        buffer.set_pts(pts);
        buffer.set_dts(dts);
        Ok(gst::PadProbeReturn::Ok)
    });
}
