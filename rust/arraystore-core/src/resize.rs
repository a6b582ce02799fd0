//! Antialiased bilinear resize: Pillow's convolution, to within 1 of 255.
//!
//! A box is resized as an image of its own (what torchvision's `resized_crop(antialias=True)` does): pixels around it do
//! not bleed in. Source rows are resized to the output's width once, a few at a time, and kept in a ring of as many as one
//! output row needs; from there they are mixed into output rows while they are in the cache, straight into the caller's
//! array where it holds bytes of interleaved pixels. A mirrored output costs nothing: its columns are computed in the
//! other order.
//!
//! All is signed 16-bit arithmetic, 32 samples to a vector of 512 bits. A *sample* is a value less 128, in 1/256; a weight
//! is a fraction of 2^15; a product is the rounded high half, so it is off by at most 1/512. Weights are Pillow's
//! (`Resample.c`, triangle filter of support 1, widened when shrinking); rows at the output's width are kept as samples,
//! where Pillow rounds to bytes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod columns;
mod mix;
mod portable;
#[cfg(test)]
mod tests;
mod weights;

use crate::crop::CropBox;
use crate::instructions::Instructions;
use crate::jpeg::{RGB_CHANNELS, Region};
use crate::output::RowWriter;
use columns::Columns;
use mix::{Rows, mix};
use weights::Weights;

/// Bytes that a kernel may read (never use) behind the last pixel of a region.
pub const ROW_PADDING_NBYTES: usize = 128;

/// Samples of a pixel, once it is resized.
const CHANNELS: usize = RGB_CHANNELS;

/// Added to a sample, it leaves the nearest byte in the high half: 128 and a half.
const TO_BYTE: i16 = i16::MIN + 128;

/// Source rows that are resized at a time.
const ROWS_AT_ONCE: usize = 2;

/// How long before a row of the output is written its memory is asked for.
const ROWS_AHEAD: usize = 8;

/// An axis with more weights than this for a position (it shrinks by more than 32) is summed in 32 bits.
const MOST_TAPS: usize = 64;

/// A row of the ring is a multiple of this long, and has some samples to spare, for kernels that write in large steps.
const BLOCK: usize = 64;
const ALIGNMENT: usize = 64;
const SPARE: usize = 16;

/// A longer ring is not kept for the next image.
const MOST_KEPT_SAMPLES: usize = 1 << 20;

/// Some rows of pixels, and what follows them.
#[derive(Clone, Copy)]
struct Strip<'a> {
    pixels: &'a [u8],
    /// Bytes from one row to the next.
    stride: usize,
    rows: usize,
}

impl Strip<'_> {
    /// One of the rows, and what follows it.
    fn row(self, row: usize) -> Self {
        Self {
            pixels: &self.pixels[row * self.stride..],
            stride: self.stride,
            rows: 1,
        }
    }
}

/// A resizer and its scratch memory: make one for each thread and keep it.
pub struct Resize {
    instructions: Instructions,
    columns: Columns,
    rows: Weights,
    /// Source rows at the output's width, each at `row % slots`.
    ring: Vec<i16>,
    /// A row on its way to arrays that do not hold interleaved bytes.
    line: Vec<u8>,
}

impl Default for Resize {
    fn default() -> Self {
        Self::with_instructions(Instructions::detect())
    }
}

impl Resize {
    /// For one set of instructions; [`Resize::default`] takes the fastest.
    #[must_use]
    pub fn with_instructions(instructions: Instructions) -> Self {
        Self {
            instructions,
            columns: Columns::default(),
            rows: Weights::default(),
            ring: Vec::new(),
            line: Vec::new(),
        }
    }

    /// Resizes the `wanted` box of a region to the size of `writer`, mirrored left to right if `flip`, and writes it; a box
    /// of that size is written as it is.
    ///
    /// `region.pixels` must be followed by [`ROW_PADDING_NBYTES`] bytes in the same slice; `wanted` must lie inside and,
    /// like the size of `writer`, hold a pixel.
    pub fn write(&mut self, region: Region<'_>, wanted: CropBox, flip: bool, writer: &mut RowWriter<'_>) {
        let size = writer.size();
        self.line.resize(size.width as usize * CHANNELS, 0);
        if wanted.size == size {
            for (y, pixels) in region.rows(wanted).enumerate() {
                writer.prefetch(y + ROWS_AHEAD);
                writer.copy(self.instructions, y, pixels, region.channels, flip, &mut self.line);
            }
            return;
        }
        let widths = (wanted.size.width, size.width);
        self.columns.prepare(self.instructions, widths, flip, region.channels);
        self.rows
            .compute(self.instructions, wanted.size.height, size.height, false);
        let line_len = size.width as usize * CHANNELS;
        let stride = (line_len + SPARE).next_multiple_of(BLOCK);
        let slots = (self.rows.taps() + ROWS_AT_ONCE - 1).next_multiple_of(ROWS_AT_ONCE);
        let mut ring = std::mem::take(&mut self.ring);
        if ring.len() < slots * stride + BLOCK {
            ring.resize(slots * stride + BLOCK, 0);
        }
        // A vector that is stored across two lines of the cache costs twice the time.
        let begin = ring.as_ptr().align_offset(ALIGNMENT).min(BLOCK);
        self.resize(region, wanted, &mut ring[begin..begin + slots * stride], stride, writer);
        if ring.len() <= MOST_KEPT_SAMPLES {
            self.ring = ring;
        }
    }

    fn resize(
        &mut self,
        region: Region<'_>,
        wanted: CropBox,
        ring: &mut [i16],
        stride: usize,
        writer: &mut RowWriter<'_>,
    ) {
        let source_stride = region.area.size.width as usize * region.channels;
        let begin = (wanted.top - region.area.top) as usize * source_stride
            + (wanted.left - region.area.left) as usize * region.channels;
        let source = &region.pixels[begin..];
        let count = wanted.size.height as usize;
        let slots = ring.len() / stride;
        let mut ready = 0;
        for y in 0..writer.size().height as usize {
            writer.prefetch(y + ROWS_AHEAD);
            let (first, weights) = self.rows.at(y);
            while ready < first + weights.len() {
                let strip = Strip {
                    pixels: &source[ready * source_stride..],
                    stride: source_stride,
                    rows: ROWS_AT_ONCE.min(count - ready),
                };
                let slot = ready % slots * stride;
                let out = &mut ring[slot..slot + strip.rows * stride];
                self.columns.resize_rows(strip, out, stride);
                ready += ROWS_AT_ONCE;
            }
            let rows = Rows::new(ring, stride, slots, first);
            if let Some(line) = writer.line(y) {
                mix(self.instructions, &rows, weights, line);
            } else {
                mix(self.instructions, &rows, weights, &mut self.line);
                writer.write(self.instructions, y, &self.line);
            }
        }
    }
}
