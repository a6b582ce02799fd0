//! The inner loop of entropy decoding.

#![expect(
    clippy::inline_always,
    clippy::cast_ptr_alignment,
    reason = "the kernel must have the instructions of its caller; coefficients lie at even addresses"
)]

use std::hint::select_unpredictable;

use crate::Declined;
use crate::entropy::{BLOCK_NBYTES, DAMAGED, Lane, Note, Source, Symbol, TURNS, Target};
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

/// Whether a lane could run beyond its end with the next [`ENTRIES`], each of which may end a block.
fn is_near_end(lane: &Lane) -> bool {
    lane.next + ENTRIES >= lane.end
}

/// Decodes lanes, none of which is at its end: until one is [near it](is_near_end), or else until one is there, exactly.
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
    let mut taken = [Lane::default(); TURNS];
    for (lane, &turn) in taken.iter_mut().zip(turns) {
        *lane = lanes[turn];
    }
    let taken = &mut taken[..turns.len()];
    check(source, target, taken);
    let is_fine = taken.iter().any(is_near_end);
    // SAFETY: `check` has seen that the lanes lie inside the memory, it has been asked whether one is near its end, and the
    // processor has the instructions.
    let is_sound = unsafe {
        match instructions.set() {
            Set::Portable => dispatch(source, target, taken, is_fine),
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 | Set::Avx512 => with_bmi2(source, target, taken, is_fine),
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
unsafe fn with_bmi2(source: Source<'_>, target: &mut Target<'_>, lanes: &mut [Lane], is_fine: bool) -> bool {
    // SAFETY: as the caller promises.
    unsafe { dispatch(source, target, lanes, is_fine) }
}

/// Returns whether all was sound.
///
/// # Safety
///
/// The lanes must have passed [`check`]; without `is_fine` none may be [near its end](is_near_end).
#[inline(always)]
unsafe fn dispatch(source: Source<'_>, target: &mut Target<'_>, lanes: &mut [Lane], is_fine: bool) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        match (source.tables.bits, is_fine) {
            (WIDE_BITS, false) => lanes_of::<WIDE_BITS, false>(source, target, lanes),
            (WIDE_BITS, true) => lanes_of::<WIDE_BITS, true>(source, target, lanes),
            (NARROW_BITS, false) => lanes_of::<NARROW_BITS, false>(source, target, lanes),
            (NARROW_BITS, true) => lanes_of::<NARROW_BITS, true>(source, target, lanes),
            _ => false,
        }
    }
}

/// # Safety
///
/// As for [`dispatch`]; the tables must be asked with `BITS` bits.
#[inline(always)]
unsafe fn lanes_of<const BITS: u32, const FINE: bool>(
    source: Source<'_>,
    target: &mut Target<'_>,
    lanes: &mut [Lane],
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        match lanes {
            [a] => one::<BITS, FINE>(source, target, [a]),
            [a, b] => two::<BITS, FINE>(source, target, [a, b]),
            [a, b, c] => three::<BITS, FINE>(source, target, [a, b, c]),
            _ => false,
        }
    }
}

/// What all must be for the kernels.
fn check(source: Source<'_>, target: &Target<'_>, lanes: &[Lane]) {
    let Source { stream, tables } = source;
    assert!(
        tables.wide.len() >= tables.codes.canonical.len() << (tables.bits + 1),
        "tables are incomplete"
    );
    for lane in lanes {
        assert!(
            lane.next < lane.end && lane.end <= target.blocks.len() && lane.end < target.notes.len() && lane.index < 64,
            "a lane leaves its memory"
        );
        assert!(
            lane.bit <= lane.limit && lane.limit / 8 + PADDING_NBYTES <= stream.len(),
            "a lane leaves its stream"
        );
    }
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
    /// As for [`Common::load`]; `at` must be in a block of a lane, and `table` be its table.
    #[cold]
    #[inline(never)]
    unsafe fn long_symbol(&self, bit: usize, at: *mut u8, table: usize) -> (usize, *mut u8) {
        let index = at.addr() % BLOCK_NBYTES / 2;
        let block = at.wrapping_sub(2 * index);
        // SAFETY: as the caller promises.
        let window = unsafe { self.load(bit) };
        let symbol = self.source.tables.symbol(window, table);
        let Some(symbol) = symbol.and_then(|symbol| Symbol::new(window, symbol, index)) else {
            return (bit, std::ptr::null_mut());
        };
        if symbol.index != Symbol::NONE {
            // SAFETY: an index below 64 in the block that `at` is in, and its note.
            unsafe {
                block
                    .wrapping_add(2 * usize::from(symbol.index))
                    .cast::<i16>()
                    .write(symbol.value);
                (*self.notes.wrapping_add(block.addr() / BLOCK_NBYTES)).behind = 2 * symbol.index + 2;
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
        let behind = $at.wrapping_add(usize::from((entry >> 8) as u8));
        let block_end = $at.addr() | (BLOCK_NBYTES - 1);
        if behind.addr() > block_end {
            let bit = $bit + $window.trailing_zeros() as usize;
            // SAFETY: at most `ENTRIES` symbols behind the last check; `$at` is in a block of the lane.
            let (bit, at) = unsafe { $common.long_symbol(bit, $at, $table) };
            if at.is_null() {
                $is_sound = false;
                break;
            }
            $at = at;
            // SAFETY: at most `ENTRIES` symbols behind the last check; in a block of the lane or of the one behind it, which has a
            // note as well.
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
                $at.wrapping_add(usize::from((entry >> 16) as u8)).cast::<u16>().write((entry >> 32) as u16);
                behind.wrapping_sub(2).cast::<u16>().write((entry >> 48) as u16);
                (*note).behind = behind.addr() as u8;
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
        /// The lanes must have passed [`check`]; without `FINE` none may be [near its end](is_near_end).
        #[inline(always)]
        #[expect(clippy::cast_possible_truncation, reason = "entries and addresses are taken apart")]
        unsafe fn $name<const BITS: u32, const FINE: bool>(
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
                let $end = blocks.addr() + (lanes[$number].end - if FINE { 0 } else { ENTRIES }) * BLOCK_NBYTES;
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
                if !FINE {
                    $(take!(common, is_sound, $window, $bit, $at, $table);)*
                    $(take!(common, is_sound, $window, $bit, $at, $table);)*
                    $(take!(common, is_sound, $window, $bit, $at, $table);)*
                    $(take!(common, is_sound, $window, $bit, $at, $table);)*
                }
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
