use std::sync::{LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use super::OnUnredacted;
use crate::gst::burst::{Burst, Due};
use crate::gst::meta::{self, State as MarkerState};
use crate::gst::{lock, settings, video};
use crate::redact::{Redactor, Settings};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "floutagegate",
        gst::DebugColorFlags::empty(),
        Some("Lets redacted buffers through"),
    )
});

#[derive(Default)]
struct State {
    info: Option<gst_video::VideoInfo>,
    filler: Option<Redactor>,
    burst: Burst,
    frames: u64,
    refused: u64,
}

#[derive(Default)]
pub struct FloutageGate {
    on_unredacted: Mutex<OnUnredacted>,
    state: Mutex<State>,
}

impl FloutageGate {
    fn fill(
        &self,
        filler: &Redactor,
        info: &gst_video::VideoInfo,
        buffer: &mut gst::BufferRef,
    ) -> Result<(), gst::FlowError> {
        let mut mapped = VideoFrameRef::from_buffer_ref_writable(buffer, info).map_err(|_| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::Write,
                ["a buffer that is not redacted cannot be filled, so it was not let through"]
            );
            gst::FlowError::Error
        })?;
        let mut frame = video::frame_mut(&mut mapped).map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::Format, ["{error}"]);
            gst::FlowError::Error
        })?;
        filler.fill(&mut frame);
        Ok(())
    }
}

/// The event without what could tell of the source; None for an event that has no business behind the gate.
fn clean(event: gst::Event) -> Option<gst::Event> {
    use gst::EventView;
    let keep = match event.view() {
        // A stream's description can hold tags.
        EventView::StreamStart(start) if start.stream().is_some() => {
            let mut builder = gst::event::StreamStart::builder(start.stream_id())
                .flags(start.stream_flags())
                .seqnum(event.seqnum());
            if let Some(group) = start.group_id() {
                builder = builder.group_id(group);
            }
            return Some(builder.build());
        }
        EventView::StreamStart(_)
        | EventView::Caps(_)
        | EventView::Segment(_)
        | EventView::Gap(_)
        | EventView::Eos(_)
        | EventView::FlushStart(_)
        | EventView::FlushStop(_)
        | EventView::SegmentDone(_)
        | EventView::StreamGroupDone(_)
        | EventView::Buffersize(_)
        | EventView::InstantRateChange(_)
        | EventView::Latency(_) => true,
        EventView::CustomDownstream(_) => gst_video::ForceKeyUnitEvent::is(&event),
        _ => false,
    };
    keep.then_some(event)
}

#[glib::object_subclass]
impl ObjectSubclass for FloutageGate {
    const NAME: &'static str = "FloutageGate";
    type Type = super::FloutageGate;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FloutageGate {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
            LazyLock::new(|| vec![settings::gate_policy_property(), settings::stats_property()]);
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, _pspec: &glib::ParamSpec) {
        *lock(&self.on_unredacted) = value.get().unwrap_or_default();
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == settings::STATS {
            let state = lock(&self.state);
            return gst::Structure::builder("floutagegate-stats")
                .field("frames", state.frames)
                .field("refused", state.refused)
                .build()
                .to_value();
        }
        lock(&self.on_unredacted).to_value()
    }

    fn constructed(&self) {
        self.parent_constructed();
        settings::work_in_place(&*self.obj());
    }
}

impl GstObjectImpl for FloutageGate {}

impl ElementImpl for FloutageGate {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Redaction gate",
                "Filter/Video",
                "Lets redacted pictures and their times through, and nothing else",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        settings::pad_templates()
    }
}

impl BaseTransformImpl for FloutageGate {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let filler = Redactor::new(Settings::default())
            .map_err(|error| gst::error_msg!(gst::LibraryError::Settings, ["{error}"]))?;
        *lock(&self.state) = State {
            filler: Some(filler),
            ..State::default()
        };
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        lock(&self.state).info = Some(video::info(&CAT, caps)?);
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        match clean(event) {
            Some(event) => self.parent_sink_event(event),
            None => true,
        }
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut state = lock(&self.state);
        let State {
            info,
            filler,
            burst,
            frames,
            refused,
        } = &mut *state;
        let (Some(info), Some(filler)) = (info.as_ref(), filler.as_ref()) else {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ["a buffer came before its caps"]
            );
            return Err(gst::FlowError::NotNegotiated);
        };
        let redacted = meta::marker(buffer).is_some_and(|marker| {
            marker.state == MarkerState::Redacted
                && (marker.width, marker.height) == (info.width(), info.height())
        });
        *frames += 1;
        if !redacted {
            *refused += 1;
            if *lock(&self.on_unredacted) == OnUnredacted::Error {
                gst::element_imp_error!(
                    self,
                    gst::StreamError::Failed,
                    [
                        "a buffer is not redacted: put floutagebin or floutageredact directly before this element"
                    ]
                );
                return Err(gst::FlowError::Error);
            }
            self.fill(filler, info, buffer)?;
        }
        meta::strip(buffer);
        match burst.note(!redacted) {
            Due::Begun => gst::warning!(
                CAT,
                imp = self,
                "frames are filled: they are not redacted; put floutagebin or floutageredact directly before this element"
            ),
            Due::Over(frames) => gst::warning!(CAT, imp = self, "{frames} frames were filled"),
            Due::Nothing => {}
        }
        Ok(gst::FlowSuccess::Ok)
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        video::propose_layout(query);
        Ok(())
    }
}
