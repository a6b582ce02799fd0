//! Antialiased bilinear resize: Pillow's convolution, to within 1 of 255.
//!
//! A box is resized as an image of its own (what torchvision's `resized_crop(antialias=True)` does): pixels around it do
//! not bleed in. The convolution is that of the `fast_image_resize` crate.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::crop::{CropBox, Size};
use crate::jpeg::{Problem, RGBX_CHANNELS, Region, pixel_nbytes};

/// A resizer and its scratch memory: make one for each thread and keep it.
#[derive(Default)]
pub struct Resize {
    resizer: Resizer,
    pixels: Vec<u8>,
}

impl Resize {
    /// Resizes the `wanted` box of a region of RGBX pixels to `size`, and returns its RGBX pixels.
    ///
    /// # Errors
    ///
    /// A problem in words, if the box is empty or outside the region.
    pub fn resize(&mut self, region: Region<'_>, wanted: CropBox, size: Size) -> Result<&[u8], Problem> {
        let in_words = |error: &dyn std::fmt::Display| format!("cannot resize {wanted:?} to {size}: {error}");
        let area = region.area;
        let source = TypedImageRef::<U8x4>::from_buffer(area.size.width, area.size.height, region.pixels)
            .map_err(|error| in_words(&error))?;
        let (left, top) = (wanted.left - area.left, wanted.top - area.top);
        let source = TypedCroppedImage::from_ref(&source, left, top, wanted.size.width, wanted.size.height)
            .map_err(|error| in_words(&error))?;
        self.pixels.resize(pixel_nbytes(size, RGBX_CHANNELS), 0);
        let mut target = TypedImage::<U8x4>::from_buffer(size.width, size.height, &mut self.pixels)
            .map_err(|error| in_words(&error))?;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .use_alpha(false);
        self.resizer
            .resize_typed(&source, &mut target, &options)
            .map_err(|error| in_words(&error))?;
        Ok(&self.pixels)
    }
}
