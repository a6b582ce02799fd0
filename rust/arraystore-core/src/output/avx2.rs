//! The last stage for AVX2: four pixels of RGBX to twelve bytes of RGB at a time, in order or mirrored.
//!
//! Memory is only touched through slices, whose bounds are checked.

use std::arch::x86_64::{_mm_cvtsi128_si64, _mm_extract_epi32, _mm_set_epi64x, _mm_setr_epi8, _mm_shuffle_epi8};

/// One row of as many pixels as `line` has.
#[target_feature(enable = "avx2")]
pub(super) fn write_rgb(line: &mut [u8], pixels: &[u8], flip: bool) {
    let order = if flip {
        _mm_setr_epi8(12, 13, 14, 8, 9, 10, 4, 5, 6, 0, 1, 2, -1, -1, -1, -1)
    } else {
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1)
    };
    let (fours, rest) = pixels.as_chunks::<16>();
    let rest_nbytes = rest.len() / 4 * 3;
    let (out_rest, out_fours) = if flip {
        line.split_at_mut(rest_nbytes)
    } else {
        let at = line.len() - rest_nbytes;
        let (fours, rest) = line.split_at_mut(at);
        (rest, fours)
    };
    let write = |(out, four): (&mut [u8; 12], &[u8; 16])| {
        let both = u128::from_le_bytes(*four);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let rgb = _mm_shuffle_epi8(_mm_set_epi64x((both >> 64) as i64, both as i64), order);
        out[..8].copy_from_slice(&_mm_cvtsi128_si64(rgb).to_le_bytes());
        out[8..].copy_from_slice(&_mm_extract_epi32::<2>(rgb).to_le_bytes());
    };
    let (out_fours, _) = out_fours.as_chunks_mut::<12>();
    if flip {
        out_fours.iter_mut().rev().zip(fours).for_each(write);
    } else {
        out_fours.iter_mut().zip(fours).for_each(write);
    }
    super::write_pixels(out_rest, rest, flip, &|_, byte| byte);
}
