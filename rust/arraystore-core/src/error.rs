//! The one error type of the crate, and the stable codes that name its cases.

use std::io;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is said of a file of a store, or of the index of a source, that is not there.
pub const NO_FILE: &str = "no such file: open what it is of again, which may have grown since; if that does not help, the file has \
                           to be restored from a copy";

/// Everything that can go wrong in this crate.
///
/// A message names the record or the file, what was asked and what was found.
/// A cause is given by `source()`, and not repeated in the message.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
pub enum Error {
    /// A file cannot be opened, read, written, synced or renamed.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A file of the store, or of the index of a source, is not there.
    #[error("{}: {}", .path.display(), NO_FILE)]
    NoFile { path: PathBuf },
    /// A file of the store is shorter than the store's metadata say.
    #[error(
        "{}: expected at least {expected} bytes, found {found}: the file is cut short or being written; \
         restore it from a copy, or ingest again", .path.display()
    )]
    FileTooShort { path: PathBuf, expected: u64, found: u64 },
    /// The store contradicts its own format.
    #[error("{place}: {problem}")]
    Format { place: String, problem: String },
    /// A row number is outside the store.
    #[error("row {row} is out of range for a store of {len} records")]
    RowOutOfRange { row: i64, len: u64 },
    /// A request that no store could answer.
    #[error("{0}")]
    InvalidRequest(String),
    /// The record has no image (or no text).
    #[error("record {record} has no {field}: its status is {status}")]
    Missing {
        record: String,
        field: String,
        status: String,
    },
    /// The bytes on disk are not the bytes that were written.
    #[error(
        "record {record}, {field}: {algorithm} is {found:08x}, expected {expected:08x}, of {nbytes} bytes at {place}; \
         the file is damaged: run `arraystore verify`"
    )]
    Checksum {
        algorithm: &'static str,
        record: String,
        field: String,
        place: String,
        nbytes: u64,
        expected: u32,
        found: u32,
    },
    /// The index arrays of a record contradict each other or its bytes.
    #[error("record {record}, {field}: {problem}; an index array is damaged: run `arraystore verify`")]
    Contradiction {
        record: String,
        field: String,
        problem: String,
    },
    /// An item of an array field is not as it was written.
    #[error("record {record}, {field}: {problem}; the file is damaged: run `arraystore verify`")]
    DamagedItem {
        record: String,
        field: String,
        problem: String,
    },
    /// The bytes are intact but are no JPEG that can be decoded.
    #[error("record {record}, {field}: cannot decode the JPEG: {problem}")]
    Decode {
        record: String,
        field: String,
        problem: String,
    },
    /// A crop is not inside the image it is cut from.
    #[error(
        "record {record}: box (top {top}, left {left}, height {height}, width {width}) does not fit in image \
         {image_height}x{image_width} (height x width)"
    )]
    BoxOutside {
        record: String,
        top: i64,
        left: i64,
        height: i64,
        width: i64,
        image_height: u32,
        image_width: u32,
    },
    /// The index of a shard is not what was written: none of its items can be found.
    #[error("{place}: {problem}; restore the file from a copy")]
    DamagedShard { place: String, problem: String },
    /// A source package (folder, archive, table) is not what its format promises.
    #[error("{place}: {problem}")]
    Source { place: String, problem: String },
    /// A source file is not what it was when the ingest was planned.
    #[error(
        "{place} has changed since this ingest was planned: {problem}; \
         restore it, or delete the unfinished store and ingest again"
    )]
    SourceChanged { place: String, problem: String },
    /// A source that is open as it is, of many records, was written to or replaced.
    #[error("{place} has changed since it was opened: {problem}; open it again to read what is there now")]
    SourceOutdated { place: String, problem: String },
    /// The same of one file of a folder: it concerns one record.
    #[error("{place} has changed since it was opened: {problem}; open it again to read what is there now")]
    FileOutdated { place: String, problem: String },
    /// The caller asked to stop; what is finished is kept.
    #[error("interrupted")]
    Interrupted,
    /// A bug in this crate, reported instead of a panic.
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// The stable name of this kind of error. Codes may be added, never renamed.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::NoFile { .. } => "missing-file",
            Self::FileTooShort { .. } => "file-too-short",
            Self::Format { .. } => "format",
            Self::RowOutOfRange { .. } => "row-out-of-range",
            Self::InvalidRequest(_) => "invalid-request",
            Self::Missing { .. } => "missing",
            Self::Checksum { .. } => "checksum",
            Self::Contradiction { .. } => "contradiction",
            Self::DamagedItem { .. } => "damaged-item",
            Self::DamagedShard { .. } => "damaged-shard",
            Self::Decode { .. } => "decode",
            Self::BoxOutside { .. } => "box-outside",
            Self::Source { .. } => "source",
            Self::SourceChanged { .. } | Self::SourceOutdated { .. } => "source-changed",
            Self::FileOutdated { .. } => "file-changed",
            Self::Interrupted => "interrupted",
            Self::Internal(_) => "internal",
        }
    }

    /// Wraps an I/O error with what was being done to which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}
