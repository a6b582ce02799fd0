//! A file of seek tables, beside the JPEGs of a field that they belong to.
//!
//! | bytes | |
//! | --- | --- |
//! | 8 | `arrseek` and the format, 1 |
//! | 8 | number of records, n |
//! | 8 n | where the table of each record ends, counted from the end of this list; a table begins where the one before ends |
//! | | the tables: CRC-32C, then the bytes of [`arraystore_jpeg::seek`] |
//!
//! Numbers are little-endian. A table of no bytes is none. The checksum is that of the table and of the four bytes of the
//! checksum of its JPEG: it proves both that the table is what was written and that it is of these bytes. A file that is
//! missing, damaged or outdated, all of it or in part, costs time and nothing else.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::batch;
use crate::checksum::{crc32c, crc32c_append};
use crate::crop::{CropBox, Size};
use crate::error::{Error, Result};
use crate::extent::{Extents, Scratch};
use crate::field::Field;
use crate::jpeg::{Decoder, NOT_FAST, Problem, pixel_nbytes};
use crate::pixel_memory::PixelMemory;
use crate::progress::Progress;
use crate::source::{ByteSource, MappedFile};
use arraystore_jpeg::Frame;

const MAGIC: [u8; 8] = *b"arrseek\x01";
const HEADER_NBYTES: u64 = 16;
const END_NBYTES: u64 = 8;

/// No image has a larger table: a damaged list of ends must not make a reader look through all of the file.
const MOST_TABLE_NBYTES: usize = 1 << 20;

/// Records of a task, and tasks of which the results are in memory at once, for each thread.
const ROWS_A_TASK: u64 = 256;
const TASKS_A_THREAD: u64 = 8;

/// Seek tables of a field, read in place.
pub struct SeekFile {
    file: MappedFile,
    count: u64,
}

impl SeekFile {
    /// The tables in a file; `None` if there are none that can be read.
    #[must_use]
    pub fn open(path: PathBuf) -> Option<Self> {
        let file = MappedFile::new(path);
        let header = file.lend(0, 16).ok()??;
        let (magic, count) = header.split_at(8);
        let count = u64::from_le_bytes(count.try_into().ok()?);
        let begin = count.checked_mul(END_NBYTES)?.checked_add(HEADER_NBYTES)?;
        (magic == MAGIC && begin <= file.nbytes().ok()?).then_some(Self { file, count })
    }

    /// The table of a record whose bytes have this [fingerprint], if it has one.
    #[must_use]
    pub fn get(&self, row: u64, fingerprint: u32) -> Option<&[u8]> {
        let (expected, table) = self.stored(row)?.split_first_chunk()?;
        (u32::from_le_bytes(*expected) == checksum(table, fingerprint)).then_some(table)
    }

    /// What is stored for a record: a checksum and a table, or nothing.
    pub(crate) fn stored(&self, row: u64) -> Option<&[u8]> {
        if row >= self.count {
            return None;
        }
        let (start, end) = if row == 0 {
            (0, self.end(0)?)
        } else {
            (self.end(row - 1)?, self.end(row)?)
        };
        let nbytes = usize::try_from(end.checked_sub(start)?).ok()?;
        if nbytes > MOST_TABLE_NBYTES {
            return None;
        }
        let begin = (HEADER_NBYTES + self.count * END_NBYTES).checked_add(start)?;
        self.file.lend(begin, nbytes).ok()?
    }

    fn end(&self, row: u64) -> Option<u64> {
        let bytes = self.file.lend(HEADER_NBYTES + row * END_NBYTES, 8).ok()??;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// A number that binds a seek table to the bytes that it was made of: the checksum that is kept of them, or else their
/// CRC-32C.
#[must_use]
pub fn fingerprint(kept: Option<u32>, bytes: &[u8]) -> u32 {
    kept.unwrap_or_else(|| crc32c(bytes))
}

fn checksum(table: &[u8], fingerprint: u32) -> u32 {
    crc32c_append(crc32c(table), &fingerprint.to_le_bytes())
}

/// What was found out about the records of a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Images with a table.
    pub tables: u64,
    /// Those that libjpeg-turbo is to decode: rare kinds, and what is damaged.
    pub left: u64,
    /// Bytes of all tables.
    pub nbytes: u64,
}

/// Makes the tables of a field, and writes them to `path`, which must not exist; tables of `before` are taken over.
///
/// With `compare`, each image is decoded by both decoders, and libjpeg-turbo keeps those of which a pixel differs.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Interrupted`]; those of reading a record, but for one that is missing or damaged.
pub fn write(
    field: &Field,
    path: &Path,
    before: Option<&SeekFile>,
    compare: bool,
    threads: usize,
    progress: &Progress,
) -> Result<Indexed> {
    let count = Extents::len(field);
    let mut output = Output::create(path, count)?;
    let at_once = ROWS_A_TASK * TASKS_A_THREAD * threads.max(1) as u64;
    let mut start = 0;
    while start < count {
        let end = (start + at_once).min(count);
        let tasks: Vec<u64> = (start..end)
            .step_by(usize::try_from(ROWS_A_TASK).unwrap_or(1))
            .collect();
        let made = batch::map(tasks.into_iter(), threads, |context, first| {
            let mut making = Making::new(&mut context.decoder, compare);
            for row in first..(first + ROWS_A_TASK).min(end) {
                making.add(field, row, before, &mut context.scratch)?;
            }
            let made = making.finish();
            progress.advance(made.ends.len() as u64, made.tables.len() as u64)?;
            Ok(made)
        })?;
        made.iter().try_for_each(|made| output.append(made))?;
        start = end;
    }
    output.finish()
}

/// Writes the tables of some records, which were made in parts, to `path`, which must not exist.
///
/// # Errors
///
/// [`Error::Io`].
pub(crate) fn write_made<'a>(path: &Path, parts: impl Iterator<Item = &'a Made> + Clone) -> Result<Indexed> {
    let count: usize = parts.clone().map(|made| made.ends.len()).sum();
    let mut output = Output::create(path, count as u64)?;
    for made in parts {
        output.append(made)?;
    }
    output.finish()
}

/// Writes the tables of `order.len()` records to `path`, which must not exist: for each the one that stands at its number in
/// `parts`, counted over all of them, and none for a number that is none. Returns whether that could be done: not if a part is
/// missing or damaged, or if they have another number of records than `total`.
///
/// # Errors
///
/// [`Error::Io`].
pub fn gather(parts: impl Iterator<Item = PathBuf>, total: u64, order: &[u64], path: &Path) -> Result<bool> {
    let mut files = Vec::new();
    let mut first = 0;
    for part in parts {
        let Some(file) = SeekFile::open(part) else {
            return Ok(false);
        };
        files.push((first, file));
        first += files[files.len() - 1].1.count;
    }
    if first != total {
        return Ok(false);
    }
    let mut output = Output::create(path, order.len() as u64)?;
    for &number in order {
        let part = files.partition_point(|(first, _)| *first <= number);
        let found = (number < total).then(|| part.checked_sub(1).and_then(|part| files.get(part)));
        let stored = match found.flatten() {
            Some((first, file)) => {
                let Some(stored) = file.stored(number - first) else {
                    return Ok(false);
                };
                stored
            }
            None => &[],
        };
        output.put(stored)?;
    }
    output.finish()?;
    Ok(true)
}

/// A file of tables while it is written.
struct Output<'a> {
    path: &'a Path,
    file: BufWriter<File>,
    ends: Vec<u64>,
    indexed: Indexed,
}

impl<'a> Output<'a> {
    /// Begins a file that does not exist yet, for as many records.
    fn create(path: &'a Path, count: u64) -> Result<Self> {
        let io = |error| Error::io("write", path)(error);
        let mut ends: Vec<u64> = Vec::new();
        ends.try_reserve_exact(usize::try_from(count).unwrap_or(usize::MAX))
            .map_err(|_| Error::Internal(format!("there is no memory for the places of {count} seek tables")))?;
        let mut file = BufWriter::new(File::create_new(path).map_err(io)?);
        file.seek(SeekFrom::Start(HEADER_NBYTES + count * END_NBYTES))
            .map_err(io)?;
        Ok(Self {
            path,
            file,
            ends,
            indexed: Indexed::default(),
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io("write", self.path))
    }

    /// The next records.
    fn append(&mut self, made: &Made) -> Result<()> {
        let before = self.indexed.nbytes;
        self.ends.extend(made.ends.iter().map(|end| before + end));
        self.write(&made.tables)?;
        self.indexed.nbytes += made.tables.len() as u64;
        self.indexed.tables += made.with_table;
        self.indexed.left += made.left;
        Ok(())
    }

    /// The next record, as it is stored.
    fn put(&mut self, stored: &[u8]) -> Result<()> {
        self.write(stored)?;
        self.indexed.nbytes += stored.len() as u64;
        self.ends.push(self.indexed.nbytes);
        Ok(())
    }

    /// Ends the file, so that it lasts. Before, it is none of tables: what tells that it is one comes last.
    fn finish(mut self) -> Result<Indexed> {
        let io = |error| Error::io("write", self.path)(error);
        self.file.seek(SeekFrom::Start(HEADER_NBYTES)).map_err(io)?;
        for end in &self.ends {
            self.file.write_all(&end.to_le_bytes()).map_err(io)?;
        }
        self.file.rewind().map_err(io)?;
        self.file.write_all(&MAGIC).map_err(io)?;
        self.file
            .write_all(&(self.ends.len() as u64).to_le_bytes())
            .map_err(io)?;
        let file = self.file.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)?;
        Ok(self.indexed)
    }
}

/// The tables of some records, one after another.
#[derive(Debug, Default)]
pub(crate) struct Made {
    tables: Vec<u8>,
    ends: Vec<u64>,
    with_table: u64,
    left: u64,
}

impl Made {
    /// Appends the table of the next record, or its lack.
    fn push(&mut self, found: Option<(&[u8], u32)>) {
        if let Some((table, fingerprint)) = found {
            self.tables.extend(checksum(table, fingerprint).to_le_bytes());
            self.tables.extend_from_slice(table);
            if table == NOT_FAST {
                self.left += 1;
            } else {
                self.with_table += 1;
            }
        }
        self.ends.push(self.tables.len() as u64);
    }
}

/// As many images are indexed together, and fewer if they have so many bytes: they are copied while they wait.
const TOGETHER: usize = 4;
const MOST_WAITING_NBYTES: usize = 16 << 20;

/// Makes tables of records, of some images at a time: the first of them wait for the last.
pub(crate) struct Making<'a> {
    decoder: &'a mut Decoder,
    compare: bool,
    /// Where the table of each record is in `tables`, and the fingerprint of the record; empty while its image waits.
    found: Vec<Option<(Range<usize>, u32)>>,
    tables: Vec<u8>,
    /// The records that wait.
    waiting: Vec<usize>,
    /// Their images, and the memory for their tables.
    jpegs: [Vec<u8>; TOGETHER],
    made: [Vec<u8>; TOGETHER],
}

impl<'a> Making<'a> {
    /// With `compare`, each image is decoded by both decoders.
    pub(crate) fn new(decoder: &'a mut Decoder, compare: bool) -> Self {
        Self {
            decoder,
            compare,
            found: Vec::new(),
            tables: Vec::new(),
            waiting: Vec::new(),
            jpegs: Default::default(),
            made: Default::default(),
        }
    }

    fn add(&mut self, field: &Field, row: u64, before: Option<&SeekFile>, scratch: &mut Scratch) -> Result<()> {
        let kept = field.kept_checksum(row)?;
        let before = before.filter(|_| !self.compare);
        // Where a checksum is kept, a table of before needs no bytes to be known by.
        if let Some((table, kept)) = kept.and_then(|kept| Some((before?.get(row, kept)?, kept))) {
            self.put(table, kept);
            return Ok(());
        }
        let found = field.fetch(row, true, scratch, |jpeg| {
            let fingerprint = fingerprint(kept, jpeg);
            if let Some(table) = before.and_then(|before| before.get(row, fingerprint)) {
                self.put(table, fingerprint);
            } else {
                self.add_jpeg(jpeg, fingerprint);
            }
            Ok(())
        });
        match found {
            // `verify` tells of them.
            Err(Error::Missing { .. } | Error::Checksum { .. } | Error::Source { .. }) => self.add_none(),
            found => found?,
        }
        Ok(())
    }

    /// The next record: an image, and its [fingerprint]. One that memory does not hold twice gets no table.
    pub(crate) fn add_jpeg(&mut self, jpeg: &[u8], fingerprint: u32) {
        let place = &mut self.jpegs[self.waiting.len()];
        place.clear();
        if place.try_reserve(jpeg.len()).is_err() {
            return self.add_none();
        }
        place.extend_from_slice(jpeg);
        self.waiting.push(self.found.len());
        self.found.push(Some((0..0, fingerprint)));
        let nbytes: usize = self.jpegs[..self.waiting.len()].iter().map(Vec::len).sum();
        if self.waiting.len() == TOGETHER || nbytes > MOST_WAITING_NBYTES {
            self.index();
        }
    }

    /// The next record, which has no image.
    pub(crate) fn add_none(&mut self) {
        self.found.push(None);
    }

    /// The table of the next record.
    fn put(&mut self, table: &[u8], fingerprint: u32) {
        let start = self.tables.len();
        self.tables.extend_from_slice(table);
        self.found.push(Some((start..self.tables.len(), fingerprint)));
    }

    /// Makes the tables of the images that wait.
    fn index(&mut self) {
        // Those of before must not be indexed again.
        self.jpegs[self.waiting.len()..].iter_mut().for_each(Vec::clear);
        self.made.iter_mut().for_each(Vec::clear);
        let jpegs = self.jpegs.each_ref().map(|jpeg| &jpeg[..]);
        let made = self.made.each_mut();
        let outcomes = self.decoder.indexer().seek_tables(jpegs, 1, made);
        let made = &self.made;
        for (at, number) in self.waiting.drain(..).enumerate() {
            let is_fast = outcomes[at].is_ok() && (!self.compare || is_equal(self.decoder, jpegs[at], &made[at]));
            let start = self.tables.len();
            self.tables
                .extend_from_slice(if is_fast { &made[at] } else { NOT_FAST });
            if let Some((place, _)) = &mut self.found[number] {
                *place = start..self.tables.len();
            }
        }
    }

    /// The tables of all records.
    pub(crate) fn finish(mut self) -> Made {
        self.index();
        let mut made = Made::default();
        for found in self.found {
            made.push(found.map(|(place, fingerprint)| (&self.tables[place], fingerprint)));
        }
        made
    }
}

/// Whether both decoders give the same pixels.
fn is_equal(decoder: &mut Decoder, jpeg: &[u8], seek: &[u8]) -> bool {
    let take = |size: Size| -> Result<PixelMemory, Problem> { PixelMemory::take(pixel_nbytes(size, 3)) };
    let Ok((size, expected)) = decoder.turbo().decode(jpeg, take) else {
        return false;
    };
    let (Ok(frame), Ok(mut found)) = (Frame::parse(jpeg), take(size)) else {
        return false;
    };
    let area = crate::jpeg::area_of(CropBox::whole(size));
    let outcome = decoder.fast().decode(&frame, Some(seek), area, found.as_mut());
    outcome.is_ok() && found.as_ref() == expected.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(ends: [u64; 2], rest: &[u8]) -> Option<SeekFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.seek");
        let numbers = [2, ends[0], ends[1]].map(u64::to_le_bytes).concat();
        std::fs::write(&path, [&MAGIC[..], &numbers, rest].concat()).unwrap();
        SeekFile::open(path)
    }

    #[test]
    fn a_table_is_that_of_its_bytes_only() {
        let table = [1, 2, 3];
        let bytes = [&checksum(&table, 7).to_le_bytes()[..], &table].concat();
        let found = tables([0, 7], &bytes).unwrap();
        assert_eq!(found.get(1, 7), Some(&table[..]));
        assert_eq!((found.get(1, 8), found.get(0, 7), found.get(2, 7)), (None, None, None));
    }

    #[test]
    fn a_file_that_was_not_ended_is_none_of_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.seek");
        let mut output = Output::create(&path, 2).unwrap();
        output.put(&[5; 100]).unwrap();
        output.put(&[]).unwrap();
        output.file.flush().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > 100 && SeekFile::open(path.clone()).is_none());
        output.finish().unwrap();
        let tables = SeekFile::open(path).unwrap();
        assert_eq!(
            (tables.count, tables.stored(0), tables.stored(1)),
            (2, Some(&[5; 100][..]), Some(&[][..]))
        );
    }

    #[test]
    fn ends_that_lead_out_of_the_file_are_none() {
        for ends in [[u64::MAX - 9, u64::MAX], [9, 3], [0, u64::MAX], [0, 1 << 21]] {
            let found = tables(ends, &[0; 64]).unwrap();
            assert_eq!((found.get(0, 0), found.get(1, 0)), (None, None), "{ends:?}");
        }
    }
}
