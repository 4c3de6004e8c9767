use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::base_transform::GenerateOutputSuccess;
use gst_base::subclass::prelude::*;

use crate::gst::meta::{self, State as MarkerState};
use crate::gst::{lock, settings, video};
use crate::track::decisions::{Decisions, steps};
use crate::track::scene::{Change, View};
use crate::track::window::{Item, Window};
use crate::track::{Settings, TrackState, TrackedRegion, Tracker};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "floutagetrack",
        gst::DebugColorFlags::empty(),
        Some("Joins detections to tracks"),
    )
});

/// A buffer that waits.
struct Held {
    buffer: gst::Buffer,
    /// The tracker's number of it.
    number: u64,
    /// Whether its regions are the tracker's to say.
    tracked: bool,
    /// Whether the detector left it out.
    left_out: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stats {
    frames: u64,
    cuts: u64,
    states: [u64; TrackState::ALL.len()],
    time: Duration,
}

struct State {
    info: Option<gst_video::VideoInfo>,
    tracker: Tracker,
    window: Window<Held, gst::Event>,
    /// The last frame that was analysed.
    analysed: Option<u64>,
    view: View,
    last: Option<gst::ClockTime>,
    stats: Stats,
}

impl State {
    fn new(settings: Settings) -> crate::Result<Self> {
        Ok(Self {
            info: None,
            tracker: Tracker::new(settings)?,
            window: Window::new(settings.look_ahead),
            analysed: None,
            view: View::default(),
            last: None,
            stats: Stats::default(),
        })
    }

    /// Length of one frame.
    fn frame_duration(&self) -> gst::ClockTime {
        let info = self.info.as_ref();
        info.map_or(video::USUAL_FRAME, video::nominal_length)
    }

    /// What happened in the picture since the last buffer.
    fn change(&mut self, buffer: &gst::BufferRef) -> Change {
        let Some(info) = &self.info else {
            return Change::Still;
        };
        video::thumbnail(info, buffer).map_or(Change::Still, |frame| self.view.next(frame))
    }

    fn take_in(&mut self, buffer: gst::Buffer) {
        let started = Instant::now();
        let change = self.change(&buffer);
        self.stats.cuts += u64::from(change == Change::Cut);
        let size = self.info.as_ref().map_or((0, 0), |info| {
            (info.width() as usize, info.height() as usize)
        });
        let time = |time: Option<gst::ClockTime>| time.map(gst::ClockTime::nseconds);
        let length = self.frame_duration().nseconds();
        let steps = steps(time(self.last), time(buffer.pts()), length);
        self.last = buffer.pts().or(self.last);
        let marker = meta::marker(&buffer).filter(|marker| {
            (marker.width as usize, marker.height as usize) == size
                && marker.regions == meta::region_count(&buffer)
        });
        let state = marker.map(|marker| marker.state);
        let seen = (state == Some(MarkerState::Analysed)).then(|| meta::observed(&buffer));
        let number = self.tracker.observe(size, steps, change, seen.as_deref());
        if state == Some(MarkerState::Analysed) {
            self.analysed = Some(number);
        }
        let left_out = state == Some(MarkerState::Deferred);
        self.window.push(Held {
            buffer,
            number,
            tracked: left_out || state == Some(MarkerState::Analysed),
            left_out,
        });
        self.stats.time += started.elapsed();
    }

    /// The buffer with its regions, ready to leave. One that was left out keeps its marker, and will be filled, when the next frame that
    /// is analysed comes too late for it and the stream is not at its `end`: what has appeared since would be open.
    fn let_out(&mut self, held: Held, end: bool) -> gst::Buffer {
        let started = Instant::now();
        let Held {
            mut buffer,
            number,
            tracked,
            left_out,
        } = held;
        let known = !left_out || end || self.analysed.is_some_and(|analysed| analysed > number);
        let regions = self.tracker.take(number);
        self.stats.frames += 1;
        if tracked && known {
            self.put(&regions, buffer.make_mut());
        }
        self.stats.time += started.elapsed();
        buffer
    }

    /// Puts the regions on `buffer` that were decided beforehand. One of which nothing was decided stays without a marker.
    fn decide(&mut self, decisions: &Decisions, buffer: &mut gst::BufferRef) {
        self.stats.frames += 1;
        let time = buffer.pts().map(gst::ClockTime::nseconds);
        if let Some(regions) = time.and_then(|time| decisions.at(time)) {
            self.put(regions, buffer);
        }
    }

    /// Puts `regions` on `buffer`, and the marker that these are all.
    fn put(&mut self, regions: &[TrackedRegion], buffer: &mut gst::BufferRef) {
        let Some(info) = &self.info else { return };
        for region in regions {
            self.stats.states[region.state as usize] += 1;
        }
        let (width, height) = (info.width() as usize, info.height() as usize);
        meta::replace_regions(buffer, regions, width, height);
        if meta::mark(buffer, MarkerState::Analysed, info).is_err() {
            gst::warning!(CAT, "the marker was refused; the frame will be filled");
        }
    }

    /// Forgets every buffer and track.
    fn reset(&mut self, settings: Settings) {
        if let Ok(fresh) = Self::new(settings) {
            *self = Self {
                info: self.info.take(),
                stats: self.stats,
                ..fresh
            };
        }
    }
}

#[derive(Default)]
pub struct FloutageTrack {
    settings: Mutex<Settings>,
    rejected: Mutex<settings::Rejected>,
    decisions: Mutex<Option<Arc<Decisions>>>,
    state: Mutex<Option<State>>,
}

impl FloutageTrack {
    pub(super) fn set_decisions(&self, decisions: Arc<Decisions>) {
        *lock(&self.decisions) = Some(decisions);
    }

    pub(super) fn settings(&self) -> Settings {
        *lock(&self.settings)
    }

    pub(super) fn set_settings(&self, settings: Settings) -> crate::Result<()> {
        settings.validate()?;
        *lock(&self.settings) = settings;
        Ok(())
    }

    /// The next item that may leave, or with `all` any; buffers have their regions.
    fn next(&self, all: bool) -> Option<Item<gst::Buffer, gst::Event>> {
        let mut state = lock(&self.state);
        let state = state.as_mut()?;
        let item = if all {
            state.window.pop_any()
        } else {
            state.window.pop()
        };
        Some(match item? {
            Item::Event(event) => Item::Event(event),
            Item::Frame(held) => Item::Frame(state.let_out(held, all)),
        })
    }

    /// Pushes everything that waits. The lock is not held meanwhile.
    fn drain(&self) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut outcome = Ok(gst::FlowSuccess::Ok);
        while let Some(item) = self.next(true) {
            match item {
                Item::Frame(buffer) if outcome.is_ok() => {
                    outcome = self.obj().src_pad().push(buffer);
                }
                // What nobody takes any more.
                Item::Frame(_) => {}
                Item::Event(event) => {
                    self.parent_sink_event(event);
                }
            }
        }
        outcome
    }

    /// Time that buffers wait.
    fn latency(&self) -> gst::ClockTime {
        let frames = lock(&self.settings).look_ahead as u64;
        let state = lock(&self.state);
        let length = state
            .as_ref()
            .map_or(video::USUAL_FRAME, State::frame_duration);
        length * frames
    }

    fn announce_latency(&self) {
        let message = gst::message::Latency::builder().src(&*self.obj()).build();
        // Nobody may listen.
        let _ = self.obj().post_message(message);
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FloutageTrack {
    const NAME: &'static str = "FloutageTrack";
    type Type = super::FloutageTrack;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FloutageTrack {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut properties = settings::tracker_properties();
            properties.push(settings::stats_property());
            properties
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        let outcome =
            settings::set_tracker_property(&mut lock(&self.settings), pspec.name(), value);
        lock(&self.rejected).note(pspec.name(), outcome);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == settings::STATS {
            let state = lock(&self.state);
            let stats = state.as_ref().map(|state| state.stats).unwrap_or_default();
            let waiting = state.as_ref().map_or(0, |state| state.window.len() as u64);
            let mut structure = gst::Structure::builder("floutagetrack-stats")
                .field("frames", stats.frames)
                .field("waiting", waiting)
                .field("cuts", stats.cuts)
                .field("track-ns", stats.time.as_nanos() as u64);
            for state in TrackState::ALL {
                structure = structure.field(state.name(), stats.states[state as usize]);
            }
            return structure.build().to_value();
        }
        settings::tracker_property(&lock(&self.settings), pspec.name())
    }

    fn constructed(&self) {
        self.parent_constructed();
        settings::work_in_place(&*self.obj());
    }
}

impl GstObjectImpl for FloutageTrack {}

impl ElementImpl for FloutageTrack {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Region tracker",
                "Filter/Analyzer/Video",
                "Follows regions of interest from frame to frame, with look-ahead",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        settings::pad_templates()
    }
}

impl BaseTransformImpl for FloutageTrack {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.rejected).check()?;
        let state = State::new(*lock(&self.settings))
            .map_err(|error| gst::error_msg!(gst::LibraryError::Settings, ["{error}"]))?;
        *lock(&self.state) = Some(state);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let mut state = lock(&self.state);
        if let Some(state) = state.as_mut() {
            state.reset(*lock(&self.settings));
            state.info = None;
        }
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = video::info(&CAT, caps)?;
        let settings = *lock(&self.settings);
        let changed = {
            let mut state = lock(&self.state);
            let Some(state) = state.as_mut() else {
                return Err(gst::loggable_error!(CAT, "caps before the start"));
            };
            let before = state.frame_duration();
            let same = state.info.as_ref().is_some_and(|old| {
                (old.width(), old.height(), old.format())
                    == (info.width(), info.height(), info.format())
            });
            if !same {
                // Drained before. Positions in other pictures mean nothing.
                state.reset(settings);
            }
            state.info = Some(info);
            state.frame_duration() != before
        };
        if changed {
            self.announce_latency();
        }
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        match event.view() {
            EventView::FlushStop(_) => {
                if let Some(state) = lock(&self.state).as_mut() {
                    state.reset(*lock(&self.settings));
                }
                self.parent_sink_event(event)
            }
            // These change what buffers mean, or end them.
            EventView::StreamStart(_)
            | EventView::Caps(_)
            | EventView::Segment(_)
            | EventView::SegmentDone(_)
            | EventView::StreamGroupDone(_)
            | EventView::Eos(_) => {
                if let Err(error) = self.drain() {
                    gst::debug!(CAT, imp = self, "draining ended with {error}");
                }
                self.parent_sink_event(event)
            }
            _ if event.is_serialized() => {
                let direct = match lock(&self.state).as_mut() {
                    Some(state) => state.window.push_event(event),
                    None => Some(event),
                };
                direct.is_none_or(|event| self.parent_sink_event(event))
            }
            _ => self.parent_sink_event(event),
        }
    }

    fn query(&self, direction: gst::PadDirection, query: &mut gst::QueryRef) -> bool {
        if direction == gst::PadDirection::Src
            && let gst::QueryViewMut::Latency(latency) = query.view_mut()
        {
            let mut upstream = gst::query::Latency::new();
            if !self.obj().sink_pad().peer_query(&mut upstream) {
                return false;
            }
            let own = self.latency();
            let (live, least, most) = upstream.result();
            latency.set(live, least + own, most.map(|most| most + own));
            return true;
        }
        BaseTransformImplExt::parent_query(self, direction, query)
    }

    fn propose_allocation(
        &self,
        decide_query: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        self.parent_propose_allocation(decide_query, query)?;
        video::propose_layout(query);
        let more = lock(&self.settings).look_ahead as u32 + 1;
        let pools: Vec<_> = query
            .allocation_pools()
            .map(|(pool, size, least, most)| (pool.clone(), size, least, most))
            .collect();
        for (index, (pool, size, least, most)) in pools.iter().enumerate() {
            let most = if *most == 0 { 0 } else { most + more };
            query.set_nth_allocation_pool(index as u32, pool.as_ref(), *size, least + more, most);
        }
        if pools.is_empty() {
            let caps = query.get_owned().0;
            let size = caps
                .and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok())
                .map_or(0, |info| info.size() as u32);
            query.add_allocation_pool(None::<&gst::BufferPool>, size, more, 0);
        }
        Ok(())
    }

    fn generate_output(&self) -> Result<GenerateOutputSuccess, gst::FlowError> {
        if let Some(mut buffer) = self.take_queued_buffer() {
            let decisions = lock(&self.decisions).clone();
            let mut state = lock(&self.state);
            let Some(state) = state.as_mut().filter(|state| state.info.is_some()) else {
                gst::element_imp_error!(
                    self,
                    gst::CoreError::Negotiation,
                    ["a buffer came before its caps"]
                );
                return Err(gst::FlowError::NotNegotiated);
            };
            if let Some(decisions) = decisions {
                state.decide(&decisions, buffer.make_mut());
                return Ok(GenerateOutputSuccess::Buffer(buffer));
            }
            state.take_in(buffer);
        }
        while let Some(item) = self.next(false) {
            match item {
                Item::Frame(buffer) => return Ok(GenerateOutputSuccess::Buffer(buffer)),
                Item::Event(event) => {
                    self.parent_sink_event(event);
                }
            }
        }
        Ok(GenerateOutputSuccess::NoOutput)
    }

    fn transform_ip(&self, _: &mut gst::BufferRef) -> Result<gst::FlowSuccess, gst::FlowError> {
        // Buffers go through `generate_output`.
        Err(gst::FlowError::NotSupported)
    }
}
