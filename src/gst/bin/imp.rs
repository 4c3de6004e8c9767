use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;

use crate::gst::detect::FloutageDetect;
use crate::gst::gate::FloutageGate;
use crate::gst::redact::FloutageRedact;
use crate::gst::settings;
use crate::gst::track::FloutageTrack;

/// Frames between detection and redaction: enough that neither waits for the other, few enough that live
/// latency stays within two frames.
const QUEUE: u32 = 2;

pub struct FloutageBin {
    detect: FloutageDetect,
    track: FloutageTrack,
    redact: FloutageRedact,
    gate: FloutageGate,
}

impl Default for FloutageBin {
    fn default() -> Self {
        Self {
            detect: glib::Object::builder().property("name", "detect").build(),
            track: glib::Object::builder().property("name", "track").build(),
            redact: glib::Object::builder().property("name", "redact").build(),
            gate: glib::Object::builder().property("name", "gate").build(),
        }
    }
}

impl FloutageBin {
    pub(super) fn detect(&self) -> &FloutageDetect {
        &self.detect
    }

    pub(super) fn track(&self) -> &FloutageTrack {
        &self.track
    }

    pub(super) fn redact(&self) -> &FloutageRedact {
        &self.redact
    }

    /// The element that has property `name`.
    fn owner(&self, name: &str) -> &gst::Element {
        let children: [&gst::Element; 4] = [
            self.detect.upcast_ref(),
            self.track.upcast_ref(),
            self.redact.upcast_ref(),
            self.gate.upcast_ref(),
        ];
        children
            .into_iter()
            .find(|child| child.find_property(name).is_some())
            .unwrap_or(self.redact.upcast_ref())
    }

    /// Checks that what appears between two analysed frames is found before those are let go. Not when one of the properties is set:
    /// the other may still follow.
    fn check_cover(&self) -> Result<(), gst::StateChangeError> {
        let every = self.detect.property(settings::DETECT_EVERY);
        self.track.settings().check_cover(every).map_err(|error| {
            gst::element_imp_error!(self, gst::LibraryError::Settings, ["{error}"]);
            gst::StateChangeError
        })
    }

    fn assemble(&self) -> Result<(), glib::BoolError> {
        let bin = self.obj();
        let queue = gst::ElementFactory::make("queue")
            .property("max-size-buffers", QUEUE)
            .property("max-size-bytes", 0u32)
            .property("max-size-time", 0u64)
            .build()?;
        let elements: [&gst::Element; 5] = [
            self.detect.upcast_ref(),
            &queue,
            self.track.upcast_ref(),
            self.redact.upcast_ref(),
            self.gate.upcast_ref(),
        ];
        bin.add_many(elements)?;
        gst::Element::link_many(elements)?;
        for (name, element) in [("sink", elements[0]), ("src", elements[4])] {
            let target = element
                .static_pad(name)
                .ok_or_else(|| glib::bool_error!("no {name} pad"))?;
            let template = bin
                .pad_template(name)
                .ok_or_else(|| glib::bool_error!("no {name} template"))?;
            let pad = gst::GhostPad::builder_from_template_with_target(&template, &target)?
                .name(name)
                .build();
            bin.add_pad(&pad)?;
        }
        Ok(())
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FloutageBin {
    const NAME: &'static str = "FloutageBin";
    type Type = super::FloutageBin;
    type ParentType = gst::Bin;
}

impl ObjectImpl for FloutageBin {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut properties = settings::detector_properties();
            properties.push(settings::detect_every_property());
            properties.extend(settings::tracker_properties());
            properties.extend(settings::redactor_properties());
            properties.extend(settings::policy_properties());
            properties.push(settings::stats_property());
            properties
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.owner(pspec.name())
            .set_property_from_value(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == settings::STATS {
            let part = |element: &gst::Element| element.property::<gst::Structure>(settings::STATS);
            return gst::Structure::builder("floutagebin-stats")
                .field("detect", part(self.detect.upcast_ref()))
                .field("track", part(self.track.upcast_ref()))
                .field("redact", part(self.redact.upcast_ref()))
                .field("gate", part(self.gate.upcast_ref()))
                .build()
                .to_value();
        }
        self.owner(pspec.name()).property_value(pspec.name())
    }

    fn constructed(&self) {
        self.parent_constructed();
        self.detect.set_tracked();
        if let Err(error) = self.assemble() {
            // Without pads the bin cannot be linked, so nothing can flow through it.
            gst::error!(gst::CAT_RUST, imp = self, "cannot be put together: {error}");
        }
    }
}

impl GstObjectImpl for FloutageBin {}

impl ElementImpl for FloutageBin {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Video anonymizer",
                "Filter/Effect/Video",
                "Finds faces and licence plates and redacts them",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        settings::pad_templates()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            self.check_cover()?;
        }
        self.parent_change_state(transition)
    }
}

impl BinImpl for FloutageBin {}
