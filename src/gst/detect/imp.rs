use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::VideoFrameRef;

use crate::detect::{
    Certainty, Class, Detection, DetectorSettings, SharedDetector, StageTimes, open,
};
use crate::gst::burst::{Burst, Due};
use crate::gst::meta::{self, State as MarkerState};
use crate::gst::{lock, settings, video};
use crate::track::scene::Thumbnail;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "floutagedetect",
        gst::DebugColorFlags::empty(),
        Some("Finds faces and licence plates"),
    )
});

/// What the `stats` property reports.
#[derive(Clone, Copy, Debug, Default)]
struct Stats {
    frames: u64,
    failed: u64,
    /// Left to the tracker.
    left_out: u64,
    /// Not analysed, for they arrived damaged.
    damaged: u64,
    detections: [u64; Class::ALL.len()],
    times: StageTimes,
}

/// Every how many frames one is analysed.
struct Every(u32);

impl Default for Every {
    fn default() -> Self {
        Self(1)
    }
}

#[derive(Default)]
struct State {
    info: Option<gst_video::VideoInfo>,
    detector: Option<SharedDetector>,
    turn: Turn,
    burst: Burst,
    stats: Stats,
}

/// Whose turn it is when not every frame is analysed.
#[derive(Debug, Default)]
struct Turn {
    /// Frames left to the tracker since the last one that was analysed.
    left_out: u32,
    /// When the last one that was analysed is shown.
    analysed: Option<gst::ClockTime>,
    /// The last frame, to see whether the next one still shows the same.
    view: Option<Thumbnail>,
    /// False until a frame was analysed, and after one that could not be.
    settled: bool,
}

impl Turn {
    /// Whether to analyse a frame that looks like `view` and is shown at `pts`, where every `every`th one is and a frame
    /// lasts `length`. Where frames are missing, those that are there count for them: what moves goes on moving.
    fn takes(
        &mut self,
        every: u32,
        view: Option<Thumbnail>,
        pts: Option<gst::ClockTime>,
        length: gst::ClockTime,
    ) -> bool {
        let same = match (&view, &self.view) {
            (Some(now), Some(before)) => now.same_view(before),
            _ => false,
        };
        self.view = view;
        // Half a frame more, for time stamps that are rounded or jitter.
        let longest = length * u64::from(every - 1) + length / 2;
        let soon = match (pts, self.analysed) {
            (Some(now), Some(before)) => now >= before && now - before <= longest,
            _ => false,
        };
        let takes = !same || !soon || !self.settled || self.left_out + 1 >= every;
        if takes {
            self.left_out = 0;
            self.analysed = pts;
        } else {
            self.left_out += 1;
        }
        takes
    }
}

#[derive(Default)]
pub struct FloutageDetect {
    settings: Mutex<DetectorSettings>,
    every: Mutex<Every>,
    rejected: Mutex<settings::Rejected>,
    injected: Mutex<Option<SharedDetector>>,
    fills_damaged: AtomicBool,
    looks_away: AtomicBool,
    state: Mutex<State>,
}

impl FloutageDetect {
    pub(super) fn set_tracked(&self) {
        lock(&self.settings).tracked = true;
    }

    pub(super) fn fill_damaged(&self) {
        self.fills_damaged.store(true, Ordering::Relaxed);
    }

    pub(super) fn look_at_nothing(&self) {
        self.looks_away.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_detector(&self, detector: SharedDetector) {
        *lock(&self.injected) = Some(detector);
    }

    /// Whether to analyse this buffer; without proof that it can be left out, it is analysed.
    fn takes(&self, info: &gst_video::VideoInfo, buffer: &gst::BufferRef) -> bool {
        let every = lock(&self.every).0;
        if every <= 1 {
            return true;
        }
        let view = video::thumbnail(info, buffer);
        let length = video::nominal_length(info);
        let mut state = lock(&self.state);
        state.turn.takes(every, view, buffer.pts(), length)
    }

    /// Puts a marker with `state` on the buffer.
    fn mark(&self, state: MarkerState, info: &gst_video::VideoInfo, buffer: &mut gst::BufferRef) {
        if meta::mark(buffer, state, info).is_err() {
            gst::warning!(
                CAT,
                imp = self,
                "the marker was refused; the frame will be filled"
            );
        }
    }

    /// Runs the detector on the buffer's picture.
    fn analyse(
        &self,
        info: &gst_video::VideoInfo,
        detector: &SharedDetector,
        buffer: &gst::BufferRef,
    ) -> crate::Result<(Vec<Detection>, StageTimes)> {
        let mapped = VideoFrameRef::from_buffer_ref_readable(buffer, info).map_err(|_| {
            crate::Error::Detection(format!(
                "the buffer of {} bytes cannot be read as {}x{} {}",
                buffer.size(),
                info.width(),
                info.height(),
                info.format()
            ))
        })?;
        let (found, times) = lock(detector).detect(&video::frame(&mapped)?)?;
        check(&found)?;
        Ok((found, times))
    }

    fn log(&self, due: Due, error: Option<&crate::Error>) {
        match (due, error) {
            (Due::Begun, Some(error)) => {
                gst::warning!(CAT, imp = self, "frames will be filled: {error}");
            }
            (Due::Over(frames), _) => {
                gst::warning!(
                    CAT,
                    imp = self,
                    "detection works again after {frames} frames"
                );
            }
            _ => {}
        }
    }
}

/// Regions in one frame that are more than any crowd: following them would take longer than any stream waits.
const MOST_REGIONS: usize = 4096;

/// Checks what a detector says, whoever made it: a region that cannot be redacted must not be passed over.
fn check(found: &[Detection]) -> crate::Result<()> {
    if found.len() > MOST_REGIONS {
        let problem = format!(
            "{} regions in one frame, at most {MOST_REGIONS} make sense",
            found.len()
        );
        return Err(crate::Error::Detection(problem));
    }
    match found
        .iter()
        .find(|it| !it.bbox.is_valid() || !it.confidence.is_finite())
    {
        Some(wrong) => Err(crate::Error::Detection(format!(
            "a region that is none: {wrong:?}"
        ))),
        None => Ok(()),
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FloutageDetect {
    const NAME: &'static str = "FloutageDetect";
    type Type = super::FloutageDetect;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for FloutageDetect {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let mut properties = settings::detector_properties();
            properties.push(settings::detect_every_property());
            properties.push(settings::stats_property());
            properties
        });
        &PROPERTIES
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        if pspec.name() == settings::DETECT_EVERY {
            lock(&self.every).0 = value.get().unwrap_or(1);
            return;
        }
        let outcome =
            settings::set_detector_property(&mut lock(&self.settings), pspec.name(), value);
        lock(&self.rejected).note(pspec.name(), outcome);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        if pspec.name() == settings::STATS {
            let stats = lock(&self.state).stats;
            return gst::Structure::builder("floutagedetect-stats")
                .field("frames", stats.frames)
                .field("failed", stats.failed)
                .field("left-out", stats.left_out)
                .field("damaged", stats.damaged)
                .field("faces", stats.detections[Class::Face as usize])
                .field("plates", stats.detections[Class::Plate as usize])
                .field("letterbox-ns", stats.times.letterbox.as_nanos() as u64)
                .field("inference-ns", stats.times.inference.as_nanos() as u64)
                .field("decode-ns", stats.times.decode.as_nanos() as u64)
                .build()
                .to_value();
        }
        if pspec.name() == settings::DETECT_EVERY {
            return lock(&self.every).0.to_value();
        }
        settings::detector_property(&lock(&self.settings), pspec.name())
    }

    fn constructed(&self) {
        self.parent_constructed();
        settings::work_in_place(&*self.obj());
    }
}

impl GstObjectImpl for FloutageDetect {}

impl ElementImpl for FloutageDetect {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Face and licence plate detector",
                "Filter/Analyzer/Video",
                "Attaches regions of interest with faces and licence plates, and a marker that says so",
                env!("CARGO_PKG_NAME"),
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        settings::pad_templates()
    }
}

impl BaseTransformImpl for FloutageDetect {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.rejected).check()?;
        if self.looks_away.load(Ordering::Relaxed) {
            *lock(&self.state) = State::default();
            return Ok(());
        }
        let injected = lock(&self.injected).clone();
        let detector = match injected {
            Some(detector) => detector,
            None => {
                let settings = lock(&self.settings).clone();
                let detector = open(&settings)
                    .map_err(|error| gst::error_msg!(gst::ResourceError::OpenRead, ["{error}"]))?;
                Arc::new(Mutex::new(detector))
            }
        };
        *lock(&self.state) = State {
            detector: Some(detector),
            ..State::default()
        };
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        let mut state = lock(&self.state);
        state.detector = None;
        state.info = None;
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps, _: &gst::Caps) -> Result<(), gst::LoggableError> {
        let mut state = lock(&self.state);
        state.info = Some(video::info(&CAT, caps)?);
        state.turn = Turn::default();
        Ok(())
    }

    fn sink_event(&self, event: gst::Event) -> bool {
        use gst::EventView;
        // What follows does not go on from what came before: no frame of it may be left out until one was analysed.
        if matches!(
            event.view(),
            EventView::StreamStart(_) | EventView::Segment(_) | EventView::FlushStop(_)
        ) {
            lock(&self.state).turn = Turn::default();
        }
        self.parent_sink_event(event)
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        if self.looks_away.load(Ordering::Relaxed) {
            lock(&self.state).stats.frames += 1;
            return Ok(gst::FlowSuccess::Ok);
        }
        let (info, detector) = {
            let state = lock(&self.state);
            (state.info.clone(), state.detector.clone())
        };
        let (Some(info), Some(detector)) = (info, detector) else {
            gst::element_imp_error!(
                self,
                gst::CoreError::Negotiation,
                ["a buffer came before its caps"]
            );
            return Err(gst::FlowError::NotNegotiated);
        };
        if self.fills_damaged.load(Ordering::Relaxed)
            && buffer.flags().contains(gst::BufferFlags::CORRUPTED)
        {
            self.mark(MarkerState::Failed, &info, buffer);
            let mut state = lock(&self.state);
            state.stats.frames += 1;
            state.stats.damaged += 1;
            // What follows does not go on from it.
            state.turn = Turn::default();
            return Ok(gst::FlowSuccess::Ok);
        }
        if !self.takes(&info, buffer) {
            self.mark(MarkerState::Deferred, &info, buffer);
            let mut state = lock(&self.state);
            state.stats.frames += 1;
            state.stats.left_out += 1;
            return Ok(gst::FlowSuccess::Ok);
        }
        // The state's lock is not held: a property can be read while the model runs.
        let result = self.analyse(&info, &detector, buffer);
        let due = {
            let mut state = lock(&self.state);
            state.stats.frames += 1;
            state.turn.settled = result.is_ok();
            match &result {
                Ok((detections, times)) => {
                    let sure = |found: &&Detection| found.certainty == Certainty::Confident;
                    for detection in detections.iter().filter(sure) {
                        state.stats.detections[detection.class as usize] += 1;
                    }
                    state.stats.times += *times;
                }
                Err(_) => state.stats.failed += 1,
            }
            state.burst.note(result.is_err())
        };
        self.log(due, result.as_ref().err());
        let marker_state = match result {
            Ok((detections, _)) => {
                meta::add_regions(
                    buffer,
                    &detections,
                    info.width() as usize,
                    info.height() as usize,
                );
                MarkerState::Analysed
            }
            Err(_) => MarkerState::Failed,
        };
        self.mark(marker_state, &info, buffer);
        Ok(gst::FlowSuccess::Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Colour, Frame, PixelFormat};

    const LENGTH: gst::ClockTime = gst::ClockTime::from_mseconds(40);

    fn view() -> Option<Thumbnail> {
        let luma: Vec<u8> = (0..64 * 36).map(|at| (at * 7 % 251) as u8).collect();
        let chroma = [128; 32 * 18];
        let frame = Frame::new(
            PixelFormat::I420,
            64,
            36,
            Colour::default(),
            &[&luma, &chroma, &chroma],
            &[64, 32, 32],
        );
        frame.ok().map(|frame| Thumbnail::new(&frame))
    }

    /// Which of the frames at `times` (milliseconds) are analysed where every third one is.
    fn taken(times: &[Option<u64>]) -> Vec<bool> {
        let mut turn = Turn::default();
        let take = |time: &Option<u64>| {
            let pts = time.map(gst::ClockTime::from_mseconds);
            let takes = turn.takes(3, view(), pts, LENGTH);
            turn.settled |= takes;
            takes
        };
        times.iter().map(take).collect()
    }

    #[test]
    fn one_of_so_many_frames_is_analysed_and_one_after_any_gap() {
        let steady: Vec<_> = (0..7).map(|index| Some(index * 40)).collect();
        assert_eq!(
            taken(&steady),
            [true, false, false, true, false, false, true]
        );
        let gap = [0, 40, 200, 240, 280, 320].map(Some);
        assert_eq!(taken(&gap), [true, false, true, false, false, true]);
        let thinned = [0, 120, 240, 360].map(Some);
        assert_eq!(taken(&thinned), [true; 4]);
        let backwards = [1000, 40, 80].map(Some);
        assert_eq!(taken(&backwards), [true, true, false]);
        assert_eq!(taken(&[Some(0), None, Some(40)]), [true; 3]);
    }
}
