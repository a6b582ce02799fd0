//! [`arraystore_core::Error`] to Python exceptions: the only place they meet.

use arraystore_core::Error;
use arraystore_core::error::NO_FILE;
use pyo3::exceptions::{PyFileNotFoundError, PyIndexError, PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;

pyo3::import_exception!(arraystore.errors, InvalidRequestError);
pyo3::import_exception!(arraystore.errors, MissingImageError);
pyo3::import_exception!(arraystore.errors, DamagedStoreError);
pyo3::import_exception!(arraystore.errors, FormatError);
pyo3::import_exception!(arraystore.errors, DecodeError);
pyo3::import_exception!(arraystore.errors, SourceError);
pyo3::import_exception!(arraystore.errors, SourceChangedError);
pyo3::import_exception!(arraystore.errors, InternalError);

/// The errno of a file that is not there.
const NOT_FOUND: i32 = 2;

/// Converts a core error; a function, since neither type is ours to `impl From`.
///
/// There is no `_` arm: a new variant does not compile until it has a class.
pub(crate) fn to_py_err(error: Error) -> PyErr {
    let args = (error.to_string(), error.code());
    match error {
        // From the errno, Python itself picks `FileNotFoundError` and the like.
        Error::Io { path, source, .. } => match source.raw_os_error() {
            Some(errno) => PyOSError::new_err((errno, words_of(&source), path.into_os_string())),
            None => PyOSError::new_err(args.0),
        },
        Error::NoFile { path } => PyFileNotFoundError::new_err((NOT_FOUND, NO_FILE, path.into_os_string())),
        Error::RowOutOfRange { .. } => PyIndexError::new_err(args.0),
        Error::InvalidRequest(_) | Error::BoxOutside { .. } => InvalidRequestError::new_err(args),
        Error::Missing { .. } => MissingImageError::new_err(args),
        Error::Checksum { .. }
        | Error::FileTooShort { .. }
        | Error::Contradiction { .. }
        | Error::DamagedItem { .. }
        | Error::DamagedShard { .. } => DamagedStoreError::new_err(args),
        Error::Format { .. } => FormatError::new_err(args),
        Error::Decode { .. } => DecodeError::new_err(args),
        Error::Source { .. } => SourceError::new_err(args),
        Error::SourceChanged { .. } | Error::SourceOutdated { .. } | Error::FileOutdated { .. } => {
            SourceChangedError::new_err(args)
        }
        Error::Interrupted => PyKeyboardInterrupt::new_err(args.0),
        Error::Internal(_) => InternalError::new_err(args),
    }
}

/// The words of the operating system alone, as they are in Python's own errors.
fn words_of(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" (os error ")
        .map_or(text.clone(), |(words, _)| words.to_owned())
}
