//! [`horizontal`](super::resample::horizontal) in vector instructions of x86-64, to the bit the same.
//!
//! Four outputs at a time: eight neighbouring samples are loaded, shuffled so that each output's taps lie side by
//! side, multiplied and added in pairs. What to load, how to shuffle and the weights are worked out beforehand.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_cvtepi32_ps, _mm_hadd_epi32, _mm_loadu_si128, _mm_madd_epi16,
    _mm_mul_ps, _mm_set1_epi16, _mm_set1_epi32, _mm_set1_ps, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_storeu_ps, _mm_xor_si128,
};

use super::resample::{Axis, HORIZONTAL_UNIT, SAMPLE_STEP};

/// Samples in one register.
const LANES: usize = 8;
/// Outputs worked out together.
const GROUP: usize = 4;

/// What one register holds.
#[derive(Clone, Debug)]
struct Step {
    /// First sample to load.
    base: usize,
    /// Source byte of each byte.
    mask: [u8; 2 * LANES],
    /// Weight of each lane.
    weights: [i16; LANES],
}

/// The steps of a row.
#[derive(Clone, Debug)]
pub(super) struct Shuffles {
    /// Outputs in one register: 4, 2 or 1.
    packed: usize,
    /// Steps of one group of outputs.
    per_group: usize,
    steps: Vec<Step>,
}

impl Shuffles {
    /// The steps for `axis`; None when it has too few samples to fill a register.
    pub fn new(axis: &Axis) -> Option<Self> {
        if axis.span < LANES {
            return None;
        }
        [4, 2, 1]
            .into_iter()
            .find_map(|packed| Self::packed(axis, packed))
    }

    fn packed(axis: &Axis, packed: usize) -> Option<Self> {
        let slots = LANES / packed;
        let rounds = axis.taps.div_ceil(slots);
        if rounds > 1 && packed > 1 {
            return None;
        }
        let groups = axis.start.len().div_ceil(GROUP);
        let per_group = GROUP / packed * rounds;
        let mut steps = Vec::with_capacity(groups * per_group);
        for first in (0..groups * GROUP).step_by(packed) {
            for round in 0..rounds {
                let start = axis.start.get(first).map_or(0, |s| s + round * slots);
                let mut step = Step {
                    base: start.min(axis.span - LANES),
                    mask: [0; 2 * LANES],
                    weights: [0; LANES],
                };
                for lane in 0..LANES {
                    let (output, tap) = (first + lane / slots, round * slots + lane % slots);
                    if output >= axis.start.len() || tap >= axis.taps {
                        continue;
                    }
                    let weight = axis.weights[output * axis.taps + tap];
                    if weight == 0 {
                        continue;
                    }
                    let offset = axis.start[output] + tap - step.base;
                    if offset >= LANES {
                        return None;
                    }
                    step.mask[2 * lane] = 2 * offset as u8;
                    step.mask[2 * lane + 1] = 2 * offset as u8 + 1;
                    step.weights[lane] = weight as i16;
                }
                steps.push(step);
            }
        }
        Some(Self {
            packed,
            per_group,
            steps,
        })
    }

    /// Resamples `row`.
    #[target_feature(enable = "ssse3")]
    pub fn horizontal(&self, row: &[u16], out: &mut [f32]) {
        match self.packed {
            4 => self.groups(row, out, |row, steps| products(row, &steps[0])),
            2 => self.groups(row, out, |row, steps| {
                _mm_hadd_epi32(products(row, &steps[0]), products(row, &steps[1]))
            }),
            _ => {
                let rounds = self.per_group / GROUP;
                self.groups(row, out, |row, steps| {
                    let output = |i: usize| {
                        steps[i * rounds..][..rounds]
                            .iter()
                            .fold(_mm_setzero_si128(), |sum, step| {
                                _mm_add_epi32(sum, products(row, step))
                            })
                    };
                    _mm_hadd_epi32(
                        _mm_hadd_epi32(output(0), output(1)),
                        _mm_hadd_epi32(output(2), output(3)),
                    )
                });
            }
        }
    }

    /// Writes the four sums that `sums` gives for each group.
    #[target_feature(enable = "ssse3")]
    #[inline]
    fn groups(&self, row: &[u16], out: &mut [f32], sums: impl Fn(&[u16], &[Step]) -> __m128i) {
        let (unbias, step) = (
            _mm_set1_epi32((HORIZONTAL_UNIT << 15) as i32),
            _mm_set1_ps(SAMPLE_STEP),
        );
        let groups = self.steps.chunks_exact(self.per_group);
        for (steps, out) in groups.zip(out.chunks_mut(GROUP)) {
            let sums = _mm_add_epi32(sums(row, steps), unbias);
            let values = _mm_mul_ps(_mm_cvtepi32_ps(sums), step);
            if let Ok(out) = <&mut [f32; GROUP]>::try_from(&mut *out) {
                // SAFETY: `out` is as long as the register.
                unsafe { _mm_storeu_ps(out.as_mut_ptr(), values) };
            } else {
                let mut last = [0f32; GROUP];
                // SAFETY: `last` is as long as the register.
                unsafe { _mm_storeu_ps(last.as_mut_ptr(), values) };
                out.copy_from_slice(&last[..out.len()]);
            }
        }
    }
}

/// Sums of neighbouring products of one step. Samples are taken less 2^15, to fit signed lanes; as the weights
/// of an output sum to the unit, adding the unit times 2^15 mends that.
#[target_feature(enable = "ssse3")]
#[inline]
fn products(row: &[u16], step: &Step) -> __m128i {
    let samples = &row[step.base..][..LANES];
    // SAFETY: the slice and both arrays are 16 bytes long, and these loads need no alignment.
    let (samples, mask, weights) = unsafe {
        (
            _mm_loadu_si128(samples.as_ptr().cast()),
            _mm_loadu_si128(step.mask.as_ptr().cast()),
            _mm_loadu_si128(step.weights.as_ptr().cast()),
        )
    };
    let signed = _mm_xor_si128(samples, _mm_set1_epi16(i16::MIN));
    _mm_madd_epi16(_mm_shuffle_epi8(signed, mask), weights)
}
