//! Options that several commands share, and how they become the library's settings.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use clap::Args;
use floutage::Result;
use floutage::detect::tiles::TileSpec;
use floutage::detect::{Class, DetectorSettings, SharedDetector, open};
use floutage::gst::MOST_EVERY;
use floutage::media::encode::{Codec, Encoding, Preset};
use floutage::media::pipeline::Tracking;
use floutage::redact::{Settings, Shape, Style, Zone};
use floutage::track::MOST_FRAMES;

/// A number from `least` to `most`: the error of any other value says so, and clap's says which option it is of.
fn number<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |text| {
        text.parse()
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| format!("must be a number from {least} to {most}"))
    }
}

/// How to find what must be redacted.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Detection")]
pub struct DetectorArgs {
    /// Model to use, by name (see `floutage models list`) or by file; several are used together.
    #[arg(long, value_delimiter = ',', value_name = "NAME|FILE")]
    model: Vec<String>,
    /// Folder with models.toml and the models.
    #[arg(long, env = "FLOUTAGE_MODELS_DIR", value_name = "DIR")]
    models_dir: Option<PathBuf>,
    /// Least confidence of a detection of any class, 0 to 1 [default: the model's own].
    #[arg(long, value_name = "SHARE", value_parser = number(0.01f32, 0.99), allow_hyphen_values = true)]
    confidence_threshold: Option<f32>,
    /// Least confidence of a face, 0 to 1 [default: the model's own].
    #[arg(long, value_name = "SHARE", value_parser = number(0.01f32, 0.99), allow_hyphen_values = true)]
    face_threshold: Option<f32>,
    /// Least confidence of a licence plate, 0 to 1 [default: the model's own].
    #[arg(long, value_name = "SHARE", value_parser = number(0.01f32, 0.99), allow_hyphen_values = true)]
    plate_threshold: Option<f32>,
    /// Least confidence, 0 to 1, of a detection that may continue a track, in video [default: half of its class's].
    #[arg(long, value_name = "SHARE", value_parser = number(0.01f32, 0.99), allow_hyphen_values = true)]
    track_threshold: Option<f32>,
    /// Overlap (IoU) from which two detections of a class are one, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = DetectorSettings::default().iou_threshold, value_parser = number(0.05f32, 0.95), allow_hyphen_values = true)]
    iou_threshold: f32,
    /// Long side of the model's input in pixels, a multiple of 32, or `native` for the full picture.
    #[arg(long, value_name = "PIXELS", default_value = "640")]
    input_size: String,
    /// Factors of the input size at which each frame is analysed: `1,0.5` also finds frame-filling faces.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "FACTORS",
        default_value = "1", value_parser = number(0.1f32, 4.0), allow_hyphen_values = true)]
    scales: Vec<f32>,
    /// Tiles into which frames are cut, for small faces in large pictures: none, auto, or COLUMNSxROWS.
    #[arg(long, default_value = "none")]
    tiles: String,
    /// Threads of one model run; 0 chooses by the number of cores.
    #[arg(long, value_name = "COUNT", default_value_t = 0, value_parser = number(0usize, 256), allow_hyphen_values = true)]
    inference_threads: usize,
    /// What runs the model: cpu, cuda, tensorrt or openvino.
    #[arg(long, default_value = "cpu")]
    provider: String,
}

impl DetectorArgs {
    /// The library's settings.
    pub fn settings(&self) -> Result<DetectorSettings> {
        let settings = DetectorSettings {
            models: self.model.clone(),
            models_dir: self.models_dir.clone(),
            face_threshold: self.face_threshold.or(self.confidence_threshold),
            plate_threshold: self.plate_threshold.or(self.confidence_threshold),
            tracked: true,
            track_threshold: self.track_threshold,
            iou_threshold: self.iou_threshold,
            input_size: self.input_size.parse()?,
            scales: self.scales.clone(),
            tiles: TileSpec {
                layout: self.tiles.parse()?,
                ..TileSpec::default()
            },
            threads: self.inference_threads,
            provider: self.provider.parse()?,
        };
        settings.validate()?;
        Ok(settings)
    }

    /// The detector, ready to be used by one pipeline after another.
    pub fn open(&self) -> Result<SharedDetector> {
        Ok(Arc::new(Mutex::new(open(&self.settings()?)?)))
    }
}

/// How to follow faces and plates from frame to frame.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tracking")]
pub struct TrackingArgs {
    /// Frames that wait, so that what is detected later is redacted in them too, 0 to 250.
    #[arg(long, value_name = "FRAMES", default_value_t = Tracking::default().settings.look_ahead, value_parser = number(0usize, MOST_FRAMES), allow_hyphen_values = true)]
    look_ahead: usize,
    /// Frames for which a region stays redacted after it was last detected, 0 to 250.
    #[arg(long, value_name = "FRAMES", default_value_t = Tracking::default().settings.hold, value_parser = number(0usize, MOST_FRAMES), allow_hyphen_values = true)]
    hold: usize,
    /// Analyse one of so many frames, 1 to 30, and any after a change of view; tracks cover the others.
    #[arg(long, value_name = "FRAMES", default_value_t = 1, value_parser = number(1u32, MOST_EVERY), allow_hyphen_values = true)]
    detect_every: u32,
}

impl TrackingArgs {
    /// The library's settings.
    pub fn settings(&self) -> Tracking {
        Tracking {
            settings: floutage::track::Settings {
                look_ahead: self.look_ahead,
                hold: self.hold,
            },
            detect_every: self.detect_every,
        }
    }
}

/// How to redact.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Redaction")]
pub struct RedactionArgs {
    /// Style for every class: blur, mosaic or fill [default: blur for faces, fill for plates].
    #[arg(long)]
    style: Option<Style>,
    /// Style for faces.
    #[arg(long, value_name = "STYLE")]
    face_style: Option<Style>,
    /// Style for licence plates.
    #[arg(long, value_name = "STYLE")]
    plate_style: Option<Style>,
    /// Shape for faces: rectangle, or ellipse (the one around the rectangle) [default: ellipse].
    #[arg(long, value_name = "SHAPE")]
    face_shape: Option<Shape>,
    /// Shape for licence plates [default: rectangle].
    #[arg(long, value_name = "SHAPE")]
    plate_shape: Option<Shape>,
    /// Share by which every region's width and height grow, 0 to 3 [default: 0.4].
    #[arg(long, value_name = "SHARE", value_parser = number(0f32, 3.0), allow_hyphen_values = true)]
    margin: Option<f32>,
    /// Margin for faces.
    #[arg(long, value_name = "SHARE", value_parser = number(0f32, 3.0), allow_hyphen_values = true)]
    face_margin: Option<f32>,
    /// Margin for licence plates.
    #[arg(long, value_name = "SHARE", value_parser = number(0f32, 3.0), allow_hyphen_values = true)]
    plate_margin: Option<f32>,
    /// Width of the soft edge outside the mask, as a share of the region, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = Settings::default().feather, value_parser = number(0f32, 1.0), allow_hyphen_values = true)]
    feather: f32,
    /// Cells per side that remain of a region, 1 to 4.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().cells, value_parser = number(1usize, 4), allow_hyphen_values = true)]
    cells: usize,
    /// Levels per colour channel of a cell, 1 to 32; with 1 all are grey, with more `floutage redact` asks for
    /// --i-accept-reversible.
    #[arg(long, value_name = "COUNT", default_value_t = Settings::default().levels, value_parser = number(1usize, 32), allow_hyphen_values = true)]
    levels: usize,
    /// Colour of filled regions as RRGGBB in hexadecimal [default: grey].
    #[arg(long, visible_alias = "fill-color", value_name = "RRGGBB")]
    fill_colour: Option<String>,
    /// Polygon that is always filled, in shares of width and height: "0,0 0.5,0 0.5,0.3"; repeatable.
    #[arg(long = "zone", value_name = "X,Y X,Y X,Y ...")]
    zones: Vec<String>,
}

impl RedactionArgs {
    /// Whether a margin was asked for, for regions of `class`.
    pub fn has_margin(&self, class: Class) -> bool {
        let own = match class {
            Class::Face => self.face_margin,
            Class::Plate => self.plate_margin,
        };
        own.or(self.margin).is_some()
    }

    /// The library's settings.
    pub fn settings(&self) -> Result<Settings> {
        let mut settings = Settings {
            feather: self.feather,
            cells: self.cells,
            levels: self.levels,
            zones: self
                .zones
                .iter()
                .map(|zone| zone.parse::<Zone>())
                .collect::<Result<_>>()?,
            ..Settings::default()
        };
        if let Some(colour) = &self.fill_colour {
            settings.fill_colour = parse_colour(colour)?;
        }
        for (class, style, shape, margin) in [
            (
                &mut settings.face,
                self.face_style,
                self.face_shape,
                self.face_margin,
            ),
            (
                &mut settings.plate,
                self.plate_style,
                self.plate_shape,
                self.plate_margin,
            ),
        ] {
            class.style = style.or(self.style).unwrap_or(class.style);
            class.shape = shape.unwrap_or(class.shape);
            class.margin = margin.or(self.margin).unwrap_or(class.margin);
        }
        settings.validate()?;
        Ok(settings)
    }
}

fn parse_colour(text: &str) -> Result<[u8; 3]> {
    let wrong = || floutage::Error::setting("fill-colour", text, "six hexadecimal digits, RRGGBB");
    let digits = text.strip_prefix('#').unwrap_or(text);
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let value = u32::from_str_radix(digits, 16).map_err(|_| wrong())?;
    let [_, red, green, blue] = value.to_be_bytes();
    Ok([red, green, blue])
}

/// How to encode video.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Encoding")]
pub struct EncodingArgs {
    /// Codec: h264, h265, vp9 or av1 [default: h264, in WebM vp9].
    #[arg(long)]
    codec: Option<String>,
    /// Constant quality, 0 (best) to 51 (smallest file).
    #[arg(long, value_name = "LEVEL", default_value_t = Encoding::DEFAULT_QUALITY, value_parser = number(0u32, 51), allow_hyphen_values = true)]
    quality: u32,
    /// Encoder's speed against size: ultrafast to slower, named as in x264.
    #[arg(long, default_value_t = Preset::default())]
    preset: Preset,
}

impl EncodingArgs {
    /// The codec asked for.
    pub fn codec(&self) -> Result<Option<Codec>> {
        self.codec.as_deref().map(str::parse).transpose()
    }

    /// The encoding, with `default` where no codec was asked for.
    pub fn encoding(&self, default: Codec) -> Result<Encoding> {
        let encoding = Encoding {
            codec: self.codec()?.unwrap_or(default),
            quality: self.quality,
            preset: self.preset,
        };
        encoding.validate()?;
        Ok(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_six_digits() {
        assert_eq!(parse_colour("#0180ff").unwrap(), [1, 128, 255]);
        for wrong in ["", "12345", "1234567", "+12345", "12345g", "é1234"] {
            let error = parse_colour(wrong).unwrap_err().to_string();
            assert!(error.contains("fill-colour"), "{error}");
        }
    }
}
