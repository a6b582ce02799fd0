//! From samples to RGB pixels, 64 a step.

use std::arch::x86_64::{
    __m512i, _mm256_loadu_si256, _mm512_add_epi16, _mm512_alignr_epi32, _mm512_castsi256_si512, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_maddubs_epi16, _mm512_mask_blend_epi16, _mm512_mask_permutexvar_epi8,
    _mm512_mask_storeu_epi8, _mm512_mulhrs_epi16, _mm512_packus_epi16, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_slli_epi32,
    _mm512_srai_epi16, _mm512_srai_epi32, _mm512_storeu_si512, _mm512_sub_epi16, _mm512_unpackhi_epi8,
    _mm512_unpacklo_epi8, _mm512_xor_si512, _mm512_zextsi256_si512,
};

use super::super::{Row, parts_of_rows, shares, signs};
use super::{Bytes, bytes, factors_of};
use crate::frame::Sampling;

/// Samples of Cb and Cr side by side, around zero; those behind `count` may be overwritten with anything.
pub(in super::super) fn pair_up(cb: &[u8], cr: &[u8], pairs: &mut [u8], count: usize) {
    let padded = count.next_multiple_of(32);
    assert!(
        cb.len() >= padded && cr.len() >= padded && pairs.len() >= 2 * padded,
        "a row of colour is too short"
    );
    // SAFETY: the processor has the instructions, and the rows have just been measured.
    unsafe { pair_up_padded(cb.as_ptr(), cr.as_ptr(), pairs.as_mut_ptr(), padded) }
}

/// # Safety
///
/// There must be `count` samples, a multiple of 32, and room for as many pairs.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn pair_up_padded(cb: *const u8, cr: *const u8, pairs: *mut u8, count: usize) {
    let middle = _mm512_set1_epi8(i8::MIN);
    for at in (0..count).step_by(32) {
        // SAFETY: the caller promises that there are as many.
        unsafe {
            let both = by_turns(cb.add(at), cr.add(at));
            _mm512_storeu_si512(pairs.add(2 * at).cast(), _mm512_xor_si512(both, middle));
        }
    }
}

/// 32 bytes each, by turns.
///
/// # Safety
///
/// There must be as many.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn by_turns(first: *const u8, second: *const u8) -> __m512i {
    // SAFETY: the caller promises that there are as many bytes.
    let (first, second) = unsafe { (_mm256_loadu_si256(first.cast()), _mm256_loadu_si256(second.cast())) };
    let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second);
    _mm512_permutexvar_epi8(bytes(&SHUFFLES.by_turns), both)
}

/// Pixels of a step.
const STEP: usize = 64;

/// Of 32 bytes that were made 64: one of the zeros behind them.
const ZERO: u8 = 63;

/// How the bytes of vectors become those of pixels.
struct Shuffles {
    /// Even and odd luma of 32 pixels, each to both words of a double word.
    luma: [Bytes; 2],
    /// The bytes of the halves of a vector by turns.
    by_turns: Bytes,
    /// Where the bytes of each of the three vectors of 64 pixels come from: those of green from the green of all, the others
    /// from the blue and red of the 32 pixels that they belong to.
    pixels: [Bytes; 3],
}

/// The bytes of each of the three vectors that are green, and those of the last 32 pixels.
const fn masks() -> ([u64; 3], [u64; 3]) {
    let (mut green, mut last) = ([0; 3], [0; 3]);
    let mut byte = 0;
    while byte < 192 {
        green[byte / 64] |= ((byte % 3 == 1) as u64) << (byte % 64);
        last[byte / 64] |= ((byte >= 96) as u64) << (byte % 64);
        byte += 1;
    }
    (green, last)
}
const GREEN: [u64; 3] = masks().0;
const LAST: [u64; 3] = masks().1;

#[expect(clippy::cast_possible_truncation, reason = "places in a vector")]
static SHUFFLES: Shuffles = {
    let mut all = Shuffles {
        luma: [Bytes([0; 64]); 2],
        by_turns: Bytes([0; 64]),
        pixels: [Bytes([0; 64]); 3],
    };
    let mut byte = 0;
    while byte < 64 {
        let (even, is_low) = (byte / 4 * 2, byte % 2 == 0);
        all.luma[0].0[byte] = if is_low { even as u8 } else { ZERO };
        all.luma[1].0[byte] = if is_low { even as u8 + 1 } else { ZERO };
        all.by_turns.0[byte] = (byte % 2 * 32 + byte / 2) as u8;
        byte += 1;
    }
    let mut byte = 0;
    while byte < 192 {
        let (pixel, channel) = (byte / 3, byte % 3);
        // Blue and red of 32 pixels: in each lane those of four even pixels, then those of four odd ones.
        let of_32 = pixel % 32;
        let pair = of_32 / 8 * 16 + of_32 % 2 * 8 + of_32 % 8 / 2 * 2;
        // Green of 64: in each lane eight of the first 32, then eight of the last.
        let green = of_32 / 8 * 16 + pixel / 32 * 8 + pixel % 8;
        all.pixels[byte / 64].0[byte % 64] = match channel {
            0 => pair + 1,
            1 => green,
            _ => pair,
        } as u8;
        byte += 1;
    }
    all
};

/// A row of luma, and of colour unless it is gray, to RGB.
pub(in super::super) fn row(row: &Row<'_>, out: &mut [u8], start: usize) {
    assert!(row.is_fancy, "colour is repeated");
    let padded = (row.width + row.odd).next_multiple_of(STEP);
    let (across, down) = row.sampling.pixels();
    assert!(row.luma.len() >= padded, "the row of luma is too short");
    // Pairs of the pixels, and those that are read ahead; 32 bytes before them are read as well.
    let needed = row.pair + 2 * (padded / across) + if across == 2 { STEP } else { 0 };
    assert!(
        row.sampling == Sampling::Gray || row.pair >= 32 && row.near.len() >= needed && row.far.len() >= needed,
        "a row of colour is too short"
    );
    assert!(out.len() >= start + row.width * 3, "the row of pixels is too short");
    // SAFETY: the processor has the instructions, and the rows have just been measured.
    unsafe {
        match (row.sampling, across, down) {
            (Sampling::Gray, ..) => gray(row, out, start),
            (_, 2, 2) => colour::<2, 2>(row, out, start),
            (_, 2, _) => colour::<2, 1>(row, out, start),
            (_, _, 2) => colour::<1, 2>(row, out, start),
            _ => colour::<1, 1>(row, out, start),
        }
    }
}

/// Writes the pixels from column `x` on, as far as they are wanted or there is room behind them.
///
/// # Safety
///
/// `out` must have all pixels of the row, from byte `start` on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn write(vectors: [__m512i; 3], x: usize, row: &Row<'_>, out: &mut [u8], start: usize) {
    let Row { odd, width, .. } = *row;
    let at = start + 3 * x;
    // Of the first pixel, if it is not wanted, nothing may be written: it is the last one of the row before.
    let is_first = x == 0 && odd == 1;
    if at >= 3 * odd && at - 3 * odd + 3 * STEP <= out.len() {
        let to = out[at - 3 * odd..].as_mut_ptr();
        // SAFETY: 192 bytes of `out`. What is behind the row is written later, or nobody's.
        unsafe {
            let kept = is_first.then(|| to.cast::<[u8; 3]>().read());
            _mm512_storeu_si512(to.cast(), vectors[0]);
            _mm512_storeu_si512(to.add(64).cast(), vectors[1]);
            _mm512_storeu_si512(to.add(128).cast(), vectors[2]);
            if let Some(kept) = kept {
                to.cast::<[u8; 3]>().write(kept);
            }
        }
    } else {
        let nbytes = 3 * (width + odd - x);
        for (number, vector) in vectors.into_iter().enumerate() {
            // The bytes that the row still wants of this vector.
            let wanted = nbytes.saturating_sub(64 * number).min(64);
            let skipped = if is_first && number == 0 { 3 } else { 0 };
            if wanted > 0 {
                let mask = u64::MAX >> (64 - wanted) & u64::MAX << skipped;
                let to = out.as_mut_ptr().wrapping_add(at + 64 * number).wrapping_sub(3 * odd);
                // SAFETY: only bytes of the row are written, which `out` has.
                unsafe { _mm512_mask_storeu_epi8(to.cast(), mask, vector) }
            }
        }
    }
}

/// # Safety
///
/// Rows must be as long as [`row`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn gray(row: &Row<'_>, out: &mut [u8], start: usize) {
    /// Each luma three times.
    static THREE_TIMES: [Bytes; 3] = {
        let mut all = [Bytes([0; 64]); 3];
        let mut byte = 0;
        while byte < 192 {
            #[expect(clippy::cast_possible_truncation, reason = "below 64")]
            {
                all[byte / 64].0[byte % 64] = (byte / 3) as u8;
            }
            byte += 1;
        }
        all
    };
    for x in (0..row.width).step_by(STEP) {
        // SAFETY: the caller promises that there are as many bytes.
        unsafe {
            let luma = _mm512_loadu_si512(row.luma.as_ptr().add(x).cast());
            let vectors = [
                _mm512_permutexvar_epi8(bytes(&THREE_TIMES[0]), luma),
                _mm512_permutexvar_epi8(bytes(&THREE_TIMES[1]), luma),
                _mm512_permutexvar_epi8(bytes(&THREE_TIMES[2]), luma),
            ];
            write(vectors, x, row, out, start);
        }
    }
}

/// Pairs of 16 samples of two rows, mixed; and three times that.
///
/// # Safety
///
/// There must be 32 bytes of both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn column<const DOWN: usize>(near: *const u8, far: *const u8) -> [__m512i; 2] {
    // SAFETY: the caller promises that there are as many bytes.
    let both = unsafe { by_turns(near, far) };
    [
        _mm512_maddubs_epi16(_mm512_set1_epi16(parts_of_rows(DOWN)), both),
        _mm512_maddubs_epi16(_mm512_set1_epi16(3 * parts_of_rows(DOWN)), both),
    ]
}

/// Pairs of 32 samples of two rows, mixed: the even and the odd ones.
///
/// # Safety
///
/// There must be 64 bytes of both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn two_columns<const DOWN: usize>(near: *const u8, far: *const u8) -> [__m512i; 2] {
    /// In each lane four even pairs, then four odd ones.
    static EVEN_FIRST: Bytes = {
        let mut places = [0; 64];
        let mut at = 0;
        while at < 64 {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            {
                places[at] = (at % 8 / 2 * 4 + at % 16 / 8 * 2 + at % 2) as u8;
            }
            at += 1;
        }
        Bytes(places)
    };
    // SAFETY: the caller promises that there are as many bytes.
    let (near, far) = unsafe { (_mm512_loadu_si512(near.cast()), _mm512_loadu_si512(far.cast())) };
    let near = _mm512_shuffle_epi8(near, bytes(&EVEN_FIRST));
    let far = _mm512_shuffle_epi8(far, bytes(&EVEN_FIRST));
    let parts = _mm512_set1_epi16(parts_of_rows(DOWN));
    [
        _mm512_maddubs_epi16(parts, _mm512_unpacklo_epi8(near, far)),
        _mm512_maddubs_epi16(parts, _mm512_unpackhi_epi8(near, far)),
    ]
}

/// Blue and red, and green, of 32 pixels, of the colour of even and of odd ones, which is around zero, and negative by
/// [`signs`].
///
/// # Safety
///
/// There must be 32 bytes of luma.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn convert<const ACROSS: usize, const DOWN: usize>(
    even: __m512i,
    odd: __m512i,
    luma: *const u8,
) -> (__m512i, __m512i) {
    let signs = const { signs(ACROSS, DOWN) };
    let half = _mm512_set1_epi32(1 << 14);
    // SAFETY: the caller promises that there are as many bytes.
    let luma = _mm512_zextsi256_si512(unsafe { _mm256_loadu_si256(luma.cast()) });
    let luma_even = _mm512_permutexvar_epi8(bytes(&SHUFFLES.luma[0]), luma);
    let luma_odd = _mm512_permutexvar_epi8(bytes(&SHUFFLES.luma[1]), luma);
    macro_rules! green {
        ($colour:ident, $is_odd:literal) => {
            super::add_products_of(
                half,
                $colour,
                factors_of(-11_277 * signs[$is_odd], -23_401 * signs[$is_odd]),
            )
        };
    }
    // Green of even pixels in the lower words, of odd ones in the upper words.
    let green_even = _mm512_srai_epi32::<15>(green!(even, 0));
    let green_odd = _mm512_slli_epi32::<1>(green!(odd, 1));
    let mixed_green = _mm512_mask_blend_epi16(
        0xaaaa_aaaa,
        _mm512_add_epi16(green_even, luma_even),
        _mm512_add_epi16(green_odd, luma_odd),
    );
    // Blue and red: 1.772 and 1.402, less the one that is added; in units of 2^-15.
    macro_rules! blue_red {
        ($colour:ident, $luma:ident, $is_odd:literal) => {{
            let product = _mm512_mulhrs_epi16($colour, factors_of(25_297 * signs[$is_odd], 13_173 * signs[$is_odd]));
            let sum = if signs[$is_odd] < 0 {
                _mm512_sub_epi16($luma, $colour)
            } else {
                _mm512_add_epi16($luma, $colour)
            };
            _mm512_add_epi16(sum, product)
        }};
    }
    let (mixed_even, mixed_odd) = (blue_red!(even, luma_even, 0), blue_red!(odd, luma_odd, 1));
    (_mm512_packus_epi16(mixed_even, mixed_odd), mixed_green)
}

/// Luma and colour, a sample of which belongs to so many pixels across and down, to RGB.
///
/// # Safety
///
/// Rows must be as long as [`row`] asserts.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn colour<const ACROSS: usize, const DOWN: usize>(row: &Row<'_>, out: &mut [u8], start: usize) {
    let (luma, near, far) = (
        row.luma.as_ptr(),
        row.near[row.pair..].as_ptr(),
        row.far[row.pair..].as_ptr(),
    );
    let shares = const { shares(DOWN) }.map(|share| _mm512_set1_epi16(share));
    let round = _mm512_set1_epi16(if DOWN == 1 { 0 } else { 1 + i16::from(row.is_lower) });
    let [mut before, mut this, mut three] = [_mm512_setzero_si512(); 3];
    if ACROSS == 2 {
        // SAFETY: the caller promises that there are as many bytes, and `pair` is 32 or more.
        unsafe {
            before = column::<DOWN>(near.sub(32), far.sub(32))[0];
            [this, three] = column::<DOWN>(near, far);
        }
    }
    for x in (0..row.width + row.odd).step_by(STEP) {
        macro_rules! part {
            ($at:expr) => {{
                let [even, odd] = if ACROSS == 2 {
                    // SAFETY: the caller promises that there are as many bytes.
                    let [behind, three_behind] = unsafe { column::<DOWN>(near.add($at + 32), far.add($at + 32)) };
                    let previous = _mm512_alignr_epi32::<15>(this, before);
                    let next = _mm512_alignr_epi32::<1>(behind, this);
                    let colour = [
                        _mm512_mulhrs_epi16(_mm512_add_epi16(three, previous), shares[0]),
                        _mm512_mulhrs_epi16(_mm512_add_epi16(three, next), shares[1]),
                    ];
                    [before, this, three] = [this, behind, three_behind];
                    colour
                } else {
                    // SAFETY: the caller promises that there are as many bytes.
                    let colour = unsafe { two_columns::<DOWN>(near.add(2 * $at), far.add(2 * $at)) };
                    if DOWN == 1 {
                        colour
                    } else {
                        [
                            _mm512_srai_epi16::<2>(_mm512_add_epi16(colour[0], round)),
                            _mm512_srai_epi16::<2>(_mm512_add_epi16(colour[1], round)),
                        ]
                    }
                };
                // SAFETY: the caller promises that there are as many bytes.
                unsafe { convert::<ACROSS, DOWN>(even, odd, luma.add($at)) }
            }};
        }
        let (pairs_low, green_low) = part!(x);
        let (pairs_high, green_high) = part!(x + 32);
        let green = _mm512_packus_epi16(green_low, green_high);
        let [first, middle, last] = [
            bytes(&SHUFFLES.pixels[0]),
            bytes(&SHUFFLES.pixels[1]),
            bytes(&SHUFFLES.pixels[2]),
        ];
        let vectors = [
            _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(first, pairs_low), GREEN[0], first, green),
            _mm512_mask_permutexvar_epi8(
                _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(middle, pairs_low), LAST[1], middle, pairs_high),
                GREEN[1],
                middle,
                green,
            ),
            _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(last, pairs_high), GREEN[2], last, green),
        ];
        // SAFETY: the caller promises that `out` has the row.
        unsafe { write(vectors, x, row, out, start) }
    }
}
