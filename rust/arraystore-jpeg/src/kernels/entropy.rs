//! The inner loop of entropy decoding.

use std::hint::select_unpredictable;

use crate::Declined;
use crate::entropy::{self, BLOCK_NBYTES, DAMAGED, Lane, Position, Source, TURNS, Target};
use crate::instructions::{Instructions, Set};
use crate::unstuff::PADDING_NBYTES;

/// Symbols that are taken from a lane before its bits are filled up.
const SYMBOLS: usize = 4;

/// Bits that the longest symbol takes: its code and its value.
const LONGEST_SYMBOL: usize = 16 + 15;

/// A lane may look this far beyond its limit: the symbols after the last check, and the bytes of a window.
const LOOK_AHEAD_NBYTES: usize = (SYMBOLS * LONGEST_SYMBOL).div_ceil(8) + 8;
const _: () = assert!(LOOK_AHEAD_NBYTES < PADDING_NBYTES);

/// Whether a lane could run beyond its end with the next symbols of [`run`], each of which may end a block.
pub(crate) fn is_near_end(lane: &Lane) -> bool {
    lane.next + SYMBOLS >= lane.end
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
        match lanes {
            [a] => one(source, target, [a]),
            [a, b] => two(source, target, [a, b]),
            [a, b, c] => three(source, target, [a, b, c]),
            _ => false,
        }
    }
}

/// What all must be for the kernels.
fn check(source: Source<'_>, target: &Target<'_>, lanes: &[Lane]) {
    let Source { stream, tables, order } = source;
    let blocks = target.blocks.len().min(target.last.len()).min(order.len());
    assert!(
        tables.wide.len() >= tables.canonical.len() << (tables.bits + 1),
        "tables are incomplete"
    );
    for lane in lanes {
        assert!(lane.end <= blocks && lane.index < 64, "a lane leaves its memory");
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
    let Source { stream, tables, order } = source;
    let mut at = Position {
        bit: lane.bit,
        block: lane.next,
        index: lane.index,
    };
    while at.block < lane.end {
        let table = usize::from(order[at.block].ac) - if at.index == 0 { 1 << tables.bits } else { 0 };
        let window = entropy::window(stream, at.bit) >> (64 - tables.bits);
        #[expect(clippy::cast_possible_truncation, reason = "as many bits as the table is asked with")]
        let entry = tables.wide[table + window as usize].0;
        let second = at.index + (entry >> 17 & 0x7f) as usize;
        let block = &mut target.blocks[at.block].0;
        if second >= 63 {
            let symbol = source.symbol(at).ok_or(DAMAGED)?;
            if let Some((index, value)) = symbol.coefficient {
                block[index] = value;
                target.last[at.block] = last_of(index);
            }
            at = symbol.next;
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "the 16 bits of a coefficient")]
            {
                block[at.index + (entry >> 9 & 0x7f) as usize] = (entry >> 32) as i16;
                block[second] = (entry >> 48) as i16;
            }
            target.last[at.block] = last_of(second);
            at.bit += (entry & 0xff) as usize;
            at.index = second + 1;
            if entry & 1 << 24 != 0 {
                at = Position { block: at.block + 1, index: 0, ..at };
            }
        }
        if at.bit > lane.limit {
            return Err(DAMAGED);
        }
    }
    lane.bit = at.bit;
    lane.next = at.block;
    lane.index = at.index;
    Ok(())
}

/// How the index of a coefficient is noted in [`Target::last`].
fn last_of(index: usize) -> u8 {
    u8::try_from(2 * index).unwrap_or(u8::MAX)
}

macro_rules! in_turn {
    ($name:ident, $count:literal, $(($number:literal, $window:ident, $bit:ident, $at:ident, $table:ident, $end:ident)),*) => {
        /// # Safety
        ///
        /// The lanes must have passed [`check`] and not be [near their ends](is_near_end).
        #[inline(always)]
        #[expect(clippy::cast_possible_truncation, reason = "entries and addresses are taken apart")]
        unsafe fn $name(source: Source<'_>, target: &mut Target<'_>, lanes: [&mut Lane; $count]) -> bool {
            let stream = source.stream.as_ptr();
            let wide = source.tables.wide.as_ptr();
            let bits = source.tables.bits;
            let shift = 64 - bits;
            let blocks = target.blocks.as_mut_ptr().cast::<u8>();
            // Blocks are aligned to their size: the number of the one that holds an address is its upper part.
            let first = blocks.addr() / BLOCK_NBYTES;
            let order = source.order.as_ptr().wrapping_sub(first);
            let last = target.last.as_mut_ptr().wrapping_sub(first);
            let mut is_sound = true;
            // Bits at the top; below them a one that tells how many have been taken.
            let load = |bit: usize| {
                // SAFETY: at most `LOOK_AHEAD_NBYTES` beyond the limit of a lane, which is inside the stream.
                let bytes = unsafe { stream.add(bit >> 3).cast::<[u8; 8]>().read_unaligned() };
                (u64::from_be_bytes(bytes) | 1) << (bit & 7)
            };
            let table_at = |at: *mut u8| {
                let number = at.addr() / BLOCK_NBYTES;
                // SAFETY: of a block of a lane.
                let order = unsafe { *order.wrapping_add(number) };
                let is_dc = at.addr() % BLOCK_NBYTES == 0;
                usize::from(order.ac) - if is_dc { 1 << bits } else { 0 }
            };
            $(
                let mut $bit = lanes[$number].bit;
                // SAFETY: blocks of the lane.
                let mut $at = unsafe { blocks.add(lanes[$number].next * BLOCK_NBYTES + lanes[$number].index * 2) };
                // SAFETY: as above.
                let $end = unsafe { blocks.add((lanes[$number].end - SYMBOLS) * BLOCK_NBYTES) };
                let mut $table = table_at($at);
            )*
            loop {
                $(
                    let mut $window = load($bit);
                    $bit &= !7;
                )*
                for _ in 0..SYMBOLS {
                    $({
                        // SAFETY: a table has an entry for all windows.
                        let entry = unsafe { (*wide.add($table + ($window >> shift) as usize)).0 };
                        let second = usize::from((entry >> 16) as u8);
                        let behind = $at.wrapping_add(second + 2);
                        let block_end = $at.addr() | (BLOCK_NBYTES - 1);
                        let number = $at.addr() / BLOCK_NBYTES;
                        if behind.addr() > block_end {
                            let position = Position {
                                bit: $bit + $window.trailing_zeros() as usize,
                                block: number - first,
                                index: $at.addr() % BLOCK_NBYTES / 2,
                            };
                            let Some(symbol) = source.symbol(position) else {
                                is_sound = false;
                                break;
                            };
                            if let Some((index, value)) = symbol.coefficient {
                                // SAFETY: of the block that `$at` is in.
                                unsafe {
                                    $at.with_addr(block_end + 1).wrapping_sub(BLOCK_NBYTES - index * 2).cast::<i16>().write(value);
                                    *last.wrapping_add(number) = last_of(index);
                                }
                            }
                            $bit = symbol.next.bit;
                            // SAFETY: a lane that is not near its end has `SYMBOLS` more blocks.
                            $at = unsafe { blocks.add(symbol.next.block * BLOCK_NBYTES + symbol.next.index * 2) };
                            $window = load($bit);
                            $bit &= !7;
                            $table = table_at($at);
                        } else {
                            // SAFETY: as has just been tested, the second coefficient and with it the first are in the
                            // block, which is one of the lane.
                            unsafe {
                                $at.wrapping_add(usize::from((entry >> 8) as u8)).cast::<u16>().write((entry >> 32) as u16);
                                $at.wrapping_add(second).cast::<u16>().write((entry >> 48) as u16);
                                *last.wrapping_add(number) = ($at.addr() + second) as u8;
                            }
                            // SAFETY: of a block of the lane. Volatile, so that both are read before the choice is made.
                            let order = unsafe { order.wrapping_add(number).read_volatile() };
                            $window <<= entry & 63;
                            let is_end = entry & 1 << 24 != 0;
                            $at = select_unpredictable(is_end, $at.with_addr(block_end).wrapping_add(1), behind);
                            $table = usize::from(select_unpredictable(is_end, order.next_dc, order.ac));
                        }
                    })*
                }
                $($bit += $window.trailing_zeros() as usize;)*
                if $($at >= $end || $bit > lanes[$number].limit)||* || !is_sound {
                    break;
                }
            }
            $({
                let offset = $at.addr() - blocks.addr();
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
