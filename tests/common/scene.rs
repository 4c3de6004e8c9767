//! Moving markers on a noisy background. A frame is rendered here, not by a tool, so that the truth about
//! every frame is exact: the boxes of [`Scene::truth`] are the marker's pixels and nothing else is.

use floutage::detect::Class;
use floutage::frame::Matrix;
use floutage::geometry::BBox;

/// One picture in I420: the Y plane, then U and V, rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, [y, u, v]: [u8; 3]) -> Self {
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let mut data = vec![y; width * height];
        data.resize(width * height + chroma, u);
        data.resize(width * height + 2 * chroma, v);
        Self {
            width,
            height,
            data,
        }
    }

    /// Bytes of a picture of this size.
    pub fn bytes(width: usize, height: usize) -> usize {
        width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
    }

    /// Offset, width and height of plane 0 (Y), 1 (U) or 2 (V).
    pub fn plane_at(&self, plane: usize) -> (usize, usize, usize) {
        let (w, h) = (self.width.div_ceil(2), self.height.div_ceil(2));
        match plane {
            0 => (0, self.width, self.height),
            1 => (self.width * self.height, w, h),
            _ => (self.width * self.height + w * h, w, h),
        }
    }

    /// The samples of plane 0 (Y), 1 (U) or 2 (V).
    pub fn plane(&self, plane: usize) -> &[u8] {
        let (offset, width, height) = self.plane_at(plane);
        &self.data[offset..][..width * height]
    }

    /// Y, U and V of pixel (x, y).
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let chroma = y / 2 * self.width.div_ceil(2) + x / 2;
        [
            self.plane(0)[y * self.width + x],
            self.plane(1)[chroma],
            self.plane(2)[chroma],
        ]
    }

    /// The picture turned clockwise by 0, 90, 180 or 270 degrees.
    pub fn rotated(&self, degrees: u16) -> Self {
        let swap = degrees % 180 == 90;
        let (width, height) = if swap {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        };
        let mut out = Self::filled(width, height, [0; 3]);
        for plane in 0..3 {
            let (_, from_w, from_h) = self.plane_at(plane);
            let (offset, to_w, to_h) = out.plane_at(plane);
            let from = self.plane(plane).to_vec();
            for y in 0..to_h {
                for x in 0..to_w {
                    let (fx, fy) = match degrees {
                        90 => (y, from_h - 1 - x),
                        180 => (from_w - 1 - x, from_h - 1 - y),
                        270 => (from_w - 1 - y, x),
                        _ => (x, y),
                    };
                    out.data[offset + y * to_w + x] = from[fy * from_w + fx];
                }
            }
        }
        out
    }
}

/// Full-range R, G, B to limited-range Y, U, V.
pub fn yuv(matrix: Matrix, [r, g, b]: [u8; 3]) -> [u8; 3] {
    let (kr, kb) = match matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
        Matrix::Bt2020 => (0.2627, 0.0593),
    };
    let [r, g, b] = [r, g, b].map(|c| f64::from(c) / 255.0);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let u = (b - y) / (2.0 * (1.0 - kb));
    let v = (r - y) / (2.0 * (1.0 - kr));
    [16.0 + 219.0 * y, 128.0 + 224.0 * u, 128.0 + 224.0 * v].map(|c| c.round() as u8)
}

/// The colour that the test detector (`fixtures/marker-detector`) takes for `class`, as R, G, B.
pub fn marker_colour(class: Class) -> [u8; 3] {
    match class {
        Class::Face => [255, 0, 255],
        Class::Plate => [0, 255, 255],
    }
}

/// A coloured rectangle that moves in a straight line, turning back at the scene's edges. Its place is always
/// a multiple of [`Marker::grid`], so that no chroma sample is shared with the background.
#[derive(Clone, Debug)]
pub struct Marker {
    pub class: Class,
    /// Width and height in pixels, even.
    pub size: (usize, usize),
    /// Top left corner in frame 0, pixels.
    pub start: (f64, f64),
    /// Pixels per frame.
    pub velocity: (f64, f64),
    /// Places are multiples of this many pixels, even. The test detector answers in cells of 8 pixels of its
    /// input: with a grid of whole cells it finds exactly the truth.
    pub grid: usize,
    /// First and one past the last frame in which the marker is there.
    pub visible: std::ops::Range<usize>,
}

impl Marker {
    /// A marker that is always there.
    pub fn new(
        class: Class,
        size: (usize, usize),
        start: (f64, f64),
        velocity: (f64, f64),
    ) -> Self {
        assert!(
            size.0.is_multiple_of(2) && size.1.is_multiple_of(2),
            "{size:?} must be even"
        );
        Self {
            class,
            size,
            start,
            velocity,
            grid: 2,
            visible: 0..usize::MAX,
        }
    }

    /// The top left pixel at `time` (in frames) in a scene of `width` × `height` pixels.
    fn place(&self, time: f64, width: usize, height: usize) -> (usize, usize) {
        let along = |start: f64, velocity: f64, size: usize, extent: usize| {
            let room = (extent.saturating_sub(size) / self.grid * self.grid) as f64;
            if room <= 0.0 {
                return 0;
            }
            // To and fro: a triangle wave of period 2 × room.
            let position = (start + velocity * time).rem_euclid(2.0 * room);
            let position = room - (room - position).abs();
            (position / self.grid as f64).round() as usize * self.grid
        };
        (
            along(self.start.0, self.velocity.0, self.size.0, width),
            along(self.start.1, self.velocity.1, self.size.1, height),
        )
    }
}

/// What a clip shows.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Size as displayed, pixels.
    pub width: usize,
    pub height: usize,
    pub frames: usize,
    pub markers: Vec<Marker>,
    /// Coefficients with which the markers' colours become Y'CbCr.
    pub matrix: Matrix,
    /// Each frame holds two fields, half a frame's time apart, the top one first.
    pub interlaced: bool,
}

impl Scene {
    /// One face marker and one plate marker on their ways through `frames` frames.
    pub fn new(width: usize, height: usize, frames: usize) -> Self {
        let size = |share: usize, least: usize| (height / share / 2 * 2).max(least);
        let (w, h) = (width as f64, height as f64);
        let face = size(5, 4);
        let plate = size(8, 4);
        let markers = vec![
            Marker::new(
                Class::Face,
                (face, face),
                (0.1 * w, 0.1 * h),
                (w / 80.0, h / 150.0),
            ),
            Marker::new(
                Class::Plate,
                (plate * 2, plate),
                (0.6 * w, 0.7 * h),
                (-w / 110.0, h / 300.0),
            ),
        ];
        Self {
            width,
            height,
            frames,
            markers,
            matrix: Matrix::Bt709,
            interlaced: false,
        }
    }

    /// A scene without markers.
    pub fn empty(width: usize, height: usize, frames: usize) -> Self {
        Self {
            markers: Vec::new(),
            ..Self::new(width, height, frames)
        }
    }

    /// The same scene with markers whose edges are multiples of `grid` pixels (even), both in size and place.
    pub fn on_grid(mut self, grid: usize) -> Self {
        for marker in &mut self.markers {
            let (w, h) = marker.size;
            marker.size = (w.next_multiple_of(grid), h.next_multiple_of(grid));
            marker.grid = grid;
        }
        self
    }

    /// Exactly the pixels each marker covers in frame `index`, in display coordinates; for an interlaced scene
    /// the box around both fields.
    pub fn truth(&self, index: usize) -> Vec<(Class, BBox)> {
        let at = |marker: &Marker, time: f64| {
            let (x, y) = marker.place(time, self.width, self.height);
            let (right, bottom) = (
                (x + marker.size.0).min(self.width),
                (y + marker.size.1).min(self.height),
            );
            BBox::new(x as f32, y as f32, right as f32, bottom as f32)
        };
        self.markers
            .iter()
            .filter(|marker| marker.visible.contains(&index))
            .map(|marker| {
                let first = at(marker, index as f64);
                let second = if self.interlaced {
                    at(marker, index as f64 + 0.5)
                } else {
                    first
                };
                let both = BBox::new(
                    first.x1.min(second.x1),
                    first.y1.min(second.y1),
                    first.x2.max(second.x2),
                    first.y2.max(second.y2),
                );
                (marker.class, both)
            })
            .collect()
    }

    /// Frame `index` as displayed.
    pub fn render(&self, index: usize) -> Picture {
        let mut picture = self.at_time(index, index as f64);
        if self.interlaced {
            let second = self.at_time(index, index as f64 + 0.5);
            for plane in 0..3 {
                let (offset, width, height) = picture.plane_at(plane);
                for row in (1..height).step_by(2) {
                    let at = offset + row * width;
                    picture.data[at..at + width].copy_from_slice(&second.data[at..at + width]);
                }
            }
        }
        picture
    }

    fn at_time(&self, index: usize, time: f64) -> Picture {
        let mut picture = Picture::filled(self.width, self.height, [0; 3]);
        for plane in 0..3 {
            let (offset, width, height) = picture.plane_at(plane);
            for y in 0..height {
                for x in 0..width {
                    picture.data[offset + y * width + x] = background(plane, x, y);
                }
            }
        }
        for marker in &self.markers {
            if !marker.visible.contains(&index) {
                continue;
            }
            let (left, top) = marker.place(time, self.width, self.height);
            let [luma, u, v] = yuv(self.matrix, marker_colour(marker.class));
            let bottom = (top + marker.size.1).min(self.height);
            let right = (left + marker.size.0).min(self.width);
            for y in top..bottom {
                for x in left..right {
                    picture.data[y * self.width + x] = luma.saturating_add_signed(stripe(x - left));
                }
            }
            for (plane, value) in [(1, u), (2, v)] {
                let (offset, width, _) = picture.plane_at(plane);
                for y in top / 2..bottom.div_ceil(2) {
                    picture.data
                        [offset + y * width + left / 2..offset + y * width + right.div_ceil(2)]
                        .fill(value);
                }
            }
        }
        picture
    }
}

/// What a marker has to hide: stripes of luma, four pixels wide. Redaction has to remove them.
fn stripe(x: usize) -> i8 {
    if (x / 4).is_multiple_of(2) { 12 } else { -12 }
}

/// Smooth noise like that of a grey wall, the same in every frame, in colours that no marker has.
fn background(plane: usize, x: usize, y: usize) -> u8 {
    const CELL: usize = 16;
    let (cx, cy) = (x / CELL, y / CELL);
    let (fx, fy) = ((x % CELL) as u32, (y % CELL) as u32);
    let corner = |dx: usize, dy: usize| u32::from(hash(plane, cx + dx, cy + dy));
    let cell = CELL as u32;
    let top = corner(0, 0) * (cell - fx) + corner(1, 0) * fx;
    let bottom = corner(0, 1) * (cell - fx) + corner(1, 1) * fx;
    let smooth = (top * (cell - fy) + bottom * fy) / (cell * cell);
    let grain = u32::from(hash(plane + 3, x, y)) / 32;
    match plane {
        0 => (60 + smooth / 2 + grain) as u8,
        _ => (122 + smooth / 22) as u8,
    }
}

/// A number that looks random, from the place alone.
fn hash(plane: usize, x: usize, y: usize) -> u8 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1)
        ^ (y as u32).wrapping_mul(0x85eb_ca77)
        ^ (plane as u32).wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    (h >> 24) as u8
}
