//! What all heads share: finding outputs, checking numbers, scanning scores, making detections.

use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::{Certainty, Class, Detection};
use crate::geometry::BBox;

/// Scores may leave 0–1 by rounding, half precision included, but not by more.
const SCORE_SLACK: f32 = 0.01;

/// Scores looked at together; most blocks have none over the threshold.
const BLOCK: usize = 64;

/// True when a declared dimension can be `wanted`.
pub(super) fn fits(dimension: Option<usize>, wanted: usize) -> bool {
    dimension.is_none_or(|dimension| dimension == wanted)
}

/// A shape for people: `1x?x4`.
pub(super) fn show(shape: &[Option<usize>]) -> String {
    let dimensions: Vec<String> = shape
        .iter()
        .map(|dimension| dimension.map_or("?".into(), |d| d.to_string()))
        .collect();
    dimensions.join("x")
}

/// All outputs for people: `boxes 1x?x4, scores 1x?x2`.
pub(super) fn list(outputs: &[OutputShape<'_>]) -> String {
    let all: Vec<String> = outputs
        .iter()
        .map(|output| format!("{} {}", output.name, show(output.shape)))
        .collect();
    if all.is_empty() {
        "none".into()
    } else {
        all.join(", ")
    }
}

/// The output called `name`.
pub(super) fn named(outputs: &[OutputShape<'_>], name: &str) -> Option<usize> {
    outputs.iter().position(|output| output.name == name)
}

/// Number of rows and of columns of an output that is a table per input: B×N×C, or N×C of a single input.
/// None when it is not a table.
pub(super) fn table(output: &OutputShape<'_>) -> Option<(Option<usize>, Option<usize>)> {
    match *output.shape {
        [_, rows, columns] | [rows, columns] => Some((rows, columns)),
        _ => None,
    }
}

/// Checks that the output is a table whose columns can be `columns`.
pub(super) fn expect_columns(output: &OutputShape<'_>, columns: usize) -> Result<(), String> {
    match table(output) {
        Some((_, own)) if fits(own, columns) => Ok(()),
        _ => Err(format!(
            "output {} is {}, not a table of {columns} columns",
            output.name,
            show(output.shape)
        )),
    }
}

/// A tensor that is a table of `columns` columns per input.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub name: &'a str,
    pub rows: usize,
    pub columns: usize,
    data: &'a [f32],
}

impl<'a> Table<'a> {
    /// Errors when the shape is another or the batch is not `batch`.
    pub fn new(tensor: &Tensor<'a>, columns: usize, batch: usize) -> Result<Self, String> {
        let rows = match *tensor.shape {
            [items, rows, own] if items == batch && own == columns => rows,
            [rows, own] if batch == 1 && own == columns => rows,
            _ => {
                return Err(format!(
                    "output {} has shape {:?}, not {batch} x rows x {columns}",
                    tensor.name, tensor.shape
                ));
            }
        };
        Ok(Self {
            name: tensor.name,
            rows,
            columns,
            data: tensor.data,
        })
    }

    /// Errors unless the table has `rows` rows.
    pub fn expect_rows(&self, rows: usize, what: &str) -> Result<(), String> {
        if self.rows == rows {
            return Ok(());
        }
        Err(format!(
            "output {} has {} rows where {what} gives {rows}",
            self.name, self.rows
        ))
    }

    /// The values of one input.
    pub fn item(&self, item: usize) -> &'a [f32] {
        let length = self.rows * self.columns;
        &self.data[item * length..][..length]
    }

    /// Four columns from `column` of a row of `data`, which came from [`Self::item`].
    pub fn four(&self, data: &[f32], row: usize) -> [f32; 4] {
        let start = row * self.columns;
        [
            data[start],
            data[start + 1],
            data[start + 2],
            data[start + 3],
        ]
    }
}

/// Errors at the first value that is not finite.
pub(super) fn finite(name: &str, data: &[f32]) -> Result<(), String> {
    for (block, values) in data.chunks(BLOCK).enumerate() {
        // Without an early exit, so that the loop vectorises.
        if !values.iter().fold(true, |all, v| all & v.is_finite()) {
            let index = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
            return Err(format!(
                "value {} of output {name} is {}",
                block * BLOCK + index,
                values[index]
            ));
        }
    }
    Ok(())
}

/// Errors when a score is not a number or no probability.
pub(super) fn probability(name: &str, score: f32) -> Result<(), String> {
    if (-SCORE_SLACK..=1.0 + SCORE_SLACK).contains(&score) {
        return Ok(());
    }
    Err(format!(
        "a score of output {name} is {score}, not between 0 and 1; the graph must end in a sigmoid or softmax"
    ))
}

/// Calls `found` with the index and score of every score at or above `threshold`, and checks all of them.
pub(super) fn scan(
    name: &str,
    scores: &[f32],
    threshold: f32,
    mut found: impl FnMut(usize, f32) -> Result<(), String>,
) -> Result<(), String> {
    let (low, high) = (-SCORE_SLACK, 1.0 + SCORE_SLACK);
    for (block, values) in scores.chunks(BLOCK).enumerate() {
        let (mut sane, mut any) = (true, false);
        for &score in values {
            sane &= (score >= low) & (score <= high);
            any |= score >= threshold;
        }
        if !sane {
            values
                .iter()
                .try_for_each(|&score| probability(name, score))?;
        }
        if any {
            for (index, &score) in values.iter().enumerate() {
                if score >= threshold {
                    found(block * BLOCK + index, score)?;
                }
            }
        }
    }
    Ok(())
}

/// A detection from what the head worked out. An empty or inverted box is still a sighting: its corners are
/// put in order and its sides made at least one input pixel. Far outside the input nothing is to be redacted,
/// so corners are brought to within one input size of it, which also tames overflow.
///
/// Errors when a corner is not a number.
pub(super) fn detection(
    ctx: &DecodeContext<'_>,
    class: Class,
    confidence: f32,
    bbox: BBox,
) -> Result<Detection, String> {
    let BBox { x1, y1, x2, y2 } = bbox;
    if [x1, y1, x2, y2].iter().any(|v| v.is_nan()) {
        return Err(format!(
            "the box of a detection with confidence {confidence} is not a number"
        ));
    }
    let side = |a: f32, b: f32, size: usize| {
        let size = size as f32;
        let (a, b) = (a.clamp(-size, 2.0 * size), b.clamp(-size, 2.0 * size));
        let (low, high) = (a.min(b), a.max(b));
        if high - low >= 1.0 {
            (low, high)
        } else {
            let centre = (low + high) * 0.5;
            (centre - 0.5, centre + 0.5)
        }
    };
    let (x1, x2) = side(x1, x2, ctx.input_width);
    let (y1, y2) = side(y1, y2, ctx.input_height);
    Ok(Detection {
        bbox: BBox::new(x1, y1, x2, y2),
        class,
        confidence: confidence.clamp(0.0, 1.0),
        certainty: Certainty::Confident,
    })
}

impl DecodeContext<'_> {
    /// The class of a head with one score column and its threshold; None when the column is to be ignored.
    pub(super) fn single(&self) -> Option<(Class, f32)> {
        let class = self.classes.first().copied().flatten()?;
        Some((class, self.thresholds[class as usize]))
    }

    /// Columns and rows of the grid of stride `stride`.
    pub(super) fn grid(&self, stride: usize) -> (usize, usize) {
        (
            self.input_width.div_ceil(stride),
            self.input_height.div_ceil(stride),
        )
    }
}
