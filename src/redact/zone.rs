//! Privacy zones: polygons that are filled in every frame, whatever is detected.
//!
//! Invariant: every pixel that a zone touches is in its spans.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::{Error, Result};

const ALLOWED: &str =
    "3 or more points \"x,y\" from 0 to 1 with spaces between them, such as \"0,0 0.5,0 0.5,0.25\"";

/// A polygon in normalised coordinates: (0, 0) is the top left and (1, 1) the bottom right corner of the
/// frame. It is closed by itself. What it winds round at all is inside (non-zero rule), so a polygon that
/// crosses itself has no holes where it overlaps.
///
/// Parsed from `x,y x,y x,y…`.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    points: Vec<(f32, f32)>,
}

impl Zone {
    /// A zone from its corners in order, either way round.
    ///
    /// Errors: [`Error::Setting`] with fewer than 3 points or a coordinate outside 0 to 1.
    pub fn new(points: Vec<(f32, f32)>) -> Result<Self> {
        let inside = |v: f32| (0.0..=1.0).contains(&v);
        let zone = Self { points };
        if zone.points.len() < 3 || !zone.points.iter().all(|&(x, y)| inside(x) && inside(y)) {
            return Err(Error::setting("zone", &zone, ALLOWED));
        }
        Ok(zone)
    }

    /// The corners.
    pub fn points(&self) -> &[(f32, f32)] {
        &self.points
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (x, y)) in self.points.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{x},{y}")?;
        }
        Ok(())
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let points: Option<Vec<(f32, f32)>> = text
            .split_whitespace()
            .map(|point| {
                let (x, y) = point.split_once(',')?;
                Some((x.parse().ok()?, y.parse().ok()?))
            })
            .collect();
        Self::new(points.ok_or_else(|| Error::setting("zone", text, ALLOWED))?)
    }
}

/// The pixels of a frame that any of its zones touches, row by row.
#[derive(Debug)]
pub(super) struct ZoneMask {
    size: (usize, usize),
    /// Columns in no order, possibly overlapping; all rows one after the other.
    spans: Vec<Range<usize>>,
    /// Where each row's spans end in `spans`.
    ends: Vec<usize>,
}

impl ZoneMask {
    /// The mask of `zones` in a frame of `width` × `height` pixels.
    pub fn new(zones: &[Zone], width: usize, height: usize) -> Self {
        let polygons: Vec<Vec<(f64, f64)>> = zones
            .iter()
            .map(|zone| {
                let pixel = |&(x, y): &(f32, f32)| {
                    (f64::from(x) * width as f64, f64::from(y) * height as f64)
                };
                zone.points.iter().map(pixel).collect()
            })
            .collect();
        let mut mask = Self {
            size: (width, height),
            spans: Vec::new(),
            ends: Vec::with_capacity(height),
        };
        for y in 0..height {
            for polygon in &polygons {
                touched(polygon, y, width, height, &mut mask.spans);
            }
            mask.ends.push(mask.spans.len());
        }
        mask
    }

    /// Width and height of the frame the mask is for.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The columns of luma row `y`; none below the frame.
    pub fn spans(&self, y: usize) -> &[Range<usize>] {
        let Some(&end) = self.ends.get(y) else {
            return &[];
        };
        let start = y.checked_sub(1).map_or(0, |above| self.ends[above]);
        &self.spans[start..end]
    }
}

/// Appends the columns of row `y` that `polygon`, in pixels, touches: those its edges pass through, and
/// those whose centre line it winds round. A pixel that no edge passes through is wholly inside or outside.
fn touched(
    polygon: &[(f64, f64)],
    y: usize,
    width: usize,
    height: usize,
    spans: &mut Vec<Range<usize>>,
) {
    // The outermost rows and columns hold the frame's edge too.
    let top = y as f64;
    let bottom = if y + 1 == height {
        f64::INFINITY
    } else {
        top + 1.0
    };
    let middle = top + 0.5;
    let columns = |from: f64, to: f64| {
        let start = (from.floor().max(0.0) as usize).min(width - 1);
        let end = (to.floor().max(0.0) as usize + 1).clamp(start + 1, width.max(start + 1));
        start..end
    };
    let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let mut crossings: Vec<(f64, i32)> = Vec::new();
    for (&(x1, y1), &(x2, y2)) in edges {
        let (low, high) = (y1.min(y2), y1.max(y2));
        if high < top || low > bottom {
            continue;
        }
        let at = |row: f64| {
            let row = row.clamp(low, high);
            if y1 == y2 {
                x1
            } else {
                x1 + (row - y1) / (y2 - y1) * (x2 - x1)
            }
        };
        let (from, to) = if y1 == y2 {
            (x1, x2)
        } else {
            (at(top), at(bottom))
        };
        spans.push(columns(from.min(to), from.max(to)));
        if (low..high).contains(&middle) {
            crossings.push((at(middle), if y1 < y2 { 1 } else { -1 }));
        }
    }
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut winding = 0;
    for pair in crossings.windows(2) {
        winding += pair[0].1;
        if winding != 0 {
            spans.push(columns(pair[0].0, pair[1].0));
        }
    }
}
