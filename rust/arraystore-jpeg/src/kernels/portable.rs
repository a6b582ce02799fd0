//! Plain Rust: what all other kernels are compared with.

use std::num::Wrapping;

use super::{MOST, Row};
use crate::entropy::Block;
use crate::frame::Sampling;
use crate::pixels::Jobs;
use crate::quantisation::{Quantisation, ZIGZAG};

/// Fixed-point constants of libjpeg's accurate integer transform: products of square roots of cosines, times 2^13.
const F_0_298: Wrapping<i32> = Wrapping(2446);
const F_0_390: Wrapping<i32> = Wrapping(3196);
const F_0_541: Wrapping<i32> = Wrapping(4433);
const F_0_765: Wrapping<i32> = Wrapping(6270);
const F_0_899: Wrapping<i32> = Wrapping(7373);
const F_1_175: Wrapping<i32> = Wrapping(9633);
const F_1_501: Wrapping<i32> = Wrapping(12299);
const F_1_847: Wrapping<i32> = Wrapping(15137);
const F_1_961: Wrapping<i32> = Wrapping(16069);
const F_2_053: Wrapping<i32> = Wrapping(16819);
const F_2_562: Wrapping<i32> = Wrapping(20995);
const F_3_072: Wrapping<i32> = Wrapping(25172);

/// All other blocks.
pub(super) fn transform(
    jobs: &Jobs,
    blocks: &mut [Block],
    plane: &mut [u8],
    stride: usize,
    quantisation: &Quantisation,
) -> bool {
    let mut is_in_range = true;
    for &job in jobs.sparse().iter().chain(jobs.full()) {
        let coefficients = &mut blocks[job.block()].0;
        let mut natural = [0_i16; 64];
        for ((&value, &factor), &to) in coefficients.iter().zip(&quantisation.zigzag).zip(&ZIGZAG) {
            natural[usize::from(to)] = value.wrapping_mul(factor);
        }
        *coefficients = [0; 64];
        let mut half = [0_i16; 64];
        for x in 0..8 {
            let column = [0, 1, 2, 3, 4, 5, 6, 7].map(|y| natural[y * 8 + x]);
            is_in_range &= [column[0], column[4]]
                .iter()
                .all(|value| (-MOST..=MOST).contains(value));
            for (y, value) in one_pass::<11>(column).into_iter().enumerate() {
                #[expect(clippy::cast_possible_truncation, reason = "clamped")]
                {
                    half[y * 8 + x] = value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
                }
            }
        }
        for (y, line) in half.as_chunks().0.iter().enumerate() {
            is_in_range &= [line[0], line[4]]
                .iter()
                .all(|value| (-2 * MOST - 1..=2 * MOST + 1).contains(value));
            let start = job.at() + y * stride;
            for (sample, value) in plane[start..start + 8].iter_mut().zip(one_pass::<18>(*line)) {
                #[expect(clippy::cast_sign_loss, reason = "clamped")]
                {
                    *sample = (value + 128).clamp(0, 255) as u8;
                }
            }
        }
    }
    is_in_range
}

/// One pass of the transform over eight values; sums of two inputs wrap, as in vectors of 16 bits, and all others as in
/// vectors of 32 bits.
fn one_pass<const SHIFT: usize>(input: [i16; 8]) -> [i32; 8] {
    let sum = |a: i16, b: i16| Wrapping(i32::from(a.wrapping_add(b)));
    let [i0, i1, i2, i3, i4, i5, i6, i7] = input.map(|value| Wrapping(i32::from(value)));
    let even = (i0 + i4) << 13;
    let odd = (i0 - i4) << 13;
    let low = i2 * F_0_541 + i6 * (F_0_541 - F_1_847);
    let high = i2 * (F_0_541 + F_0_765) + i6 * F_0_541;
    let (e0, e3, e1, e2) = (even + high, even - high, odd + low, odd - low);
    let (z3, z4) = (sum(input[7], input[3]), sum(input[5], input[1]));
    let (z3, z4) = (
        z3 * (F_1_175 - F_1_961) + z4 * F_1_175,
        z3 * F_1_175 + z4 * (F_1_175 - F_0_390),
    );
    let o0 = i7 * (F_0_298 - F_0_899) - i1 * F_0_899 + z3;
    let o1 = i5 * (F_2_053 - F_2_562) - i3 * F_2_562 + z4;
    let o2 = i3 * (F_3_072 - F_2_562) - i5 * F_2_562 + z3;
    let o3 = i1 * (F_1_501 - F_0_899) - i7 * F_0_899 + z4;
    let scale = |value: Wrapping<i32>| ((value + Wrapping(1 << (SHIFT - 1))) >> SHIFT).0;
    [
        scale(e0 + o3),
        scale(e1 + o2),
        scale(e2 + o1),
        scale(e3 + o0),
        scale(e3 - o0),
        scale(e2 - o1),
        scale(e1 - o2),
        scale(e0 - o3),
    ]
}

/// Samples of Cb and Cr side by side, each less 128.
pub(super) fn pair_up(cb: &[u8], cr: &[u8], pairs: &mut [u8]) {
    for ((pair, &cb), &cr) in pairs.as_chunks_mut().0.iter_mut().zip(cb).zip(cr) {
        *pair = [cb ^ 0x80, cr ^ 0x80];
    }
}

/// Luma and colour to RGB.
pub(super) fn row(row: &Row<'_>, out: &mut [u8]) {
    let luma = &row.luma[row.odd..row.odd + row.width];
    let out = out[..row.width * 3].chunks_exact_mut(3).zip(luma);
    if row.sampling == Sampling::Gray {
        out.for_each(|(pixel, &luma)| pixel.fill(luma));
        return;
    }
    let (across, down) = row.sampling.pixels();
    let pair = |line: &[u8], at: usize| [line[at], line[at + 1]].map(|value| i32::from(value.cast_signed()));
    // A column of samples: the nearest and the one above or below it.
    let column = |at: usize| {
        let (near, far) = (pair(row.near, at), pair(row.far, at));
        [0, 1].map(|number| near[number] * 3 + far[number])
    };
    for (x, (pixel, &luma)) in out.enumerate() {
        let x = x + row.odd;
        let is_even = x.is_multiple_of(2);
        let at = row.pair + 2 * (x / across);
        // The sample beside the nearest one.
        let beside = if is_even { at - 2 } else { at + 2 };
        let [cb, cr] = match (across, down) {
            _ if !row.is_fancy => pair(row.near, at),
            (1, 1) => pair(row.near, at),
            (1, _) => column(at).map(|sum| (sum + 1 + i32::from(row.is_lower)) >> 2),
            (_, 1) => {
                let (this, beside) = (pair(row.near, at), pair(row.near, beside));
                let round = if is_even { 1 } else { 2 };
                [0, 1].map(|number| (this[number] * 3 + beside[number] + round) >> 2)
            }
            _ => {
                let (this, beside) = (column(at), column(beside));
                let round = if is_even { 8 } else { 7 };
                [0, 1].map(|number| (this[number] * 3 + beside[number] + round) >> 4)
            }
        };
        pixel.copy_from_slice(&rgb(i32::from(luma), cb, cr));
    }
}

/// The conversion of JFIF in fixed point, as libjpeg rounds it (`jdcolor.c`).
fn rgb(luma: i32, cb: i32, cr: i32) -> [u8; 3] {
    let half = 1 << 15;
    let red = luma + ((91_881 * cr + half) >> 16);
    let green = luma + ((-22_554 * cb - 46_802 * cr + half) >> 16);
    let blue = luma + ((116_130 * cb + half) >> 16);
    #[expect(clippy::cast_sign_loss, reason = "clamped")]
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}
