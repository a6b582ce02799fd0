//! The ingest side of `arraystore._core`: scan sources, index keys.
//!
//! Documented in `arraystore.sources` and `arraystore.ingestion`.

use std::path::PathBuf;
use std::sync::Arc;

use arraystore_core::container::Found;
use arraystore_core::extent::{self, FileExtents};
use arraystore_core::members::{self, Selection};
use arraystore_core::selected::{self, Chained, FieldItems, FieldRows, Taken};
use arraystore_core::{keys, scan};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arguments::numbers;
use crate::arrays::ArrayField;
use crate::buffers::{Buffer, Item};
use crate::errors::to_py_err;
use crate::read::Field;
use crate::strings::Strings;
use crate::watch::watched;

/// The files of folders and archives, as columns.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Members(Arc<members::Members>);

fn column<T: Item>(values: &[T]) -> Buffer {
    Buffer::new(values.to_vec())
}

#[pymethods]
impl Members {
    #[staticmethod]
    #[pyo3(signature = (path, *, directories, directory, names, encoding, offset, nbytes, height, width, skipped))]
    #[expect(clippy::too_many_arguments, reason = "the columns of members, by keyword")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn of_file(
        py: Python<'_>,
        path: PathBuf,
        directories: Vec<String>,
        directory: &Bound<'_, PyAny>,
        names: &Strings,
        encoding: &Bound<'_, PyAny>,
        offset: &Bound<'_, PyAny>,
        nbytes: &Bound<'_, PyAny>,
        height: &Bound<'_, PyAny>,
        width: &Bound<'_, PyAny>,
        skipped: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let found = Found {
            directories,
            directory: numbers(directory, "directory")?,
            names: names.0.as_ref().clone(),
            encoding: numbers(encoding, "encoding")?,
            offset: numbers(offset, "offset")?,
            stored_nbytes: numbers(nbytes, "nbytes")?,
            height: numbers(height, "height")?,
            width: numbers(width, "width")?,
            skipped,
        };
        let members = py
            .detach(|| members::Members::of_file(&path, &found))
            .map_err(to_py_err)?;
        Ok(Self(Arc::new(members)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn sources(&self) -> Vec<&str> {
        self.0.sources().iter().map(|source| source.path.as_str()).collect()
    }

    #[getter]
    fn directories(&self) -> Vec<String> {
        self.0.directories().to_vec()
    }

    #[getter]
    fn suffixes(&self) -> Vec<String> {
        self.0.suffixes().to_vec()
    }

    #[getter]
    fn directory(&self) -> Buffer {
        column(&self.0.columns().directory)
    }

    #[getter]
    fn suffix(&self) -> Buffer {
        column(&self.0.columns().suffix)
    }

    #[getter]
    fn hidden(&self) -> Buffer {
        column(&self.0.columns().hidden)
    }

    #[getter]
    fn nbytes(&self) -> Buffer {
        column(&self.0.columns().nbytes)
    }

    #[getter]
    fn height(&self) -> Buffer {
        column(&self.0.columns().height)
    }

    #[getter]
    fn width(&self) -> Buffer {
        column(&self.0.columns().width)
    }

    #[getter]
    fn source(&self) -> Buffer {
        column(&self.0.columns().source)
    }

    #[getter]
    fn offset(&self) -> Buffer {
        column(&self.0.columns().offset)
    }

    #[getter]
    fn stored_nbytes(&self) -> Buffer {
        column(&self.0.columns().stored_nbytes)
    }

    #[getter]
    fn encoding(&self) -> Buffer {
        let encoding = &self.0.columns().encoding;
        Buffer::new(encoding.iter().map(|&encoding| encoding as u8).collect())
    }

    #[getter]
    fn crc32(&self) -> Buffer {
        column(&self.0.columns().crc32)
    }

    #[getter]
    fn folders(&self) -> Vec<String> {
        self.0.folders().to_vec()
    }

    fn paths_below(&self, py: Python<'_>, indices: &Bound<'_, PyAny>) -> PyResult<Strings> {
        let indices = numbers(indices, "indices")?;
        let paths = py.detach(|| self.0.paths_below(&indices)).map_err(to_py_err)?;
        Ok(paths.into())
    }

    #[getter]
    fn stems(&self) -> Strings {
        Strings(Arc::clone(&self.0.columns().stems))
    }

    #[getter]
    fn skipped(&self) -> Vec<(String, String)> {
        self.0.skipped().to_vec()
    }

    fn fingerprint(&self, py: Python<'_>, indices: &Bound<'_, PyAny>) -> PyResult<u64> {
        let indices = numbers(indices, "indices")?;
        py.detach(|| self.0.fingerprint(&indices)).map_err(to_py_err)
    }

    fn path(&self, index: u64) -> PyResult<String> {
        self.0.path(index).map_err(to_py_err)
    }

    fn read<'py>(&self, py: Python<'py>, index: u64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.0.read(index)).map_err(to_py_err)?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn spilled_to(&self, path: PathBuf, indices: &Bound<'_, PyAny>, offset: &Bound<'_, PyAny>) -> PyResult<()> {
        let (indices, offset) = (numbers(indices, "indices")?, numbers(offset, "offset")?);
        self.0.spilled_to(&path, &indices, &offset).map_err(to_py_err)
    }

    fn check_unchanged(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.check_unchanged()).map_err(to_py_err)
    }

    fn extents(&self, indices: &Bound<'_, PyAny>) -> PyResult<Extents> {
        let indices = numbers(indices, "indices")?;
        let selection = Selection::new(Arc::clone(&self.0), indices).map_err(to_py_err)?;
        Ok(Extents(Arc::new(selection)))
    }
}

/// Where records lie, in one form for all kinds of sources.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Extents(pub(crate) Arc<dyn extent::Extents>);

#[pymethods]
impl Extents {
    fn __len__(&self) -> usize {
        usize::try_from(self.0.len()).unwrap_or(usize::MAX)
    }

    #[staticmethod]
    fn in_file(path: PathBuf, offset: &Bound<'_, PyAny>, nbytes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (offset, nbytes) = (numbers(offset, "offset")?, numbers(nbytes, "nbytes")?);
        let extents = FileExtents::new(path, offset, nbytes).map_err(to_py_err)?;
        Ok(Self(Arc::new(extents)))
    }

    /// Rows of a field of a store, in the order given.
    #[staticmethod]
    fn of_field(field: &Field, rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rows = numbers(rows, "rows")?;
        Ok(Self(Arc::new(FieldRows::new(Arc::clone(&field.0), rows))))
    }

    /// Items of a field of arrays, in the order given, and a record that has each.
    #[staticmethod]
    fn of_items(field: &ArrayField, items: &Bound<'_, PyAny>, rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (items, rows) = (numbers(items, "items")?, numbers(rows, "rows")?);
        let items = FieldItems::new(Arc::clone(&field.0), items, rows).map_err(to_py_err)?;
        Ok(Self(Arc::new(items)))
    }

    /// Several tables, one after another.
    #[staticmethod]
    #[expect(clippy::needless_pass_by_value, reason = "how a list of Python comes in")]
    fn chain(tables: Vec<Bound<'_, Self>>) -> Self {
        let tables = tables.iter().map(|table| Arc::clone(&table.get().0)).collect();
        Self(Arc::new(Chained::new(tables)))
    }

    /// Some records, in the order given.
    fn take(&self, indices: &Bound<'_, PyAny>) -> PyResult<Self> {
        let taken = Taken::new(Arc::clone(&self.0), numbers(indices, "indices")?).map_err(to_py_err)?;
        Ok(Self(Arc::new(taken)))
    }

    fn name(&self, index: u64) -> String {
        self.0.name(index)
    }
}

#[pyfunction]
#[pyo3(signature = (one, other, *, threads, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn differing(
    py: Python<'_>,
    one: &Extents,
    other: &Extents,
    threads: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<Buffer> {
    let found = watched(py, progress.as_ref(), |progress| {
        selected::differing(&*one.0, &*other.0, threads, progress)
    })?;
    Ok(Buffer::new(found))
}

#[pyfunction]
#[pyo3(name = "scan", signature = (paths, *, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn scan_sources(py: Python<'_>, paths: Vec<PathBuf>, progress: Option<Py<PyAny>>) -> PyResult<Members> {
    let members = watched(py, progress.as_ref(), |progress| scan::scan(&paths, progress))?;
    Ok(Members(Arc::new(members)))
}

#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "how a list of Python comes in")]
pub(crate) fn join_members(py: Python<'_>, parts: Vec<Bound<'_, Members>>) -> PyResult<Members> {
    let parts: Vec<_> = parts.iter().map(|part| Arc::clone(&part.get().0)).collect();
    let joined = py.detach(|| members::Members::join(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>()));
    Ok(Members(Arc::new(joined.map_err(to_py_err)?)))
}

#[pyfunction]
pub(crate) fn index_keys(py: Python<'_>, keys: &Strings) -> PyResult<(Buffer, Buffer, Buffer)> {
    let index = py.detach(|| keys::index(&keys.0)).map_err(to_py_err)?;
    Ok((
        Buffer::new(index.hash),
        Buffer::new(index.row),
        Buffer::new(index.duplicates),
    ))
}

#[pyfunction]
pub(crate) fn match_keys(py: Python<'_>, keys: &Strings, wanted: &Strings) -> PyResult<Buffer> {
    let rows = py.detach(|| keys::match_rows(&keys.0, &wanted.0)).map_err(to_py_err)?;
    Ok(Buffer::new(rows))
}
