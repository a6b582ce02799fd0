//! The members of one file that is no archive, such as the HDF5 files of publishers; and several [`Members`] as one.

use std::path::Path;

use crate::crop::Size;
use crate::error::{Error, Result};
use crate::extent::Encoding;
use crate::jpeg::pixmap;
use crate::members::{Kind, Members};
use crate::scan::List;
use crate::source::{OpenFile, Stamp};
use crate::strings::Strings;
use crate::zip::names;

/// What a library found in a file: one value for each member.
#[derive(Debug, Default)]
pub struct Found {
    /// The different directories, with `/` between their parts and none at the end.
    pub directories: Vec<String>,
    /// Index of the directory.
    pub directory: Vec<u64>,
    /// Name with its suffix.
    pub names: Strings,
    /// Number of the [`Encoding`]: plain, pixels or indirect.
    pub encoding: Vec<u64>,
    /// First byte in the file; of an indirect one any number, by which they are ordered.
    pub offset: Vec<u64>,
    /// Bytes in the file; of an indirect one those of the record.
    pub stored_nbytes: Vec<u64>,
    /// Height of pixels, else 0.
    pub height: Vec<u64>,
    /// Width of pixels, else 0.
    pub width: Vec<u64>,
    /// Path and reason of what is no member.
    pub skipped: Vec<(String, String)>,
}

impl Members {
    /// The members of one file, in the order in which they lie.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file is gone; [`Error::InvalidRequest`] if the columns are not of one length, or a value in them
    /// is none; [`Error::Source`] if a member would end behind the end of the file.
    pub fn of_file(path: &Path, found: &Found) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let stamp = Stamp::from(&metadata);
        let mut list = List::default();
        list.begin(path, Kind::Archive(OpenFile::new(path.to_path_buf()), stamp))?;
        list.reserve(found.names.len(), found.names.data().len() as u64);
        found.check_lengths()?;
        for index in 0..found.names.len() {
            let placed = found.place(index, metadata.len()).map_err(|problem| Error::Source {
                place: format!("{}/{}", path.display(), found.names.get(index).unwrap_or_default()),
                problem,
            })?;
            let name = found.names.get(index).unwrap_or_default();
            list.push(placed.directory, name, names::is_hidden(placed.directory, name))?;
            let columns = &mut list.members.columns;
            columns.encoding.push(placed.encoding);
            columns.offset.push(found.offset[index]);
            columns.stored_nbytes.push(found.stored_nbytes[index]);
            columns.nbytes.push(placed.nbytes);
            columns.crc32.push(0);
            columns.modified_ns.push(stamp.modified_ns);
            columns.height.push(placed.height);
            columns.width.push(placed.width);
        }
        list.sort_by_offset(0);
        list.members.skipped.clone_from(&found.skipped);
        Ok(list.finish())
    }

    /// All members of several, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for more than 65,535 sources.
    pub fn join(parts: &[&Self]) -> Result<Self> {
        let mut list = List::default();
        for part in parts {
            let first = u16::try_from(list.members.sources.len()).unwrap_or(u16::MAX);
            for source in &part.sources {
                list.begin(Path::new(&source.path), source.kind.another())?;
            }
            list.append(&part.columns, &part.directories, &part.suffixes, first)?;
            list.members.skipped.extend_from_slice(&part.skipped);
            list.members.folders.extend_from_slice(&part.folders);
        }
        Ok(list.finish())
    }
}

struct Placed<'a> {
    directory: &'a str,
    encoding: Encoding,
    nbytes: u64,
    height: u16,
    width: u16,
}

impl Found {
    fn check_lengths(&self) -> Result<()> {
        let expected = self.names.len();
        let columns = [
            &self.directory,
            &self.encoding,
            &self.offset,
            &self.stored_nbytes,
            &self.height,
            &self.width,
        ];
        match columns.iter().find(|column| column.len() != expected) {
            None => Ok(()),
            Some(column) => Err(Error::InvalidRequest(format!(
                "expected {expected} values in each column, found {}",
                column.len()
            ))),
        }
    }

    fn place(&self, index: usize, file_nbytes: u64) -> Result<Placed<'_>, String> {
        let directory = usize::try_from(self.directory[index])
            .ok()
            .and_then(|code| self.directories.get(code));
        let directory = directory.ok_or("its directory has no name")?;
        let encoding = u8::try_from(self.encoding[index]).ok().and_then(Encoding::from_number);
        let encoding = encoding
            .filter(|encoding| !encoding.is_zip())
            .ok_or("its encoding is none of a file")?;
        let length = |value: u64| u16::try_from(value).map_err(|_| format!("{value} pixels along one side"));
        let (height, width) = (length(self.height[index])?, length(self.width[index])?);
        let stored = self.stored_nbytes[index];
        let end = self.offset[index]
            .checked_add(stored)
            .ok_or("its offset is no place in a file")?;
        if encoding != Encoding::Indirect && end > file_nbytes {
            return Err(format!(
                "it would end at byte {end}, behind the end of the file at {file_nbytes}"
            ));
        }
        let channels = match encoding {
            Encoding::PixelsRgb => 3,
            Encoding::PixelsGray => 1,
            _ => 0,
        };
        let size = Size {
            height: height.into(),
            width: width.into(),
        };
        if channels > 0 && stored != u64::from(height) * u64::from(width) * channels {
            return Err(format!("{stored} bytes are not the pixels of {size}"));
        }
        let header = match channels {
            0 => 0,
            3 => pixmap::header(size, 3).len(),
            _ => pixmap::header(size, 1).len(),
        };
        Ok(Placed {
            directory,
            encoding,
            nbytes: stored + header as u64,
            height,
            width,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::extent::Extents;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn one(name: &str, encoding: Encoding, offset: u64, stored: u64, (height, width): (u64, u64)) -> Found {
        Found {
            directories: vec!["dir".to_owned()],
            directory: vec![0],
            names: [name].into_iter().collect(),
            encoding: vec![encoding as u64],
            offset: vec![offset],
            stored_nbytes: vec![stored],
            height: vec![height],
            width: vec![width],
            skipped: Vec::new(),
        }
    }

    #[test]
    fn bytes_and_pixels_are_read_in_place() {
        let file = file(b"..JPEG\0\0rgbRGB");
        let plain = Members::of_file(file.path(), &one("a.jpg", Encoding::Plain, 2, 6, (0, 0))).unwrap();
        let pixels = Members::of_file(file.path(), &one("b.jpg", Encoding::PixelsRgb, 8, 6, (1, 2))).unwrap();
        let gray = Members::of_file(file.path(), &one("c.jpg", Encoding::PixelsGray, 8, 6, (3, 2))).unwrap();
        let joined = Members::join(&[&plain, &pixels, &gray]).unwrap();
        assert_eq!(joined.read(0).unwrap(), b"JPEG\0\0");
        assert_eq!(joined.read(1).unwrap(), b"P6\n2 1\n255\nrgbRGB");
        assert_eq!(joined.read(2).unwrap(), b"P5\n2 3\n255\nrgbRGB");
        assert_eq!(joined.path(1).unwrap(), format!("{}/dir/b.jpg", file.path().display()));
        assert_eq!(joined.columns().source, [0, 1, 2]);
        assert_eq!(joined.directories(), ["dir"]);
        assert!(Extents::crc32(&joined, 0).is_none());
    }

    #[test]
    fn an_indirect_member_is_read_where_it_was_spilled() {
        let (holder, spill) = (file(b"HDF5"), file(b"xbytes"));
        let members = Members::of_file(holder.path(), &one("a.jpg", Encoding::Indirect, 0, 5, (0, 0))).unwrap();
        assert!(
            members
                .read(0)
                .unwrap_err()
                .to_string()
                .contains("only the HDF5 library")
        );
        members.spilled_to(spill.path(), &[0], &[1]).unwrap();
        assert_eq!(members.read(0).unwrap(), b"bytes");
        assert!(members.spilled_to(spill.path(), &[0], &[1]).is_err());
    }

    #[test]
    fn places_that_are_none_are_refused() {
        let file = file(b"12345678");
        for (encoding, offset, stored, size) in [
            (Encoding::Plain, 0, 9, (0, 0)),
            (Encoding::Plain, u64::MAX, 1, (0, 0)),
            (Encoding::ZipStored, 0, 1, (0, 0)),
            (Encoding::PixelsRgb, 0, 8, (1, 2)),
            (Encoding::PixelsGray, 0, 8, (65_536, 1)),
        ] {
            assert!(Members::of_file(file.path(), &one("a.jpg", encoding, offset, stored, size)).is_err());
        }
        let mut found = one("a.jpg", Encoding::Plain, 0, 1, (0, 0));
        found.directory = vec![1];
        assert!(Members::of_file(file.path(), &found).is_err());
        found.directory = Vec::new();
        assert!(Members::of_file(file.path(), &found).is_err());
    }

    #[test]
    fn a_file_that_was_written_to_is_noticed() {
        let mut file = file(b"12345678");
        let members = Members::of_file(file.path(), &one("a.jpg", Encoding::Plain, 0, 8, (0, 0))).unwrap();
        members.check_unchanged().unwrap();
        file.write_all(b"9").unwrap();
        assert_eq!(members.check_unchanged().unwrap_err().code(), "source-changed");
    }
}
