//! What travels with a buffer: regions of interest and the marker. The only code that reads or writes either.
//!
//! Regions are `GstVideoRegionOfInterestMeta`, so that other elements can produce and read them. Those metas are
//! fragile: many elements drop them without a word. The marker is a `GstCustomMeta` without tags, which
//! survives more. Together they prove that what the detector saw is what the redactor gets.
//!
//! Invariants: a buffer has at most one marker; its state only moves deferred → analysed → redacted, or to failed;
//! its region count is the number of region metas that were on the buffer when it was written.

use std::ops::ControlFlow;

use gst::MetaAPI;

use gst_video::VideoRegionOfInterestMeta;

use crate::detect::{Certainty, Class, Detection};
use crate::geometry::{BBox, PixelBox};
use crate::redact::Region;
use crate::track::{Observed, TrackedRegion};

/// Name of the marker's `GstCustomMeta`.
pub const MARKER: &str = "FloutageMarker";

/// What is known of a buffer's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The detector looked at this picture and its regions are on the buffer.
    Analysed,
    /// The detector left this picture to a tracker, which has not treated it yet; without one it must be filled.
    Deferred,
    /// The detector was asked and could not answer; the picture must be filled.
    Failed,
    /// The regions are redacted or the whole picture is filled.
    Redacted,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Analysed => "analysed",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Redacted => "redacted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Analysed, Self::Deferred, Self::Failed, Self::Redacted]
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

/// Marks the buffer, a picture of `info`, with the regions it now has.
///
/// Errors: those of [`set_marker`].
pub fn mark(
    buffer: &mut gst::BufferRef,
    state: State,
    info: &gst_video::VideoInfo,
) -> Result<(), glib::BoolError> {
    let marker = Marker {
        state,
        regions: region_count(buffer),
        width: info.width(),
        height: info.height(),
    };
    set_marker(buffer, marker)
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
        let own = exact(&detection.bbox).field("certainty", detection.certainty.name());
        let details = gst::Structure::builder("detection")
            .field("confidence", f64::from(detection.confidence));
        let params = [details.build(), own.build()];
        let region = (detection.class, detection.bbox, index as i32);
        add_region(buffer, region, params, (width, height));
    }
}

/// Puts `regions` in place of the buffer's regions of interest, likewise.
pub fn replace_regions(
    buffer: &mut gst::BufferRef,
    regions: &[TrackedRegion],
    width: usize,
    height: usize,
) {
    let old = VideoRegionOfInterestMeta::meta_api();
    remove_metas(buffer, |meta| meta.api() == old);
    for region in regions {
        // As DL Streamer names and types it; from track 2³¹ on numbers come again, years later.
        let id = (region.id.0 & 0x7fff_ffff) as i32;
        let own = exact(&region.bbox).field("state", region.state.name());
        let object = gst::Structure::builder("object_id").field("id", id);
        let params = [object.build(), own.build()];
        add_region(
            buffer,
            (region.class, region.bbox, id),
            params,
            (width, height),
        );
    }
}

/// Name of the structure with what regions of interest cannot say.
const OWN: &str = "floutage";

fn exact(bbox: &BBox) -> gst::structure::Builder {
    gst::Structure::builder(OWN)
        .field("x1", f64::from(bbox.x1))
        .field("y1", f64::from(bbox.y1))
        .field("x2", f64::from(bbox.x2))
        .field("y2", f64::from(bbox.y2))
}

fn add_region(
    buffer: &mut gst::BufferRef,
    (class, bbox, id): (Class, BBox, i32),
    params: [gst::Structure; 2],
    (width, height): (usize, usize),
) {
    let Some(rect) = placed(bbox, width, height) else {
        return;
    };
    let place = (
        rect.x1 as u32,
        rect.y1 as u32,
        rect.width() as u32,
        rect.height() as u32,
    );
    let mut meta = VideoRegionOfInterestMeta::add(buffer, class.name(), place);
    meta.set_id(id);
    for param in params {
        meta.add_param(param);
    }
}

/// The pixels of a frame of `width` × `height` that the region of interest of `bbox` has; None when it lies wholly outside.
pub fn placed(bbox: BBox, width: usize, height: usize) -> Option<PixelBox> {
    keep_margin(bbox, width, height).outward(width, height)
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

/// A region of interest as the redactor needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedRegion {
    /// What to redact.
    pub region: Region,
    /// The track it belongs to, if a tracker said so.
    pub track: Option<i32>,
    /// What the tracker said of it.
    pub state: Option<String>,
}

/// The buffer's regions. A type that is not known, from a foreign element, gets the class that is redacted
/// more strongly.
pub fn regions(buffer: &gst::BufferRef) -> Vec<MarkedRegion> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(|meta| MarkedRegion {
            region: Region::new(rect(&meta), class(&meta)),
            track: meta
                .param("object_id")
                .and_then(|param| param.get::<i32>("id").ok()),
            state: meta
                .param(OWN)
                .and_then(|param| param.get::<String>("state").ok()),
        })
        .collect()
}

/// What the buffer's regions say was detected, as exactly as they say it. Those of foreign elements count as sure.
pub fn observed(buffer: &gst::BufferRef) -> Vec<Observed> {
    let observe = |it: Detection| Observed {
        bbox: it.bbox,
        class: it.class,
        certainty: it.certainty,
    };
    detections(buffer).into_iter().map(observe).collect()
}

/// As [`observed`], with confidences; 1 where the region says none.
pub fn detections(buffer: &gst::BufferRef) -> Vec<Detection> {
    let detection = |meta: gst::MetaRef<'_, VideoRegionOfInterestMeta>| {
        let own = meta.param(OWN);
        let corner = |name: &str| own?.get::<f64>(name).ok().map(|value| value as f32);
        let exact = corner("x1")
            .zip(corner("y1"))
            .zip(corner("x2").zip(corner("y2")))
            .map(|((x1, y1), (x2, y2))| BBox::new(x1, y1, x2, y2))
            .filter(BBox::is_valid);
        Detection {
            bbox: exact.unwrap_or_else(|| rect(&meta)),
            class: class(&meta),
            confidence: meta
                .param("detection")
                .and_then(|param| param.get::<f64>("confidence").ok())
                .map_or(1.0, |value| value as f32),
            certainty: own
                .and_then(|own| own.get::<&str>("certainty").ok())
                .and_then(|name| Certainty::ALL.into_iter().find(|one| one.name() == name))
                .unwrap_or(Certainty::Confident),
        }
    };
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .map(detection)
        .collect()
}

/// Class and confidence, 0 to 1, of those of the buffer's regions whose confidence is known: detections, not yet tracked.
pub fn confidences(buffer: &gst::BufferRef) -> Vec<(Class, f64)> {
    buffer
        .iter_meta::<VideoRegionOfInterestMeta>()
        .filter_map(|meta| {
            let confidence = meta.param("detection")?.get::<f64>("confidence").ok()?;
            Some((class(&meta), confidence))
        })
        .collect()
}

fn rect(meta: &VideoRegionOfInterestMeta) -> BBox {
    let (x, y, width, height) = meta.rect();
    BBox::from_xywh(x as f32, y as f32, width as f32, height as f32)
}

fn class(meta: &VideoRegionOfInterestMeta) -> Class {
    meta.roi_type().parse().unwrap_or(Class::Plate)
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
        for state in [
            State::Analysed,
            State::Deferred,
            State::Failed,
            State::Redacted,
        ] {
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
                certainty: Certainty::Confident,
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
            certainty: Certainty::Confident,
        };
        add_regions(buffer, &[detection], 200, 200);
        let region = regions(buffer)[0].region;
        let wanted = bbox.dilate(0.4);
        assert!(region.bbox.dilate(0.4).x2 >= wanted.x2);
        assert_eq!(region.class, Class::Face);
        // What tracks get is the box as it was detected.
        assert_eq!(observed(buffer)[0].bbox, bbox);
    }

    #[test]
    fn a_trackers_regions_take_the_place_of_the_detectors() {
        gst::init().expect("GStreamer starts");
        let mut buffer = gst::Buffer::with_size(16).expect("allocation");
        let buffer = buffer.get_mut().expect("sole owner");
        let bbox = BBox::new(10.25, 20.5, 50.75, 70.0);
        let detection = Detection {
            bbox,
            class: Class::Face,
            confidence: 0.2,
            certainty: Certainty::Faint,
        };
        add_regions(buffer, &[detection, detection], 200, 200);
        let seen = observed(buffer);
        assert_eq!(seen.len(), 2);
        assert!(seen[0].certainty == Certainty::Faint && seen[0].bbox == bbox);
        let tracked = TrackedRegion {
            bbox,
            class: Class::Plate,
            id: crate::track::TrackId(7),
            state: crate::track::TrackState::Held,
        };
        replace_regions(buffer, &[tracked], 200, 200);
        let regions = regions(buffer);
        assert_eq!(regions.len(), 1);
        assert_eq!(regions[0].track, Some(7));
        assert_eq!(regions[0].state.as_deref(), Some("held"));
        assert_eq!(regions[0].region.class, Class::Plate);
    }
}
