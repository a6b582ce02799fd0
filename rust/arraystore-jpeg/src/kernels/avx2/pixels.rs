//! From samples to RGB pixels, 32 a step: in each lane of a vector what becomes 16 pixels.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_alignr_epi8,
    _mm256_blend_epi16, _mm256_castps_si256, _mm256_castsi128_si256, _mm256_castsi256_ps, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_inserti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_mulhrs_epi16, _mm256_or_si256, _mm256_packus_epi16, _mm256_permute2x128_si256, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_shuffle_ps,
    _mm256_slli_epi32, _mm256_srai_epi16, _mm256_srai_epi32, _mm256_storeu_si256, _mm256_sub_epi16,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8, _mm256_xor_si256,
};

use super::super::{Row, parts_of_rows, shares, signs};
use super::{Bytes, NONE, bytes, factors_of};
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
#[target_feature(enable = "avx2")]
unsafe fn pair_up_padded(cb: *const u8, cr: *const u8, pairs: *mut u8, count: usize) {
    let middle = _mm256_set1_epi8(i8::MIN);
    for at in (0..count).step_by(32) {
        // SAFETY: the caller promises that there are as many.
        unsafe {
            let (cb, cr) = (
                _mm256_xor_si256(_mm256_loadu_si256(cb.add(at).cast()), middle),
                _mm256_xor_si256(_mm256_loadu_si256(cr.add(at).cast()), middle),
            );
            let (low, high) = (_mm256_unpacklo_epi8(cb, cr), _mm256_unpackhi_epi8(cb, cr));
            let to = pairs.add(2 * at);
            _mm256_storeu_si256(to.cast(), _mm256_permute2x128_si256::<0x20>(low, high));
            _mm256_storeu_si256(to.add(32).cast(), _mm256_permute2x128_si256::<0x31>(low, high));
        }
    }
}

/// Pixels of a step.
const STEP: usize = 32;

/// Bytes of them.
const STEP_NBYTES: usize = 3 * STEP;

/// Bytes of 16 pixels in their order, one lane of each of three vectors.
type Vectors = [__m256i; 3];

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
#[inline]
#[target_feature(enable = "avx2")]
fn write(vectors: Vectors, x: usize, row: &Row<'_>, out: &mut [u8], start: usize) {
    macro_rules! store {
        ($to:expr) => {
            for (number, vector) in vectors.into_iter().enumerate() {
                let to = $to.add(16 * number);
                _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(vector));
                _mm_storeu_si128(
                    to.add(STEP_NBYTES / 2).cast(),
                    _mm256_extracti128_si256::<1>(vector),
                );
            }
        };
    }
    // Of the first pixel, if it is not wanted, nothing may be written: it is the last one of the row before.
    let is_first = x == 0 && row.odd == 1;
    let at = start + 3 * x;
    if at >= 3 * row.odd && at - 3 * row.odd + STEP_NBYTES <= out.len() {
        let to = out[at - 3 * row.odd..].as_mut_ptr();
        // SAFETY: as many bytes of `out`. What is behind the row is written later, or nobody's.
        unsafe {
            let kept = to.cast::<[u8; 3]>().read();
            store!(to);
            if is_first {
                to.cast::<[u8; 3]>().write(kept);
            }
        }
    } else {
        let mut pixels = [0; STEP_NBYTES];
        // SAFETY: as many bytes.
        unsafe { store!(pixels.as_mut_ptr()) }
        let skipped = if is_first { 3 } else { 0 };
        let wanted = (3 * (row.width + row.odd - x)).min(STEP_NBYTES);
        let end = at + wanted - 3 * row.odd;
        out[end + skipped - wanted..end].copy_from_slice(&pixels[skipped..wanted]);
    }
}

/// # Safety
///
/// Rows must be as long as [`row`] asserts.
#[target_feature(enable = "avx2")]
unsafe fn gray(row: &Row<'_>, out: &mut [u8], start: usize) {
    /// Each luma three times.
    const THREE_TIMES: [Bytes; 3] = {
        let mut lanes = [[0; 16]; 3];
        let mut byte = 0;
        while byte < 48 {
            #[expect(clippy::cast_possible_truncation, reason = "below 16")]
            {
                lanes[byte / 16][byte % 16] = (byte / 3) as u8;
            }
            byte += 1;
        }
        [
            Bytes::repeated(lanes[0]),
            Bytes::repeated(lanes[1]),
            Bytes::repeated(lanes[2]),
        ]
    };
    for x in (0..row.width).step_by(STEP) {
        // SAFETY: the caller promises that there are as many.
        let luma = unsafe { _mm256_loadu_si256(row.luma.as_ptr().add(x).cast()) };
        let vectors = [
            _mm256_shuffle_epi8(luma, bytes(&THREE_TIMES[0])),
            _mm256_shuffle_epi8(luma, bytes(&THREE_TIMES[1])),
            _mm256_shuffle_epi8(luma, bytes(&THREE_TIMES[2])),
        ];
        write(vectors, x, row, out, start);
    }
}

/// How the bytes of vectors become those of pixels.
struct Shuffles {
    /// Luma of even and of odd pixels of the first eight of a lane and of the last eight, each to both words of a double
    /// word.
    luma: [[Bytes; 2]; 2],
    /// Where the blue and red of the first and the last eight pixels go in each of the three vectors.
    pairs: [[Bytes; 3]; 2],
    /// Where green goes.
    green: [Bytes; 3],
}

#[expect(clippy::cast_possible_truncation, reason = "below 16")]
static SHUFFLES: Shuffles = {
    let mut luma = [[[NONE; 16]; 2]; 2];
    let mut word = 0;
    while word < 8 {
        let even = word / 2 * 2;
        luma[0][0][2 * word] = even as u8;
        luma[0][1][2 * word] = (even + 1) as u8;
        luma[1][0][2 * word] = (8 + even) as u8;
        luma[1][1][2 * word] = (8 + even + 1) as u8;
        word += 1;
    }
    let mut pairs = [[[NONE; 16]; 3]; 2];
    let mut green = [[NONE; 16]; 3];
    let mut byte = 0;
    while byte < 48 {
        let (pixel, channel) = (byte / 3, byte % 3);
        // Blue and red of four even pixels, then of four odd ones.
        let pair = pixel % 2 * 8 + pixel % 8 / 2 * 2;
        match channel {
            1 => green[byte / 16][byte % 16] = pixel as u8,
            0 => pairs[pixel / 8][byte / 16][byte % 16] = (pair + 1) as u8,
            _ => pairs[pixel / 8][byte / 16][byte % 16] = pair as u8,
        }
        byte += 1;
    }
    let [[a, b], [c, d]] = luma;
    let [[e, f, g], [h, i, j]] = pairs;
    Shuffles {
        luma: [
            [Bytes::repeated(a), Bytes::repeated(b)],
            [Bytes::repeated(c), Bytes::repeated(d)],
        ],
        pairs: [
            [Bytes::repeated(e), Bytes::repeated(f), Bytes::repeated(g)],
            [Bytes::repeated(h), Bytes::repeated(i), Bytes::repeated(j)],
        ],
        green: [
            Bytes::repeated(green[0]),
            Bytes::repeated(green[1]),
            Bytes::repeated(green[2]),
        ],
    }
};

/// Blue and red, and green, of eight pixels of each lane, of the colour of even and of odd ones, which is around zero, and
/// negative by [`signs`].
#[inline]
#[target_feature(enable = "avx2")]
fn convert<const ACROSS: usize, const DOWN: usize>(
    colour: [__m256i; 2],
    luma: __m256i,
    shuffles: &[Bytes; 2],
) -> (__m256i, __m256i) {
    let signs = const { signs(ACROSS, DOWN) };
    let half = _mm256_set1_epi32(1 << 14);
    let luma_even = _mm256_shuffle_epi8(luma, bytes(&shuffles[0]));
    let luma_odd = _mm256_shuffle_epi8(luma, bytes(&shuffles[1]));
    macro_rules! green {
        ($is_odd:literal) => {{
            let factors = factors_of(-11_277 * signs[$is_odd], -23_401 * signs[$is_odd]);
            _mm256_add_epi32(_mm256_madd_epi16(colour[$is_odd], factors), half)
        }};
    }
    // Green of even pixels in the lower words, of odd ones in the upper words.
    let green_even = _mm256_srai_epi32::<15>(green!(0));
    let green_odd = _mm256_slli_epi32::<1>(green!(1));
    let mixed_green = _mm256_blend_epi16::<0xaa>(
        _mm256_add_epi16(green_even, luma_even),
        _mm256_add_epi16(green_odd, luma_odd),
    );
    // Blue and red: 1.772 and 1.402, less the one that is added; in units of 2^-15.
    macro_rules! blue_red {
        ($luma:ident, $is_odd:literal) => {{
            let factors = factors_of(25_297 * signs[$is_odd], 13_173 * signs[$is_odd]);
            let sum = if signs[$is_odd] < 0 {
                _mm256_sub_epi16($luma, colour[$is_odd])
            } else {
                _mm256_add_epi16($luma, colour[$is_odd])
            };
            _mm256_add_epi16(sum, _mm256_mulhrs_epi16(colour[$is_odd], factors))
        }};
    }
    let (mixed_even, mixed_odd) = (blue_red!(luma_even, 0), blue_red!(luma_odd, 1));
    (_mm256_packus_epi16(mixed_even, mixed_odd), mixed_green)
}

/// Pixels of their blue and red, of the first and the last eight of each lane, and their green.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(pairs: [__m256i; 2], green: __m256i) -> Vectors {
    macro_rules! shuffled {
        ($half:literal, $number:literal) => {
            _mm256_shuffle_epi8(pairs[$half], bytes(&SHUFFLES.pairs[$half][$number]))
        };
        (green, $number:literal) => {
            _mm256_shuffle_epi8(green, bytes(&SHUFFLES.green[$number]))
        };
    }
    [
        _mm256_or_si256(shuffled!(0, 0), shuffled!(green, 0)),
        _mm256_or_si256(_mm256_or_si256(shuffled!(0, 1), shuffled!(1, 1)), shuffled!(green, 1)),
        _mm256_or_si256(shuffled!(1, 2), shuffled!(green, 2)),
    ]
}

/// The first and the last four pairs of each lane of two rows, mixed.
#[inline]
#[target_feature(enable = "avx2")]
fn mixed(near: __m256i, far: __m256i, parts: i16) -> [__m256i; 2] {
    let parts = _mm256_set1_epi16(parts);
    [
        _mm256_maddubs_epi16(parts, _mm256_unpacklo_epi8(near, far)),
        _mm256_maddubs_epi16(parts, _mm256_unpackhi_epi8(near, far)),
    ]
}

/// Luma and colour, a sample of which belongs to so many pixels across and down, to RGB.
///
/// # Safety
///
/// Rows must be as long as [`row`] asserts.
#[target_feature(enable = "avx2")]
unsafe fn colour<const ACROSS: usize, const DOWN: usize>(row: &Row<'_>, out: &mut [u8], start: usize) {
    let (near, far) = (row.near[row.pair..].as_ptr(), row.far[row.pair..].as_ptr());
    let shares = const { shares(DOWN) }.map(|share| _mm256_set1_epi16(share));
    let round = _mm256_set1_epi16(if DOWN == 1 { 0 } else { 1 + i16::from(row.is_lower) });
    let parts = const { parts_of_rows(DOWN) };
    // The lanes are those of 32 bytes, or of 16 bytes and those 32 bytes behind.
    macro_rules! load {
        ($from:expr) => {
            if ACROSS == 2 {
                _mm256_loadu_si256($from.cast())
            } else {
                let first = _mm256_castsi128_si256(_mm_loadu_si128($from.cast()));
                _mm256_inserti128_si256::<1>(first, _mm_loadu_si128($from.add(32).cast()))
            }
        };
    }
    macro_rules! rows {
        ($near:expr, $far:expr) => {{
            // SAFETY: the caller promises that there are as many bytes.
            unsafe { (load!($near), load!($far)) }
        }};
    }
    let [mut before, mut this, mut this_high, mut three, mut three_high] = [_mm256_setzero_si256(); 5];
    if ACROSS == 2 {
        // SAFETY: `pair` is 32 or more.
        let (near_before, far_before) = unsafe { (near.sub(32), far.sub(32)) };
        let rows = rows!(near_before, far_before);
        before = mixed(rows.0, rows.1, parts)[1];
        let rows = rows!(near, far);
        [this, this_high] = mixed(rows.0, rows.1, parts);
        [three, three_high] = mixed(rows.0, rows.1, 3 * parts);
    }
    for x in (0..row.width + row.odd).step_by(STEP) {
        // Of the first and the last eight pixels of each lane, even and odd ones.
        let colour = if ACROSS == 2 {
            let rows = rows!(near.add(x + STEP), far.add(x + STEP));
            let [behind, behind_high] = mixed(rows.0, rows.1, parts);
            // The pair before and the one behind of each: lanes follow each other.
            let earlier = _mm256_permute2x128_si256::<0x21>(before, this_high);
            let later = _mm256_permute2x128_si256::<0x21>(this, behind);
            macro_rules! beside {
                ($three:ident, $pairs:expr, $is_odd:literal) => {
                    _mm256_mulhrs_epi16(_mm256_add_epi16($three, $pairs), shares[$is_odd])
                };
            }
            let low = [
                beside!(three, _mm256_alignr_epi8::<12>(this, earlier), 0),
                beside!(three, _mm256_alignr_epi8::<4>(this_high, this), 1),
            ];
            let high = [
                beside!(three_high, _mm256_alignr_epi8::<12>(this_high, this), 0),
                beside!(three_high, _mm256_alignr_epi8::<4>(later, this_high), 1),
            ];
            before = this_high;
            [this, this_high] = [behind, behind_high];
            [three, three_high] = mixed(rows.0, rows.1, 3 * parts);
            [low, high]
        } else {
            macro_rules! half {
                ($at:expr) => {{
                    let rows = rows!(near.add($at), far.add($at));
                    let [low, high] = mixed(rows.0, rows.1, parts).map(|half| _mm256_castsi256_ps(half));
                    let colour = [
                        _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(low, high)),
                        _mm256_castps_si256(_mm256_shuffle_ps::<0xdd>(low, high)),
                    ];
                    if DOWN == 1 {
                        colour
                    } else {
                        [
                            _mm256_srai_epi16::<2>(_mm256_add_epi16(colour[0], round)),
                            _mm256_srai_epi16::<2>(_mm256_add_epi16(colour[1], round)),
                        ]
                    }
                }};
            }
            [half!(2 * x), half!(2 * x + 16)]
        };
        // SAFETY: the caller promises that there are as many bytes.
        let luma = unsafe { _mm256_loadu_si256(row.luma.as_ptr().add(x).cast()) };
        let (pairs, green) = convert::<ACROSS, DOWN>(colour[0], luma, &SHUFFLES.luma[0]);
        let (pairs_high, green_high) = convert::<ACROSS, DOWN>(colour[1], luma, &SHUFFLES.luma[1]);
        let green = _mm256_packus_epi16(green, green_high);
        write(interleave([pairs, pairs_high], green), x, row, out, start);
    }
}
