//! Settings of the ONNX detector.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::letterbox::INPUT_STEP;
use super::places::Surroundings;
use super::session::Provider;
use super::tiles::{TileLayout, TileSpec};
use super::{Certainty, Class};
use crate::error::{Error, Result};

/// Longest side of a model's input in pixels.
pub(super) const LARGEST_SIDE: usize = 8192;

/// Shares of a class's threshold from which a detection may continue a track, and from which it is redacted in its own
/// frame even if it does not.
const FAINT: f32 = 0.5;
const DOUBTFUL: f32 = 0.85;

/// What `confidence` means where `own` is the threshold of the class.
pub(super) fn certainty(confidence: f32, own: f32) -> Certainty {
    if confidence >= own {
        Certainty::Confident
    } else if confidence >= DOUBTFUL * own {
        Certainty::Doubtful
    } else {
        Certainty::Faint
    }
}

/// Size of the models' input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputSize {
    /// Pixels on the long side, a multiple of 32; the short side follows from the frame's aspect.
    Side(usize),
    /// The frame's own size (at most 8192 pixels on the long side).
    Native,
}

impl Default for InputSize {
    fn default() -> Self {
        Self::Side(640)
    }
}

impl fmt::Display for InputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Side(side) => side.fmt(f),
            Self::Native => f.write_str("native"),
        }
    }
}

impl FromStr for InputSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let size = match text {
            "native" => Some(Self::Native),
            number => number.parse().ok().map(Self::Side),
        };
        size.filter(Self::is_valid)
            .ok_or_else(|| Self::error(&text))
    }
}

impl InputSize {
    fn is_valid(&self) -> bool {
        match self {
            Self::Side(side) => {
                (INPUT_STEP..=LARGEST_SIDE).contains(side) && side.is_multiple_of(INPUT_STEP)
            }
            Self::Native => true,
        }
    }

    fn error(value: &dyn fmt::Display) -> Error {
        Error::setting(
            "input-size",
            value,
            format!("native or a multiple of {INPUT_STEP} from {INPUT_STEP} to {LARGEST_SIDE}"),
        )
    }
}

/// Settings of the detector.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorSettings {
    /// Names of known models, or paths to ONNX files; empty: the default models. What all of them find is united.
    pub models: Vec<String>,
    /// Folder searched for models before all others.
    pub models_dir: Option<PathBuf>,
    /// Least confidence of a face, 0.01 to 0.99; None: each model's own.
    pub face_threshold: Option<f32>,
    /// Least confidence of a plate, 0.01 to 0.99; None: each model's own.
    pub plate_threshold: Option<f32>,
    /// Whether a tracker follows, which alone can make use of detections under the threshold of their class.
    pub tracked: bool,
    /// Least confidence of a detection that may continue a track, 0.01 to 0.99; None: half the threshold of its class if
    /// a tracker follows.
    pub track_threshold: Option<f32>,
    /// IoU over which two detections of a class are one, 0.05 to 0.95.
    pub iou_threshold: f32,
    /// Size of the models' input. Models that take one size only get that.
    pub input_size: InputSize,
    /// Sizes at which the whole frame is analysed, relative to `input_size`, each 0.1 to 4, at most 8: a small
    /// one for faces that fill the frame, a large one for tiny faces. Tiles are analysed at `input_size` itself.
    pub scales: Vec<f32>,
    /// Tiles analysed beside the whole frame.
    pub tiles: TileSpec,
    /// Threads of each model, 0 to 256; 0: chosen by the number of cores.
    pub threads: usize,
    /// What runs the models.
    pub provider: Provider,
}

impl Default for DetectorSettings {
    fn default() -> Self {
        Self {
            models: Vec::new(),
            models_dir: None,
            face_threshold: None,
            plate_threshold: None,
            tracked: false,
            track_threshold: None,
            iou_threshold: 0.45,
            input_size: InputSize::default(),
            scales: vec![1.0],
            tiles: TileSpec::default(),
            threads: 0,
            provider: Provider::default(),
        }
    }
}

impl DetectorSettings {
    /// The folders and files that are read to open the models.
    pub fn places(&self) -> Vec<PathBuf> {
        let mut places = Surroundings::current().models_folders(self.models_dir.as_deref());
        let files = self.models.iter().map(Path::new);
        // A model's description lies beside it.
        places.extend(
            files
                .filter(|path| path.is_file())
                .flat_map(|path| [path.to_owned(), path.with_extension("toml")]),
        );
        places
    }

    /// Checks every value.
    ///
    /// Errors: [`Error::Setting`] with name, value and allowed range.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in [
            ("face-threshold", self.face_threshold),
            ("plate-threshold", self.plate_threshold),
            ("track-threshold", self.track_threshold),
        ] {
            if let Some(value) = value.filter(|value| !(0.01..=0.99).contains(value)) {
                return Err(Error::setting(name, value, "0.01 to 0.99"));
            }
        }
        if !(0.05..=0.95).contains(&self.iou_threshold) {
            let allowed = "0.05 to 0.95";
            return Err(Error::setting("iou-threshold", self.iou_threshold, allowed));
        }
        if !self.input_size.is_valid() {
            return Err(InputSize::error(&self.input_size));
        }
        if self.scales.is_empty() || self.scales.len() > 8 {
            return Err(Error::setting(
                "scales",
                format!("{} values", self.scales.len()),
                "1 to 8 values",
            ));
        }
        for &scale in &self.scales {
            if !(0.1..=4.0).contains(&scale) {
                return Err(Error::setting("scales", scale, "0.1 to 4 each"));
            }
            if let InputSize::Side(side) = self.input_size
                && side as f32 * scale > LARGEST_SIDE as f32
            {
                return Err(Error::setting(
                    "scales",
                    scale,
                    format!("small enough that input-size times it is at most {LARGEST_SIDE}"),
                ));
            }
        }
        if !(0.0..=0.5).contains(&self.tiles.overlap) {
            let allowed = "0 to 0.5";
            return Err(Error::setting("tile-overlap", self.tiles.overlap, allowed));
        }
        if let TileLayout::Grid { columns, rows } = self.tiles.layout
            && !((1..=64).contains(&columns) && (1..=64).contains(&rows))
        {
            let allowed = "1x1 to 64x64";
            return Err(Error::setting("tiles", self.tiles.layout, allowed));
        }
        if self.threads > 256 {
            return Err(Error::setting("threads", self.threads, "0 to 256"));
        }
        Ok(())
    }

    /// Least confidence of what is given at all, where `own` is the threshold of its class.
    pub(super) fn least(&self, own: f32) -> f32 {
        let usual = if self.tracked { FAINT * own } else { own };
        self.track_threshold.map_or(usual, |least| least.min(own))
    }

    /// The threshold that replaces a model's own for `class`.
    pub(super) fn threshold(&self, class: Class) -> Option<f32> {
        match class {
            Class::Face => self.face_threshold,
            Class::Plate => self.plate_threshold,
        }
    }
}
