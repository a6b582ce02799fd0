//! Two decoders as one: our own for what it takes, libjpeg-turbo for all else. Which of them it was cannot be told.

use arraystore_jpeg::instructions::{Instructions, Set};
use arraystore_jpeg::{Area, Frame, Indexer};

use super::turbo::{Turbo, check_claim};
use super::{MOST_SCRATCH_NBYTES, Problem, RGB_CHANNELS, Region, pixel_nbytes, zeroed};
use crate::crop::{CropBox, Size};
use crate::error::Result;
use crate::resize::ROW_PADDING_NBYTES;

/// The bytes of a JPEG, and what helps to decode it.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a> {
    /// The file.
    pub jpeg: &'a [u8],
    /// Its [seek table](arraystore_jpeg::seek); [`NOT_FAST`] if libjpeg-turbo is to decode it.
    pub seek: Option<&'a [u8]>,
}

/// In place of a seek table: our decoder is not to be used.
pub const NOT_FAST: &[u8] = &[0];

impl<'a> From<&'a [u8]> for Encoded<'a> {
    fn from(jpeg: &'a [u8]) -> Self {
        Self { jpeg, seek: None }
    }
}

impl<'a> From<&'a Vec<u8>> for Encoded<'a> {
    fn from(jpeg: &'a Vec<u8>) -> Self {
        Self::from(&jpeg[..])
    }
}

/// Decoders and their scratch memory: make one for each thread and keep it.
pub struct Decoder {
    turbo: Turbo,
    fast: arraystore_jpeg::Decoder,
    indexer: Indexer,
    is_fast: bool,
    region: Vec<u8>,
}

impl Decoder {
    /// The fastest decoder that the processor has.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`](crate::Error::Internal) if libjpeg-turbo cannot allocate its own.
    pub fn new() -> Result<Self> {
        Self::with_instructions(Instructions::detect())
    }

    /// With the kernels for a set of instructions.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::new`].
    pub fn with_instructions(instructions: Instructions) -> Result<Self> {
        Ok(Self {
            turbo: Turbo::new()?,
            fast: arraystore_jpeg::Decoder::new(instructions),
            indexer: Indexer::default(),
            // Without vectors, libjpeg-turbo is the faster one: it has its own for many processors.
            is_fast: instructions.set() != Set::Portable,
            region: Vec::new(),
        })
    }

    /// Our own decoder.
    pub fn fast(&mut self) -> &mut arraystore_jpeg::Decoder {
        &mut self.fast
    }

    /// What makes the seek tables of our own decoder.
    pub fn indexer(&mut self) -> &mut Indexer {
        &mut self.indexer
    }

    /// libjpeg-turbo.
    pub fn turbo(&mut self) -> &mut Turbo {
        &mut self.turbo
    }

    /// Lets go of scratch memory that a large image left behind.
    pub fn shrink(&mut self) {
        self.turbo.shrink();
        self.fast.shrink(MOST_SCRATCH_NBYTES);
        self.indexer.shrink(MOST_SCRATCH_NBYTES);
        if self.region.capacity() > MOST_SCRATCH_NBYTES {
            self.region = Vec::new();
        }
    }

    /// The header of a JPEG that our own decoder may take.
    fn frame<'a>(&self, encoded: Encoded<'a>) -> Option<(Frame<'a>, Size)> {
        if !self.is_fast || encoded.seek == Some(NOT_FAST) {
            return None;
        }
        let frame = Frame::parse(encoded.jpeg).ok()?;
        let size = Size {
            height: u32::try_from(frame.height).ok()?,
            width: u32::try_from(frame.width).ok()?,
        };
        check_claim(size, encoded.jpeg.len()).ok()?;
        Some((frame, size))
    }

    /// Decodes a whole image to RGB. `allocate` gives the memory, once the size is known.
    ///
    /// # Errors
    ///
    /// A problem in libjpeg-turbo's words, or a header that claims absurdly many pixels.
    pub fn decode<'a, M: AsMut<[u8]>, E: From<Problem>>(
        &mut self,
        encoded: impl Into<Encoded<'a>>,
        allocate: impl FnOnce(Size) -> Result<M, E>,
    ) -> Result<(Size, M), E> {
        let encoded = encoded.into();
        let Some((frame, size)) = self.frame(encoded) else {
            return self.turbo.decode(encoded.jpeg, allocate);
        };
        let mut memory = allocate(size)?;
        let area = area_of(CropBox::whole(size));
        match self.fast.decode(&frame, encoded.seek, area, memory.as_mut()) {
            Ok(()) => Ok((size, memory)),
            Err(_) => self.turbo.decode(encoded.jpeg, |_| Ok(memory)),
        }
    }

    /// Decodes a box of RGB pixels, exactly.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::decode`]; whatever `choose` gives.
    pub fn decode_box<'a, M: AsMut<[u8]>, E: From<Problem>>(
        &mut self,
        encoded: impl Into<Encoded<'a>>,
        choose: impl FnOnce(Size) -> Result<CropBox, E>,
        allocate: impl FnOnce(Size) -> Result<M, E>,
    ) -> Result<(Size, M), E> {
        let encoded = encoded.into();
        let Some((frame, size)) = self.frame(encoded) else {
            return self.turbo.decode_box(encoded.jpeg, choose, allocate);
        };
        let wanted = inside(choose(size)?, size)?;
        let mut memory = allocate(wanted.size)?;
        match self.fast.decode(&frame, encoded.seek, area_of(wanted), memory.as_mut()) {
            Ok(()) => Ok((wanted.size, memory)),
            Err(_) => self.turbo.decode_box(encoded.jpeg, |_| Ok(wanted), |_| Ok(memory)),
        }
    }

    /// Decodes the part of an image that `choose` wants, given the image's size, and perhaps more around it.
    ///
    /// The region holds the wanted box, and its pixels there are those of the full decode.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::decode_box`].
    pub fn decode_region<'a, C, E: From<Problem>>(
        &mut self,
        encoded: impl Into<Encoded<'a>>,
        choose: impl FnOnce(Size) -> Result<(CropBox, C), E>,
    ) -> Result<(Region<'_>, CropBox, C), E> {
        let encoded = encoded.into();
        let Some((frame, size)) = self.frame(encoded) else {
            return self.turbo.decode_region(encoded.jpeg, choose);
        };
        let (wanted, extra) = choose(size)?;
        let wanted = inside(wanted, size)?;
        let nbytes = pixel_nbytes(wanted.size, RGB_CHANNELS);
        if self.region.len() < nbytes + ROW_PADDING_NBYTES {
            self.region = zeroed(nbytes + ROW_PADDING_NBYTES)?;
        }
        let decoded = self
            .fast
            .decode_to_cache(&frame, encoded.seek, area_of(wanted), &mut self.region[..nbytes]);
        if decoded.is_err() {
            return self.turbo.decode_region(encoded.jpeg, |_| Ok((wanted, extra)));
        }
        let region = Region {
            pixels: &self.region[..nbytes + ROW_PADDING_NBYTES],
            area: wanted,
            channels: RGB_CHANNELS,
        };
        Ok((region, wanted, extra))
    }
}

fn inside(wanted: CropBox, size: Size) -> Result<CropBox, Problem> {
    if wanted.fits(size) {
        Ok(wanted)
    } else {
        Err(format!("{wanted:?} is outside the image"))
    }
}

pub(crate) fn area_of(wanted: CropBox) -> Area {
    Area {
        top: wanted.top as usize,
        left: wanted.left as usize,
        height: wanted.size.height as usize,
        width: wanted.size.width as usize,
    }
}
