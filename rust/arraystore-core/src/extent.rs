//! Extents: which source, which offset, how many bytes, and how they are wrapped.
//!
//! Every table of records in this crate hands out extents, and [`Extent::fetch`] is the one way from an extent to bytes.

use std::path::PathBuf;

use flate2::{Decompress, FlushDecompress};

use crate::crop::Size;
use crate::error::{Error, Result};
use crate::jpeg::{MOST_SCRATCH_NBYTES, pixmap};
use crate::source::{ByteSource, OpenFile, PlainFile};

/// How the bytes of a record are wrapped where they lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The bytes themselves.
    Plain = 0,
    /// A stored member of a zip archive; the extent begins at its local header.
    ZipStored = 1,
    /// A deflated member of a zip archive; the extent begins at its local header.
    ZipDeflated = 2,
    /// Pixels, three bytes each; the record is a binary PPM of them. See [`crate::jpeg::pixmap`].
    PixelsRgb = 3,
    /// Pixels, one byte each; the record is a binary PGM of them.
    PixelsGray = 4,
    /// In no one piece of the file, so that only the library that wrote it can read them.
    Indirect = 5,
    /// An item of a field of arrays, compressed: its table copies it, and no extent of it stands in an index.
    Compressed = 6,
}

impl Encoding {
    /// The encoding with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        const ALL: [Encoding; 6] = [
            Encoding::Plain,
            Encoding::ZipStored,
            Encoding::ZipDeflated,
            Encoding::PixelsRgb,
            Encoding::PixelsGray,
            Encoding::Indirect,
        ];
        ALL.get(usize::from(number)).copied()
    }

    /// Whether it is a member of a zip archive.
    #[must_use]
    pub fn is_zip(self) -> bool {
        matches!(self, Self::ZipStored | Self::ZipDeflated)
    }
}

/// Memory for bytes that cannot be lent in place, reused from record to record.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    packed: Vec<u8>,
    /// A whole file, of which a record is only what it decodes to.
    pub(crate) file: Vec<u8>,
    /// Some 40 kB, made for the first deflated member.
    inflater: Option<Decompress>,
    /// Made for the first item that needs it.
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl Scratch {
    /// Zstandard's decompressor.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if there is no memory for it.
    pub(crate) fn zstd(&mut self) -> Result<&mut zstd::bulk::Decompressor<'static>> {
        if self.zstd.is_none() {
            let made = zstd::bulk::Decompressor::new().map_err(|error| Error::Internal(error.to_string()))?;
            self.zstd = Some(made);
        }
        self.zstd
            .as_mut()
            .ok_or_else(|| Error::Internal("no decompressor".to_owned()))
    }

    /// Gives back memory that a single large record has needed.
    pub fn shrink(&mut self) {
        for memory in [&mut self.bytes, &mut self.packed, &mut self.file] {
            if memory.capacity() > MOST_SCRATCH_NBYTES {
                *memory = Vec::new();
            }
        }
    }
}

/// The source of an extent: shared by many extents, or a file of its own.
pub enum SourceRef<'a> {
    /// A shard, an archive, an object.
    Shared(&'a dyn ByteSource),
    /// One small file of a folder.
    File(PlainFile),
}

impl SourceRef<'_> {
    fn get(&self) -> &dyn ByteSource {
        match self {
            Self::Shared(source) => *source,
            Self::File(file) => file,
        }
    }
}

/// Where the bytes of one record lie.
pub struct Extent<'a> {
    /// What holds them.
    pub source: SourceRef<'a>,
    /// Offset in the source of the bytes, or of the local header of a zip member.
    pub offset: u64,
    /// Bytes that are stored there, without any header.
    pub stored_nbytes: u64,
    /// Bytes of the record, once unwrapped.
    pub nbytes: u64,
    /// How they are wrapped.
    pub encoding: Encoding,
    /// Height and width of [`Encoding::PixelsRgb`] and [`Encoding::PixelsGray`]; no others need it.
    pub size: Size,
}

/// A table of extents, one for each record.
pub trait Extents: Send + Sync {
    /// Number of records.
    fn len(&self) -> u64;

    /// Whether there are no records.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where record `index` lies.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] if there is no such record; [`Error::Format`] or [`Error::FileTooShort`] if the table
    /// itself is damaged.
    fn extent(&self, index: u64) -> Result<Extent<'_>>;

    /// CRC-32 of the bytes of record `index`, if the source keeps one.
    fn crc32(&self, _index: u64) -> Option<u32> {
        None
    }

    /// Whether the archive that holds record `index` is known to be as it was when it was listed.
    fn is_source_unchanged(&self, _index: u64) -> bool {
        false
    }

    /// Fills `out` with the bytes of record `index`, compared with their checksum; `None` if this is no table of a store.
    ///
    /// What a store holds is as it was written, or an error: nothing of it is excused as what a source may be like.
    ///
    /// # Errors
    ///
    /// Those of [`crate::field::Field::fetch`].
    fn copy(&self, _index: u64, _out: &mut [u8], _scratch: &mut Scratch) -> Option<Result<()>> {
        None
    }

    /// What to call record `index` in a message.
    fn name(&self, index: u64) -> String {
        self.extent(index)
            .map_or_else(|_| format!("record {index}"), |extent| extent.place())
    }
}

/// Slices of one file.
pub struct FileExtents {
    file: OpenFile,
    offset: Vec<u64>,
    nbytes: Vec<u64>,
}

impl FileExtents {
    /// Record `i` is `nbytes[i]` bytes from `offset[i]` on.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there are not as many offsets as lengths.
    pub fn new(path: PathBuf, offset: Vec<u64>, nbytes: Vec<u64>) -> Result<Self> {
        if offset.len() != nbytes.len() {
            return Err(Error::InvalidRequest(format!(
                "expected as many offsets as lengths, found {} and {}",
                offset.len(),
                nbytes.len()
            )));
        }
        Ok(Self {
            file: OpenFile::new(path),
            offset,
            nbytes,
        })
    }
}

impl Extents for FileExtents {
    fn len(&self) -> u64 {
        self.offset.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        let place = usize::try_from(index)
            .ok()
            .and_then(|at| Some((*self.offset.get(at)?, *self.nbytes.get(at)?)));
        let (offset, nbytes) = place.ok_or_else(|| Error::RowOutOfRange {
            row: i64::try_from(index).unwrap_or(i64::MAX),
            len: self.offset.len() as u64,
        })?;
        Ok(Extent {
            source: SourceRef::Shared(&self.file),
            offset,
            stored_nbytes: nbytes,
            nbytes,
            encoding: Encoding::Plain,
            size: Size::default(),
        })
    }
}

/// Length of the fixed part of a zip local header (APPNOTE.TXT 4.3.7).
const LOCAL_HEADER_NBYTES: usize = 30;

impl<'a> Extent<'a> {
    /// The source's name and the offset, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.source {
            SourceRef::Shared(source) => format!("{} offset {}", source.name(), self.offset),
            SourceRef::File(file) => file.name(),
        }
    }

    /// The bytes of the record in place, or `None` if they do not lie there as they are.
    ///
    /// # Errors
    ///
    /// As for [`Extent::fetch`].
    pub fn lend(&self) -> Result<Option<&'a [u8]>> {
        let SourceRef::Shared(source) = self.source else {
            return Ok(None);
        };
        let start = match self.encoding {
            Encoding::Plain => self.offset,
            Encoding::ZipStored => self.member_start()?,
            _ => return Ok(None),
        };
        source.lend(start, self.length(self.stored_nbytes)?)
    }

    /// The bytes of the record: lent by the source where it can, else copied or inflated into `scratch`.
    ///
    /// # Errors
    ///
    /// [`Error::FileTooShort`], [`Error::SourceOutdated`], [`Error::FileOutdated`] or [`Error::Io`] from the source; [`Error::Source`] if a zip member
    /// has no valid local header or does not inflate to the promised length, or if the bytes are in no one place.
    pub fn fetch<'s>(&'s self, scratch: &'s mut Scratch) -> Result<&'s [u8]> {
        match self.encoding {
            Encoding::Plain => self.read(self.offset, &mut scratch.bytes),
            Encoding::ZipStored => self.read(self.member_start()?, &mut scratch.bytes),
            Encoding::ZipDeflated => self.inflate(self.member_start()?, scratch),
            Encoding::PixelsRgb => self.wrap_pixels(3, &mut scratch.bytes),
            Encoding::PixelsGray => self.wrap_pixels(1, &mut scratch.bytes),
            Encoding::Indirect => {
                Err(self.broken("it cannot be read in place: only the HDF5 library can, for an ingest".to_owned()))
            }
            Encoding::Compressed => Err(self.broken("it is compressed: it is copied by its field".to_owned())),
        }
    }

    /// A binary PPM or PGM of the pixels.
    fn wrap_pixels<'s>(&self, channels: usize, copied: &'s mut Vec<u8>) -> Result<&'s [u8]> {
        let header = pixmap::header(self.size, channels);
        let nbytes = self.length(self.nbytes)?;
        if self.nbytes != header.len() as u64 + self.stored_nbytes {
            return Err(self.broken(format!(
                "{} bytes are not the pixels of {}",
                self.stored_nbytes, self.size
            )));
        }
        copied.clear();
        self.make_room(copied, nbytes)?;
        copied.extend_from_slice(header.as_bytes());
        copied.resize(nbytes, 0);
        self.source.get().read_at(self.offset, &mut copied[header.len()..])?;
        Ok(copied)
    }

    fn read<'s>(&'s self, start: u64, copied: &'s mut Vec<u8>) -> Result<&'s [u8]> {
        let nbytes = self.length(self.stored_nbytes)?;
        let source = self.source.get();
        if let Some(bytes) = source.lend(start, nbytes)? {
            return Ok(bytes);
        }
        copied.clear();
        self.make_room(copied, nbytes)?;
        copied.resize(nbytes, 0);
        source.read_at(start, copied)?;
        Ok(copied)
    }

    fn inflate<'s>(&'s self, start: u64, scratch: &'s mut Scratch) -> Result<&'s [u8]> {
        let nbytes = self.length(self.nbytes)?;
        let Scratch {
            bytes,
            packed,
            inflater,
            ..
        } = scratch;
        let packed = self.read(start, packed)?;
        bytes.clear();
        // One byte of room beyond the promised length, to notice a member that is longer. There is no more than was needed
        // for another record before, so that a decompression bomb cannot fill the memory.
        self.make_room(bytes, nbytes.saturating_add(1))?;
        let inflater = inflater.get_or_insert_with(|| Decompress::new(false));
        inflater.reset(false);
        let outcome = inflater.decompress_vec(packed, bytes, FlushDecompress::Finish);
        let has_ended = match outcome {
            Ok(status) => status == flate2::Status::StreamEnd,
            Err(error) => return Err(self.does_not_inflate(bytes.len(), &error.to_string())),
        };
        if bytes.len() > nbytes || (has_ended && bytes.len() < nbytes) {
            return Err(self.broken(format!(
                "the directory promises {nbytes} bytes, the member inflates to {}{}",
                bytes.len().min(nbytes + 1),
                if bytes.len() > nbytes { " or more" } else { "" }
            )));
        }
        if !has_ended {
            return Err(self.does_not_inflate(bytes.len(), "its data end too early"));
        }
        Ok(bytes)
    }

    fn does_not_inflate(&self, found: usize, why: &str) -> Error {
        self.broken(format!("cannot inflate after {found} of {} bytes: {why}", self.nbytes))
    }

    fn make_room(&self, memory: &mut Vec<u8>, nbytes: usize) -> Result<()> {
        memory
            .try_reserve(nbytes)
            .map_err(|error| self.broken(format!("{nbytes} bytes do not fit in memory: {error}")))
    }

    fn length(&self, nbytes: u64) -> Result<usize> {
        usize::try_from(nbytes).map_err(|_| self.broken(format!("{nbytes} bytes do not fit in memory")))
    }

    /// Offset of the data of a zip member, behind its local header.
    fn member_start(&self) -> Result<u64> {
        let mut header = [0; LOCAL_HEADER_NBYTES];
        self.source.get().read_at(self.offset, &mut header)?;
        if header[..4] != *b"PK\x03\x04" {
            return Err(self.broken("no zip local header here".to_owned()));
        }
        let name = u64::from(u16::from_le_bytes([header[26], header[27]]));
        let extra = u64::from(u16::from_le_bytes([header[28], header[29]]));
        Ok(self.offset.saturating_add(LOCAL_HEADER_NBYTES as u64 + name + extra))
    }

    fn broken(&self, problem: String) -> Error {
        Error::Source {
            place: self.place(),
            problem,
        }
    }
}
