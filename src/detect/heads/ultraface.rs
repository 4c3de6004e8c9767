//! UltraFace (Linzaer, Ultra-Light-Fast-Generic-Face-Detector-1MB, MIT): `scores` 1×N×2 (background, face; softmax)
//! and `boxes` 1×N×4 (x1, y1, x2, y2 in shares of the input's width and height, already decoded).

use super::boxes::{self, Layout};
use super::values::{Table, detection, finite, probability};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

/// Background and face.
const COLUMNS: usize = 2;

pub(super) fn locate(outputs: &[OutputShape<'_>]) -> Result<Layout, String> {
    boxes::locate(outputs, Some(COLUMNS))
}

pub(super) fn decode(
    outputs: &[Tensor<'_>],
    layout: Layout,
    ctx: &DecodeContext<'_>,
    items: &mut [Vec<Detection>],
) -> Result<(), String> {
    let boxes = Table::new(&outputs[layout.boxes], 4, ctx.batch)?;
    let scores = Table::new(&outputs[layout.scores], COLUMNS, ctx.batch)?;
    scores.expect_rows(boxes.rows, "the output of boxes")?;
    let (width, height) = (ctx.input_width as f32, ctx.input_height as f32);
    let Some((class, threshold)) = ctx.single() else {
        return Ok(());
    };
    for (item, found) in items.iter_mut().enumerate() {
        let (corners, scored) = (boxes.item(item), scores.item(item));
        finite(boxes.name, corners)?;
        finite(scores.name, scored)?;
        for (row, pair) in scored.chunks_exact(COLUMNS).enumerate() {
            let score = pair[1];
            probability(scores.name, score)?;
            if score >= threshold {
                let [x1, y1, x2, y2] = boxes.four(corners, row);
                let bbox = BBox::new(x1 * width, y1 * height, x2 * width, y2 * height);
                found.push(detection(ctx, class, score, bbox)?);
            }
        }
    }
    Ok(())
}
