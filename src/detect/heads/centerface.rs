//! CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019): maps at stride 4 of 1
//! channel (heatmap, 0–1), 2 channels (scale: log of height and width in cells), 2 channels (offset: down and
//! right, in cells) and 10 channels (landmarks, not read).
//!
//! The box measures exp(scale) · 4 and is centred at (cell + offset + 0.5) · 4. The published file calls its
//! outputs 537 to 540; scale and offset, alike in shape, are told apart by name, else by number, else by order.

use super::values::{detection, finite, fits, list, scan};
use super::{DecodeContext, OutputShape, Tensor};
use crate::detect::Detection;
use crate::geometry::BBox;

const STRIDE: usize = 4;

/// Where the maps are.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    heatmap: usize,
    scale: usize,
    offset: usize,
}

pub(super) fn locate(outputs: &[OutputShape<'_>]) -> Result<Layout, String> {
    let channels = |index: usize| match *outputs[index].shape {
        [_, channels, _, _] => channels,
        _ => None,
    };
    let of = |wanted: usize| -> Vec<usize> {
        (0..outputs.len())
            .filter(|&index| channels(index) == Some(wanted))
            .collect()
    };
    let (&[heatmap], &[first, second]) = (&*of(1), &*of(2)) else {
        return Err(format!(
            "needs one output of 1 channel and two of 2 channels (1 x channels x height/4 x width/4); there are {}",
            list(outputs)
        ));
    };
    for index in [first, second] {
        let (a, b) = (&outputs[heatmap].shape, &outputs[index].shape);
        let same = |i: usize| b[i].is_none_or(|size| fits(a[i], size));
        if !(same(2) && same(3)) {
            return Err(format!("the maps differ in size: {}", list(outputs)));
        }
    }
    let says = |index: usize, words: [&str; 2]| {
        let name = outputs[index].name.to_ascii_lowercase();
        words.iter().any(|word| name.contains(word))
    };
    let number = |index: usize| outputs[index].name.parse::<u64>().ok();
    let swapped = if says(first, ["offset", "reg"]) || says(second, ["scale", "wh"]) {
        true
    } else if says(first, ["scale", "wh"]) || says(second, ["offset", "reg"]) {
        false
    } else {
        matches!((number(first), number(second)), (Some(a), Some(b)) if a > b)
    };
    let (scale, offset) = if swapped {
        (second, first)
    } else {
        (first, second)
    };
    Ok(Layout {
        heatmap,
        scale,
        offset,
    })
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
    let (columns, rows) = ctx.grid(STRIDE);
    let cells = columns * rows;
    for (index, channels) in [(layout.heatmap, 1), (layout.scale, 2), (layout.offset, 2)] {
        let tensor = &outputs[index];
        if tensor.shape != [ctx.batch, channels, rows, columns] {
            return Err(format!(
                "output {} has shape {:?}, not [{}, {channels}, {rows}, {columns}] as the size of the input gives",
                tensor.name, tensor.shape, ctx.batch
            ));
        }
    }
    let size = STRIDE as f32;
    for (item, found) in items.iter_mut().enumerate() {
        let map = |index: usize, channels: usize| {
            &outputs[index].data[item * channels * cells..][..channels * cells]
        };
        let (scale, offset) = (map(layout.scale, 2), map(layout.offset, 2));
        finite(outputs[layout.scale].name, scale)?;
        finite(outputs[layout.offset].name, offset)?;
        let heatmap = outputs[layout.heatmap].name;
        scan(heatmap, map(layout.heatmap, 1), threshold, |cell, score| {
            let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
            let bbox = BBox::from_centre(
                (x + offset[cells + cell] + 0.5) * size,
                (y + offset[cell] + 0.5) * size,
                scale[cells + cell].exp() * size,
                scale[cell].exp() * size,
            );
            found.push(detection(ctx, class, score, bbox)?);
            Ok(())
        })?;
    }
    Ok(())
}
