//! The decoder: which stretches of a scan to decode, and where to.

use std::ops::Range;

use crate::Declined;
use crate::entropy::{self, Coefficients, Lane, NO_END, TURNS};
use crate::frame::Frame;
use crate::geometry::{Area, Geometry};
use crate::huffman::{Cache, Tables};
use crate::instructions::Instructions;
use crate::pixels::{Memory, Painter, Place};
use crate::quantisation::QuantisationCache;
use crate::seek::SeekTable;
use crate::unstuff::{EOI, End, pad, unstuff};

/// Coefficients of as many blocks are decoded before they are transformed: 512 KiB, so that they stay in the cache.
const MOST_BLOCKS: usize = 4096;

/// Rows between two entries of a seek table may have as many, in 32 MiB: for entries of eight rows at any width.
const MOST_BLOCKS_OF_ENTRY: usize = 1 << 18;

/// The first of eight restart markers.
const RST0: u8 = 0xd0;

const OTHER_DC: Declined = Declined::Data("its DC coefficients are not as its seek table says");

/// Decodes JPEGs. It keeps tables and memory from image to image: make one for each thread.
#[derive(Debug)]
pub struct Decoder {
    instructions: Instructions,
    tables: Cache<Tables>,
    quantisation: QuantisationCache,
    work: Work,
    memory: Memory,
}

/// Memory for the entropy-coded data of an image and what becomes of them.
#[derive(Debug, Default)]
struct Work {
    /// Data without stuffing, in pieces.
    stream: Vec<u8>,
    lanes: Vec<Lane>,
    segments: Vec<Segment>,
    coefficients: Coefficients,
    seek: SeekTable,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(Instructions::detect())
    }
}

impl Decoder {
    /// A decoder that uses a set of instructions.
    #[must_use]
    pub fn new(instructions: Instructions) -> Self {
        Self {
            instructions,
            tables: Cache::default(),
            quantisation: QuantisationCache::default(),
            work: Work::default(),
            memory: Memory::default(),
        }
    }

    /// Lets go of memory that a large image left behind, if it is more than `most_nbytes`.
    pub fn shrink(&mut self, most_nbytes: usize) {
        let Work {
            stream, coefficients, ..
        } = &self.work;
        if stream.capacity() + coefficients.blocks.capacity() * entropy::BLOCK_NBYTES > most_nbytes {
            self.work = Work::default();
        }
    }

    /// Decodes a box of an image to RGB: rows of `3 * area.width` bytes.
    ///
    /// With the [seek table](crate::seek) of the image only those rows of MCUs are decoded that the box needs. Without,
    /// or if it does not fit the image, all data are decoded.
    ///
    /// # Errors
    ///
    /// [`Declined`] if libjpeg-turbo is to decode it; `out` then holds anything of this image.
    ///
    /// # Panics
    ///
    /// If the box is empty or leaves the image, or `out` has another length.
    pub fn decode(
        &mut self,
        frame: &Frame<'_>,
        seek: Option<&[u8]>,
        area: Area,
        out: &mut [u8],
    ) -> Result<(), Declined> {
        self.decode_into(frame, seek, area, (out, Place::Memory))
    }

    /// As [`Decoder::decode`], into memory that is in the cache, since the last image was there, too.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::decode`].
    ///
    /// # Panics
    ///
    /// As for [`Decoder::decode`].
    pub fn decode_to_cache(
        &mut self,
        frame: &Frame<'_>,
        seek: Option<&[u8]>,
        area: Area,
        out: &mut [u8],
    ) -> Result<(), Declined> {
        self.decode_into(frame, seek, area, (out, Place::Cache))
    }

    fn decode_into(
        &mut self,
        frame: &Frame<'_>,
        seek: Option<&[u8]>,
        area: Area,
        (out, place): (&mut [u8], Place),
    ) -> Result<(), Declined> {
        assert!(
            area.height > 0
                && area.width > 0
                && area.top + area.height <= frame.height
                && area.left + area.width <= frame.width,
            "{area:?} is outside of {} x {} pixels",
            frame.height,
            frame.width
        );
        assert_eq!(
            out.len(),
            area.height * area.width * 3,
            "the size of the output is wrong"
        );
        let geometry = Geometry::of(frame);
        let places = self.quantisation.find(frame.quantisation);
        let tables = self.tables.tables(frame)?;
        let image = Image {
            frame,
            geometry,
            area,
            tables,
            instructions: self.instructions,
        };
        let components = frame.sampling.components();
        let has_seek = frame.restart_interval == 0
            && seek.is_some_and(|bytes| self.work.seek.read(bytes, geometry.rows, components, frame.scan.len()));
        let Self { memory, work, .. } = self;
        let quantisation = (&self.quantisation, places);
        if has_seek {
            let out = (&mut *out, place);
            let painter = Painter::new(memory, geometry, area, quantisation, self.instructions, out);
            if work.decode_rows(&image, painter).is_ok() {
                return Ok(());
            }
            // Whatever is wrong, a table only saves time.
            work.coefficients.clear();
        }
        let painter = Painter::new(memory, geometry, area, quantisation, self.instructions, (out, place));
        let outcome = work.decode_all(&image, painter);
        if outcome.is_err() {
            work.coefficients.clear();
        }
        outcome
    }
}

/// What is decoded.
struct Image<'a> {
    frame: &'a Frame<'a>,
    geometry: Geometry,
    area: Area,
    tables: &'a Tables,
    instructions: Instructions,
}

/// A stretch of the whole scan: what is left of it.
#[derive(Debug, Clone, Copy)]
struct Segment {
    bit: usize,
    limit: usize,
    mcus: (usize, usize),
}

impl Image<'_> {
    /// Whether the MCU of a column begins behind a restart marker.
    fn restarts(&self, row: usize) -> impl Fn(usize) -> bool + use<> {
        let (interval, first) = (self.frame.restart_interval, row * self.geometry.columns);
        move |column| interval > 0 && (first + column).is_multiple_of(interval)
    }

    /// Rows of MCUs of `width` MCUs that are decoded before they are transformed.
    fn rows_at_once(&self, width: usize) -> usize {
        (MOST_BLOCKS / (width * self.geometry.components.len())).max(1)
    }
}

impl Work {
    fn decode_lanes(&mut self, image: &Image<'_>) -> Result<(), Declined> {
        let Self {
            stream,
            lanes,
            coefficients,
            ..
        } = self;
        entropy::decode(lanes, stream, image.tables, coefficients, image.instructions)
    }

    /// Decodes the rows that a box needs, from the entries of the seek table on.
    fn decode_rows(&mut self, image: &Image<'_>, mut painter: Painter<'_>) -> Result<(), Declined> {
        let Geometry {
            columns: all_columns,
            rows: all_rows,
            components,
            ..
        } = image.geometry;
        let (rows, columns) = image.geometry.mcus_of(image.area);
        let step = self.seek.step;
        // What is right of the box need not be decoded, if the next row has an entry of its own.
        let is_narrow = step == 1 && columns.end < all_columns;
        let width = if is_narrow { columns.end } else { all_columns };
        let row_blocks = width * components.len();
        if step.min(all_rows) * row_blocks > MOST_BLOCKS_OF_ENTRY {
            return Err(Declined::Data("the entries of its seek table are too far apart"));
        }
        let at_once = image.rows_at_once(width).next_multiple_of(step);
        self.coefficients
            .reserve(at_once.min(all_rows) * row_blocks, &image.geometry, image.tables);
        let first_row = rows.start / step * step;
        let mut start = first_row;
        while start < rows.end {
            // Up to a row with an entry.
            let end = (start + at_once).min(rows.end.next_multiple_of(step)).min(all_rows);
            let group = if is_narrow {
                1
            } else {
                (end - start).div_ceil(3 * TURNS).next_multiple_of(step)
            };
            self.stream.clear();
            self.lanes.clear();
            let mut row = start;
            while row < end {
                let rows = row..(row + group).min(end);
                row = rows.end;
                self.add_piece(image, rows, start, row_blocks)?;
            }
            self.decode_lanes(image)?;
            // A group of whole rows ends where the next begins.
            if !is_narrow {
                let is_last = |lane: &Lane| end == all_rows && lane.end == (end - start) * row_blocks;
                let is_exact = |lane: &Lane| lane.limit - lane.bit <= if is_last(lane) { 7 } else { 0 };
                if !self.lanes.iter().all(is_exact) {
                    return Err(NO_END);
                }
            }
            for row in start..end.min(rows.end) {
                let first = (row - start) * row_blocks;
                if row % step == 0 {
                    let dc = self.seek.entries[row / step].dc.map(i32::from);
                    // Of whole rows it is known already.
                    if !is_narrow && row > first_row && painter.before != dc {
                        return Err(OTHER_DC);
                    }
                    painter.before = dc;
                }
                if row < rows.start {
                    painter.skip_row(first, |_| false, &mut self.coefficients)?;
                } else {
                    painter.mcu_row(row, (first, width), |_| false, &mut self.coefficients)?;
                }
            }
            // Rows below the box that came with the others.
            for row in end.min(rows.end).max(start)..end {
                painter.skip_row((row - start) * row_blocks, |_| false, &mut self.coefficients)?;
            }
            start = end;
        }
        let below = self
            .seek
            .entries
            .get(start / step)
            .filter(|_| !is_narrow && start < all_rows);
        if below.is_some_and(|entry| painter.before != entry.dc.map(i32::from)) {
            return Err(OTHER_DC);
        }
        Ok(())
    }

    /// Adds the data of some rows to the stream, and a lane for them.
    fn add_piece(
        &mut self,
        image: &Image<'_>,
        rows: Range<usize>,
        first_row: usize,
        row_blocks: usize,
    ) -> Result<(), Declined> {
        let scan = image.frame.scan;
        let entry = |row: usize| self.seek.entries[row / self.seek.step].bit;
        let from = entry(rows.start);
        if from >= 8 && scan.get(from / 8 - 1..=from / 8) == Some(&[0xff, 0]) {
            // A stuffed byte holds nothing.
            return Err(NO_END);
        }
        let start = self.stream.len();
        let limit = if rows.end < image.geometry.rows {
            let to = entry(rows.end);
            let data = scan.get(from / 8..to / 8).ok_or(NO_END)?;
            if unstuff(data, &mut self.stream) != End::Bytes {
                return Err(NO_END);
            }
            let limit = self.stream.len() * 8 + to % 8;
            if to % 8 > 0 {
                self.stream.push(*scan.get(to / 8).ok_or(NO_END)?);
            }
            limit
        } else {
            let data = scan.get(from / 8..).ok_or(NO_END)?;
            if !matches!(unstuff(data, &mut self.stream), End::Marker(EOI, _)) {
                return Err(NO_END);
            }
            self.stream.len() * 8
        };
        let bit = start * 8 + from % 8;
        if bit > limit {
            return Err(NO_END);
        }
        pad(&mut self.stream);
        self.lanes.push(Lane {
            bit,
            limit,
            next: (rows.start - first_row) * row_blocks,
            index: 0,
            end: (rows.end - first_row) * row_blocks,
        });
        Ok(())
    }

    /// Decodes all data, from one restart marker to the next.
    fn decode_all(&mut self, image: &Image<'_>, mut painter: Painter<'_>) -> Result<(), Declined> {
        let Geometry {
            columns,
            rows,
            components,
            ..
        } = image.geometry;
        let wanted = image.geometry.mcus_of(image.area).0;
        let mut segments = self.segments(image)?;
        let at_once = image.rows_at_once(columns);
        self.coefficients.reserve(
            at_once.min(rows) * columns * components.len(),
            &image.geometry,
            image.tables,
        );
        let mut first_segment = 0;
        for start in (0..rows).step_by(at_once) {
            let end = (start + at_once).min(rows);
            let mcus = start * columns..end * columns;
            first_segment += self.decode_segments(image, &mut segments[first_segment..], mcus)?;
            for row in start..end {
                let first = (row - start) * columns * components.len();
                let restarts = image.restarts(row);
                if wanted.contains(&row) {
                    painter.mcu_row(row, (first, columns), restarts, &mut self.coefficients)?;
                } else {
                    painter.skip_row(first, restarts, &mut self.coefficients)?;
                }
            }
        }
        self.segments = segments;
        Ok(())
    }

    /// The stretches between restart markers, without stuffing in the stream.
    fn segments(&mut self, image: &Image<'_>) -> Result<Vec<Segment>, Declined> {
        let count = image.geometry.columns * image.geometry.rows;
        let interval = match image.frame.restart_interval {
            0 => count,
            interval => interval,
        };
        self.stream.clear();
        let mut rest = image.frame.scan;
        // Each has two bytes at least: those of its marker.
        let mut segments = std::mem::take(&mut self.segments);
        segments.clear();
        segments.reserve(count.div_ceil(interval).min(rest.len() / 2));
        for (number, start) in (0..=7_u8).cycle().zip((0..count).step_by(interval)) {
            let bit = self.stream.len() * 8;
            let End::Marker(marker, behind) = unstuff(rest, &mut self.stream) else {
                return Err(NO_END);
            };
            let limit = self.stream.len() * 8;
            pad(&mut self.stream);
            let mcus = (start, (start + interval).min(count));
            segments.push(Segment { bit, limit, mcus });
            let expected = if mcus.1 == count { EOI } else { RST0 + number };
            if marker != expected {
                return Err(NO_END);
            }
            rest = &rest[behind..];
        }
        Ok(segments)
    }

    /// Decodes some MCUs of the first of `segments`; returns how many segments are at their ends.
    fn decode_segments(
        &mut self,
        image: &Image<'_>,
        segments: &mut [Segment],
        mcus: Range<usize>,
    ) -> Result<usize, Declined> {
        let per_mcu = image.geometry.components.len();
        let touched = segments.iter().take_while(|segment| segment.mcus.0 < mcus.end).count();
        let segments = &mut segments[..touched];
        self.lanes.clear();
        self.lanes.extend(segments.iter().map(|segment| Lane {
            bit: segment.bit,
            limit: segment.limit,
            next: (segment.mcus.0 - mcus.start) * per_mcu,
            index: 0,
            end: (segment.mcus.1.min(mcus.end) - mcus.start) * per_mcu,
        }));
        self.decode_lanes(image)?;
        let mut ended = 0;
        for (segment, lane) in segments.iter_mut().zip(&self.lanes) {
            segment.bit = lane.bit;
            if segment.mcus.1 > mcus.end {
                segment.mcus.0 = mcus.end;
            } else if segment.limit - segment.bit > 7 {
                return Err(NO_END);
            } else {
                ended += 1;
            }
        }
        Ok(ended)
    }
}
