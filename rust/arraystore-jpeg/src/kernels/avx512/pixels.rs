//! From samples to RGB pixels, 64 a step.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi32_si128, _mm256_loadu_si256, _mm512_add_epi16, _mm512_alignr_epi32, _mm512_castsi256_si512,
    _mm512_cvtepu8_epi16, _mm512_loadu_si512, _mm512_maddubs_epi16, _mm512_mask_blend_epi16,
    _mm512_mask_permutexvar_epi8, _mm512_mask_storeu_epi8, _mm512_maskz_permutexvar_epi8, _mm512_mulhrs_epi16,
    _mm512_packus_epi16, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_slli_epi32, _mm512_sra_epi16, _mm512_srai_epi32,
    _mm512_storeu_si512, _mm512_unpackhi_epi8, _mm512_unpacklo_epi8,
};

use super::super::Row;
use super::{Bytes, bytes, factors_of};
use crate::frame::Sampling;

/// Samples of Cb and Cr side by side; those behind `count` may be overwritten with anything.
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
    let by_turns = bytes(&SHUFFLES.by_turns);
    for at in (0..count).step_by(32) {
        // SAFETY: the caller promises that there are as many.
        unsafe {
            let cb = _mm512_castsi256_si512(_mm256_loadu_si256(cb.add(at).cast()));
            let cr = _mm512_castsi256_si512(_mm256_loadu_si256(cr.add(at).cast()));
            _mm512_storeu_si512(pairs.add(2 * at).cast(), _mm512_permutex2var_epi8(cb, by_turns, cr));
        }
    }
}

/// Pixels of a step.
const STEP: usize = 64;

/// How the bytes of vectors become those of pixels.
struct Shuffles {
    /// Even and odd luma of 32 pixels, each to both words of a double word.
    luma: [Bytes; 2],
    /// Bytes of two rows by turns.
    by_turns: Bytes,
    /// The three vectors of 64 pixels: from blue and red of the first 32 and green; from blue and red of all; green into
    /// these; from blue and red of the last 32 and green.
    first: Bytes,
    middle: Bytes,
    middle_green: Bytes,
    last: Bytes,
}

/// The bytes of the middle vector that are green.
const MIDDLE_GREEN: u64 = {
    let mut mask = 0;
    let mut byte = 0;
    while byte < 64 {
        if (byte + 64) % 3 == 1 {
            mask |= 1 << byte;
        }
        byte += 1;
    }
    mask
};

#[expect(clippy::cast_possible_truncation, reason = "places in one or two vectors")]
static SHUFFLES: Shuffles = {
    let mut all = Shuffles {
        luma: [Bytes([0; 64]); 2],
        by_turns: Bytes([0; 64]),
        first: Bytes([0; 64]),
        middle: Bytes([0; 64]),
        middle_green: Bytes([0; 64]),
        last: Bytes([0; 64]),
    };
    let mut byte = 0;
    while byte < 64 {
        all.luma[0].0[byte] = (byte / 4 * 2) as u8;
        all.luma[1].0[byte] = (byte / 4 * 2 + 1) as u8;
        all.by_turns.0[byte] = (byte % 2 * 64 + byte / 2) as u8;
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
        let at = byte % 64;
        match (byte / 64, channel) {
            (0, 1) => all.first.0[at] = (64 + green) as u8,
            (0, 0) => all.first.0[at] = (pair + 1) as u8,
            (0, _) => all.first.0[at] = pair as u8,
            (1, 1) => all.middle_green.0[at] = green as u8,
            (1, _) => {
                let of_last = if pixel < 32 { 0 } else { 64 };
                all.middle.0[at] = (of_last + pair + if channel == 0 { 1 } else { 0 }) as u8;
            }
            (_, 1) => all.last.0[at] = (64 + green) as u8,
            (_, 0) => all.last.0[at] = (pair + 1) as u8,
            _ => all.last.0[at] = pair as u8,
        }
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
    // Pairs of the pixels, and those that are read ahead.
    let needed = row.pair + 2 * (padded / across) + if across == 2 { STEP } else { 0 };
    assert!(
        row.sampling == Sampling::Gray || row.pair >= 2 && row.near.len() >= needed && row.far.len() >= needed,
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
            let kept = to.cast::<[u8; 3]>().read();
            _mm512_storeu_si512(to.cast(), vectors[0]);
            _mm512_storeu_si512(to.add(64).cast(), vectors[1]);
            _mm512_storeu_si512(to.add(128).cast(), vectors[2]);
            if is_first {
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

/// Pairs of 16 samples: of two rows three parts of the near and one of the far one, or just the near one.
///
/// # Safety
///
/// There must be 32 bytes of both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
unsafe fn column<const DOWN: usize>(near: *const u8, far: *const u8) -> __m512i {
    // SAFETY: the caller promises that there are as many bytes.
    let (near, far) = unsafe { (_mm256_loadu_si256(near.cast()), _mm256_loadu_si256(far.cast())) };
    if DOWN == 1 {
        return _mm512_cvtepu8_epi16(near);
    }
    let by_turns = bytes(&SHUFFLES.by_turns);
    let both = _mm512_permutex2var_epi8(_mm512_castsi256_si512(near), by_turns, _mm512_castsi256_si512(far));
    _mm512_maddubs_epi16(both, _mm512_set1_epi16(0x0103))
}

/// The same of 32 samples: the even and the odd ones.
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
    if DOWN == 1 {
        let zero = _mm512_setzero_si512();
        return [_mm512_unpacklo_epi8(near, zero), _mm512_unpackhi_epi8(near, zero)];
    }
    let far = _mm512_shuffle_epi8(far, bytes(&EVEN_FIRST));
    let three_to_one = _mm512_set1_epi16(0x0103);
    [
        _mm512_maddubs_epi16(_mm512_unpacklo_epi8(near, far), three_to_one),
        _mm512_maddubs_epi16(_mm512_unpackhi_epi8(near, far), three_to_one),
    ]
}

/// Blue and red, and green, of 32 pixels, of the colour of even and of odd ones, around zero.
///
/// # Safety
///
/// There must be 32 bytes of luma.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
unsafe fn convert(even: __m512i, odd: __m512i, luma: *const u8) -> (__m512i, __m512i) {
    // Blue and red: 1.772 and 1.402, less the one that is added; in units of 2^-15.
    let blue_red = factors_of(25_297, 13_173);
    let green = factors_of(-11_277, -23_401);
    let half = _mm512_set1_epi32(1 << 14);
    // SAFETY: the caller promises that there are as many bytes.
    let luma = _mm512_castsi256_si512(unsafe { _mm256_loadu_si256(luma.cast()) });
    let luma_even = _mm512_maskz_permutexvar_epi8(0x5555_5555_5555_5555, bytes(&SHUFFLES.luma[0]), luma);
    let luma_odd = _mm512_maskz_permutexvar_epi8(0x5555_5555_5555_5555, bytes(&SHUFFLES.luma[1]), luma);
    // Green of even pixels in the lower words, of odd ones in the upper words.
    let green_even = _mm512_srai_epi32::<15>(super::add_products_of(half, even, green));
    let green_odd = _mm512_slli_epi32::<1>(super::add_products_of(half, odd, green));
    let mixed_green = _mm512_mask_blend_epi16(
        0xaaaa_aaaa,
        _mm512_add_epi16(green_even, luma_even),
        _mm512_add_epi16(green_odd, luma_odd),
    );
    let mixed_even = _mm512_add_epi16(_mm512_add_epi16(even, luma_even), _mm512_mulhrs_epi16(even, blue_red));
    let mixed_odd = _mm512_add_epi16(_mm512_add_epi16(odd, luma_odd), _mm512_mulhrs_epi16(odd, blue_red));
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
    // Samples are mixed as three to one in each direction: colour is that many times too large.
    let bits = match (ACROSS, DOWN) {
        (2, 2) => 4,
        (1, 1) => 0,
        _ => 2,
    };
    let shift = _mm_cvtsi32_si128(bits);
    // What is added before, of even and odd pixels, and what moves colour to around zero.
    let rounds = match (ACROSS, DOWN) {
        (2, 2) => [8, 7],
        (2, _) => [1, 2],
        (_, 2) => [1 + i16::from(row.is_lower); 2],
        _ => [0, 0],
    };
    let rounds = rounds.map(|round| round - (128 << bits));
    let rounds = [_mm512_set1_epi16(rounds[0]), _mm512_set1_epi16(rounds[1])];
    let (first, middle) = (bytes(&SHUFFLES.first), bytes(&SHUFFLES.middle));
    let (middle_green, last) = (bytes(&SHUFFLES.middle_green), bytes(&SHUFFLES.last));
    macro_rules! rounded {
        ($sum:expr, $is_odd:literal) => {
            _mm512_sra_epi16(_mm512_add_epi16($sum, rounds[$is_odd]), shift)
        };
    }
    let [mut before, mut this] = [_mm512_setzero_si512(); 2];
    if ACROSS == 2 {
        // SAFETY: the caller promises that there are as many bytes.
        this = unsafe { column::<DOWN>(near, far) };
        // SAFETY: `pair` is 2 or more.
        let (near, far) = unsafe {
            (
                near.sub(2).cast::<[u8; 2]>().read(),
                far.sub(2).cast::<[u8; 2]>().read(),
            )
        };
        let [cb, cr] = [0, 1].map(|number| {
            let (near, far) = (i32::from(near[number]), i32::from(far[number]));
            if DOWN == 2 { near * 3 + far } else { near }
        });
        before = factors_of(cb, cr);
    }
    for x in (0..row.width + row.odd).step_by(STEP) {
        macro_rules! part {
            ($at:expr) => {{
                let [even, odd] = if ACROSS == 2 {
                    // SAFETY: the caller promises that there are as many bytes.
                    let behind = unsafe { column::<DOWN>(near.add($at + 32), far.add($at + 32)) };
                    let previous = _mm512_alignr_epi32::<15>(this, before);
                    let next = _mm512_alignr_epi32::<1>(behind, this);
                    let three = _mm512_add_epi16(_mm512_add_epi16(this, this), this);
                    before = this;
                    this = behind;
                    [
                        rounded!(_mm512_add_epi16(three, previous), 0),
                        rounded!(_mm512_add_epi16(three, next), 1),
                    ]
                } else {
                    // SAFETY: the caller promises that there are as many bytes.
                    let [even, odd] = unsafe { two_columns::<DOWN>(near.add(2 * $at), far.add(2 * $at)) };
                    [rounded!(even, 0), rounded!(odd, 1)]
                };
                // SAFETY: the caller promises that there are as many bytes.
                unsafe { convert(even, odd, luma.add($at)) }
            }};
        }
        let (pairs_low, green_low) = part!(x);
        let (pairs_high, green_high) = part!(x + 32);
        let green = _mm512_packus_epi16(green_low, green_high);
        let vectors = [
            _mm512_permutex2var_epi8(pairs_low, first, green),
            _mm512_mask_permutexvar_epi8(
                _mm512_permutex2var_epi8(pairs_low, middle, pairs_high),
                MIDDLE_GREEN,
                middle_green,
                green,
            ),
            _mm512_permutex2var_epi8(pairs_high, last, green),
        ];
        // SAFETY: the caller promises that `out` has the row.
        unsafe { write(vectors, x, row, out, start) }
    }
}
