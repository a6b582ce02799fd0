//! Records that lie elsewhere: in archives, HDF5 files and folders that are read as they are, without a copy of our own.
//!
//! Where each record lies is told by columns of an index on disk. What they say is not believed: a source that does not
//! exist, an encoding that has no meaning and a path that leaves its folder are errors.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::extent::{Encoding, Extent, Scratch, SourceRef};
use crate::field::Field;
use crate::pieces::Column;
use crate::source::{MappedFile, PlainFile};

/// One source of records.
pub enum PlaceSource {
    /// A folder, each file of which is a record; opened for each read.
    Folder(PathBuf),
    /// An archive or another file with many records; mapped on first use.
    File(MappedFile),
}

/// Where each record of a field lies.
pub struct Places {
    /// What holds them.
    pub sources: Vec<PlaceSource>,
    /// Index of the source of each record.
    pub source: Column<u16>,
    /// Offset in the source of the bytes, or of the local header of a zip member; 0 in a folder.
    pub offset: Column<u64>,
    /// Bytes there, without any header.
    pub stored_nbytes: Column<u64>,
    /// How they are wrapped; see [`Encoding`].
    pub encoding: Column<u8>,
    /// CRC-32 of the bytes once unwrapped, for members of archives.
    pub crc32: Column<u32>,
    /// Path of each file below its folder, as a field of texts; needed if there are folders.
    pub path: Option<Arc<Field>>,
}

impl Places {
    /// Where a record of `nbytes` bytes lies.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the index makes no sense; what its files give.
    pub fn extent(&self, index: u64, nbytes: u32) -> Result<Extent<'_>> {
        let nbytes = u64::from(nbytes);
        let number = self.source.get(index)?;
        let source = self
            .sources
            .get(usize::from(number))
            .ok_or_else(|| damaged(index, &format!("source {number} of {}", self.sources.len())))?;
        Ok(match source {
            PlaceSource::Folder(folder) => Extent {
                source: SourceRef::File(PlainFile::as_listed(self.path_below(index, folder)?, nbytes)),
                offset: 0,
                stored_nbytes: nbytes,
                nbytes,
                encoding: Encoding::Plain,
            },
            PlaceSource::File(file) => Extent {
                source: SourceRef::Shared(file),
                offset: self.offset.get(index)?,
                stored_nbytes: self.stored_nbytes.get(index)?,
                nbytes,
                encoding: self.encoding(index)?,
            },
        })
    }

    /// CRC-32 of a record, if its archive keeps one.
    ///
    /// # Errors
    ///
    /// As for [`Places::extent`].
    pub fn crc32(&self, index: u64) -> Result<Option<u32>> {
        let is_zip = self.encoding(index)?.is_zip();
        is_zip.then(|| self.crc32.get(index)).transpose()
    }

    fn encoding(&self, index: u64) -> Result<Encoding> {
        let number = self.encoding.get(index)?;
        Encoding::from_number(number).ok_or_else(|| damaged(index, &format!("encoding {number}")))
    }

    fn path_below(&self, index: u64, folder: &Path) -> Result<PathBuf> {
        let paths = self
            .path
            .as_ref()
            .ok_or_else(|| damaged(index, "a file without a path"))?;
        paths.fetch(index, true, &mut Scratch::default(), |bytes| {
            let path = std::str::from_utf8(bytes).map(Path::new);
            let inside = path.ok().filter(|path| {
                let mut parts = path.components();
                parts.all(|part| matches!(part, Component::Normal(_)))
            });
            let inside = inside.ok_or_else(|| damaged(index, &format!("path {:?}", String::from_utf8_lossy(bytes))))?;
            Ok(folder.join(inside))
        })
    }
}

fn damaged(index: u64, found: &str) -> Error {
    Error::Format {
        place: format!("the index of the source, record {index}"),
        problem: format!("{found}: it is damaged; delete it, and open the source again"),
    }
}
