//! Outlines for tuning, drawn over a frame without reading it.

use crate::detect::Class;
use crate::frame::FrameMut;
use crate::geometry::PixelBox;
use crate::redact::layout::{self, sample_of};

/// R, G, B of the outlines of a class.
fn colour(class: Class) -> [u8; 3] {
    match class {
        Class::Face => [0, 255, 0],
        Class::Plate => [255, 200, 0],
    }
}

/// Draws the edges of `area`, `thickness` pixels wide on its inner side.
pub(super) fn outline(frame: &mut FrameMut<'_>, area: PixelBox, thickness: usize, class: Class) {
    let PixelBox { x1, y1, x2, y2 } = area;
    let (right, bottom) = ((x1 + thickness).min(x2), (y1 + thickness).min(y2));
    let (left, top) = (
        x2.saturating_sub(thickness).max(x1),
        y2.saturating_sub(thickness).max(y1),
    );
    let edges = [
        (x1, y1, x2, bottom),
        (x1, top, x2, y2),
        (x1, y1, right, y2),
        (left, y1, x2, y2),
    ];
    for (x1, y1, x2, y2) in edges {
        rectangle(frame, PixelBox { x1, y1, x2, y2 }, colour(class));
    }
}

/// Fills `area`, which is inside the frame.
fn rectangle(frame: &mut FrameMut<'_>, area: PixelBox, rgb: [u8; 3]) {
    let format = frame.format();
    let sample = sample_of(rgb, format, frame.colour());
    let strides = [0, 1, 2].map(|index| frame.stride(index));
    let planes = frame.planes_mut().into_iter().zip(strides);
    for ((plane, stride), layout) in planes.zip(layout::planes(format)) {
        let area = layout.cover(area);
        let channels = layout.channels;
        let value = &sample[layout.first..layout.first + channels];
        for y in area.y1..area.y2 {
            let row = &mut plane[y * stride + area.x1 * channels..][..area.width() * channels];
            for to in row.chunks_exact_mut(channels) {
                to.copy_from_slice(value);
            }
        }
    }
}
