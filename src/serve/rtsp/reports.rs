//! Sender reports with the time at the camera: the wall clock when a picture was taken, and not when it was sent.

use std::sync::{Arc, Weak};

use gst::prelude::*;
use gst_rtsp_server::prelude::*;

use crate::serve::unit::Feed;

/// Seconds from the epoch of NTP, 1900, to that of Unix, 1970.
const EPOCHS: u64 = 2_208_988_800;
/// RTCP packet type of a sender report.
const SENDER_REPORT: u8 = 200;

/// Has the sender reports of `media` tell the times of what `feed` gives it.
pub fn tell_camera_time(media: &gst_rtsp_server::RTSPMedia, feed: &Arc<Feed>) {
    let feed = Arc::downgrade(feed);
    media.connect_prepared(move |media| {
        let mut top = media.element().upcast::<gst::Object>();
        while let Some(parent) = top.parent() {
            top = parent;
        }
        let Ok(pipeline) = top.downcast::<gst::Bin>() else {
            return;
        };
        for element in pipeline
            .iterate_recurse()
            .into_iter()
            .filter_map(Result::ok)
        {
            let is_rtp = element
                .factory()
                .is_some_and(|factory| factory.name() == "rtpbin");
            for pad in element
                .pads()
                .into_iter()
                .filter(|pad| is_rtp && pad.name().starts_with("send_rtcp_src"))
            {
                watch(&pad, feed.clone());
            }
        }
    });
}

fn watch(pad: &gst::Pad, feed: Weak<Feed>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let (Some(feed), Some(buffer)) = (feed.upgrade(), info.buffer_mut())
            && let Some(time) = feed.wall_clock_now()
            && let Ok(mut bytes) = buffer.make_mut().map_writable()
        {
            set_time(&mut bytes, time);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Sets the NTP time of the sender report that `packet` begins with, if it does, to `time` in nanoseconds since 1970.
fn set_time(packet: &mut [u8], time: u64) {
    if packet.len() < 28 || packet[1] != SENDER_REPORT {
        return;
    }
    let (seconds, rest) = (time / 1_000_000_000 + EPOCHS, time % 1_000_000_000);
    let fraction = ((rest << 32) / 1_000_000_000) as u32;
    packet[8..12].copy_from_slice(&(seconds as u32).to_be_bytes());
    packet[12..16].copy_from_slice(&fraction.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sender_reports_are_changed() {
        let mut report = [0u8; 28];
        report[1] = SENDER_REPORT;
        set_time(&mut report, 1_500_000_000);
        assert_eq!(report[8..16], [0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0]);
        let mut other = [0u8; 28];
        other[1] = 201;
        set_time(&mut other, 1_500_000_000);
        assert_eq!(other[8..16], [0; 8]);
        set_time(&mut [0, SENDER_REPORT], 1);
    }
}
