//! The detector made of ONNX models: opening and running them, and the union of what all of them find.
//!
//! Invariants: a model whose outputs do not fit its head is refused when the detector is opened, not at the first frame; after a
//! failed frame the detector is ready for the next; buffers are kept from frame to frame.

use std::time::Instant;

use super::heads::{DecodeContext, OutputShape};
use super::letterbox::Normalisation;
use super::nms::{nms, unite};
use super::plan::{Call, ModelInput, Plan};
use super::registry::{LoadedModel, ModelSpec, Registry};
use super::session::{Port, Session, SessionOptions};
use super::settings::LARGEST_SIDE;
use super::settings::certainty;
pub use super::settings::{DetectorSettings, InputSize};
use super::{Class, Detection, Detector, StageTimes};
use crate::error::{Error, Result};
use crate::frame::Frame;

/// Side in pixels of the input a model is tried with when the detector is opened.
const TRIAL_SIDE: usize = 160;

/// Opens the models that `settings` name, and tries each once.
///
/// Errors: [`Error::Setting`] for a value out of range, [`Error::Runtime`] when ONNX Runtime or the provider
/// cannot be used, [`Error::Model`] or [`Error::Io`] for a model that cannot be found, is not the described
/// one, or whose inputs or outputs do not fit its description.
pub fn open(settings: &DetectorSettings) -> Result<OnnxDetector> {
    settings.validate()?;
    let registry = Registry::load(settings.models_dir.as_deref())?;
    let names = if settings.models.is_empty() {
        registry.defaults()
    } else {
        settings.models.clone()
    };
    if names.is_empty() {
        return Err(Error::setting(
            "model",
            "none",
            "a model: no models.toml marks one as default",
        ));
    }
    let models = names
        .iter()
        .map(|name| Model::open(registry.open(name)?, settings))
        .collect::<Result<Vec<Model>>>()?;
    Ok(OnnxDetector {
        models,
        settings: settings.clone(),
        plan: Plan::default(),
        input: Vec::new(),
    })
}

/// A detector made of one or more ONNX models.
#[derive(Debug)]
pub struct OnnxDetector {
    models: Vec<Model>,
    settings: DetectorSettings,
    plan: Plan,
    /// Inputs of one call, NCHW.
    input: Vec<f32>,
}

impl OnnxDetector {
    /// Descriptions of the models, in the order of the settings.
    pub fn models(&self) -> impl Iterator<Item = &ModelSpec> {
        self.models.iter().map(|model| &model.spec)
    }
}

impl Detector for OnnxDetector {
    fn detect(&mut self, frame: &Frame<'_>) -> Result<(Vec<Detection>, StageTimes)> {
        let Self {
            models,
            settings,
            plan,
            input,
        } = self;
        let mut times = StageTimes::default();
        if plan.frame != (frame.width(), frame.height()) {
            let inputs = models.iter().map(Model::input);
            *plan = Plan::new(frame.width(), frame.height(), inputs, settings)?;
        }
        let mut found = Vec::new();
        for call in &plan.calls {
            let started = Instant::now();
            let (width, height) = call.size;
            let item = 3 * width * height;
            input.resize(call.letterboxes.len() * item, 0.0);
            for (letterbox, input) in call.letterboxes.iter().zip(input.chunks_exact_mut(item)) {
                letterbox.fill(frame, &call.normalisation, input)?;
            }
            times.letterbox += started.elapsed();
            for &index in &call.models {
                models[index].run(call, input, settings.iou_threshold, &mut found, &mut times)?;
            }
        }
        let started = Instant::now();
        if plan.passes > 1 {
            unite(&mut found, settings.iou_threshold)?;
        }
        times.decode += started.elapsed();
        Ok((found, times))
    }
}

/// A model with its session.
#[derive(Debug)]
struct Model {
    spec: ModelSpec,
    session: Session,
    /// By `Class as usize`.
    thresholds: [f32; Class::ALL.len()],
    /// From which on detections are given, confident or not.
    least: [f32; Class::ALL.len()],
    /// Width and height of the input, where the model takes no other.
    size: Option<[usize; 2]>,
    /// Whether several inputs can go in one call.
    batching: bool,
    /// Detections of each input of a call.
    decoded: Vec<Vec<Detection>>,
}

impl Model {
    fn open(loaded: LoadedModel, settings: &DetectorSettings) -> Result<Self> {
        let LoadedModel { spec, path, bytes } = loaded;
        let name = path.display().to_string();
        let options = SessionOptions {
            threads: settings.threads,
            spinning: false,
            provider: settings.provider,
        };
        let session = Session::open(&name, &bytes, &options)?;
        let input = Input::of(&session, &name)?;
        if let (Some(described), Some(fixed)) = (spec.size, input.size)
            && described != fixed
        {
            return Err(Error::model(
                name,
                format!(
                    "takes inputs of {}x{} only, but {} says input.size = {described:?}",
                    fixed[0], fixed[1], spec.origin
                ),
            ));
        }
        let outputs: Vec<OutputShape<'_>> =
            session.outputs().iter().map(Port::output_shape).collect();
        spec.head.check(&name, &outputs, Some(spec.classes.len()))?;
        let thresholds = Class::ALL.map(|class| {
            let own = spec.thresholds.get(&class).copied();
            // A class the model does not find needs no threshold.
            settings.threshold(class).or(own).unwrap_or(1.0)
        });
        let least = thresholds.map(|own| settings.least(own));
        let size = input.size.or(spec.size);
        let mut model = Self {
            spec,
            session,
            thresholds,
            least,
            size,
            batching: false,
            decoded: Vec::new(),
        };
        model
            .try_grey(1)
            .map_err(|error| Error::model(&name, format!("a trial on a grey input: {error}")))?;
        // Some files declare an open batch dimension that their graph does not have.
        model.batching = input.open_batch && model.try_grey(2).is_ok();
        Ok(model)
    }

    /// What the model takes.
    fn input(&self) -> ModelInput {
        ModelInput {
            multiple: self.spec.multiple,
            size: self.size,
            normalisation: self.spec.normalisation,
        }
    }

    /// Runs the model on `batch` grey inputs and reads the outputs.
    fn try_grey(&mut self, batch: usize) -> Result<()> {
        let (width, height) = match self.size {
            Some([width, height]) => (width, height),
            None => {
                let side = TRIAL_SIDE.next_multiple_of(self.spec.multiple);
                (side, side)
            }
        };
        let Normalisation { mean, scale, .. } = self.spec.normalisation;
        let mut grey = Vec::with_capacity(batch * 3 * width * height);
        for _ in 0..batch {
            for (mean, scale) in mean.into_iter().zip(scale) {
                let value = (128.0 - mean) * scale;
                grey.extend(std::iter::repeat_n(value, width * height));
            }
        }
        self.decoded.clear();
        self.run_batch(&grey, (width, height), batch, &mut StageTimes::default())
    }

    /// Analyses the inputs of `call` and appends what is found, in the frame's pixels, after NMS of each input.
    fn run(
        &mut self,
        call: &Call,
        input: &[f32],
        iou_threshold: f32,
        found: &mut Vec<Detection>,
        times: &mut StageTimes,
    ) -> Result<()> {
        self.decoded.clear();
        let count = call.letterboxes.len();
        if self.batching || count == 1 {
            self.run_batch(input, call.size, count, times)?;
        } else {
            for one in input.chunks_exact(input.len() / count) {
                self.run_batch(one, call.size, 1, times)?;
            }
        }
        let started = Instant::now();
        if self.decoded.len() != count {
            return Err(Error::Detection(format!(
                "model {}: outputs of {} inputs for {count}",
                self.spec.name,
                self.decoded.len()
            )));
        }
        for (detections, letterbox) in self.decoded.iter_mut().zip(&call.letterboxes) {
            nms(detections, iou_threshold)?;
            for detection in detections.drain(..) {
                let bbox = letterbox.to_frame(detection.bbox);
                if !bbox.is_valid() {
                    return Err(Error::Detection(format!(
                        "model {}: a box without an area: {bbox:?}",
                        self.spec.name
                    )));
                }
                let threshold = self.thresholds[detection.class as usize];
                found.push(Detection {
                    bbox,
                    certainty: certainty(detection.confidence, threshold),
                    ..detection
                });
            }
        }
        times.decode += started.elapsed();
        Ok(())
    }

    /// One call of the session; appends a list of detections to `decoded` for each input.
    fn run_batch(
        &mut self,
        input: &[f32],
        (width, height): (usize, usize),
        batch: usize,
        times: &mut StageTimes,
    ) -> Result<()> {
        let Self {
            spec,
            session,
            least,
            decoded,
            ..
        } = self;
        let context = DecodeContext {
            input_width: width,
            input_height: height,
            classes: &spec.classes,
            thresholds: *least,
            batch,
        };
        let started = Instant::now();
        let decode = session.run(input, [batch, 3, height, width], |outputs| {
            let started = Instant::now();
            spec.head.decode(outputs, &context, decoded)?;
            Ok(started.elapsed())
        })?;
        times.decode += decode;
        times.inference += started.elapsed().saturating_sub(decode);
        Ok(())
    }
}

/// What a model's graph says of its input.
struct Input {
    /// Width and height, where they are fixed.
    size: Option<[usize; 2]>,
    /// Whether the batch dimension is open.
    open_batch: bool,
}

impl Input {
    /// Errors: [`Error::Model`] unless there is one input of 32-bit floats, n×3×h×w.
    fn of(session: &Session, name: &str) -> Result<Self> {
        let problem = |problem: String| Err(Error::model(name, problem));
        let [port] = session.inputs() else {
            let count = session.inputs().len();
            return problem(format!("has {count} inputs, a detector has 1"));
        };
        let expected = "n x 3 x height x width of f32 is supported";
        let &[batch, channels, height, width] = port.shape.as_slice() else {
            return problem(format!("has the input {port}, {expected}"));
        };
        let batch_fits = matches!(batch, None | Some(1));
        if port.element != "f32" || !batch_fits || !matches!(channels, None | Some(3)) {
            return problem(format!("has the input {port}, {expected}"));
        }
        let size = match (width, height) {
            (None, None) => None,
            (Some(width), Some(height))
                if width <= LARGEST_SIDE && height <= LARGEST_SIDE && width * height > 0 =>
            {
                Some([width, height])
            }
            _ => return problem(format!("has the input {port}, {expected}")),
        };
        Ok(Self {
            size,
            open_batch: batch.is_none(),
        })
    }
}
