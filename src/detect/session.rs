//! ONNX Runtime behind a small interface. The only file that names `ort`.
//!
//! Invariants: nothing of `ort` is touched before a library has been checked to be ONNX Runtime of at
//! least version 1.20, because `ort` panics otherwise; a library that fails leaves nothing behind, so
//! that a later attempt may succeed; a panic in the binding or in a reader of outputs becomes an error and
//! leaves the session usable.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::ep::ExecutionProvider;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::{TensorRef, ValueType};

use super::heads::{OutputShape, Tensor};
use super::library::{self, Library};
use super::places::Surroundings;
use crate::error::{Error, Result};

/// Version of ONNX Runtime's API that is used (cargo feature `api-20`): that of ONNX Runtime 1.20.
const API_VERSION: u32 = ort::sys::ORT_API_VERSION;

/// What runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The processor; always there.
    #[default]
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
    /// Intel OpenVINO.
    OpenVino,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Cuda, Self::TensorRt, Self::OpenVino];

    /// The name used in settings; also the cargo feature that builds it in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::OpenVino => "openvino",
        }
    }

    /// True when this program was built with the provider.
    pub fn built_in(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::TensorRt => cfg!(feature = "tensorrt"),
            Self::OpenVino => cfg!(feature = "openvino"),
        }
    }

    /// True when the loaded ONNX Runtime was built with the provider.
    ///
    /// Errors: [`Error::Runtime`] when no ONNX Runtime can be loaded.
    pub fn in_runtime(self) -> Result<bool> {
        /// `is_available` asks for a name only; the real types need their cargo features.
        macro_rules! named {
            ($name:literal) => {{
                struct Named;
                impl ExecutionProvider for Named {
                    const NAME: &'static str = $name;
                    fn register(&self, _: &mut SessionBuilder) -> ort::Result<()> {
                        Err(ort::Error::new("not a provider"))
                    }
                }
                Named::is_available()
            }};
        }
        runtime()?;
        guarded(|| {
            match self {
                Self::Cpu => Ok(true),
                Self::Cuda => named!("CUDAExecutionProvider"),
                Self::TensorRt => named!("TensorrtExecutionProvider"),
                Self::OpenVino => named!("OpenVINOExecutionProvider"),
            }
            .map_err(|error| Error::Runtime(error.to_string()))
        })
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == name)
            .ok_or_else(|| Error::setting("provider", name, "cpu, cuda, tensorrt or openvino"))
    }
}

/// How a session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads within one operator; 0: [`automatic_threads`].
    pub threads: usize,
    /// Whether idle threads spin instead of sleeping. Spinning takes the cores from decoder and encoder.
    pub spinning: bool,
    /// What runs the model.
    pub provider: Provider,
}

/// Threads a session gets when none are set: half of the cores this process may use, 1 to 4. Decoder and encoder want the
/// others, and small models gain little beyond that.
pub fn automatic_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, 4)
}

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its dimensions; None where the file leaves them open. Empty for anything but a tensor.
    pub shape: Vec<Option<usize>>,
    /// Element type ("f32", "i64"), or what it is when it is no tensor ("sequence").
    pub element: String,
}

impl Port {
    /// What heads look at.
    pub fn output_shape(&self) -> OutputShape<'_> {
        OutputShape {
            name: &self.name,
            shape: &self.shape,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}[", self.name, self.element)?;
        for (index, dimension) in self.shape.iter().enumerate() {
            let separator = if index > 0 { "x" } else { "" };
            match dimension {
                Some(size) => write!(f, "{separator}{size}")?,
                None => write!(f, "{separator}?")?,
            }
        }
        f.write_str("]")
    }
}

/// A model ready to run.
pub struct Session {
    name: String,
    inner: ort::session::Session,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Shapes of the last run's outputs, kept for their memory.
    shapes: Vec<Vec<usize>>,
}

impl Session {
    /// Loads the ONNX model in `bytes`; `name` is for messages.
    ///
    /// Errors: [`Error::Runtime`] when ONNX Runtime or the provider cannot be used, [`Error::Model`] when the
    /// bytes are no model that it can run.
    pub fn open(name: &str, bytes: &[u8], options: &SessionOptions) -> Result<Self> {
        let runtime = runtime()?;
        let provider = provider(options.provider, runtime)?;
        guarded(|| {
            let problem = |error: ort::Error| {
                Error::model(
                    name,
                    format!(
                        "not an ONNX model that ONNX Runtime can load: {}",
                        first_line(&error)
                    ),
                )
            };
            let mut builder =
                builder(runtime, options).map_err(|e| Error::Runtime(first_line(&e)))?;
            if let Some(provider) = provider {
                builder = builder
                    .with_execution_providers([provider])
                    .map_err(|error| {
                        Error::Runtime(format!(
                            "provider {} cannot be used: {}",
                            options.provider,
                            first_line(&error)
                        ))
                    })?;
            }
            let inner = builder.commit_from_memory(bytes).map_err(problem)?;
            let inputs = inner.inputs().iter().map(port).collect();
            let outputs = inner.outputs().iter().map(port).collect();
            Ok(Self {
                name: name.to_string(),
                inner,
                inputs,
                outputs,
                shapes: Vec::new(),
            })
        })
        .map_err(|error| match error {
            Error::Detection(panic) => {
                Error::model(name, format!("ONNX Runtime cannot load it: {panic}"))
            }
            other => other,
        })
    }

    /// What the model takes.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the model gives, in the order in which [`Session::run`] hands it out.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Runs the model on `input`, laid out as `shape` says (batch, channels, height, width), and hands
    /// its outputs to `read` without copying them. Outputs that are not tensors of 32-bit floats are left out.
    ///
    /// Errors: [`Error::Detection`] when the run fails; whatever `read` returns. The session stays usable.
    pub fn run<T>(
        &mut self,
        input: &[f32],
        shape: [usize; 4],
        read: impl FnOnce(&[Tensor<'_>]) -> Result<T>,
    ) -> Result<T> {
        let Self {
            name,
            inner,
            shapes,
            ..
        } = self;
        let failed = |error: ort::Error| {
            Error::Detection(format!(
                "model {name} on an input of {}x{}x{}x{}: {}",
                shape[0],
                shape[1],
                shape[2],
                shape[3],
                first_line(&error)
            ))
        };
        if inner.inputs().len() != 1 {
            return Err(Error::Detection(format!(
                "model {name} has {} inputs, 1 is supported",
                inner.inputs().len()
            )));
        }
        guarded(|| {
            let input = TensorRef::from_array_view((shape, input)).map_err(failed)?;
            let outputs = inner.run(ort::inputs![input]).map_err(failed)?;
            shapes.resize_with(outputs.len(), Vec::new);
            let mut tensors = Vec::with_capacity(outputs.len());
            for ((name, value), shape) in outputs.keys().zip(outputs.values()).zip(shapes) {
                shape.clear();
                tensors.push((name, value, shape));
            }
            let mut views = Vec::with_capacity(tensors.len());
            for (name, value, shape) in &mut tensors {
                let Ok((dimensions, data)) = value.try_extract_tensor::<f32>() else {
                    continue;
                };
                // A dimension of a value is never negative; 0 makes the head refuse it.
                shape.extend(dimensions.iter().map(|&d| usize::try_from(d).unwrap_or(0)));
                views.push(Tensor { name, shape, data });
            }
            read(&views)
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.name)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// Version of the ONNX Runtime in use, loading it when needed.
///
/// Errors: [`Error::Runtime`] that names every place tried.
pub fn runtime_version() -> Result<String> {
    Ok(runtime()?.library.version.clone())
}

/// File of the ONNX Runtime in use, loading it when needed.
///
/// Errors: [`Error::Runtime`] that names every place tried.
pub fn runtime_path() -> Result<PathBuf> {
    Ok(runtime()?.library.path.clone())
}

/// Providers that can be asked for: built in, and known to the ONNX Runtime in use. Whether their
/// drivers work shows only when a model is opened.
///
/// Errors: [`Error::Runtime`] when no ONNX Runtime can be loaded.
pub fn available_providers() -> Result<Vec<Provider>> {
    let mut available = Vec::new();
    for provider in Provider::ALL {
        if provider.built_in() && provider.in_runtime()? {
            available.push(provider);
        }
    }
    Ok(available)
}

/// A loaded ONNX Runtime. Lives until the process ends: unloading it is not safe while sessions exist.
struct Runtime {
    environment: ort::environment::Environment,
    library: Library,
}

/// The process's ONNX Runtime, found and loaded on first use. A failure is not kept: a later call tries again.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = start(library::find(&Surroundings::current(), API_VERSION)?)?;
    let Library { path, version, .. } = &runtime.library;
    tracing::debug!(path = %path.display(), version, "ONNX Runtime loaded");
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Starts ONNX Runtime from a library that has been checked.
fn start(library: Library) -> Result<Runtime> {
    let environment = guarded(|| {
        // Errors reach the caller as results too; warnings are about graphs nobody here can change.
        let logger = |level: LogLevel, _: &str, _: &str, place: &str, message: &str| {
            if level == LogLevel::Fatal {
                tracing::error!(target: "onnxruntime", place, "{message}");
            } else {
                tracing::debug!(target: "onnxruntime", place, "{message}");
            }
        };
        let environment = ort::init_from(&library.path)
            .map_err(|error| Error::Runtime(error.to_string()))?
            .with_name("floutage")
            .with_telemetry(false)
            .with_logger(Arc::new(logger))
            .build()
            .map_err(|error| Error::Runtime(first_line(&error)))?;
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    })?;
    Ok(Runtime {
        environment,
        library,
    })
}

/// A builder with everything but the provider set.
fn builder(runtime: &Runtime, options: &SessionOptions) -> ort::Result<SessionBuilder> {
    let threads = match options.threads {
        0 => automatic_threads(),
        threads => threads,
    };
    Ok(ort::session::Session::builder(&runtime.environment)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(options.spinning)?
        .with_inter_op_spinning(false)?
        .with_log_level(LogLevel::Warning)?)
}

/// What `ort` needs for `provider`; None for the CPU.
fn provider(
    provider: Provider,
    runtime: &Runtime,
) -> Result<Option<ort::ep::ExecutionProviderDispatch>> {
    if provider == Provider::Cpu {
        return Ok(None);
    }
    if !provider.built_in() {
        return Err(Error::Runtime(format!(
            "provider {provider} is not built in: build with `cargo build --release --features {provider}`, or use cpu"
        )));
    }
    if !provider.in_runtime()? {
        return Err(Error::Runtime(format!(
            "provider {provider} is not in {}: set ORT_DYLIB_PATH to a build of ONNX Runtime with it, or use cpu",
            runtime.library.path.display()
        )));
    }
    Ok(match provider {
        #[cfg(feature = "cuda")]
        Provider::Cuda => Some(ort::ep::CUDA::default().build().error_on_failure()),
        #[cfg(feature = "tensorrt")]
        Provider::TensorRt => Some(ort::ep::TensorRT::default().build().error_on_failure()),
        #[cfg(feature = "openvino")]
        Provider::OpenVino => Some(ort::ep::OpenVINO::default().build().error_on_failure()),
        // Those not built in have been refused above.
        _ => None,
    })
}

/// Describes an input or output.
fn port(outlet: &ort::value::Outlet) -> Port {
    let (element, shape) = match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => (
            ty.to_string(),
            shape.iter().map(|&d| usize::try_from(d).ok()).collect(),
        ),
        ValueType::Sequence(_) => ("sequence".into(), Vec::new()),
        ValueType::Map { .. } => ("map".into(), Vec::new()),
        ValueType::Optional(_) => ("optional".into(), Vec::new()),
    };
    Port {
        name: outlet.name().to_string(),
        shape,
        element,
    }
}

/// Runs `work`; a panic becomes [`Error::Detection`].
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `work` may leave half done is either dropped by its caller or overwritten by the next run.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_string())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::Detection(format!("internal error: {text}")))
    })
}

/// The first line of an error: ONNX Runtime appends stack traces.
fn first_line(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_names() {
        for provider in Provider::ALL {
            assert_eq!(provider.name().parse::<Provider>().unwrap(), provider);
        }
        let error = "gpu".parse::<Provider>().unwrap_err().to_string();
        assert_eq!(
            error,
            "provider = gpu: must be cpu, cuda, tensorrt or openvino"
        );
    }

    #[test]
    fn ports_are_readable() {
        let port = Port {
            name: "input".into(),
            shape: vec![Some(1), Some(3), None],
            element: "f32".into(),
        };
        assert_eq!(port.to_string(), "input f32[1x3x?]");
    }
}
