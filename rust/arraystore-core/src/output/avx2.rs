//! The loops of the last stage for AVX2 and FMA.
//!
//! Pixels are moved sixteen bytes at a time, through arrays whose bounds are checked; what is left at the end of a row is
//! done in plain Rust.

use std::arch::x86_64::{
    __m128i, __m256, _mm_loadu_si64, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128,
    _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_storeu_ps,
};

use super::normalise::{LANES, Line};
use super::portable;
use crate::jpeg::{RGB_CHANNELS, RGBX_CHANNELS};

/// Bytes of a vector of pixels.
const NBYTES: usize = 16;

/// Pixels that are packed at a time.
const PACKED: usize = 4;

/// As [`portable::pack`].
#[target_feature(enable = "avx2")]
pub(super) fn pack(pixels: &[u8], channels: usize, flip: bool, out: &mut [u8]) {
    let order = match (channels == RGBX_CHANNELS, flip) {
        (true, false) => _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1),
        (true, true) => _mm_setr_epi8(12, 13, 14, 8, 9, 10, 4, 5, 6, 0, 1, 2, -1, -1, -1, -1),
        (false, false) => _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1, -1, -1),
        (false, true) => _mm_setr_epi8(9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, -1, -1, -1, -1),
    };
    let step = PACKED * channels;
    // As many as have all the bytes of a vector.
    let fours = (pixels.len() + step).saturating_sub(NBYTES) / step;
    let rest = &pixels[fours * step..];
    let packed = fours * PACKED * RGB_CHANNELS;
    let (out_rest, out_fours) = if flip {
        out.split_at_mut(out.len() - packed)
    } else {
        let (fours, rest) = out.split_at_mut(packed);
        (rest, fours)
    };
    let (out_fours, _) = out_fours.as_chunks_mut::<{ PACKED * RGB_CHANNELS }>();
    let write = |at: usize, out: &mut [u8; PACKED * RGB_CHANNELS]| {
        let mut bytes = [0; NBYTES];
        bytes.copy_from_slice(&pixels[at * step..at * step + NBYTES]);
        let mut packed = [0; NBYTES];
        store(&mut packed, _mm_shuffle_epi8(load(&bytes), order));
        out.copy_from_slice(&packed[..PACKED * RGB_CHANNELS]);
    };
    if flip {
        out_fours
            .iter_mut()
            .rev()
            .enumerate()
            .for_each(|(at, out)| write(at, out));
    } else {
        out_fours.iter_mut().enumerate().for_each(|(at, out)| write(at, out));
    }
    portable::pack(rest, channels, flip, out_rest);
}

/// As [`portable::split`].
#[target_feature(enable = "avx2")]
pub(super) fn split(pixels: &[u8], planes: [&mut [u8]; RGB_CHANNELS]) {
    // For each plane and each of three vectors of pixels: which byte goes where.
    let orders: [[__m128i; RGB_CHANNELS]; RGB_CHANNELS] = ORDERS.map(|orders| orders.map(|order| load(&order)));
    let (blocks, rest) = pixels.as_chunks::<{ NBYTES * RGB_CHANNELS }>();
    let done = blocks.len() * NBYTES;
    let mut rests: [&mut [u8]; RGB_CHANNELS] = Default::default();
    for ((plane, orders), out_rest) in planes.into_iter().zip(&orders).zip(&mut rests) {
        let (out, rest) = plane.split_at_mut(done);
        *out_rest = rest;
        for (out, block) in out.as_chunks_mut::<NBYTES>().0.iter_mut().zip(blocks) {
            let (vectors, _) = block.as_chunks::<NBYTES>();
            let part = |at: usize| _mm_shuffle_epi8(load(&vectors[at]), orders[at]);
            store(out, _mm_or_si128(_mm_or_si128(part(0), part(1)), part(2)));
        }
    }
    portable::split(rest, rests);
}

/// Orders of [`split`]: 0x80 where a byte comes from another vector.
const ORDERS: [[[u8; NBYTES]; RGB_CHANNELS]; RGB_CHANNELS] = {
    let mut orders = [[[0x80; NBYTES]; RGB_CHANNELS]; RGB_CHANNELS];
    let mut at = 0;
    while at < NBYTES * RGB_CHANNELS {
        orders[at % RGB_CHANNELS][at / NBYTES][at / RGB_CHANNELS] = at.to_le_bytes()[0] % 16;
        at += 1;
    }
    orders
};

/// Bytes to floats along `lines`, which are of one vector or of three in turn; returns how many: all but what does not fill
/// a vector.
#[target_feature(enable = "avx2,fma")]
pub(super) fn normalise(bytes: &[u8], out: &mut [f32], lines: &[Line]) -> usize {
    match *lines {
        [ref line] => normalise_along(bytes, out, std::array::from_ref(line)),
        [..] => lines
            .first_chunk()
            .map_or(0, |lines: &[_; RGB_CHANNELS]| normalise_along(bytes, out, lines)),
    }
}

#[target_feature(enable = "avx2,fma")]
fn normalise_along<const PERIOD: usize>(bytes: &[u8], out: &mut [f32], lines: &[Line; PERIOD]) -> usize {
    let (bytes, _) = bytes.as_chunks::<LANES>();
    let (out, _) = out.as_chunks_mut::<LANES>();
    for (bytes, out) in bytes.chunks(PERIOD).zip(out.chunks_mut(PERIOD)) {
        for ((bytes, out), line) in bytes.iter().zip(out).zip(lines) {
            // SAFETY: the array has the eight bytes that are read.
            let integers = _mm256_cvtepu8_epi32(unsafe { _mm_loadu_si64(bytes.as_ptr()) });
            let values = _mm256_cvtepi32_ps(integers);
            let coarse = _mm256_fmadd_ps(values, floats(&line.coarse_factors), floats(&line.coarse_offsets));
            let fine = _mm256_fmadd_ps(values, floats(&line.fine_factors), floats(&line.fine_offsets));
            // SAFETY: the array has the 32 bytes of a vector.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_add_ps(coarse, fine)) };
        }
    }
    bytes.len() * LANES
}

#[target_feature(enable = "avx2")]
#[inline]
fn floats(values: &[f32; LANES]) -> __m256 {
    // SAFETY: the array has the 32 bytes of a vector.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; NBYTES]) -> __m128i {
    // SAFETY: the array has the bytes of a vector.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(to: &mut [u8; NBYTES], vector: __m128i) {
    // SAFETY: the array has the bytes of a vector.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), vector) };
}
