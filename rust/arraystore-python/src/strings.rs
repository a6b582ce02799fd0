//! `Strings`: arrays of text that Python passes around without making five million objects.

use std::sync::Arc;

use arraystore_core::{Error, checksum, strings};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

use crate::arguments::numbers;
use crate::buffers::{Buffer, copied};
use crate::errors::to_py_err;

/// An immutable array of strings.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Strings(pub(crate) Arc<strings::Strings>);

impl From<strings::Strings> for Strings {
    fn from(strings: strings::Strings) -> Self {
        Self(Arc::new(strings))
    }
}

#[pymethods]
impl Strings {
    #[new]
    fn new(py: Python<'_>, data: &Bound<'_, PyAny>, offsets: &Bound<'_, PyAny>) -> PyResult<Self> {
        let data = copied::<u8>(data, "data")?;
        let offsets = numbers(offsets, "offsets")?;
        let strings = py.detach(|| strings::Strings::new(data, offsets));
        Ok(strings.map_err(to_py_err)?.into())
    }

    #[staticmethod]
    fn from_list(values: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut strings = strings::Strings::default();
        for value in values.try_iter()? {
            strings.push(value?.extract::<std::borrow::Cow<'_, str>>()?.as_ref());
        }
        Ok(strings.into())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __getitem__(&self, index: isize) -> PyResult<&str> {
        let len = self.0.len();
        let from_start = if index < 0 {
            len.checked_add_signed(index)
        } else {
            Some(index.unsigned_abs())
        };
        from_start
            .and_then(|index| self.0.get(index))
            .ok_or_else(|| PyIndexError::new_err(format!("index {index} is out of range for {len} strings")))
    }

    #[getter]
    fn data(&self) -> Buffer {
        Buffer::new(self.0.data().to_vec())
    }

    #[getter]
    fn offsets(&self) -> Buffer {
        Buffer::new(self.0.offsets().to_vec())
    }

    fn crc32c(&self, py: Python<'_>) -> Buffer {
        let of = |text: &str| checksum::crc32c(text.as_bytes());
        Buffer::new(py.detach(|| self.0.iter().map(of).collect::<Vec<u32>>()))
    }

    fn take(&self, py: Python<'_>, indices: &Bound<'_, PyAny>) -> PyResult<Self> {
        let indices = numbers(indices, "indices")?;
        Ok(py.detach(|| self.0.take(&indices)).map_err(to_py_err)?.into())
    }

    #[pyo3(signature = (start = 0, stop = None))]
    fn to_list(&self, start: i64, stop: Option<i64>) -> PyResult<Vec<&str>> {
        let len = self.0.len();
        let stop = stop.map_or(Ok(len), |stop| bound(stop, len))?;
        Ok((bound(start, len)?..stop)
            .filter_map(|index| self.0.get(index))
            .collect())
    }
}

/// A bound of a slice, as Python reads it.
fn bound(bound: i64, len: usize) -> PyResult<usize> {
    let total = i64::try_from(len).map_err(|_| to_py_err(Error::Internal("too many strings".to_owned())))?;
    let from_start = if bound < 0 { total.saturating_add(bound) } else { bound };
    Ok(usize::try_from(from_start.clamp(0, total)).unwrap_or(len))
}
