//! The inner loops of a resize for AVX-512 with VBMI. The same sums as in `portable`, so the same bytes.
//!
//! A row is resized 32 samples (ten pixels and two thirds) at a time. The source pixels that these depend on lie within 64
//! bytes, or within 128 where the row is much shortened; one permutation for each tap brings them where they are needed.
//! Several rows are worked on together, so that positions and weights are loaded once for all of them.

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_add_epi16, _mm512_castsi256_si512, _mm512_cvtepi32_epi16, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_maskz_permutex2var_epi8, _mm512_maskz_permutexvar_epi8, _mm512_mulhrs_epi16,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi16, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_slli_epi16, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_xor_si512,
};

use super::weights::{PADDING, Weights};
use super::{CHANNELS, ROWS_AT_ONCE, Strip, TO_BYTE};

/// Samples of a row that are resized at a time.
const SAMPLES: usize = 32;

/// Bytes of a vector.
const NBYTES: usize = 64;

/// Samples that are mixed at a time.
const BLOCK: usize = 64;

/// The high byte of each word: that of a sample.
const HIGH_BYTES: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// One value for each sample of a group, in one line of the cache.
#[derive(Debug, Default, Clone, Copy)]
#[repr(align(64))]
struct Vector<T>([T; SAMPLES]);

/// The weights of the columns, as the loop below wants them.
#[derive(Debug, Default)]
pub(super) struct Table {
    channels: usize,
    taps: usize,
    /// For each group of samples, the first source byte that is loaded.
    bases: Vec<usize>,
    /// For each group, where the first tap of each sample is, counted from its base, in the high byte.
    positions: Vec<Vector<u16>>,
    /// For each group, the weights of each tap.
    vectors: Vec<Vector<i16>>,
    /// Bytes of a source row that may be read.
    reach: usize,
    /// Whether all positions are below 64.
    is_near: bool,
}

/// For a group that begins at channel `phase`: which pixel each sample belongs to, counted from that of the first, and
/// which channel it is.
#[expect(clippy::cast_possible_truncation, reason = "less than 32")]
const fn pixels_of(phase: usize) -> ([u16; SAMPLES], [u16; SAMPLES]) {
    let (mut pixels, mut channels) = ([0; SAMPLES], [0; SAMPLES]);
    let mut at = 0;
    while at < SAMPLES {
        pixels[at] = ((phase + at) / CHANNELS) as u16;
        channels[at] = ((phase + at) % CHANNELS) as u16;
        at += 1;
    }
    (pixels, channels)
}

const PHASES: [([u16; SAMPLES], [u16; SAMPLES]); CHANNELS] = [pixels_of(0), pixels_of(1), pixels_of(2)];

impl Table {
    /// From the weights of `target` columns; returns whether the pixels are near enough to each other for it.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn fill(&mut self, weights: &Weights, target: usize, channels: usize) -> bool {
        let groups = (target * CHANNELS).div_ceil(SAMPLES);
        self.channels = channels;
        self.taps = weights.taps();
        self.bases.resize(groups, 0);
        self.positions.resize(groups, Vector::default());
        self.vectors.resize(groups * self.taps, Vector::default());
        let first = weights.first();
        let mut farthest = 0;
        self.reach = 0;
        for (at, (base, positions)) in self.bases.iter_mut().zip(&mut self.positions).enumerate() {
            let pixel = at * SAMPLES / CHANNELS;
            let (pixels, channel) = &PHASES[at * SAMPLES % CHANNELS];
            let last = (pixel + usize::from(pixels[SAMPLES - 1])).min(target - 1);
            // In the other order where the image is mirrored.
            let (low, high) = (first[pixel].min(first[last]), first[pixel].max(first[last]));
            *base = low as usize * channels;
            farthest = farthest.max((high - low) as usize);
            self.reach = self.reach.max(*base);
            let nearby = sixteen(&first[pixel..]);
            let behind = _mm512_sub_epi32(load(&nearby), _mm512_set1_epi32(low.cast_signed()));
            let behind = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(behind));
            let behind = _mm512_permutexvar_epi16(load(pixels), behind);
            // Times 3 or 4.
            let twice = _mm512_add_epi16(behind, behind);
            let more = if channels == CHANNELS { behind } else { twice };
            let bytes = _mm512_add_epi16(_mm512_add_epi16(twice, more), load(channel));
            store(&mut positions.0, _mm512_slli_epi16::<8>(bytes));
        }
        let span = (farthest + self.taps) * channels;
        self.is_near = span <= NBYTES;
        self.reach += if self.is_near { NBYTES } else { 2 * NBYTES };
        for tap in 0..self.taps {
            let values = weights.tap(tap);
            for (at, vector) in self.vectors[tap..].iter_mut().step_by(self.taps).enumerate() {
                let (pixels, _) = &PHASES[at * SAMPLES % CHANNELS];
                let nearby: [i16; PADDING] = sixteen(&values[at * SAMPLES / CHANNELS..]);
                // SAFETY: the array has the 32 bytes of a vector.
                let nearby = unsafe { _mm256_loadu_si256(nearby.as_ptr().cast()) };
                store(
                    &mut vector.0,
                    _mm512_permutexvar_epi16(load(pixels), _mm512_castsi256_si512(nearby)),
                );
            }
        }
        span <= 2 * NBYTES
    }

    /// Some rows to the width that the table is for.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn resize_rows(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        if source.rows == ROWS_AT_ONCE {
            return self.resize_some::<ROWS_AT_ONCE>(source, out, out_stride);
        }
        for (row, out) in out.chunks_exact_mut(out_stride).enumerate().take(source.rows) {
            self.resize_some::<1>(source.row(row), out, out_stride);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn resize_some<const ROWS: usize>(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        match (self.taps, self.is_near) {
            (2, true) => self.resize_with::<ROWS, 2, true>(source, out, out_stride),
            (3, true) => self.resize_with::<ROWS, 3, true>(source, out, out_stride),
            (_, true) => self.resize_with::<ROWS, 0, true>(source, out, out_stride),
            (3, false) => self.resize_with::<ROWS, 3, false>(source, out, out_stride),
            (4, false) => self.resize_with::<ROWS, 4, false>(source, out, out_stride),
            (_, false) => self.resize_with::<ROWS, 0, false>(source, out, out_stride),
        }
    }

    /// `ROWS` rows; `TAPS` is the number of taps, or 0 for any; with `NEAR`, the pixels lie within one vector.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn resize_with<const ROWS: usize, const TAPS: usize, const NEAR: bool>(
        &self,
        source: Strip<'_>,
        out: &mut [i16],
        out_stride: usize,
    ) {
        let taps = if TAPS == 0 { self.taps } else { TAPS };
        let groups = self.bases.len();
        assert!(taps == self.taps && NEAR == self.is_near);
        assert!(self.positions.len() == groups && self.vectors.len() == groups * taps);
        assert!(source.pixels.len() >= (ROWS - 1) * source.stride + self.reach);
        assert!(out_stride >= groups * SAMPLES && out.len() >= ROWS * out_stride);
        let middle = _mm512_set1_epi8(i8::MIN);
        let step = i16::try_from(self.channels).unwrap_or(0) << 8;
        let step = _mm512_set1_epi16(step);
        let groups = self.bases.iter().zip(&self.positions);
        for (at, ((base, positions), vectors)) in groups.zip(self.vectors.chunks_exact(taps)).enumerate() {
            let mut windows = [[_mm512_setzero_si512(); 2]; ROWS];
            for (row, window) in windows.iter_mut().enumerate() {
                // SAFETY: `reach` is the largest base and the bytes that are loaded there; the last row has so many.
                unsafe {
                    let from = source.pixels.as_ptr().add(row * source.stride + *base);
                    window[0] = _mm512_xor_si512(_mm512_loadu_si512(from.cast()), middle);
                    if !NEAR {
                        window[1] = _mm512_xor_si512(_mm512_loadu_si512(from.add(NBYTES).cast()), middle);
                    }
                }
            }
            let mut sums = [_mm512_setzero_si512(); ROWS];
            let mut position = load(&positions.0);
            for vector in vectors {
                let weights = load(&vector.0);
                for (sum, &[low, high]) in sums.iter_mut().zip(&windows) {
                    let values = if NEAR {
                        _mm512_maskz_permutexvar_epi8(HIGH_BYTES, position, low)
                    } else {
                        _mm512_maskz_permutex2var_epi8(HIGH_BYTES, low, position, high)
                    };
                    *sum = _mm512_add_epi16(*sum, _mm512_mulhrs_epi16(values, weights));
                }
                position = _mm512_add_epi16(position, step);
            }
            for (row, &sum) in sums.iter().enumerate() {
                // SAFETY: a row of `out` has room for all groups.
                unsafe {
                    let to = out.as_mut_ptr().add(row * out_stride + at * SAMPLES);
                    _mm512_storeu_si512(to.cast(), sum);
                }
            }
        }
    }
}

/// Several rows to one of bytes, each with its weight. The rows have values up to the next multiple of [`BLOCK`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn mix_rows_of<const ROWS: usize>(rows: &[&[i16]], weights: &[i16], out: &mut [u8]) {
    let count = if ROWS == 0 { rows.len() } else { ROWS };
    let (rows, weights) = (&rows[..count], &weights[..count]);
    let len = out.len().next_multiple_of(BLOCK);
    assert!(rows.iter().all(|row| row.len() >= len));
    let high_bytes: [u8; BLOCK] = std::array::from_fn(|at| u8::try_from(2 * at + 1).unwrap_or(0));
    let high_bytes = load(&high_bytes);
    let to_byte = _mm512_set1_epi16(TO_BYTE);
    let mix = |at: usize| {
        let (mut low, mut high) = (to_byte, to_byte);
        for (row, &weight) in rows.iter().zip(weights) {
            let weight = _mm512_set1_epi16(weight);
            // SAFETY: every row has `BLOCK` values at `at`, which is less than `len` and a multiple of `BLOCK`.
            let (a, b) = unsafe {
                let from = row.as_ptr().add(at);
                (
                    _mm512_loadu_si512(from.cast()),
                    _mm512_loadu_si512(from.add(BLOCK / 2).cast()),
                )
            };
            low = _mm512_add_epi16(low, _mm512_mulhrs_epi16(a, weight));
            high = _mm512_add_epi16(high, _mm512_mulhrs_epi16(b, weight));
        }
        _mm512_permutex2var_epi8(low, high_bytes, high)
    };
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    let done = blocks.len() * BLOCK;
    for (at, block) in blocks.iter_mut().enumerate() {
        store(block, mix(at * BLOCK));
    }
    if !rest.is_empty() {
        let mask = (1 << rest.len()) - 1;
        // SAFETY: the mask has a bit for each byte of the rest, and no other byte is written.
        unsafe { _mm512_mask_storeu_epi8(rest.as_mut_ptr().cast(), mask, mix(done)) };
    }
}

/// The first sixteen: behind the last that is used, there are as many.
fn sixteen<T: Copy + Default>(values: &[T]) -> [T; PADDING] {
    let mut nearby = [T::default(); PADDING];
    nearby.copy_from_slice(&values[..PADDING]);
    nearby
}

/// What vectors are loaded and stored as.
trait Integer {}
impl Integer for u8 {}
impl Integer for i16 {}
impl Integer for u16 {}
impl Integer for u32 {}

#[target_feature(enable = "avx512f")]
#[inline]
fn load<T: Integer, const N: usize>(from: &[T; N]) -> __m512i {
    const { assert!(size_of::<T>() * N == NBYTES) };
    // SAFETY: the array has the bytes of a vector.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store<T: Integer, const N: usize>(to: &mut [T; N], vector: __m512i) {
    const { assert!(size_of::<T>() * N == NBYTES) };
    // SAFETY: the array has the bytes of a vector; any are an integer.
    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) };
}
