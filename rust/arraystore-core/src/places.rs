//! Records that lie elsewhere: in archives, HDF5 files and folders that are read as they are, without a copy of our own.
//!
//! Where each record lies is told by columns of an index on disk. What they say is not believed: a source that does not
//! exist, an encoding that has no meaning and a path that leaves its folder are errors.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::crop::Size;
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
    /// Where a record of `nbytes` bytes lies; `size` is that of an image, if it is known.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the index makes no sense; what its files give.
    pub fn extent(&self, index: u64, nbytes: u32, size: Size) -> Result<Extent<'_>> {
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
                size,
            },
            PlaceSource::File(file) => Extent {
                source: SourceRef::Shared(file),
                offset: self.offset.get(index)?,
                stored_nbytes: self.stored_nbytes.get(index)?,
                nbytes,
                encoding: self.encoding(index)?,
                size,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::crc32;
    use crate::field::{FieldBytes, FieldParts, Ragged, ReadOptions};
    use crate::pieces::{Number, Pieces};
    use crate::source::Stamp;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn pieces(&self, name: &str, bytes: &[u8]) -> Pieces {
            let path = self.0.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let nbytes = bytes.len() as u64;
            Pieces::new(vec![(path, 0)], nbytes, nbytes).unwrap()
        }

        fn column<T: Number>(&self, name: &str, numbers: &[u64]) -> Column<T> {
            let bytes: Vec<u8> = numbers
                .iter()
                .flat_map(|number| number.to_le_bytes()[..T::NBYTES].to_vec())
                .collect();
            Column::new(self.pieces(name, &bytes), numbers.len() as u64, name).unwrap()
        }
    }

    fn texts(folder: &Folder, values: &[&str]) -> Field {
        let lengths: Vec<u64> = values.iter().map(|value| value.len() as u64).collect();
        let offsets = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end - length)
        });
        let parts = FieldParts {
            bytes: FieldBytes::Here(Ragged {
                data: folder.pieces("texts", values.concat().as_bytes()),
                offset: folder.column("texts-offset", &offsets.collect::<Vec<_>>()),
                crc32c: None,
            }),
            nbytes: folder.column("texts-nbytes", &lengths),
            height: None,
            width: None,
            status: None,
            keys: None,
            seek: None,
        };
        Field::new("image.path".to_owned(), values.len() as u64, parts)
    }

    /// One record for each `(source, encoding, path)`, of a folder (source 0) and of the file `packed` (source 1).
    fn field(folder: &Folder, records: &[(u64, u64, &str)]) -> Field {
        let packed = folder.0.path().join("packed");
        let stamp = Stamp::from(&std::fs::metadata(&packed).unwrap());
        let all = |number: u64| vec![number; records.len()];
        let paths: Vec<&str> = records.iter().map(|record| record.2).collect();
        let places = Places {
            sources: vec![
                PlaceSource::Folder(folder.0.path().join("photos")),
                PlaceSource::File(MappedFile::as_listed(packed, stamp)),
            ],
            source: folder.column("source", &records.iter().map(|record| record.0).collect::<Vec<_>>()),
            offset: folder.column("offset", &all(0)),
            stored_nbytes: folder.column("stored_nbytes", &all(4)),
            encoding: folder.column("encoding", &records.iter().map(|record| record.1).collect::<Vec<_>>()),
            crc32: folder.column("crc32", &all(crc32(b"word").into())),
            path: Some(Arc::new(texts(folder, &paths))),
        };
        let parts = FieldParts {
            bytes: FieldBytes::Elsewhere(places),
            nbytes: folder.column("nbytes", &all(4)),
            height: Some(folder.column("height", &all(0))),
            width: Some(folder.column("width", &all(0))),
            status: Some(folder.column("status", &all(0))),
            keys: None,
            seek: None,
        };
        Field::new("image".to_owned(), records.len() as u64, parts)
    }

    fn folder() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.0.path().join("photos")).unwrap();
        std::fs::write(folder.0.path().join("photos/a.jpg"), "word").unwrap();
        std::fs::write(folder.0.path().join("secret"), "word").unwrap();
        let mut archive = b"PK\x03\x04".to_vec();
        archive.resize(30, 0);
        archive.extend_from_slice(b"word");
        std::fs::write(folder.0.path().join("packed"), archive).unwrap();
        folder
    }

    #[test]
    fn files_and_members_are_read_where_they_lie() {
        let folder = folder();
        let field = field(&folder, &[(0, 0, "a.jpg"), (1, 1, ""), (1, 0, "")]);
        let mut scratch = Scratch::default();
        let gathered = field.gather(&[1, 0, 1, 2], true, &mut scratch).unwrap();
        let found: Vec<_> = gathered.iter().map(Option::unwrap).collect();
        assert_eq!(found, [&b"word"[..], b"word", b"word", b"PK\x03\x04"]);
        let options = ReadOptions {
            verify: true,
            threads: 1,
        };
        assert_eq!(field.decode(&[0], options).err().unwrap().code(), "decode");
        assert_eq!(field.sizes(&[0, 1], 2).unwrap(), [0, 0, 0, 0]);
        assert!(field.check(0..3, 2).unwrap().is_empty());
    }

    #[test]
    fn an_index_that_makes_no_sense_is_an_error() {
        let folder = folder();
        let records = [
            (7, 0, "x"),
            (1, 99, "x"),
            (0, 0, "../secret"),
            (0, 0, "/etc/hostname"),
            (0, 0, "gone.jpg"),
        ];
        let field = field(&folder, &records);
        let codes: Vec<_> = (0..5)
            .map(|row| {
                field
                    .gather(&[row], true, &mut Scratch::default())
                    .err()
                    .unwrap()
                    .code()
            })
            .collect();
        assert_eq!(codes, ["format", "format", "format", "format", "file-changed"]);
        assert_eq!(field.check(0..5, 1).unwrap().len(), 5);
    }
}
