//! Four pixels at a time, however far apart they are in the source: twelve of the sixteen words of a vector, two pixels in
//! each half. Two neighbouring source pixels are read for each with one load.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si64, _mm_setr_epi8, _mm_storeu_si128, _mm_unpacklo_epi64, _mm256_add_epi16,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_mulhrs_epi16,
    _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_xor_si256,
};

use super::super::weights::Weights;
use super::super::{CHANNELS, ROWS_AT_ONCE, Strip};
use super::{Vector, load, store};

/// Output pixels at a time.
const PIXELS: usize = 4;

/// Source pixels that are read at once.
const PAIR: usize = 2;

/// Bytes that are read at once.
const LOAD_NBYTES: usize = 8;

/// Words that are written at once: some behind the pixels that they are for.
const STORE: usize = 8;

/// The weights of the columns, as the loop below wants them.
#[derive(Debug, Default)]
pub(super) struct Table {
    channels: usize,
    taps: usize,
    /// First source byte of each output pixel.
    first: Vec<[u32; PIXELS]>,
    /// For each four output pixels, a vector for each tap.
    vectors: Vec<Vector>,
    /// Bytes of a source row that may be read.
    reach: usize,
}

impl Table {
    /// From the weights of `target` columns.
    #[target_feature(enable = "avx2")]
    pub(super) fn fill(&mut self, weights: &Weights, target: usize, channels: usize) {
        let groups = target.div_ceil(PIXELS);
        let (firsts, _) = weights.first().as_chunks::<PIXELS>();
        let firsts = &firsts[..groups];
        let most = firsts.iter().flatten().max().map_or(0, |&most| most as usize);
        self.channels = channels;
        self.taps = weights.taps();
        self.reach = (most + self.taps.next_multiple_of(PAIR)) * channels + LOAD_NBYTES;
        self.first.clear();
        let bytes = |first: &[u32; PIXELS]| first.map(|first| first * u32::from(channels.to_le_bytes()[0]));
        self.first.extend(firsts.iter().map(bytes));
        self.vectors.resize(groups * self.taps, Vector::default());
        let spread = _mm256_set_m128i(
            _mm_setr_epi8(4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, -1, -1, -1, -1),
            _mm_setr_epi8(0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, -1, -1, -1, -1),
        );
        for tap in 0..self.taps {
            let (fours, _) = weights.tap(tap).as_chunks::<PIXELS>();
            for (vector, four) in self.vectors[tap..].iter_mut().step_by(self.taps).zip(fours) {
                let [a, b, c, d] = four.map(|weight| u64::from(weight.cast_unsigned()));
                let four = _mm256_set1_epi64x((a | b << 16 | c << 32 | d << 48).cast_signed());
                store(&mut vector.0, _mm256_shuffle_epi8(four, spread));
            }
        }
    }

    /// Some rows to the width that the table is for.
    #[target_feature(enable = "avx2")]
    pub(super) fn resize_rows(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        if source.rows == ROWS_AT_ONCE {
            return self.resize_some::<ROWS_AT_ONCE>(source, out, out_stride);
        }
        for (row, out) in out.chunks_exact_mut(out_stride).enumerate().take(source.rows) {
            self.resize_some::<1>(source.row(row), out, out_stride);
        }
    }

    #[target_feature(enable = "avx2")]
    fn resize_some<const ROWS: usize>(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        match self.taps {
            2 => self.resize_with::<ROWS, 2>(source, out, out_stride),
            3 => self.resize_with::<ROWS, 3>(source, out, out_stride),
            4 => self.resize_with::<ROWS, 4>(source, out, out_stride),
            _ => self.resize_with::<ROWS, 0>(source, out, out_stride),
        }
    }

    /// `ROWS` rows; `TAPS` is the number of taps, or 0 for any.
    #[target_feature(enable = "avx2")]
    fn resize_with<const ROWS: usize, const TAPS: usize>(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        let taps = if TAPS == 0 { self.taps } else { TAPS };
        let groups = self.first.len();
        assert!(taps == self.taps && self.vectors.len() == groups * taps);
        assert!(source.pixels.len() >= (ROWS - 1) * source.stride + self.reach);
        assert!(out_stride >= groups * PIXELS * CHANNELS + STORE && out.len() >= ROWS * out_stride);
        let first_tap = _mm_setr_epi8(-1, 0, -1, 1, -1, 2, -1, 8, -1, 9, -1, 10, -1, -1, -1, -1);
        let second_tap = if self.channels == CHANNELS {
            _mm_setr_epi8(-1, 3, -1, 4, -1, 5, -1, 11, -1, 12, -1, 13, -1, -1, -1, -1)
        } else {
            _mm_setr_epi8(-1, 4, -1, 5, -1, 6, -1, 12, -1, 13, -1, 14, -1, -1, -1, -1)
        };
        let (first_tap, second_tap) = (
            _mm256_broadcastsi128_si256(first_tap),
            _mm256_broadcastsi128_si256(second_tap),
        );
        let middle = _mm256_set1_epi8(i8::MIN);
        for (group, (first, vectors)) in self.first.iter().zip(self.vectors.chunks_exact(taps)).enumerate() {
            let mut sums = [_mm256_setzero_si256(); ROWS];
            for tap in (0..taps).step_by(PAIR) {
                for (row, sum) in sums.iter_mut().enumerate() {
                    let offset = row * source.stride + tap * self.channels;
                    // SAFETY: `reach` was computed from these positions and `taps`; the last row has so many bytes.
                    let pixels = unsafe { load_pairs(source.pixels, first, offset) };
                    let pixels = _mm256_xor_si256(pixels, middle);
                    let values = _mm256_shuffle_epi8(pixels, first_tap);
                    *sum = _mm256_add_epi16(*sum, _mm256_mulhrs_epi16(values, load(&vectors[tap])));
                    if tap + 1 < taps {
                        let values = _mm256_shuffle_epi8(pixels, second_tap);
                        *sum = _mm256_add_epi16(*sum, _mm256_mulhrs_epi16(values, load(&vectors[tap + 1])));
                    }
                }
            }
            for (row, &sum) in sums.iter().enumerate() {
                // SAFETY: a row of `out` has room for `STORE` words behind the last group. The second half covers the words
                // without meaning of the first, as the next group does those of the second.
                unsafe {
                    let to = out.as_mut_ptr().add(row * out_stride + group * PIXELS * CHANNELS);
                    _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(sum));
                    let to = to.add(PAIR * CHANNELS);
                    _mm_storeu_si128(to.cast(), _mm256_extracti128_si256::<1>(sum));
                }
            }
        }
    }
}

/// Eight bytes at `offset` behind each of four positions.
///
/// # Safety
///
/// `source` has [`LOAD_NBYTES`] bytes at each of them.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn load_pairs(source: &[u8], first: &[u32; PIXELS], offset: usize) -> __m256i {
    let at = |first: u32| {
        // SAFETY: as the caller promises.
        unsafe { _mm_loadu_si64(source.as_ptr().add(first as usize + offset)) }
    };
    let two = |a: u32, b: u32| -> __m128i { _mm_unpacklo_epi64(at(a), at(b)) };
    _mm256_set_m128i(two(first[2], first[3]), two(first[0], first[1]))
}
