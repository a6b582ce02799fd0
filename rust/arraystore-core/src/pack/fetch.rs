//! One record: its bytes from the source into the shard, and what is to be known of them.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::Check;
use crate::checksum;
use crate::error::{Error, Result};
use crate::extent::{Extents, Scratch, SourceRef};
use crate::journal::Outcome;
use crate::jpeg::header::{Flaw, walk};
use crate::jpeg::pixmap::{Pixmap, is_pixmap};
use crate::source::is_gone;
use crate::status::Status;
use crate::tiff::{PatchForm, decode};

/// Why there are no bytes of a record, though its source is as it was planned.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) problem: String,
    /// Whether the operating system refused, and not what the archive holds is damaged.
    pub(super) is_refused: bool,
}

impl Unreadable {
    fn damaged(problem: String) -> Self {
        Self {
            problem,
            is_refused: false,
        }
    }

    fn refused(error: &io::Error) -> Self {
        Self {
            problem: format!("cannot be read: {error}"),
            is_refused: true,
        }
    }
}

/// Fills `out`, which is as long as the plan says, with the bytes of record `index`; returns why that cannot be.
///
/// # Errors
///
/// [`Error::SourceChanged`] if the record is gone or has another length; [`Error::Io`] if the fault is not with this record.
pub(super) fn fetch(
    extents: &dyn Extents,
    index: u64,
    out: &mut [u8],
    scratch: &mut Scratch,
) -> Result<Option<Unreadable>> {
    let extent = extents.extent(index)?;
    let changed = |problem: String| Error::SourceChanged {
        place: extents.name(index),
        problem,
    };
    if extent.nbytes != out.len() as u64 {
        return Err(changed(format!(
            "expected {} bytes, found {}",
            out.len(),
            extent.nbytes
        )));
    }
    if let SourceRef::File(file) = &extent.source {
        return read_file(file.path(), out);
    }
    if out.is_empty() {
        return Ok(None);
    }
    if let Some(copied) = extents.copy(index, out, scratch) {
        return copied.map(|()| None);
    }
    match extent.fetch(scratch) {
        Ok(bytes) if bytes.len() == out.len() => {
            out.copy_from_slice(bytes);
            Ok(None)
        }
        Ok(bytes) => Err(changed(format!("expected {} bytes, found {}", out.len(), bytes.len()))),
        // Its local header leads astray: the archive is whole, and concerns nobody else.
        Err(Error::FileTooShort { expected, found, .. }) if extents.is_source_unchanged(index) => {
            Ok(Some(Unreadable::damaged(format!(
                "its local header is damaged: it would end at {expected}, behind the end of the archive at {found}"
            ))))
        }
        Err(Error::FileTooShort { expected, found, .. }) => Err(changed(format!(
            "expected its bytes to end at {expected}, found the end of the file at {found}"
        ))),
        Err(Error::NoFile { .. }) => Err(changed("it is gone".to_owned())),
        Err(Error::Io { source, .. }) if is_gone(&source) => Err(changed("it is gone".to_owned())),
        // A member that is damaged concerns nobody else.
        Err(error @ Error::Source { .. }) => Ok(Some(Unreadable::damaged(error.to_string()))),
        Err(Error::Io {
            action: "read", source, ..
        }) if is_its_own(&source) => Ok(Some(Unreadable::refused(&source))),
        Err(error) => Err(error),
    }
}

/// Fills `out` with the samples of the TIFF file `index`, or with zeros if it is no such patch; says what is to be known of
/// it.
///
/// # Errors
///
/// As for [`fetch`].
pub(super) fn fetch_patch(
    extents: &dyn Extents,
    index: u64,
    form: &PatchForm,
    out: &mut [u8],
    scratch: &mut Scratch,
) -> Result<Result<(Outcome, Option<String>), Unreadable>> {
    let without = |status, detail| {
        let outcome = Outcome {
            status,
            ..Outcome::default()
        };
        Ok(Ok((outcome, detail)))
    };
    let nbytes = extents.extent(index)?.nbytes;
    if nbytes == 0 {
        return without(Status::Empty, None);
    }
    if nbytes > form.most_file_nbytes() {
        let detail = format!("expected a patch of {form}, found a file of {nbytes} bytes");
        return without(Status::Unsupported, Some(detail));
    }
    let mut file = std::mem::take(&mut scratch.file);
    file.resize(usize::try_from(nbytes).unwrap_or(usize::MAX), 0);
    let unreadable = fetch(extents, index, &mut file, scratch)?;
    let decoded = match unreadable {
        Some(unreadable) => Err(unreadable),
        None => Ok((decode(&file, form, out), archive_disagrees(&file, extents.crc32(index)))),
    };
    scratch.file = file;
    match decoded {
        Err(unreadable) => Ok(Err(unreadable)),
        Ok((Ok(()), disagrees)) => {
            let outcome = Outcome {
                nbytes: u32::try_from(out.len()).unwrap_or(u32::MAX),
                crc32c: checksum::crc32c(out),
                status: disagrees.as_ref().map_or(Status::Sound, |_| Status::SourceCorrupt),
                ..Outcome::default()
            };
            Ok(Ok((outcome, disagrees)))
        }
        Ok((Err(flaw), disagrees)) => {
            out.fill(0);
            let also = disagrees.map_or(String::new(), |disagrees| format!("; {disagrees}"));
            without(flaw.status, Some(flaw.text + &also))
        }
    }
}

/// What there is to say if bytes are not those that their archive has the checksum of.
fn archive_disagrees(bytes: &[u8], archive_crc32: Option<u32>) -> Option<String> {
    let (expected, found) = (archive_crc32?, checksum::crc32(bytes));
    (found != expected).then(|| format!("the archive says CRC-32 {expected:08x}, found {found:08x}"))
}

/// Whether the fault is with this one file. All others, such as `EIO`, `ESTALE` or `EMFILE`, are those of a disk, a mount
/// or a machine: they would strike every file that follows, and be gone tomorrow.
fn is_its_own(error: &io::Error) -> bool {
    let Some(errno) = error.raw_os_error() else {
        return true;
    };
    matches!(
        errno,
        libc::EACCES
            | libc::EPERM
            | libc::EISDIR
            | libc::ELOOP
            | libc::ENAMETOOLONG
            | libc::EINVAL
            | libc::EOPNOTSUPP
            | libc::EBADMSG
            | libc::EFBIG
            | libc::EOVERFLOW
    )
}

/// Reads a file that must be exactly as long as `out`.
fn read_file(path: &Path, out: &mut [u8]) -> Result<Option<Unreadable>> {
    let changed = |problem: String| Error::SourceChanged {
        place: path.display().to_string(),
        problem,
    };
    let nbytes = out.len();
    let mut attempt = || -> io::Result<Option<String>> {
        let mut file = File::open(path)?;
        match file.read_exact(out) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let found = file.metadata()?.len();
                return Ok(Some(format!("expected {nbytes} bytes, found {found}")));
            }
            outcome => outcome?,
        }
        let is_longer = file.read(&mut [0])? > 0;
        Ok(is_longer.then(|| format!("expected {nbytes} bytes, found more")))
    };
    match attempt() {
        Ok(None) => Ok(None),
        Ok(Some(problem)) => Err(changed(problem)),
        Err(error) if is_gone(&error) => Err(changed("it is gone".to_owned())),
        Err(error) if is_its_own(&error) => Ok(Some(Unreadable::refused(&error))),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Height and width, 0 if they cannot be told, and the first flaw.
fn look(bytes: &[u8]) -> ((u16, u16), Option<Flaw>) {
    if is_pixmap(bytes) {
        let length = |pixels: u32| u16::try_from(pixels).unwrap_or(0);
        return match Pixmap::parse(bytes) {
            Ok(Pixmap { size, .. }) => ((length(size.height), length(size.width)), None),
            Err(flaw) => ((0, 0), Some(flaw)),
        };
    }
    let found = walk(bytes);
    (
        found.header.map_or((0, 0), |header| (header.height, header.width)),
        found.flaw,
    )
}

/// What is to be known of the bytes of a record, and why they are not sound.
pub(super) fn examine(bytes: &[u8], archive_crc32: Option<u32>, check: &Check<'_>) -> (Outcome, Option<String>) {
    let mut outcome = Outcome {
        nbytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        crc32c: checksum::crc32c(bytes),
        ..Outcome::default()
    };
    if bytes.is_empty() {
        outcome.status = Status::Empty;
        return (outcome, None);
    }
    let mut flaw = None;
    if !matches!(check, Check::None) {
        let (size, found) = look(bytes);
        (outcome.height, outcome.width) = size;
        flaw = found.or_else(|| match check {
            Check::Pixels(decode) => decode(bytes).err().map(Flaw::Corrupt),
            _ => None,
        });
    }
    let mut detail = flaw.as_ref().map(|flaw| flaw.text().to_owned());
    outcome.status = flaw.map_or(Status::Sound, |flaw| flaw.status());
    if let Some(disagrees) = archive_disagrees(bytes, archive_crc32) {
        outcome.status = Status::SourceCorrupt;
        let also = detail.map_or(String::new(), |detail| format!("; {detail}"));
        detail = Some(disagrees + &also);
    }
    (outcome, detail)
}
