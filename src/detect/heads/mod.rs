//! Output heads: how a model's raw output tensors become detections.
//!
//! Invariants: detections are in input pixels, valid (finite, with an area), at or above the threshold of
//! their class, and at most 1 in confidence. Whatever is not a number, has the wrong length or is missing
//! is an error and never a dropped row: the frame is then filled. Ordering of the outputs does not
//! matter where names or shapes tell them apart.

mod boxes;
mod centerface;
mod scrfd;
mod ultraface;
mod values;
mod yolo;
mod yunet;

use std::fmt;
use std::str::FromStr;

use super::{Class, Detection};
use crate::error::{Error, Result};

/// One output of a model as it came: row-major, the leading batch dimension included.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// The output's name in the graph.
    pub name: &'a str,
    /// Its dimensions.
    pub shape: &'a [usize],
    /// Its values; as many as the product of the dimensions.
    pub data: &'a [f32],
}

/// One output of a model as its file declares it.
#[derive(Clone, Copy, Debug)]
pub struct OutputShape<'a> {
    /// The output's name in the graph.
    pub name: &'a str,
    /// Its dimensions; None where the file leaves one open.
    pub shape: &'a [Option<usize>],
}

/// What a head needs to know besides the tensors.
#[derive(Clone, Copy, Debug)]
pub struct DecodeContext<'a> {
    /// Width of the model's input in pixels.
    pub input_width: usize,
    /// Height of the model's input in pixels.
    pub input_height: usize,
    /// Class of each score column; None for columns to ignore. One entry for heads of one class
    /// ([`Head::columns`]); UltraFace's background column does not count.
    pub classes: &'a [Option<Class>],
    /// Least confidence of a detection, by `Class as usize`.
    pub thresholds: [f32; 2],
    /// Number of inputs that went through the model in one call.
    pub batch: usize,
}

/// How outputs are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Head {
    /// `boxes` 1×N×4, corners in input pixels, and `scores` 1×N×C: what the project's own models output.
    Boxes,
    /// YuNet.
    Yunet,
    /// UltraFace.
    Ultraface,
    /// SCRFD.
    Scrfd,
    /// CenterFace.
    Centerface,
    /// YOLOv8 and its like.
    Yolo,
}

impl Head {
    /// Every head.
    pub const ALL: [Self; 6] = [
        Self::Boxes,
        Self::Yunet,
        Self::Ultraface,
        Self::Scrfd,
        Self::Centerface,
        Self::Yolo,
    ];

    /// The name used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Boxes => "boxes",
            Self::Yunet => "yunet",
            Self::Ultraface => "ultraface",
            Self::Scrfd => "scrfd",
            Self::Centerface => "centerface",
            Self::Yolo => "yolo",
        }
    }

    /// Number of score columns the head always has; None where the model decides.
    pub fn columns(self) -> Option<usize> {
        match self {
            Self::Boxes | Self::Yolo => None,
            Self::Yunet | Self::Ultraface | Self::Scrfd | Self::Centerface => Some(1),
        }
    }

    /// Whether outputs as declared by the file `model` can be those of this head with `columns` score
    /// columns (None: not known). Open dimensions fit anything.
    ///
    /// Errors: [`Error::Model`] saying which output is missing or which dimension does not fit.
    pub fn check(
        &self,
        model: &str,
        outputs: &[OutputShape<'_>],
        columns: Option<usize>,
    ) -> Result<()> {
        let problem = match (self.columns(), columns) {
            (Some(own), Some(given)) if own != given => Some(format!(
                "has {own} score column, and {given} classes are named"
            )),
            (_, Some(0)) => Some("needs the class of each score column".into()),
            _ => self.locate(outputs, columns).err(),
        };
        match problem {
            None => Ok(()),
            Some(problem) => Err(Error::model(model, format!("head {self}: {problem}"))),
        }
    }

    /// Says what does not fit; nothing else of the layouts matters before there are tensors.
    fn locate(&self, outputs: &[OutputShape<'_>], columns: Option<usize>) -> Result<(), String> {
        match self {
            Self::Boxes => boxes::locate(outputs, columns).map(drop),
            Self::Yunet => yunet::locate(outputs).map(drop),
            Self::Ultraface => ultraface::locate(outputs).map(drop),
            Self::Scrfd => scrfd::locate(outputs).map(drop),
            Self::Centerface => centerface::locate(outputs).map(drop),
            Self::Yolo => yolo::locate(outputs, columns).map(drop),
        }
    }

    /// The heads that outputs as declared by a file fit.
    pub fn fitting(outputs: &[OutputShape<'_>]) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|head| head.check("", outputs, None).is_ok())
            .collect()
    }

    /// Appends to `out` one list of detections per batch item, in input pixels, at or above the thresholds,
    /// before NMS.
    ///
    /// Errors: [`Error::Detection`] on a missing output, a shape or length that does not fit, any score
    /// or box that is not finite, and scores that are no probabilities (a graph without its last sigmoid); `out`
    /// is then as it was.
    pub fn decode(
        &self,
        outputs: &[Tensor<'_>],
        ctx: &DecodeContext<'_>,
        out: &mut Vec<Vec<Detection>>,
    ) -> Result<()> {
        let mut items = vec![Vec::new(); ctx.batch];
        self.decode_items(outputs, ctx, &mut items)
            .map_err(|problem| Error::Detection(format!("head {self}: {problem}")))?;
        out.append(&mut items);
        Ok(())
    }

    fn decode_items(
        &self,
        outputs: &[Tensor<'_>],
        ctx: &DecodeContext<'_>,
        items: &mut [Vec<Detection>],
    ) -> Result<(), String> {
        if ctx.batch == 0 || ctx.input_width == 0 || ctx.input_height == 0 {
            return Err(format!(
                "asked to decode {} inputs of {}x{}",
                ctx.batch, ctx.input_width, ctx.input_height
            ));
        }
        if ctx.thresholds.iter().any(|threshold| threshold.is_nan()) {
            return Err("a confidence threshold is not a number".into());
        }
        if self.columns().is_some_and(|own| own != ctx.classes.len()) || ctx.classes.is_empty() {
            return Err(format!(
                "{} classes named for its score columns",
                ctx.classes.len()
            ));
        }
        for tensor in outputs {
            let length = tensor
                .shape
                .iter()
                .try_fold(1usize, |a, &b| a.checked_mul(b));
            if length != Some(tensor.data.len()) {
                return Err(format!(
                    "output {} of shape {:?} has {} values",
                    tensor.name,
                    tensor.shape,
                    tensor.data.len()
                ));
            }
        }
        let shapes: Vec<Vec<Option<usize>>> = outputs
            .iter()
            .map(|tensor| tensor.shape.iter().copied().map(Some).collect())
            .collect();
        let declared: Vec<OutputShape<'_>> = outputs
            .iter()
            .zip(&shapes)
            .map(|(tensor, shape)| OutputShape {
                name: tensor.name,
                shape,
            })
            .collect();
        match self {
            Self::Boxes => {
                let layout = boxes::locate(&declared, Some(ctx.classes.len()))?;
                boxes::decode(outputs, layout, ctx, items)
            }
            Self::Yunet => yunet::decode(outputs, yunet::locate(&declared)?, ctx, items),
            Self::Ultraface => {
                ultraface::decode(outputs, ultraface::locate(&declared)?, ctx, items)
            }
            Self::Scrfd => scrfd::decode(outputs, &scrfd::locate(&declared)?, ctx, items),
            Self::Centerface => {
                centerface::decode(outputs, centerface::locate(&declared)?, ctx, items)
            }
            Self::Yolo => {
                let layout = yolo::locate(&declared, Some(ctx.classes.len()))?;
                yolo::decode(outputs, layout, ctx, items)
            }
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|head| head.name() == name)
            .ok_or_else(|| {
                Error::setting(
                    "head",
                    name,
                    "boxes, yunet, ultraface, scrfd, centerface or yolo",
                )
            })
    }
}

#[cfg(test)]
mod tests;
