//! Arrays on disk: a logical run of bytes cut into pieces of equal size, each somewhere in a file.
//!
//! A Zarr shard and an HDF5 chunk are both such a piece. [`Column`] reads one number of a typed array in place.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::source::{ByteSource, MappedFile};

/// A logical run of bytes, in pieces.
pub struct Pieces {
    places: Vec<Piece>,
    piece_nbytes: u64,
    nbytes: u64,
}

struct Piece {
    source: Arc<dyn ByteSource>,
    offset: u64,
}

impl Pieces {
    /// An array of `nbytes` bytes in pieces of `piece_nbytes` (the last may be shorter), each `(path, offset in the file)`.
    ///
    /// No file is opened. A path that occurs several times is mapped once.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the number of pieces does not fit the number of bytes.
    pub fn new(places: Vec<(PathBuf, u64)>, piece_nbytes: u64, nbytes: u64) -> Result<Self> {
        let needed = match piece_nbytes {
            0 => u64::from(nbytes > 0),
            size => nbytes.div_ceil(size),
        };
        if needed != places.len() as u64 || (piece_nbytes == 0 && nbytes > 0) {
            return Err(Error::Format {
                place: places
                    .first()
                    .map_or_else(String::new, |(path, _)| path.display().to_string()),
                problem: format!(
                    "{nbytes} bytes in pieces of {piece_nbytes} need {needed} pieces, found {}",
                    places.len()
                ),
            });
        }
        let mut files: HashMap<PathBuf, Arc<dyn ByteSource>> = HashMap::new();
        let pieces = places
            .into_iter()
            .map(|(path, offset)| Piece {
                source: Arc::clone(
                    files
                        .entry(path.clone())
                        .or_insert_with(|| Arc::new(MappedFile::new(path))),
                ),
                offset,
            })
            .collect();
        Ok(Self {
            places: pieces,
            piece_nbytes,
            nbytes,
        })
    }

    /// Length in bytes.
    #[must_use]
    pub fn nbytes(&self) -> u64 {
        self.nbytes
    }

    /// The file that holds the logical bytes `[offset, offset + nbytes)`, and where in it they begin.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if they lie outside the array or straddle two pieces.
    pub fn locate(&self, offset: u64, nbytes: u64) -> Result<(&dyn ByteSource, u64)> {
        let end = offset.checked_add(nbytes).filter(|&end| end <= self.nbytes);
        if nbytes == 0 || end.is_none() {
            return Err(self.outside(offset, nbytes));
        }
        let (index, within) = (offset / self.piece_nbytes, offset % self.piece_nbytes);
        let piece = usize::try_from(index)
            .ok()
            .and_then(|index| self.places.get(index))
            .filter(|_| within + nbytes <= self.piece_nbytes)
            .ok_or_else(|| self.outside(offset, nbytes))?;
        Ok((&*piece.source, piece.offset.saturating_add(within)))
    }

    /// The logical bytes `[offset, offset + nbytes)`, in place.
    ///
    /// # Errors
    ///
    /// As for [`Pieces::locate`] and [`ByteSource::lend`].
    pub fn lend(&self, offset: u64, nbytes: usize) -> Result<&[u8]> {
        let (source, start) = self.locate(offset, nbytes as u64)?;
        source
            .lend(start, nbytes)?
            .ok_or_else(|| Error::Internal(format!("{} cannot lend bytes", source.name())))
    }

    fn outside(&self, offset: u64, nbytes: u64) -> Error {
        Error::Format {
            place: self
                .places
                .first()
                .map_or_else(String::new, |piece| piece.source.name()),
            problem: format!(
                "bytes {offset} to {} are not inside one piece of an array of {} bytes in pieces of {}",
                offset.saturating_add(nbytes),
                self.nbytes,
                self.piece_nbytes
            ),
        }
    }
}

/// A number stored in little-endian byte order.
pub trait Number: Copy + Default + Send + Sync + 'static {
    /// Size in bytes.
    const NBYTES: usize;
    /// From its `NBYTES` bytes; from any other number of bytes, zero.
    fn from_le(bytes: &[u8]) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Number for $type {
            const NBYTES: usize = size_of::<$type>();
            fn from_le(bytes: &[u8]) -> Self {
                bytes.try_into().map_or(0, Self::from_le_bytes)
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64);

/// A typed one-dimensional array on disk, read in place.
pub struct Column<T> {
    pieces: Pieces,
    len: u64,
    number: PhantomData<T>,
}

impl<T: Number> Column<T> {
    /// An array of `len` numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the pieces do not hold exactly `len` numbers.
    pub fn new(pieces: Pieces, len: u64, what: &str) -> Result<Self> {
        let expected = len.checked_mul(T::NBYTES as u64);
        if expected != Some(pieces.nbytes()) || !pieces.piece_nbytes.is_multiple_of(T::NBYTES as u64) {
            return Err(Error::Format {
                place: what.to_owned(),
                problem: format!(
                    "expected {len} numbers of {} bytes, found {} bytes in pieces of {}",
                    T::NBYTES,
                    pieces.nbytes(),
                    pieces.piece_nbytes
                ),
            });
        }
        Ok(Self {
            pieces,
            len,
            number: PhantomData,
        })
    }

    /// Number `index`.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`], or what the file gives.
    pub fn get(&self, index: u64) -> Result<T> {
        if index >= self.len {
            return Err(Error::RowOutOfRange {
                row: index.cast_signed(),
                len: self.len,
            });
        }
        self.pieces.lend(index * T::NBYTES as u64, T::NBYTES).map(T::from_le)
    }

    /// All numbers, copied.
    ///
    /// # Errors
    ///
    /// What the files give.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let total = self.pieces.nbytes();
        let mut start = 0;
        while start < total {
            let nbytes = (total - start).min(self.pieces.piece_nbytes);
            let bytes = self.pieces.lend(start, usize::try_from(nbytes).unwrap_or(usize::MAX))?;
            // Only what is there is believed: room is made for a piece once it could be read.
            all.try_reserve(bytes.len() / T::NBYTES)
                .map_err(|error| Error::Internal(format!("{} numbers do not fit in memory: {error}", self.len)))?;
            all.extend(bytes.chunks_exact(T::NBYTES).map(T::from_le));
            start += nbytes;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_files(first: &[u8], second: &[u8]) -> (tempfile::TempDir, Vec<(PathBuf, u64)>) {
        let folder = tempfile::tempdir().unwrap();
        let places = [first, second]
            .iter()
            .enumerate()
            .map(|(index, bytes)| {
                let path = folder.path().join(index.to_string());
                std::fs::write(&path, bytes).unwrap();
                (path, 1)
            })
            .collect();
        (folder, places)
    }

    #[test]
    fn numbers_are_found_in_the_piece_that_holds_them() {
        let (_folder, places) = two_files(b"_\x01\0\x02\0", b"_\x03\0footer");
        let column = Column::<u16>::new(Pieces::new(places, 4, 6).unwrap(), 3, "some").unwrap();
        assert_eq!(column.to_vec().unwrap(), [1, 2, 3]);
        assert_eq!(column.get(2).unwrap(), 3);
        assert_eq!(column.get(3).unwrap_err().code(), "row-out-of-range");
    }

    #[test]
    fn bytes_that_straddle_two_pieces_are_refused() {
        let (_folder, places) = two_files(b"_abcd", b"_efgh");
        let pieces = Pieces::new(places, 4, 8).unwrap();
        assert_eq!(pieces.lend(4, 4).unwrap(), b"efgh");
        assert_eq!(pieces.lend(2, 4).unwrap_err().code(), "format");
        assert_eq!(pieces.lend(u64::MAX, 4).unwrap_err().code(), "format");
        assert_eq!(pieces.lend(6, 4).unwrap_err().code(), "format");
    }

    #[test]
    fn the_number_of_pieces_must_fit_the_number_of_bytes() {
        let (_folder, places) = two_files(b"", b"");
        assert_eq!(Pieces::new(places.clone(), 4, 4).err().unwrap().code(), "format");
        assert!(Pieces::new(vec![], 0, 0).is_ok());
        assert_eq!(Pieces::new(places, 0, 4).err().unwrap().code(), "format");
    }
}
