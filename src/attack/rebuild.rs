//! Attackers who rebuild a face from what is left of it by least squares: from many frames, and from one with the kernel known.
//!
//! Sought is the smoothest picture that explains what is seen. How much smoothness counts is chosen afterwards by what comes
//! nearest to the original: better than any attacker could.
//!
//! Measured is the correlation of *detail*: what is left of rebuilt and original luma when the means over a quarter of the
//! face are taken off. 1 is all of it, 0 is none.

use rayon::prelude::*;
use serde::Serialize;

use super::disguise::{Disguise, redactor};
use super::faces::{Faces, SIDE};
use super::peers;
use super::picture::Picture;
use super::random::{self, normal};
use super::statistics::mean_interval;
use crate::detect::Class;
use crate::error::Result;
use crate::geometry::BBox;
use crate::redact::{Region, Settings, Style};

/// Faces that are rebuilt: the first picture of each of the first identities.
const FACES: usize = 16;
/// Frames of the many that an attacker has.
pub const FRAMES: usize = 100;
/// Smallest side of a region about the moving face.
const LEAST_REGION: usize = 72;
/// Standard deviation of the encoder's noise in a frame.
const NOISE: f64 = 2.0;
/// Weights of smoothness that are tried.
const SMOOTHNESS: [f64; 5] = [1.0, 0.1, 1e-2, 1e-3, 1e-4];
/// Steps of the solver.
const STEPS: usize = 60;

/// What many frames of a moving mosaic gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FramesRow {
    /// The style.
    pub style: String,
    /// True when all frames show the cells of the first one, as floutage does; false: each its own.
    pub frozen: bool,
    /// Correlation of detail from the first frame.
    pub one: f64,
    /// … from all.
    pub many: f64,
    /// The difference.
    pub gain: f64,
    /// Its 95 % interval, by bootstrap over faces.
    pub gain_95: (f64, f64),
}

/// What knowing the kernel gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelRow {
    /// The style.
    pub style: String,
    /// Correlation of detail of what is seen.
    pub seen: f64,
    /// … of what was rebuilt.
    pub rebuilt: f64,
    /// Its 95 % interval, by bootstrap over faces.
    pub rebuilt_95: (f64, f64),
}

/// What could be rebuilt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RebuildTable {
    /// Faces that were rebuilt.
    pub faces: usize,
    /// From many frames.
    pub frames: Vec<FramesRow>,
    /// From one with the kernel known.
    pub kernels: Vec<KernelRow>,
}

/// Rebuilds `faces`; `seed` draws motion, noise and the intervals' samples.
///
/// Errors: those of the redactor.
pub fn attacked(faces: &Faces, seed: u64) -> Result<RebuildTable> {
    let all = faces.identities().iter().take(FACES);
    let faces: Vec<&Picture> = all.filter_map(|pictures| pictures.first()).collect();
    let defaults = Settings::default();
    let mut settings = vec![(4, 32), (4, 8)];
    if !settings.contains(&(defaults.cells, defaults.levels)) {
        settings.push((defaults.cells, defaults.levels));
    }
    let mut frames = Vec::new();
    for &(cells, levels) in &settings {
        for frozen in [false, true] {
            frames.push(from_frames(&faces, cells, levels, frozen, seed)?);
        }
    }
    let box19 = vec![1.0 / 19.0; 19];
    let half = vec![2.0 / SIDE as f64; SIDE / 2];
    let mut kernels = vec![
        (
            Disguise::Gaussian19,
            Seen::Kernel(peers::gaussian_weights(19)),
        ),
        (Disguise::Box19, Seen::Kernel(box19)),
        (Disguise::DefaceBlur, Seen::Kernel(half)),
    ];
    for (cells, levels) in settings {
        let mosaic = Disguise::Ours {
            style: Style::Mosaic,
            cells,
            levels,
        };
        let whole = Grid::new([0, 0, SIDE, SIDE], cells);
        kernels.push((mosaic, Seen::Cells(vec![whole])));
    }
    let kernels = kernels
        .iter()
        .map(|(style, model)| from_kernel(&faces, style, model, seed));
    Ok(RebuildTable {
        faces: faces.len(),
        kernels: kernels.collect::<Result<_>>()?,
        frames,
    })
}

fn from_kernel(faces: &[&Picture], style: &Disguise, model: &Seen, seed: u64) -> Result<KernelRow> {
    let rebuild = |face: &&Picture| {
        let (truth, seen) = (face.luma(), style.applied(face)?.luma());
        let data = match model {
            Seen::Kernel(_) => seen.clone(),
            Seen::Cells(grids) => grids.iter().flat_map(|grid| grid.read(&seen)).collect(),
        };
        Ok((likeness(&seen, &truth), model.best(&data, &truth)))
    };
    let both: Result<Vec<(f64, f64)>> = faces.par_iter().map(rebuild).collect();
    let (seen, rebuilt): (Vec<f64>, Vec<f64>) = both?.into_iter().unzip();
    Ok(KernelRow {
        style: style.to_string(),
        seen: mean(&seen),
        rebuilt: mean(&rebuilt),
        rebuilt_95: mean_interval(&rebuilt, seed),
    })
}

fn from_frames(
    faces: &[&Picture],
    cells: usize,
    levels: usize,
    frozen: bool,
    seed: u64,
) -> Result<FramesRow> {
    let rebuild = |(index, face): (usize, &&Picture)| {
        let mut rng = random::generator(seed ^ (index as u64 + 1));
        let truth = face.luma();
        let redactor = redactor(Style::Mosaic, cells, levels)?;
        let (mut first, mut grids, mut data) = (None, Vec::new(), Vec::new());
        for _ in 0..FRAMES {
            // The detector's box about the face is never quite the same.
            let side = rng.usize(LEAST_REGION..=SIDE);
            let (left, top) = (rng.usize(..=SIDE - side), rng.usize(..=SIDE - side));
            let area = [left, top, left + side, top + side];
            let bbox = BBox::from_xywh(left as f32, top as f32, side as f32, side as f32);
            let mut region = Region::new(bbox, Class::Face);
            let mut frame = (*face).clone();
            let sampled = redactor.sample(&frame.frame_mut()?.as_frame(), &region)?;
            if first.is_none() {
                first = sampled;
            }
            region.frozen = if frozen { first } else { sampled };
            redactor.redact(&mut frame.frame_mut()?, &[region])?;
            let grid = Grid::new(area, cells);
            let read = grid.read(&frame.luma());
            data.extend(read.iter().map(|value| value + NOISE * normal(&mut rng)));
            grids.push(grid);
        }
        let cells = cells * cells;
        let alone = Seen::Cells(grids[..1].to_vec()).best(&data[..cells], &truth);
        let moving = Seen::Cells(grids.clone()).best(&data, &truth);
        // The attacker who knows that the cells are those of the first frame.
        let still = Seen::Cells(vec![grids[0].clone(); FRAMES]).best(&data, &truth);
        Ok((alone, moving.max(still)))
    };
    let both: Result<Vec<(f64, f64)>> = faces.par_iter().enumerate().map(rebuild).collect();
    let (one, many): (Vec<f64>, Vec<f64>) = both?.into_iter().unzip();
    let gains: Vec<f64> = one
        .iter()
        .zip(&many)
        .map(|(one, many)| many - one)
        .collect();
    Ok(FramesRow {
        style: Disguise::Ours {
            style: Style::Mosaic,
            cells,
            levels,
        }
        .to_string(),
        frozen,
        one: mean(&one),
        many: mean(&many),
        gain: mean(&gains),
        gain_95: mean_interval(&gains, seed),
    })
}

/// The cells of one frame's region: x1, y1, x2, y2 of each.
#[derive(Clone, Debug)]
struct Grid(Vec<[usize; 4]>);

impl Grid {
    fn new([x1, y1, x2, y2]: [usize; 4], cells: usize) -> Self {
        let part = |from: usize, to: usize, n: usize| from + (to - from) * n / cells;
        let cell = |index: usize| {
            let (column, row) = (index % cells, index / cells);
            [
                part(x1, x2, column),
                part(y1, y2, row),
                part(x1, x2, column + 1),
                part(y1, y2, row + 1),
            ]
        };
        Self((0..cells * cells).map(cell).collect())
    }

    /// The values in the middle of each cell.
    fn read(&self, luma: &[f64]) -> Vec<f64> {
        let middle = |&[x1, y1, x2, y2]: &[usize; 4]| luma[(y1 + y2) / 2 * SIDE + (x1 + x2) / 2];
        self.0.iter().map(middle).collect()
    }
}

/// What an attacker sees of a face of [`SIDE`] pixels, as a linear function of its luma.
enum Seen {
    /// The face under a kernel, in both directions, edges continued.
    Kernel(Vec<f64>),
    /// The means of cells, frame by frame.
    Cells(Vec<Grid>),
}

impl Seen {
    fn forward(&self, luma: &[f64]) -> Vec<f64> {
        match self {
            Self::Kernel(weights) => {
                let across = convolved(luma, weights, 1, SIDE, false);
                convolved(&across, weights, SIDE, 1, false)
            }
            Self::Cells(grids) => {
                let sums = summed(luma);
                let mean = |&[x1, y1, x2, y2]: &[usize; 4]| {
                    let at = |x: usize, y: usize| sums[y * (SIDE + 1) + x];
                    let sum = at(x2, y2) - at(x1, y2) - at(x2, y1) + at(x1, y1);
                    sum / ((x2 - x1) * (y2 - y1)) as f64
                };
                grids.iter().flat_map(|grid| &grid.0).map(mean).collect()
            }
        }
    }

    /// The transpose of [`forward`](Self::forward).
    fn back(&self, data: &[f64]) -> Vec<f64> {
        match self {
            Self::Kernel(weights) => {
                let down = convolved(data, weights, SIDE, 1, true);
                convolved(&down, weights, 1, SIDE, true)
            }
            Self::Cells(grids) => {
                let mut steps = vec![0.0; (SIDE + 1) * (SIDE + 1)];
                let cells = grids.iter().flat_map(|grid| &grid.0);
                for (&[x1, y1, x2, y2], value) in cells.zip(data) {
                    let share = value / ((x2 - x1) * (y2 - y1)) as f64;
                    for (x, y, share) in [
                        (x1, y1, share),
                        (x2, y1, -share),
                        (x1, y2, -share),
                        (x2, y2, share),
                    ] {
                        steps[y * (SIDE + 1) + x] += share;
                    }
                }
                let mut luma = vec![0.0; SIDE * SIDE];
                for y in 0..SIDE {
                    let mut row = 0.0;
                    for x in 0..SIDE {
                        row += steps[y * (SIDE + 1) + x];
                        let above = if y > 0 { luma[(y - 1) * SIDE + x] } else { 0.0 };
                        luma[y * SIDE + x] = above + row;
                    }
                }
                luma
            }
        }
    }

    /// The likeness of the best picture that can be rebuilt from `data`.
    fn best(&self, data: &[f64], truth: &[f64]) -> f64 {
        let likeness = |&smoothness: &f64| likeness(&self.rebuilt(data, smoothness), truth);
        SMOOTHNESS.iter().map(likeness).fold(0.0, f64::max)
    }

    /// The picture with the least squared difference from `data` plus `smoothness` times its squared steps from pixel to pixel,
    /// by conjugate gradients.
    fn rebuilt(&self, data: &[f64], smoothness: f64) -> Vec<f64> {
        // Both terms of one size, whatever there is to see.
        let start = vec![mean(data); SIDE * SIDE];
        let seen = self.forward(&start);
        let rest: Vec<f64> = data.iter().zip(&seen).map(|(a, b)| a - b).collect();
        let system = |luma: &[f64]| {
            let mut sum = self.back(&self.forward(luma));
            add_roughness(luma, smoothness, &mut sum);
            sum
        };
        let mut residual = self.back(&rest);
        let mut direction = residual.clone();
        let mut found = vec![0.0; SIDE * SIDE];
        let mut length = dot(&residual, &residual);
        for _ in 0..STEPS {
            if length < 1e-12 {
                break;
            }
            let image = system(&direction);
            let step = length / dot(&direction, &image).max(f64::MIN_POSITIVE);
            for n in 0..found.len() {
                found[n] += step * direction[n];
                residual[n] -= step * image[n];
            }
            let next = dot(&residual, &residual);
            for (direction, residual) in direction.iter_mut().zip(&residual) {
                *direction = residual + next / length * *direction;
            }
            length = next;
        }
        found.iter().zip(&start).map(|(a, b)| a + b).collect()
    }
}

/// Adds `weight` times the gradient of half the sum of all squared steps between neighbours.
fn add_roughness(luma: &[f64], weight: f64, sum: &mut [f64]) {
    for y in 0..SIDE {
        for x in 0..SIDE {
            let here = y * SIDE + x;
            for (inside, there) in [(x + 1 < SIDE, here + 1), (y + 1 < SIDE, here + SIDE)] {
                if inside {
                    let step = weight * (luma[here] - luma[there]);
                    sum[here] += step;
                    sum[there] -= step;
                }
            }
        }
    }
}

/// Sums of all above and left of each corner of a pixel.
fn summed(luma: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; (SIDE + 1) * (SIDE + 1)];
    for y in 0..SIDE {
        let mut row = 0.0;
        for x in 0..SIDE {
            row += luma[y * SIDE + x];
            sums[(y + 1) * (SIDE + 1) + x + 1] = sums[y * (SIDE + 1) + x + 1] + row;
        }
    }
    sums
}

/// Luma under a kernel along lines of samples that lie `step` apart and start `line` apart; or the transpose of that.
fn convolved(luma: &[f64], weights: &[f64], step: usize, line: usize, back: bool) -> Vec<f64> {
    let mut result = vec![0.0; luma.len()];
    for start in (0..SIDE).map(|n| n * line) {
        for to in 0..SIDE {
            for (index, weight) in weights.iter().enumerate() {
                let from = (to + index).saturating_sub(weights.len() / 2).min(SIDE - 1);
                let (to, from) = (start + to * step, start + from * step);
                if back {
                    result[from] += weight * luma[to];
                } else {
                    result[to] += weight * luma[from];
                }
            }
        }
    }
    result
}

/// The correlation of the detail of two pictures.
fn likeness(a: &[f64], b: &[f64]) -> f64 {
    let detail = |luma: &[f64]| {
        let quarter = vec![4.0 / SIDE as f64; SIDE / 4];
        let coarse = Seen::Kernel(quarter).forward(luma);
        let detail: Vec<f64> = luma.iter().zip(&coarse).map(|(a, b)| a - b).collect();
        let mean = mean(&detail);
        detail
            .into_iter()
            .map(|value| value - mean)
            .collect::<Vec<_>>()
    };
    let (a, b) = (detail(a), detail(b));
    let length = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if length > 1e-6 {
        dot(&a, &b) / length
    } else {
        0.0
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faces() -> Faces {
        let mut rng = random::generator(9);
        let person = |_| {
            let blobs: Vec<[f64; 4]> = (0..40)
                .map(|_| {
                    let place = [rng.f64() * 96.0, rng.f64() * 96.0];
                    [
                        place[0],
                        place[1],
                        160.0 * rng.f64() - 80.0,
                        20.0 + 80.0 * rng.f64(),
                    ]
                })
                .collect();
            let picture = Picture::from_fn(SIDE, SIDE, |x, y| {
                let blob = |[bx, by, level, width]: &[f64; 4]| {
                    let distance = (x as f64 - bx).powi(2) + (y as f64 - by).powi(2);
                    level * (-distance / width).exp()
                };
                let value = 120.0 + blobs.iter().map(blob).sum::<f64>();
                [value.clamp(0.0, 255.0) as u8; 3]
            });
            vec![picture.clone(), picture]
        };
        Faces::new("test", (0..4).map(person).collect()).unwrap()
    }

    #[test]
    fn back_is_the_transpose_of_forward() {
        let mut rng = random::generator(1);
        let grids = vec![
            Grid::new([3, 5, 90, 80], 4),
            Grid::new([0, 0, SIDE, SIDE], 3),
        ];
        for seen in [
            Seen::Kernel(peers::gaussian_weights(19)),
            Seen::Cells(grids),
        ] {
            let luma: Vec<f64> = (0..SIDE * SIDE).map(|_| normal(&mut rng)).collect();
            let image = seen.forward(&luma);
            let data: Vec<f64> = image.iter().map(|_| normal(&mut rng)).collect();
            let difference = dot(&image, &data) - dot(&luma, &seen.back(&data));
            assert!(difference.abs() < 1e-6, "{difference}");
        }
    }

    #[test]
    fn gaussians_and_moving_mosaics_are_undone_and_frozen_cells_are_not() {
        let table = attacked(&faces(), 4).unwrap();
        let (gaussian, mosaic) = (&table.kernels[0], table.kernels.last().unwrap());
        let missing = |share: f64| 1.0 - share;
        assert!(gaussian.rebuilt > 0.9, "{table:#?}");
        assert!(
            missing(gaussian.rebuilt) < missing(gaussian.seen) / 3.0,
            "{table:#?}"
        );
        assert!(mosaic.rebuilt < 0.4, "{table:#?}");
        for row in &table.frames {
            let one_level = row.style.ends_with("1 level");
            if row.frozen {
                assert!(row.gain < 0.05, "{table:#?}");
            } else {
                assert!(row.gain > 0.2 || one_level, "{table:#?}");
            }
        }
    }
}
