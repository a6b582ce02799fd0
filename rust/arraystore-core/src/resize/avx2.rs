//! The inner loops of a resize for AVX2. The same sums as in `portable`, so the same bytes.

mod pairs;
mod windows;

use std::arch::x86_64::{
    __m256i, _mm256_add_epi16, _mm256_loadu_si256, _mm256_mulhrs_epi16, _mm256_packus_epi16, _mm256_permute4x64_epi64,
    _mm256_set1_epi16, _mm256_srli_epi16, _mm256_storeu_si256,
};

use super::weights::Weights;
use super::{Strip, TO_BYTE};

/// Samples that are mixed at a time.
const BLOCK: usize = 32;

/// A word for each sample of a vector, in one line of the cache.
#[derive(Debug, Default, Clone, Copy)]
#[repr(align(32))]
struct Vector([i16; 16]);

/// The weights of the columns, as one of the loops wants them.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Where a row is not much shortened.
    windows: windows::Table,
    pairs: pairs::Table,
    is_near: bool,
}

impl Table {
    /// From the weights of `target` columns.
    #[target_feature(enable = "avx2")]
    pub(super) fn fill(&mut self, weights: &Weights, target: usize, channels: usize) {
        self.is_near = self.windows.fill(weights, target, channels);
        if !self.is_near {
            self.pairs.fill(weights, target, channels);
        }
    }

    /// Some rows to the width that the table is for.
    #[target_feature(enable = "avx2")]
    pub(super) fn resize_rows(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        if self.is_near {
            self.windows.resize_rows(source, out, out_stride);
        } else {
            self.pairs.resize_rows(source, out, out_stride);
        }
    }
}

/// Several rows to one of bytes, each with its weight. The rows have values up to the next multiple of [`BLOCK`].
#[target_feature(enable = "avx2")]
pub(super) fn mix_rows(rows: &[&[i16]], weights: &[i16], out: &mut [u8]) {
    match rows.len() {
        1 => mix_rows_of::<1>(rows, weights, out),
        2 => mix_rows_of::<2>(rows, weights, out),
        3 => mix_rows_of::<3>(rows, weights, out),
        4 => mix_rows_of::<4>(rows, weights, out),
        _ => mix_rows_of::<0>(rows, weights, out),
    }
}

/// As [`mix_rows`]; `ROWS` is the number of rows, or 0 for any.
#[target_feature(enable = "avx2")]
fn mix_rows_of<const ROWS: usize>(rows: &[&[i16]], weights: &[i16], out: &mut [u8]) {
    let count = if ROWS == 0 { rows.len() } else { ROWS };
    let (rows, weights) = (&rows[..count], &weights[..count]);
    let len = out.len().next_multiple_of(BLOCK);
    assert!(rows.iter().all(|row| row.len() >= len));
    let to_byte = _mm256_set1_epi16(TO_BYTE);
    let mix = |at: usize| {
        let (mut low, mut high) = (to_byte, to_byte);
        for (row, &weight) in rows.iter().zip(weights) {
            let weight = _mm256_set1_epi16(weight);
            // SAFETY: every row has `BLOCK` values at `at`, which is less than `len` and a multiple of `BLOCK`.
            let (a, b) = unsafe {
                let from = row.as_ptr().add(at);
                (
                    _mm256_loadu_si256(from.cast()),
                    _mm256_loadu_si256(from.add(BLOCK / 2).cast()),
                )
            };
            low = _mm256_add_epi16(low, _mm256_mulhrs_epi16(a, weight));
            high = _mm256_add_epi16(high, _mm256_mulhrs_epi16(b, weight));
        }
        let bytes = _mm256_packus_epi16(_mm256_srli_epi16::<8>(low), _mm256_srli_epi16::<8>(high));
        // The 64-bit quarters come out of the packing as 0, 2, 1, 3.
        _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)
    };
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let done = blocks.len() * BLOCK;
    for (at, block) in blocks.iter_mut().enumerate() {
        store(block, mix(at * BLOCK));
    }
    if !rest.is_empty() {
        let mut block = [0_u8; BLOCK];
        store(&mut block, mix(done));
        rest.copy_from_slice(&block[..rest.len()]);
    }
}

/// What vectors are stored as.
trait Integer {}
impl Integer for u8 {}
impl Integer for i16 {}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &Vector) -> __m256i {
    // SAFETY: the array has the 32 bytes of a vector.
    unsafe { _mm256_loadu_si256(words.0.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store<T: Integer, const N: usize>(to: &mut [T; N], vector: __m256i) {
    const { assert!(size_of::<T>() * N == 32) };
    // SAFETY: the array has the 32 bytes of a vector; any are an integer.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) };
}
