//! The vertical half of a resize: rows of the ring, each with its weight, to a row of the output.

use super::{MOST_TAPS, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::instructions::{Instructions, Set};

/// The most rows that are mixed without their list being kept in memory of its own size.
const FEW_ROWS: usize = 4;

/// Rows of the ring, from one on.
pub(super) struct Rows<'a> {
    ring: &'a [i16],
    stride: usize,
    slots: usize,
    /// Slot of the first.
    slot: usize,
}

impl<'a> Rows<'a> {
    /// Rows from number `first` on, each at `row % slots`.
    pub(super) fn new(ring: &'a [i16], stride: usize, slots: usize, first: usize) -> Self {
        let slot = first % slots;
        Self {
            ring,
            stride,
            slots,
            slot,
        }
    }

    /// Row number `tap`, which is less than the number of slots.
    pub(super) fn at(&self, tap: usize) -> &'a [i16] {
        let mut slot = self.slot + tap;
        if slot >= self.slots {
            slot -= self.slots;
        }
        &self.ring[slot * self.stride..(slot + 1) * self.stride]
    }
}

/// Mixes rows of the ring into a row of bytes.
pub(super) fn mix(
    instructions: Instructions,
    rows: &Rows<'_>,
    weights: impl ExactSizeIterator<Item = i16> + Clone,
    out: &mut [u8],
) {
    let count = weights.len();
    if count > MOST_TAPS {
        portable::mix_rows_long(rows, &weights, out);
    } else if count > FEW_ROWS {
        mix_listed::<MOST_TAPS>(instructions, rows, weights, out);
    } else {
        mix_listed::<FEW_ROWS>(instructions, rows, weights, out);
    }
}

fn mix_listed<const MOST: usize>(
    instructions: Instructions,
    rows: &Rows<'_>,
    weights: impl ExactSizeIterator<Item = i16>,
    out: &mut [u8],
) {
    let (mut listed, mut values): ([&[i16]; MOST], _) = ([&[]; MOST], [0; MOST]);
    let count = weights.len();
    for (tap, weight) in weights.enumerate() {
        (listed[tap], values[tap]) = (rows.at(tap), weight);
    }
    let (rows, weights) = (&listed[..count], &values[..count]);
    match instructions.set() {
        Set::Portable => portable::mix_rows(rows, weights, out),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the set is only there if the processor has it.
        Set::Avx2 => unsafe { avx2::mix_rows(rows, weights, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Set::Avx512 => unsafe { avx512::mix_rows(rows, weights, out) },
    }
}
