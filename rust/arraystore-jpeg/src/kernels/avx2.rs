//! AVX2.

mod pixels;
mod transform;

use std::arch::x86_64::{__m256i, _mm256_load_si256, _mm256_set1_epi32};

pub(super) use pixels::{pair_up, row};
pub(crate) use transform::Factors;
pub(super) use transform::transform;

/// Bytes of a vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Bytes([u8; 32]);

impl Bytes {
    /// Both lanes alike.
    const fn repeated(lane: [u8; 16]) -> Self {
        Self::of_lanes([lane, lane])
    }

    const fn of_lanes(lanes: [[u8; 16]; 2]) -> Self {
        let mut bytes = [0; 32];
        let mut at = 0;
        while at < 32 {
            bytes[at] = lanes[at / 16][at % 16];
            at += 1;
        }
        Self(bytes)
    }
}

/// In a shuffle: a byte of zero.
const NONE: u8 = 0x80;

#[inline]
#[target_feature(enable = "avx2")]
fn bytes(bytes: &Bytes) -> __m256i {
    // SAFETY: 32 bytes, aligned so.
    unsafe { _mm256_load_si256(bytes.0.as_ptr().cast()) }
}

/// A pair of factors for all pairs of words.
#[inline]
#[target_feature(enable = "avx2")]
fn factors_of(first: i32, second: i32) -> __m256i {
    _mm256_set1_epi32(first & 0xffff | second << 16)
}
