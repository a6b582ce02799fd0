//! Memory of decoded images that goes back to a pool when the last array over it is dropped.
//!
//! Fresh memory costs a page fault for each 4 KiB of an image; one of the last batch that is no longer used leaves its memory
//! to the next.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::jpeg::{Problem, zeroed};

/// Memory of one image.
pub struct PixelMemory {
    bytes: Vec<u8>,
    len: usize,
}

/// Sizes are rounded up to a multiple of this, so that images of about the same size can take each other's place.
const GRAIN_NBYTES: usize = 1 << 15;

/// Larger memory is not kept.
const LARGEST_KEPT_NBYTES: usize = 1 << 22;

/// No more than this is kept for the process.
const MOST_KEPT_NBYTES: usize = 96 << 20;

struct Idle {
    by_size: BTreeMap<usize, Vec<Vec<u8>>>,
    nbytes: usize,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle {
    by_size: BTreeMap::new(),
    nbytes: 0,
});

impl PixelMemory {
    /// Memory of `len` bytes, with any content.
    ///
    /// # Errors
    ///
    /// A problem that names the number of bytes, if there is not so much memory.
    pub fn take(len: usize) -> Result<Self, Problem> {
        let size = len.next_multiple_of(GRAIN_NBYTES);
        let kept = IDLE.try_lock().ok().and_then(|mut idle| idle.take(size));
        let bytes = kept.map_or_else(|| zeroed(size), Ok)?;
        Ok(Self { bytes, len })
    }
}

impl Idle {
    fn take(&mut self, size: usize) -> Option<Vec<u8>> {
        // A little larger is as good.
        let (_, same) = self
            .by_size
            .range_mut(size..=size.saturating_mul(2))
            .find(|(_, same)| !same.is_empty())?;
        let bytes = same.pop()?;
        self.nbytes -= bytes.len();
        Some(bytes)
    }
}

impl Drop for PixelMemory {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() <= LARGEST_KEPT_NBYTES
            && let Ok(mut idle) = IDLE.try_lock()
            && idle.nbytes + bytes.len() <= MOST_KEPT_NBYTES
        {
            idle.nbytes += bytes.len();
            idle.by_size.entry(bytes.len()).or_default().push(bytes);
        }
    }
}

impl AsRef<[u8]> for PixelMemory {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl AsMut<[u8]> for PixelMemory {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_the_length_asked_for_and_is_used_again() {
        let sizes = [1, GRAIN_NBYTES, 3 * GRAIN_NBYTES + 1, LARGEST_KEPT_NBYTES + 1];
        for _ in 0..3 {
            for len in sizes {
                let mut memory = PixelMemory::take(len).unwrap();
                assert_eq!(memory.as_mut().len(), len);
                assert_eq!(memory.as_ref().len(), len);
            }
        }
        assert!(IDLE.lock().unwrap().nbytes <= MOST_KEPT_NBYTES);
    }
}
