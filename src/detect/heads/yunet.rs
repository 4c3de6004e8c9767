//! YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023), as in the 2023 files of the OpenCV
//! zoo: for each stride s of 8, 16, 32 the outputs `cls_s` and `obj_s` (1×N×1, 0–1), `bbox_s` (1×N×4) and
//! `kps_s` (landmarks, not read), rows in raster order over the grid of stride s.
//!
//! Confidence is sqrt(cls · obj), both brought to 0–1; the box is centred at (column + dx, row + dy) · s and
//! measures exp(dw) · s by exp(dh) · s.

use super::values::{Table, detection, expect_columns, finite, list, named, scan};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

const STRIDES: [usize; 3] = [8, 16, 32];

/// Where `cls`, `obj` and `bbox` of each stride are.
pub(super) type Layout = [[usize; 3]; STRIDES.len()];

pub(super) fn locate(outputs: &[OutputShape<'_>]) -> Result<Layout, String> {
    let mut layout = Layout::default();
    for (stride, places) in STRIDES.iter().zip(&mut layout) {
        for ((kind, columns), place) in [("cls", 1), ("obj", 1), ("bbox", 4)].iter().zip(places) {
            let name = format!("{kind}_{stride}");
            *place = named(outputs, &name)
                .ok_or_else(|| format!("has no output {name}; there are {}", list(outputs)))?;
            expect_columns(&outputs[*place], *columns)?;
        }
    }
    Ok(layout)
}

pub(super) fn decode(
    outputs: &[Tensor<'_>],
    layout: Layout,
    ctx: &DecodeContext<'_>,
    items: &mut [Vec<Detection>],
) -> Result<(), String> {
    let Some((class, threshold)) = ctx.single() else {
        return Ok(());
    };
    for (stride, [cls, obj, bbox]) in STRIDES.into_iter().zip(layout) {
        let (columns, rows) = ctx.grid(stride);
        let table = |index: usize, wide: usize| {
            let table = Table::new(&outputs[index], wide, ctx.batch)?;
            table
                .expect_rows(columns * rows, "the size of the input")
                .map(|()| table)
        };
        let (cls, obj, boxes) = (table(cls, 1)?, table(obj, 1)?, table(bbox, 4)?);
        let size = stride as f32;
        for (item, found) in items.iter_mut().enumerate() {
            let (classes, objects, raw) = (cls.item(item), obj.item(item), boxes.item(item));
            finite(boxes.name, raw)?;
            // As both are at most 1, a cell reaches the threshold only where the square of it is reached by each.
            let least = if threshold > 0.0 {
                threshold * threshold
            } else {
                f32::NEG_INFINITY
            };
            scan(obj.name, objects, f32::INFINITY, |_, _| Ok(()))?;
            scan(cls.name, classes, least - 1e-6, |cell, class_score| {
                let object_score = objects[cell].clamp(0.0, 1.0);
                let confidence = (class_score.clamp(0.0, 1.0) * object_score).sqrt();
                if confidence < threshold {
                    return Ok(());
                }
                let [dx, dy, dw, dh] = boxes.four(raw, cell);
                let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
                let bbox = BBox::from_centre(
                    (x + dx) * size,
                    (y + dy) * size,
                    dw.exp() * size,
                    dh.exp() * size,
                );
                found.push(detection(ctx, class, confidence, bbox)?);
                Ok(())
            })?;
        }
    }
    Ok(())
}
