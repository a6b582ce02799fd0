//! Batches of pixels from a field of JPEGs: whole images, boxes, and random crops into the caller's array.

mod ahead;

use ahead::Cuts;
pub use ahead::{CropRequest, MOST_VIEWS, ViewMemory};

use crate::batch::{self, Context};
use crate::crop::{Crop, CropBox, Policy, Size, choose};
use crate::error::{Error, Result};
use crate::field::{Field, ReadOptions};
use crate::jpeg::{Problem, RGB_CHANNELS, pixel_nbytes};
use crate::output::{Axes, NormaliseTable, RowWriter, Target};
use crate::pixel_memory::PixelMemory;
use crate::random::RandomKey;
use crate::source::begin_call;

/// An image in memory of its own: `(height, width, 3)` bytes.
pub struct Image {
    /// Height and width.
    pub size: Size,
    /// The pixels.
    pub memory: PixelMemory,
}

/// A box as the caller gave it: `(top, left, height, width)`, not yet known to fit.
pub type GivenBox = [i64; 4];

/// Where the crops of a batch come from.
pub enum Boxes<'a> {
    /// Drawn from the random numbers of each row.
    Drawn {
        /// How.
        policy: Policy,
        /// The user's seed.
        seed: u64,
        /// How often the data have been gone through.
        epoch: u64,
        /// Probability to mirror an image left to right.
        flip: f64,
    },
    /// One for each row.
    Given(&'a [GivenBox]),
}

/// The caller's array for a batch of crops.
pub enum Output<'a> {
    /// Bytes as they are.
    Bytes(&'a mut [u8]),
    /// Normalised floats.
    Floats(&'a mut [f32], &'a NormaliseTable),
}

/// What a batch of crops looks like.
#[derive(Debug, Clone, Copy)]
pub struct CropOptions {
    /// Height and width of every crop.
    pub size: Size,
    /// Order of the axes.
    pub axes: Axes,
}

impl Field {
    /// Decodes whole images.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`], and [`Error::Decode`]; that of the first row that fails.
    pub fn decode(&self, rows: &[u64], options: ReadOptions) -> Result<Vec<Image>> {
        begin_call();
        batch::map(rows.iter(), options.threads, |context, &row| {
            let Context { decoder, scratch, .. } = context;
            self.fetch_encoded(row, options.verify, scratch, |encoded| {
                let decoded = decoder.decode(encoded, |size| {
                    self.check_size(row, size)?;
                    Ok(PixelMemory::take(pixel_nbytes(size, RGB_CHANNELS))?)
                });
                self.image(row, decoded)
            })
        })
    }

    /// Decodes one box of each image, as it is.
    ///
    /// # Errors
    ///
    /// As for [`Field::decode`], and [`Error::BoxOutside`].
    pub fn decode_boxes(&self, rows: &[u64], boxes: &[GivenBox], options: ReadOptions) -> Result<Vec<Image>> {
        self.same_length(rows, boxes)?;
        begin_call();
        batch::map(rows.iter().zip(boxes), options.threads, |context, (&row, given)| {
            let Context { decoder, scratch, .. } = context;
            self.fetch_encoded(row, options.verify, scratch, |encoded| {
                let decoded = decoder.decode_box(
                    encoded,
                    |image| {
                        self.check_size(row, image)?;
                        Ok(self.box_inside(row, given, image)?)
                    },
                    |size| Ok(PixelMemory::take(pixel_nbytes(size, RGB_CHANNELS))?),
                );
                self.image(row, decoded)
            })
        })
    }

    /// Decodes one crop of each image, resizes it, and writes it to its place in `output`; returns the crops.
    ///
    /// # Errors
    ///
    /// As for [`Field::decode_boxes`]; [`Error::InvalidRequest`] if `output` has another length. After an error `output`
    /// holds some of the crops.
    pub fn crops(
        &self,
        rows: &[u64],
        boxes: &Boxes<'_>,
        output: Output<'_>,
        crops: CropOptions,
        options: ReadOptions,
    ) -> Result<Vec<Crop>> {
        if let Boxes::Given(given) = boxes {
            self.same_length(rows, given)?;
        }
        let each = pixel_nbytes(crops.size, RGB_CHANNELS);
        let len = match &output {
            Output::Bytes(out) => out.len(),
            Output::Floats(out, _) => out.len(),
        };
        if each == 0 || each.checked_mul(rows.len()) != Some(len) {
            return Err(Error::InvalidRequest(format!(
                "out: expected {} crops of {} x 3 values, found {len} values",
                rows.len(),
                crops.size
            )));
        }
        begin_call();
        let work = |context: &mut Context, (index, &row, target): (usize, &u64, Target<'_>)| {
            let choice = |_, image| match boxes {
                Boxes::Drawn {
                    policy,
                    seed,
                    epoch,
                    flip,
                } => {
                    let key = RandomKey {
                        seed: *seed,
                        epoch: *epoch,
                        row,
                    };
                    Ok(choose(key, image, crops.size, *policy, *flip))
                }
                Boxes::Given(given) => Ok(Crop {
                    cut: self.box_inside(row, &given[index], image)?,
                    flip: false,
                }),
            };
            let one = (1, std::iter::once(target));
            let cuts = self.crop(context, (row, options.verify), crops, one, choice)?;
            let crop = cuts.iter().next();
            crop.ok_or_else(|| Error::Internal("no crop was chosen".to_owned()))
        };
        match output {
            Output::Bytes(out) => {
                let items = rows.iter().zip(out.chunks_exact_mut(each)).enumerate();
                let items = items.map(|(index, (row, out))| (index, row, Target::Bytes(out)));
                batch::map(items, options.threads, work)
            }
            Output::Floats(out, table) => {
                let items = rows.iter().zip(out.chunks_exact_mut(each)).enumerate();
                let items = items.map(|(index, (row, out))| (index, row, Target::Floats(out, table)));
                batch::map(items, options.threads, work)
            }
        }
    }

    /// Cuts as many views of one image as there are targets, each chosen by its number and the image's size.
    fn crop<'a>(
        &self,
        context: &mut Context,
        (row, verify): (u64, bool),
        crops: CropOptions,
        (views, targets): (usize, impl Iterator<Item = Target<'a>>),
        mut choice: impl FnMut(usize, Size) -> Result<Crop>,
    ) -> Result<Cuts> {
        let Context {
            decoder,
            scratch,
            resize,
            ..
        } = context;
        self.fetch_encoded(row, verify, scratch, |encoded| {
            let choose_all = |image| {
                self.check_size(row, image)?;
                let cuts = Cuts::choose(views, |view| choice(view, image))?;
                Ok((cuts.hull(), cuts))
            };
            let decoded = decoder.decode_region(encoded, choose_all);
            let (region, _, cuts) = decoded.map_err(|failure| self.failed(row, failure))?;
            for (target, crop) in targets.zip(cuts.iter()) {
                let mut writer = RowWriter::new(target, crops.axes, crops.size);
                resize.write(region, crop.cut, crop.flip, &mut writer);
            }
            Ok(cuts)
        })
    }

    fn same_length(&self, rows: &[u64], boxes: &[GivenBox]) -> Result<()> {
        if rows.len() == boxes.len() {
            return Ok(());
        }
        Err(Error::InvalidRequest(format!(
            "boxes: expected one for each of {} rows of {}, found {}",
            rows.len(),
            self.name(),
            boxes.len()
        )))
    }

    fn box_inside(&self, row: u64, &[top, left, height, width]: &GivenBox, image: Size) -> Result<CropBox> {
        let length = |value: i64| u32::try_from(value).ok();
        let given = || {
            let size = Size {
                height: length(height)?,
                width: length(width)?,
            };
            Some(CropBox {
                top: length(top)?,
                left: length(left)?,
                size,
            })
        };
        given().filter(|cut| cut.fits(image)).ok_or_else(|| Error::BoxOutside {
            record: self.record_name(row),
            top,
            left,
            height,
            width,
            image_height: image.height,
            image_width: image.width,
        })
    }

    fn image(&self, row: u64, decoded: Result<(Size, PixelMemory), Failure>) -> Result<Image> {
        decoded
            .map(|(size, memory)| Image { size, memory })
            .map_err(|failure| self.failed(row, failure))
    }

    fn failed(&self, row: u64, failure: Failure) -> Error {
        match failure {
            Failure::Problem(problem) => Error::Decode {
                record: self.record_name(row),
                field: self.name().to_owned(),
                problem,
            },
            Failure::Error(error) => error,
        }
    }
}

/// Why there are no pixels: the JPEG, or what was asked of it.
enum Failure {
    Problem(Problem),
    Error(Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}
