//! Cutting a frame into overlapping tiles, so that small faces in high-resolution frames reach the model at a size it can see.
//!
//! Invariant: tiles lie inside the frame and cover it, whatever the setting.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::geometry::PixelBox;

/// How a frame is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TileLayout {
    /// Not at all.
    #[default]
    None,
    /// The coarsest grid in which the model's input shrinks no tile more than twofold.
    Auto,
    /// So many columns and rows.
    Grid {
        /// Tiles from left to right.
        columns: usize,
        /// Tiles from top to bottom.
        rows: usize,
    },
}

/// The `tiles` setting with its overlap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileSpec {
    /// How the frame is cut.
    pub layout: TileLayout,
    /// Share of a tile's width and height that it has in common with each neighbour, 0 to 0.5.
    pub overlap: f32,
}

impl Default for TileSpec {
    fn default() -> Self {
        Self {
            layout: TileLayout::None,
            overlap: 0.2,
        }
    }
}

impl fmt::Display for TileLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Auto => f.write_str("auto"),
            Self::Grid { columns, rows } => write!(f, "{columns}x{rows}"),
        }
    }
}

/// Most tiles in one direction.
pub const MAX_TILES: usize = 16;

impl FromStr for TileLayout {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => return Ok(Self::None),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let grid = text.split_once('x').and_then(|(columns, rows)| {
            let columns = columns.parse().ok()?;
            let rows = rows.parse().ok()?;
            let allowed = 1..=MAX_TILES;
            (allowed.contains(&columns) && allowed.contains(&rows))
                .then_some(Self::Grid { columns, rows })
        });
        grid.ok_or_else(|| {
            Error::setting(
                "tiles",
                text,
                format!("none, auto or columns x rows such as 3x2, 1 to {MAX_TILES} each"),
            )
        })
    }
}

/// A tile is not made smaller than this in either direction, whatever the grid.
const SMALLEST_TILE: usize = 32;

/// Greatest overlap: with more, tiles that are not neighbours would meet.
const MAX_OVERLAP: f32 = 0.5;

/// The tiles of a frame of `width` × `height` pixels, row by row, all of one size, for a model input of
/// `input_size` pixels on the long side. Together they cover the frame; neighbours have at least `overlap` of
/// their size in common, so a region no larger than that is whole in one of them. One tile, the whole frame, for
/// [`TileLayout::None`]. With more than one tile the whole frame should be analysed too, for larger faces.
///
/// A frame too small for the grid gets fewer tiles. An overlap that is not a number counts as none, others
/// are brought into 0 to 0.5.
pub fn tiles(width: usize, height: usize, input_size: usize, spec: TileSpec) -> Vec<PixelBox> {
    let overlap = if spec.overlap.is_nan() {
        0.0
    } else {
        f64::from(spec.overlap.clamp(0.0, MAX_OVERLAP))
    };
    let (columns, rows) = match spec.layout {
        TileLayout::None => (1, 1),
        TileLayout::Grid { columns, rows } => (columns, rows),
        TileLayout::Auto => {
            let largest = input_size.max(SMALLEST_TILE).saturating_mul(2);
            let count = |side: usize| {
                (1..MAX_TILES)
                    .find(|&count| tile_side(side, count, overlap) <= largest)
                    .unwrap_or(MAX_TILES)
            };
            (count(width), count(height))
        }
    };
    let across = spans(width, columns, overlap);
    let down = spans(height, rows, overlap);
    let mut tiles = Vec::with_capacity(across.len() * down.len());
    for &(y1, y2) in &down {
        for &(x1, x2) in &across {
            tiles.push(PixelBox { x1, y1, x2, y2 });
        }
    }
    tiles
}

/// Length of each of `count` tiles that cover `side` and share `overlap` of their length.
fn tile_side(side: usize, count: usize, overlap: f64) -> usize {
    let shares = count as f64 - (count - 1) as f64 * overlap;
    ((side as f64 / shares).ceil() as usize).min(side)
}

/// `count` intervals of one length that cover 0..`side`.
fn spans(side: usize, count: usize, overlap: f64) -> Vec<(usize, usize)> {
    let count = count.clamp(1, (side / SMALLEST_TILE).max(1));
    let length = tile_side(side, count, overlap);
    (0..count)
        .map(|i| {
            let start = (side - length) * i / (count - 1).max(1);
            (start, start + length)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(layout: TileLayout, overlap: f32) -> TileSpec {
        TileSpec { layout, overlap }
    }

    proptest! {
        #[test]
        fn tiles_cover_the_frame_and_hold_every_small_region_whole(
            width in 1usize..4000, height in 1usize..3000, columns in 1usize..=MAX_TILES, rows in 1usize..=MAX_TILES,
            overlap in 0f32..=0.5, at in (0f64..1.0, 0f64..1.0), auto in any::<bool>(),
        ) {
            let layout = if auto { TileLayout::Auto } else { TileLayout::Grid { columns, rows } };
            let all = tiles(width, height, 640, spec(layout, overlap));
            let (tw, th) = (all[0].width(), all[0].height());
            for tile in &all {
                prop_assert!(tile.x2 <= width && tile.y2 <= height);
                prop_assert_eq!((tile.width(), tile.height()), (tw, th));
            }
            // The largest region that is promised to be whole somewhere, anywhere in the frame.
            let (rw, rh) = (
                (((tw as f32 * overlap) as usize).saturating_sub(1)).max(1),
                (((th as f32 * overlap) as usize).saturating_sub(1)).max(1),
            );
            let (x, y) = (((width - rw) as f64 * at.0) as usize, ((height - rh) as f64 * at.1) as usize);
            prop_assert!(all.iter().any(|t| t.x1 <= x && t.y1 <= y && t.x2 >= x + rw && t.y2 >= y + rh));
            if auto && width <= 1280 * 8 {
                prop_assert!(tw <= 1280 && th <= 1280);
            }
        }

        #[test]
        fn layouts_read_what_they_write(columns in 1usize..=MAX_TILES, rows in 1usize..=MAX_TILES) {
            for layout in [TileLayout::None, TileLayout::Auto, TileLayout::Grid { columns, rows }] {
                prop_assert_eq!(layout.to_string().parse::<TileLayout>().unwrap(), layout);
            }
        }
    }

    #[test]
    fn grids_of_usual_frames() {
        let count = |w, h, layout| tiles(w, h, 640, spec(layout, 0.2)).len();
        assert_eq!(count(1920, 1080, TileLayout::None), 1);
        assert_eq!(count(1280, 720, TileLayout::Auto), 1);
        assert_eq!(count(1920, 1080, TileLayout::Auto), 2);
        assert_eq!(count(3840, 2160, TileLayout::Auto), 8);
        assert_eq!(
            count(
                1,
                1,
                TileLayout::Grid {
                    columns: 4,
                    rows: 4
                }
            ),
            1
        );
        let two = tiles(
            1000,
            100,
            640,
            spec(
                TileLayout::Grid {
                    columns: 2,
                    rows: 1,
                },
                0.25,
            ),
        );
        assert_eq!(
            two,
            [
                PixelBox {
                    x1: 0,
                    y1: 0,
                    x2: 572,
                    y2: 100
                },
                PixelBox {
                    x1: 428,
                    y1: 0,
                    x2: 1000,
                    y2: 100
                }
            ]
        );
        assert_eq!(
            tiles(
                100,
                100,
                640,
                spec(
                    TileLayout::Grid {
                        columns: 2,
                        rows: 1
                    },
                    f32::NAN
                )
            )
            .len(),
            2
        );
    }

    #[test]
    fn other_layouts_are_refused_with_the_value_and_the_range() {
        for bad in ["", "3", "0x2", "2x0", "17x1", "x", "-1x2", "2x2x2", "Auto"] {
            let error = bad.parse::<TileLayout>().unwrap_err().to_string();
            assert!(
                error.contains("tiles = ") && error.contains("1 to 16"),
                "{error}"
            );
        }
    }
}
