//! Where packed bytes go: into shard files of their own, or into a span of one file that is laid out already.
//!
//! Whichever it is, a shard is whole once it has a journal of this plan: shard files get their final name after it, and a
//! span is synced before it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::shard::{partial, rename, sync_directory};

/// Where the bytes of the array go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Shard files `0`, `1` ... in a directory, each with its index at the end.
    Shards {
        /// The directory; made if it does not exist.
        directory: PathBuf,
    },
    /// A run of bytes in one file, as long as the array. A shard is a part of it, which can be finished for itself.
    Span {
        /// The file; it is there, long enough, and zeros where nothing was packed yet.
        file: PathBuf,
        /// Where in the file the array begins.
        offset: u64,
    },
}

impl Target {
    /// Makes or checks the place.
    pub(super) fn prepare(&self, plan: &Plan<'_>) -> Result<()> {
        match self {
            Self::Shards { directory } => {
                std::fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
            }
            Self::Span { file, offset } => {
                let total_nbytes = plan.options.total_nbytes;
                let expected = offset.checked_add(total_nbytes).ok_or_else(|| {
                    Error::InvalidRequest(format!("{total_nbytes} bytes from offset {offset} on leave any file"))
                })?;
                let found = std::fs::metadata(file).map_err(Error::io("open", file))?.len();
                if found < expected {
                    return Err(Error::FileTooShort {
                        path: file.clone(),
                        expected,
                        found,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether the bytes of a shard that has its journal are there, as far as lengths tell; see [`Target::prepare`].
    pub(super) fn is_whole(&self, plan: &Plan<'_>, shard: usize) -> bool {
        match self {
            Self::Shards { directory } => std::fs::metadata(shard_path(directory, shard))
                .is_ok_and(|metadata| metadata.is_file() && metadata.len() == plan.file_nbytes(shard)),
            Self::Span { .. } => true,
        }
    }

    /// Takes from shards that are to be written what would let them pass for finished while they are not.
    pub(super) fn clear(&self, plan: &Plan<'_>, shards: impl Iterator<Item = usize>) -> Result<()> {
        for shard in shards {
            let path = match self {
                // Without a journal; once it were written, the shard would pass for finished.
                Self::Shards { directory } => shard_path(directory, shard),
                // Of a shard that is written again, since not all of its records could be read.
                Self::Span { .. } => plan.journal_path(shard),
            };
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        match self {
            Self::Shards { directory } => sync_directory(directory),
            Self::Span { .. } => sync_directory(&plan.options.journal),
        }
    }

    /// Opens what a shard is written into.
    pub(super) fn open(&self, shard: usize) -> Result<File> {
        let path = self.written(shard);
        match self {
            Self::Shards { .. } => File::create(&path).map_err(Error::io("create", &path)),
            Self::Span { .. } => OpenOptions::new()
                .write(true)
                .open(&path)
                .map_err(Error::io("open", &path)),
        }
    }

    /// The file that a shard is written into, by its name while it is not finished.
    pub(super) fn written(&self, shard: usize) -> PathBuf {
        match self {
            Self::Shards { directory } => partial(&shard_path(directory, shard)),
            Self::Span { file, .. } => file.clone(),
        }
    }

    /// Where byte `place` of the array, which belongs to `shard`, lies in the file of the shard.
    pub(super) fn offset(&self, plan: &Plan<'_>, shard: usize, place: u64) -> u64 {
        match self {
            Self::Shards { .. } => place.saturating_sub(shard as u64 * plan.options.sharding.shard_nbytes()),
            Self::Span { offset, .. } => offset.saturating_add(place),
        }
    }

    /// Makes the bytes of a shard last, its index with them; its journal may follow.
    pub(super) fn seal(&self, plan: &Plan<'_>, shard: usize, file: &File) -> Result<()> {
        let path = self.written(shard);
        if let Self::Shards { .. } = self {
            plan.options
                .sharding
                .write_footer(file, plan.used_nbytes(shard))
                .map_err(Error::io("write", &path))?;
        }
        file.sync_all().map_err(Error::io("sync", &path))
    }

    /// Gives a shard that has its journal its final name.
    pub(super) fn publish(&self, shard: usize) -> Result<()> {
        match self {
            Self::Shards { directory } => rename(&self.written(shard), &shard_path(directory, shard)),
            Self::Span { .. } => Ok(()),
        }
    }

    /// Frees the disk of a shard that was not finished. What cannot be removed is overwritten by the next attempt.
    pub(super) fn abandon(&self, shard: usize) {
        if let Self::Shards { .. } = self {
            let _ = std::fs::remove_file(self.written(shard));
        }
    }
}

fn shard_path(directory: &Path, shard: usize) -> PathBuf {
    directory.join(shard.to_string())
}
