//! To make a seek table: the entropy-coded data are walked, and no coefficient is kept but the sums of DC.
//!
//! A lookup takes as many symbols as have their codes in its bits, since the value of a coefficient need not be known to
//! pass over it.

use crate::Declined;
use crate::entropy::{DAMAGED, Source, window};
use crate::frame::{Frame, HuffmanSpec};
use crate::geometry::Geometry;
use crate::huffman::{Tables, extend};
use crate::pixels::EXTREME;
use crate::seek::Entry;

/// Bits that a table is asked with.
const BITS: u32 = 11;

/// Bits of a window that are surely there.
const WINDOW_BITS: u32 = 56;

/// The longest code of a DC coefficient, and its value.
const LONGEST_DC: u32 = 16 + 15;

/// Tables to pass over the symbols of a class of components.
#[derive(Debug)]
pub(crate) struct Strides {
    /// Length of the code and size of the value, 0 if the code is longer than the table.
    dc: Vec<(u8, u8)>,
    ac: Vec<Stride>,
}

/// Some symbols of AC.
#[derive(Debug, Clone, Copy, Default)]
struct Stride {
    /// Bits that they take, 0 if the code of the first is longer than the table.
    length: u8,
    /// Coefficients that they pass over.
    coefficients: u8,
    /// Whether the block ends behind them.
    is_end: bool,
}

impl Strides {
    fn new(dc: HuffmanSpec<'_>, ac: HuffmanSpec<'_>) -> Self {
        let dc = symbols(dc);
        let single = symbols(ac);
        let stride = |window: usize| {
            let mut stride = Stride::default();
            while u32::from(stride.length) < BITS {
                let (length, symbol) = single[window << stride.length & ((1 << BITS) - 1)];
                let (run, size) = (symbol >> 4, symbol & 15);
                if length == 0 || u32::from(stride.length + length) > BITS {
                    break;
                }
                stride.length += length + size;
                if size == 0 && run < 15 {
                    stride.is_end = true;
                    break;
                }
                stride.coefficients += run + 1;
            }
            stride
        };
        Self {
            dc,
            ac: (0..1 << BITS).map(stride).collect(),
        }
    }

    /// Those of each class of components, as [`Tables`] numbers them.
    pub(crate) fn of_classes(frame: &Frame<'_>, tables: &Tables) -> Vec<Self> {
        let components = frame.sampling.components();
        (0..tables.canonical.len())
            .filter_map(|class| tables.class[..components].iter().position(|&found| found == class))
            .map(|component| Self::new(frame.huffman[component].0, frame.huffman[component].1))
            .collect()
    }
}

/// Length and symbol of the code that the bits begin with; length 0 if it is longer.
fn symbols(spec: HuffmanSpec<'_>) -> Vec<(u8, u8)> {
    let mut all = Vec::with_capacity(1 << BITS);
    let lengths = (1_u8..)
        .zip(spec.counts)
        .flat_map(|(length, &count)| (0..count).map(move |_| length));
    for (length, &symbol) in lengths
        .zip(spec.symbols)
        .take_while(|(length, _)| u32::from(*length) <= BITS)
    {
        let span = 1_usize << (BITS - u32::from(length));
        all.extend(std::iter::repeat_n((length, symbol), span));
    }
    all.resize(1 << BITS, (0, 0));
    all
}

/// Walks the data of an image without restart markers, which are bits `0..limit` of the stream, and notes where every
/// `step`-th row of MCUs begins; positions are those without stuffing. Returns where the data end.
///
/// # Errors
///
/// As for decoding.
pub(crate) fn walk(
    source: Source<'_>,
    geometry: &Geometry,
    strides: &[Strides],
    limit: usize,
    step: usize,
    entries: &mut Vec<Entry>,
) -> Result<usize, Declined> {
    let mut bit = 0;
    let mut dc = [0; 3];
    for row in 0..geometry.rows {
        if row % step == 0 {
            entries.push(Entry { bit, dc });
        }
        let mut sums = dc.map(i32::from);
        for _ in 0..geometry.columns {
            for &component in geometry.components {
                let class = source.tables.class[component];
                let (behind, difference) = pass_block(source, &strides[class], class, bit)?;
                bit = behind;
                sums[component] += i32::from(difference);
            }
            if bit > limit {
                return Err(DAMAGED);
            }
        }
        let [Ok(y), Ok(cb), Ok(cr)] = sums.map(i16::try_from) else {
            return Err(EXTREME);
        };
        dc = [y, cb, cr];
    }
    Ok(bit)
}

/// Passes over a block; returns the bit behind it and its DC coefficient.
#[inline]
fn pass_block(source: Source<'_>, strides: &Strides, class: usize, start: usize) -> Result<(usize, i16), Declined> {
    let mut bits = window(source.stream, start);
    let mut taken = 0;
    let (length, size) = strides.dc[top(bits)];
    let difference = if length == 0 {
        let symbol = source.symbol(start, source.tables.dc_start(class), 0).ok_or(DAMAGED)?;
        taken += u32::from(symbol.length);
        symbol.value
    } else {
        let (length, size) = (u32::from(length), u32::from(size));
        taken += length + size;
        extend(bits << length, size)
    };
    let mut bit = start;
    let mut index = 1;
    bits = bits.checked_shl(taken).unwrap_or(0);
    while index < 64 {
        // The code of the next symbol must be there.
        if taken + BITS > WINDOW_BITS {
            bit += taken as usize;
            taken = 0;
            bits = window(source.stream, bit);
        }
        let stride = strides.ac[top(bits)];
        let behind = index + usize::from(stride.coefficients);
        // A block of 64 coefficients has no end of its own: that would be a symbol of the next block.
        if stride.length == 0 || behind + usize::from(stride.is_end) > 64 {
            let start = source.tables.dc_start(class) + (1 << source.tables.bits);
            let symbol = source.symbol(bit + taken as usize, start, index).ok_or(DAMAGED)?;
            bit += taken as usize + usize::from(symbol.length);
            taken = 0;
            bits = window(source.stream, bit);
            index = usize::from(symbol.next);
            continue;
        }
        taken += u32::from(stride.length);
        bits = bits.checked_shl(u32::from(stride.length)).unwrap_or(0);
        index = if stride.is_end { 64 } else { behind };
    }
    Ok((bit + taken as usize, difference))
}

const _: () = assert!(LONGEST_DC + BITS <= WINDOW_BITS);

/// The next bits that a table is asked with.
fn top(bits: u64) -> usize {
    (bits >> (64 - BITS)) as usize
}
