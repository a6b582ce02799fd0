//! A field of arrays: items of one type and shape, and which of them belongs to each record.
//!
//! Items that are stored as they are lie one after another and are copied from the map. Compressed ones are found by the
//! index at the end of their shard, of which nothing is believed.

mod compressed;

use std::ops::Range;
use std::sync::Arc;

use crate::batch;
use crate::checksum;
use crate::crop::Size;
use crate::error::{Error, Result};
use crate::extent::{Encoding, Extent, Scratch, SourceRef};
use crate::field::ReadOptions;
use crate::key_table::KeyTable;
use crate::pieces::{Column, Pieces};
use crate::source::begin_call;
use crate::status::Status;

pub use compressed::CompressedShards;

/// `row` of a record that has no item.
pub const NO_ITEM: u32 = u32::MAX;

/// Items that a thread takes at a time.
const ITEMS_A_TASK: usize = 8;

/// Where the items are.
pub enum Items {
    /// One after another, in C order.
    Plain(Pieces),
    /// Each compressed by Zstandard.
    Zstd(CompressedShards),
    /// Each compressed in a way that this crate leaves to the caller.
    Foreign(CompressedShards),
}

/// What a field of arrays consists of.
pub struct ArrayParts {
    /// The items.
    pub items: Items,
    /// Number of items.
    pub count: u64,
    /// Bytes of an item that is not compressed.
    pub item_nbytes: usize,
    /// The item of each record, or [`NO_ITEM`].
    pub row: Column<u32>,
    /// CRC-32C of each item that is not compressed; 0 of one without samples.
    pub crc32c: Column<u32>,
    /// Status of each item.
    pub status: Column<u8>,
    /// The keys, to name records in messages.
    pub keys: Option<Arc<KeyTable>>,
}

/// One field of arrays.
pub struct ArrayField {
    name: String,
    len: u64,
    parts: ArrayParts,
}

impl ArrayField {
    /// A field of `len` records. Nothing is opened.
    #[must_use]
    pub fn new(name: String, len: u64, parts: ArrayParts) -> Self {
        Self { name, len, parts }
    }

    /// The parts that it was made of.
    #[must_use]
    pub fn parts(&self) -> &ArrayParts {
        &self.parts
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to call a record in a message.
    #[must_use]
    pub fn record_name(&self, row: u64) -> String {
        let key = self.parts.keys.as_ref().and_then(|keys| keys.get(row).ok());
        key.map_or_else(|| row.to_string(), |key| format!("{row} ({key})"))
    }

    /// The item of a record that can be read.
    fn item(&self, row: u64) -> Result<u64> {
        let missing = |status: &str| Error::Missing {
            record: self.record_name(row),
            field: self.name.clone(),
            status: status.to_owned(),
        };
        let item = self.parts.row.get(row)?;
        if item == NO_ITEM {
            return Err(missing(Status::Missing.name()));
        }
        let item = u64::from(item);
        if item >= self.parts.count {
            return Err(Error::Contradiction {
                record: self.record_name(row),
                field: self.name.clone(),
                problem: format!("its item is {item}, but there are {}", self.parts.count),
            });
        }
        let status = self.parts.status.get(item)?;
        if holds_samples(status) {
            return Ok(item);
        }
        Err(missing(Status::from_number(status).map_or("unknown", Status::name)))
    }

    /// Copies or decompresses the items of some records into `out`, one after another.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if a record has no item that can be read; [`Error::Checksum`] or [`Error::DamagedItem`] if it is not
    /// what was written; [`Error::InvalidRequest`] if `out` has another length, or items are compressed in another way than
    /// by Zstandard; [`Error::RowOutOfRange`] and what the files give. That of the first record that fails; `out` then holds
    /// some of the items.
    pub fn gather(&self, rows: &[u64], out: &mut [u8], options: ReadOptions) -> Result<()> {
        let nbytes = self.parts.item_nbytes;
        if nbytes == 0 || nbytes.checked_mul(rows.len()) != Some(out.len()) {
            return Err(Error::InvalidRequest(format!(
                "out: expected {} items of {nbytes} bytes, found {} bytes",
                rows.len(),
                out.len()
            )));
        }
        begin_call();
        let tasks: Vec<_> = rows
            .chunks(ITEMS_A_TASK)
            .zip(out.chunks_mut(ITEMS_A_TASK * nbytes))
            .collect();
        batch::map(tasks.into_iter(), options.threads, |context, (rows, out)| {
            for (&row, out) in rows.iter().zip(out.chunks_exact_mut(nbytes)) {
                let item = self.item(row)?;
                self.read(item, out, options.verify, &mut context.scratch)
                    .map_err(|problem| self.of_record(row, problem))?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// The bytes of a record's item, in the map or decompressed into `room`.
    ///
    /// # Errors
    ///
    /// As for [`ArrayField::gather`].
    pub fn lend_item<'a>(
        &'a self,
        row: u64,
        verify: bool,
        room: &'a mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Result<&'a [u8]> {
        let item = self.item(row)?;
        let lent = self.bytes(item, room, scratch).and_then(|bytes| {
            if verify {
                self.compare(item, checksum::crc32c(bytes))?;
            }
            Ok(bytes)
        });
        lent.map_err(|problem| self.of_record(row, problem))
    }

    /// The compressed bytes of some records, for a caller who decompresses them.
    ///
    /// # Errors
    ///
    /// As for [`ArrayField::gather`].
    pub fn stored(&self, rows: &[u64]) -> Result<Vec<&[u8]>> {
        begin_call();
        rows.iter()
            .map(|&row| {
                let item = self.item(row)?;
                self.shards()?
                    .lend(item)
                    .map_err(|problem| self.of_record(row, problem))
            })
            .collect()
    }

    /// The compressed bytes of an item.
    ///
    /// # Errors
    ///
    /// As for [`ArrayField::gather`].
    pub fn stored_item(&self, item: u64) -> Result<&[u8]> {
        begin_call();
        self.shards()?
            .lend(item)
            .map_err(|problem| self.error(format!("of item {item}"), problem))
    }

    fn shards(&self) -> Result<&CompressedShards> {
        match &self.parts.items {
            Items::Zstd(shards) | Items::Foreign(shards) => Ok(shards),
            Items::Plain(_) => Err(Error::InvalidRequest(format!("{} is not compressed", self.name))),
        }
    }

    /// Where an item lies; `row` is a record that has it.
    ///
    /// # Errors
    ///
    /// As for [`ArrayField::gather`].
    pub fn extent(&self, item: u64, row: u64) -> Result<Extent<'_>> {
        let nbytes = self.parts.item_nbytes as u64;
        let (source, offset, stored_nbytes, encoding) = match &self.parts.items {
            Items::Plain(pieces) => {
                let (source, offset) = pieces.locate(item.saturating_mul(nbytes), nbytes)?;
                (SourceRef::Shared(source), offset, nbytes, Encoding::Plain)
            }
            Items::Zstd(shards) | Items::Foreign(shards) => {
                let (file, offset, stored) = shards.locate(item).map_err(|problem| self.of_record(row, problem))?;
                (SourceRef::Shared(file), offset, stored, Encoding::Compressed)
            }
        };
        Ok(Extent {
            source,
            offset,
            stored_nbytes,
            nbytes,
            encoding,
            size: Size::default(),
        })
    }

    /// Copies or decompresses an item into `out`, which has its length, and compares it with what is known of it; `row` is a
    /// record that has it.
    ///
    /// # Errors
    ///
    /// As for [`ArrayField::gather`].
    pub fn copy(&self, item: u64, row: u64, out: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        self.read(item, out, false, scratch)
            .and_then(|()| self.check_item(item, out))
            .map_err(|problem| self.of_record(row, problem))
    }

    /// Compares items that a caller has decompressed, one after another in `items`, with their checksums.
    ///
    /// # Errors
    ///
    /// [`Error::Checksum`] for the first that differs.
    pub fn verify(&self, rows: &[u64], items: &[u8]) -> Result<()> {
        begin_call();
        for (&row, bytes) in rows.iter().zip(items.chunks_exact(self.parts.item_nbytes.max(1))) {
            let item = self.item(row)?;
            self.compare(item, checksum::crc32c(bytes))
                .map_err(|problem| self.of_record(row, problem))?;
        }
        Ok(())
    }

    /// Compares every item of a range with what is known of it, and returns what is wrong.
    ///
    /// # Errors
    ///
    /// Only [`Error::Internal`]; what is wrong with an item is in the list.
    pub fn check(&self, items: Range<u64>, threads: usize) -> Result<Vec<(u64, Error)>> {
        begin_call();
        let tasks: Vec<u64> = items.clone().step_by(ITEMS_A_TASK).collect();
        let found = batch::map(tasks.into_iter(), threads, |context, start| {
            let mut room = Vec::new();
            let end = (start + ITEMS_A_TASK as u64).min(items.end);
            Ok((start..end)
                .filter_map(|item| {
                    let outcome = self
                        .bytes(item, &mut room, &mut context.scratch)
                        .and_then(|bytes| self.check_item(item, bytes));
                    let problem = outcome.err()?;
                    Some((item, self.error(format!("of item {item}"), problem)))
                })
                .collect::<Vec<_>>())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Compares the bytes of an item with what is known of it.
    ///
    /// # Errors
    ///
    /// What differs.
    pub fn check_bytes(&self, item: u64, bytes: &[u8]) -> Result<()> {
        self.check_item(item, bytes)
            .map_err(|problem| self.error(format!("of item {item}"), problem))
    }

    fn check_item(&self, item: u64, bytes: &[u8]) -> Result<(), Problem> {
        if holds_samples(self.parts.status.get(item)?) {
            return self.compare(item, checksum::crc32c(bytes));
        }
        if bytes.iter().any(|&byte| byte != 0) {
            return Err(Problem::Damaged(
                "it has a status, so that it should be zeros".to_owned(),
            ));
        }
        Ok(())
    }

    /// Copies or decompresses an item into `out`, and compares it with its checksum if that is asked for.
    fn read(&self, item: u64, out: &mut [u8], verify: bool, scratch: &mut Scratch) -> Result<(), Problem> {
        match &self.parts.items {
            Items::Plain(pieces) => {
                let bytes = self.lend(pieces, item)?;
                if verify {
                    return self.compare(item, checksum::copy_crc32c(bytes, out));
                }
                checksum::copy(bytes, out);
            }
            Items::Zstd(shards) => {
                compressed::unzstd(shards.lend(item)?, out, scratch)?;
                if verify {
                    return self.compare(item, checksum::crc32c(out));
                }
            }
            Items::Foreign(_) => {
                return Err(Problem::Error(Error::InvalidRequest(format!(
                    "{} is compressed in a way that is not read here",
                    self.name
                ))));
            }
        }
        Ok(())
    }

    /// The bytes of an item, in the map or decompressed into `room`.
    fn bytes<'a>(&'a self, item: u64, room: &'a mut Vec<u8>, scratch: &mut Scratch) -> Result<&'a [u8], Problem> {
        if let Items::Plain(pieces) = &self.parts.items {
            return Ok(self.lend(pieces, item)?);
        }
        room.resize(self.parts.item_nbytes, 0);
        self.read(item, room, false, scratch)?;
        Ok(room)
    }

    /// The bytes of an item that is not compressed.
    fn lend<'a>(&self, pieces: &'a Pieces, item: u64) -> Result<&'a [u8]> {
        let nbytes = self.parts.item_nbytes;
        pieces.lend(item.saturating_mul(nbytes as u64), nbytes)
    }

    fn compare(&self, item: u64, found: u32) -> Result<(), Problem> {
        let expected = self.parts.crc32c.get(item)?;
        if expected == found {
            return Ok(());
        }
        Err(Problem::Differs { expected, found, item })
    }

    fn of_record(&self, row: u64, problem: Problem) -> Error {
        self.error(self.record_name(row), problem)
    }

    fn error(&self, record: String, problem: Problem) -> Error {
        let field = self.name.clone();
        match problem {
            Problem::Error(error) => error,
            Problem::Damaged(problem) => Error::DamagedItem { record, field, problem },
            Problem::Differs { expected, found, item } => Error::Checksum {
                algorithm: "CRC-32C",
                record,
                place: format!("item {item} of {field}/data"),
                field,
                nbytes: self.parts.item_nbytes as u64,
                expected,
                found,
            },
        }
    }
}

/// What is wrong with an item, before it is known what to call it.
#[derive(Debug)]
enum Problem {
    Error(Error),
    Damaged(String),
    Differs { expected: u32, found: u32, item: u64 },
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Whether the bytes of an item with this status are samples, and not zeros in place of them.
fn holds_samples(status: u8) -> bool {
    [Status::Sound as u8, Status::SourceCorrupt as u8].contains(&status)
}

#[cfg(test)]
mod tests;
