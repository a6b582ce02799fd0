//! The inner loops of a resize in plain Rust: for every machine, and the reference for the others.

use super::WEIGHT_BITS;
use super::weights::Weights;

const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// One row of RGBX pixels to the width that `columns` has weights for.
pub(super) fn resize_row(source: &[u8], columns: &Weights, out: &mut [u8]) {
    let (first, weights) = columns.parts();
    resize_pixels(source, first, weights, columns.taps(), out);
}

/// Output pixels from their first source positions and `taps` weights each.
pub(super) fn resize_pixels(source: &[u8], first: &[u32], weights: &[i16], taps: usize, out: &mut [u8]) {
    let pixels = out.chunks_exact_mut(4).zip(first).zip(weights.chunks_exact(taps));
    for ((pixel, &first), weights) in pixels {
        let mut sums = [HALF; 4];
        for (from, &weight) in source[first as usize * 4..].chunks_exact(4).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(from) {
                *sum += i32::from(weight) * i32::from(value);
            }
        }
        for (value, sum) in pixel.iter_mut().zip(sums) {
            *value = rounded(sum);
        }
    }
}

/// Several rows to one, each with its weight.
pub(super) fn mix_rows(rows: &[&[u8]], weights: &[i16], out: &mut [u8]) {
    for (at, value) in out.iter_mut().enumerate() {
        let sum = rows
            .iter()
            .zip(weights)
            .map(|(row, &weight)| i32::from(weight) * i32::from(row[at]))
            .sum::<i32>();
        *value = rounded(HALF + sum);
    }
}

/// As [`mix_rows`], of any number of rows of a ring.
pub(super) fn mix_ring(ring: &[u8], slots: usize, first: usize, weights: &[i16], out: &mut [u8]) {
    let line_nbytes = out.len();
    for (at, value) in out.iter_mut().enumerate() {
        let mut sum = HALF;
        for (tap, &weight) in weights.iter().enumerate() {
            sum += i32::from(weight) * i32::from(ring[(first + tap) % slots * line_nbytes + at]);
        }
        *value = rounded(sum);
    }
}

fn rounded(sum: i32) -> u8 {
    u8::try_from(sum >> WEIGHT_BITS).unwrap_or(u8::MAX)
}
