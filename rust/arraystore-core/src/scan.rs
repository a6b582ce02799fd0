//! Scanning: the members of folders and zip archives, as the columns of [`Members`].
//!
//! One pass over each directory, in one thread; no file is opened but the archives. What is no member is named in
//! `skipped` with the reason; only an archive that cannot be understood as a whole is an error.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::extent::Encoding;
use crate::folder;
use crate::members::{Columns, Kind, Members, Source};
use crate::progress::Progress;
use crate::source::{OpenFile, Stamp};
use crate::strings::Strings;
use crate::zip::Archive;
use crate::zip::entries::{Entry, Member};
use crate::zip::names::{self, Usable};

/// Members between two reports of progress.
const REPORT_EVERY: u64 = 4096;

/// Lists the files of folders and `.zip` archives: sources in the order given, an archive by position, a folder by path.
///
/// # Errors
///
/// [`Error::Io`] if a path cannot be read; [`Error::Source`] if one is neither a folder nor a sound zip archive;
/// [`Error::InvalidRequest`] for more than 65,535 paths; [`Error::Interrupted`].
pub fn scan(paths: &[PathBuf], progress: &Progress) -> Result<Members> {
    let mut list = List::default();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
        if metadata.is_dir() {
            folder::scan(path, &mut list, progress)?;
        } else {
            scan_archive(path, Stamp::from(&metadata), &mut list, progress)?;
        }
    }
    Ok(list.finish())
}

fn scan_archive(path: &Path, stamp: Stamp, list: &mut List, progress: &Progress) -> Result<()> {
    let archive = Archive::open(path)?;
    let first = list.len();
    let expected = usize::try_from(archive.promised_entries()).unwrap_or(0);
    list.begin(path, Kind::Archive(OpenFile::new(path.to_path_buf()), stamp))?;
    list.reserve(expected, archive.directory_nbytes());
    let mut entries = archive.entries();
    let mut seen = 0;
    while let Some((raw_name, entry)) = entries.next_entry()? {
        seen += 1;
        if seen % REPORT_EVERY == 0 {
            progress.advance(REPORT_EVERY, 0)?;
        }
        let name = names::decode(raw_name);
        match (entry, names::judge(&name)) {
            (Entry::Folder, _) => {}
            (Entry::Unusable(reason), _) => list.skip(format!("{}/{name}", path.display()), reason),
            (_, Usable::No(reason)) => list.skip(format!("{}/{name}", path.display()), reason.to_owned()),
            (Entry::Member(member), Usable::Yes { directory, name }) => list.push_member(&member, &directory, &name)?,
        }
    }
    list.sort_by_offset(first);
    progress.advance(seen % REPORT_EVERY, 0)
}

/// What a file of a folder needs to become a member.
pub(crate) struct FolderFile<'a> {
    pub directory: &'a str,
    pub name: &'a str,
    pub is_hidden: bool,
    pub nbytes: u64,
    pub modified_ns: i64,
}

/// Members while they are being found.
#[derive(Default)]
pub(crate) struct List {
    pub(crate) members: Members,
    directories: Interned,
    suffixes: Interned,
    stems: Strings,
    source: u16,
}

impl List {
    fn len(&self) -> usize {
        self.members.len()
    }

    /// All that follows is of this source.
    pub(crate) fn begin(&mut self, path: &Path, kind: Kind) -> Result<()> {
        self.source = u16::try_from(self.members.sources.len())
            .map_err(|_| Error::InvalidRequest("expected at most 65,536 paths, found more".to_owned()))?;
        let path = path.display().to_string();
        self.members.sources.push(Source { path, kind });
        Ok(())
    }

    pub(crate) fn skip(&mut self, path: String, reason: String) {
        self.members.skipped.push((path, reason));
    }

    pub(crate) fn push_folder(&mut self, path: String) {
        self.members.folders.push(path);
    }

    pub(crate) fn reserve(&mut self, members: usize, names_nbytes: u64) {
        let Columns {
            source,
            directory,
            suffix,
            hidden,
            encoding,
            offset,
            stored_nbytes,
            nbytes,
            crc32,
            modified_ns,
            height,
            width,
            stems: _,
        } = &mut self.members.columns;
        source.reserve(members);
        directory.reserve(members);
        suffix.reserve(members);
        hidden.reserve(members);
        encoding.reserve(members);
        for column in [offset, stored_nbytes, nbytes] {
            column.reserve(members);
        }
        crc32.reserve(members);
        modified_ns.reserve(members);
        height.reserve(members);
        width.reserve(members);
        // A guess: stems are a small part of an entry.
        self.stems
            .reserve(members, usize::try_from(names_nbytes / 8).unwrap_or(0));
    }

    fn push_member(&mut self, member: &Member, directory: &str, name: &str) -> Result<()> {
        let is_hidden = names::is_hidden(directory, name);
        self.push(directory, name, is_hidden)?;
        let columns = &mut self.members.columns;
        columns.encoding.push(member.encoding);
        columns.offset.push(member.offset);
        columns.stored_nbytes.push(member.stored_nbytes);
        columns.nbytes.push(member.nbytes);
        columns.crc32.push(member.crc32);
        columns.modified_ns.push(0);
        columns.height.push(0);
        columns.width.push(0);
        Ok(())
    }

    pub(crate) fn push_file(&mut self, file: &FolderFile<'_>) -> Result<()> {
        self.push(file.directory, file.name, file.is_hidden)?;
        let columns = &mut self.members.columns;
        columns.encoding.push(Encoding::Plain);
        columns.offset.push(0);
        columns.stored_nbytes.push(file.nbytes);
        columns.nbytes.push(file.nbytes);
        columns.crc32.push(0);
        columns.modified_ns.push(file.modified_ns);
        columns.height.push(0);
        columns.width.push(0);
        Ok(())
    }

    pub(crate) fn push(&mut self, directory: &str, name: &str, is_hidden: bool) -> Result<()> {
        let (stem, suffix) = names::split_suffix(name);
        let directory = self.directories.code(directory)?;
        let suffix = self.suffixes.code(suffix)?;
        let columns = &mut self.members.columns;
        columns.source.push(self.source);
        columns.directory.push(directory);
        columns.suffix.push(suffix);
        columns.hidden.push(u8::from(is_hidden));
        self.stems.push(stem);
        Ok(())
    }

    /// Appends members of another list, whose sources are those from `first_source` on.
    pub(crate) fn append(
        &mut self,
        columns: &Columns,
        directories: &[String],
        suffixes: &[String],
        first_source: u16,
    ) -> Result<()> {
        let of_directory = directories.iter().map(|name| self.directories.code(name));
        let of_directory = of_directory.collect::<Result<Vec<u32>>>()?;
        let of_suffix = suffixes.iter().map(|name| self.suffixes.code(name));
        let of_suffix = of_suffix.collect::<Result<Vec<u32>>>()?;
        let own = &mut self.members.columns;
        own.source
            .extend(columns.source.iter().map(|&source| source + first_source));
        own.directory
            .extend(columns.directory.iter().map(|&code| of_directory[code as usize]));
        own.suffix
            .extend(columns.suffix.iter().map(|&code| of_suffix[code as usize]));
        own.hidden.extend_from_slice(&columns.hidden);
        own.encoding.extend_from_slice(&columns.encoding);
        own.offset.extend_from_slice(&columns.offset);
        own.stored_nbytes.extend_from_slice(&columns.stored_nbytes);
        own.nbytes.extend_from_slice(&columns.nbytes);
        own.crc32.extend_from_slice(&columns.crc32);
        own.modified_ns.extend_from_slice(&columns.modified_ns);
        own.height.extend_from_slice(&columns.height);
        own.width.extend_from_slice(&columns.width);
        for stem in columns.stems.iter() {
            self.stems.push(stem);
        }
        Ok(())
    }

    /// Puts the members from `first` on, all of one archive, into the order in which they lie.
    pub(crate) fn sort_by_offset(&mut self, first: usize) {
        let columns = &mut self.members.columns;
        if columns.offset[first..].is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (first..columns.offset.len()).collect();
        order.sort_by_key(|&index| columns.offset[index]);
        let mut stems = Strings::default();
        for &index in &order {
            stems.push(self.stems.get(index).unwrap_or_default());
        }
        self.stems.truncate(first);
        for stem in stems.iter() {
            self.stems.push(stem);
        }
        reorder(&mut columns.directory, first, &order);
        reorder(&mut columns.suffix, first, &order);
        reorder(&mut columns.hidden, first, &order);
        reorder(&mut columns.encoding, first, &order);
        reorder(&mut columns.offset, first, &order);
        reorder(&mut columns.stored_nbytes, first, &order);
        reorder(&mut columns.nbytes, first, &order);
        reorder(&mut columns.crc32, first, &order);
        reorder(&mut columns.height, first, &order);
        reorder(&mut columns.width, first, &order);
    }

    pub(crate) fn finish(mut self) -> Members {
        self.members.directories = self.directories.names;
        self.members.suffixes = self.suffixes.names;
        self.stems.shrink_to_fit();
        self.members.columns.stems = Arc::new(self.stems);
        self.members
    }
}

fn reorder<T: Copy>(column: &mut [T], first: usize, order: &[usize]) {
    let ordered: Vec<T> = order.iter().map(|&index| column[index]).collect();
    column[first..].copy_from_slice(&ordered);
}

/// Few different names, each with a code.
#[derive(Default)]
struct Interned {
    names: Vec<String>,
    codes: HashMap<String, u32>,
    last: u32,
}

impl Interned {
    fn code(&mut self, name: &str) -> Result<u32> {
        // Neighbours mostly share their directory and suffix.
        if self.names.get(self.last as usize).is_some_and(|last| last == name) {
            return Ok(self.last);
        }
        self.last = if let Some(&code) = self.codes.get(name) {
            code
        } else {
            let code = u32::try_from(self.names.len())
                .map_err(|_| Error::InvalidRequest("more than 2^32 different directories".to_owned()))?;
            self.names.push(name.to_owned());
            self.codes.insert(name.to_owned(), code);
            code
        };
        Ok(self.last)
    }
}

#[cfg(test)]
mod tests;
