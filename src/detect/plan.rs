//! Which parts of a frame go into which model, at which size, and in which calls.
//!
//! Invariants: every model sees every pixel of the frame; each part is made into an input once per size
//! and normalisation, for all models that share them.

use super::letterbox::{INPUT_STEP, Letterbox, Normalisation, input_dims, native_dims};
use super::settings::{DetectorSettings, InputSize, LARGEST_SIDE};
use super::tiles::{TileLayout, tiles};
use crate::error::Result;
use crate::geometry::PixelBox;

/// Most pixels that go through a model in one call, unless one input alone has more: a model needs some
/// hundred bytes of memory for each.
const BATCH_PIXELS: usize = 1 << 22;

/// What one model takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModelInput {
    /// Width and height are multiples of this many pixels.
    pub multiple: usize,
    /// Width and height in pixels, where the model takes no other.
    pub size: Option<[usize; 2]>,
    /// What the numbers are.
    pub normalisation: Normalisation,
}

/// All calls for frames of one size.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Width and height of the frames.
    pub frame: (usize, usize),
    /// The calls, in order.
    pub calls: Vec<Call>,
    /// Number of lists of detections that are united.
    pub passes: usize,
}

/// Inputs of one size and normalisation, and the models that take them in one call.
#[derive(Debug)]
pub(super) struct Call {
    /// Width and height of the inputs.
    pub size: (usize, usize),
    /// What the inputs' numbers are.
    pub normalisation: Normalisation,
    /// Indices of models.
    pub models: Vec<usize>,
    /// The part of the frame that each input shows.
    pub letterboxes: Vec<Letterbox>,
}

/// One part of a frame as one input.
struct Pass {
    source: PixelBox,
    size: (usize, usize),
    normalisation: Normalisation,
    models: Vec<usize>,
}

impl Plan {
    /// The calls for frames of `width` × `height` pixels.
    ///
    /// Errors: [`crate::Error::Detection`] for a frame without pixels.
    pub fn new(
        width: usize,
        height: usize,
        models: impl Iterator<Item = ModelInput>,
        settings: &DetectorSettings,
    ) -> Result<Self> {
        let parts = parts(width, height, settings);
        let mut passes: Vec<Pass> = Vec::new();
        for (index, model) in models.enumerate() {
            for &(source, (width, height)) in &parts {
                let size = match model.size {
                    Some([width, height]) => (width, height),
                    None => (
                        width.next_multiple_of(model.multiple),
                        height.next_multiple_of(model.multiple),
                    ),
                };
                let normalisation = model.normalisation;
                let known = passes.iter_mut().find(|pass| {
                    (pass.source, pass.size, pass.normalisation) == (source, size, normalisation)
                });
                match known {
                    // Several scales are one and the same to a model of fixed size.
                    Some(pass) if pass.models.contains(&index) => {}
                    Some(pass) => pass.models.push(index),
                    None => passes.push(Pass {
                        source,
                        size,
                        normalisation,
                        models: vec![index],
                    }),
                }
            }
        }
        let count = passes.iter().map(|pass| pass.models.len()).sum();
        let mut calls: Vec<Call> = Vec::new();
        for pass in passes {
            let (width, height) = pass.size;
            let letterbox = Letterbox::new(pass.source, width, height)?;
            let open = calls.iter_mut().find(|call| {
                (call.size, call.normalisation) == (pass.size, pass.normalisation)
                    && call.models == pass.models
                    && (call.letterboxes.len() + 1) * width * height <= BATCH_PIXELS
            });
            match open {
                Some(call) => call.letterboxes.push(letterbox),
                None => calls.push(Call {
                    size: pass.size,
                    normalisation: pass.normalisation,
                    models: pass.models,
                    letterboxes: vec![letterbox],
                }),
            }
        }
        Ok(Self {
            frame: (width, height),
            calls,
            passes: count,
        })
    }
}

/// Parts of a frame of `width` × `height` pixels that are analysed, each with the width and height of its
/// input: the whole frame at every scale, then the tiles.
fn parts(
    width: usize,
    height: usize,
    settings: &DetectorSettings,
) -> Vec<(PixelBox, (usize, usize))> {
    let whole = PixelBox {
        x1: 0,
        y1: 0,
        x2: width,
        y2: height,
    };
    let native = width.max(height);
    let base = match settings.input_size {
        InputSize::Side(side) => side,
        InputSize::Native => native,
    };
    let input = |part: PixelBox, scale: f32| {
        let unscaled = settings.input_size == InputSize::Native && scale == 1.0;
        if unscaled && native <= LARGEST_SIDE {
            return native_dims(part.width(), part.height());
        }
        let long_side = (base as f32 * scale).round() as usize;
        let long_side = long_side.clamp(INPUT_STEP, LARGEST_SIDE);
        input_dims(part.width(), part.height(), long_side)
    };
    let mut parts: Vec<_> = settings
        .scales
        .iter()
        .map(|&scale| (whole, input(whole, scale)))
        .collect();
    if settings.tiles.layout != TileLayout::None {
        let tiles = tiles(width, height, base.min(LARGEST_SIDE), settings.tiles);
        parts.extend(tiles.into_iter().map(|tile| (tile, input(tile, 1.0))));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::letterbox::ChannelOrder;

    fn model(size: Option<[usize; 2]>, order: ChannelOrder) -> ModelInput {
        ModelInput {
            multiple: 32,
            size,
            normalisation: Normalisation {
                order,
                mean: [0.0; 3],
                scale: [1.0; 3],
            },
        }
    }

    fn plan(models: &[ModelInput], settings: &DetectorSettings) -> Plan {
        Plan::new(1280, 720, models.iter().copied(), settings).unwrap()
    }

    #[test]
    fn models_that_take_the_same_share_one_letterbox() {
        let settings = DetectorSettings::default();
        let same = model(None, ChannelOrder::Bgr);
        let shared = plan(&[same, same], &settings);
        assert_eq!((shared.calls.len(), shared.passes), (1, 2));
        assert_eq!(shared.calls[0].models, [0, 1]);
        assert_eq!(shared.calls[0].size, (640, 384));
        let two = plan(&[same, model(None, ChannelOrder::Rgb)], &settings);
        assert_eq!((two.calls.len(), two.passes), (2, 2));
    }

    #[test]
    fn scales_are_one_pass_for_a_model_of_fixed_size() {
        let settings = DetectorSettings {
            scales: vec![1.0, 0.5],
            ..Default::default()
        };
        let fixed = plan(&[model(Some([64, 64]), ChannelOrder::Bgr)], &settings);
        assert_eq!((fixed.calls.len(), fixed.passes), (1, 1));
        let open = plan(&[model(None, ChannelOrder::Bgr)], &settings);
        let sizes: Vec<_> = open.calls.iter().map(|call| call.size).collect();
        assert_eq!(sizes, [(640, 384), (320, 192)]);
    }

    #[test]
    fn a_call_has_a_bounded_number_of_pixels_and_all_of_the_frame_is_seen() {
        let mut settings = DetectorSettings {
            input_size: InputSize::Side(1024),
            ..Default::default()
        };
        settings.tiles.layout = TileLayout::Grid {
            columns: 6,
            rows: 5,
        };
        let plan = plan(&[model(None, ChannelOrder::Bgr)], &settings);
        assert_eq!(plan.passes, 31);
        let mut seen = vec![false; 1280 * 720];
        for call in &plan.calls {
            let pixels = call.letterboxes.len() * call.size.0 * call.size.1;
            assert!(pixels <= BATCH_PIXELS, "{pixels}");
            for letterbox in call
                .letterboxes
                .iter()
                .filter(|l| l.source().width() < 1280)
            {
                let PixelBox { x1, y1, x2, y2 } = letterbox.source();
                for row in y1..y2 {
                    seen[row * 1280 + x1..row * 1280 + x2].fill(true);
                }
            }
        }
        assert!(seen.iter().all(|&seen| seen));
    }

    #[test]
    fn native_and_huge_frames_stay_within_the_largest_side() {
        let settings = DetectorSettings {
            input_size: InputSize::Native,
            scales: vec![1.0, 4.0],
            ..Default::default()
        };
        let models = [model(None, ChannelOrder::Bgr)];
        let plan = Plan::new(20_000, 100, models.into_iter(), &settings).unwrap();
        // Both scales are as large as allowed.
        assert_eq!(plan.calls.len(), 1);
        assert_eq!(plan.calls[0].size, (8192, 64));
    }
}
