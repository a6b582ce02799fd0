//! Batches of patches by the threads of a queue: the same random box, mirror and quarter turns for all arrays of a record.
//!
//! An *element* is all that belongs to one pixel. What is done to them is exact: none is computed, only moved.

use std::sync::Arc;

use crate::arrays::ArrayField;
use crate::batch::Context;
use crate::crop::{CropBox, Policy, Size, choose};
use crate::error::{Error, Result};
use crate::queue::{Item, Job, Queue};
use crate::random::{Draws, RandomKey};

/// Fields that can be cut at a time.
pub const MOST_FIELDS: usize = 8;

/// Makes the numbers that choose turns others than those that choose boxes.
const TURNS: u64 = 0x7475_726e_7475_726e;

/// A field of arrays that are images: `size` elements each.
pub struct PatchField {
    /// The arrays.
    pub field: Arc<ArrayField>,
    /// Height and width of each.
    pub size: Size,
    /// Bytes of an element.
    pub element_nbytes: usize,
}

/// What is to be cut out of the arrays of some records.
pub struct PatchRequest {
    /// The records.
    pub rows: Vec<u64>,
    /// In place of the row of each record, what its random numbers depend on.
    pub keys: Option<Vec<u64>>,
    /// The fields; lengths are pixels of the first.
    pub fields: Vec<PatchField>,
    /// Height and width of the box; all of the patch if not given.
    pub size: Option<Size>,
    /// Whether the box is in the middle.
    pub center: bool,
    /// The user's seed.
    pub seed: u64,
    /// How often the data have been gone through.
    pub epoch: u64,
    /// Probability to mirror a patch left to right.
    pub flip: f64,
    /// Whether patches are turned by a random number of right angles, after they are mirrored.
    pub turn: bool,
    /// Whether arrays are compared with their checksums.
    pub verify: bool,
}

impl PatchRequest {
    /// By how much lengths of a field are multiples of those of the first, if they are.
    fn factor(&self, field: &PatchField) -> Option<u32> {
        let (first, size) = (self.fields.first()?.size, field.size);
        let factor = size.height.checked_div(first.height)?;
        let is_whole = first.height.checked_mul(factor) == Some(size.height)
            && first.width.checked_mul(factor) == Some(size.width)
            && factor > 0;
        is_whole.then_some(factor)
    }

    /// Height and width of what is cut out of a field, before it is turned.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the box does not fit, or has no counterpart in this field.
    pub fn output_size(&self, field: &PatchField) -> Result<Size> {
        let Some(size) = self.size else {
            return Ok(field.size);
        };
        let name = field.field.name();
        let Some(factor) = self.factor(field) else {
            let first = self.fields.first().map_or("", |first| first.field.name());
            return Err(Error::InvalidRequest(format!(
                "size={size}: expected {name} of a whole multiple of the size of {first}, found {}",
                field.size
            )));
        };
        let size = Size {
            height: size.height.saturating_mul(factor),
            width: size.width.saturating_mul(factor),
        };
        if CropBox::whole(size).fits(field.size) {
            return Ok(size);
        }
        Err(Error::InvalidRequest(format!(
            "size: expected a box that fits into {name} of {}, found {size}",
            field.size
        )))
    }

    fn check(&self, lengths: &[usize]) -> Result<()> {
        let invalid = |problem: String| Err(Error::InvalidRequest(problem));
        let count = self.rows.len();
        if !(1..=MOST_FIELDS).contains(&self.fields.len()) || self.fields.len() != lengths.len() {
            return invalid(format!(
                "expected 1 to {MOST_FIELDS} fields of arrays, found {}",
                self.fields.len()
            ));
        }
        if self.keys.as_ref().is_some_and(|keys| keys.len() != count) {
            return invalid(format!("keys: expected {count}"));
        }
        for (field, &len) in self.fields.iter().zip(lengths) {
            let name = field.field.name();
            let size = self.output_size(field)?;
            let elements = |size: Size| size.height as usize * size.width as usize;
            let stored = elements(field.size).checked_mul(field.element_nbytes);
            if stored != Some(field.field.parts().item_nbytes) || stored == Some(0) {
                return invalid(format!("{name}: expected images of {}", field.size));
            }
            if elements(size) * field.element_nbytes * count != len {
                return invalid(format!(
                    "out: expected {count} patches of {size} for {name}, found {len} bytes"
                ));
            }
            if self.turn && size.height != size.width {
                return invalid(format!("turn: expected squares, found patches of {size} in {name}"));
            }
        }
        Ok(())
    }

    /// Where each element of a record's patches comes from: a box of the first field, mirrored, then turned.
    fn choose(&self, index: usize) -> (CropBox, Motion) {
        let row = self.keys.as_ref().map_or(self.rows[index], |keys| keys[index]);
        let (seed, epoch) = (self.seed, self.epoch);
        let whole = self.fields.first().map_or(Size::default(), |field| field.size);
        let policy = if self.center { Policy::Center } else { Policy::Random };
        let key = RandomKey { seed, epoch, row };
        let crop = choose(key, whole, self.size.unwrap_or(whole), policy, self.flip);
        let seed = seed ^ TURNS;
        let turns = if self.turn {
            Draws::new(RandomKey { seed, epoch, row }).up_to(3)
        } else {
            0
        };
        (crop.cut, Motion { flip: crop.flip, turns })
    }

    fn cut(&self, context: &mut Context, index: usize, places: &mut [Option<&'static mut [u8]>]) -> Result<()> {
        let (cut, motion) = self.choose(index);
        for (field, out) in self.fields.iter().zip(places.iter_mut().flatten()) {
            let Context { scratch, array, .. } = context;
            let bytes = field.field.lend_item(self.rows[index], self.verify, array, scratch)?;
            let patch = match self.size {
                None => CropBox::whole(field.size),
                Some(_) => scaled(cut, self.factor(field).unwrap_or(1)),
            };
            let (width, nbytes) = (field.size.width as usize, field.element_nbytes);
            match nbytes {
                1 => motion.place(bytes.as_chunks::<1>().0, width, patch, out.as_chunks_mut::<1>().0),
                2 => motion.place(bytes.as_chunks::<2>().0, width, patch, out.as_chunks_mut::<2>().0),
                4 => motion.place(bytes.as_chunks::<4>().0, width, patch, out.as_chunks_mut::<4>().0),
                8 => motion.place(bytes.as_chunks::<8>().0, width, patch, out.as_chunks_mut::<8>().0),
                // Any other element is so many bytes that move alike.
                _ => motion.place_bytes(bytes, width, patch, nbytes, out),
            }
        }
        Ok(())
    }
}

fn scaled(cut: CropBox, factor: u32) -> CropBox {
    CropBox {
        top: cut.top * factor,
        left: cut.left * factor,
        size: Size {
            height: cut.size.height * factor,
            width: cut.size.width * factor,
        },
    }
}

/// How a patch is moved: mirrored left to right, then turned by right angles to the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Motion {
    flip: bool,
    turns: u32,
}

impl Motion {
    /// Row and column in a patch of the element that comes to `(y, x)`; a patch is `height` by `width` before it is turned.
    fn origin(self, (height, width): (usize, usize), (y, x): (usize, usize)) -> (usize, usize) {
        let (row, column) = match self.turns {
            0 => (y, x),
            1 => (x, width - 1 - y),
            2 => (height - 1 - y, width - 1 - x),
            _ => (height - 1 - x, y),
        };
        (row, if self.flip { width - 1 - column } else { column })
    }

    /// Fills `out` with the elements of a box of an image that is `stride` elements wide.
    fn place<T: Copy>(self, image: &[T], stride: usize, patch: CropBox, out: &mut [T]) {
        let (height, width) = (patch.size.height as usize, patch.size.width as usize);
        let row_of = |row: usize| {
            let begin = (patch.top as usize + row) * stride + patch.left as usize;
            &image[begin..begin + width]
        };
        if self.turns.is_multiple_of(2) {
            let is_reversed = self.flip != (self.turns == 2);
            for (y, line) in out.chunks_exact_mut(width).enumerate() {
                let row = row_of(self.origin((height, width), (y, 0)).0);
                if is_reversed {
                    for (to, from) in line.iter_mut().zip(row.iter().rev()) {
                        *to = *from;
                    }
                } else {
                    line.copy_from_slice(row);
                }
            }
            return;
        }
        // Small squares at a time: neither their rows nor their columns leave the nearest cache.
        for (y, x) in tiles(width, height) {
            for y in y..(y + TILE).min(width) {
                for x in x..(x + TILE).min(height) {
                    let (row, column) = self.origin((height, width), (y, x));
                    out[y * height + x] = image[(patch.top as usize + row) * stride + patch.left as usize + column];
                }
            }
        }
    }

    fn place_bytes(self, image: &[u8], stride: usize, patch: CropBox, nbytes: usize, out: &mut [u8]) {
        let size = (patch.size.height as usize, patch.size.width as usize);
        let line = if self.turns.is_multiple_of(2) { size.1 } else { size.0 };
        for (index, element) in out.chunks_exact_mut(nbytes).enumerate() {
            let (row, column) = self.origin(size, (index / line, index % line));
            let begin = ((patch.top as usize + row) * stride + patch.left as usize + column) * nbytes;
            element.copy_from_slice(&image[begin..begin + nbytes]);
        }
    }
}

const TILE: usize = 16;

fn tiles(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height)
        .step_by(TILE)
        .flat_map(move |y| (0..width).step_by(TILE).map(move |x| (y, x)))
}

/// The places of the patches of one record.
struct Places {
    index: usize,
    places: [Option<&'static mut [u8]>; MOST_FIELDS],
}

impl Item for Places {
    fn clear(&mut self) {
        for place in self.places.iter_mut().flatten() {
            place.fill(0);
        }
    }
}

/// Lets the threads of a queue cut patches, into memory for each field. All patches of a record that fails are zeros.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if the memory has another length, a size does not fit, or a turn makes another shape.
pub fn patches_ahead(queue: &Queue, request: PatchRequest, memory: Vec<&'static mut [u8]>) -> Result<Job> {
    request.check(&memory.iter().map(|out| out.len()).collect::<Vec<_>>())?;
    let count = request.rows.len().max(1);
    let mut parts: Vec<_> = memory
        .into_iter()
        .map(|out| {
            let each = (out.len() / count).max(1);
            out.chunks_exact_mut(each)
        })
        .collect();
    let items = (0..request.rows.len()).map_while(move |index| {
        let mut places = [const { None }; MOST_FIELDS];
        for (place, part) in places.iter_mut().zip(&mut parts) {
            *place = Some(part.next()?);
        }
        Some(Places { index, places })
    });
    Ok(queue.submit(items, move |context, item| {
        request.cut(context, item.index, &mut item.places)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By its definition: mirror the box, then turn it to the left, one angle at a time.
    fn moved(image: &[u32], stride: usize, patch: CropBox, motion: Motion) -> Vec<u32> {
        let mut rows: Vec<Vec<u32>> = image
            .chunks(stride)
            .skip(patch.top as usize)
            .take(patch.size.height as usize)
            .map(|row| row[patch.left as usize..(patch.left + patch.size.width) as usize].to_vec())
            .collect();
        if motion.flip {
            for row in &mut rows {
                row.reverse();
            }
        }
        for _ in 0..motion.turns {
            let width = rows[0].len();
            rows = (0..width)
                .map(|column| rows.iter().map(|row| row[width - 1 - column]).collect())
                .collect();
        }
        rows.concat()
    }

    #[test]
    fn elements_go_where_the_definition_says() {
        let (height, stride) = (41_usize, 50);
        let image: Vec<u32> = (0..).take(height * stride).collect();
        for (flip, turns) in [false, true]
            .into_iter()
            .flat_map(|flip| (0..4).map(move |turns| (flip, turns)))
        {
            let motion = Motion { flip, turns };
            for (top, left, height, width) in [(0, 0, 41, 50), (3, 7, 33, 33), (40, 49, 1, 1), (2, 1, 20, 37)] {
                let patch = CropBox {
                    top,
                    left,
                    size: Size { height, width },
                };
                let expected = moved(&image, stride, patch, motion);
                let mut out = vec![0; expected.len()];
                motion.place(&image, stride, patch, &mut out);
                assert_eq!(out, expected, "{patch:?} {motion:?}");
                let bytes: Vec<u8> = image
                    .iter()
                    .flat_map(|value| [&value.to_le_bytes()[..], &[7]].concat())
                    .collect();
                let mut out = vec![0; expected.len() * 5];
                motion.place_bytes(&bytes, stride, patch, 5, &mut out);
                let found: Vec<u32> = out
                    .chunks(5)
                    .map(|element| u32::from_le_bytes(element[..4].try_into().unwrap()))
                    .collect();
                assert_eq!(found, expected, "{patch:?} {motion:?}");
            }
        }
    }
}
