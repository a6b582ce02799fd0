//! The inner loops of a resize for AVX2. The same sums as in `portable`, so the same bytes.
//!
//! Memory is only touched through slices, whose bounds are checked; nothing here is `unsafe` but the call from a function
//! that does not know that the processor has AVX2.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi32, _mm_setr_epi8,
    _mm_shuffle_epi8, _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm_unpacklo_epi64, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_set1_epi32, _mm256_setr_m128i, _mm256_srai_epi32,
};

use super::WEIGHT_BITS;
use super::weights::Weights;

const HALF: i32 = 1 << (WEIGHT_BITS - 1);
const SHIFT: i32 = WEIGHT_BITS.cast_signed();

/// One row of RGBX pixels to the width that `columns` has weights for.
#[target_feature(enable = "avx2")]
pub(super) fn resize_row(source: &[u8], columns: &Weights, out: &mut [u8]) {
    let (first, weights) = columns.parts();
    let taps = columns.taps();
    let mut fours = out.chunks_exact_mut(16);
    let groups = first.chunks_exact(4).zip(weights.chunks_exact(taps * 4));
    for ((first, weights), four) in groups.zip(&mut fours) {
        // In this order, so that packing within 128-bit lanes leaves the four in order.
        let even = two_pixels(
            source,
            [first[0], first[2]],
            [&weights[..taps], &weights[taps * 2..taps * 3]],
        );
        let odd = two_pixels(
            source,
            [first[1], first[3]],
            [&weights[taps..taps * 2], &weights[taps * 3..]],
        );
        let words = _mm256_packs_epi32(even, odd);
        let bytes = _mm256_packus_epi16(words, words);
        let low = _mm_cvtsi128_si64(_mm256_castsi256_si128(bytes));
        let high = _mm_cvtsi128_si64(_mm256_extracti128_si256::<1>(bytes));
        four[..8].copy_from_slice(&low.to_le_bytes());
        four[8..].copy_from_slice(&high.to_le_bytes());
    }
    let done = first.len() / 4 * 4;
    let rest = fours.into_remainder().chunks_exact_mut(4);
    for ((&first, weights), pixel) in first[done..]
        .iter()
        .zip(weights[done * taps..].chunks_exact(taps))
        .zip(rest)
    {
        let sums = two_pixels(source, [first, first], [weights, weights]);
        let words = _mm256_packs_epi32(sums, sums);
        let bytes = _mm_cvtsi128_si64(_mm256_castsi256_si128(_mm256_packus_epi16(words, words)));
        pixel.copy_from_slice(&bytes.to_le_bytes()[..4]);
    }
}

/// The rounded sums of two output pixels, four channels each.
#[target_feature(enable = "avx2")]
#[inline]
fn two_pixels(source: &[u8], first: [u32; 2], weights: [&[i16]; 2]) -> __m256i {
    // Brings the same channel of two neighbouring pixels together.
    let interleave = _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
    let mut sums = _mm256_set1_epi32(HALF);
    let mut at = [first[0] as usize * 4, first[1] as usize * 4];
    for (left, right) in weights[0].chunks_exact(2).zip(weights[1].chunks_exact(2)) {
        let pixels = _mm_unpacklo_epi64(load_eight(source, at[0]), load_eight(source, at[1]));
        let words = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(pixels, interleave));
        let pair = _mm256_setr_m128i(_mm_set1_epi32(pair_of(left)), _mm_set1_epi32(pair_of(right)));
        sums = _mm256_add_epi32(sums, _mm256_madd_epi16(words, pair));
        at = at.map(|at| at + 8);
    }
    _mm256_srai_epi32::<SHIFT>(sums)
}

/// Several rows to one, each with its weight.
#[target_feature(enable = "avx2")]
pub(super) fn mix_rows(rows: &[&[u8]], weights: &[i16], out: &mut [u8]) {
    let whole = out.len() / 16 * 16;
    for at in (0..whole).step_by(16) {
        let mut low = _mm256_set1_epi32(HALF);
        let mut high = low;
        for (rows, weights) in rows.chunks(2).zip(weights.chunks(2)) {
            let upper = load_sixteen(rows[0], at);
            // A row without a partner is its own, with no weight.
            let lower = load_sixteen(rows[rows.len() - 1], at);
            let pair = _mm256_set1_epi32(pair_of(weights));
            let first = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(upper, lower));
            let last = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(upper, lower));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(first, pair));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(last, pair));
        }
        let words = _mm256_packs_epi32(_mm256_srai_epi32::<SHIFT>(low), _mm256_srai_epi32::<SHIFT>(high));
        let bytes = _mm256_packus_epi16(words, words);
        // Lane 0 holds bytes 0..4 and 8..12, lane 1 holds 4..8 and 12..16.
        let left = _mm_cvtsi128_si64(_mm256_castsi256_si128(bytes)).cast_unsigned();
        let right = _mm_cvtsi128_si64(_mm256_extracti128_si256::<1>(bytes)).cast_unsigned();
        let first = (left & 0xffff_ffff) | (right << 32);
        let last = (left >> 32) | (right & 0xffff_ffff_0000_0000);
        out[at..at + 8].copy_from_slice(&first.to_le_bytes());
        out[at + 8..at + 16].copy_from_slice(&last.to_le_bytes());
    }
    if whole < out.len() {
        let rest = std::array::from_fn::<&[u8], { super::MOST_ROWS }, _>(|tap| {
            rows.get(tap).map_or(&[][..], |row| &row[whole..])
        });
        super::portable::mix_rows(&rest[..rows.len()], weights, &mut out[whole..]);
    }
}

/// Two weights as the two halves of 32 bits; a missing one is zero.
#[inline]
fn pair_of(weights: &[i16]) -> i32 {
    let second = weights.get(1).copied().unwrap_or(0);
    (i32::from(second) << 16) | i32::from(weights[0].cast_unsigned())
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
fn load_sixteen(bytes: &[u8], at: usize) -> __m128i {
    let (mut low, mut high) = ([0; 8], [0; 8]);
    low.copy_from_slice(&bytes[at..at + 8]);
    high.copy_from_slice(&bytes[at + 8..at + 16]);
    _mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low))
}
