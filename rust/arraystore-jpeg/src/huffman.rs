//! Huffman codes: one symbol at a time by the canonical rule, and several at once by wide tables.
//!
//! A wide table is asked with the next [`Tables::bits`] bits. Its entry says how many of them to take, and up to two
//! coefficients that they hold and whether the block ends behind them; if they do not hold even one, the symbol is read by
//! the canonical rule ([`Canonical::symbol`]).

mod wide;

use crate::Declined;
use crate::frame::{Frame, HuffmanSpec};
pub(crate) use wide::Entry;

/// Codes have this many bits at most.
const LONGEST: usize = 16;

/// A Huffman table to read one symbol with, whatever the length of its code.
#[derive(Debug, Clone)]
pub(crate) struct Canonical {
    /// Windows of 16 bits that begin with a code of each length, or a shorter one, are below this.
    bounds: [u16; LONGEST],
    /// What to add to a code of each length for the index of its symbol.
    offsets: [i32; LONGEST],
    symbols: [u8; 256],
}

impl Canonical {
    /// From the table in the file, if its codes fit in their lengths.
    fn new(spec: HuffmanSpec<'_>, most: u8) -> Option<Self> {
        let mut table = Self {
            bounds: [0; LONGEST],
            offsets: [0; LONGEST],
            symbols: [0; 256],
        };
        table
            .symbols
            .get_mut(..spec.symbols.len())?
            .copy_from_slice(spec.symbols);
        if spec.symbols.iter().any(|&symbol| symbol > most) {
            return None;
        }
        let (mut code, mut index) = (0_u32, 0_i32);
        for (place, &count) in spec.counts.iter().enumerate() {
            code <<= 1;
            table.offsets[place] = index - code.cast_signed();
            index += i32::from(count);
            code += u32::from(count);
            // No code may be all ones.
            table.bounds[place] = u16::try_from(code << (LONGEST - 1 - place)).ok()?;
        }
        Some(table)
    }

    /// The symbol at the top of `window`, and the length of its code; `None` for bits that are no code.
    pub(crate) fn symbol(&self, window: u64) -> Option<(u32, u8)> {
        let first = u16::try_from(window >> (64 - LONGEST)).ok()?;
        // Without a branch for each length, none of which could be foretold.
        let place: u16 = self.bounds.iter().map(|&bound| u16::from(first >= bound)).sum();
        let place = usize::from(place);
        let code = i32::from(first >> (LONGEST - 1).checked_sub(place)?);
        let index = usize::try_from(code + self.offsets[place]).ok()?;
        Some((u32::try_from(place + 1).ok()?, *self.symbols.get(index)?))
    }
}

/// The value of the `size` bits at the top of `window`, by the rule of ISO/IEC 10918-1, F.2.2.1: those that begin with 0 are
/// negative.
pub(crate) fn extend(window: u64, size: u32) -> i16 {
    let bits = window.checked_shr(64 - size).unwrap_or(0);
    let is_negative = size > 0 && window >> 63 == 0;
    let offset = if is_negative { (1 << size) - 1 } else { 0 };
    #[expect(clippy::cast_possible_truncation, reason = "at most 15 bits")]
    {
        (bits.cast_signed() - offset) as i16
    }
}

/// The codes of at most so many bits, in order: number, length and symbol of each.
pub(crate) fn codes(spec: HuffmanSpec<'_>, most: u32) -> impl Iterator<Item = (usize, u32, u8)> {
    let lengths = (1..=most)
        .zip(spec.counts)
        .flat_map(|(length, &count)| (0..count).map(move |_| length));
    let mut next = (0, 0);
    lengths.zip(spec.symbols).map(move |(length, &symbol)| {
        let number = next.0 << (length - next.1);
        next = (number + 1, length);
        (number, length, symbol)
    })
}

/// The codes of an image: those of each class of components, first DC then AC.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    pub(crate) canonical: Vec<[Canonical; 2]>,
    /// The class of each component.
    pub(crate) class: [usize; 3],
}

/// What a file says of the codes of a class: DC and AC.
pub(crate) type Specs<'a> = (HuffmanSpec<'a>, HuffmanSpec<'a>);

/// The largest size of a DC difference and the largest symbol of AC.
const MOST: [u8; 2] = [15, 255];

impl Codes {
    /// Those of a frame, in the memory of these, and what its file says of each class.
    pub(crate) fn remade<'a>(mut self, frame: &Frame<'a>) -> Result<(Self, impl Iterator<Item = Specs<'a>>), Declined> {
        let (mut specs, mut count) = ([None; 3], 0);
        self.class = [0; 3];
        for (class, pair) in self
            .class
            .iter_mut()
            .zip(frame.huffman)
            .take(frame.sampling.components())
        {
            let known = specs[..count].iter().position(|known| *known == Some(pair));
            *class = known.unwrap_or(count);
            if known.is_none() {
                specs[count] = Some(pair);
                count += 1;
            }
        }
        self.canonical.clear();
        for (dc, ac) in specs.into_iter().flatten() {
            let pair = [(dc, MOST[0]), (ac, MOST[1])].map(|(spec, most)| Canonical::new(spec, most));
            let [Some(dc), Some(ac)] = pair else {
                return Err(Declined::Kind("it has an impossible Huffman table"));
            };
            self.canonical.push([dc, ac]);
        }
        Ok((self, specs.into_iter().flatten()))
    }
}

/// The tables of an image.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Wide tables of each class, DC and AC by turns, of `1 << bits` entries each.
    pub(crate) wide: Vec<Entry>,
    /// Bits that a wide table is asked with.
    pub(crate) bits: u32,
    pub(crate) codes: Codes,
    parts: wide::Parts,
}

impl Tables {
    /// Tables of a frame, that are asked with `bits` bits, in the memory of these.
    pub(crate) fn remade(mut self, frame: &Frame<'_>, bits: u32) -> Result<Self, Declined> {
        let (codes, specs) = self.codes.remade(frame)?;
        self.wide.clear();
        for specs in specs {
            self.parts.append(&mut self.wide, specs, bits);
        }
        Ok(Self { bits, codes, ..self })
    }

    /// The symbol at the top of `window`, and the length of its code, by the table that begins at `start`.
    pub(crate) fn symbol(&self, window: u64, start: usize) -> Option<(u32, u8)> {
        #[expect(clippy::cast_possible_truncation, reason = "as many bits as the table is asked with")]
        let entry = *self.wide.get(start + (window >> (64 - self.bits)) as usize)?;
        if entry.is_slow() && entry.length() > 0 {
            #[expect(clippy::cast_possible_truncation, reason = "the byte of the symbol")]
            return Some((entry.length(), (entry.0 >> 32) as u8));
        }
        // Its code is longer; or the entry holds more than is left of the block.
        let table = start >> self.bits;
        self.codes.canonical.get(table / 2)?[table % 2].symbol(window)
    }

    /// Where the DC table of each class begins in [`Tables::wide`].
    pub(crate) fn dc_start(&self, class: usize) -> usize {
        class << (self.bits + 1)
    }
}

/// What was made of the Huffman tables of the last images, so that those of a package, which mostly share theirs, are used
/// again.
#[derive(Debug)]
pub(crate) struct Cache<T> {
    kept: Vec<Kept<T>>,
}

#[derive(Debug, Default)]
struct Kept<T> {
    /// Components, counts and symbols of all tables.
    key: Vec<u8>,
    made: T,
    times: u32,
}

/// As many sets of tables are kept.
pub(crate) const MOST_KEPT: usize = 4;

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { kept: Vec::new() }
    }
}

impl<T: Default> Cache<T> {
    /// What was made for a frame, or now is, of the memory of what was not asked for the longest; and how often it was asked for.
    pub(crate) fn find(
        &mut self,
        frame: &Frame<'_>,
        build: impl FnOnce(T) -> Result<T, Declined>,
    ) -> Result<(&mut T, u32), Declined> {
        let position = self.kept.iter().position(|kept| kept.is_of(frame));
        if let Some(position) = position {
            // The one that was used last comes first.
            self.kept[..=position].rotate_right(1);
            self.kept[0].times = self.kept[0].times.saturating_add(1);
        } else {
            let is_full = self.kept.len() == MOST_KEPT;
            let oldest = if is_full { self.kept.pop() } else { None };
            let Kept { mut key, made, .. } = oldest.unwrap_or_default();
            let made = build(made)?;
            key.clear();
            key.extend(parts_of(frame).flatten());
            self.kept.insert(0, Kept { key, made, times: 1 });
        }
        let Kept { made, times, .. } = &mut self.kept[0];
        Ok((made, *times))
    }

    /// What is kept for a frame.
    pub(crate) fn get(&self, frame: &Frame<'_>) -> Option<&T> {
        self.kept.iter().find(|kept| kept.is_of(frame)).map(|kept| &kept.made)
    }
}

/// Bits of tables that are used once, and of those that have come again: wide ones take longer to make and to read less.
pub(crate) const NARROW_BITS: u32 = 10;
pub(crate) const WIDE_BITS: u32 = 11;

/// Tables that were asked for as often are worth making wide.
const TIMES_TO_WIDEN: u32 = 3;

impl Cache<Tables> {
    /// The tables of a frame.
    pub(crate) fn tables(&mut self, frame: &Frame<'_>) -> Result<&Tables, Declined> {
        let (tables, times) = self.find(frame, |tables| tables.remade(frame, NARROW_BITS))?;
        if times == TIMES_TO_WIDEN {
            *tables = Tables::default().remade(frame, WIDE_BITS)?;
        }
        Ok(tables)
    }
}

impl<T> Kept<T> {
    fn is_of(&self, frame: &Frame<'_>) -> bool {
        let mut rest = &self.key[..];
        for part in parts_of(frame) {
            let Some(after) = rest.strip_prefix(part) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }
}

fn parts_of<'a>(frame: &Frame<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let huffman = frame.huffman;
    let count = frame.sampling.components();
    // A Cr that shares the tables of Cb, as nearly all do, is told by that.
    (0..count).flat_map(move |number| {
        let (dc, ac) = huffman[number];
        let is_shared = number == 2 && huffman[1] == huffman[2];
        let parts: [&[u8]; 4] = if is_shared {
            [b"shared", &[], &[], &[]]
        } else {
            [dc.counts, dc.symbols, ac.counts, ac.symbols]
        };
        parts
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_extended_by_the_rule() {
        let extended = |bits: u64, size: u32| extend(bits << (64 - size), size);
        assert_eq!(extend(u64::MAX, 0), 0);
        assert_eq!((extended(0, 1), extended(1, 1)), (-1, 1));
        assert_eq!([0, 3, 4, 7].map(|bits| extended(bits, 3)), [-7, -4, 4, 7]);
        assert_eq!((extended(0, 15), extended(0x7fff, 15)), (-32767, 32767));
    }
}
