//! To make a seek table: the entropy-coded data are walked, and no coefficient is kept but the sums of DC.
//!
//! A lookup takes as many symbols as have their codes in its bits, since the value of a coefficient need not be known to
//! pass over it.

use std::hint::select_unpredictable;

use crate::Declined;
use crate::entropy::{DAMAGED, Source, Symbol, window};
use crate::frame::{Frame, HuffmanSpec};
use crate::geometry::Geometry;
use crate::huffman::{Tables, extend};
use crate::pixels::EXTREME;
use crate::seek::Entry;

/// Bits that a table is asked with.
const BITS: u32 = 10;

/// Bits of a window that are surely there.
const WINDOW_BITS: u32 = 56;

/// The most bits that an entry takes: its codes, and the value of the last.
const LONGEST_STRIDE: u32 = BITS + 15;

// Two entries are taken from a window.
const _: () = assert!(LONGEST_STRIDE + BITS <= WINDOW_BITS);

/// Coefficients of a block, and more than any entry passes over.
const BLOCK: u32 = 64;

/// Some symbols that are passed over at once.
///
/// | bits | |
/// | --- | --- |
/// | 0..8 | how many bits they take |
/// | 8..15 | how many coefficients they are; [`Stride::SLOW`] if the table does not hold even one |
/// | 15 | whether the block ends behind them |
/// | 16..32 | the DC coefficient, in a table of DC |
#[derive(Debug, Clone, Copy)]
struct Stride(u32);

impl Stride {
    /// Further than any block.
    const SLOW: Self = Self(0x7f << 8);

    fn length(self) -> u32 {
        self.0 & 0xff
    }

    fn coefficients(self) -> u32 {
        self.0 >> 8 & 0x7f
    }

    fn end(self) -> u32 {
        self.0 >> 15 & 1
    }

    fn dc(self) -> i32 {
        self.0.cast_signed() >> 16
    }
}

/// Tables to pass over symbols with: DC and AC of each class of components, by turns.
#[derive(Debug, Default)]
pub(crate) struct Strides(Vec<Stride>);

impl Strides {
    /// Those of the classes that [`Tables`] has numbered.
    pub(crate) fn new(frame: &Frame<'_>, tables: &Tables) -> Self {
        let components = frame.sampling.components();
        let mut all = Vec::with_capacity(tables.canonical.len() << (BITS + 1));
        let classes = 0..tables.canonical.len();
        for component in classes.filter_map(|class| tables.class[..components].iter().position(|&found| found == class))
        {
            let (dc, ac) = frame.huffman[component];
            let (dc, ac) = (symbols(dc), symbols(ac));
            all.extend((0..1 << BITS).map(|window| dc_stride(window, &dc, &ac)));
            all.extend((0..1 << BITS).map(|window| ac_stride(window, 0, 0, &ac)));
        }
        Self(all)
    }

    /// Whether they are yet to be made.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A DC coefficient whose value is in the bits of the window, and what of AC comes behind it.
fn dc_stride(window: usize, dc: &[(u8, u8)], ac: &[(u8, u8)]) -> Stride {
    let (length, size) = dc[window];
    let (length, size) = (u32::from(length), u32::from(size));
    if length == 0 || length + size > BITS {
        return Stride::SLOW;
    }
    let value = extend((window as u64) << (64 - BITS + length), size);
    let rest = ac_stride(window, length + size, 1, ac);
    Stride(rest.0 & 0xffff | u32::from(value.cast_unsigned()) << 16)
}

/// As many symbols of AC as have their codes in the bits behind the first `length`, of which `coefficients` are known.
fn ac_stride(window: usize, mut length: u32, mut coefficients: u32, ac: &[(u8, u8)]) -> Stride {
    let mut end = 0;
    // More are never passed over in a block, whatever follows; nor has the stride room for them.
    while length < BITS && coefficients < BLOCK {
        let (code, symbol) = ac[window << length & ((1 << BITS) - 1)];
        let (code, run, size) = (u32::from(code), u32::from(symbol >> 4), u32::from(symbol & 15));
        if code == 0 || length + code > BITS {
            break;
        }
        length += code + size;
        if size == 0 && run < 15 {
            end = 1;
            break;
        }
        coefficients += run + 1;
    }
    if length == 0 {
        Stride::SLOW
    } else {
        Stride(length | coefficients << 8 | end << 15)
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

/// What belongs to each block of an MCU.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    component: usize,
    /// Start of its table of AC.
    ac: usize,
    /// Start of the table of DC of the next block, and which that is.
    next_dc: usize,
    next: usize,
}

/// The blocks of an MCU; their number is a power of two, so that every place is one.
fn places(geometry: &Geometry, tables: &Tables) -> [Place; 8] {
    let start = |component: usize| tables.class[component] << (BITS + 1);
    let mut places = [Place::default(); 8];
    let components = geometry.components;
    for (number, (place, &component)) in places.iter_mut().zip(components).enumerate() {
        let next = (number + 1) % components.len();
        *place = Place {
            component,
            ac: start(component) + (1 << BITS),
            next_dc: start(components[next]),
            next,
        };
    }
    places
}

/// Takes an entry. What comes next is chosen without a branch, since it cannot be foreseen. (A macro, so that all of it stays in
/// registers.)
macro_rules! take {
    ($source:ident, $strides:ident, $places:ident, $sums:ident, $bit:ident, $taken:ident, $window:ident, $at:ident,
     $table:ident, $index:ident, $left:ident) => {
        let stride = $strides[$table + ($window >> (64 - BITS)) as usize];
        let place = &$places[$at & 7];
        let mut behind = $index + stride.coefficients();
        let mut is_end = stride.end() == 1 || behind == BLOCK;
        // A block of 64 coefficients has no end of its own: that would be a symbol of the next block.
        if behind + stride.end() > BLOCK {
            let symbol = long_symbol($source, place.component, $bit + $taken as usize, $index).ok_or(DAMAGED)?;
            if $index == 0 {
                $sums[place.component] += i32::from(symbol.value);
            }
            $bit += ($taken + u32::from(symbol.length)) as usize;
            $taken = 0;
            $window = window($source.stream, $bit);
            behind = u32::from(symbol.next);
            is_end = behind == BLOCK;
        } else {
            $sums[place.component] += stride.dc();
            $taken += stride.length();
            $window = $window.wrapping_shl(stride.length());
        }
        $index = select_unpredictable(is_end, 0, behind);
        $table = select_unpredictable(is_end, place.next_dc, place.ac);
        $at = select_unpredictable(is_end, place.next, $at);
        $left -= usize::from(is_end);
    };
}

/// A symbol that no entry holds.
#[cold]
#[inline(never)]
fn long_symbol(source: Source<'_>, component: usize, bit: usize, index: u32) -> Option<Symbol> {
    let tables = source.tables;
    let start = tables.dc_start(tables.class[component]) + if index == 0 { 0 } else { 1 << tables.bits };
    source.symbol(bit, start, index as usize)
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
    strides: &Strides,
    limit: usize,
    step: usize,
    entries: &mut Vec<Entry>,
) -> Result<usize, Declined> {
    let places = places(geometry, source.tables);
    let strides = &strides.0[..];
    // Where the window begins, how many bits of it are taken, and the block in its MCU.
    let (mut bit, mut taken, mut at) = (0, 0, 0);
    let (mut table, mut index) = (source.tables.class[0] << (BITS + 1), 0);
    let mut dc = [0; 3];
    for row in 0..geometry.rows {
        if row % step == 0 {
            entries.push(Entry { bit, dc });
        }
        let mut left = geometry.columns * geometry.components.len();
        let mut sums = dc.map(i32::from);
        // Each entry ends at most one block.
        while left > 2 {
            let mut bits = window(source.stream, bit);
            take!(source, strides, places, sums, bit, taken, bits, at, table, index, left);
            take!(source, strides, places, sums, bit, taken, bits, at, table, index, left);
            bit += taken as usize;
            taken = 0;
        }
        while left > 0 {
            let mut bits = window(source.stream, bit);
            take!(source, strides, places, sums, bit, taken, bits, at, table, index, left);
            bit += taken as usize;
            taken = 0;
        }
        if bit > limit {
            return Err(DAMAGED);
        }
        let [Ok(y), Ok(cb), Ok(cr)] = sums.map(i16::try_from) else {
            return Err(EXTREME);
        };
        dc = [y, cb, cr];
    }
    Ok(bit)
}
