//! The loops of the last stage for AVX-512 with VBMI. The end of a row is done with masks.

use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_mask_permutexvar_epi8, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_setzero_si512, _mm512_storeu_si512,
};

use crate::jpeg::RGB_CHANNELS;

/// Bytes of a vector.
const NBYTES: usize = 64;

/// Pixels that are packed at a time.
const PACKED: usize = 16;

/// As [`super::portable::pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn pack(pixels: &[u8], channels: usize, flip: bool, out: &mut [u8]) {
    let count = (pixels.len() / channels).min(out.len() / RGB_CHANNELS);
    let mut order = pack_order(channels, flip, PACKED);
    for first in (0..count).step_by(PACKED) {
        let some = PACKED.min(count - first);
        if some < PACKED {
            order = pack_order(channels, flip, some);
        }
        let to = if flip { count - first - some } else { first } * RGB_CHANNELS;
        let from = &pixels[first * channels..(first + some) * channels];
        let packed = _mm512_permutexvar_epi8(load(&order), load_some(from));
        store_some(&mut out[to..to + some * RGB_CHANNELS], packed);
    }
}

/// Which byte of `some` pixels goes where.
fn pack_order(channels: usize, flip: bool, some: usize) -> [u8; NBYTES] {
    std::array::from_fn(|at| {
        let (pixel, channel) = (at / RGB_CHANNELS, at % RGB_CHANNELS);
        let pixel = if flip { some.saturating_sub(pixel + 1) } else { pixel };
        (pixel * channels + channel).to_le_bytes()[0]
    })
}

/// As [`super::portable::split`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn split(pixels: &[u8], mut planes: [&mut [u8]; RGB_CHANNELS]) {
    let orders = ORDERS.map(|order| load(&order));
    for (at, block) in pixels.chunks(NBYTES * RGB_CHANNELS).enumerate() {
        let mut vectors = block.chunks(NBYTES).map(|bytes| load_some(bytes));
        let [first, second, third] = std::array::from_fn(|_| vectors.next().unwrap_or(_mm512_setzero_si512()));
        let count = block.len() / RGB_CHANNELS;
        for ((plane, &order), &from_third) in planes.iter_mut().zip(&orders).zip(&FROM_THIRD) {
            let vector = _mm512_permutex2var_epi8(first, order, second);
            let vector = _mm512_mask_permutexvar_epi8(vector, from_third, order, third);
            store_some(&mut plane[at * NBYTES..at * NBYTES + count], vector);
        }
    }
}

/// For each plane, the bytes of 64 pixels that belong to it.
const ORDERS: [[u8; NBYTES]; RGB_CHANNELS] = {
    let mut orders = [[0; NBYTES]; RGB_CHANNELS];
    let mut at = 0;
    while at < NBYTES * RGB_CHANNELS {
        orders[at % RGB_CHANNELS][at / RGB_CHANNELS] = at.to_le_bytes()[0];
        at += 1;
    }
    orders
};

/// For each plane, which of [`ORDERS`] are of the third vector.
const FROM_THIRD: [u64; RGB_CHANNELS] = {
    let mut masks = [0; RGB_CHANNELS];
    let mut at = 2 * NBYTES;
    while at < NBYTES * RGB_CHANNELS {
        masks[at % RGB_CHANNELS] |= 1 << (at / RGB_CHANNELS);
        at += 1;
    }
    masks
};

/// A mask of so many bits, of the 64.
fn low_bits(count: usize) -> u64 {
    if count < NBYTES { (1 << count) - 1 } else { u64::MAX }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; NBYTES]) -> __m512i {
    // SAFETY: the array has the bytes of a vector.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The first bytes, at most those of a vector.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn load_some(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask has no bit behind the end of the slice, and nothing is read where it has none.
    unsafe { _mm512_maskz_loadu_epi8(low_bits(bytes.len()), bytes.as_ptr().cast()) }
}

/// As many bytes of a vector as there is room for.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn store_some(to: &mut [u8], vector: __m512i) {
    if let Some(to) = to.first_chunk_mut::<NBYTES>() {
        // SAFETY: the array has the bytes of a vector.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) };
    } else {
        // SAFETY: the mask has no bit behind the end of the slice, and nothing is written where it has none.
        unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), low_bits(to.len()), vector) };
    }
}
