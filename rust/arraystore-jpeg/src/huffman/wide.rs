//! Wide tables: up to two coefficients and the end of the block at once.
//!
//! Images may have tables of their own, so that making them counts as much as reading them: they are put together of whole
//! parts. What stands behind a coefficient depends only on the bits that are left; it is made once for each number of them.

use super::{Specs, codes, extend};
use crate::frame::HuffmanSpec;

/// What the next bits of a stream hold.
///
/// | bits | |
/// | --- | --- |
/// | 0..8 | how many bits to take |
/// | 8..16 | twice the zigzag distance of the coefficient behind those that are here; [`Entry::SLOW`] if none is |
/// | 16..24 | twice that of the first coefficient |
/// | 24 | whether the block ends |
/// | 25 | whether there are two coefficients |
/// | 26..32 | how many of the bits are the end behind the second one |
/// | 32..48 | the first coefficient |
/// | 48..64 | the second one, which stands before the one behind; it may be the first again |
///
/// If none is here: how long the code is, and its symbol in place of the first coefficient; or 0 if the code is longer, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) u64);

/// What of an entry is behind its first coefficient, without that.
type Tail = Entry;

impl Entry {
    /// Nothing, as a tail.
    const NOTHING: Tail = Self(0);
    /// Further than any block: a reader that tests for the end of the block finds this too.
    const SLOW: Self = Self(0x80 << 8);
    const END: u64 = 1 << 24;
    const TWO: u64 = 1 << 25;
    const ZERO_RUN: u32 = 15;

    fn coefficient(length: u32, run: u32, value: i16) -> Self {
        let value = u64::from(value.cast_unsigned());
        Self(u64::from(length) | u64::from(run + 1) << 9 | u64::from(run) << 17 | value << 32 | value << 48)
    }

    /// A symbol whose value has no room.
    fn code(length: u32, symbol: u8) -> Self {
        Self(Self::SLOW.0 | u64::from(length) | u64::from(symbol) << 32)
    }

    fn end(length: u32) -> Self {
        Self(Self::coefficient(length, 0, 0).0 | Self::END)
    }

    pub(super) fn is_slow(self) -> bool {
        self.0 & Self::SLOW.0 != 0
    }

    pub(super) fn length(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest byte")]
        {
            u32::from(self.0 as u8)
        }
    }

    /// The second coefficient.
    fn second(length: u32, run: u32, value: i16) -> Tail {
        let value = u64::from(value.cast_unsigned());
        Self(u64::from(length) | u64::from(run + 1) << 9 | Self::TWO | value << 48)
    }

    /// This second coefficient, and the end of the block.
    fn and_end(self, length: u32) -> Tail {
        Self((self.0 + u64::from(length)) | Self::END | u64::from(length) << 26)
    }

    /// What of a tail is in the first `count` bits of it.
    fn within(self, count: u32) -> Tail {
        let end = self.0 >> 26 & 63;
        let without_end = (self.0 - end) & !(Self::END | 63 << 26);
        let kept = if self.length() <= count { self.0 } else { without_end };
        if Self(kept).length() <= count {
            Self(kept)
        } else {
            Self::NOTHING
        }
    }

    /// The only coefficient of this entry, and what is behind it.
    fn and(self, tail: Tail) -> Self {
        let is_two = tail.0 >> 25 & 1;
        Self((self.0 & !(is_two.wrapping_neg() << 48)) + tail.0)
    }
}

/// What tables are put together of, reused from class to class.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What may stand behind a coefficient: in `count` bits that are left at `1 << count`.
    tails: Vec<Tail>,
    /// The codes that end a block, and their lengths.
    ends: Vec<(usize, u32)>,
}

impl Parts {
    /// Appends the tables of DC and AC of a class of components, of `1 << bits` entries each.
    pub(super) fn append(&mut self, wide: &mut Vec<Entry>, (dc, ac): Specs<'_>, bits: u32) {
        self.make_tails(ac, bits - 1);
        append_table(wide, dc, bits, &self.tails, false);
        append_table(wide, ac, bits, &self.tails, true);
    }

    /// Makes the tails of at most so many bits.
    fn make_tails(&mut self, ac: HuffmanSpec<'_>, most: u32) {
        let Self { tails: all, ends } = self;
        all.clear();
        all.resize(2 << most, Entry::NOTHING);
        let widest = &mut all[1 << most..];
        // Of a table of `1 << bits`, the entries whose windows begin with a code.
        let place = |bits: u32, number: usize, length: u32| number << (bits - length)..(number + 1) << (bits - length);
        let is_end = |symbol: u8| matches!(run_and_size(symbol), (0..Entry::ZERO_RUN, 0));
        ends.clear();
        ends.extend(codes(ac, most).filter_map(|(number, length, symbol)| is_end(symbol).then_some((number, length))));
        for (number, length, symbol) in codes(ac, most) {
            let widest = &mut widest[place(most, number, length)];
            match run_and_size(symbol) {
                (Entry::ZERO_RUN, 0) => {}
                (_, 0) => widest.fill(Entry(Entry::END | u64::from(length))),
                (run, size) if length + size <= most => {
                    let left = most - length - size;
                    for (value, part) in values(size).zip(widest.chunks_exact_mut(1 << left)) {
                        let second = Entry::second(length + size, run, value);
                        part.fill(second);
                        for &(number, length) in ends.iter().take_while(|&&(_, length)| length <= left) {
                            part[place(left, number, length)].fill(second.and_end(length));
                        }
                    }
                }
                _ => {}
            }
        }
        for count in (0..most).rev() {
            let (narrower, wider) = all.split_at_mut(2 << count);
            for (tail, [wider, _]) in narrower[1 << count..].iter_mut().zip(wider.as_chunks().0) {
                *tail = wider.within(count);
            }
        }
    }
}

fn run_and_size(symbol: u8) -> (u32, u32) {
    (u32::from(symbol >> 4), u32::from(symbol & 15))
}

/// The values of so many bits, in order.
fn values(size: u32) -> impl Iterator<Item = i16> {
    (0..1_u64 << size).map(move |bits| extend(bits.checked_shl(64 - size).unwrap_or(0), size))
}

fn append_table(wide: &mut Vec<Entry>, spec: HuffmanSpec<'_>, bits: u32, tails: &[Tail], is_ac: bool) {
    let end = wide.len() + (1 << bits);
    for (_, length, symbol) in codes(spec, bits) {
        let span = 1_usize << (bits - length);
        let (run, size) = if is_ac {
            run_and_size(symbol)
        } else {
            (0, symbol.into())
        };
        if is_ac && size == 0 {
            let entry = if run == Entry::ZERO_RUN {
                Entry::coefficient(length, run, 0)
            } else {
                Entry::end(length)
            };
            wide.extend(std::iter::repeat_n(entry, span));
        } else if length + size > bits {
            wide.extend(std::iter::repeat_n(Entry::code(length, symbol), span));
        } else {
            let tails = &tails[span >> size..][..span >> size];
            for value in values(size) {
                let first = Entry::coefficient(length + size, run, value);
                wide.extend(tails.iter().map(|&tail| first.and(tail)));
            }
        }
    }
    // Longer codes, and what is no code.
    wide.resize(end, Entry::SLOW);
}

#[cfg(test)]
mod tests {
    use super::super::Canonical;
    use super::*;

    /// The symbol that is in the first `left` bits at the top of a window, with its value: length of both, whether it has a
    /// value, run and value.
    fn read(canonical: &Canonical, window: u64, left: u32, is_ac: bool) -> Option<(u32, bool, u32, i16)> {
        let (length, symbol) = canonical.symbol(window)?;
        let (run, size) = if is_ac {
            run_and_size(symbol)
        } else {
            (0, symbol.into())
        };
        let value = extend(window << length, size);
        (length + size <= left).then_some((length + size, size > 0 || !is_ac, run, value))
    }

    /// An entry, symbol by symbol.
    fn entry_of((first, ac): (&Canonical, &Canonical), window: u64, bits: u32, is_ac: bool) -> Entry {
        let Some((length, has_value, run, value)) = read(first, window, bits, is_ac) else {
            return match first.symbol(window) {
                Some((length, symbol)) if length <= bits => Entry::code(length, symbol),
                _ => Entry::SLOW,
            };
        };
        if !has_value {
            return if run == 15 {
                Entry::coefficient(length, 15, 0)
            } else {
                Entry::end(length)
            };
        }
        let first = Entry::coefficient(length, run, value);
        let behind = read(ac, window << length, bits - length, true);
        match behind {
            Some((end, false, 0..15, _)) => Entry((first.0 + u64::from(end)) | Entry::END),
            Some((second, true, next_run, value)) => {
                let two = first.0 << 16 >> 16 | u64::from(value.cast_unsigned()) << 48 | Entry::TWO;
                let two = two + u64::from(second) + (u64::from(next_run + 1) << 9);
                let length = length + second;
                match read(ac, window << length, bits - length, true) {
                    Some((end, false, 0..15, _)) => Entry((two + u64::from(end)) | Entry::END | u64::from(end) << 26),
                    _ => Entry(two),
                }
            }
            _ => first,
        }
    }

    /// Numbers that look random, below 2^31.
    fn random(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    /// Counts of codes of each length, and their symbols of at most `most`.
    fn spec(state: &mut u64, most: u8) -> ([u8; 16], Vec<u8>) {
        let (mut counts, mut free) = ([0; 16], 1_u64);
        // From code lengths that leave room to ones that use up nearly all.
        let thirst = 1 + random(state) % 4;
        for count in &mut counts {
            free *= 2;
            let taken = (random(state) % (free * thirst / 4 + 1)).min(free - 1).min(200);
            *count = u8::try_from(taken).unwrap_or(200);
            free = (free - taken).min(1 << 20);
        }
        let total = counts.iter().map(|&count| usize::from(count)).sum::<usize>().min(256);
        let mut left = total;
        for count in &mut counts {
            let kept = usize::from(*count).min(left);
            *count = u8::try_from(kept).unwrap_or(200);
            left -= kept;
        }
        let symbol = |state: &mut u64| {
            let any = u8::try_from(random(state) & 0xff).unwrap_or(0);
            // Ends, runs of zeros and small values, as files have them, and anything.
            let chosen = [0, 0xf0, any & 0x73, any][usize::try_from(random(state) % 4).unwrap_or(0)];
            if chosen > most { chosen & most } else { chosen }
        };
        (counts, (0..total).map(|_| symbol(state)).collect())
    }

    #[test]
    fn entries_are_what_their_symbols_say() {
        let mut state = 1;
        let (mut kinds, mut parts) = ([0; 5], Parts::default());
        for _ in 0..200 {
            let ((dc_counts, dc_symbols), (ac_counts, ac_symbols)) = (spec(&mut state, 15), spec(&mut state, 255));
            let dc = HuffmanSpec {
                counts: &dc_counts,
                symbols: &dc_symbols,
            };
            let ac = HuffmanSpec {
                counts: &ac_counts,
                symbols: &ac_symbols,
            };
            let codes = [(dc, 15), (ac, 255)].map(|(spec, most)| Canonical::new(spec, most));
            let [Some(dc_codes), Some(ac_codes)] = codes else {
                panic!("impossible codes: {dc_counts:?} {ac_counts:?}");
            };
            for bits in [9, 10, 11] {
                let mut wide = Vec::new();
                parts.append(&mut wide, (dc, ac), bits);
                assert_eq!(wide.len(), 2 << bits);
                for (number, &entry) in (0_u64..).zip(&wide) {
                    let is_ac = number >> bits == 1;
                    let window = number << (64 - bits);
                    let first = if is_ac { &ac_codes } else { &dc_codes };
                    let expected = entry_of((first, &ac_codes), window, bits, is_ac);
                    assert_eq!(entry, expected, "window {number:#b} of {bits} bits, AC: {is_ac}");
                    let kind = match entry.0 {
                        word if entry.is_slow() => usize::from(word & 0xff > 0),
                        word if word & Entry::TWO == 0 => 2,
                        word => 3 + usize::from(word & Entry::END != 0),
                    };
                    kinds[kind] += 1;
                }
            }
        }
        assert!(kinds.iter().all(|&count| count > 1000), "{kinds:?}");
    }
}
