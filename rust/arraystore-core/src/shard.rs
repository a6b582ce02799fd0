//! Shard files of Zarr v3: plain bytes in equal inner chunks, and a footer that says where each chunk lies.
//!
//! A logical byte array is cut into shards of equal size. The file of a shard holds its used inner chunks from offset 0 on,
//! the last filled up with zeros, then the index (`sharding_indexed`, `index_location: end`): offset and length of each
//! inner chunk as little-endian u64, all ones for the unused, and the CRC-32C of the index.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::checksum;
use crate::error::{Error, Result};

/// Inner chunks of one shard, at most: 16 bytes of index for each.
const MAX_CHUNKS: u64 = 1 << 22;
const READ_NBYTES: usize = 1 << 20;

/// How an array is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharding {
    shard_nbytes: u64,
    chunk_nbytes: u64,
}

impl Sharding {
    /// Shards of `shard_nbytes` that consist of inner chunks of `chunk_nbytes`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if either is 0, the first is no multiple of the second, or the index would be huge.
    pub fn new(shard_nbytes: u64, chunk_nbytes: u64) -> Result<Self> {
        let divides = chunk_nbytes != 0 && shard_nbytes != 0 && shard_nbytes.is_multiple_of(chunk_nbytes);
        if !divides || shard_nbytes / chunk_nbytes > MAX_CHUNKS || shard_nbytes > 1 << 48 {
            return Err(Error::InvalidRequest(format!(
                "expected shards of 1 to {MAX_CHUNKS} whole inner chunks, found {shard_nbytes} bytes of {chunk_nbytes}"
            )));
        }
        Ok(Self {
            shard_nbytes,
            chunk_nbytes,
        })
    }

    /// Bytes of the array in a whole shard.
    #[must_use]
    pub fn shard_nbytes(self) -> u64 {
        self.shard_nbytes
    }

    /// Number of shards of an array.
    #[must_use]
    pub fn shards(self, total_nbytes: u64) -> u64 {
        total_nbytes.div_ceil(self.shard_nbytes)
    }

    /// Bytes of the array in one shard: fewer in the last.
    #[must_use]
    pub fn used_nbytes(self, total_nbytes: u64, shard: u64) -> u64 {
        let start = shard.saturating_mul(self.shard_nbytes);
        total_nbytes.saturating_sub(start).min(self.shard_nbytes)
    }

    /// Where the index begins in the file of a shard with this many bytes of the array.
    fn index_at(self, used_nbytes: u64) -> u64 {
        used_nbytes.div_ceil(self.chunk_nbytes) * self.chunk_nbytes
    }

    fn footer(self, used_nbytes: u64) -> Vec<u8> {
        let used = used_nbytes.div_ceil(self.chunk_nbytes);
        let mut footer = Vec::new();
        for chunk in 0..self.shard_nbytes / self.chunk_nbytes {
            let (offset, nbytes) = if chunk < used {
                (chunk * self.chunk_nbytes, self.chunk_nbytes)
            } else {
                (u64::MAX, u64::MAX)
            };
            footer.extend_from_slice(&offset.to_le_bytes());
            footer.extend_from_slice(&nbytes.to_le_bytes());
        }
        let checksum = checksum::crc32c(&footer);
        footer.extend_from_slice(&checksum.to_le_bytes());
        footer
    }

    /// Length of the file of a shard.
    #[must_use]
    pub fn file_nbytes(self, used_nbytes: u64) -> u64 {
        self.index_at(used_nbytes) + self.shard_nbytes / self.chunk_nbytes * 16 + 4
    }

    /// Writes the index behind the bytes of the array, which are there or to follow; what is not written is zeros.
    pub(crate) fn write_footer(self, file: &File, used_nbytes: u64) -> std::io::Result<()> {
        file.write_all_at(&self.footer(used_nbytes), self.index_at(used_nbytes))
    }
}

/// `path` with a suffix that says that it is not finished.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Makes the names in a directory last.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("sync", directory))
}

/// Gives a file its final name, lasting.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::io("rename", from))?;
    to.parent().map_or(Ok(()), sync_directory)
}

/// Writes a file under a temporary name, syncs it, and renames it: it is there whole or not at all.
pub(crate) fn write_atomically(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let temporary = partial(path);
    let write = || {
        let mut file = File::create(&temporary)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        Error::io("write", &temporary)(error)
    })?;
    rename(&temporary, path)
}

/// Writes an array as shard files `directory/0`, `directory/1` ...; returns the CRC-32C of each whole file.
///
/// # Errors
///
/// [`Error::Io`] if the directory cannot be made or a file not be written; files that were finished stay.
pub fn write(data: &[u8], directory: &Path, sharding: Sharding) -> Result<Vec<u32>> {
    std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    let whole = usize::try_from(sharding.shard_nbytes).unwrap_or(usize::MAX);
    let mut checksums = Vec::new();
    for (number, used) in data.chunks(whole).enumerate() {
        let used_nbytes = used.len() as u64;
        let zeros = vec![0; usize::try_from(sharding.index_at(used_nbytes) - used_nbytes).unwrap_or(0)];
        let footer = sharding.footer(used_nbytes);
        let parts = [used, &zeros, &footer];
        write_atomically(&directory.join(number.to_string()), &parts)?;
        checksums.push(
            parts
                .iter()
                .fold(0, |checksum, part| checksum::crc32c_append(checksum, part)),
        );
    }
    Ok(checksums)
}

/// The CRC-32C of a file, or of `nbytes` bytes of it from `offset` on.
///
/// # Errors
///
/// [`Error::Io`] if it cannot be read; [`Error::FileTooShort`] if it ends before these bytes.
pub fn file_crc32c(path: &Path, offset: u64, nbytes: Option<u64>) -> Result<u32> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", path))?;
    let wanted = nbytes.unwrap_or(u64::MAX);
    let mut file = file.take(wanted);
    let mut buffer = vec![0; READ_NBYTES];
    let (mut checksum, mut done) = (0, 0);
    loop {
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 if nbytes.is_some() && done < wanted => {
                return Err(Error::FileTooShort {
                    path: path.to_path_buf(),
                    expected: offset.saturating_add(wanted),
                    found: offset.saturating_add(done),
                });
            }
            0 => return Ok(checksum),
            nbytes => {
                checksum = checksum::crc32c_append(checksum, &buffer[..nbytes]);
                done += nbytes as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharding() -> Sharding {
        Sharding::new(64, 16).unwrap()
    }

    #[test]
    fn a_shard_is_its_bytes_zeros_and_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let data: Vec<u8> = (0..100).collect();
        let checksums = write(&data, folder.path(), sharding()).unwrap();
        let file = std::fs::read(folder.path().join("1")).unwrap();
        assert_eq!(file.len() as u64, sharding().file_nbytes(36));
        assert_eq!(&file[..36], &data[64..]);
        assert_eq!(&file[36..48], &[0; 12]);
        assert_eq!(
            &file[48 + 16..48 + 32],
            &[16, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(&file[48 + 48..48 + 64], &[0xFF; 16]);
        assert_eq!(file[112..], checksum::crc32c(&file[48..112]).to_le_bytes());
        let path = folder.path().join("1");
        assert_eq!(file_crc32c(&path, 0, None).unwrap(), checksums[1]);
        let part = file_crc32c(&path, 7, Some(20)).unwrap();
        assert_eq!(part, checksum::crc32c(&file[7..27]));
        let error = file_crc32c(&path, 7, Some(file.len() as u64)).unwrap_err();
        assert_eq!(error.code(), "file-too-short");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn no_bytes_are_no_shards() {
        let folder = tempfile::tempdir().unwrap();
        assert!(write(&[], folder.path(), sharding()).unwrap().is_empty());
    }

    #[test]
    fn shards_that_are_no_whole_chunks_are_refused() {
        for (shard, chunk) in [(0, 16), (16, 0), (40, 16), (1 << 40, 1), (u64::MAX, 1 << 63)] {
            assert!(Sharding::new(shard, chunk).is_err(), "{shard} {chunk}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let error = write(b"x", Path::new("/proc/nowhere"), sharding()).unwrap_err();
        assert!(error.to_string().contains("/proc/nowhere"), "{error}");
    }
}
