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

/// Rows of 3 pixels, the left one highest, for each character that labels have: digits, and the first letters of the
/// states of tracks.
fn glyph(character: char) -> Option<[u8; 5]> {
    Some(match character {
        '0' => [7, 5, 5, 5, 7],
        '1' => [2, 6, 2, 2, 7],
        '2' => [7, 1, 7, 4, 7],
        '3' => [7, 1, 3, 1, 7],
        '4' => [5, 5, 7, 1, 1],
        '5' => [7, 4, 7, 1, 7],
        '6' => [7, 4, 7, 5, 7],
        '7' => [7, 1, 2, 2, 2],
        '8' => [7, 5, 7, 5, 7],
        '9' => [7, 5, 7, 1, 7],
        'a' => [0, 3, 5, 5, 3],
        'd' => [1, 1, 3, 5, 3],
        'h' => [4, 4, 6, 5, 5],
        'i' => [2, 0, 2, 2, 2],
        'u' => [0, 5, 5, 5, 7],
        _ => return None,
    })
}

/// Writes `text` into the top left corner of `area`, in pixels of `size`, as far as there is room in the frame. Characters
/// without a glyph are left out.
pub(super) fn label(
    frame: &mut FrameMut<'_>,
    area: PixelBox,
    size: usize,
    class: Class,
    text: &str,
) {
    let (width, height) = (frame.width(), frame.height());
    let top = area.y1 + 2 * size;
    let glyphs = text.chars().filter_map(glyph);
    for (index, glyph) in glyphs.enumerate() {
        let left = area.x1 + (2 + 4 * index) * size;
        for (row, bits) in glyph.into_iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let (x1, y1) = (left + column * size, top + row * size);
                let (x2, y2) = ((x1 + size).min(width), (y1 + size).min(height));
                if x1 < x2 && y1 < y2 {
                    rectangle(frame, PixelBox { x1, y1, x2, y2 }, colour(class));
                }
            }
        }
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
