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

/// R, G, B behind labels.
const BACKGROUND: [u8; 3] = [0; 3];

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

/// The first place for a label of `width` by `height` in, above, below or beside `area` that lies in the frame and meets
/// none of the labels `written`.
fn place(
    area: PixelBox,
    (width, height): (usize, usize),
    frame: (usize, usize),
    written: &[PixelBox],
) -> Option<PixelBox> {
    let PixelBox { x1, y1, x2, y2 } = area;
    let starts = [
        Some((x1, y1)),
        y1.checked_sub(height).map(|top| (x1, top)),
        Some((x1, y2)),
        Some((x2, y1)),
        x1.checked_sub(width).map(|left| (left, y1)),
    ];
    let boxes = starts.into_iter().flatten().map(|(x1, y1)| PixelBox {
        x1,
        y1,
        x2: x1 + width,
        y2: y1 + height,
    });
    let meets =
        |a: &PixelBox, b: &PixelBox| a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;
    boxes
        .filter(|it| it.x2 <= frame.0 && it.y2 <= frame.1)
        .find(|it| !written.iter().any(|other| meets(it, other)))
}

/// Writes `text`, in pixels of `size`, in the top left corner of `area`, or beside it where one of the labels `written` is;
/// not at all where there is no room. Characters without a glyph are left out.
pub(super) fn label(
    frame: &mut FrameMut<'_>,
    area: PixelBox,
    size: usize,
    class: Class,
    text: &str,
    written: &mut Vec<PixelBox>,
) {
    let glyphs: Vec<_> = text.chars().filter_map(glyph).collect();
    let needed = ((3 + 4 * glyphs.len()) * size, 9 * size);
    let space = (frame.width(), frame.height());
    let Some(area) = place(area, needed, space, written).filter(|_| !glyphs.is_empty()) else {
        return;
    };
    written.push(area);
    // The outline that it stands at stays.
    let (x1, y1) = (area.x1 + size, area.y1 + size);
    rectangle(frame, PixelBox { x1, y1, ..area }, BACKGROUND);
    let top = area.y1 + 2 * size;
    for (index, glyph) in glyphs.into_iter().enumerate() {
        let left = area.x1 + (2 + 4 * index) * size;
        for (row, bits) in glyph.into_iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let (x1, y1) = (left + column * size, top + row * size);
                let (x2, y2) = (x1 + size, y1 + size);
                rectangle(frame, PixelBox { x1, y1, x2, y2 }, colour(class));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_lie_on_each_other() {
        let area = PixelBox {
            x1: 20,
            y1: 20,
            x2: 60,
            y2: 60,
        };
        let (size, frame) = ((22, 18), (100, 80));
        let mut written = Vec::new();
        for wanted in [(20, 20), (20, 2), (20, 60), (60, 20)] {
            let found = place(area, size, frame, &written).unwrap();
            assert_eq!((found.x1, found.y1), wanted);
            written.push(found);
        }
        // To the left it would begin outside the frame.
        assert_eq!(place(area, size, frame, &written), None);
    }
}
