//! The horizontal half of a resize: weights of the columns, and the kernel that can use them.

use super::weights::Weights;
use super::{CHANNELS, MOST_TAPS, Strip, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::instructions::{Instructions, Set};

/// How rows are resized to the output's width.
#[derive(Debug, Default)]
pub(super) struct Columns {
    weights: Weights,
    target: usize,
    channels: usize,
    kernel: Kernel,
    #[cfg(target_arch = "x86_64")]
    avx2: avx2::Table,
    #[cfg(target_arch = "x86_64")]
    avx512: avx512::Table,
}

/// The loop that the weights are laid out for.
#[derive(Debug, Default, Clone, Copy)]
enum Kernel {
    #[default]
    Portable,
    Long,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Columns {
    /// Computes the weights, unless they are those of the last image, and lays them out.
    pub(super) fn prepare(
        &mut self,
        instructions: Instructions,
        (source, target): (u32, u32),
        flip: bool,
        channels: usize,
    ) {
        let is_new = self.weights.compute(instructions, source, target, flip);
        if !is_new && self.channels == channels {
            return;
        }
        self.target = target as usize;
        self.channels = channels;
        self.kernel = match instructions.set() {
            _ if self.weights.taps() > MOST_TAPS => Kernel::Long,
            Set::Portable => Kernel::Portable,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => self.for_avx2(),
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                // SAFETY: the set is only there if the processor has it.
                if unsafe { self.avx512.fill(&self.weights, self.target, channels) } {
                    Kernel::Avx512
                } else {
                    self.for_avx2()
                }
            }
        };
    }

    #[cfg(target_arch = "x86_64")]
    fn for_avx2(&mut self) -> Kernel {
        // SAFETY: both sets that come here hold AVX2, and are only there if the processor has them.
        unsafe { self.avx2.fill(&self.weights, self.target, self.channels) };
        Kernel::Avx2
    }

    /// Resizes some rows, each into `out_stride` samples of `out`, some of which, behind the row, get values without
    /// meaning.
    pub(super) fn resize_rows(&self, source: Strip<'_>, out: &mut [i16], out_stride: usize) {
        let mut one_by_one = |resize: fn(&[u8], usize, &Weights, &mut [i16])| {
            for (row, out) in out.chunks_exact_mut(out_stride).enumerate().take(source.rows) {
                let pixels = &source.pixels[row * source.stride..];
                resize(pixels, self.channels, &self.weights, &mut out[..self.target * CHANNELS]);
            }
        };
        match self.kernel {
            Kernel::Portable => one_by_one(portable::resize_row),
            Kernel::Long => one_by_one(portable::resize_row_long),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the kernel is only chosen from a set that the processor has.
            Kernel::Avx2 => unsafe { self.avx2.resize_rows(source, out, out_stride) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Kernel::Avx512 => unsafe { self.avx512.resize_rows(source, out, out_stride) },
        }
    }
}
