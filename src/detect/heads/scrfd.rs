//! SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", 2021) as InsightFace exports it:
//! for each stride from 8 up (3 or 5 of them) a table of scores (1 column, 0–1), of box distances (4 columns)
//! and, in some files, of landmarks (10 columns, not read). Rows run over the grid in raster order, the
//! anchors of a cell one after the other; anchors sit at (column, row) · stride.
//!
//! Exports have numbers for names, so tables are told apart by their columns and strides by their rows. The
//! box reaches from the anchor by distance · stride to the left, top, right and bottom.

use super::values::{Table, detection, finite, list, scan, table};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

const FIRST_STRIDE: usize = 8;

/// Where the scores and the boxes are, from the finest stride to the coarsest.
pub(super) struct Layout {
    scores: Vec<usize>,
    boxes: Vec<usize>,
}

/// Columns of an output; by its name where the file leaves them open.
fn columns(output: &OutputShape<'_>) -> Option<usize> {
    let (_, columns) = table(output)?;
    columns.or_else(|| {
        [("score", 1), ("bbox", 4), ("kps", 10)]
            .into_iter()
            .find(|(kind, _)| output.name.starts_with(kind))
            .map(|(_, columns)| columns)
    })
}

pub(super) fn locate(outputs: &[OutputShape<'_>]) -> Result<Layout, String> {
    let rows = |&index: &usize| table(&outputs[index]).and_then(|(rows, _)| rows);
    let of = |wanted: usize| {
        let mut all: Vec<usize> = (0..outputs.len())
            .filter(|&index| columns(&outputs[index]) == Some(wanted))
            .collect();
        // Stable, so that the file's order decides where rows are open or equal.
        all.sort_by_key(|index| std::cmp::Reverse(rows(index)));
        all
    };
    let (scores, boxes, landmarks) = (of(1), of(4), of(10));
    let levels = scores.len();
    if !matches!(levels, 3 | 5)
        || boxes.len() != levels
        || !(landmarks.is_empty() || landmarks.len() == levels)
        || outputs.len() != levels * 2 + landmarks.len()
    {
        return Err(format!(
            "needs 3 or 5 outputs of 1 column, as many of 4 and as many or none of 10; there are {}",
            list(outputs)
        ));
    }
    for (score, bbox) in scores.iter().zip(&boxes) {
        if let (Some(a), Some(b)) = (rows(score), rows(bbox))
            && a != b
        {
            return Err(format!(
                "output {} has {a} rows and output {} has {b}, which must be the same",
                outputs[*score].name, outputs[*bbox].name
            ));
        }
    }
    Ok(Layout { scores, boxes })
}

pub(super) fn decode(
    outputs: &[Tensor<'_>],
    layout: &Layout,
    ctx: &DecodeContext<'_>,
    items: &mut [Vec<Detection>],
) -> Result<(), String> {
    let Some((class, threshold)) = ctx.single() else {
        return Ok(());
    };
    let mut anchors = 0;
    for (level, (&score, &bbox)) in layout.scores.iter().zip(&layout.boxes).enumerate() {
        let stride = FIRST_STRIDE << level;
        let (columns, rows) = ctx.grid(stride);
        let scores = Table::new(&outputs[score], 1, ctx.batch)?;
        let boxes = Table::new(&outputs[bbox], 4, ctx.batch)?;
        if level == 0 {
            anchors = (scores.rows / (columns * rows)).max(1);
        }
        scores.expect_rows(columns * rows * anchors, "the size of the input")?;
        boxes.expect_rows(scores.rows, "the output of scores")?;
        let size = stride as f32;
        for (item, found) in items.iter_mut().enumerate() {
            let raw = boxes.item(item);
            finite(boxes.name, raw)?;
            scan(scores.name, scores.item(item), threshold, |row, score| {
                let cell = row / anchors;
                let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
                let [left, top, right, bottom] = boxes.four(raw, row);
                let bbox = BBox::new(
                    (x - left) * size,
                    (y - top) * size,
                    (x + right) * size,
                    (y + bottom) * size,
                );
                found.push(detection(ctx, class, score, bbox)?);
                Ok(())
            })?;
        }
    }
    Ok(())
}
