//! The entries of a zip directory, one after another, each judged: member, folder, or not usable and why.

use super::{Archive, ENTRY_NBYTES, u16_at, u32_at, u64_at};
use crate::error::Result;
use crate::extent::Encoding;

/// Bytes of the directory that are read at once; more than the longest entry (46 + 3 * 65,535 bytes).
const WINDOW_NBYTES: usize = 1 << 20;
/// No deflated stream grows by more than this factor: zlib's limit is 1,032.
const MAX_INFLATION: u64 = 1100;
const LOCAL_HEADER_NBYTES: u64 = 30;

/// A member that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// How its bytes are wrapped.
    pub encoding: Encoding,
    /// Offset of its local header in the file.
    pub offset: u64,
    /// Bytes in the archive.
    pub stored_nbytes: u64,
    /// Bytes once inflated.
    pub nbytes: u64,
    /// CRC-32 of these bytes.
    pub crc32: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file that can be read.
    Member(Member),
    /// A folder.
    Folder,
    /// A file that cannot be read, and why.
    Unusable(String),
}

/// Reads the entries of an [`Archive`] in the order of its directory.
#[derive(Debug)]
pub struct Entries<'a> {
    archive: &'a Archive,
    window: Vec<u8>,
    /// Bytes of the window that were consumed.
    at: usize,
    /// Bytes of the directory that are in no window yet.
    unread: u64,
    found: u64,
}

impl Archive {
    /// Its entries, from the first.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries {
            archive: self,
            window: Vec::new(),
            at: 0,
            unread: self.directory_nbytes,
            found: 0,
        }
    }
}

impl Entries<'_> {
    /// The raw name of the next entry, and what it is; `None` behind the last.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if the archive cannot be read; [`Error::Source`](crate::Error::Source) if the
    /// directory is damaged or has another number of entries than promised.
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], Entry)>> {
        if self.left() == 0 {
            self.check_count()?;
            return Ok(None);
        }
        self.fill(ENTRY_NBYTES)?;
        let header = &self.window[self.at..];
        if !header.starts_with(b"PK\x01\x02") {
            return Err(self.broken("found no entry"));
        }
        let name_nbytes = usize::from(u16_at(header, 28));
        let extra_nbytes = usize::from(u16_at(header, 30));
        let comment_nbytes = usize::from(u16_at(header, 32));
        let nbytes = ENTRY_NBYTES + name_nbytes + extra_nbytes + comment_nbytes;
        self.fill(nbytes)?;
        let start = self.at;
        self.at += nbytes;
        self.found += 1;
        let (header, rest) = self.window[start..start + nbytes].split_at(ENTRY_NBYTES);
        let (name, rest) = rest.split_at(name_nbytes);
        let entry = self.judge(header, name, &rest[..extra_nbytes]);
        Ok(Some((name, entry)))
    }

    fn left(&self) -> u64 {
        self.unread + (self.window.len() - self.at) as u64
    }

    fn broken(&self, problem: &str) -> crate::Error {
        let place = self.archive.directory + self.archive.directory_nbytes - self.left();
        self.archive.broken(format!(
            "its directory is damaged: {problem} at offset {place}, where entry {} of {} should be",
            self.found + 1,
            self.archive.entries
        ))
    }

    /// Makes the next `nbytes` of the directory available in the window.
    fn fill(&mut self, nbytes: usize) -> Result<()> {
        if self.window.len() - self.at >= nbytes {
            return Ok(());
        }
        if self.left() < nbytes as u64 {
            let problem = format!("expected {nbytes} bytes, found {}", self.left());
            return Err(self.broken(&problem));
        }
        self.window.drain(..self.at);
        self.at = 0;
        let kept = self.window.len();
        let more = self.unread.min((WINDOW_NBYTES - kept) as u64);
        let archive = self.archive;
        let place = archive.directory + archive.directory_nbytes - self.unread;
        self.window.resize(kept + usize::try_from(more).unwrap_or(0), 0);
        archive.read_at(place, &mut self.window[kept..])?;
        self.unread -= more;
        Ok(())
    }

    fn check_count(&self) -> Result<()> {
        let promised = self.archive.entries;
        // Without ZIP64 there are 16 bits for the number; some writers let it run over.
        let agrees = promised == self.found || (!self.archive.is_zip64 && promised == self.found & 0xFFFF);
        if agrees {
            return Ok(());
        }
        Err(self.archive.broken(format!(
            "expected {promised} entries in its directory, found {}",
            self.found
        )))
    }

    fn judge(&self, header: &[u8], name: &[u8], extra: &[u8]) -> Entry {
        if matches!(name.last(), Some(b'/' | b'\\')) {
            return Entry::Folder;
        }
        let flags = u16_at(header, 8);
        let method = u16_at(header, 10);
        let made_on_unix = header[5] == 3;
        let file_kind = u32_at(header, 38) >> 28;
        let unusable = |why: &str| Entry::Unusable(why.to_owned());
        if flags & 1 != 0 || flags & (1 << 13) != 0 {
            return unusable("encrypted");
        }
        if made_on_unix && file_kind == 0xA {
            return unusable("a symbolic link");
        }
        let encoding = match method {
            0 => Encoding::ZipStored,
            8 => Encoding::ZipDeflated,
            _ => return Entry::Unusable(format!("compression method {method} is not supported")),
        };
        let Some((nbytes, stored_nbytes, offset)) = lengths(header, extra) else {
            return unusable("its ZIP64 lengths are missing");
        };
        let member = Member {
            encoding,
            offset: offset.saturating_add(self.archive.prefix_nbytes),
            stored_nbytes,
            nbytes,
            crc32: u32_at(header, 16),
        };
        self.check(&member).map_or(Entry::Member(member), Entry::Unusable)
    }

    /// What is impossible about a member.
    fn check(&self, member: &Member) -> Option<String> {
        let least = member.stored_nbytes.checked_add(LOCAL_HEADER_NBYTES);
        let end = least.and_then(|nbytes| member.offset.checked_add(nbytes));
        if end.is_none_or(|end| end > self.archive.directory) {
            return Some(format!(
                "{} bytes at offset {} would lie outside the archive",
                member.stored_nbytes, member.offset
            ));
        }
        let possible = match member.encoding {
            Encoding::ZipDeflated => member.nbytes <= member.stored_nbytes.saturating_mul(MAX_INFLATION),
            _ => member.nbytes == member.stored_nbytes,
        };
        (!possible).then(|| {
            format!(
                "{} bytes in the archive cannot become {}",
                member.stored_nbytes, member.nbytes
            )
        })
    }
}

/// Length, length in the archive and offset, with what stands in the ZIP64 extra field.
fn lengths(header: &[u8], extra: &[u8]) -> Option<(u64, u64, u64)> {
    let mut values = [u32_at(header, 24), u32_at(header, 20), u32_at(header, 42)].map(u64::from);
    if values.iter().any(|&value| value == u64::from(u32::MAX)) {
        let mut wide = zip64_field(extra)?;
        for value in &mut values {
            if *value == u64::from(u32::MAX) {
                let (first, rest) = wide.split_at_checked(8)?;
                *value = u64_at(first, 0);
                wide = rest;
            }
        }
    }
    let [nbytes, stored_nbytes, offset] = values;
    Some((nbytes, stored_nbytes, offset))
}

/// The content of the extra field with id 1.
fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (head, rest) = extra.split_at_checked(4)?;
        let (content, rest) = rest.split_at_checked(usize::from(u16_at(head, 2)))?;
        if u16_at(head, 0) == 1 {
            return Some(content);
        }
        extra = rest;
    }
}
