//! Byte sources: things with a length and bytes at an offset.
//!
//! [`MappedFile`] serves the files of a store: opened and mapped on first use, then read in place from any thread.
//! [`OpenFile`] serves archives: opened on first use, and copied from. [`PlainFile`] serves one of millions of small files:
//! opened, read and closed for each request.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Something with a length and bytes at an offset.
///
/// The one seam between records and where they lie. All methods may be called from several threads at once.
pub trait ByteSource: Send + Sync {
    /// What to call this source in a message: its path or URL.
    fn name(&self) -> String;

    /// Length in bytes, now.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the source cannot be reached.
    fn nbytes(&self) -> Result<u64>;

    /// The bytes `[offset, offset + nbytes)` in place, or `None` if this source cannot lend them.
    ///
    /// # Errors
    ///
    /// [`Error::FileTooShort`] if the source ends before them; [`Error::Io`] if it cannot be reached.
    fn lend(&self, offset: u64, nbytes: usize) -> Result<Option<&[u8]>>;

    /// Copies the bytes from `offset` on into all of `out`.
    ///
    /// # Errors
    ///
    /// As for [`ByteSource::lend`].
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()>;
}

/// What tells whether a file is still the one that was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its length.
    pub nbytes: u64,
    /// Nanoseconds from 1970 to its last modification.
    pub modified_ns: i64,
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            nbytes: metadata.len(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        }
    }
}

fn outdated(path: &Path, problem: String) -> Error {
    Error::SourceOutdated {
        place: path.display().to_string(),
        problem,
    }
}

fn another_length(expected: u64, found: u64) -> String {
    format!("expected {expected} bytes, found {found}")
}

/// Counts the calls into this crate, so that a file's length is asked for once a call and not once a record.
static CALLS: AtomicU64 = AtomicU64::new(1);

/// Tells the mapped files that a new call begins: each checks its length again before it lends bytes.
pub fn begin_call() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

/// A file that is mapped into memory on first use.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    /// What a file that is not ours was when it was listed.
    listed: Option<Stamp>,
    opened: OnceLock<Opened>,
}

#[derive(Debug)]
struct Opened {
    map: Mmap,
    /// Device and number of the file that is mapped. Its descriptor is not kept: a store may have thousands of shards.
    identity: (u64, u64),
    /// The call in which the length was last checked, and what it was.
    checked: AtomicU64,
    nbytes: AtomicU64,
}

impl MappedFile {
    /// Names a file. It is neither opened nor checked before it is used.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            listed: None,
            opened: OnceLock::new(),
        }
    }

    /// Names a file of which it is an error to be another than it was when it was listed.
    ///
    /// A file that is replaced after it was mapped stays what it was for as long as it is mapped.
    #[must_use]
    pub fn as_listed(path: PathBuf, stamp: Stamp) -> Self {
        Self {
            path,
            listed: Some(stamp),
            opened: OnceLock::new(),
        }
    }

    /// The path it was made with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let file = File::open(&self.path).map_err(|error| match self.listed {
            Some(_) if is_gone(&error) => outdated(&self.path, "it is gone".to_owned()),
            None if is_gone(&error) => Error::NoFile {
                path: self.path.clone(),
            },
            _ => Error::io("open", &self.path)(error),
        })?;
        let map = map_read_only(&file).map_err(Error::io("map", &self.path))?;
        let metadata = file.metadata().map_err(Error::io("read", &self.path))?;
        if let Some(listed) = self.listed {
            let found = Stamp::from(&metadata);
            if found.nbytes != listed.nbytes {
                return Err(outdated(&self.path, another_length(listed.nbytes, found.nbytes)));
            }
            if found != listed {
                return Err(outdated(&self.path, "it was written to".to_owned()));
            }
        }
        // Two threads may have mapped it at once: one of the two maps is dropped.
        Ok(self.opened.get_or_init(|| Opened {
            map,
            identity: (metadata.dev(), metadata.ino()),
            checked: AtomicU64::new(0),
            nbytes: AtomicU64::new(0),
        }))
    }

    /// The length that the file had in this call.
    fn known_nbytes(&self, opened: &Opened) -> Result<u64> {
        let call = CALLS.load(Ordering::Relaxed);
        if opened.checked.load(Ordering::Acquire) == call {
            return Ok(opened.nbytes.load(Ordering::Relaxed));
        }
        let mapped = opened.map.len() as u64;
        // A file that was replaced or removed keeps its old content for as long as it is mapped.
        let nbytes = match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) == opened.identity => match self.listed {
                // Only its length: a file that was merely touched is no reason to stop, and its records have checksums.
                Some(listed) if now.len() != listed.nbytes => {
                    return Err(outdated(&self.path, another_length(listed.nbytes, now.len())));
                }
                _ => now.len().min(mapped),
            },
            _ => mapped,
        };
        opened.nbytes.store(nbytes, Ordering::Relaxed);
        opened.checked.store(call, Ordering::Release);
        Ok(nbytes)
    }

    fn too_short(&self, expected: u64, found: u64) -> Error {
        Error::FileTooShort {
            path: self.path.clone(),
            expected,
            found,
        }
    }
}

fn map_read_only(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is only read, and each access goes through `lend`, which in each call first asks the file system for
    // the present length, so a file that was cut short is reported. A file that another process cuts short between that
    // check and the access still raises SIGBUS; a store is never truncated or overwritten in place by us.
    unsafe { Mmap::map(file) }
}

impl ByteSource for MappedFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn nbytes(&self) -> Result<u64> {
        self.known_nbytes(self.opened()?)
    }

    fn lend(&self, offset: u64, nbytes: usize) -> Result<Option<&[u8]>> {
        let opened = self.opened()?;
        let end = offset.saturating_add(nbytes as u64);
        let now = self.known_nbytes(opened)?;
        if end > now {
            return Err(self.too_short(end, now));
        }
        let start = usize::try_from(offset).map_err(|_| self.too_short(end, now))?;
        opened
            .map
            .get(start..start + nbytes)
            .map(Some)
            .ok_or_else(|| self.too_short(end, now))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        if let Some(bytes) = self.lend(offset, out.len())? {
            out.copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// A large file that is opened on first use, and read where it is asked to.
///
/// For ingest: it reads each byte once, mostly in order, for hours. A disk that fails or a file that is cut short meanwhile
/// is then an error, and not the SIGBUS that a map would raise.
#[derive(Debug)]
pub struct OpenFile {
    path: PathBuf,
    file: OnceLock<File>,
}

impl OpenFile {
    /// Names a file. It is neither opened nor checked before it is used.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: OnceLock::new(),
        }
    }

    /// The path it was made with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self) -> Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
        // Two threads may have opened it at once: one of the two is closed.
        Ok(self.file.get_or_init(|| file))
    }
}

impl ByteSource for OpenFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn nbytes(&self) -> Result<u64> {
        let metadata = self.file()?.metadata().map_err(Error::io("read", &self.path))?;
        Ok(metadata.len())
    }

    fn lend(&self, _offset: u64, _nbytes: usize) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        read_exact(self.file()?, &self.path, offset, out)
    }
}

fn read_exact(file: &File, path: &Path, offset: u64, out: &mut [u8]) -> Result<()> {
    match file.read_exact_at(out, offset) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::FileTooShort {
            path: path.to_path_buf(),
            expected: offset.saturating_add(out.len() as u64),
            found: file.metadata().map_err(Error::io("read", path))?.len(),
        }),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Whether a file that cannot be opened does not exist.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A small file that is opened for each read.
#[derive(Debug)]
pub struct PlainFile {
    path: PathBuf,
    /// The length it had when it was listed, if that is to be compared.
    listed_nbytes: Option<u64>,
}

impl PlainFile {
    /// Names a file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            listed_nbytes: None,
        }
    }

    /// Names a file of which it is an error to have another length than when it was listed.
    #[must_use]
    pub fn as_listed(path: PathBuf, nbytes: u64) -> Self {
        Self {
            path,
            listed_nbytes: Some(nbytes),
        }
    }

    /// The path it was made with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ByteSource for PlainFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn nbytes(&self) -> Result<u64> {
        let metadata = std::fs::metadata(&self.path).map_err(Error::io("read", &self.path))?;
        Ok(metadata.len())
    }

    fn lend(&self, _offset: u64, _nbytes: usize) -> Result<Option<&[u8]>> {
        Ok(None)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let Some(listed) = self.listed_nbytes else {
            let file = File::open(&self.path).map_err(Error::io("open", &self.path))?;
            return read_exact(&file, &self.path, offset, out);
        };
        let outdated = |problem| Error::FileOutdated {
            place: self.path.display().to_string(),
            problem,
        };
        let file = File::open(&self.path).map_err(|error| match error {
            error if is_gone(&error) => outdated("it is gone".to_owned()),
            error => Error::io("open", &self.path)(error),
        })?;
        let found = file.metadata().map_err(Error::io("read", &self.path))?.len();
        if found != listed {
            return Err(outdated(another_length(listed, found)));
        }
        read_exact(&file, &self.path, offset, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some.bin");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn all_sources_give_the_same_bytes() {
        let (_folder, path) = file_with(b"0123456789");
        let mut copied = [0; 4];
        PlainFile::new(path.clone()).read_at(3, &mut copied).unwrap();
        let mut again = [0; 4];
        OpenFile::new(path.clone()).read_at(3, &mut again).unwrap();
        assert_eq!(again, copied);
        let mapped = MappedFile::new(path);
        assert_eq!(mapped.lend(3, 4).unwrap(), Some(&copied[..]));
    }

    #[test]
    fn reading_past_the_end_names_the_file_and_both_lengths() {
        let (_folder, path) = file_with(b"0123456789");
        for source in [
            &MappedFile::new(path.clone()) as &dyn ByteSource,
            &PlainFile::new(path.clone()),
            &OpenFile::new(path.clone()),
        ] {
            let error = source.read_at(8, &mut [0; 4]).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("some.bin") && text.contains("12") && text.contains("10"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_cut_short_after_it_was_mapped_is_an_error() {
        let (_folder, path) = file_with(&vec![7; 100_000]);
        let mapped = MappedFile::new(path.clone());
        assert!(mapped.lend(90_000, 100).is_ok());
        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        begin_call();
        assert_eq!(mapped.lend(90_000, 100).unwrap_err().code(), "file-too-short");
    }

    #[test]
    fn a_listed_file_must_be_what_it_was() {
        let (folder, path) = file_with(b"0123456789");
        let stamp = Stamp::from(&std::fs::metadata(&path).unwrap());
        let mapped = MappedFile::as_listed(path.clone(), stamp);
        let plain = PlainFile::as_listed(path.clone(), 10);
        assert!(mapped.lend(0, 10).is_ok() && plain.read_at(0, &mut [0; 10]).is_ok());
        // Replaced: what is mapped stays; what is opened anew is another file.
        std::fs::write(folder.path().join("other"), b"01234567890123").unwrap();
        std::fs::rename(folder.path().join("other"), &path).unwrap();
        begin_call();
        assert_eq!(mapped.lend(0, 10).unwrap(), Some(&b"0123456789"[..]));
        let of_plain = plain.read_at(0, &mut [0; 10]).unwrap_err();
        let of_mapped = MappedFile::as_listed(path.clone(), stamp).lend(0, 10).unwrap_err();
        for (found, code) in [(of_plain, "file-changed"), (of_mapped, "source-changed")] {
            let text = found.to_string();
            assert!(
                found.code() == code && text.contains("expected 10 bytes, found 14"),
                "{text}"
            );
        }
        // Written to in place.
        let stamp = Stamp::from(&std::fs::metadata(&path).unwrap());
        let mapped = MappedFile::as_listed(path.clone(), stamp);
        assert!(mapped.lend(0, 10).is_ok());
        File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
        begin_call();
        assert_eq!(mapped.lend(0, 2).unwrap_err().code(), "source-changed");
        std::fs::remove_file(&path).unwrap();
        let gone = PlainFile::as_listed(path, 3).read_at(0, &mut [0; 3]).unwrap_err();
        assert!(gone.to_string().contains("it is gone"));
    }

    #[test]
    fn an_empty_file_lends_nothing() {
        let (_folder, path) = file_with(b"");
        assert_eq!(MappedFile::new(path).lend(0, 0).unwrap(), Some(&[][..]));
    }
}
