//! The head of models whose graph decodes boxes itself: `boxes` 1×N×4 (x1, y1, x2, y2 in input pixels) and
//! `scores` 1×N×C (one column per class, each 0–1 on its own). The project's own models are of this kind.
//!
//! Without these names the output of 4 columns is the boxes.

use super::values::{
    Table, detection, expect_columns, finite, list, named, probability, scan, table,
};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

/// Where the outputs are.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub boxes: usize,
    pub scores: usize,
}

pub(super) fn locate(
    outputs: &[OutputShape<'_>],
    columns: Option<usize>,
) -> Result<Layout, String> {
    let layout = match (named(outputs, "boxes"), named(outputs, "scores")) {
        (Some(boxes), Some(scores)) => Layout { boxes, scores },
        _ => by_shape(outputs)?,
    };
    expect_columns(&outputs[layout.boxes], 4)?;
    match (table(&outputs[layout.scores]), columns) {
        (Some(_), None) => Ok(layout),
        (Some(_), Some(columns)) => {
            expect_columns(&outputs[layout.scores], columns).map(|()| layout)
        }
        (None, _) => Err(format!(
            "scores are no table: {}",
            list(&outputs[layout.scores..=layout.scores])
        )),
    }
}

fn by_shape(outputs: &[OutputShape<'_>]) -> Result<Layout, String> {
    let four = |i: usize| table(&outputs[i]).is_some_and(|(_, columns)| columns == Some(4));
    match outputs.len() {
        2 if four(0) && !four(1) => Ok(Layout {
            boxes: 0,
            scores: 1,
        }),
        2 if four(1) && !four(0) => Ok(Layout {
            boxes: 1,
            scores: 0,
        }),
        _ => Err(format!(
            "needs outputs boxes (1 x N x 4) and scores (1 x N x classes); there are {}",
            list(outputs)
        )),
    }
}

pub(super) fn decode(
    outputs: &[Tensor<'_>],
    layout: Layout,
    ctx: &DecodeContext<'_>,
    items: &mut [Vec<Detection>],
) -> Result<(), String> {
    let columns = ctx.classes.len();
    let boxes = Table::new(&outputs[layout.boxes], 4, ctx.batch)?;
    let scores = Table::new(&outputs[layout.scores], columns, ctx.batch)?;
    scores.expect_rows(boxes.rows, "the output of boxes")?;
    let thresholds: Vec<f32> = ctx
        .classes
        .iter()
        .map(|class| class.map_or(f32::INFINITY, |class| ctx.thresholds[class as usize]))
        .collect();
    let lowest = thresholds.iter().copied().fold(f32::INFINITY, f32::min);
    let all_used = ctx.classes.iter().all(Option::is_some);
    for (item, found) in items.iter_mut().enumerate() {
        let (corners, scored) = (boxes.item(item), scores.item(item));
        finite(boxes.name, corners)?;
        let mut keep = |index: usize, score: f32| {
            let (row, column) = (index / columns, index % columns);
            if let Some(class) = ctx.classes[column].filter(|_| score >= thresholds[column]) {
                let [x1, y1, x2, y2] = boxes.four(corners, row);
                found.push(detection(ctx, class, score, BBox::new(x1, y1, x2, y2))?);
            }
            Ok(())
        };
        if all_used {
            scan(scores.name, scored, lowest, keep)?;
        } else {
            // Ignored columns may hold anything.
            for (index, &score) in scored.iter().enumerate() {
                if ctx.classes[index % columns].is_some() {
                    probability(scores.name, score)?;
                    keep(index, score)?;
                }
            }
        }
    }
    Ok(())
}
