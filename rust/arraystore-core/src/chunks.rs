//! JPEGs that lie in no store, decoded into the chunks of an array: what a codec of another library is given.
//!
//! A chunk has the size of its array's chunks; the image stands in its upper left corner, and the rest is filled. Only the
//! box of a chunk that is asked for is decoded. Threads do not change the result.

use crate::batch::{self, Context};
use crate::crop::{CropBox, Size};
use crate::error::{Error, Result};
use crate::images::Image;
use crate::jpeg::{Decoder, Encoded, Problem, RGB_CHANNELS, pixel_nbytes};
use crate::pixel_memory::PixelMemory;

/// One chunk to be decoded.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The file.
    pub jpeg: &'a [u8],
    /// The part of the chunk that is wanted.
    pub cut: CropBox,
}

/// Why a chunk has no pixels; the caller knows what to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The bytes are no JPEG that can be decoded.
    Undecodable(Problem),
    /// The image, of this size, is larger than the chunk.
    TooLarge(Size),
    /// Nothing of the image is in the wanted part.
    Outside,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Undecodable(problem)
    }
}

/// The wanted part of every chunk, or the first chunk that failed.
pub type Decoded = Result<Vec<Image>, (usize, Failure)>;

/// Decodes chunks of one size; what no image covers becomes `fill`.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if a box is not inside a chunk of `size`.
pub fn decode(chunks: &[Chunk<'_>], size: Size, fill: u8, threads: usize) -> Result<Decoded> {
    if let Some(chunk) = chunks.iter().find(|chunk| !chunk.cut.fits(size)) {
        return Err(Error::InvalidRequest(format!(
            "{:?} is not inside a chunk of {size}",
            chunk.cut
        )));
    }
    let images = batch::map(chunks.iter(), threads, |context, chunk| {
        Ok(one(&mut context.decoder, *chunk, size, fill))
    })?;
    let numbered = images.into_iter().enumerate();
    Ok(numbered
        .map(|(index, image)| image.map_err(|failure| (index, failure)))
        .collect())
}

/// Height and width of the image of a JPEG, from its header.
///
/// # Errors
///
/// A problem in words.
pub fn image_size(jpeg: &[u8]) -> Result<Size, Problem> {
    let mut context = Context::take().map_err(|error| error.to_string())?;
    let found = context.decoder.turbo().size(jpeg);
    context.keep();
    found
}

fn one(decoder: &mut Decoder, chunk: Chunk<'_>, most: Size, fill: u8) -> Result<Image, Failure> {
    let Chunk { jpeg, cut } = chunk;
    let choose = |image: Size| {
        if image.height > most.height || image.width > most.width {
            return Err(Failure::TooLarge(image));
        }
        common(cut, image).ok_or(Failure::Outside)
    };
    let nbytes = pixel_nbytes(cut.size, RGB_CHANNELS);
    // Decoded into the memory of the whole part: of narrower rows, only its beginning.
    let allocate = |found| {
        let memory = PixelMemory::take(nbytes)?;
        Ok(Beginning {
            memory,
            nbytes: pixel_nbytes(found, RGB_CHANNELS),
        })
    };
    let memory = match decoder.decode_box(Encoded::from(jpeg), choose, allocate) {
        Ok((found, beginning)) => {
            let mut memory = beginning.memory;
            spread(memory.as_mut(), found, cut.size, fill);
            memory
        }
        Err(Failure::Outside) => {
            let mut memory = PixelMemory::take(nbytes)?;
            memory.as_mut().fill(fill);
            memory
        }
        Err(failure) => return Err(failure),
    };
    Ok(Image { size: cut.size, memory })
}

/// The first bytes of a memory.
struct Beginning {
    memory: PixelMemory,
    nbytes: usize,
}

impl AsMut<[u8]> for Beginning {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory.as_mut()[..self.nbytes]
    }
}

/// What a box, which begins in the coordinates of an image, has in common with it.
fn common(cut: CropBox, image: Size) -> Option<CropBox> {
    let size = Size {
        height: cut.size.height.min(image.height.checked_sub(cut.top)?),
        width: cut.size.width.min(image.width.checked_sub(cut.left)?),
    };
    (size.height > 0 && size.width > 0).then_some(CropBox { size, ..cut })
}

/// Moves rows of `found`, which lie one after another, to where they are in `wanted`, and fills the rest.
fn spread(memory: &mut [u8], found: Size, wanted: Size, fill: u8) {
    let (from, to) = (
        found.width as usize * RGB_CHANNELS,
        wanted.width as usize * RGB_CHANNELS,
    );
    let rows = found.height as usize;
    memory[rows * to..].fill(fill);
    if from == to {
        return;
    }
    // From the last on: the place of a row is never before it, and reaches over none that has yet to move.
    for row in (0..rows).rev() {
        memory.copy_within(row * from..(row + 1) * from, row * to);
        memory[row * to + from..(row + 1) * to].fill(fill);
    }
}
