//! Fields of arrays, and the headers of TIFF files. Documented in `arraystore.reader` and `arraystore.sources`.

use std::path::PathBuf;
use std::sync::Arc;

use arraystore_core::arrays::{ArrayField as CoreField, ArrayParts, CompressedShards, Items};
use arraystore_core::field::ReadOptions;
use arraystore_core::pieces::Pieces;
use arraystore_core::source::begin_call;
use arraystore_core::tiff::{self, PatchForm, Sample};
use arraystore_core::{Error, Result, crop};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffers::{Buffer, Output as OutputBuffer};
use crate::errors::to_py_err;
use crate::read::{GivenPieces, Keys, column, rows_of, whole};

/// One field of arrays of a store.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct ArrayField(pub(crate) Arc<CoreField>);

#[pymethods]
impl ArrayField {
    #[new]
    #[pyo3(signature = (name, n, *, count, item_nbytes, files, shard_items, codec, row, crc32c, status, keys=None))]
    #[expect(clippy::too_many_arguments, reason = "the arrays of a field, by keyword")]
    #[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
    fn new(
        name: String,
        n: u64,
        count: u64,
        item_nbytes: usize,
        files: Vec<(PathBuf, u64)>,
        shard_items: u64,
        codec: Option<String>,
        row: GivenPieces,
        crc32c: GivenPieces,
        status: GivenPieces,
        keys: Option<&Bound<'_, Keys>>,
    ) -> PyResult<Self> {
        let what = |array: &str| format!("{name}/{array}");
        let make = || {
            let items = match codec.as_deref() {
                None => {
                    let nbytes = |items: u64| items.saturating_mul(item_nbytes as u64);
                    Items::Plain(Pieces::new(files, nbytes(shard_items), nbytes(count))?)
                }
                Some(codec) => {
                    let files = files.into_iter().map(|(path, _)| path).collect();
                    let shards = CompressedShards::new(files, shard_items, count)?;
                    if codec == "zstd" {
                        Items::Zstd(shards)
                    } else {
                        Items::Foreign(shards)
                    }
                }
            };
            Ok(ArrayParts {
                items,
                count,
                item_nbytes,
                row: column(row, n, &what("row"))?,
                crc32c: column(crc32c, count, &what("crc32c"))?,
                status: column(status, count, &what("status"))?,
                keys: keys.map(|keys| Arc::clone(&keys.get().0)),
            })
        };
        let parts = make().map_err(to_py_err)?;
        Ok(Self(Arc::new(CoreField::new(name, n, parts))))
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.0.len()).unwrap_or(usize::MAX)
    }

    fn row(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(py, Some(&self.0.parts().row))
    }

    fn checksums(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(py, Some(&self.0.parts().crc32c))
    }

    fn status(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(py, Some(&self.0.parts().status))
    }

    #[pyo3(signature = (rows, out, *, verify, threads))]
    fn gather(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        verify: bool,
        threads: usize,
    ) -> PyResult<()> {
        let rows = rows_of(rows)?;
        let mut out = OutputBuffer::<u8>::new(out, "out")?;
        let items = out.as_mut_slice();
        let options = ReadOptions { verify, threads };
        py.detach(|| self.0.gather(&rows, items, options)).map_err(to_py_err)
    }

    fn stored<'py>(&self, py: Python<'py>, rows: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let rows = rows_of(rows)?;
        let stored = py.detach(|| self.0.stored(&rows)).map_err(to_py_err)?;
        Ok(stored.into_iter().map(|bytes| PyBytes::new(py, bytes)).collect())
    }

    fn stored_item<'py>(&self, py: Python<'py>, item: u64) -> PyResult<Bound<'py, PyBytes>> {
        let stored = self.0.stored_item(item).map_err(to_py_err)?;
        Ok(PyBytes::new(py, stored))
    }

    fn compare(&self, py: Python<'_>, rows: &Bound<'_, PyAny>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let rows = rows_of(rows)?;
        let mut items = OutputBuffer::<u8>::new(items, "items")?;
        let items = items.as_mut_slice();
        py.detach(|| self.0.verify(&rows, items)).map_err(to_py_err)
    }

    fn check_bytes(&self, item: u64, data: &[u8]) -> PyResult<()> {
        begin_call();
        self.0.check_bytes(item, data).map_err(to_py_err)
    }

    #[pyo3(signature = (start, stop, *, threads))]
    fn check(&self, py: Python<'_>, start: u64, stop: u64, threads: usize) -> PyResult<Vec<(u64, String, String)>> {
        let found = py.detach(|| self.0.check(start..stop, threads)).map_err(to_py_err)?;
        Ok(found
            .into_iter()
            .map(|(item, error)| (item, error.code().to_owned(), error.to_string()))
            .collect())
    }
}

/// `(dtype, (height, width))`.
type GivenForm = (String, (u32, u32));

/// The form of the patch in a TIFF file, or why it is none.
#[pyfunction]
pub(crate) fn tiff_form(file: &[u8]) -> (Option<GivenForm>, String) {
    match tiff::form_of(file) {
        Ok(PatchForm { sample, size }) => (
            Some((sample.name().to_owned(), (size.height, size.width))),
            String::new(),
        ),
        Err(flaw) => (None, flaw.text),
    }
}

/// What is expected of TIFF files, as Python gives it.
pub(crate) fn patch_form((dtype, (height, width)): GivenForm) -> Result<PatchForm> {
    let sample = Sample::from_name(&dtype).ok_or_else(|| {
        Error::InvalidRequest(format!("tiff: expected samples of uint16 or float32, found {dtype:?}"))
    })?;
    let size = crop::Size { height, width };
    Ok(PatchForm { sample, size })
}
