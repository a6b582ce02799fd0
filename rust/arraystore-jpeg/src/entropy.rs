//! Entropy decoding: bits to coefficients in zigzag order, several independent stretches of a scan in turn.
//!
//! A [`Lane`] is one stretch: some blocks, and the bits that hold them. Huffman decoding waits for its own result, so that
//! one lane alone leaves most of the processor idle; the kernel takes symbols of [`TURNS`] lanes in turn.

use crate::Declined;
use crate::geometry::Geometry;
use crate::huffman::{Tables, extend};
use crate::instructions::Instructions;
use crate::kernels::entropy as kernel;

/// The coefficients of a block, in zigzag order; the first is a difference to the block before of its component.
#[derive(Debug, Clone)]
#[repr(C, align(128))]
pub(crate) struct Block(pub(crate) [i16; 64]);

/// Bytes of a block.
pub(crate) const BLOCK_NBYTES: usize = size_of::<Block>();

/// Lanes that are decoded in turn.
pub(crate) const TURNS: usize = 3;

/// A stretch of a scan: blocks `next..end` of the [`Coefficients`] are in the bits from `bit` on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lane {
    /// Position in the stream.
    pub(crate) bit: usize,
    /// Where its bits end; there are [`PADDING_NBYTES`](crate::unstuff::PADDING_NBYTES) more bytes behind.
    pub(crate) limit: usize,
    pub(crate) next: usize,
    /// Coefficients of the next block that have been decoded already.
    pub(crate) index: usize,
    pub(crate) end: usize,
}

/// Memory for the coefficients of some blocks. All of it is zero but while it holds what was decoded.
#[derive(Debug, Default)]
pub(crate) struct Coefficients {
    pub(crate) blocks: Vec<Block>,
    /// One more than blocks.
    pub(crate) notes: Vec<Note>,
    /// What `notes` was made for: starts of the tables of the blocks of an MCU, and their width.
    made_for: Vec<u16>,
}

/// What belongs to a block: its wide tables, and how far it goes.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(8))]
pub(crate) struct Note {
    /// Start of the AC table of this block.
    pub(crate) ac: u16,
    /// Start of the DC table of the block behind it.
    pub(crate) next_dc: u16,
    /// Twice the zigzag index behind the last coefficient that may not be zero, in the lower seven bits.
    pub(crate) behind: u8,
}

impl Coefficients {
    /// Makes room for `count` blocks, a whole number of MCUs.
    pub(crate) fn reserve(&mut self, count: usize, geometry: &Geometry, tables: &Tables) {
        if self.blocks.len() < count {
            self.blocks.resize(count, Block([0; 64]));
        }
        let classes = geometry
            .components
            .iter()
            .map(|&component| tables.codes.class[component]);
        #[expect(clippy::cast_possible_truncation, reason = "three pairs of tables of 2,048 entries")]
        let starts = classes.map(|class| tables.dc_start(class) as u16);
        let width = 1 << tables.bits;
        let is_same = self.made_for.iter().copied().eq(starts.clone().chain([width]));
        if is_same && self.notes.len() > count {
            return;
        }
        self.made_for.clear();
        self.made_for.extend(starts.clone().chain([width]));
        let next = starts.clone().cycle().skip(1);
        let notes = starts.cycle().zip(next).map(|(start, next_dc)| Note {
            ac: start + width,
            next_dc,
            behind: 0,
        });
        self.notes.clear();
        // And of the block behind the last, where a lane looks when it has ended.
        self.notes.extend(notes.take(self.blocks.len() + 1));
    }

    /// Zeroes all, after an error.
    pub(crate) fn clear(&mut self) {
        self.blocks.fill(Block([0; 64]));
    }
}

/// What the kernel reads.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) stream: &'a [u8],
    pub(crate) tables: &'a Tables,
}

/// What the kernel writes.
pub(crate) struct Target<'a> {
    pub(crate) blocks: &'a mut [Block],
    pub(crate) notes: &'a mut [Note],
}

/// Decodes lanes to their ends. They must not share blocks.
///
/// # Errors
///
/// [`Declined::Data`] for bits that are no code, a run of zeros out of a block, or a lane that needs more bits than there
/// are. The coefficients then hold anything.
pub(crate) fn decode(
    lanes: &mut [Lane],
    stream: &[u8],
    tables: &Tables,
    coefficients: &mut Coefficients,
    instructions: Instructions,
) -> Result<(), Declined> {
    let source = Source { stream, tables };
    let mut target = Target {
        blocks: &mut coefficients.blocks,
        notes: &mut coefficients.notes,
    };
    let (mut waiting, mut current, mut active) = (0, [0; TURNS], 0);
    loop {
        while active < TURNS && waiting < lanes.len() {
            if lanes[waiting].next < lanes[waiting].end {
                current[active] = waiting;
                active += 1;
            }
            waiting += 1;
        }
        if active == 0 {
            break;
        }
        kernel::run(source, &mut target, lanes, &current[..active], instructions)?;
        let mut kept = 0;
        for turn in 0..active {
            if lanes[current[turn]].next < lanes[current[turn]].end {
                current[kept] = current[turn];
                kept += 1;
            }
        }
        active = kept;
    }
    Ok(())
}

/// A symbol that was decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Symbol {
    /// Bits that it takes.
    pub(crate) length: u8,
    /// Where its coefficient stands in the block; [`Symbol::NONE`] if it has none.
    pub(crate) index: u8,
    /// Where the next one stands; 64 if the block ends.
    pub(crate) next: u8,
    pub(crate) value: i16,
}

impl Symbol {
    /// No place in a block.
    pub(crate) const NONE: u8 = 0xff;

    /// The one whose code is at the top of `window`, for the coefficient `index` or a later one; `None` for a run of zeros out
    /// of the block.
    pub(crate) fn new(window: u64, (length, symbol): (u32, u8), index: usize) -> Option<Self> {
        let (run, size) = match index {
            0 => (0, u32::from(symbol)),
            _ => (usize::from(symbol >> 4), u32::from(symbol & 15)),
        };
        let value = extend(window << length, size);
        let is_end = index > 0 && size == 0 && run < 15;
        let index = index + run;
        if index >= 64 && size > 0 {
            // libjpeg-turbo would put it last.
            return None;
        }
        let is_coefficient = !is_end && index < 64;
        Some(Self {
            length: u8::try_from(length + size).ok()?,
            index: if is_coefficient {
                u8::try_from(index).ok()?
            } else {
                Self::NONE
            },
            next: if is_end || index >= 63 {
                64
            } else {
                u8::try_from(index + 1).ok()?
            },
            value,
        })
    }
}

/// The error for entropy-coded data that no encoder writes.
pub(crate) const DAMAGED: Declined = Declined::Data("its entropy-coded data are damaged or end too early");

/// The error for data that are longer than the image, or have another marker behind them.
pub(crate) const NO_END: Declined = Declined::Data("its entropy-coded data do not end where they should");

/// The next 57 bits or more from `bit` on, at the top.
pub(crate) fn window(stream: &[u8], bit: usize) -> u64 {
    stream
        .get(bit >> 3..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |bytes| u64::from_be_bytes(*bytes) << (bit & 7))
}
