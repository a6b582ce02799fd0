//! AVX-512 (F, BW, VBMI, VNNI).

mod pixels;
mod transform;

use std::arch::asm;
use std::arch::x86_64::{__m512i, _mm512_loadu_si512, _mm512_set1_epi32};

pub(super) use pixels::{pair_up, row};
pub(crate) use transform::Factors;
pub(super) use transform::transform;

/// Bytes of a vector.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Bytes([u8; 64]);

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn bytes(bytes: &Bytes) -> __m512i {
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(bytes.0.as_ptr().cast()) }
}

/// A pair of factors for all pairs of words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn factors_of(first: i32, second: i32) -> __m512i {
    _mm512_set1_epi32(first & 0xffff | second << 16)
}

/// One instruction, that the compiler would make two of, to have the sum a little sooner: there is other work meanwhile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn add_products_of(mut sums: __m512i, pairs: __m512i, factors: __m512i) -> __m512i {
    // SAFETY: the function has the instruction, which does nothing else.
    unsafe {
        asm!(
            "vpdpwssd {sums}, {pairs}, {factors}",
            sums = inout(zmm_reg) sums,
            pairs = in(zmm_reg) pairs,
            factors = in(zmm_reg) factors,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}
