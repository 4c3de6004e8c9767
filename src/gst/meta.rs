//! What travels with a buffer: regions of interest and the marker. The only code that reads or writes either.
//!
//! Regions are `GstVideoRegionOfInterestMeta`, so that other elements can produce and read them. Those metas are
//! fragile: many elements drop them without a word. The marker is a `GstCustomMeta` without tags, which
//! survives more. Together they prove that what the detector saw is what the redactor gets.
//!
//! Invariants: a buffer has at most one marker; its state only moves analysed → redacted or to failed;
//! its region count is the number of region metas that were on the buffer when it was written.

use std::ops::ControlFlow;

use gst::MetaAPI;

use gst_video::VideoRegionOfInterestMeta;

use crate::detect::{Class, Detection};
use crate::geometry::BBox;
use crate::redact::Region;

/// Name of the marker's `GstCustomMeta`.
pub const MARKER: &str = "FloutageMarker";

/// What is known of a buffer's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The detector looked at this picture and its regions are on the buffer.
    Analysed,
    /// The detector was asked and could not answer; the picture must be filled.
    Failed,
    /// The regions are redacted or the whole picture is filled.
    Redacted,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Analysed => "analysed",
            Self::Failed => "failed",
            Self::Redacted => "redacted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Analysed, Self::Failed, Self::Redacted]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// The proof of treatment on a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// How far the picture got.
    pub state: State,
    /// Number of region metas on the buffer when the marker was written.
    pub regions: u32,
    /// Width of the picture in pixels when the marker was written.
    pub width: u32,
    /// Height of the picture in pixels when the marker was written.
    pub height: u32,
}

/// Makes the marker known to GStreamer; can be called again.
pub fn register() {
    if !gst::meta::CustomMeta::is_registered(MARKER) {
        gst::meta::CustomMeta::register(MARKER, &[]);
    }
}

/// The buffer's marker, if it has a well-formed one.
pub fn marker(buffer: &gst::BufferRef) -> Option<Marker> {
    let meta = gst::meta::CustomMeta::from_buffer(buffer, MARKER).ok()?;
    let structure = meta.structure();
    Some(Marker {
        state: State::from_name(structure.get("state").ok()?)?,
        regions: structure.get("regions").ok()?,
        width: structure.get("width").ok()?,
        height: structure.get("height").ok()?,
    })
}

/// Puts `marker` on the buffer in place of whatever marker was there.
///
/// Errors: when GStreamer refuses the meta, which is then absent: the buffer counts as not analysed.
pub fn set_marker(buffer: &mut gst::BufferRef, marker: Marker) -> Result<(), glib::BoolError> {
    remove_metas(buffer, is_marker);
    let mut meta = gst::meta::CustomMeta::add(buffer, MARKER)?;
    let structure = meta.mut_structure();
    structure.set("state", marker.state.name());
    structure.set("regions", marker.regions);
    structure.set("width", marker.width);
    structure.set("height", marker.height);
    Ok(())
}

fn is_marker(meta: &gst::MetaRef<gst::Meta>) -> bool {
    meta.try_as_custom_meta()
        .is_some_and(|meta| meta.has_name(MARKER))
}

/// Removes every meta that `unwanted` picks, but those that belong to the memory and cannot be removed.
fn remove_metas(buffer: &mut gst::BufferRef, unwanted: impl Fn(&gst::MetaRef<gst::Meta>) -> bool) {
    buffer.foreach_meta_mut(|meta| {
        let locked = meta.flags().contains(gst::MetaFlags::LOCKED);
        let action = if !locked && unwanted(&meta.as_meta_ref()) {
            gst::buffer::BufferMetaForeachAction::Remove
        } else {
            gst::buffer::BufferMetaForeachAction::Keep
        };
        ControlFlow::Continue(action)
    });
}

/// Removes everything from the buffer that is neither pixels, their layout, nor the marker: regions, captions,
/// user data, time codes, time stamps of foreign clocks.
pub fn strip(buffer: &mut gst::BufferRef) {
    let layout = gst_video::VideoMeta::meta_api();
    remove_metas(buffer, |meta| meta.api() != layout && !is_marker(meta));
}

/// Adds `detections` to the buffer as regions of interest, clipped to `width` × `height` pixels and rounded
/// outward; those wholly outside are left out.
pub fn add_regions(
    buffer: &mut gst::BufferRef,
    detections: &[Detection],
    width: usize,
    height: usize,
) {
    for (index, detection) in detections.iter().enumerate() {
        let bbox = keep_margin(detection.bbox, width, height);
        let Some(rect) = bbox.outward(width, height) else {
            continue;
        };
        let mut meta = VideoRegionOfInterestMeta::add(
            buffer,
            detection.class.name(),
            (
                rect.x1 as u32,
                rect.y1 as u32,
                rect.width() as u32,
                rect.height() as u32,
            ),
        );
        meta.set_id(index as i32);
        meta.add_param(
            gst::Structure::builder("detection")
                .field("confidence", f64::from(detection.confidence))
                .build(),
        );
    }
}

/// The redactor's margin is a share of the rectangle it gets. Where the frame's edge cuts a box, what remains is
/// smaller and so would be its margin on the far side: a quarter of what is cut off goes there.
fn keep_margin(bbox: BBox, width: usize, height: usize) -> BBox {
    let cut = |before: f32, after: f32| (before.max(0.0) * 0.25, after.max(0.0) * 0.25);
    let (left, right) = cut(-bbox.x1, bbox.x2 - width as f32);
    let (top, bottom) = cut(-bbox.y1, bbox.y2 - height as f32);
    BBox::new(
        bbox.x1 - right,
        bbox.y1 - bottom,
        bbox.x2 + left,
        bbox.y2 + top,
    )
}

/// Number of region metas on the buffer.
pub fn region_count(buffer: &gst::BufferRef) -> u32 {
    buffer.iter_meta::<VideoRegionOfInterestMeta>().count() as u32
}

/// The buffer's regions. A type that is not known, from a foreign element, gets the class that is redacted
/// more strongly.
pub fn regions(buffer: &gst::BufferRef) -> Vec<Region> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(|meta| {
            let (x, y, width, height) = meta.rect();
            Region::new(
                BBox::from_xywh(x as f32, y as f32, width as f32, height as f32),
                meta.roi_type().parse().unwrap_or(Class::Plate),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_round_trip_and_replacement() {
        gst::init().expect("GStreamer starts");
        register();
        register();
        let mut buffer = gst::Buffer::with_size(16).expect("allocation");
        let buffer = buffer.get_mut().expect("sole owner");
        assert_eq!(marker(buffer), None);
        for state in [State::Analysed, State::Failed, State::Redacted] {
            let value = Marker {
                state,
                regions: 3,
                width: 640,
                height: 360,
            };
            set_marker(buffer, value).expect("meta added");
            assert_eq!(marker(buffer), Some(value));
            assert_eq!(buffer.iter_meta::<gst::Meta>().count(), 1);
        }
    }

    #[test]
    fn stripping_keeps_layout_and_marker_alone() {
        gst::init().expect("GStreamer starts");
        register();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 16, 16)
            .build()
            .expect("valid");
        let mut buffer = gst::Buffer::with_size(info.size()).expect("allocation");
        let buffer = buffer.get_mut().expect("sole owner");
        gst_video::VideoMeta::add(
            buffer,
            gst_video::VideoFrameFlags::empty(),
            gst_video::VideoFormat::I420,
            16,
            16,
        )
        .expect("meta added");
        add_regions(
            buffer,
            &[Detection {
                bbox: BBox::new(1.0, 1.0, 9.0, 9.0),
                class: Class::Face,
                confidence: 0.5,
            }],
            16,
            16,
        );
        gst_video::VideoCaptionMeta::add(buffer, gst_video::VideoCaptionType::Cea708Raw, b"name");
        set_marker(
            buffer,
            Marker {
                state: State::Redacted,
                regions: 1,
                width: 16,
                height: 16,
            },
        )
        .expect("meta added");
        strip(buffer);
        assert_eq!(region_count(buffer), 0);
        assert!(buffer.meta::<gst_video::VideoCaptionMeta>().is_none());
        assert!(buffer.meta::<gst_video::VideoMeta>().is_some());
        assert!(marker(buffer).is_some());
    }

    #[test]
    fn regions_keep_their_far_margin_at_the_edge() {
        gst::init().expect("GStreamer starts");
        let mut buffer = gst::Buffer::with_size(16).expect("allocation");
        let buffer = buffer.get_mut().expect("sole owner");
        let bbox = BBox::new(-40.0, 10.0, 40.0, 90.0);
        let detection = Detection {
            bbox,
            class: Class::Face,
            confidence: 0.9,
        };
        add_regions(buffer, &[detection], 200, 200);
        let region = regions(buffer)[0];
        let wanted = bbox.dilate(0.4);
        assert!(region.bbox.dilate(0.4).x2 >= wanted.x2);
        assert_eq!(region.class, Class::Face);
    }
}
