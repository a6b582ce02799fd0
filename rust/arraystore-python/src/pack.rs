//! The writing side of `arraystore._core`: shard files and their checksums.
//!
//! Documented in `arraystore.ingestion`.

use std::path::PathBuf;

use arraystore_core::pack::{Check, Compare, MadeTables, PackOptions, Packed, Target, decodes, gather_tables, pack};
use arraystore_core::shard::{self, Sharding};
use arraystore_core::{Error, checksum};
use pyo3::prelude::*;

use crate::arguments::{numbers, raw_bytes};
use crate::arrays::patch_form;
use crate::buffers::Buffer;
use crate::errors::to_py_err;
use crate::ingest::Extents;
use crate::watch::watched;

/// What was found out about each record.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct PackResult(Packed);

#[pymethods]
impl PackResult {
    #[getter]
    fn nbytes(&self) -> Buffer {
        Buffer::new(self.0.outcomes.nbytes.clone())
    }

    #[getter]
    fn height(&self) -> Buffer {
        Buffer::new(self.0.outcomes.height.clone())
    }

    #[getter]
    fn width(&self) -> Buffer {
        Buffer::new(self.0.outcomes.width.clone())
    }

    #[getter]
    fn crc32c(&self) -> Buffer {
        Buffer::new(self.0.outcomes.crc32c.clone())
    }

    #[getter]
    fn status(&self) -> Buffer {
        Buffer::new(self.0.outcomes.status.clone())
    }

    #[getter]
    fn details(&self) -> Vec<(u64, String)> {
        self.0.outcomes.details.clone()
    }

    #[getter]
    fn shards_written(&self) -> u64 {
        self.0.shards_written
    }

    #[getter]
    fn shards_kept(&self) -> u64 {
        self.0.shards_kept
    }
}

fn check_of(name: &str) -> Result<Check<'static>, Error> {
    match name {
        "none" => Ok(Check::None),
        "header" => Ok(Check::Header),
        "pixels" => Ok(Check::Pixels(&decodes)),
        _ => Err(Error::InvalidRequest(format!(
            "check: expected 'none', 'header' or 'pixels', found '{name}'"
        ))),
    }
}

#[pyfunction]
#[pyo3(
    name = "pack",
    signature = (
        extents, place, nbytes, *, journal, total_nbytes, shard_nbytes, fingerprint, check, threads,
        directory = None, chunk_nbytes = None, file = None, offset = None, first_shard = 0, seek = None,
        tiff = None, progress = None
    )
)]
#[expect(
    clippy::too_many_arguments,
    clippy::needless_pass_by_value,
    reason = "the keyword arguments of a Python function"
)]
pub(crate) fn pack_records(
    py: Python<'_>,
    extents: &Extents,
    place: &Bound<'_, PyAny>,
    nbytes: &Bound<'_, PyAny>,
    journal: PathBuf,
    total_nbytes: u64,
    shard_nbytes: u64,
    fingerprint: u64,
    check: &str,
    threads: usize,
    directory: Option<PathBuf>,
    chunk_nbytes: Option<u64>,
    file: Option<PathBuf>,
    offset: Option<u64>,
    first_shard: u64,
    seek: Option<bool>,
    tiff: Option<(String, (u32, u32))>,
    progress: Option<Py<PyAny>>,
) -> PyResult<PackResult> {
    let (place, nbytes) = (numbers(place, "place")?, numbers(nbytes, "nbytes")?);
    let (target, chunk_nbytes) = match (directory, chunk_nbytes, file, offset) {
        (Some(directory), Some(chunk_nbytes), None, None) => (Target::Shards { directory }, chunk_nbytes),
        // A span has no chunks; its shards are whole ones.
        (None, None, Some(file), Some(offset)) => (Target::Span { file, offset }, shard_nbytes),
        _ => {
            return Err(to_py_err(Error::InvalidRequest(
                "expected directory and chunk_nbytes, or file and offset".to_owned(),
            )));
        }
    };
    let options = PackOptions {
        target,
        journal,
        total_nbytes,
        first_shard,
        sharding: Sharding::new(shard_nbytes, chunk_nbytes).map_err(to_py_err)?,
        fingerprint,
        check: check_of(check).map_err(to_py_err)?,
        seek: seek.map(Compare),
        tiff: tiff.map(patch_form).transpose().map_err(to_py_err)?,
        threads,
    };
    let packed = watched(py, progress.as_ref(), |progress| {
        pack(&*extents.0, &place, &nbytes, &options, progress)
    })?;
    Ok(PackResult(packed))
}

#[pyfunction]
#[pyo3(name = "gather_tables", signature = (path, *, before, journal, shards, total, order))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn gather_seek_tables(
    py: Python<'_>,
    path: PathBuf,
    before: Option<PathBuf>,
    journal: PathBuf,
    shards: (u64, u64),
    total: u64,
    order: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let order = numbers(order, "order")?;
    let made = MadeTables {
        before: before.as_deref(),
        journal: &journal,
        shards: shards.0..shards.1,
        total,
    };
    py.detach(|| gather_tables(&made, &order, &path)).map_err(to_py_err)
}

#[pyfunction]
#[pyo3(signature = (data, *, directory, shard_nbytes, chunk_nbytes))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn write_sharded(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    directory: PathBuf,
    shard_nbytes: u64,
    chunk_nbytes: u64,
) -> PyResult<Vec<(String, u32)>> {
    let data = raw_bytes(data)?;
    let sharding = Sharding::new(shard_nbytes, chunk_nbytes).map_err(to_py_err)?;
    let checksums = py
        .detach(|| shard::write(&data, &directory, sharding))
        .map_err(to_py_err)?;
    let named = checksums.into_iter().enumerate();
    Ok(named.map(|(number, checksum)| (number.to_string(), checksum)).collect())
}

#[pyfunction]
#[pyo3(signature = (path, *, offset = 0, nbytes = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn file_crc32c(py: Python<'_>, path: PathBuf, offset: u64, nbytes: Option<u64>) -> PyResult<u32> {
    py.detach(|| shard::file_crc32c(&path, offset, nbytes))
        .map_err(to_py_err)
}

#[pyfunction]
#[pyo3(signature = (data, initial = 0))]
pub(crate) fn crc32c(data: &[u8], initial: u32) -> u32 {
    checksum::crc32c_append(initial, data)
}

#[pyfunction]
pub(crate) fn release_memory(py: Python<'_>) {
    py.detach(arraystore_core::memory::release);
}
