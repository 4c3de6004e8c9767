//! Separable resampling of 8-bit rows in integers: vertical first (whole rows, which vectorises), then horizontal.
//!
//! Shrinking averages over the area an output sample covers, edges included in proportion, so that
//! nothing aliases; enlarging is bilinear with the edge sample repeated.
//!
//! Invariants: the weights of one output sample sum to exactly the unit of its direction, so a flat
//! picture stays flat; results are the same on every processor.

/// Sum of the vertical weights. 255 × 256 still fits 16 bits.
pub(super) const VERTICAL_UNIT: u32 = 1 << 8;
/// Sum of the horizontal weights, which are also read as signed numbers of 16 bits.
pub(super) const HORIZONTAL_UNIT: u32 = 1 << 14;
/// Value of the last binary digit of a sample after both directions.
pub(super) const SAMPLE_STEP: f32 = 1.0 / (VERTICAL_UNIT * HORIZONTAL_UNIT) as f32;

/// Which source samples make up each output sample along one direction.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// First source sample used at all; positions are relative to it.
    pub first: usize,
    /// Number of source samples from `first` that are used.
    pub span: usize,
    /// Source samples per output sample; surplus ones weigh nothing.
    pub taps: usize,
    /// Position of the first tap of each output sample.
    pub start: Vec<usize>,
    /// `taps` weights per output sample.
    pub weights: Vec<u16>,
}

impl Axis {
    /// Maps the interval `from..to` (in samples of the plane, `from < to <= samples`) to `count` output
    /// samples whose weights sum to `unit`.
    pub fn new(from: f64, to: f64, samples: usize, count: usize, unit: u32) -> Self {
        let ratio = (to - from) / count as f64;
        let first = (from.floor() as usize).min(samples - 1);
        let last = (to.ceil() as usize).clamp(first + 1, samples);
        let span = last - first;
        // Windows one after the other: where each begins in the source, and its shares in `shares`.
        let mut windows: Vec<(usize, std::ops::Range<usize>)> = Vec::with_capacity(count);
        let mut shares: Vec<f64> = Vec::with_capacity(count * (ratio.ceil() as usize + 1));
        for i in 0..count {
            let before = shares.len();
            let position = if ratio >= 1.0 {
                let at = |i: usize| from + i as f64 * ratio - first as f64;
                area(at(i), at(i + 1), span, &mut shares)
            } else {
                let centre = from + (i as f64 + 0.5) * ratio - first as f64;
                bilinear(centre, span, &mut shares)
            };
            windows.push((position, before..shares.len()));
        }
        let taps = windows.iter().map(|(_, w)| w.len()).max().unwrap_or(1);
        let mut start = Vec::with_capacity(count);
        let mut weights = vec![0u16; taps * count];
        for ((position, window), row) in windows.iter().zip(weights.chunks_exact_mut(taps)) {
            // A window near the end moves back so that all taps stay inside.
            let begin = (*position).min(span - taps);
            start.push(begin);
            quantise(&shares[window.clone()], unit, &mut row[position - begin..]);
        }
        Self {
            first,
            span,
            taps,
            start,
            weights,
        }
    }
}

/// Appends the shares (summing to 1) of the samples in the mean over `from..to`; the first sample's position.
fn area(from: f64, to: f64, span: usize, shares: &mut Vec<f64>) -> usize {
    // A sliver thinner than the weights can tell would only cost a tap.
    const SLIVER: f64 = 1e-6;
    let begin = ((from + SLIVER).floor() as usize).min(span - 1);
    let end = ((to - SLIVER).ceil() as usize).clamp(begin + 1, span);
    if end == begin + 1 {
        shares.push(1.0);
        return begin;
    }
    let length = to - from;
    shares.extend((begin..end).map(|s| (to.min((s + 1) as f64) - from.max(s as f64)) / length));
    begin
}

/// Appends the shares of the two neighbours of the point `centre` (sample `i` sits at `i + 0.5`); the first
/// one's position.
fn bilinear(centre: f64, span: usize, shares: &mut Vec<f64>) -> usize {
    let position = (centre - 0.5).clamp(0.0, (span - 1) as f64);
    let begin = position.floor() as usize;
    let fraction = position - begin as f64;
    if begin + 1 < span {
        shares.extend([1.0 - fraction, fraction]);
    } else {
        shares.push(1.0);
    }
    begin
}

/// Whole-number weights that sum to exactly `unit`: rounding the running sum spreads the error.
fn quantise(weights: &[f64], unit: u32, out: &mut [u16]) {
    let (mut sum, mut done) = (0.0, 0u32);
    for (i, (weight, out)) in weights.iter().zip(out).enumerate() {
        sum += weight;
        let upto = if i + 1 == weights.len() {
            unit
        } else {
            ((sum * f64::from(unit)).round() as u32).min(unit)
        };
        *out = (upto - done) as u16;
        done = upto;
    }
}

/// `out[i] = Σ row(k)[i] * weights[k]`, rows at least as long as `out`; rows without weight are not read.
#[inline(always)]
pub(super) fn vertical<'a>(row: impl Fn(usize) -> &'a [u8], weights: &[u16], out: &mut [u16]) {
    let mut first = true;
    // Three rows a pass: three is the commonest number, and a pass less saves reading and writing `out`.
    for (group, weights) in weights.chunks(3).enumerate() {
        let row = |k: usize| &row(group * 3 + k)[..out.len()];
        match *weights {
            [wa, wb, wc] if wc != 0 => {
                let (a, b, c) = (row(0), row(1), row(2));
                accumulate(out, first, |i| {
                    u16::from(a[i]) * wa + u16::from(b[i]) * wb + u16::from(c[i]) * wc
                });
            }
            [wa, wb] | [wa, wb, _] if wb != 0 => {
                let (a, b) = (row(0), row(1));
                accumulate(out, first, |i| u16::from(a[i]) * wa + u16::from(b[i]) * wb);
            }
            [wa, ..] if wa != 0 || first => {
                let a = row(0);
                accumulate(out, first, |i| u16::from(a[i]) * wa);
            }
            _ => {}
        }
        first = false;
    }
}

/// Sets (`first`) or adds `value(i)` to every `out[i]`.
#[inline(always)]
fn accumulate(out: &mut [u16], first: bool, value: impl Fn(usize) -> u16) {
    if first {
        for (i, out) in out.iter_mut().enumerate() {
            *out = value(i);
        }
    } else {
        for (i, out) in out.iter_mut().enumerate() {
            *out += value(i);
        }
    }
}

/// Resamples one row that went through [`vertical`] into values of 0–255.
pub(super) fn horizontal(row: &[u16], axis: &Axis, out: &mut [f32]) {
    let windows = axis.start.iter().zip(axis.weights.chunks_exact(axis.taps));
    for (out, (&start, weights)) in out.iter_mut().zip(windows) {
        let samples = row[start..].iter().zip(weights);
        let sum: i32 = samples.map(|(&s, &w)| i32::from(s) * i32::from(w)).sum();
        *out = sum as f32 * SAMPLE_STEP;
    }
}
