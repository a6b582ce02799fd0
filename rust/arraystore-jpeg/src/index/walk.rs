//! To pass over the symbols of a scan: no coefficient is kept but the sums of DC.

#![expect(clippy::inline_always, reason = "a cursor must stay in registers")]

use std::hint::select_unpredictable;
use std::ops::Range;

use super::strides::{BITS, Strides};
use crate::Declined;
use crate::entropy::{DAMAGED, NO_END, Symbol, window};
use crate::geometry::Geometry;
use crate::pixels::EXTREME;
use crate::seek::{Entry, SeekTable};

/// Coefficients of a block.
const BLOCK: u32 = 64;

/// Entries that are taken from a window, each of which ends at most one block.
const NEAR: usize = 2;

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
fn places(geometry: &Geometry, strides: &Strides) -> [Place; 8] {
    let mut places = [Place::default(); 8];
    let components = geometry.components;
    for (number, (place, &component)) in places.iter_mut().zip(components).enumerate() {
        let next = (number + 1) % components.len();
        *place = Place {
            component,
            ac: strides.start(component) + (1 << BITS),
            next_dc: strides.start(components[next]),
            next,
        };
    }
    places
}

/// What a walk reads.
struct Course<'a> {
    stream: &'a [u8],
    strides: &'a Strides,
    places: [Place; 8],
}

impl Course<'_> {
    /// A symbol that no entry holds, in a block of which `index` coefficients have been passed over.
    #[cold]
    #[inline(never)]
    fn long_symbol(&self, component: usize, bit: usize, index: u32) -> Option<Symbol> {
        let codes = &self.strides.codes;
        let window = window(self.stream, bit);
        let symbol = codes.canonical[codes.class[component]][usize::from(index > 0)].symbol(window)?;
        Symbol::new(window, symbol, index as usize)
    }
}

/// How far a walk is in a row of MCUs.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    bit: usize,
    /// Blocks of the row that are left.
    left: usize,
    /// The block in its MCU.
    at: usize,
    /// Start of the table for what comes next.
    table: usize,
    /// Coefficients of the block that have been passed over.
    index: u32,
    /// The last DC coefficient of each component.
    dc: [i32; 3],
}

/// Behind the limit of any stream.
const BEYOND: usize = usize::MAX;

impl Cursor {
    /// Takes an entry, of which `bits` are the next bits; whether it is sound. What is not ends the row [`BEYOND`] its stream.
    ///
    /// What comes next is chosen without a branch, since it cannot be foreseen.
    #[inline(always)]
    fn take(&mut self, bits: &mut u64, course: &Course<'_>) -> bool {
        let stride = course.strides.all[self.table + (*bits >> (64 - BITS)) as usize];
        let place = &course.places[self.at & 7];
        let mut behind = self.index + stride.coefficients();
        let mut is_end = stride.end() == 1 || behind == BLOCK;
        // A block of 64 coefficients has no end of its own: that would be a symbol of the next block.
        if behind + stride.end() > BLOCK {
            let Some(symbol) = course.long_symbol(place.component, self.bit, self.index) else {
                (self.bit, self.left) = (BEYOND, 0);
                return false;
            };
            if self.index == 0 {
                self.dc[place.component] += i32::from(symbol.value);
            }
            self.bit += usize::from(symbol.length);
            *bits = window(course.stream, self.bit);
            behind = u32::from(symbol.next);
            is_end = behind == BLOCK;
        } else {
            self.dc[place.component] += stride.dc();
            self.bit += stride.length() as usize;
            *bits = bits.wrapping_shl(stride.length());
        }
        self.index = select_unpredictable(is_end, 0, behind);
        self.table = select_unpredictable(is_end, place.next_dc, place.ac);
        self.at = select_unpredictable(is_end, place.next, self.at);
        self.left -= usize::from(is_end);
        true
    }
}

/// A walk through the data of an image without restart markers, which notes where every `step`-th row of MCUs begins.
pub(super) struct Walk<'a> {
    course: Course<'a>,
    cursor: Cursor,
    bits: Range<usize>,
    row: usize,
    rows: usize,
    row_blocks: usize,
    seek: SeekTable,
    outcome: Result<(), Declined>,
}

impl<'a> Walk<'a> {
    /// Its data are `bits` of the stream; entries of `seek` are counted from the first of them, without stuffing.
    pub(super) fn new(
        (stream, bits): (&'a [u8], Range<usize>),
        strides: &'a Strides,
        geometry: &Geometry,
        mut seek: SeekTable,
    ) -> Self {
        let row_blocks = geometry.columns * geometry.components.len();
        seek.entries.clear();
        seek.entries.push(Entry::default());
        Self {
            course: Course {
                stream,
                strides,
                places: places(geometry, strides),
            },
            cursor: Cursor {
                bit: bits.start,
                left: row_blocks,
                at: 0,
                table: strides.start(0),
                index: 0,
                dc: [0; 3],
            },
            bits,
            row: 0,
            rows: geometry.rows,
            row_blocks,
            seek,
            outcome: Ok(()),
        }
    }

    /// Whether there is a row that is not near its end; those that are, it ends.
    fn goes_on(&mut self) -> bool {
        while self.outcome.is_ok() && self.row < self.rows {
            if self.cursor.left > NEAR {
                return true;
            }
            self.outcome = self.end_row();
        }
        false
    }

    fn end_row(&mut self) -> Result<(), Declined> {
        let cursor = &mut self.cursor;
        while cursor.left > 0 {
            let mut bits = window(self.course.stream, cursor.bit);
            cursor.take(&mut bits, &self.course);
        }
        if cursor.bit > self.bits.end {
            return Err(DAMAGED);
        }
        let [Ok(y), Ok(cb), Ok(cr)] = cursor.dc.map(i16::try_from) else {
            return Err(EXTREME);
        };
        self.row += 1;
        if self.row == self.rows {
            // The last byte is filled up.
            return if self.bits.end - cursor.bit > 7 {
                Err(NO_END)
            } else {
                Ok(())
            };
        }
        if self.row.is_multiple_of(self.seek.step) {
            self.seek.entries.push(Entry {
                bit: cursor.bit - self.bits.start,
                dc: [y, cb, cr],
            });
        }
        cursor.left = self.row_blocks;
        Ok(())
    }
}

/// Walks to the ends of the data of images and gives their tables: of two in turn, since each walk waits for its own results.
///
/// # Errors
///
/// Those of decoding, for each image.
pub(super) fn walk<const N: usize>(mut walks: [Result<Walk<'_>, Declined>; N]) -> [Result<SeekTable, Declined>; N] {
    loop {
        let mut going = walks
            .iter_mut()
            .flatten()
            .filter_map(|walk| walk.goes_on().then_some(walk));
        match (going.next(), going.next()) {
            (Some(a), Some(b)) => two(a, b),
            (Some(a), None) => one(a),
            (None, _) => break,
        }
    }
    walks.map(|walk| walk.and_then(|walk| walk.outcome.map(|()| walk.seek)))
}

/// Goes on until a row is [`NEAR`] its end.
fn two(a: &mut Walk<'_>, b: &mut Walk<'_>) {
    let (mut first, mut second) = (a.cursor, b.cursor);
    while first.left > NEAR && second.left > NEAR {
        let mut first_bits = window(a.course.stream, first.bit);
        let mut second_bits = window(b.course.stream, second.bit);
        let is_sound = first.take(&mut first_bits, &a.course)
            && second.take(&mut second_bits, &b.course)
            && first.take(&mut first_bits, &a.course)
            && second.take(&mut second_bits, &b.course);
        if !is_sound {
            break;
        }
    }
    (a.cursor, b.cursor) = (first, second);
}

fn one(walk: &mut Walk<'_>) {
    let mut cursor = walk.cursor;
    while cursor.left > NEAR {
        let mut bits = window(walk.course.stream, cursor.bit);
        let is_sound = cursor.take(&mut bits, &walk.course) && cursor.take(&mut bits, &walk.course);
        if !is_sound {
            break;
        }
    }
    walk.cursor = cursor;
}
