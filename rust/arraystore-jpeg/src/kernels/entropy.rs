//! The inner loop of entropy decoding.

#![expect(
    clippy::inline_always,
    clippy::cast_ptr_alignment,
    reason = "the kernel must have the instructions of its caller; coefficients lie at even addresses"
)]

use std::hint::select_unpredictable;

use crate::Declined;
use crate::entropy::{self, BLOCK_NBYTES, DAMAGED, Lane, Note, Source, Symbol, TURNS, Target};
use crate::huffman::{Entry, NARROW_BITS, WIDE_BITS};
use crate::instructions::{Instructions, Set};
use crate::unstuff::PADDING_NBYTES;

/// Entries that are taken from a lane before its bits are filled up. A window has 56 bits and the marker below them.
const ENTRIES: usize = 5;
const _: () = assert!(ENTRIES * WIDE_BITS as usize <= 56);

/// Bits that the longest symbol takes: its code and its value.
const LONGEST_SYMBOL: usize = 16 + 15;

/// A lane may look this far beyond its limit: the symbols after the last check, and the bytes of a window.
const LOOK_AHEAD_NBYTES: usize = (ENTRIES * LONGEST_SYMBOL).div_ceil(8) + 8;
const _: () = assert!(LOOK_AHEAD_NBYTES < PADDING_NBYTES);

/// Whether a lane could run beyond its end with the next entries of [`run`], each of which may end a block.
pub(crate) fn is_near_end(lane: &Lane) -> bool {
    lane.next + ENTRIES >= lane.end
}

/// Decodes lanes until one of them is [near its end](is_near_end).
///
/// # Errors
///
/// [`DAMAGED`] if one is beyond its limit or bad.
pub(crate) fn run(
    source: Source<'_>,
    target: &mut Target<'_>,
    lanes: &mut [Lane],
    turns: &[usize],
    instructions: Instructions,
) -> Result<(), Declined> {
    if turns.iter().any(|&turn| is_near_end(&lanes[turn])) {
        return Ok(());
    }
    let mut taken = [Lane::default(); TURNS];
    for (lane, &turn) in taken.iter_mut().zip(turns) {
        *lane = lanes[turn];
    }
    let taken = &mut taken[..turns.len()];
    check(source, target, taken);
    // SAFETY: `check` has seen that the lanes lie inside the memory, none is near its end, and the processor has the
    // instructions.
    let is_sound = unsafe {
        match instructions.set() {
            Set::Portable => dispatch(source, target, taken),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => with_bmi2(source, target, taken),
        }
    };
    for (lane, &turn) in taken.iter().zip(turns) {
        lanes[turn] = *lane;
    }
    if is_sound && taken.iter().all(|lane| lane.bit <= lane.limit) {
        Ok(())
    } else {
        Err(DAMAGED)
    }
}

/// # Safety
///
/// As for [`dispatch`]; the processor must have BMI1, BMI2 and LZCNT.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "bmi1,bmi2,lzcnt")]
unsafe fn with_bmi2(source: Source<'_>, target: &mut Target<'_>, lanes: &mut [Lane]) -> bool {
    // SAFETY: as the caller promises.
    unsafe { dispatch(source, target, lanes) }
}

/// Returns whether all was sound.
///
/// # Safety
///
/// The lanes must have passed [`check`] and not be [near their ends](is_near_end).
#[inline(always)]
unsafe fn dispatch(source: Source<'_>, target: &mut Target<'_>, lanes: &mut [Lane]) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        match (lanes, source.tables.bits) {
            ([a], WIDE_BITS) => one::<WIDE_BITS>(source, target, [a]),
            ([a, b], WIDE_BITS) => two::<WIDE_BITS>(source, target, [a, b]),
            ([a, b, c], WIDE_BITS) => three::<WIDE_BITS>(source, target, [a, b, c]),
            ([a], NARROW_BITS) => one::<NARROW_BITS>(source, target, [a]),
            ([a, b], NARROW_BITS) => two::<NARROW_BITS>(source, target, [a, b]),
            ([a, b, c], NARROW_BITS) => three::<NARROW_BITS>(source, target, [a, b, c]),
            _ => false,
        }
    }
}

/// What all must be for the kernels.
fn check(source: Source<'_>, target: &Target<'_>, lanes: &[Lane]) {
    let Source { stream, tables } = source;
    assert!(
        tables.wide.len() >= tables.canonical.len() << (tables.bits + 1),
        "tables are incomplete"
    );
    for lane in lanes {
        assert!(
            lane.end <= target.blocks.len() && lane.end <= target.notes.len() && lane.index < 64,
            "a lane leaves its memory"
        );
        assert!(
            lane.bit <= lane.limit && lane.limit / 8 + PADDING_NBYTES <= stream.len(),
            "a lane leaves its stream"
        );
    }
}

/// Decodes the rest of a lane, symbol by symbol, exactly to its end.
///
/// # Errors
///
/// [`DAMAGED`] if it is beyond its limit or bad.
pub(crate) fn finish(source: Source<'_>, target: &mut Target<'_>, lane: &mut Lane) -> Result<(), Declined> {
    check(source, target, std::slice::from_ref(lane));
    let Source { stream, tables } = source;
    let (mut bit, mut number, mut index) = (lane.bit, lane.next, lane.index);
    while number < lane.end {
        let note = &mut target.notes[number];
        let block = &mut target.blocks[number].0;
        let start = usize::from(note.ac) - if index == 0 { 1 << tables.bits } else { 0 };
        let window = entropy::window(stream, bit) >> (64 - tables.bits);
        #[expect(clippy::cast_possible_truncation, reason = "as many bits as the table is asked with")]
        let entry = tables.wide[start + window as usize].0;
        let second = index + (entry >> 17 & 0x7f) as usize;
        if second >= 63 {
            let symbol = source.symbol(bit, start, index).ok_or(DAMAGED)?;
            if symbol.index != Symbol::NONE {
                block[usize::from(symbol.index)] = symbol.value;
                note.last = 2 * symbol.index;
            }
            bit += usize::from(symbol.length);
            index = usize::from(symbol.next);
        } else {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the 16 bits of a coefficient, and less than 126"
            )]
            {
                block[index + (entry >> 9 & 0x7f) as usize] = (entry >> 32) as i16;
                block[second] = (entry >> 48) as i16;
                note.last = 2 * second as u8;
            }
            bit += (entry & 0xff) as usize;
            index = if entry & 1 << 24 == 0 { second + 1 } else { 64 };
        }
        if index == 64 {
            (number, index) = (number + 1, 0);
        }
        if bit > lane.limit {
            return Err(DAMAGED);
        }
    }
    (lane.bit, lane.next, lane.index) = (bit, number, index);
    Ok(())
}

/// What is the same for all lanes.
#[derive(Clone, Copy)]
struct Common<'a> {
    source: Source<'a>,
    stream: *const u8,
    wide: *const Entry,
    /// Where the note of the block at address 0 would be.
    notes: *mut Note,
    blocks: *mut u8,
}

impl Common<'_> {
    /// Bits from `bit` on at the top; below them a one that tells how many have been taken.
    ///
    /// # Safety
    ///
    /// `bit` must not be further than [`LOOK_AHEAD_NBYTES`] beyond the limit of a lane.
    #[inline(always)]
    unsafe fn load(&self, bit: usize) -> u64 {
        // SAFETY: as the caller promises, and behind the limit of a lane is padding.
        let bytes = unsafe { self.stream.add(bit >> 3).cast::<[u8; 8]>().read_unaligned() };
        (u64::from_be_bytes(bytes) | 1) << (bit & 7)
    }

    /// The start of the table for the coefficient at an address.
    ///
    /// # Safety
    ///
    /// It must be in a block of a lane.
    #[inline(always)]
    unsafe fn table<const BITS: u32>(&self, at: *mut u8) -> usize {
        // SAFETY: as the caller promises.
        let note = unsafe { &*self.notes.wrapping_add(at.addr() / BLOCK_NBYTES) };
        let is_dc = at.addr().is_multiple_of(BLOCK_NBYTES);
        usize::from(note.ac) - if is_dc { 1 << BITS } else { 0 }
    }

    /// Takes a symbol that no entry holds. Returns the bit behind it, and the address of the next coefficient, or null if it
    /// is bad.
    ///
    /// # Safety
    ///
    /// `at` must be in a block of a lane, and `table` be its table.
    #[cold]
    #[inline(never)]
    unsafe fn long_symbol(&self, bit: usize, at: *mut u8, table: usize) -> (usize, *mut u8) {
        let index = at.addr() % BLOCK_NBYTES / 2;
        let block = at.wrapping_sub(2 * index);
        let Some(symbol) = self.source.symbol(bit, table, index) else {
            return (bit, std::ptr::null_mut());
        };
        if symbol.index != Symbol::NONE {
            // SAFETY: an index below 64 in the block that `at` is in, and its note.
            unsafe {
                block
                    .wrapping_add(2 * usize::from(symbol.index))
                    .cast::<i16>()
                    .write(symbol.value);
                (*self.notes.wrapping_add(block.addr() / BLOCK_NBYTES)).last = 2 * symbol.index;
            }
        }
        (
            bit + usize::from(symbol.length),
            block.wrapping_add(2 * usize::from(symbol.next)),
        )
    }
}

/// Takes an entry of a lane: up to two coefficients.
macro_rules! take {
    ($common:ident, $is_sound:ident, $window:ident, $bit:ident, $at:ident, $table:ident) => {
        // SAFETY: a table has an entry for all windows.
        let entry = unsafe { (*$common.wide.add($table + ($window >> (64 - BITS)) as usize)).0 };
        let second = usize::from((entry >> 16) as u8);
        let behind = $at.wrapping_add(second + 2);
        let block_end = $at.addr() | (BLOCK_NBYTES - 1);
        if behind.addr() > block_end {
            let bit = $bit + $window.trailing_zeros() as usize;
            // SAFETY: `$at` is in a block of the lane.
            let (bit, at) = unsafe { $common.long_symbol(bit, $at, $table) };
            if at.is_null() {
                $is_sound = false;
                break;
            }
            $at = at;
            // SAFETY: at most `ENTRIES` symbols behind the last check; and a lane that is not near its end has as many blocks.
            unsafe {
                $window = $common.load(bit);
                $table = $common.table::<BITS>(at);
            }
            $bit = bit & !7;
        } else {
            let note = $common.notes.wrapping_add($at.addr() / BLOCK_NBYTES);
            // SAFETY: as has just been tested, the second coefficient and with it the first are in the block, which is one of
            // the lane. Its note is read as volatile, so that both tables are read before the choice is made.
            let (ac, next_dc) = unsafe {
                $at.wrapping_add(usize::from((entry >> 8) as u8)).cast::<u16>().write((entry >> 32) as u16);
                $at.wrapping_add(second).cast::<u16>().write((entry >> 48) as u16);
                (*note).last = ($at.addr() + second) as u8;
                ((&raw const (*note).ac).read_volatile(), (&raw const (*note).next_dc).read_volatile())
            };
            $window <<= entry & 63;
            let is_end = entry & 1 << 24 != 0;
            $at = select_unpredictable(is_end, $at.with_addr(block_end + 1), behind);
            $table = usize::from(select_unpredictable(is_end, next_dc, ac));
        }
    };
}

macro_rules! in_turn {
    ($name:ident, $count:literal, $(($number:literal, $window:ident, $bit:ident, $at:ident, $table:ident, $end:ident)),*) => {
        /// # Safety
        ///
        /// The lanes must have passed [`check`] and not be [near their ends](is_near_end).
        #[inline(always)]
        #[expect(clippy::cast_possible_truncation, reason = "entries and addresses are taken apart")]
        unsafe fn $name<const BITS: u32>(
            source: Source<'_>,
            target: &mut Target<'_>,
            lanes: [&mut Lane; $count],
        ) -> bool {
            let blocks = target.blocks.as_mut_ptr().cast::<u8>();
            let common = Common {
                source,
                stream: source.stream.as_ptr(),
                wide: source.tables.wide.as_ptr(),
                // Blocks are aligned to their size: the number of the one that holds an address is its upper part.
                notes: target.notes.as_mut_ptr().wrapping_sub(blocks.addr() / BLOCK_NBYTES),
                blocks,
            };
            let mut is_sound = true;
            $(
                let mut $bit = lanes[$number].bit;
                let mut $at = blocks.wrapping_add(lanes[$number].next * BLOCK_NBYTES + lanes[$number].index * 2);
                let $end = blocks.addr() + (lanes[$number].end - ENTRIES) * BLOCK_NBYTES;
                // SAFETY: in a block of the lane.
                let mut $table = unsafe { common.table::<BITS>($at) };
            )*
            loop {
                $(
                    // SAFETY: the lane is not beyond its limit.
                    let mut $window = unsafe { common.load($bit) };
                    $bit &= !7;
                )*
                $(take!(common, is_sound, $window, $bit, $at, $table);)*
                $(take!(common, is_sound, $window, $bit, $at, $table);)*
                $(take!(common, is_sound, $window, $bit, $at, $table);)*
                $(take!(common, is_sound, $window, $bit, $at, $table);)*
                $(take!(common, is_sound, $window, $bit, $at, $table);)*
                $($bit += $window.trailing_zeros() as usize;)*
                if $($at.addr() >= $end || $bit > lanes[$number].limit)||* {
                    break;
                }
            }
            $({
                let offset = $at.addr() - common.blocks.addr();
                lanes[$number].bit = $bit;
                lanes[$number].next = offset / BLOCK_NBYTES;
                lanes[$number].index = offset % BLOCK_NBYTES / 2;
            })*
            is_sound
        }
    };
}

in_turn!(one, 1, (0, window0, bit0, at0, table0, end0));
in_turn!(
    two,
    2,
    (0, window0, bit0, at0, table0, end0),
    (1, window1, bit1, at1, table1, end1)
);
in_turn!(
    three,
    3,
    (0, window0, bit0, at0, table0, end0),
    (1, window1, bit1, at1, table1, end1),
    (2, window2, bit2, at2, table2, end2)
);
