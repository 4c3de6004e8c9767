//! `[[camera]]`, and the sections that it shares with the top of the file.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::layered::layered;
use super::outputs::{Push, Record};
use super::secret::Login;
use super::units::Span;
use crate::Result;
use crate::detect::DetectorSettings;
use crate::detect::tiles::TileSpec;
use crate::media::encode::{Codec, Preset};
use crate::media::pipeline::Tracking;
use crate::redact::{self, Zone};
use crate::track;

layered! {
    /// `[detect]`: how to find and follow what must be redacted. Keys are those of `floutage redact`.
    Detect {
        /// Names or files of models; none: the default model.
        model: Vec<String>,
        /// Folder with models.toml.
        models_dir: PathBuf,
        /// Least confidence of a detection of any class, 0.01 to 0.99.
        confidence_threshold: f32,
        /// Least confidence of a face.
        face_threshold: f32,
        /// Least confidence of a plate.
        plate_threshold: f32,
        /// Least confidence of what continues a track.
        track_threshold: f32,
        /// Overlap from which two detections are one.
        iou_threshold: f32,
        /// Long side of the model's input in pixels, or "native".
        input_size: InputSize,
        /// Factors of the input size at which each frame is analysed.
        scales: Vec<f32>,
        /// "none", "auto" or "COLUMNSxROWS".
        tiles: String,
        /// Threads of one model run [default: 1].
        inference_threads: usize,
        /// "cpu", "cuda", "tensorrt" or "openvino".
        provider: String,
        /// Frames that wait for later detections.
        look_ahead: usize,
        /// Frames for which a region stays redacted.
        hold: usize,
        /// One of so many frames is analysed.
        detect_every: u32,
        /// Up to which detect-every rises when the machine cannot keep up [default: look-ahead, at most 6].
        most_every: u32,
    }
}

/// Pixels, or "native".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputSize {
    /// Long side in pixels.
    Side(u32),
    /// "native".
    Name(String),
}

impl Detect {
    /// The detector's settings.
    ///
    /// Errors: the first value out of its range.
    pub fn detector(&self) -> Result<DetectorSettings> {
        let default = DetectorSettings::default();
        let settings = DetectorSettings {
            models: self.model.clone().unwrap_or_default(),
            models_dir: self.models_dir.clone(),
            face_threshold: self.face_threshold.or(self.confidence_threshold),
            plate_threshold: self.plate_threshold.or(self.confidence_threshold),
            track_threshold: self.track_threshold,
            // What is faint may go on with a track.
            tracked: true,
            iou_threshold: self.iou_threshold.unwrap_or(default.iou_threshold),
            input_size: match &self.input_size {
                None => default.input_size,
                Some(InputSize::Side(side)) => side.to_string().parse()?,
                Some(InputSize::Name(name)) => name.parse()?,
            },
            scales: self.scales.clone().unwrap_or(default.scales),
            tiles: TileSpec {
                layout: match &self.tiles {
                    Some(tiles) => tiles.parse()?,
                    None => default.tiles.layout,
                },
                ..default.tiles
            },
            // Cameras share the machine; more threads for one would be taken from another.
            threads: self.inference_threads.unwrap_or(1),
            provider: match &self.provider {
                Some(provider) => provider.parse()?,
                None => default.provider,
            },
        };
        settings.validate()?;
        Ok(settings)
    }

    /// How regions are followed.
    ///
    /// Errors: the first value out of its range.
    pub fn tracking(&self) -> Result<Tracking> {
        let default = Tracking::default();
        let tracking = Tracking {
            settings: track::Settings {
                look_ahead: self.look_ahead.unwrap_or(LOOK_AHEAD),
                hold: self.hold.unwrap_or(default.settings.hold),
            },
            detect_every: self.detect_every.unwrap_or(1),
        };
        tracking.validate()?;
        tracking.check_cover()?;
        Ok(tracking)
    }

    /// The largest detect-every under overload: beyond the look-ahead a face could show before it is found. By default every
    /// second frame is analysed at least, which on the rendered clips lets few more regions slip (4 in 100 of those that slip
    /// anyway, with 5 it is 11); rather fewer frames than more of that.
    pub fn most_every(&self, tracking: &Tracking) -> u32 {
        let within = (tracking.settings.look_ahead as u32).max(1);
        self.most_every
            .unwrap_or(2)
            .min(within)
            .max(tracking.detect_every)
    }
}

/// Live pictures wait for fewer frames than those of files: a third of a second at 15 per second.
const LOOK_AHEAD: usize = 5;

layered! {
    /// `[redact]`: how to redact. Keys are those of `floutage redact`.
    Redact {
        /// Style of every class.
        style: String,
        /// Style of faces.
        face_style: String,
        /// Style of plates.
        plate_style: String,
        /// Shape of faces.
        face_shape: String,
        /// Shape of plates.
        plate_shape: String,
        /// Share by which every region grows, 0 to 3.
        margin: f32,
        /// Margin of faces.
        face_margin: f32,
        /// Margin of plates.
        plate_margin: f32,
        /// Width of the soft edge outside the mask.
        feather: f32,
        /// Cells per side that remain.
        cells: usize,
        /// Levels per channel of a cell; more than 1 can be attacked, and needs i-accept-reversible.
        levels: usize,
        /// Allows settings of which attackers can tell faces or read plates.
        i_accept_reversible: bool,
    }
}

impl Redact {
    /// The redactor's settings with `zones`.
    ///
    /// Errors: the first value out of its range.
    pub fn settings(&self, zones: &[Vec<(f64, f64)>]) -> Result<redact::Settings> {
        let mut settings = redact::Settings::default();
        let parse = |own: &Option<String>| {
            own.as_ref()
                .or(self.style.as_ref())
                .map(|style| style.parse())
        };
        let (face, plate) = (&mut settings.face, &mut settings.plate);
        face.style = parse(&self.face_style).transpose()?.unwrap_or(face.style);
        plate.style = parse(&self.plate_style).transpose()?.unwrap_or(plate.style);
        let shape = |own: &Option<String>| own.as_ref().map(|shape| shape.parse()).transpose();
        face.shape = shape(&self.face_shape)?.unwrap_or(face.shape);
        plate.shape = shape(&self.plate_shape)?.unwrap_or(plate.shape);
        face.margin = self.face_margin.or(self.margin).unwrap_or(face.margin);
        plate.margin = self.plate_margin.or(self.margin).unwrap_or(plate.margin);
        settings.feather = self.feather.unwrap_or(settings.feather);
        settings.cells = self.cells.unwrap_or(settings.cells);
        settings.levels = self.levels.unwrap_or(settings.levels);
        settings.accept_reversible = self.i_accept_reversible.unwrap_or_default();
        for zone in zones {
            let points = zone.iter().map(|&(x, y)| (x as f32, y as f32)).collect();
            settings.zones.push(Zone::new(points)?);
        }
        settings.validate()?;
        Ok(settings)
    }
}

layered! {
    /// `[encode]`: how redacted pictures are encoded, once for all outputs.
    Encode {
        /// "h264" or "h265".
        codec: String,
        /// Constant quality, 0 (best) to 51 (smallest).
        quality: u32,
        /// Speed against size, named as in x264.
        preset: String,
        /// Most kilobits per second.
        bitrate: u32,
        /// Time between two key frames: a client waits so long at most for its first picture.
        key_interval: Span,
    }
}

/// How redacted pictures are encoded, every value known.
#[derive(Clone, Debug)]
pub struct LiveEncoding {
    /// H.264 or H.265.
    pub codec: Codec,
    /// Constant quality.
    pub quality: u32,
    /// Speed against size.
    pub preset: Preset,
    /// Most kilobits per second.
    pub bitrate: u32,
    /// Time between two key frames.
    pub key_interval: Duration,
}

impl Encode {
    /// The encoding.
    ///
    /// Errors: the first value out of its range.
    pub fn resolve(&self) -> Result<LiveEncoding> {
        let wrong = |name, value: &dyn std::fmt::Display, allowed: &str| {
            crate::Error::setting(name, value, allowed)
        };
        let codec = match self.codec.as_deref() {
            None | Some("h264") => Codec::H264,
            Some("h265") => Codec::H265,
            Some(other) => return Err(wrong("codec", &other, "h264 or h265")),
        };
        let encoding = LiveEncoding {
            codec,
            quality: self.quality.unwrap_or(24),
            preset: self.preset.as_deref().unwrap_or("superfast").parse()?,
            bitrate: self.bitrate.unwrap_or(4096),
            key_interval: self
                .key_interval
                .map_or(Duration::from_secs(2), |span| span.0),
        };
        if encoding.quality > 50 {
            return Err(wrong("quality", &encoding.quality, "from 0 to 50"));
        }
        if !(64..=100_000).contains(&encoding.bitrate) {
            return Err(wrong(
                "bitrate",
                &encoding.bitrate,
                "from 64 to 100000 kilobits per second",
            ));
        }
        if !(Duration::from_millis(500)..=Duration::from_secs(10)).contains(&encoding.key_interval)
        {
            let value = Span(encoding.key_interval);
            return Err(wrong("key-interval", &value, "from 500ms to 10s"));
        }
        Ok(encoding)
    }
}

/// `[camera.sub]`: a smaller stream of the same redacted pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sub {
    /// Width in pixels, even; the height follows.
    #[serde(default = "sub_width")]
    pub width: u32,
    /// Most kilobits per second.
    #[serde(default = "sub_bitrate")]
    pub bitrate: u32,
}

fn sub_width() -> u32 {
    640
}

fn sub_bitrate() -> u32 {
    512
}

/// How a camera's packets travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// In the RTSP connection: nothing is lost on the way.
    #[default]
    Tcp,
    /// By themselves.
    Udp,
}

/// One camera.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Camera {
    /// Name in addresses, folders and metrics: a to z, 0 to 9, - and _.
    pub name: String,
    /// `rtsp://`, `rtsps://`, `http://` or `https://` (motion JPEG), `v4l2:///dev/video0`, `file:///clip.mp4` (looped).
    pub source: String,
    /// User at the camera.
    pub user: Option<String>,
    /// File that holds the password at the camera.
    pub password_file: Option<PathBuf>,
    /// Environment variable that holds the password at the camera.
    pub password_env: Option<String>,
    /// Certificate (PEM) that an rtsps:// camera must show; none: one that the system trusts.
    pub certificate: Option<PathBuf>,
    /// How packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// How long packets of a lossy network may be waited for.
    #[serde(default = "jitter")]
    pub jitter: Span,
    /// Polygons that are always filled.
    #[serde(default)]
    pub zones: Vec<Vec<(f64, f64)>>,
    /// Frames per second under which frames are filled rather than dropped.
    #[serde(default = "min_fps")]
    pub min_fps: f64,
    /// Without a picture for so long the camera is given up and asked for again.
    #[serde(default = "stall_timeout")]
    pub stall_timeout: Span,
    /// Whether the page can show it live.
    #[serde(default = "yes")]
    pub hls: bool,
    /// Detection.
    #[serde(default)]
    pub detect: Detect,
    /// Redaction.
    #[serde(default)]
    pub redact: Redact,
    /// Encoding.
    #[serde(default)]
    pub encode: Encode,
    /// The smaller stream.
    pub sub: Option<Sub>,
    /// Recording.
    #[serde(default)]
    pub record: Record,
    /// Other servers that get it.
    #[serde(default)]
    pub push: Vec<Push>,
}

fn jitter() -> Span {
    Span(Duration::from_millis(200))
}

fn min_fps() -> f64 {
    6.0
}

fn stall_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn yes() -> bool {
    true
}

impl Camera {
    /// User and password at the camera.
    pub fn login(&self) -> Login<'_> {
        Login {
            user: self.user.as_deref(),
            file: self.password_file.as_deref(),
            variable: self.password_env.as_deref(),
        }
    }
}
