//! Tables of extents made of others: rows of a stored field, items of a field of arrays, some records of a table, several tables one after another.

use std::sync::Arc;

use crate::arrays::ArrayField;
use crate::batch;
use crate::error::{Error, Result};
use crate::extent::{Extent, Extents, Scratch};
use crate::field::Field;
use crate::progress::Progress;
use crate::source::begin_call;

/// Records that are compared or copied by one thread at a time.
const RECORDS_A_TASK: usize = 256;

fn out_of_range(index: u64, len: u64) -> Error {
    Error::RowOutOfRange {
        row: i64::try_from(index).unwrap_or(i64::MAX),
        len,
    }
}

fn at(indices: &[u64], record: u64) -> Result<u64> {
    let index = usize::try_from(record).ok().and_then(|record| indices.get(record));
    index.copied().ok_or_else(|| out_of_range(record, indices.len() as u64))
}

/// Rows of a field of a store: to be copied, and compared with their checksums on the way.
pub struct FieldRows {
    field: Arc<Field>,
    rows: Vec<u64>,
}

impl FieldRows {
    /// The rows `rows`, each of which has bytes, in this order.
    #[must_use]
    pub fn new(field: Arc<Field>, rows: Vec<u64>) -> Self {
        begin_call();
        Self { field, rows }
    }
}

impl Extents for FieldRows {
    fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        self.field.extent(at(&self.rows, index)?)
    }

    fn name(&self, index: u64) -> String {
        at(&self.rows, index).map_or_else(
            |_| format!("record {index}"),
            |row| format!("record {}, {}", self.field.record_name(row), self.field.name()),
        )
    }

    fn copy(&self, index: u64, out: &mut [u8], scratch: &mut Scratch) -> Option<Result<()>> {
        let copied = at(&self.rows, index).and_then(|row| {
            self.field.fetch(row, true, scratch, |bytes| {
                if bytes.len() != out.len() {
                    return Err(Error::SourceChanged {
                        place: self.name(index),
                        problem: format!("expected {} bytes, found {}", out.len(), bytes.len()),
                    });
                }
                out.copy_from_slice(bytes);
                Ok(())
            })
        });
        Some(copied)
    }
}

/// Items of a field of arrays: to be copied, and compared with their checksums on the way.
pub struct FieldItems {
    field: Arc<ArrayField>,
    items: Vec<u64>,
    rows: Vec<u64>,
}

impl FieldItems {
    /// The items `items` in this order, each of which is called after a record that has it, `rows`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if there are not as many rows as items.
    pub fn new(field: Arc<ArrayField>, items: Vec<u64>, rows: Vec<u64>) -> Result<Self> {
        begin_call();
        if items.len() != rows.len() {
            return Err(Error::InvalidRequest(format!(
                "expected as many rows as items, found {} and {}",
                rows.len(),
                items.len()
            )));
        }
        Ok(Self { field, items, rows })
    }
}

impl Extents for FieldItems {
    fn len(&self) -> u64 {
        self.items.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        self.field.extent(at(&self.items, index)?, at(&self.rows, index)?)
    }

    fn name(&self, index: u64) -> String {
        at(&self.rows, index).map_or_else(
            |_| format!("record {index}"),
            |row| format!("record {}, {}", self.field.record_name(row), self.field.name()),
        )
    }

    fn copy(&self, index: u64, out: &mut [u8], scratch: &mut Scratch) -> Option<Result<()>> {
        let places = at(&self.items, index).and_then(|item| Ok((item, at(&self.rows, index)?)));
        Some(places.and_then(|(item, row)| self.field.copy(item, row, out, scratch)))
    }
}

/// Some records of a table, in an order of their own.
pub struct Taken {
    table: Arc<dyn Extents>,
    indices: Vec<u64>,
}

impl Taken {
    /// The records `indices`, which may repeat.
    ///
    /// # Errors
    ///
    /// [`Error::RowOutOfRange`] naming the first index that does not exist.
    pub fn new(table: Arc<dyn Extents>, indices: Vec<u64>) -> Result<Self> {
        let len = table.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&index) => Err(out_of_range(index, len)),
            None => Ok(Self { table, indices }),
        }
    }
}

impl Extents for Taken {
    fn len(&self) -> u64 {
        self.indices.len() as u64
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        self.table.extent(at(&self.indices, index)?)
    }

    fn crc32(&self, index: u64) -> Option<u32> {
        self.table.crc32(at(&self.indices, index).ok()?)
    }

    fn is_source_unchanged(&self, index: u64) -> bool {
        at(&self.indices, index).is_ok_and(|index| self.table.is_source_unchanged(index))
    }

    fn name(&self, index: u64) -> String {
        at(&self.indices, index).map_or_else(|_| format!("record {index}"), |index| self.table.name(index))
    }

    fn copy(&self, index: u64, out: &mut [u8], scratch: &mut Scratch) -> Option<Result<()>> {
        match at(&self.indices, index) {
            Ok(index) => self.table.copy(index, out, scratch),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Several tables, one after another.
pub struct Chained {
    tables: Vec<Arc<dyn Extents>>,
    /// Where each table ends.
    ends: Vec<u64>,
}

impl Chained {
    /// All records of `tables`.
    #[must_use]
    pub fn new(tables: Vec<Arc<dyn Extents>>) -> Self {
        let mut end = 0;
        let ends = tables
            .iter()
            .map(|table| {
                end += table.len();
                end
            })
            .collect();
        Self { tables, ends }
    }

    fn find(&self, index: u64) -> Result<(&dyn Extents, u64)> {
        let number = self.ends.partition_point(|&end| end <= index);
        let table = self.tables.get(number).ok_or_else(|| out_of_range(index, self.len()))?;
        let start = self.ends[number] - table.len();
        Ok((&**table, index - start))
    }
}

impl Extents for Chained {
    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn extent(&self, index: u64) -> Result<Extent<'_>> {
        let (table, index) = self.find(index)?;
        table.extent(index)
    }

    fn crc32(&self, index: u64) -> Option<u32> {
        let (table, index) = self.find(index).ok()?;
        table.crc32(index)
    }

    fn is_source_unchanged(&self, index: u64) -> bool {
        self.find(index)
            .is_ok_and(|(table, index)| table.is_source_unchanged(index))
    }

    fn name(&self, index: u64) -> String {
        self.find(index)
            .map_or_else(|_| format!("record {index}"), |(table, index)| table.name(index))
    }

    fn copy(&self, index: u64, out: &mut [u8], scratch: &mut Scratch) -> Option<Result<()>> {
        match self.find(index) {
            Ok((table, index)) => table.copy(index, out, scratch),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads record `index` into `out`; stored records are compared with their checksums, members of archives with theirs.
///
/// # Errors
///
/// Those of [`Extent::fetch`] and of [`Extents::copy`]; [`Error::Source`] if the CRC-32 of an archive does not agree.
pub fn read_into(table: &dyn Extents, index: u64, out: &mut Vec<u8>, scratch: &mut Scratch) -> Result<()> {
    let extent = table.extent(index)?;
    out.clear();
    let nbytes = usize::try_from(extent.nbytes).unwrap_or(usize::MAX);
    out.try_reserve(nbytes)
        .map_err(|error| Error::InvalidRequest(format!("{} bytes do not fit in memory: {error}", extent.nbytes)))?;
    out.resize(nbytes, 0);
    if nbytes == 0 {
        return Ok(());
    }
    if let Some(copied) = table.copy(index, out, scratch) {
        return copied;
    }
    let bytes = extent.fetch(scratch)?;
    if bytes.len() != nbytes {
        return Err(Error::SourceChanged {
            place: table.name(index),
            problem: format!("expected {nbytes} bytes, found {}", bytes.len()),
        });
    }
    out.copy_from_slice(bytes);
    match table.crc32(index) {
        Some(expected) if expected != crate::checksum::crc32(out) => Err(Error::Source {
            place: table.name(index),
            problem: format!(
                "the archive says CRC-32 {expected:08x}, found {:08x}",
                crate::checksum::crc32(out)
            ),
        }),
        _ => Ok(()),
    }
}

/// The indices of records that differ between two tables of equal length, ascending; all bytes are compared.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if the lengths differ; those of [`read_into`]; [`Error::Interrupted`] if `progress` was stopped.
pub fn differing(one: &dyn Extents, other: &dyn Extents, threads: usize, progress: &Progress) -> Result<Vec<u64>> {
    if one.len() != other.len() {
        return Err(Error::InvalidRequest(format!(
            "expected tables of equal length, found {} and {} records",
            one.len(),
            other.len()
        )));
    }
    let len = one.len();
    let tasks: Vec<u64> = (0..len).step_by(RECORDS_A_TASK).collect();
    let found = batch::map(tasks.into_iter(), threads, |context, start| {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut found = Vec::new();
        for index in start..len.min(start + RECORDS_A_TASK as u64) {
            read_into(one, index, &mut left, &mut context.scratch)?;
            read_into(other, index, &mut right, &mut context.scratch)?;
            if left != right {
                found.push(index);
            }
            progress.advance(1, left.len() as u64)?;
        }
        Ok(found)
    })?;
    Ok(found.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::FileExtents;

    fn table(folder: &tempfile::TempDir, name: &str, records: &[&[u8]]) -> Arc<dyn Extents> {
        let path = folder.path().join(name);
        std::fs::write(&path, records.concat()).unwrap();
        let nbytes: Vec<u64> = records.iter().map(|record| record.len() as u64).collect();
        let offset = nbytes.iter().scan(0, |end, nbytes| {
            *end += nbytes;
            Some(*end - nbytes)
        });
        Arc::new(FileExtents::new(path, offset.collect(), nbytes).unwrap())
    }

    fn bytes(table: &dyn Extents, index: u64) -> Vec<u8> {
        let mut out = Vec::new();
        read_into(table, index, &mut out, &mut Scratch::default()).unwrap();
        out
    }

    #[test]
    fn chained_and_taken_tables_give_the_records_of_their_parts() {
        let folder = tempfile::tempdir().unwrap();
        let one = table(&folder, "one", &[b"a", b"", b"bcd"]);
        let other = table(&folder, "other", &[b"ef"]);
        let chained: Arc<dyn Extents> = Arc::new(Chained::new(vec![one, table(&folder, "none", &[]), other]));
        assert_eq!(chained.len(), 4);
        assert_eq!(
            (0..4).map(|at| bytes(&*chained, at)).collect::<Vec<_>>().concat(),
            b"abcdef"
        );
        assert_eq!(chained.extent(4).err().unwrap().code(), "row-out-of-range");
        let taken = Taken::new(Arc::clone(&chained), vec![3, 0, 3]).unwrap();
        assert_eq!(
            (0..3).map(|at| bytes(&taken, at)).collect::<Vec<_>>().concat(),
            b"efaef"
        );
        assert_eq!(Taken::new(chained, vec![4]).err().unwrap().code(), "row-out-of-range");
    }

    #[test]
    fn every_record_that_differs_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let records: Vec<Vec<u8>> = (0..1000u32).map(|n| n.to_le_bytes().to_vec()).collect();
        let mut changed = records.clone();
        changed[0][3] = 9;
        changed[777].pop();
        let lists =
            |records: &[Vec<u8>], name| table(&folder, name, &records.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (one, other) = (lists(&records, "one"), lists(&changed, "other"));
        for threads in [1, 3] {
            assert_eq!(
                differing(&*one, &*other, threads, &Progress::default()).unwrap(),
                [0, 777]
            );
        }
        let shorter = lists(&records[1..], "shorter");
        assert!(differing(&*one, &*shorter, 1, &Progress::default()).is_err());
    }
}
