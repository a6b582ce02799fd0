//! Tables that tell how many bits and coefficients the next symbols are.

use crate::Declined;
use crate::frame::{Frame, HuffmanSpec};
use crate::huffman::{Codes, codes, extend};

/// Bits that a table is asked with.
pub(super) const BITS: u32 = 10;

/// Bits of a window that are surely there.
const WINDOW_BITS: u32 = 56;

/// The most bits that an entry takes: its codes, and the value of the last.
const LONGEST_STRIDE: u32 = BITS + 15;

// Two entries are taken from a window.
const _: () = assert!(LONGEST_STRIDE + BITS <= WINDOW_BITS);

/// Some symbols that are passed over at once.
///
/// | bits | |
/// | --- | --- |
/// | 0..5 | how many bits they take |
/// | 5 | whether the block ends behind them |
/// | 6..16 | how many coefficients they are; [`Stride::SLOW`] if the table does not hold even one |
/// | 16..32 | the DC coefficient, in a table of DC |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stride(u32);

// An entry has at most as many codes as bits, each of 16 coefficients.
const _: () = assert!(LONGEST_STRIDE < 1 << 5 && BITS * 16 < 1 << 10);

impl Stride {
    /// None yet.
    const NONE: Self = Self(0);
    /// Further than any block.
    const SLOW: Self = Self(0x3ff << 6);
    const END: u32 = 1 << 5;

    fn new(length: u32, coefficients: u32) -> Self {
        Self(length | coefficients << 6)
    }

    /// This one, which does not end the block, and the one behind it.
    fn and(self, next: Self) -> Self {
        Self(self.0 + next.0)
    }

    pub(super) fn length(self) -> u32 {
        self.0 & 31
    }

    pub(super) fn coefficients(self) -> u32 {
        self.0 >> 6 & 0x3ff
    }

    pub(super) fn end(self) -> u32 {
        self.0 >> 5 & 1
    }

    pub(super) fn dc(self) -> i32 {
        self.0.cast_signed() >> 16
    }
}

/// Tables to pass over symbols with.
#[derive(Debug, Default)]
pub(super) struct Strides {
    /// DC and AC of each class of components, by turns.
    pub(super) all: Vec<Stride>,
    /// For symbols that no table holds.
    pub(super) codes: Codes,
}

impl Strides {
    pub(super) fn new(frame: &Frame<'_>) -> Result<Self, Declined> {
        let (codes, specs) = Codes::default().remade(frame)?;
        let mut all = Vec::with_capacity(codes.canonical.len() << (BITS + 1));
        for (dc, ac) in specs {
            let ac = ac_strides(ac);
            all.extend(dc_strides(dc, &ac));
            let whole = ac[1 << BITS..].iter();
            all.extend(whole.map(|&stride| if stride == Stride::NONE { Stride::SLOW } else { stride }));
        }
        Ok(Self { all, codes })
    }

    /// Where the table of DC of a component begins; that of AC is behind it.
    pub(super) fn start(&self, component: usize) -> usize {
        self.codes.class[component] << (BITS + 1)
    }
}

/// As many symbols of AC as have their codes in some bits: those of `count` bits are at `1 << count`.
fn ac_strides(spec: HuffmanSpec<'_>) -> Vec<Stride> {
    let mut all = vec![Stride::NONE; 2 << BITS];
    for count in 1..=BITS {
        let (shorter, table) = all.split_at_mut(1 << count);
        for (number, length, symbol) in codes(spec, count) {
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            let place = &mut table[number << (count - length)..][..1 << (count - length)];
            if size == 0 && run < 15 {
                place.fill(Stride(length | Stride::END));
                continue;
            }
            let first = Stride::new(length + size, run + 1);
            match count.checked_sub(length + size) {
                None => place.fill(first),
                Some(left) => {
                    let behind = &shorter[1 << left..][..1 << left];
                    for part in place.chunks_exact_mut(1 << left) {
                        for (stride, &next) in part.iter_mut().zip(behind) {
                            *stride = first.and(next);
                        }
                    }
                }
            }
        }
    }
    all
}

/// DC coefficients whose values are in the bits of the table, and what of AC comes behind them.
fn dc_strides(spec: HuffmanSpec<'_>, ac: &[Stride]) -> Vec<Stride> {
    let mut table = vec![Stride::SLOW; 1 << BITS];
    for (number, length, size) in codes(spec, BITS) {
        let size = u32::from(size);
        let Some(left) = BITS.checked_sub(length + size) else {
            continue;
        };
        let place = &mut table[number << (BITS - length)..][..1 << (BITS - length)];
        for (bits, part) in (0_u64..).zip(place.chunks_exact_mut(1 << left)) {
            let value = extend(bits.checked_shl(64 - size).unwrap_or(0), size);
            let first = Stride(Stride::new(length + size, 1).0 | u32::from(value.cast_unsigned()) << 16);
            for (stride, &next) in part.iter_mut().zip(&ac[1 << left..][..1 << left]) {
                *stride = first.and(next);
            }
        }
    }
    table
}
