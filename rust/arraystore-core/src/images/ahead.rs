//! Crops that are cut by the threads of a queue: one or several random views of each image.

use std::sync::Arc;

use super::CropOptions;
use crate::batch::Context;
use crate::crop::{Crop, CropBox, Policy, Size, choose};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::jpeg::{RGB_CHANNELS, pixel_nbytes};
use crate::output::{NormaliseTable, Target};
use crate::queue::{Item, Job, Queue};
use crate::random::RandomKey;

/// Views of one image that can be cut at a time.
pub const MOST_VIEWS: usize = 8;

/// From the seed of one view to that of the next.
const VIEW_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is to be cut out of some images.
pub struct CropRequest {
    /// The images.
    pub rows: Vec<u64>,
    /// In place of the row of each image, what its random numbers depend on.
    pub keys: Option<Vec<u64>>,
    /// How boxes are chosen.
    pub policy: Policy,
    /// The user's seed.
    pub seed: u64,
    /// How often the data have been gone through.
    pub epoch: u64,
    /// Probability to mirror a view left to right.
    pub flip: f64,
    /// Views of each image, up to [`MOST_VIEWS`].
    pub views: usize,
    /// What they look like.
    pub crops: CropOptions,
    /// Whether bytes are compared with their checksums.
    pub verify: bool,
}

/// Memory for all views: those of the first kind one after another, then those of the second.
pub enum ViewMemory {
    /// Bytes as they are.
    Bytes(&'static mut [u8]),
    /// Normalised floats.
    Floats(&'static mut [f32], Box<NormaliseTable>),
}

impl Field {
    /// Lets the threads of a queue cut crops. A view whose image fails is zeros.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if `memory` has another length, or there are too many views.
    pub fn crops_ahead(self: &Arc<Self>, queue: &Queue, request: CropRequest, memory: ViewMemory) -> Result<Job> {
        let each = pixel_nbytes(request.crops.size, RGB_CHANNELS);
        let (count, views) = (request.rows.len(), request.views);
        let len = match &memory {
            ViewMemory::Bytes(out) => out.len(),
            ViewMemory::Floats(out, _) => out.len(),
        };
        let keys = request.keys.as_ref().map_or(count, Vec::len);
        if each == 0 || !(1..=MOST_VIEWS).contains(&views) || each * count * views != len || keys != count {
            return Err(Error::InvalidRequest(format!(
                "out: expected 1 to {MOST_VIEWS} views of {count} crops of {} x 3 values, found {len} values for {views} views \
                 with {keys} keys",
                request.crops.size
            )));
        }
        let field = Arc::clone(self);
        Ok(match memory {
            ViewMemory::Bytes(out) => queue.submit(split(out, each, views), move |context, item| {
                let targets = item.places.iter_mut().flatten();
                field.cut_views(context, &request, item.index, targets.map(|out| Target::Bytes(out)))
            }),
            ViewMemory::Floats(out, table) => queue.submit(split(out, each, views), move |context, item| {
                let targets = item.places.iter_mut().flatten();
                field.cut_views(
                    context,
                    &request,
                    item.index,
                    targets.map(|out| Target::Floats(out, &table)),
                )
            }),
        })
    }

    fn cut_views<'a>(
        &self,
        context: &mut Context,
        request: &CropRequest,
        index: usize,
        targets: impl Iterator<Item = Target<'a>>,
    ) -> Result<()> {
        let row = request.rows[index];
        let number = request.keys.as_ref().map_or(row, |keys| keys[index]);
        let choice = |view: usize, image| {
            let key = RandomKey {
                seed: request.seed.wrapping_add(VIEW_STEP.wrapping_mul(view as u64)),
                epoch: request.epoch,
                row: number,
            };
            Ok(choose(key, image, request.crops.size, request.policy, request.flip))
        };
        let views = (request.views, targets);
        self.crop(context, (row, request.verify), request.crops, views, choice)?;
        Ok(())
    }
}

/// The places of the views of one image.
struct Places<T: 'static> {
    index: usize,
    places: [Option<&'static mut [T]>; MOST_VIEWS],
}

impl<T: Copy + Default + Send> Item for Places<T> {
    fn clear(&mut self) {
        for place in self.places.iter_mut().flatten() {
            place.fill(T::default());
        }
    }
}

/// The places of each image, of `each` values a view.
fn split<T: Send>(out: &'static mut [T], each: usize, views: usize) -> impl Iterator<Item = Places<T>> + Send {
    let all = (out.len() / views).max(1);
    let mut parts: Vec<_> = out
        .chunks_exact_mut(all)
        .map(|view| view.chunks_exact_mut(each))
        .collect();
    let mut indices = 0..;
    std::iter::from_fn(move || {
        let mut places = [const { None }; MOST_VIEWS];
        parts.first()?;
        for (place, part) in places.iter_mut().zip(&mut parts) {
            *place = Some(part.next()?);
        }
        let index = indices.next()?;
        Some(Places { index, places })
    })
}

/// The crops of one image, without memory on the heap.
#[derive(Default)]
pub(super) struct Cuts {
    crops: [Option<Crop>; MOST_VIEWS],
}

impl Cuts {
    /// Of each view, as `choice` gives it.
    pub(super) fn choose(views: usize, mut choice: impl FnMut(usize) -> Result<Crop>) -> Result<Self> {
        let mut cuts = Self::default();
        for (view, crop) in cuts.crops.iter_mut().take(views).enumerate() {
            *crop = Some(choice(view)?);
        }
        Ok(cuts)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Crop> {
        self.crops.iter().copied().flatten()
    }

    /// The smallest box that holds all of them.
    pub(super) fn hull(&self) -> CropBox {
        let join = |one: CropBox, other: CropBox| {
            let (top, left) = (one.top.min(other.top), one.left.min(other.left));
            let bottom = (one.top + one.size.height).max(other.top + other.size.height);
            let right = (one.left + one.size.width).max(other.left + other.size.width);
            CropBox {
                top,
                left,
                size: Size {
                    height: bottom - top,
                    width: right - left,
                },
            }
        };
        let joined = self.iter().map(|crop| crop.cut).reduce(join);
        joined.unwrap_or(CropBox::whole(Size::default()))
    }
}
