//! The inner loops of a resize for AVX2. The same sums as in `portable`, so the same bytes.
//!
//! Memory is only touched through slices, whose bounds are checked; nothing here is `unsafe` but the call from a function
//! that does not know that the processor has AVX2. The loops are compiled for each small number of taps: 2 to enlarge, 4
//! to shrink by up to 1.5, and so on.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_packs_epi32, _mm256_packus_epi16,
    _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setr_epi64x, _mm256_srai_epi32,
};

use super::weights::{WeightVector, Weights};
use super::{WEIGHT_BITS, portable};

const HALF: i32 = 1 << (WEIGHT_BITS - 1);
const SHIFT: i32 = WEIGHT_BITS.cast_signed();

/// One row of RGBX pixels to the width that `columns` has weights for.
#[target_feature(enable = "avx2")]
pub(super) fn resize_row(source: &[u8], columns: &Weights, out: &mut [u8]) {
    match columns.taps() {
        2 => resize_row_with::<2>(source, columns, out),
        4 => resize_row_with::<4>(source, columns, out),
        6 => resize_row_with::<6>(source, columns, out),
        8 => resize_row_with::<8>(source, columns, out),
        _ => portable::resize_row(source, columns, out),
    }
}

#[target_feature(enable = "avx2")]
fn resize_row_with<const TAPS: usize>(source: &[u8], columns: &Weights, out: &mut [u8]) {
    let (first, weights) = columns.parts();
    let (first_fours, first_rest) = first.as_chunks::<4>();
    let (out_fours, out_rest) = out.as_chunks_mut::<16>();
    let vectors = columns.vectors().chunks_exact(TAPS);
    for ((first, vectors), four) in first_fours.iter().zip(vectors).zip(out_fours) {
        // In this order, so that packing within 128-bit lanes leaves the four in order.
        let (even, odd) = vectors.split_at(TAPS / 2);
        let even = two_pixels::<TAPS>(source, [first[0], first[2]], even);
        let odd = two_pixels::<TAPS>(source, [first[1], first[3]], odd);
        *four = low_bytes(_mm256_packs_epi32(even, odd));
    }
    let done = first.len() - first_rest.len();
    portable::resize_pixels(source, first_rest, &weights[done * TAPS..], TAPS, out_rest);
}

/// The rounded sums of two output pixels, four channels each.
#[target_feature(enable = "avx2")]
#[inline]
fn two_pixels<const TAPS: usize>(source: &[u8], first: [u32; 2], weights: &[WeightVector]) -> __m256i {
    // Brings the same channel of two neighbouring pixels together.
    let interleave = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    let taps = |first: u32| &source[first as usize * 4..first as usize * 4 + TAPS * 4];
    let (left, right) = (taps(first[0]), taps(first[1]));
    let mut sums = _mm256_set1_epi32(HALF);
    for (pair, weights) in weights.iter().enumerate().take(TAPS / 2) {
        let pixels = _mm_unpacklo_epi64(load_eight(left, pair * 8), load_eight(right, pair * 8));
        let words = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(pixels, interleave));
        let weights = _mm256_setr_epi64x(weights[0], weights[1], weights[2], weights[3]);
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(words, weights));
    }
    _mm256_srai_epi32::<SHIFT>(sums)
}

/// Several rows to one, each with its weight.
#[target_feature(enable = "avx2")]
pub(super) fn mix_rows(rows: &[&[u8]], weights: &[i16], out: &mut [u8]) {
    match rows.len() {
        1 => mix_rows_of::<1>(rows, weights, out),
        2 => mix_rows_of::<2>(rows, weights, out),
        3 => mix_rows_of::<3>(rows, weights, out),
        4 => mix_rows_of::<4>(rows, weights, out),
        5 => mix_rows_of::<5>(rows, weights, out),
        6 => mix_rows_of::<6>(rows, weights, out),
        _ => portable::mix_rows(rows, weights, out),
    }
}

#[target_feature(enable = "avx2")]
fn mix_rows_of<const ROWS: usize>(rows: &[&[u8]], weights: &[i16], out: &mut [u8]) {
    let whole = out.len() / 16;
    let blocks: [&[[u8; 16]]; ROWS] = std::array::from_fn(|tap| &rows[tap].as_chunks().0[..whole]);
    let weights: [i16; ROWS] = std::array::from_fn(|tap| weights[tap]);
    for at in 0..whole {
        let mut low = _mm256_set1_epi32(HALF);
        let mut high = low;
        for tap in (0..ROWS).step_by(2) {
            // A row without a partner is its own, with no weight.
            let partner = (tap + 1).min(ROWS - 1);
            let weight = if partner > tap { weights[partner] } else { 0 };
            let pair = _mm256_set1_epi32(pair_of(weights[tap], weight));
            let (upper, lower) = (load_sixteen(&blocks[tap][at]), load_sixteen(&blocks[partner][at]));
            let first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(upper, lower));
            let last = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(upper, lower));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(first, pair));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(last, pair));
        }
        let words = _mm256_packs_epi32(_mm256_srai_epi32::<SHIFT>(low), _mm256_srai_epi32::<SHIFT>(high));
        // The 64-bit quarters come out of the packing as 0, 2, 1, 3.
        let bytes = low_bytes(_mm256_permute4x64_epi64::<0b11_01_10_00>(words));
        out[at * 16..at * 16 + 16].copy_from_slice(&bytes);
    }
    let rest: [&[u8]; ROWS] = std::array::from_fn(|tap| &rows[tap][whole * 16..]);
    portable::mix_rows(&rest, &weights, &mut out[whole * 16..]);
}

/// Sixteen words to bytes, in order.
#[target_feature(enable = "avx2")]
#[inline]
fn low_bytes(words: __m256i) -> [u8; 16] {
    let bytes = _mm256_packus_epi16(words, words);
    let low = _mm_cvtsi128_si64(_mm256_castsi256_si128(bytes)).cast_unsigned();
    let high = _mm_cvtsi128_si64(_mm256_extracti128_si256::<1>(bytes)).cast_unsigned();
    ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
}

/// Two weights as the two halves of 32 bits.
#[inline]
fn pair_of(first: i16, second: i16) -> i32 {
    (i32::from(second) << 16) | i32::from(first.cast_unsigned())
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_eight(bytes: &[u8], at: usize) -> __m128i {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    _mm_cvtsi64_si128(i64::from_le_bytes(eight))
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_sixteen(bytes: &[u8; 16]) -> __m128i {
    let both = u128::from_le_bytes(*bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    _mm_set_epi64x((both >> 64) as i64, both as i64)
}
