//! The three loops of the last stage, each for any set of instructions.

use super::normalise::Channels;
use super::{NormaliseTable, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::instructions::{Instructions, Set};
use crate::jpeg::RGB_CHANNELS;

/// The loops for one set of instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels(pub(super) Instructions);

impl Kernels {
    /// Pixels of 3 or 4 channels to RGB, mirrored if `flip`; `out` has room for just as many.
    pub(super) fn pack(self, pixels: &[u8], channels: usize, flip: bool, out: &mut [u8]) {
        match self.0.set() {
            Set::Portable => portable::pack(pixels, channels, flip, out),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the set is only there if the processor has it.
            Set::Avx2 => unsafe { avx2::pack(pixels, channels, flip, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx512 => unsafe { avx512::pack(pixels, channels, flip, out) },
        }
    }

    /// RGB pixels to three planes of as many bytes.
    pub(super) fn split(self, pixels: &[u8], planes: [&mut [u8]; RGB_CHANNELS]) {
        match self.0.set() {
            Set::Portable => portable::split(pixels, planes),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the set is only there if the processor has it.
            Set::Avx2 => unsafe { avx2::split(pixels, planes) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx512 => unsafe { avx512::split(pixels, planes) },
        }
    }

    /// Bytes of some channels to as many normalised floats.
    pub(super) fn normalise(self, bytes: &[u8], out: &mut [f32], table: &NormaliseTable, channels: Channels) {
        let done = match (self.0.set(), table.lines(channels)) {
            (Set::Portable, _) | (_, None) => 0,
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the sets are only there if the processor has them, and both hold AVX2 and FMA.
            (Set::Avx2 | Set::Avx512, Some(lines)) => unsafe { avx2::normalise(bytes, out, lines) },
        };
        // The rest begins where the channels do.
        let done = done / RGB_CHANNELS * RGB_CHANNELS;
        portable::normalise(&bytes[done..], &mut out[done..], table, channels);
    }
}
