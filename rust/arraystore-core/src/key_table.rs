//! The keys of a store on disk: row to key, and key to row through a hash index.

use crate::checksum;
use crate::error::{Error, Result};
use crate::keys;
use crate::pieces::{Column, Pieces};
use crate::source::begin_call;
use crate::strings::Strings;

/// The arrays of `key/`, read in place.
pub struct KeyTable {
    /// Number of keys.
    pub len: u64,
    /// The keys, one after another.
    pub data: Pieces,
    /// First byte of each key.
    pub offset: Column<u64>,
    /// Bytes of each key.
    pub nbytes: Column<u32>,
    /// CRC-32C of each key.
    pub crc32c: Column<u32>,
    /// All hashes in ascending order.
    pub hash: Column<u64>,
    /// The row that belongs to each hash.
    pub row: Column<u32>,
}

impl KeyTable {
    /// The key of a row.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`]; [`Error::Format`] if it is not UTF-8; what the files give.
    pub fn get(&self, row: u64) -> Result<&str> {
        let bytes = self.bytes(row)?;
        std::str::from_utf8(bytes).map_err(|error| Error::Format {
            place: format!("key of row {row}"),
            problem: format!("not UTF-8: {error}"),
        })
    }

    /// The keys of some rows.
    ///
    /// # Errors
    ///
    /// As for [`KeyTable::get`].
    pub fn take(&self, rows: &[u64]) -> Result<Strings> {
        begin_call();
        let mut keys = Strings::default();
        for &row in rows {
            keys.push(self.get(row)?);
        }
        Ok(keys)
    }

    /// The row of a key, if a record has it.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if the index names rows that do not exist; what the files give.
    pub fn find(&self, key: &str) -> Result<Option<u64>> {
        let mut found = None;
        keys::find(
            self.len,
            keys::hash(key),
            |position| self.hash.get(position),
            |position| {
                let row = u64::from(self.row.get(position)?);
                let same = self.bytes(row)? == key.as_bytes();
                found = same.then_some(row);
                Ok(same)
            },
        )?;
        Ok(found)
    }

    /// The bytes of a key, compared with their checksum: a wrong key would be found under another's name.
    fn bytes(&self, row: u64) -> Result<&[u8]> {
        let nbytes = self.nbytes.get(row)?;
        let offset = self.offset.get(row)?;
        let bytes = if nbytes == 0 {
            &[]
        } else {
            self.data.lend(offset, nbytes as usize)?
        };
        let (expected, found) = (self.crc32c.get(row)?, checksum::crc32c(bytes));
        if found != expected {
            return Err(Error::Checksum {
                algorithm: "CRC-32C",
                record: row.to_string(),
                field: "key".to_owned(),
                place: format!("offset {offset} of key/data"),
                nbytes: nbytes.into(),
                expected,
                found,
            });
        }
        Ok(bytes)
    }
}
