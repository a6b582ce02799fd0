//! The inner loops of a resize in plain Rust: for every machine, and the reference for the others.

use super::mix::Rows;
use super::weights::{ONE, Weights};
use super::{CHANNELS, TO_BYTE};

/// One row to the width that `columns` has weights for: the weighted pixels, as samples.
pub(super) fn resize_row(source: &[u8], channels: usize, columns: &Weights, out: &mut [i16]) {
    match columns.taps() {
        2 => resize_row_with::<2>(source, channels, columns, out),
        3 => resize_row_with::<3>(source, channels, columns, out),
        4 => resize_row_with::<4>(source, channels, columns, out),
        taps => {
            resize_row_with::<1>(source, channels, columns, out);
            for tap in 1..taps {
                add_tap(source, channels, columns, tap, out);
            }
        }
    }
}

/// As [`resize_row`], the first `TAPS` taps of each pixel.
fn resize_row_with<const TAPS: usize>(source: &[u8], channels: usize, columns: &Weights, out: &mut [i16]) {
    let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
    let weights: [&[i16]; TAPS] = std::array::from_fn(|tap| &columns.tap(tap)[..pixels.len()]);
    for ((at, pixel), &first) in pixels.iter_mut().enumerate().zip(columns.first()) {
        let first = first as usize * channels;
        let source = &source[first..first + TAPS * channels];
        *pixel = [0; CHANNELS];
        for (from, weights) in source.chunks_exact(channels).zip(weights) {
            add(pixel, from, weights[at]);
        }
    }
}

/// Adds one more tap of each pixel.
fn add_tap(source: &[u8], channels: usize, columns: &Weights, tap: usize, out: &mut [i16]) {
    let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
    for ((pixel, &first), &weight) in pixels.iter_mut().zip(columns.first()).zip(columns.tap(tap)) {
        add(pixel, &source[(first as usize + tap) * channels..], weight);
    }
}

fn add(sums: &mut [i16; CHANNELS], pixel: &[u8], weight: i16) {
    for (sum, &value) in sums.iter_mut().zip(pixel) {
        *sum += part(sample(value), weight);
    }
}

/// As [`resize_row`], of any number of weights.
pub(super) fn resize_row_long(source: &[u8], channels: usize, columns: &Weights, out: &mut [i16]) {
    let (pixels, _) = out.as_chunks_mut::<CHANNELS>();
    for ((at, pixel), &first) in pixels.iter_mut().enumerate().zip(columns.first()) {
        let mut sums = [0; CHANNELS];
        let source = source[first as usize * channels..].chunks_exact(channels);
        for (from, tap) in source.zip(0..columns.taps()) {
            let weight = i32::from(columns.tap(tap)[at]);
            for (sum, &value) in sums.iter_mut().zip(from) {
                *sum += i32::from(sample(value)) * weight;
            }
        }
        *pixel = sums.map(rounded);
    }
}

/// Several rows to one of bytes, each with its weight.
pub(super) fn mix_rows(rows: &[&[i16]], weights: &[i16], out: &mut [u8]) {
    // In blocks whose sums stay in registers.
    const BLOCK: usize = 32;
    for (at, block) in out.chunks_mut(BLOCK).enumerate() {
        let mut sums = [0; BLOCK];
        for (row, &weight) in rows.iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(&row[at * BLOCK..(at + 1) * BLOCK]) {
                *sum += part(value, weight);
            }
        }
        for (value, sum) in block.iter_mut().zip(sums) {
            *value = byte(sum);
        }
    }
}

/// As [`mix_rows`], of any number of rows.
pub(super) fn mix_rows_long(rows: &Rows<'_>, weights: &(impl Iterator<Item = i16> + Clone), out: &mut [u8]) {
    for (at, value) in out.iter_mut().enumerate() {
        let products = weights
            .clone()
            .enumerate()
            .map(|(tap, weight)| i32::from(rows.at(tap)[at]) * i32::from(weight));
        *value = byte(rounded(products.sum()));
    }
}

/// A byte as a sample.
fn sample(byte: u8) -> i16 {
    i16::from_be_bytes([byte ^ 0x80, 0])
}

/// A sample as the nearest byte.
fn byte(sample: i16) -> u8 {
    sample.wrapping_add(TO_BYTE).to_be_bytes()[0]
}

/// A weighted sample, rounded.
fn part(sample: i16, weight: i16) -> i16 {
    rounded(i32::from(sample) * i32::from(weight))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "weights add up to one, so samples stay samples"
)]
fn rounded(products: i32) -> i16 {
    ((products + ONE / 2) >> ONE.ilog2()) as i16
}
