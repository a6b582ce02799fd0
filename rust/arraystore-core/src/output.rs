//! The last stage of a batch: rows of pixels to their place in the caller's array, mirrored and normalised on the way.
//!
//! Normalised floats are defined by a table. Kernels multiply and add instead, once it is known that this gives each of the
//! table's values to the bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod kernels;
mod normalise;
mod portable;
#[cfg(test)]
mod tests;

use crate::crop::Size;
use crate::instructions::Instructions;
use crate::jpeg::RGB_CHANNELS;
use arraystore_jpeg::prefetch::prefetch;
use kernels::Kernels;
use normalise::Channels;
pub use normalise::{NormaliseTable, normalise_table};

/// The caller's memory for one image.
pub enum Target<'a> {
    /// Bytes as they are.
    Bytes(&'a mut [u8]),
    /// Normalised floats.
    Floats(&'a mut [f32], &'a NormaliseTable),
}

/// Order of the axes of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// `(height, width, 3)`.
    ChannelsLast,
    /// `(3, height, width)`.
    ChannelsFirst,
}

/// Writes the rows of one image, one at a time.
pub struct RowWriter<'a> {
    target: Target<'a>,
    axes: Axes,
    size: Size,
    /// Pixels on their way to floats of one channel each.
    tile: [[u8; TILE]; RGB_CHANNELS],
}

/// Pixels that are taken apart at a time.
const TILE: usize = 256;

impl<'a> RowWriter<'a> {
    /// For an image of `size`, whose `target` has as many values.
    #[must_use]
    pub fn new(target: Target<'a>, axes: Axes, size: Size) -> Self {
        Self {
            target,
            axes,
            size,
            tile: [[0; TILE]; RGB_CHANNELS],
        }
    }

    /// Height and width of the image.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Brings the memory of a row that is to be written soon to the cache; `y` may be behind the last.
    pub fn prefetch(&self, y: usize) {
        let (height, width) = (self.size.height as usize, self.size.width as usize);
        if y >= height {
            return;
        }
        let (rows, count) = match self.axes {
            Axes::ChannelsLast => (1, width * RGB_CHANNELS),
            Axes::ChannelsFirst => (RGB_CHANNELS, width),
        };
        for row in 0..rows {
            let begin = (row * height + y) * count;
            match &self.target {
                Target::Bytes(out) => prefetch(&out[begin..begin + count]),
                Target::Floats(out, _) => prefetch(&out[begin..begin + count]),
            }
        }
    }

    /// Row `y` of the target, if it is to hold RGB pixels as they are.
    pub fn line(&mut self, y: usize) -> Option<&mut [u8]> {
        match (&mut self.target, self.axes) {
            (Target::Bytes(out), Axes::ChannelsLast) => Some(line_of(out, self.size, y)),
            _ => None,
        }
    }

    /// Writes row `y` of RGB pixels.
    pub fn write(&mut self, instructions: Instructions, y: usize, pixels: &[u8]) {
        let kernels = Kernels(instructions);
        let (axes, size) = (self.axes, self.size);
        match (&mut self.target, axes) {
            (Target::Bytes(out), Axes::ChannelsLast) => line_of(out, size, y).copy_from_slice(pixels),
            (Target::Bytes(out), Axes::ChannelsFirst) => {
                kernels.split(pixels, planes_of(out, size, y));
            }
            (Target::Floats(out, table), Axes::ChannelsLast) => {
                kernels.normalise(pixels, line_of(out, size, y), table, Channels::InTurn);
            }
            (Target::Floats(out, table), Axes::ChannelsFirst) => {
                let planes = planes_of(out, size, y);
                for (at, pixels) in pixels.chunks(TILE * RGB_CHANNELS).enumerate() {
                    let count = pixels.len() / RGB_CHANNELS;
                    kernels.split(pixels, self.tile.each_mut().map(|bytes| &mut bytes[..count]));
                    for (channel, bytes) in self.tile.iter().enumerate() {
                        let out = &mut planes[channel][at * TILE..at * TILE + count];
                        kernels.normalise(&bytes[..count], out, table, Channels::One(channel));
                    }
                }
            }
        }
    }

    /// Writes row `y` of pixels of 3 or 4 channels, mirrored if `flip`; `line` is memory for such a row.
    pub fn copy(
        &mut self,
        instructions: Instructions,
        y: usize,
        pixels: &[u8],
        channels: usize,
        flip: bool,
        line: &mut [u8],
    ) {
        let is_direct = channels == RGB_CHANNELS && !flip;
        if is_direct {
            return self.write(instructions, y, pixels);
        }
        if let Some(line) = self.line(y) {
            return Kernels(instructions).pack(pixels, channels, flip, line);
        }
        Kernels(instructions).pack(pixels, channels, flip, line);
        self.write(instructions, y, line);
    }
}

fn line_of<T>(out: &mut [T], size: Size, y: usize) -> &mut [T] {
    let values = size.width as usize * RGB_CHANNELS;
    &mut out[y * values..(y + 1) * values]
}

/// Row `y` of each of the three planes.
fn planes_of<T>(out: &mut [T], size: Size, y: usize) -> [&mut [T]; RGB_CHANNELS] {
    let (height, width) = (size.height as usize, size.width as usize);
    let (red, rest) = out.split_at_mut(height * width);
    let (green, blue) = rest.split_at_mut(height * width);
    [red, green, blue].map(|plane| &mut plane[y * width..(y + 1) * width])
}
