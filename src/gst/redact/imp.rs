use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use super::OnMissing;
use super::frozen::Frozen;
use crate::detect::Class;
use crate::gst::burst::{Burst, Due};
use crate::gst::meta::{self, MarkedRegion, State as MarkerState};
use crate::gst::{lock, settings, video};
use crate::redact::{Redactor, Settings};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "floutageredact",
        gst::DebugColorFlags::empty(),
        Some("Redacts regions of interest"),
    )
});

/// Why a frame is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The detector was asked and failed.
    DetectorFailed,
    /// The frame was marked as corrupted, and such frames are not analysed.
    ArrivedDamaged,
    /// Nothing says that the frame was analysed.
    NoMarker,
    /// The detector left the frame to a tracker, and none took it.
    Untracked,
    /// The frame has other regions than the marker counted.
    RegionsLost,
    /// The frame has another size than the one analysed.
    SizeChanged,
    /// The regions could not be redacted.
    RedactionFailed,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::DetectorFailed,
        Self::ArrivedDamaged,
        Self::NoMarker,
        Self::Untracked,
        Self::RegionsLost,
        Self::SizeChanged,
        Self::RedactionFailed,
    ];

    /// Name of the counter in `stats`.
    fn name(self) -> &'static str {
        match self {
            Self::DetectorFailed => "detector-failed",
            Self::ArrivedDamaged => "arrived-damaged",
            Self::NoMarker => "no-marker",
            Self::Untracked => "untracked",
            Self::RegionsLost => "regions-lost",
            Self::SizeChanged => "size-changed",
            Self::RedactionFailed => "redaction-failed",
        }
    }

    /// What to do about it.
    fn advice(self) -> &'static str {
        match self {
            Self::DetectorFailed => "see the detector's messages",
            Self::ArrivedDamaged => "see to the connection to the camera",
            Self::NoMarker => "put floutagedetect before this element",
            Self::Untracked => "put floutagetrack before this element, or detect every frame",
            Self::RegionsLost | Self::SizeChanged => {
                "put nothing between floutagedetect and this element, or use floutagebin"
            }
            Self::RedactionFailed => "see this element's messages",
        }
    }
}

/// What to do with a buffer.
enum Verdict {
    Redact(Vec<MarkedRegion>),
    Fill(Reason),
}

#[derive(Clone, Copy, Debug, Default)]
struct Stats {
    frames: u64,
    regions: [u64; Class::ALL.len()],
    filled: [u64; Reason::ALL.len()],
    time: Duration,
}

#[derive(Default)]
struct State {
    info: Option<gst_video::VideoInfo>,
    redactor: Option<Redactor>,
    frozen: Frozen,
    burst: Burst,
    stats: Stats,
}

#[derive(Clone, Debug, Default)]
struct Properties {
    redaction: Settings,
    on_missing: OnMissing,
    draw: bool,
}

#[derive(Default)]
pub struct FloutageRedact {
    properties: Mutex<Properties>,
    rejected: Mutex<settings::Rejected>,
    state: Mutex<State>,
}

impl FloutageRedact {
    pub(super) fn set_settings(&self, settings: Settings) -> crate::Result<()> {
        settings.validate()?;
        lock(&self.properties).redaction = settings;
        *lock(&self.rejected) = settings::Rejected::default();
        Ok(())
    }

    /// Decides from the buffer's metas alone.
    fn judge(
        buffer: &gst::BufferRef,
        info: &gst_video::VideoInfo,
        on_missing: OnMissing,
    ) -> Verdict {
        let Some(marker) = meta::marker(buffer) else {
            return if on_missing == OnMissing::Pass {
                Verdict::Redact(meta::regions(buffer))
            } else {
                Verdict::Fill(Reason::NoMarker)
            };
        };
        // A buffer that was redacted before is redacted again with the regions it still has.
        if marker.state == MarkerState::Failed
            && buffer.flags().contains(gst::BufferFlags::CORRUPTED)
        {
            Verdict::Fill(Reason::ArrivedDamaged)
        } else if marker.state == MarkerState::Failed {
            Verdict::Fill(Reason::DetectorFailed)
        } else if marker.state == MarkerState::Deferred {
            Verdict::Fill(Reason::Untracked)
        } else if (marker.width, marker.height) != (info.width(), info.height()) {
            Verdict::Fill(Reason::SizeChanged)
        } else if marker.regions != meta::region_count(buffer) {
            Verdict::Fill(Reason::RegionsLost)
        } else {
            Verdict::Redact(meta::regions(buffer))
        }
    }

    /// Applies `verdict` to the pixels. Ok holds the reason if the frame was filled; Err means that the pixels
    /// could not even be filled.
    fn apply(
        &self,
        verdict: &Verdict,
        (redactor, frozen): (&Redactor, &mut Frozen),
        draw: bool,
        info: &gst_video::VideoInfo,
        buffer: &mut gst::BufferRef,
    ) -> Result<Option<Reason>, gst::FlowError> {
        if let Verdict::Redact(regions) = verdict
            && regions.is_empty()
            && !redactor.has_zones()
        {
            return Ok(None);
        }
        let mut mapped = VideoFrameRef::from_buffer_ref_writable(buffer, info).map_err(|_| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::Write,
                ["a buffer cannot be written, so it was not let through"]
            );
            gst::FlowError::Error
        })?;
        let mut frame = video::frame_mut(&mut mapped).map_err(|error| {
            gst::element_imp_error!(self, gst::StreamError::Format, ["{error}"]);
            gst::FlowError::Error
        })?;
        match verdict {
            Verdict::Fill(reason) => {
                redactor.fill(&mut frame);
                Ok(Some(*reason))
            }
            Verdict::Redact(marked) => match frozen
                .regions(redactor, &frame.as_frame(), marked)
                .and_then(|regions| redactor.redact(&mut frame, &regions).map(|()| regions))
            {
                Ok(regions) => {
                    if draw {
                        redactor.draw(&mut frame, &regions, &labels(marked));
                    }
                    Ok(None)
                }
                Err(error) => {
                    gst::warning!(CAT, imp = self, "{error}");
                    redactor.fill(&mut frame);
                    Ok(Some(Reason::RedactionFailed))
                }
            },
        }
    }
}

/// What to write beside each region: the number of its track and the first letter of its state.
fn labels(marked: &[MarkedRegion]) -> Vec<String> {
    let label = |region: &MarkedRegion| match (region.track, &region.state) {
        (Some(id), Some(state)) => format!("{id}{}", state.get(..1).unwrap_or_default()),
        (Some(id), None) => id.to_string(),
        (None, _) => String::new(),
    };
    marked.iter().map(label).collect()
}

#[glib::object_subclass]
impl ObjectSubclass for FloutageRedact {
    const NAME: &'static str = "FloutageRedact";
    type Type = super::FloutageRedact;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FloutageRedact {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut properties = settings::redactor_properties();
            properties.extend(settings::redact_policy_properties());
            properties.push(settings::stats_property());
            properties
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let mut properties = lock(&self.properties);
        match pspec.name() {
            "on-missing" => properties.on_missing = value.get().unwrap_or_default(),
            "draw" => properties.draw = value.get().unwrap_or_default(),
            name => {
                let outcome =
                    settings::set_redactor_property(&mut properties.redaction, name, value);
                lock(&self.rejected).note(name, outcome);
            }
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            settings::STATS => {
                let stats = lock(&self.state).stats;
                let mut structure = gst::Structure::builder("floutageredact-stats")
                    .field("frames", stats.frames)
                    .field("faces", stats.regions[Class::Face as usize])
                    .field("plates", stats.regions[Class::Plate as usize])
                    .field("failed-closed", stats.filled.iter().sum::<u64>())
                    .field("redact-ns", stats.time.as_nanos() as u64);
                for reason in Reason::ALL {
                    structure = structure.field(reason.name(), stats.filled[reason as usize]);
                }
                structure.build().to_value()
            }
            "on-missing" => lock(&self.properties).on_missing.to_value(),
            "draw" => lock(&self.properties).draw.to_value(),
            name => settings::redactor_property(&lock(&self.properties).redaction, name),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        settings::work_in_place(&*self.obj());
    }
}

impl GstObjectImpl for FloutageRedact {}

impl ElementImpl for FloutageRedact {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Region redactor",
                "Filter/Effect/Video",
                "Redacts regions of interest irreversibly and fills what was not analysed",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        settings::pad_templates()
    }
}

impl BaseTransformImpl for FloutageRedact {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.rejected).check()?;
        let redactor = Redactor::new(lock(&self.properties).redaction.clone())
            .map_err(|error| gst::error_msg!(gst::LibraryError::Settings, ("{error}")))?;
        *lock(&self.state) = State {
            redactor: Some(redactor),
            ..State::default()
        };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.state).info = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        let mut state = lock(&self.state);
        state.info = Some(video::info(&CAT, caps)?);
        // Cells are of one colour space.
        state.frozen = Frozen::default();
        Ok(())
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let started = Instant::now();
        let (on_missing, draw) = {
            let properties = lock(&self.properties);
            (properties.on_missing, properties.draw)
        };
        let mut state = lock(&self.state);
        let State {
            info,
            redactor,
            frozen,
            burst,
            stats,
        } = &mut *state;
        let (Some(info), Some(redactor)) = (info.as_ref(), redactor.as_ref()) else {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ["a buffer came before its caps"]
            );
            return Err(gst::FlowError::NotNegotiated);
        };
        let verdict = Self::judge(buffer, info, on_missing);
        if let Verdict::Fill(reason) = verdict
            && on_missing == OnMissing::Error
        {
            gst::element_imp_error!(
                self,
                gst::StreamError::Failed,
                ["{}: {}", reason.name(), reason.advice()]
            );
            return Err(gst::FlowError::Error);
        }
        let filled = self.apply(&verdict, (redactor, frozen), draw, info, buffer)?;
        if filled.is_none()
            && let Verdict::Redact(regions) = &verdict
        {
            for marked in regions {
                stats.regions[marked.region.class as usize] += 1;
            }
        }
        if meta::mark(buffer, MarkerState::Redacted, info).is_err() {
            gst::warning!(
                CAT,
                imp = self,
                "the marker was refused; the gate will fill the frame"
            );
        }
        stats.frames += 1;
        if let Some(reason) = filled {
            stats.filled[reason as usize] += 1;
        }
        stats.time += started.elapsed();
        match (burst.note(filled.is_some()), filled) {
            (Due::Begun, Some(reason)) => {
                gst::warning!(
                    CAT,
                    imp = self,
                    "frames are filled: {}: {}",
                    reason.name(),
                    reason.advice()
                );
            }
            (Due::Over(frames), _) => {
                gst::warning!(
                    CAT,
                    imp = self,
                    "redaction goes on after {frames} filled frames"
                );
            }
            _ => {}
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
