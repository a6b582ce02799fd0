//! The files of source packages as columns: where each one is, how long, and what it is called.
//!
//! A list of five million objects would be gigabytes; here a member costs about 70 bytes. Directories and suffixes are few
//! and stored once; stems lie one after another. Rows are in the physical order of the sources.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::Xxh3;

use crate::checksum;
use crate::crop::Size;
use crate::error::{Error, Result};
use crate::extent::{Encoding, Extent, Extents, Scratch, SourceRef};
use crate::source::{OpenFile, PlainFile, Stamp};
use crate::strings::Strings;

/// One path that was scanned.
#[derive(Debug)]
pub struct Source {
    /// The path as given.
    pub path: String,
    pub(crate) kind: Kind,
}

/// A folder, or one file that holds many members: an archive, or an HDF5 file.
#[derive(Debug)]
pub(crate) enum Kind {
    /// With its absolute path, which is a prefix of all its directories.
    Folder(String),
    Archive(OpenFile, Stamp),
}

impl Kind {
    /// The same once more, not opened yet.
    pub(crate) fn another(&self) -> Self {
        match self {
            Self::Folder(root) => Self::Folder(root.clone()),
            Self::Archive(file, stamp) => Self::Archive(OpenFile::new(file.path().to_path_buf()), *stamp),
        }
    }
}

/// The columns of [`Members`]: one value for each member.
#[derive(Debug, Default)]
pub struct Columns {
    /// Index of the source.
    pub source: Vec<u16>,
    /// Index of the directory.
    pub directory: Vec<u32>,
    /// Index of the suffix.
    pub suffix: Vec<u32>,
    /// 1 for names that begin with a dot, or lie in such a directory, and for `Thumbs.db`; else 0.
    pub hidden: Vec<u8>,
    /// How the bytes are wrapped.
    pub encoding: Vec<Encoding>,
    /// Offset in an archive of the local header, in an HDF5 file of the bytes; 0 in a folder.
    pub offset: Vec<u64>,
    /// Bytes in the source.
    pub stored_nbytes: Vec<u64>,
    /// Bytes once unwrapped.
    pub nbytes: Vec<u64>,
    /// CRC-32 of these bytes, as the archive says; 0 in a folder and in an HDF5 file.
    pub crc32: Vec<u32>,
    /// Nanoseconds from 1970 to the last modification, of the file or of the HDF5 file; 0 in an archive.
    pub modified_ns: Vec<i64>,
    /// Height of members that are pixels; 0 where it is not known.
    pub height: Vec<u16>,
    /// Width of members that are pixels; 0 where it is not known.
    pub width: Vec<u16>,
    /// Name without directory and suffix.
    pub stems: Arc<Strings>,
}

/// The files of one or more folders and archives.
#[derive(Debug, Default)]
pub struct Members {
    pub(crate) sources: Vec<Source>,
    pub(crate) directories: Vec<String>,
    pub(crate) suffixes: Vec<String>,
    pub(crate) columns: Columns,
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) folders: Vec<String>,
    pub(crate) spill: OnceLock<Spill>,
}

/// Where the bytes of members went that only a library could read.
#[derive(Debug)]
pub(crate) struct Spill {
    file: OpenFile,
    /// Member and offset of its bytes, in the order of members.
    places: Vec<(u64, u64)>,
}

impl Spill {
    fn offset(&self, index: usize) -> Option<u64> {
        let place = self.places.binary_search_by_key(&(index as u64), |&(member, _)| member);
        place.ok().map(|place| self.places[place].1)
    }
}

impl Members {
    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.source.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was scanned, in the order given.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The different directories: absolute in a folder, as in the archive else; `/` between the parts and none at the end.
    #[must_use]
    pub fn directories(&self) -> &[String] {
        &self.directories
    }

    /// The different suffixes, each with its dot, as written; or empty.
    #[must_use]
    pub fn suffixes(&self) -> &[String] {
        &self.suffixes
    }

    /// One value of each kind for each member.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Files that are no members, and why.
    #[must_use]
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Every folder that was looked into, also those without files.
    #[must_use]
    pub fn folders(&self) -> &[String] {
        &self.folders
    }

    /// Where some files lie below the folder that was scanned; empty for members of archives.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] naming the first index that does not exist.
    pub fn paths_below(&self, indices: &[u64]) -> Result<Strings> {
        let mut paths = Strings::default();
        for &index in indices {
            let index = self.check(index)?;
            match &self.sources[usize::from(self.columns.source[index])].kind {
                Kind::Folder(root) => {
                    let path = self.path_in_source(index);
                    paths.push(
                        path.strip_prefix(root.as_str())
                            .unwrap_or(&path)
                            .trim_start_matches('/'),
                    );
                }
                Kind::Archive(..) => paths.push(""),
            }
        }
        Ok(paths)
    }

    fn check(&self, index: u64) -> Result<usize> {
        usize::try_from(index)
            .ok()
            .filter(|&index| index < self.len())
            .ok_or_else(|| Error::RowOutOfRange {
                row: i64::try_from(index).unwrap_or(i64::MAX),
                len: self.len() as u64,
            })
    }

    fn directory(&self, index: usize) -> &str {
        &self.directories[self.columns.directory[index] as usize]
    }

    fn suffix(&self, index: usize) -> &str {
        &self.suffixes[self.columns.suffix[index] as usize]
    }

    fn stem(&self, index: usize) -> &str {
        self.columns.stems.get(index).unwrap_or_default()
    }

    fn path_in_source(&self, index: usize) -> String {
        let (directory, stem, suffix) = (self.directory(index), self.stem(index), self.suffix(index));
        match directory {
            "" => format!("{stem}{suffix}"),
            "/" => format!("/{stem}{suffix}"),
            _ => format!("{directory}/{stem}{suffix}"),
        }
    }

    /// The whole path of a file; of a member of an archive, the path of the archive, `/`, and the path in it.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] if there is no such member.
    pub fn path(&self, index: u64) -> Result<String> {
        let index = self.check(index)?;
        let source = &self.sources[usize::from(self.columns.source[index])];
        Ok(match source.kind {
            Kind::Folder(_) => self.path_in_source(index),
            Kind::Archive(..) => format!("{}/{}", source.path, self.path_in_source(index)),
        })
    }

    /// Says where the bytes of members of [`Encoding::Indirect`] have been written to: `offset[i]` in the file is the first
    /// of member `indices[i]`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there are not as many offsets as members, if they are of another encoding, or if this
    /// was said before; [`Error::RowOutOfRange`].
    pub fn spilled_to(&self, path: &Path, indices: &[u64], offset: &[u64]) -> Result<()> {
        let invalid = |problem: &str| Error::InvalidRequest(format!("{}: {problem}", path.display()));
        if indices.len() != offset.len() {
            return Err(invalid("expected as many offsets as members"));
        }
        for &index in indices {
            let index = self.check(index)?;
            if self.columns.encoding[index] != Encoding::Indirect {
                return Err(invalid("expected only members that cannot be read in place"));
            }
        }
        let mut places: Vec<(u64, u64)> = indices.iter().copied().zip(offset.iter().copied()).collect();
        places.sort_unstable();
        let file = OpenFile::new(path.to_path_buf());
        self.spill
            .set(Spill { file, places })
            .map_err(|_| invalid("the members have been written to a file before"))
    }

    /// Compares every archive and HDF5 file with what it was when it was scanned.
    ///
    /// # Errors
    ///
    /// [`Error::SourceChanged`] naming the first that was changed or is gone.
    pub fn check_unchanged(&self) -> Result<()> {
        for source in &self.sources {
            if let Kind::Archive(_, stamp) = &source.kind
                && !is_still(&source.path, stamp)
            {
                return Err(Error::SourceChanged {
                    place: source.path.clone(),
                    problem: "it was written to meanwhile".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The bytes of a member.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] if there is no such member; those of [`Extent::fetch`]; [`Error::Source`] if the CRC-32 of
    /// an archive does not agree.
    pub fn read(&self, index: u64) -> Result<Vec<u8>> {
        let mut scratch = Scratch::default();
        let extent = self.extent(index)?;
        let bytes = extent.fetch(&mut scratch)?.to_vec();
        match self.crc32(index) {
            Some(expected) if expected != checksum::crc32(&bytes) => Err(Error::Source {
                place: self.path(index)?,
                problem: format!(
                    "the archive says CRC-32 {expected:08x}, found {:08x}",
                    checksum::crc32(&bytes)
                ),
            }),
            _ => Ok(bytes),
        }
    }

    /// A number that changes when these members do: XXH3-64 of names, lengths, checksums (archives), times (folders, HDF5 files).
    ///
    /// It does not depend on where the sources lie, on what an archive is called, or on other members.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] if there is no such member.
    pub fn fingerprint(&self, indices: &[u64]) -> Result<u64> {
        let mut hasher = Xxh3::new();
        let mut record = Vec::new();
        for &index in indices {
            let index = self.check(index)?;
            let columns = &self.columns;
            let source = &self.sources[usize::from(columns.source[index])];
            let directory = match &source.kind {
                Kind::Folder(root) => {
                    let directory = self.directory(index);
                    directory.strip_prefix(root.as_str()).unwrap_or(directory)
                }
                Kind::Archive(..) => self.directory(index),
            };
            record.clear();
            for part in [directory, self.stem(index), self.suffix(index)] {
                record.extend_from_slice(part.as_bytes());
                record.push(0);
            }
            record.extend_from_slice(&columns.source[index].to_le_bytes());
            record.extend_from_slice(&columns.nbytes[index].to_le_bytes());
            record.extend_from_slice(&columns.crc32[index].to_le_bytes());
            record.extend_from_slice(&columns.modified_ns[index].to_le_bytes());
            hasher.update(&record);
        }
        Ok(hasher.digest())
    }
}

fn is_still(path: &str, stamp: &Stamp) -> bool {
    std::fs::metadata(Path::new(path)).is_ok_and(|metadata| Stamp::from(&metadata) == *stamp)
}

impl Extents for Members {
    fn len(&self) -> u64 {
        self.columns.source.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        let index = self.check(index)?;
        let source = &self.sources[usize::from(self.columns.source[index])];
        let mut extent = Extent {
            source: match &source.kind {
                Kind::Folder(_) => SourceRef::File(PlainFile::new(PathBuf::from(self.path_in_source(index)))),
                Kind::Archive(file, _) => SourceRef::Shared(file),
            },
            offset: self.columns.offset[index],
            stored_nbytes: self.columns.stored_nbytes[index],
            nbytes: self.columns.nbytes[index],
            encoding: self.columns.encoding[index],
            size: Size {
                height: self.columns.height[index].into(),
                width: self.columns.width[index].into(),
            },
        };
        if extent.encoding == Encoding::Indirect
            && let Some(spill) = self.spill.get()
            && let Some(offset) = spill.offset(index)
        {
            extent.source = SourceRef::Shared(&spill.file);
            extent.offset = offset;
            extent.encoding = Encoding::Plain;
        }
        Ok(extent)
    }

    fn crc32(&self, index: u64) -> Option<u32> {
        let index = usize::try_from(index).ok()?;
        let encoding = *self.columns.encoding.get(index)?;
        encoding.is_zip().then(|| self.columns.crc32[index])
    }

    fn name(&self, index: u64) -> String {
        self.path(index).unwrap_or_default()
    }

    fn is_source_unchanged(&self, index: u64) -> bool {
        let Ok(index) = self.check(index) else {
            return false;
        };
        let source = &self.sources[usize::from(self.columns.source[index])];
        match &source.kind {
            Kind::Folder(_) => false,
            Kind::Archive(_, stamp) => is_still(&source.path, stamp),
        }
    }
}

/// Some members, in an order of their own.
pub struct Selection {
    members: Arc<Members>,
    indices: Vec<u64>,
}

impl Selection {
    /// The members `indices`, which may repeat.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] naming the first index that does not exist.
    pub fn new(members: Arc<Members>, indices: Vec<u64>) -> Result<Self> {
        for &index in &indices {
            members.check(index)?;
        }
        Ok(Self { members, indices })
    }

    fn index(&self, record: u64) -> Result<u64> {
        usize::try_from(record)
            .ok()
            .and_then(|record| self.indices.get(record).copied())
            .ok_or_else(|| Error::RowOutOfRange {
                row: i64::try_from(record).unwrap_or(i64::MAX),
                len: self.indices.len() as u64,
            })
    }
}

impl Extents for Selection {
    fn len(&self) -> u64 {
        self.indices.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        self.members.extent(self.index(index)?)
    }

    fn crc32(&self, index: u64) -> Option<u32> {
        self.members.crc32(self.index(index).ok()?)
    }

    fn name(&self, index: u64) -> String {
        self.index(index)
            .map(|index| self.members.name(index))
            .unwrap_or_default()
    }

    fn is_source_unchanged(&self, index: u64) -> bool {
        self.index(index)
            .is_ok_and(|index| self.members.is_source_unchanged(index))
    }
}
