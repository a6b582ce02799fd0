//! Code for particular instructions. All of it gives the same results; only here is `unsafe`.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod entropy;
mod portable;
pub(crate) mod sort;

use crate::entropy::Block;
use crate::frame::Sampling;
use crate::instructions::{Instructions, Set};
use crate::pixels::{Job, Jobs};
use crate::quantisation::Quantisation;

/// Coefficients of row 0 and 4 of a block may reach this before, and twice this behind the first pass of the transform.
///
/// Beyond 8191, the kernels of libjpeg-turbo wrap around; and already there, sums of ours could, to which 128 << 18 has been
/// added. No pixels have such coefficients.
const MOST: i16 = 8000;

/// Transforms sorted blocks into a plane, and zeroes them. Returns whether all coefficients are in range.
pub(crate) fn transform(
    jobs: &Jobs,
    blocks: &mut [Block],
    plane: &mut [u8],
    stride: usize,
    quantisation: &Quantisation,
    instructions: Instructions,
) -> bool {
    let is_in_range = flat(jobs.flat(), blocks, plane, stride, quantisation);
    let others = match instructions.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => avx2::transform(jobs, blocks, plane, stride, quantisation),
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => avx512::transform(jobs, blocks, plane, stride, quantisation),
        _ => portable::transform(jobs, blocks, plane, stride, quantisation),
    };
    is_in_range && others
}

/// Blocks of one value.
fn flat(jobs: &[Job], blocks: &[Block], plane: &mut [u8], stride: usize, quantisation: &Quantisation) -> bool {
    let factor = i32::from(quantisation.zigzag[0]);
    let mut most = 0;
    for job in jobs {
        let value = i32::from(blocks[job.block()].0[0]) * factor;
        most = most.max(value.abs());
        // `value / 8 + 128`, rounded half up.
        #[expect(clippy::cast_sign_loss, reason = "clamped")]
        let sample = (((value + 4) >> 3) + 128).clamp(0, 255) as u8;
        let at = job.at();
        let rows = plane[at..at + 7 * stride + 8].as_mut_ptr();
        for row in 0..8 {
            // SAFETY: the last of eight rows of eight samples ends with the slice.
            unsafe { rows.add(row * stride).cast::<[u8; 8]>().write_unaligned([sample; 8]) }
        }
    }
    most <= i32::from(MOST)
}

/// Puts `count` samples of Cb and Cr side by side, each less 128.
pub(crate) fn pair_up(cb: &[u8], cr: &[u8], pairs: &mut [u8], count: usize, instructions: Instructions) {
    match instructions.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => avx2::pair_up(cb, cr, pairs, count),
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => avx512::pair_up(cb, cr, pairs, count),
        _ => portable::pair_up(&cb[..count], &cr[..count], &mut pairs[..2 * count]),
    }
}

/// Parts of the near and of the far row that are mixed, as two bytes.
#[cfg(target_arch = "x86_64")]
const fn parts_of_rows(down: usize) -> i16 {
    if down == 2 { 0x0103 } else { 0x0001 }
}

/// What mixed samples of colour of even and of odd columns are multiplied with, in units of 2^-15, where a sample belongs to
/// two columns: they are mixed as three to one in each direction.
///
/// Of two columns that share a sample, libjpeg-turbo rounds one half up and one half down. The multiplication rounds half
/// up; so, what is to be rounded half down becomes negative.
#[cfg(target_arch = "x86_64")]
const fn shares(down: usize) -> [i16; 2] {
    if down == 2 {
        [1 << 11, -(1 << 11)]
    } else {
        [-(1 << 13), 1 << 13]
    }
}

/// Signs of the colour of even and of odd columns while it is computed: those of [`shares`].
#[cfg(target_arch = "x86_64")]
const fn signs(across: usize, down: usize) -> [i32; 2] {
    if across == 1 {
        return [1, 1];
    }
    let [even, odd] = shares(down);
    [even.signum() as i32, odd.signum() as i32]
}

/// A row of samples, to become a row of pixels.
pub(crate) struct Row<'a> {
    pub(crate) sampling: Sampling,
    /// Whether colour is interpolated; libjpeg-turbo repeats it in very narrow images.
    pub(crate) is_fancy: bool,
    /// Whether it is the lower one of two rows that share samples of colour.
    pub(crate) is_lower: bool,
    /// Luma, from the first column on that is computed.
    pub(crate) luma: &'a [u8],
    /// The nearest row of colour, as pairs, and the second nearest.
    pub(crate) near: &'a [u8],
    pub(crate) far: &'a [u8],
    /// Where the pair of the first column that is computed stands in them.
    pub(crate) pair: usize,
    /// 1 if the first column that is computed is not wanted.
    pub(crate) odd: usize,
    /// Pixels that are wanted.
    pub(crate) width: usize,
}

/// Writes a row of RGB pixels from byte `start` of `out` on. What is behind it may be overwritten.
pub(crate) fn row(row: &Row<'_>, out: &mut [u8], start: usize, instructions: Instructions) {
    match instructions.set() {
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 if row.is_fancy => avx2::row(row, out, start),
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 if row.is_fancy => avx512::row(row, out, start),
        _ => portable::row(row, &mut out[start..]),
    }
}
