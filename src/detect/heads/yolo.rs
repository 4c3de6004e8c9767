//! YOLOv8 and later models with the same output (Ultralytics): one output 1×(4+C)×N or, transposed, 1×N×(4+C), of
//! centre x, centre y, width and height in input pixels and C scores (0–1, one per class). N is the number of
//! cells of all strides together.
//!
//! Not YOLOv5 (which has objectness and anchors) and not exports with NMS inside: both have other row counts.

use super::values::{detection, finite, list, named, probability, scan, show};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

/// Box values before the scores.
const BOX: usize = 4;

/// Where the output is.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    output: usize,
    /// 1×(4+C)×N.
    channels_first: bool,
}

pub(super) fn locate(
    outputs: &[OutputShape<'_>],
    columns: Option<usize>,
) -> Result<Layout, String> {
    let mut tables = (0..outputs.len()).filter(|&index| outputs[index].shape.len() == 3);
    let output = match (tables.next(), tables.next(), named(outputs, "output0")) {
        (Some(index), None, _) | (_, _, Some(index)) => index,
        _ => {
            return Err(format!(
                "needs one output of 1 x (4 + classes) x N; there are {}",
                list(outputs)
            ));
        }
    };
    let &[_, first, second] = outputs[output].shape else {
        return Err(format!(
            "needs an output of three dimensions; there are {}",
            list(outputs)
        ));
    };
    let refuse = |why: String| {
        Err(format!(
            "output {} is {}: {why}",
            outputs[output].name,
            show(outputs[output].shape)
        ))
    };
    if (first, second) == (Some(300), Some(6)) {
        return refuse(
            "300 rows of 6 are the result of an export with NMS inside; export without NMS".into(),
        );
    }
    let channels_first = match columns {
        Some(columns) => {
            let wanted = Some(BOX + columns);
            // An open dimension fits, but a dimension that says so fits better.
            if first == wanted {
                true
            } else if second == wanted {
                false
            } else if first.is_none() {
                true
            } else if second.is_none() {
                false
            } else {
                return refuse(format!(
                    "no dimension is 4 + {columns}; name the class, or none, of each score column"
                ));
            }
        }
        None => match (first, second) {
            (Some(a), Some(b)) => a <= b,
            (a, _) => a.is_some_and(|a| a < 1000),
        },
    };
    let channels = if channels_first { first } else { second };
    if channels.is_some_and(|channels| channels <= BOX) {
        return refuse("rows have no scores after the four values of the box".into());
    }
    Ok(Layout {
        output,
        channels_first,
    })
}

/// Whether `rows` are the cells of some consecutive strides, as YOLOv8 has them (8, 16, 32, or with 4 or 64).
fn is_grid(ctx: &DecodeContext<'_>, rows: usize) -> bool {
    let cells = |level: u32| {
        let (columns, rows) = ctx.grid(1 << level);
        columns * rows
    };
    (2..=5).any(|first| (first..=7).any(|last| (first..=last).map(cells).sum::<usize>() == rows))
}

pub(super) fn decode(
    outputs: &[Tensor<'_>],
    layout: Layout,
    ctx: &DecodeContext<'_>,
    items: &mut [Vec<Detection>],
) -> Result<(), String> {
    let tensor = &outputs[layout.output];
    let channels = BOX + ctx.classes.len();
    let rows = match (tensor.shape, layout.channels_first) {
        (&[batch, c, rows], true) | (&[batch, rows, c], false)
            if batch == ctx.batch && c == channels =>
        {
            rows
        }
        _ => {
            return Err(format!(
                "output {} has shape {:?}, which does not fit {} inputs and {channels} values a row",
                tensor.name, tensor.shape, ctx.batch
            ));
        }
    };
    if !is_grid(ctx, rows) {
        return Err(format!(
            "output {} has {rows} rows, which no strides give for an input of {}x{}; only exports in the manner of YOLOv8, without NMS, can be read",
            tensor.name, ctx.input_width, ctx.input_height
        ));
    }
    // Distance from one value of a row to the next, and from one row to the next.
    let (next_value, next_row) = if layout.channels_first {
        (rows, 1)
    } else {
        (1, channels)
    };
    for (item, found) in items.iter_mut().enumerate() {
        let data = &tensor.data[item * channels * rows..][..channels * rows];
        let value = |row: usize, index: usize| data[row * next_row + index * next_value];
        if layout.channels_first {
            finite(tensor.name, &data[..BOX * rows])?;
        } else {
            for row in data.chunks_exact(channels) {
                finite(tensor.name, &row[..BOX])?;
            }
        }
        for (column, class) in ctx.classes.iter().enumerate() {
            let Some(class) = *class else { continue };
            let threshold = ctx.thresholds[class as usize];
            let mut keep = |row: usize, score: f32| {
                let bbox =
                    BBox::from_centre(value(row, 0), value(row, 1), value(row, 2), value(row, 3));
                found.push(detection(ctx, class, score, bbox)?);
                Ok::<(), String>(())
            };
            if layout.channels_first {
                let scores = &data[(BOX + column) * rows..][..rows];
                scan(tensor.name, scores, threshold, keep)?;
            } else {
                for row in 0..rows {
                    let score = value(row, BOX + column);
                    probability(tensor.name, score)?;
                    if score >= threshold {
                        keep(row, score)?;
                    }
                }
            }
        }
    }
    Ok(())
}
