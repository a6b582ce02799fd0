//! The directory of a zip archive, streamed: where it is (this file), its entries ([`entries`]), their names ([`names`]).
//!
//! Written after APPNOTE.TXT 6.3.10, with ZIP64: archives of these packages have millions of members and tens of
//! gigabytes. Nothing in the file is believed: each length is checked against the file before it is used. The directory is
//! read through a window of fixed size, so that half a gigabyte of it costs no memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::{Error, Result};

pub mod entries;
pub mod names;

const END_NBYTES: usize = 22;
const LOCATOR_NBYTES: usize = 20;
const END64_NBYTES: usize = 56;
const MAX_COMMENT_NBYTES: usize = 0xFFFF;
/// Fixed part of an entry of the directory.
const ENTRY_NBYTES: usize = 46;

/// An open archive, and where its directory lies.
#[derive(Debug)]
pub struct Archive {
    file: File,
    name: String,
    directory: u64,
    directory_nbytes: u64,
    entries: u64,
    is_zip64: bool,
    /// Bytes in front of the archive proper, which its offsets don't count (a self-extracting archive).
    prefix_nbytes: u64,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// What the records at the end of an archive say.
struct End {
    /// Where the first of these records begins: the end of the directory.
    at: u64,
    entries: u64,
    directory: u64,
    directory_nbytes: u64,
    is_zip64: bool,
    disks: u32,
}

impl Archive {
    /// Opens an archive and finds its directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be opened or read; [`Error::Source`] if it is no zip archive, is cut short, is one part
    /// of several, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let metadata = file.metadata().map_err(Error::io("read", path))?;
        let name = path.display().to_string();
        let broken = |problem: String| Error::Source {
            place: name.clone(),
            problem,
        };
        let nbytes = metadata.len();
        let read = |at: u64, nbytes: usize| {
            let mut bytes = vec![0; nbytes];
            file.read_exact_at(&mut bytes, at).map_err(Error::io("read", path))?;
            Ok(bytes)
        };
        let end = find_end(nbytes, read, &broken)?;
        if end.disks != 0 {
            return Err(broken(format!(
                "expected a zip archive in one file, found disk {} of several: join the parts first",
                end.disks
            )));
        }
        let prefix_nbytes = end
            .at
            .checked_sub(end.directory_nbytes)
            .and_then(|start| start.checked_sub(end.directory))
            .ok_or_else(|| {
                broken(format!(
                    "its directory should be {} bytes at offset {}, but ends at {}",
                    end.directory_nbytes, end.directory, end.at
                ))
            })?;
        Ok(Self {
            directory: end.directory + prefix_nbytes,
            directory_nbytes: end.directory_nbytes,
            entries: end.entries,
            is_zip64: end.is_zip64,
            prefix_nbytes,
            file,
            name,
        })
    }

    /// Number of entries that the archive promises, but no more than its directory has room for.
    #[must_use]
    pub fn promised_entries(&self) -> u64 {
        self.entries.min(self.directory_nbytes / ENTRY_NBYTES as u64)
    }

    /// Bytes of the directory.
    #[must_use]
    pub fn directory_nbytes(&self) -> u64 {
        self.directory_nbytes
    }

    fn broken(&self, problem: String) -> Error {
        Error::Source {
            place: self.name.clone(),
            problem,
        }
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file
            .read_exact_at(out, offset)
            .map_err(Error::io("read", Path::new(&self.name)))
    }
}

/// Finds the end record by searching backwards, and its ZIP64 counterpart if there is one.
fn find_end(
    nbytes: u64,
    read: impl Fn(u64, usize) -> Result<Vec<u8>>,
    broken: &impl Fn(String) -> Error,
) -> Result<End> {
    let longest = (END_NBYTES + MAX_COMMENT_NBYTES + LOCATOR_NBYTES) as u64;
    let tail_nbytes = usize::try_from(nbytes.min(longest)).unwrap_or(0);
    let tail_at = nbytes - tail_nbytes as u64;
    let tail = read(tail_at, tail_nbytes)?;
    let at = last_end(&tail).ok_or_else(|| {
        broken(format!(
            "no end of a zip directory in the last {tail_nbytes} of {nbytes} bytes: the archive is cut short, \
             or is no zip archive"
        ))
    })?;
    let record = &tail[at..];
    let mut end = End {
        at: tail_at + at as u64,
        entries: u64::from(u16_at(record, 10)),
        directory_nbytes: u64::from(u32_at(record, 12)),
        directory: u64::from(u32_at(record, 16)),
        is_zip64: false,
        disks: u32::from(u16_at(record, 4)),
    };
    let Some(locator) = at.checked_sub(LOCATOR_NBYTES).map(|from| &tail[from..at]) else {
        return Ok(end);
    };
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(end);
    }
    let locator_at = end.at - LOCATOR_NBYTES as u64;
    // The place it gives is wrong if something was put in front of the archive: then it is right before the locator.
    for place in [Some(u64_at(locator, 8)), locator_at.checked_sub(END64_NBYTES as u64)] {
        let Some(place) = place.filter(|&at| at.checked_add(END64_NBYTES as u64).is_some_and(|end| end <= locator_at))
        else {
            continue;
        };
        let record = read(place, END64_NBYTES)?;
        if record.starts_with(b"PK\x06\x06") {
            end.at = place;
            end.is_zip64 = true;
            end.disks = u32_at(&record, 16);
            end.entries = u64_at(&record, 32);
            end.directory_nbytes = u64_at(&record, 40);
            end.directory = u64_at(&record, 48);
            return Ok(end);
        }
    }
    Err(broken(format!(
        "expected a ZIP64 end record at offset {}, found none",
        u64_at(locator, 8)
    )))
}

/// The last end record whose comment ends where the file ends; else the last whose comment fits.
fn last_end(tail: &[u8]) -> Option<usize> {
    let mut fitting = None;
    for at in memchr::memmem::rfind_iter(tail, b"PK\x05\x06") {
        if at + END_NBYTES > tail.len() {
            continue;
        }
        match at + END_NBYTES + usize::from(u16_at(tail, at + 20)) {
            end if end == tail.len() => return Some(at),
            end if end < tail.len() && fitting.is_none() => fitting = Some(at),
            _ => {}
        }
    }
    fitting
}
