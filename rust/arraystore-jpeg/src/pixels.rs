//! From coefficients to pixels: a row of MCUs at a time, so that samples are turned into pixels while they are in cache.

use std::ops::Range;

use crate::Declined;
use crate::entropy::Coefficients;
use crate::frame::Sampling;
use crate::geometry::{Area, Geometry};
use crate::instructions::Instructions;
use crate::kernels;
use crate::kernels::sort::{Places, sort};
use crate::prefetch::prefetch;
use crate::quantisation::QuantisationCache;

/// Samples before each row of a plane, where what lies beyond the edge of the image stands.
pub(crate) const MARGIN: usize = 64;

/// Samples behind each row of a plane: kernels read this far beyond it.
pub(crate) const BEHIND: usize = 128;

/// Memory of a row of pixels is asked for this many rows before it is written.
const ROWS_AHEAD: usize = 4;

/// Rows of samples of colour in an MCU.
const CHROMA_ROWS: usize = 8;

pub(crate) const EXTREME: Declined = Declined::Data("it has coefficients beyond those of any pixels");

/// A block to transform: its number, and where its samples go in the plane, both below 2^32.
#[derive(Debug, Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Job(u64);

impl Job {
    pub(crate) fn new(block: usize, at: usize) -> Self {
        Self(block as u64 | (at as u64) << 32)
    }

    pub(crate) fn block(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    pub(crate) fn at(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// So many blocks and samples further.
    pub(crate) fn further(self, step: Self) -> Self {
        Self(self.0.wrapping_add(step.0))
    }
}

/// The blocks of one component in a row of MCUs, sorted by their last coefficient.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Only a DC coefficient.
    pub(crate) flat: Vec<Job>,
    /// No coefficient behind [`SPARSE`].
    pub(crate) sparse: Vec<Job>,
    pub(crate) full: Vec<Job>,
    /// Lengths of the three lists.
    pub(crate) counts: [usize; 3],
}

/// A sparse block has no coefficient behind this index in zigzag order.
pub(crate) const SPARSE: usize = 9;

/// Room behind the lists, so that kernels can take several at a time.
const SPARE_JOBS: usize = 8;

impl Jobs {
    fn reserve(&mut self, count: usize) {
        if self.sparse.len() < count + SPARE_JOBS {
            self.flat.resize(count + SPARE_JOBS, Job::default());
            self.sparse.resize(count + SPARE_JOBS, Job::default());
            self.full.resize(count + SPARE_JOBS, Job::default());
        }
        self.counts = [0; 3];
    }

    /// Makes sure that `count` more blocks have room, and one behind them.
    pub(crate) fn assert_room(&self, count: usize) {
        for (list, used) in [self.flat.len(), self.sparse.len(), self.full.len()]
            .into_iter()
            .zip(self.counts)
        {
            assert!(list > used + count, "there is no room for {count} blocks");
        }
    }

    pub(crate) fn flat(&self) -> &[Job] {
        &self.flat[..self.counts[0]]
    }

    pub(crate) fn sparse(&self) -> &[Job] {
        &self.sparse[..self.counts[1]]
    }

    pub(crate) fn full(&self) -> &[Job] {
        &self.full[..self.counts[2]]
    }
}

/// Where the planes of a row of MCUs lie in one memory.
#[derive(Debug, Clone, Copy, Default)]
struct Layout {
    luma_stride: usize,
    chroma_stride: usize,
    pairs_stride: usize,
    /// Starts of Cb, Cr and the pairs; luma begins at 0.
    cb: usize,
    cr: usize,
    pairs: usize,
    end: usize,
}

impl Layout {
    fn new(geometry: &Geometry, columns: usize) -> Self {
        let luma_stride = MARGIN + columns * 8 * geometry.across + BEHIND;
        let chroma_stride = MARGIN + columns * 8 + BEHIND;
        let pairs_stride = 2 * chroma_stride;
        let luma_rows = 2 * 8 * geometry.down;
        let cb = luma_rows * luma_stride;
        let cr = cb + CHROMA_ROWS * chroma_stride;
        let pairs = cr + CHROMA_ROWS * chroma_stride;
        let end = pairs + 2 * CHROMA_ROWS * pairs_stride;
        Self {
            luma_stride,
            chroma_stride,
            pairs_stride,
            cb,
            cr,
            pairs,
            end,
        }
    }
}

/// Where pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory, of which lines are asked for before they are written.
    Memory,
    /// In the cache already.
    Cache,
}

/// Memory of the last stages, reused from image to image.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    planes: Vec<u8>,
    luma: Jobs,
    chroma: [Jobs; 2],
}

/// What is written: a box of an image, row by row into the caller's memory.
pub(crate) struct Painter<'a> {
    memory: &'a mut Memory,
    geometry: Geometry,
    area: Area,
    /// Columns of MCUs that are transformed.
    columns: Range<usize>,
    layout: Layout,
    quantisation: (&'a QuantisationCache, [usize; 3]),
    /// Cb and Cr share a list if they share their table.
    chroma_lists: usize,
    instructions: Instructions,
    /// DC of the block before, of each component.
    pub(crate) before: [i32; 3],
    /// The next row to write.
    next_row: usize,
    out: &'a mut [u8],
    place: Place,
}

impl<'a> Painter<'a> {
    pub(crate) fn new(
        memory: &'a mut Memory,
        geometry: Geometry,
        area: Area,
        quantisation: (&'a QuantisationCache, [usize; 3]),
        instructions: Instructions,
        (out, place): (&'a mut [u8], Place),
    ) -> Self {
        let (_, columns) = geometry.mcus_of(area);
        let layout = Layout::new(&geometry, columns.len());
        if memory.planes.len() < layout.end {
            memory.planes.resize(layout.end, 0);
        }
        memory.luma.reserve(columns.len() * geometry.luma_blocks());
        let chroma_lists = match geometry.sampling {
            Sampling::Gray => 0,
            _ if quantisation.1[1] == quantisation.1[2] => 1,
            _ => 2,
        };
        for jobs in &mut memory.chroma {
            jobs.reserve(2 * columns.len());
        }
        Self {
            memory,
            geometry,
            area,
            columns,
            layout,
            quantisation,
            chroma_lists,
            instructions,
            before: [0; 3],
            next_row: area.top,
            out,
            place,
        }
    }

    /// Takes a row of MCUs, of which `width` have been decoded from block `first` on, and writes all rows of pixels that can be.
    ///
    /// # Errors
    ///
    /// [`Declined::Data`] for coefficients that no encoder makes of pixels.
    pub(crate) fn mcu_row(
        &mut self,
        row: usize,
        (first, width): (usize, usize),
        restarts: impl Fn(usize) -> bool,
        coefficients: &mut Coefficients,
    ) -> Result<(), Declined> {
        let is_in_range = self.sort(row, (first, width), &restarts, coefficients);
        if !is_in_range || !self.transform(coefficients) {
            return Err(EXTREME);
        }
        if self.geometry.components.len() > 1 {
            self.pair_up(row);
        }
        self.write_rows(row);
        Ok(())
    }

    /// Passes over a row of MCUs that has nothing of the box, but for the DC coefficients.
    ///
    /// # Errors
    ///
    /// [`Declined::Data`] for coefficients that no encoder makes of pixels.
    pub(crate) fn skip_row(
        &mut self,
        first: usize,
        restarts: impl Fn(usize) -> bool,
        coefficients: &mut Coefficients,
    ) -> Result<(), Declined> {
        let is_in_range = self.skip(0..self.geometry.columns, first, &restarts, coefficients);
        if is_in_range { Ok(()) } else { Err(EXTREME) }
    }

    /// Sums up the DC coefficients of some columns. Returns whether all are in range.
    fn skip(
        &mut self,
        columns: Range<usize>,
        first: usize,
        restarts: &impl Fn(usize) -> bool,
        coefficients: &mut Coefficients,
    ) -> bool {
        let components = self.geometry.components;
        let mut beyond = 0;
        for column in columns {
            if restarts(column) {
                self.before = [0; 3];
            }
            let at = first + column * components.len();
            for (block, &component) in coefficients.blocks[at..at + components.len()]
                .iter_mut()
                .zip(components)
            {
                self.before[component] += i32::from(block.0[0]);
                beyond |= self.before[component] + 0x8000;
                block.0 = [0; 64];
            }
        }
        // One row cannot go beyond 32 bits.
        beyond >> 16 == 0
    }

    /// Sums up the DC coefficients and sorts the blocks. Returns whether all are in range.
    fn sort(
        &mut self,
        row: usize,
        (first, width): (usize, usize),
        restarts: &impl Fn(usize) -> bool,
        coefficients: &mut Coefficients,
    ) -> bool {
        let Geometry {
            components,
            across,
            down,
            ..
        } = self.geometry;
        let per_mcu = components.len();
        let Layout {
            luma_stride, cb, cr, ..
        } = self.layout;
        // What is left of the box only carries DC on.
        let mut is_in_range = self.skip(0..self.columns.start, first, restarts, coefficients);
        let luma_start = (row & 1) * 8 * down * luma_stride + MARGIN;
        let Memory { luma, chroma, .. } = &mut *self.memory;
        let chroma = &mut chroma[..self.chroma_lists];
        let mut column = self.columns.start;
        while column < self.columns.end {
            if restarts(column) {
                self.before = [0; 3];
            }
            // Up to the next restart marker.
            let end = (column + 1..self.columns.end)
                .find(|&next| restarts(next))
                .unwrap_or(self.columns.end);
            let index = column - self.columns.start;
            let blocks = first + column * per_mcu..first + end * per_mcu;
            let places = Places {
                first: blocks.start,
                luma: [0, 1, 2, 3].map(|number| {
                    luma_start + number / across * 8 * luma_stride + number % across * 8 + index * 8 * across
                }),
                chroma: [cb, cr].map(|start| start + MARGIN + index * 8),
                luma_step: 8 * across,
                chroma_step: 8,
            };
            let notes = &coefficients.notes[blocks.clone()];
            let blocks = &mut coefficients.blocks[blocks];
            let before = &mut self.before;
            is_in_range &= match per_mcu {
                1 => sort::<1, 1>(blocks, notes, &places, luma, chroma, before),
                3 => sort::<3, 1>(blocks, notes, &places, luma, chroma, before),
                4 => sort::<4, 2>(blocks, notes, &places, luma, chroma, before),
                _ => sort::<6, 4>(blocks, notes, &places, luma, chroma, before),
            };
            column = end;
        }
        // And so does what is right of it.
        is_in_range & self.skip(self.columns.end..width, first, restarts, coefficients)
    }

    /// Transforms the sorted blocks into the planes, and zeroes them. Returns whether all are in range.
    fn transform(&mut self, coefficients: &mut Coefficients) -> bool {
        let (cache, places) = self.quantisation;
        let Memory { planes, luma, chroma } = &mut *self.memory;
        let Layout {
            luma_stride,
            chroma_stride,
            ..
        } = self.layout;
        let blocks = &mut coefficients.blocks;
        let mut is_in_range = true;
        let strides = [luma_stride, chroma_stride, chroma_stride];
        let all = std::iter::once(luma).chain(chroma);
        for ((jobs, stride), place) in all.zip(strides).zip(places).take(1 + self.chroma_lists) {
            is_in_range &= kernels::transform(jobs, blocks, planes, stride, cache.get(place), self.instructions);
            jobs.counts = [0; 3];
        }
        is_in_range
    }

    /// Puts the samples of Cb and Cr side by side, with those at the edges of the image repeated beyond.
    fn pair_up(&mut self, row: usize) {
        let count = self.columns.len() * 8;
        let Layout {
            chroma_stride,
            pairs_stride,
            cb,
            cr,
            pairs,
            ..
        } = self.layout;
        let (samples, to) = self.memory.planes[cb..].split_at_mut(pairs - cb);
        for line in 0..CHROMA_ROWS {
            let from = line * chroma_stride + MARGIN;
            let start = ((row & 1) * CHROMA_ROWS + line) * pairs_stride;
            let to = &mut to[start..start + pairs_stride];
            let pairs = &mut to[2 * MARGIN..];
            kernels::pair_up(
                &samples[from..],
                &samples[cr - cb + from..],
                pairs,
                count,
                self.instructions,
            );
            if self.columns.start == 0 {
                to.copy_within(2 * MARGIN..2 * MARGIN + 2, 2 * MARGIN - 2);
            }
            if self.columns.end == self.geometry.columns {
                let end = 2 * (MARGIN + self.geometry.chroma().0 - self.columns.start * 8);
                to.copy_within(end - 2..end, end);
            }
        }
    }

    /// Writes the rows of pixels that have all their samples, up to those of MCU row `row`.
    fn write_rows(&mut self, row: usize) {
        let Geometry {
            across,
            down,
            height,
            rows,
            sampling,
            ..
        } = self.geometry;
        let mcu_height = 8 * down;
        // The last row of an MCU is mixed with the first samples of the next.
        let end = if row + 1 == rows {
            height
        } else {
            (row + 1) * mcu_height - (down - 1)
        };
        let end = end.min(self.area.top + self.area.height);
        let Layout {
            luma_stride,
            pairs_stride,
            pairs,
            ..
        } = self.layout;
        let (chroma_columns, chroma_rows) = self.geometry.chroma();
        let is_fancy = across == 1 || chroma_columns > 2;
        let planes = &self.memory.planes;
        // The first column that is computed has a sample of colour of its own.
        let odd = self.area.left % across;
        let left = self.area.left - odd;
        let x = MARGIN + left - self.columns.start * 8 * across;
        let pair = 2 * (MARGIN + left / across - self.columns.start * 8);
        let stride = self.area.width * 3;
        while self.next_row < end {
            let y = self.next_row;
            let luma = (y % (2 * mcu_height)) * luma_stride;
            let near = y / down;
            let far = match (down, y % 2) {
                (1, _) => near,
                _ if !is_fancy => near,
                (_, 0) => near.saturating_sub(1),
                _ => (near + 1).min(chroma_rows - 1),
            };
            let line = |chroma: usize| {
                let start = pairs + chroma % (2 * CHROMA_ROWS) * pairs_stride;
                &planes[start..start + pairs_stride]
            };
            let row = kernels::Row {
                sampling,
                is_fancy,
                is_lower: y % down == 1,
                luma: &planes[luma + x..luma + luma_stride],
                near: line(near),
                far: line(far),
                pair,
                odd,
                width: self.area.width,
            };
            let start = (y - self.area.top) * stride;
            if self.place == Place::Memory {
                let ahead = (start + ROWS_AHEAD * stride).min(self.out.len());
                prefetch(&self.out[ahead..(ahead + stride).min(self.out.len())]);
            }
            kernels::row(&row, self.out, start, self.instructions);
            self.next_row += 1;
        }
    }
}
