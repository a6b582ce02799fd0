//! A ragged field: many byte strings, in one array of a store or in places elsewhere, found by offset and length.
//!
//! The one reading path: [`Field::fetch`] turns a row into checked bytes; everything that decodes calls it.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{self, Context};
use crate::checksum;
use crate::crop::Size;
use crate::error::{Error, Result};
use crate::extent::{Encoding, Extent, Extents, Scratch, SourceRef};
use crate::jpeg::Encoded;
use crate::jpeg::header::frame_header;
use crate::jpeg::pixmap::{Pixmap, is_pixmap};
use crate::key_table::KeyTable;
use crate::pieces::{Column, Pieces};
use crate::places::Places;
use crate::seek_file::{self, SeekFile};
use crate::source::begin_call;
use crate::status::Status;

/// An array of a store: byte strings, one after another.
pub struct Ragged {
    /// The byte strings.
    pub data: Pieces,
    /// First byte of each record.
    pub offset: Column<u64>,
    /// CRC-32C of each record.
    pub crc32c: Option<Column<u32>>,
}

/// Where the bytes of a field are.
pub enum FieldBytes {
    /// In an array of the store.
    Here(Ragged),
    /// In sources that are read as they are.
    Elsewhere(Places),
}

/// Where a field lies, and what is known of each record.
pub struct FieldParts {
    /// Where the bytes are.
    pub bytes: FieldBytes,
    /// Length of each record; 0 = there is none.
    pub nbytes: Column<u32>,
    /// Height of each image in pixels; 0 if it is not known.
    pub height: Option<Column<u16>>,
    /// Width of each image in pixels; 0 if it is not known.
    pub width: Option<Column<u16>>,
    /// Status of each record; see [`crate::status::Status`].
    pub status: Option<Column<u8>>,
    /// The keys, to name records in messages.
    pub keys: Option<Arc<KeyTable>>,
    /// Seek tables of its JPEGs.
    pub seek: Option<SeekFile>,
}

/// One ragged field of a store.
pub struct Field {
    name: String,
    len: u64,
    parts: FieldParts,
}

/// How a batch is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether to compare each record with its checksum.
    pub verify: bool,
    /// Threads to use, at least one.
    pub threads: usize,
}

/// Rows that a thread takes at a time where there is little to do for each.
const ROWS_A_TASK: usize = 512;

/// The bytes of some records, as [`Field::gather`] brought them into memory.
#[derive(Default)]
pub struct Gathered<'a> {
    records: Vec<Option<Bytes<'a>>>,
    copied: Vec<u8>,
}

enum Bytes<'a> {
    Lent(&'a [u8]),
    Copied(Range<usize>),
}

impl Gathered<'_> {
    /// The records in the order asked; `None` for one without bytes.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        self.records.iter().map(|record| match record {
            None => None,
            Some(Bytes::Lent(bytes)) => Some(*bytes),
            Some(Bytes::Copied(range)) => self.copied.get(range.clone()),
        })
    }
}

impl Extents for Field {
    fn len(&self) -> u64 {
        self.len
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        let nbytes = self.parts.nbytes.get(index)?;
        if nbytes == 0 {
            return Err(self.missing(index));
        }
        let ragged = match &self.parts.bytes {
            FieldBytes::Here(ragged) => ragged,
            FieldBytes::Elsewhere(places) => return places.extent(index, nbytes, self.known_size(index)?),
        };
        let nbytes = u64::from(nbytes);
        let (file, offset) = ragged.data.locate(ragged.offset.get(index)?, nbytes)?;
        Ok(Extent {
            source: SourceRef::Shared(file),
            offset,
            stored_nbytes: nbytes,
            nbytes,
            encoding: Encoding::Plain,
            size: Size::default(),
        })
    }
}

impl Field {
    /// A field of `len` records. Nothing is opened.
    #[must_use]
    pub fn new(name: String, len: u64, parts: FieldParts) -> Self {
        Self { name, len, parts }
    }

    /// The columns of the field.
    #[must_use]
    pub fn parts(&self) -> &FieldParts {
        &self.parts
    }

    /// How messages call this field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How messages call a record: its row and, where it can be read, its key.
    #[must_use]
    pub fn record_name(&self, row: u64) -> String {
        let key = self.parts.keys.as_ref().and_then(|keys| keys.get(row).ok());
        key.map_or_else(|| row.to_string(), |key| format!("{row} ({key})"))
    }

    /// The bytes of a record, in place where they can be lent.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if it has none; [`Error::Checksum`] if they are not what was written; [`Error::RowOutOfRange`],
    /// [`Error::Format`], [`Error::FileTooShort`] or [`Error::Io`] if they cannot be reached; [`Error::SourceOutdated`], [`Error::FileOutdated`] or
    /// [`Error::Source`] for a source that is not what it was, or is damaged.
    pub fn fetch<T>(
        &self,
        row: u64,
        verify: bool,
        scratch: &mut Scratch,
        use_bytes: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<T> {
        let extent = self.extent(row)?;
        let bytes = extent.fetch(scratch).map_err(|error| self.astray(row, error))?;
        if verify {
            self.compare(row, &extent, bytes)?;
        }
        use_bytes(bytes)
    }

    /// The JPEG of a record, with its seek table.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`].
    pub fn fetch_encoded<T>(
        &self,
        row: u64,
        verify: bool,
        scratch: &mut Scratch,
        use_encoded: impl FnOnce(Encoded<'_>) -> Result<T>,
    ) -> Result<T> {
        let Some(tables) = &self.parts.seek else {
            return self.fetch(row, verify, scratch, |jpeg| use_encoded(Encoded { jpeg, seek: None }));
        };
        let kept = self.kept_checksum(row)?;
        self.fetch(row, verify, scratch, |jpeg| {
            let seek = tables.get(row, seek_file::fingerprint(kept, jpeg));
            use_encoded(Encoded { jpeg, seek })
        })
    }

    /// The checksum that is kept of the bytes of a record, CRC-32C or that of its archive.
    ///
    /// # Errors
    ///
    /// Those of the index arrays.
    pub fn kept_checksum(&self, row: u64) -> Result<Option<u32>> {
        match &self.parts.bytes {
            FieldBytes::Here(Ragged { crc32c: Some(sums), .. }) => Ok(Some(sums.get(row)?)),
            FieldBytes::Here(_) => Ok(None),
            FieldBytes::Elsewhere(places) => places.crc32(row),
        }
    }

    /// Compares the bytes of a record with their checksum, if there is one.
    fn compare(&self, row: u64, extent: &Extent<'_>, bytes: &[u8]) -> Result<()> {
        let (algorithm, expected, found) = match &self.parts.bytes {
            FieldBytes::Here(Ragged { crc32c: Some(sums), .. }) => ("CRC-32C", sums.get(row)?, checksum::crc32c(bytes)),
            FieldBytes::Here(_) => return Ok(()),
            FieldBytes::Elsewhere(places) => match places.crc32(row)? {
                Some(expected) => ("CRC-32", expected, checksum::crc32(bytes)),
                None => return Ok(()),
            },
        };
        if found == expected {
            return Ok(());
        }
        Err(Error::Checksum {
            algorithm,
            record: self.record_name(row),
            field: self.name.clone(),
            place: extent.place(),
            nbytes: bytes.len() as u64,
            expected,
            found,
        })
    }

    /// A source is known to have its length: then it is the header of a member that leads behind its end.
    fn astray(&self, row: u64, error: Error) -> Error {
        match (&self.parts.bytes, error) {
            (FieldBytes::Elsewhere(_), Error::FileTooShort { path, expected, found }) => Error::Source {
                place: path.display().to_string(),
                problem: format!(
                    "the place of record {} is damaged: it would end at {expected}, behind the end of the file at {found}",
                    self.record_name(row)
                ),
            },
            (_, error) => error,
        }
    }

    /// The bytes of some rows, brought into memory and compared with their checksums, so that a reader that must not wait for
    /// the disk can take them at once.
    ///
    /// A record without bytes is `None`, except in a field with a status, where it is an error.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`].
    pub fn gather(&self, rows: &[u64], verify: bool, scratch: &mut Scratch) -> Result<Gathered<'_>> {
        const PAGE_NBYTES: usize = 4096;
        begin_call();
        let mut gathered = Gathered::default();
        for &row in rows {
            if self.parts.status.is_none() && self.parts.nbytes.get(row)? == 0 {
                gathered.records.push(None);
                continue;
            }
            let extent = self.extent(row)?;
            let Some(bytes) = extent.lend().map_err(|error| self.astray(row, error))? else {
                let start = gathered.copied.len();
                self.fetch(row, verify, scratch, |bytes| {
                    gathered.copied.extend_from_slice(bytes);
                    Ok(())
                })?;
                gathered.records.push(Some(Bytes::Copied(start..gathered.copied.len())));
                continue;
            };
            if verify {
                self.compare(row, &extent, bytes)?;
            }
            // A checksum has looked at every byte; without one, a look at each page is enough.
            std::hint::black_box(bytes.iter().step_by(PAGE_NBYTES).fold(0, |sum: u8, byte| sum ^ byte));
            gathered.records.push(Some(Bytes::Lent(bytes)));
        }
        Ok(gathered)
    }

    /// Height and width of each row's image, one after the other; zeros where there is no image or no known size.
    ///
    /// Sizes that the index does not know are read from the headers of the JPEGs.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the field is not one of images; [`Error::RowOutOfRange`]; what the files give.
    pub fn sizes(&self, rows: &[u64], threads: usize) -> Result<Vec<u16>> {
        begin_call();
        let (Some(height), Some(width)) = (&self.parts.height, &self.parts.width) else {
            return Err(Error::InvalidRequest(format!(
                "{} holds no images, so it has no sizes",
                self.name
            )));
        };
        let mut sizes = Vec::with_capacity(rows.len() * 2);
        for &row in rows {
            sizes.extend([height.get(row)?, width.get(row)?]);
        }
        if matches!(self.parts.bytes, FieldBytes::Elsewhere(_)) {
            let tasks: Vec<_> = rows
                .chunks(ROWS_A_TASK)
                .zip(sizes.chunks_mut(2 * ROWS_A_TASK))
                .collect();
            batch::map(tasks.into_iter(), threads, |context, (rows, sizes)| {
                for (&row, size) in rows.iter().zip(sizes.chunks_exact_mut(2)) {
                    if *size == [0, 0] {
                        size.copy_from_slice(&self.read_size(row, context)?);
                    }
                }
                Ok(())
            })?;
        }
        Ok(sizes)
    }

    fn read_size(&self, row: u64, context: &mut Context) -> Result<[u16; 2]> {
        match self.fetch(row, false, &mut context.scratch, |bytes| Ok(size_told(bytes))) {
            Ok(size) => Ok(size),
            // There is no image, or one that cannot be read: as in a store, where such a record has no size.
            Err(Error::Missing { .. } | Error::Source { .. }) => Ok([0, 0]),
            Err(error) => Err(error),
        }
    }

    /// Compares every record of a range with its checksum, and returns what is wrong.
    ///
    /// # Errors
    ///
    /// Only [`Error::Internal`]; what is wrong with a record is in the list.
    pub fn check(&self, rows: Range<u64>, threads: usize) -> Result<Vec<(u64, Error)>> {
        begin_call();
        let tasks: Vec<u64> = rows.clone().step_by(ROWS_A_TASK).collect();
        let found = batch::map(tasks.into_iter(), threads, |context, start| {
            let end = (start + ROWS_A_TASK as u64).min(rows.end);
            Ok((start..end)
                .filter_map(|row| Some((row, self.check_record(row, context)?)))
                .collect::<Vec<_>>())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    fn check_record(&self, row: u64, context: &mut Context) -> Option<Error> {
        match self.parts.nbytes.get(row) {
            Ok(0) => None,
            Ok(_) => self.fetch(row, true, &mut context.scratch, |_| Ok(())).err(),
            Err(error) => Some(error),
        }
    }

    fn missing(&self, row: u64) -> Error {
        let status = self.parts.status.as_ref().map(|status| status.get(row));
        let status = match status.transpose() {
            Ok(status) => status.unwrap_or(Status::Missing as u8),
            Err(error) => return error,
        };
        if status == Status::Sound as u8 {
            return self.contradiction(row, "the index says that it is sound and has no bytes".to_owned());
        }
        Error::Missing {
            record: self.record_name(row),
            field: self.name.clone(),
            status: Status::from_number(status).map_or("unknown", Status::name).to_owned(),
        }
    }

    /// Compares the size of a decoded image with what the index says, where that says anything.
    pub(crate) fn check_size(&self, row: u64, found: Size) -> Result<()> {
        let expected = self.known_size(row)?;
        if expected == found || expected == Size::default() {
            return Ok(());
        }
        Err(self.contradiction(
            row,
            format!("the index says {expected} pixels, the JPEG's header {found}"),
        ))
    }

    /// What the index says of the size of an image; zeros if it does not say.
    fn known_size(&self, row: u64) -> Result<Size> {
        let (Some(height), Some(width)) = (&self.parts.height, &self.parts.width) else {
            return Ok(Size::default());
        };
        Ok(Size {
            height: height.get(row)?.into(),
            width: width.get(row)?.into(),
        })
    }

    fn contradiction(&self, row: u64, problem: String) -> Error {
        Error::Contradiction {
            record: self.record_name(row),
            field: self.name.clone(),
            problem,
        }
    }
}

/// Height and width that the header of an image tells, or zeros.
fn size_told(bytes: &[u8]) -> [u16; 2] {
    if is_pixmap(bytes) {
        let length = |pixels: u32| u16::try_from(pixels).unwrap_or(0);
        return Pixmap::parse(bytes).map_or([0, 0], |pixmap| [length(pixmap.size.height), length(pixmap.size.width)]);
    }
    frame_header(bytes).map_or([0, 0], |header| [header.height, header.width])
}
