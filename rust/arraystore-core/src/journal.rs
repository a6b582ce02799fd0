//! The journal of a finished shard: what was found out about its records, so that it need not be read again.
//!
//! One small file, little-endian: magic, fingerprint of the plan, first record, number of records, the columns, the details,
//! and the CRC-32C of all that. It is read with suspicion: a damaged journal counts as none.

use std::path::Path;

use crate::checksum;
use crate::error::{Error, Result};
use crate::shard::write_atomically;
use crate::status::Status;

const MAGIC: &[u8; 8] = b"arrstjn\x01";
/// Bytes of the columns for each record.
const RECORD_NBYTES: usize = 4 + 2 + 2 + 4 + 1;

/// What is to be known of one record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Length in bytes; 0 if there are none.
    pub nbytes: u32,
    /// Height in pixels, or 0.
    pub height: u16,
    /// Width in pixels, or 0.
    pub width: u16,
    /// CRC-32C of the bytes.
    pub crc32c: u32,
    /// Whether they are sound.
    pub status: Status,
}

/// The same of many records, as columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Lengths in bytes.
    pub nbytes: Vec<u32>,
    /// Heights in pixels.
    pub height: Vec<u16>,
    /// Widths in pixels.
    pub width: Vec<u16>,
    /// CRC-32C of the bytes.
    pub crc32c: Vec<u32>,
    /// See [`Status`].
    pub status: Vec<u8>,
    /// Number of a record that is not sound, and why.
    pub details: Vec<(u64, String)>,
}

impl Outcomes {
    /// Appends one record.
    pub fn push(&mut self, record: u64, outcome: &Outcome, detail: Option<String>) {
        self.nbytes.push(outcome.nbytes);
        self.height.push(outcome.height);
        self.width.push(outcome.width);
        self.crc32c.push(outcome.crc32c);
        self.status.push(outcome.status as u8);
        self.details.extend(detail.map(|detail| (record, detail)));
    }

    /// Appends a record without bytes.
    pub fn push_status(&mut self, status: Status) {
        let outcome = Outcome {
            status,
            ..Outcome::default()
        };
        self.push(0, &outcome, None);
    }

    /// Appends a record whose source cannot be read.
    pub fn push_unreadable(&mut self, record: u64, problem: String) {
        self.push_status(Status::Unreadable);
        self.details.push((record, problem));
    }

    /// Appends all of `other`.
    pub fn append(&mut self, other: Self) {
        self.nbytes.extend(other.nbytes);
        self.height.extend(other.height);
        self.width.extend(other.width);
        self.crc32c.extend(other.crc32c);
        self.status.extend(other.status);
        self.details.extend(other.details);
    }
}

/// A journal.
#[derive(Debug, PartialEq, Eq)]
pub struct Journal {
    /// Of the plan that the shard belongs to.
    pub fingerprint: u64,
    /// Number of its first record.
    pub first: u64,
    /// Of its records.
    pub outcomes: Outcomes,
}

/// Writes a journal, lasting.
///
/// # Errors
///
/// [`Error::Io`]; then there is no journal of this name, or the one there was.
pub fn write(path: &Path, journal: &Journal) -> Result<()> {
    let bytes = encode(journal);
    let checksum = checksum::crc32c(&bytes).to_le_bytes();
    write_atomically(path, &[&bytes, &checksum])
}

/// Reads a journal; `None` if there is none, or only a damaged one.
///
/// # Errors
///
/// [`Error::Io`] if the file is there but cannot be read.
pub fn read(path: &Path) -> Result<Option<Journal>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(decode(&bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

fn encode(journal: &Journal) -> Vec<u8> {
    let Outcomes {
        nbytes,
        height,
        width,
        crc32c,
        status,
        details,
    } = &journal.outcomes;
    let mut bytes = MAGIC.to_vec();
    for value in [
        journal.fingerprint,
        journal.first,
        nbytes.len() as u64,
        details.len() as u64,
    ] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend(nbytes.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(height.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(width.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend(crc32c.iter().flat_map(|value| value.to_le_bytes()));
    bytes.extend_from_slice(status);
    for (record, detail) in details {
        bytes.extend_from_slice(&record.to_le_bytes());
        bytes.extend_from_slice(&(detail.len() as u64).to_le_bytes());
        bytes.extend_from_slice(detail.as_bytes());
    }
    bytes
}

fn u64_of(bytes: &mut &[u8]) -> Option<u64> {
    let (value, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*value))
}

fn part<'a>(bytes: &mut &'a [u8], nbytes: usize) -> Option<&'a [u8]> {
    let (part, rest) = bytes.split_at_checked(nbytes)?;
    *bytes = rest;
    Some(part)
}

fn u16s(bytes: &mut &[u8], count: usize) -> Option<Vec<u16>> {
    let (values, _) = part(bytes, 2 * count)?.as_chunks();
    Some(values.iter().map(|&value| u16::from_le_bytes(value)).collect())
}

fn u32s(bytes: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let (values, _) = part(bytes, 4 * count)?.as_chunks();
    Some(values.iter().map(|&value| u32::from_le_bytes(value)).collect())
}

fn decode(bytes: &[u8]) -> Option<Journal> {
    let (content, checksum) = bytes.split_last_chunk()?;
    if checksum::crc32c(content) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let bytes = &mut rest;
    let (fingerprint, first) = (u64_of(bytes)?, u64_of(bytes)?);
    let (records, details) = (usize::try_from(u64_of(bytes)?).ok()?, u64_of(bytes)?);
    if records.checked_mul(RECORD_NBYTES)? > bytes.len() {
        return None;
    }
    let mut outcomes = Outcomes {
        nbytes: u32s(bytes, records)?,
        height: u16s(bytes, records)?,
        width: u16s(bytes, records)?,
        crc32c: u32s(bytes, records)?,
        status: part(bytes, records)?.to_vec(),
        details: Vec::new(),
    };
    for _ in 0..details {
        let (record, nbytes) = (u64_of(bytes)?, usize::try_from(u64_of(bytes)?).ok()?);
        let detail = std::str::from_utf8(part(bytes, nbytes)?).ok()?;
        outcomes.details.push((record, detail.to_owned()));
    }
    bytes.is_empty().then_some(Journal {
        fingerprint,
        first,
        outcomes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> Journal {
        let mut outcomes = Outcomes::default();
        let outcome = Outcome {
            nbytes: 7000,
            height: 256,
            width: 341,
            crc32c: 0x1234_5678,
            status: Status::Sound,
        };
        outcomes.push(40, &outcome, None);
        outcomes.push_unreadable(41, "cannot be read: Ä".to_owned());
        Journal {
            fingerprint: 5,
            first: 40,
            outcomes,
        }
    }

    #[test]
    fn a_journal_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &journal()).unwrap();
        assert_eq!(read(&path).unwrap(), Some(journal()));
    }

    #[test]
    fn every_damage_makes_it_no_journal() {
        let content = encode(&journal());
        let checksum = checksum::crc32c(&content).to_le_bytes();
        let whole = [&content[..], &checksum].concat();
        assert!(decode(&whole).is_some());
        for at in 0..whole.len() {
            assert_eq!(decode(&whole[..at]), None);
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            assert_eq!(decode(&changed), None);
        }
    }

    #[test]
    fn lengths_are_not_believed_even_with_a_valid_checksum() {
        let mut content = encode(&journal());
        content[24..32].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        let checksum = checksum::crc32c(&content).to_le_bytes();
        assert_eq!(decode(&[&content[..], &checksum].concat()), None);
    }
}
