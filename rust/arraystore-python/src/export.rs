//! The export side of `arraystore._core`: files, archives and tables of records.
//!
//! Documented in `arraystore.ingestion`.

use std::path::PathBuf;

use arraystore_core::Error;
use arraystore_core::export::csv::{self, Cells};
use arraystore_core::export::{archive, names, tree};
use pyo3::prelude::*;

use crate::arguments::numbers;
use crate::buffers::copied;
use crate::errors::to_py_err;
use crate::ingest::Extents;
use crate::read::Field;
use crate::strings::Strings;
use crate::watch::watched;

#[pyfunction]
#[pyo3(name = "file_paths")]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn file_paths(
    py: Python<'_>,
    names: &Strings,
    directory: &Bound<'_, PyAny>,
    directories: Vec<String>,
) -> PyResult<Strings> {
    let directory = numbers(directory, "directory")?;
    let paths = py.detach(|| names::paths(&names.0, &directory, &directories));
    Ok(paths.map_err(to_py_err)?.into())
}

#[pyfunction]
#[pyo3(signature = (extents, paths, root, *, threads, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn write_tree(
    py: Python<'_>,
    extents: &Extents,
    paths: &Strings,
    root: PathBuf,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    watched(py, progress.as_ref(), |progress| {
        tree::write(&*extents.0, &paths.0, &root, threads, progress)
    })
}

#[pyfunction]
#[pyo3(signature = (extents, nbytes, paths, file, *, threads, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn write_zip(
    py: Python<'_>,
    extents: &Extents,
    nbytes: &Bound<'_, PyAny>,
    paths: &Strings,
    file: PathBuf,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let nbytes = numbers(nbytes, "nbytes")?;
    watched(py, progress.as_ref(), |progress| {
        archive::write(&*extents.0, &nbytes, &paths.0, &file, threads, progress)
    })
}

/// `(kind, values, what belongs to them)`: see `_core.pyi`.
fn cells(kind: &str, values: &Bound<'_, PyAny>, more: &Bound<'_, PyAny>) -> PyResult<Cells> {
    Ok(match kind {
        "texts" => Cells::Texts(std::sync::Arc::clone(&values.cast::<Strings>()?.get().0)),
        "labels" => Cells::Labels(copied(values, "codes")?, more.extract()?),
        "integers" => {
            let mask: Vec<u8> = copied(more, "mask")?;
            Cells::Integers(
                copied(values, "integers")?,
                mask.iter().map(|&is_missing| is_missing != 0).collect(),
            )
        }
        "floats" => Cells::Floats(copied(values, "floats")?),
        "rows" => Cells::Rows(
            std::sync::Arc::clone(&more.cast::<Field>()?.get().0),
            numbers(values, "rows")?,
        ),
        _ => {
            return Err(to_py_err(Error::InvalidRequest(format!("no kind of cells: '{kind}'"))));
        }
    })
}

#[pyfunction]
#[pyo3(signature = (columns, file, *, delimiter, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn write_table(
    py: Python<'_>,
    columns: Vec<(String, String, Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    file: PathBuf,
    delimiter: char,
    progress: Option<Py<PyAny>>,
) -> PyResult<()> {
    let delimiter = u8::try_from(delimiter).map_err(|_| {
        to_py_err(Error::InvalidRequest(format!(
            "delimiter {delimiter:?}: expected ASCII"
        )))
    })?;
    let columns = columns
        .iter()
        .map(|(name, kind, values, more)| Ok((name.clone(), cells(kind, values, more)?)))
        .collect::<PyResult<Vec<_>>>()?;
    watched(py, progress.as_ref(), |progress| {
        csv::write(&columns, delimiter, &file, progress)
    })
}
