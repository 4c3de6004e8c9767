//! Codecs and containers of the output, and the GStreamer elements that write them.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use gst::prelude::*;

use super::requirements::{self, Role};
use crate::error::{Error, Result};

/// Codec of the output video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// H.264/AVC.
    H264,
    /// H.265/HEVC.
    H265,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 4] = [Self::H264, Self::H265, Self::Vp9, Self::Av1];

    /// The name used in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    /// The name used for people, as in [`requirements`].
    fn title(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }

    /// The codec that the encoder `element` writes; None for other elements.
    pub(super) fn written_by(element: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| {
            requirements::find(Role::Encoder, codec.title()).is_some_and(|needed| {
                needed
                    .choices
                    .iter()
                    .any(|choice| choice.element == element)
            })
        })
    }

    fn parser(self) -> &'static str {
        match self {
            Self::H264 => "h264parse",
            Self::H265 => "h265parse",
            Self::Vp9 => "vp9parse",
            Self::Av1 => "av1parse",
        }
    }

    /// True when the encoders take pictures of odd width or height.
    fn takes_odd_sizes(self) -> bool {
        matches!(self, Self::Vp9 | Self::Av1)
    }

    /// Checks that pictures of `width` × `height` pixels can be encoded.
    ///
    /// Errors: [`Error::Media`] about `input` that says which codec would do.
    pub fn check_size(&self, input: &str, width: i32, height: i32) -> Result<()> {
        let least = self.least_side();
        if width < least || height < least {
            return Err(Error::media(
                input,
                format!(
                    "{width}x{height} pixels are too few: {} needs at least {least}x{least}",
                    self
                ),
            ));
        }
        if !self.takes_odd_sizes() && (width % 2 != 0 || height % 2 != 0) {
            return Err(Error::media(
                input,
                format!(
                    "{} cannot hold a picture of odd size {width}x{height}: use --codec vp9 or av1",
                    self
                ),
            ));
        }
        Ok(())
    }

    /// Smallest width and height that the encoders take.
    fn least_side(self) -> i32 {
        match self {
            Self::H264 => 16,
            Self::H265 => 32,
            Self::Vp9 | Self::Av1 => 16,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| Error::setting("codec", name, "h264, h265, vp9 or av1"))
    }
}

/// Container of the output file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// MPEG-4 part 14.
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Mkv,
    /// WebM: VP9 or AV1 in Matroska.
    WebM,
}

impl Container {
    /// The container that the extension of `path` names.
    ///
    /// Errors: [`Error::Setting`] for any other extension.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("mp4" | "m4v") => Ok(Self::Mp4),
            Some("mov") => Ok(Self::Mov),
            Some("mkv") => Ok(Self::Mkv),
            Some("webm") => Ok(Self::WebM),
            _ => Err(Error::setting(
                "output",
                path.display(),
                "a file name that ends in .mp4, .mov, .mkv or .webm for video",
            )),
        }
    }

    /// The codec used when none is asked for.
    pub fn default_codec(self) -> Codec {
        match self {
            Self::WebM => Codec::Vp9,
            _ => Codec::H264,
        }
    }

    /// Checks that the container can hold `codec`.
    ///
    /// Errors: [`Error::Setting`] with the codecs that it can hold.
    pub fn check(self, codec: Codec) -> Result<()> {
        let allowed: &[Codec] = match self {
            Self::Mp4 | Self::Mkv => &Codec::ALL,
            Self::Mov => &[Codec::H264, Codec::H265],
            Self::WebM => &[Codec::Vp9, Codec::Av1],
        };
        if allowed.contains(&codec) {
            return Ok(());
        }
        let names: Vec<&str> = allowed.iter().map(|codec| codec.name()).collect();
        Err(Error::setting(
            "codec",
            codec,
            format!("{} in {}", names.join(" or "), self.muxer()),
        ))
    }

    /// The element that writes the container.
    pub fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4mux",
            Self::Mov => "qtmux",
            Self::Mkv => "matroskamux",
            Self::WebM => "webmmux",
        }
    }
}

/// Speed of the encoder against size of the file, named as in x264.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Fastest, largest.
    UltraFast,
    /// Very fast.
    SuperFast,
    /// The default.
    #[default]
    VeryFast,
    /// Between.
    Faster,
    /// Between.
    Fast,
    /// x264's own default.
    Medium,
    /// Slow.
    Slow,
    /// Slowest, smallest.
    Slower,
}

impl Preset {
    /// Every preset, fastest first.
    pub const ALL: [Self; 8] = [
        Self::UltraFast,
        Self::SuperFast,
        Self::VeryFast,
        Self::Faster,
        Self::Fast,
        Self::Medium,
        Self::Slow,
        Self::Slower,
    ];

    /// The name used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::UltraFast => "ultrafast",
            Self::SuperFast => "superfast",
            Self::VeryFast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
        }
    }

    /// libvpx's and libaom's speed, 8 fastest.
    fn cpu_used(self) -> i32 {
        8 - self as i32
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::ALL.iter().map(|preset| preset.name()).collect();
                Error::setting("preset", name, format!("one of {}", names.join(", ")))
            })
    }
}

/// Threads of every encoder. What encoders write depends on their number, so it is the same on every machine: the same
/// pictures become the same bytes.
const THREADS: u32 = 4;

/// How the output is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Codec.
    pub codec: Codec,
    /// Constant quality, 0 (best) to 51 (smallest), x264's scale; translated for other encoders.
    pub quality: u32,
    /// Speed against size.
    pub preset: Preset,
}

impl Encoding {
    /// Quality used when none is asked for.
    pub const DEFAULT_QUALITY: u32 = 21;

    /// Checks that the quality is in its range.
    pub fn validate(&self) -> Result<()> {
        if self.quality <= 51 {
            Ok(())
        } else {
            Err(Error::setting("quality", self.quality, "from 0 to 51"))
        }
    }

    /// The encoder and the parser behind it.
    ///
    /// Errors: [`Error::Media`] when no element for the codec is installed.
    pub fn elements(&self) -> Result<Vec<gst::Element>> {
        let name = self.encoder_name()?;
        let encoder = gst::ElementFactory::make(name)
            .build()
            .map_err(|error| Error::media(name, error.to_string()))?;
        // The scale of VP9 and AV1 ends at 63.
        let wide_quality = self.quality * 63 / 51;
        match name {
            "x264enc" => {
                encoder.set_property_from_str("pass", "qual");
                encoder.set_property("quantizer", self.quality.min(50));
                // A buffer model bounds the rate, which constant quality does not want, and makes threads race.
                encoder.set_property("vbv-buf-capacity", 0u32);
                encoder.set_property("threads", THREADS);
                encoder.set_property_from_str("speed-preset", self.preset.name());
            }
            "openh264enc" => {
                encoder.set_property_from_str("rate-control", "off");
                encoder.set_property("qp-min", self.quality);
                encoder.set_property("qp-max", self.quality);
                encoder.set_property("multi-thread", THREADS);
                let complexity = match self.preset {
                    Preset::UltraFast | Preset::SuperFast | Preset::VeryFast => "low",
                    Preset::Faster | Preset::Fast | Preset::Medium => "medium",
                    Preset::Slow | Preset::Slower => "high",
                };
                encoder.set_property_from_str("complexity", complexity);
            }
            "x265enc" => {
                encoder.set_property_from_str("speed-preset", self.preset.name());
                encoder.set_property_from_str("log-level", "error");
                let options = format!("crf={}:info=0:frame-threads={THREADS}", self.quality);
                encoder.set_property("option-string", options);
            }
            "vp9enc" => {
                encoder.set_property_from_str("end-usage", "cq");
                encoder.set_property("cq-level", wide_quality as i32);
                // What bounds the quality here is the level, not the rate.
                encoder.set_property("bits-per-pixel", 1f32);
                encoder.set_property("deadline", 1i64);
                encoder.set_property("cpu-used", self.preset.cpu_used());
                encoder.set_property("threads", THREADS as i32);
                encoder.set_property("row-mt", true);
                encoder.set_property("keyframe-max-dist", 250i32);
            }
            _ => {
                encoder.set_property_from_str("end-usage", "q");
                encoder.set_property_from_str("usage-profile", "realtime");
                encoder.set_property("min-quantizer", wide_quality.saturating_sub(4));
                encoder.set_property("max-quantizer", wide_quality);
                encoder.set_property("cpu-used", self.preset.cpu_used());
                encoder.set_property("threads", THREADS);
                encoder.set_property("row-mt", true);
                encoder.set_property("keyframe-max-dist", 250i32);
            }
        }
        let parser = self.codec.parser();
        let parser = gst::ElementFactory::make(parser)
            .build()
            .map_err(|error| Error::media(parser, error.to_string()))?;
        Ok(vec![encoder, parser])
    }

    /// The encoder that will be used.
    ///
    /// Errors: [`Error::Media`] when none for the codec is installed.
    pub fn encoder_name(&self) -> Result<&'static str> {
        requirements::find(Role::Encoder, self.codec.title())
            .ok_or_else(|| Error::media(self.codec.name(), "no encoder is known"))?
            .element()
    }
}
