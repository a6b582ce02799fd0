//! A ragged field of a store: many byte strings in one array, found by offset and length.
//!
//! The one reading path: [`Field::fetch`] turns a row into checked bytes; everything that decodes calls it.

use std::sync::Arc;

use crate::batch::{self, Context};
use crate::crop::Size;
use crate::error::{Error, Result};
use crate::extent::{Encoding, Extent, Extents, SourceRef};
use crate::key_table::KeyTable;
use crate::pieces::{Column, Pieces};
use crate::source::begin_call;
use crate::status::Status;

/// Where a field lies, and what is known of each record.
pub struct FieldParts {
    /// The byte strings, one after another.
    pub data: Pieces,
    /// First byte of each record.
    pub offset: Column<u64>,
    /// Length of each record; 0 = there is none.
    pub nbytes: Column<u32>,
    /// CRC-32C of each record.
    pub crc32c: Option<Column<u32>>,
    /// Height of each image in pixels.
    pub height: Option<Column<u16>>,
    /// Width of each image in pixels.
    pub width: Option<Column<u16>>,
    /// Status of each record; see [`crate::status::Status`].
    pub status: Option<Column<u8>>,
    /// The keys, to name records in messages.
    pub keys: Option<Arc<KeyTable>>,
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

impl Extents for Field {
    fn len(&self) -> u64 {
        self.len
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        let nbytes = u64::from(self.parts.nbytes.get(index)?);
        if nbytes == 0 {
            return Err(self.missing(index));
        }
        let (file, offset) = self.parts.data.locate(self.parts.offset.get(index)?, nbytes)?;
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
    /// [`Error::Format`], [`Error::FileTooShort`] or [`Error::Io`] if they cannot be reached.
    pub fn fetch<T>(
        &self,
        row: u64,
        verify: bool,
        scratch: &mut Vec<u8>,
        use_bytes: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<T> {
        let extent = self.extent(row)?;
        let bytes = extent.fetch(scratch)?;
        if verify && let Some(column) = &self.parts.crc32c {
            let expected = column.get(row)?;
            let found = crc32c::crc32c(bytes);
            if found != expected {
                return Err(Error::Checksum {
                    record: self.record_name(row),
                    field: self.name.clone(),
                    place: extent.place(),
                    nbytes: bytes.len() as u64,
                    expected,
                    found,
                });
            }
        }
        use_bytes(bytes)
    }

    /// Brings the bytes of some rows into memory and compares them with their checksums, so that a reader that must not
    /// wait for the disk can take them at once.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`].
    pub fn prepare(&self, rows: &[u64], verify: bool) -> Result<()> {
        const PAGE_NBYTES: usize = 4096;
        self.for_each_bytes(rows, verify, |bytes| {
            let bytes = bytes.unwrap_or_default();
            // A checksum has looked at every byte; without one, a look at each page is enough.
            if !verify {
                std::hint::black_box(bytes.iter().step_by(PAGE_NBYTES).fold(0, |sum: u8, byte| sum ^ byte));
            }
            Ok(())
        })
    }

    /// Passes the bytes of each row to `use_bytes`, in order, in the calling thread.
    ///
    /// A record without bytes is passed as `None`, except in a field with a status, where it is an error.
    ///
    /// # Errors
    ///
    /// As for [`Field::fetch`]; whatever `use_bytes` gives.
    pub fn for_each_bytes<E: From<Error>>(
        &self,
        rows: &[u64],
        verify: bool,
        mut use_bytes: impl FnMut(Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        begin_call();
        let mut scratch = Vec::new();
        for &row in rows {
            if self.parts.status.is_none() && self.parts.nbytes.get(row)? == 0 {
                use_bytes(None)?;
                continue;
            }
            let mut outcome = Ok(());
            self.fetch(row, verify, &mut scratch, |bytes| {
                outcome = use_bytes(Some(bytes));
                Ok(())
            })?;
            outcome?;
        }
        Ok(())
    }

    /// Height and width of each row's image, one after the other; zeros where there is no image or no known size.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the field is not one of images; [`Error::RowOutOfRange`]; what the files give.
    pub fn sizes(&self, rows: &[u64]) -> Result<Vec<u16>> {
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
        Ok(sizes)
    }

    /// Compares every record of a range with its checksum, and returns what is wrong.
    ///
    /// # Errors
    ///
    /// Only [`Error::Internal`]; what is wrong with a record is in the list.
    pub fn check(&self, rows: std::ops::Range<u64>, threads: usize) -> Result<Vec<(u64, Error)>> {
        const ROWS_A_TASK: usize = 512;
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
            Ok(_) => self.fetch(row, true, &mut context.bytes, |_| Ok(())).err(),
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
        let (Some(height), Some(width)) = (&self.parts.height, &self.parts.width) else {
            return Ok(());
        };
        let expected = Size {
            height: height.get(row)?.into(),
            width: width.get(row)?.into(),
        };
        if expected == found || expected == (Size { height: 0, width: 0 }) {
            return Ok(());
        }
        Err(self.contradiction(
            row,
            format!("the index says {expected} pixels, the JPEG's header {found}"),
        ))
    }

    fn contradiction(&self, row: u64, problem: String) -> Error {
        Error::Contradiction {
            record: self.record_name(row),
            field: self.name.clone(),
            problem,
        }
    }
}
