//! Shards of compressed inner chunks, one for each item, with an index at the end that says where each is.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::Problem;
use crate::checksum;
use crate::error::{Error, Result};
use crate::extent::Scratch;
use crate::source::{ByteSource, MappedFile};

/// Bytes of an entry of the index: offset and length.
const ENTRY_NBYTES: u64 = 16;
const CHECKSUM_NBYTES: u64 = 4;

/// Files of compressed items.
pub struct CompressedShards {
    shards: Vec<Shard>,
    shard_items: u64,
}

struct Shard {
    file: MappedFile,
    /// Where the index begins, once its checksum was compared.
    index_at: OnceLock<u64>,
}

impl CompressedShards {
    /// Shards of `shard_items` items each; no file is opened.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] if there are not as many files as `count` items need.
    pub fn new(files: Vec<PathBuf>, shard_items: u64, count: u64) -> Result<Self> {
        if shard_items == 0 || count.div_ceil(shard_items) != files.len() as u64 {
            return Err(Error::Format {
                place: files
                    .first()
                    .map_or_else(String::new, |path| path.display().to_string()),
                problem: format!(
                    "{count} items in shards of {shard_items} are not in {} files",
                    files.len()
                ),
            });
        }
        let shard = |path| Shard {
            file: MappedFile::new(path),
            index_at: OnceLock::new(),
        };
        Ok(Self {
            shards: files.into_iter().map(shard).collect(),
            shard_items,
        })
    }

    /// The compressed bytes of an item.
    pub(super) fn lend(&self, item: u64) -> Result<&[u8], Problem> {
        let (file, offset, nbytes) = self.locate(item)?;
        Ok(lend(file, offset, nbytes)?)
    }

    /// The file that holds an item, where in it the item begins, and how many bytes it has there.
    pub(super) fn locate(&self, item: u64) -> Result<(&MappedFile, u64, u64), Problem> {
        let (number, within) = (item / self.shard_items, item % self.shard_items);
        let shard = usize::try_from(number)
            .ok()
            .and_then(|number| self.shards.get(number))
            .ok_or_else(|| Problem::Damaged(format!("there is no shard {number}")))?;
        let index_at = self.index_at(shard)?;
        let entry = lend(&shard.file, index_at + within * ENTRY_NBYTES, ENTRY_NBYTES)?;
        let (offset, nbytes) = entry.split_at(8);
        let (offset, nbytes) = (number_of(offset), number_of(nbytes));
        let end = offset.checked_add(nbytes).filter(|&end| end <= index_at && nbytes > 0);
        if end.is_none() {
            return Err(Problem::Damaged(format!(
                "{}: the index has it at {offset} with {nbytes} bytes, but the items end at {index_at}",
                shard.file.name()
            )));
        }
        Ok((&shard.file, offset, nbytes))
    }

    fn index_at(&self, shard: &Shard) -> Result<u64, Problem> {
        if let Some(&index_at) = shard.index_at.get() {
            return Ok(index_at);
        }
        let index_nbytes = self.shard_items.saturating_mul(ENTRY_NBYTES);
        let nbytes = shard.file.nbytes()?;
        let index_at = nbytes
            .checked_sub(CHECKSUM_NBYTES)
            .and_then(|rest| rest.checked_sub(index_nbytes));
        let Some(index_at) = index_at else {
            return Err(Problem::Error(Error::FileTooShort {
                path: shard.file.path().to_path_buf(),
                expected: index_nbytes.saturating_add(CHECKSUM_NBYTES),
                found: nbytes,
            }));
        };
        let index = lend(&shard.file, index_at, index_nbytes)?;
        let checksum = lend(&shard.file, index_at + index_nbytes, CHECKSUM_NBYTES)?;
        if checksum::crc32c(index).to_le_bytes() != *checksum {
            return Err(Problem::Error(Error::DamagedShard {
                place: shard.file.name(),
                problem: "the shard index at the end of the file is damaged".to_owned(),
            }));
        }
        Ok(*shard.index_at.get_or_init(|| index_at))
    }
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

fn lend(file: &MappedFile, offset: u64, nbytes: u64) -> Result<&[u8]> {
    let length = usize::try_from(nbytes)
        .map_err(|_| Error::Internal(format!("{nbytes} bytes of {} do not fit in memory", file.name())))?;
    file.lend(offset, length)?
        .ok_or_else(|| Error::Internal(format!("{} cannot lend bytes", file.name())))
}

/// Decompresses an item, which must fill `out`.
pub(super) fn unzstd(bytes: &[u8], out: &mut [u8], scratch: &mut Scratch) -> Result<(), Problem> {
    let decompressor = scratch.zstd()?;
    match decompressor.decompress_to_buffer(bytes, out) {
        Ok(nbytes) if nbytes == out.len() => Ok(()),
        Ok(nbytes) => Err(Problem::Damaged(format!(
            "expected {} bytes, it decompresses to {nbytes}",
            out.len()
        ))),
        Err(error) => Err(Problem::Damaged(format!("it cannot be decompressed: {error}"))),
    }
}
