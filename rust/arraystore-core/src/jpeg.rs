//! JPEG: full decode and exact cropped decode. Records that are a [`pixmap`] instead are read by the same functions.
//!
//! Pixels are those of libjpeg-turbo's defaults: accurate integer DCT and fancy upsampling. A crop is equal to the same
//! box cut from the full decode. Grayscale becomes RGB; CMYK and YCCK become RGB as Pillow's `convert("RGB")` does.

mod decoder;
mod frame;
pub mod header;
pub mod pixmap;
mod turbo;

use crate::crop::{CropBox, Size};
pub(crate) use decoder::area_of;
pub use decoder::{Decoder, Encoded, NOT_FAST};
pub use turbo::{MOST_SCRATCH_NBYTES, Turbo};

/// Pixels are `R, G, B`.
pub const RGB_CHANNELS: usize = 3;
/// Pixels are `R, G, B` and a byte without meaning: what the resizer reads fastest.
pub const RGBX_CHANNELS: usize = 4;

/// Why bytes could not be decoded, in words; the caller knows the record.
pub type Problem = String;

/// Interleaved 8-bit pixels that hold at least the wanted box of an image.
#[derive(Debug, Clone, Copy)]
pub struct Region<'a> {
    /// `size.height * size.width * channels` bytes, and some more without meaning, for kernels that read in large steps.
    pub pixels: &'a [u8],
    /// What part of the image they are.
    pub area: CropBox,
    /// 3 or 4.
    pub channels: usize,
}

impl<'a> Region<'a> {
    /// The rows of `wanted`, which must lie inside the region.
    pub fn rows(&self, wanted: CropBox) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let stride = self.area.size.width as usize * self.channels;
        let first = (wanted.top - self.area.top) as usize;
        let start = (wanted.left - self.area.left) as usize * self.channels;
        let nbytes = wanted.size.width as usize * self.channels;
        self.pixels
            .chunks_exact(stride)
            .skip(first)
            .take(wanted.size.height as usize)
            .map(move |row| &row[start..start + nbytes])
    }
}

/// Number of bytes of an image.
#[must_use]
pub fn pixel_nbytes(size: Size, channels: usize) -> usize {
    size.height as usize * size.width as usize * channels
}

/// Zeroed memory, or the problem that there is none.
///
/// # Errors
///
/// A problem that names the number of bytes.
pub fn zeroed(nbytes: usize) -> Result<Vec<u8>, Problem> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(nbytes)
        .map_err(|_| format!("there are no {nbytes} bytes of memory for its pixels"))?;
    memory.resize(nbytes, 0);
    Ok(memory)
}
