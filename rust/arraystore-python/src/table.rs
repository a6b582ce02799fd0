//! Tables of metadata: `read_table`. Documented in `arraystore.sources.tables`.

use std::path::PathBuf;
use std::sync::Arc;

use arraystore_core::Error;
use arraystore_core::table::{self, Column, Kind, TableOptions, Wanted, json};
use pyo3::prelude::*;

use crate::buffers::Buffer;
use crate::errors::to_py_err;
use crate::strings::Strings;
use crate::watch::watched;

/// Typed columns.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Table(table::Table);

impl Table {
    fn column(&self, name: &str) -> PyResult<&Column> {
        let found = self.0.columns().iter().find(|(column, _)| column == name);
        found
            .map(|(_, column)| column)
            .ok_or_else(|| invalid(format!("the table was read without a column '{name}'")))
    }
}

fn invalid(problem: String) -> PyErr {
    to_py_err(Error::InvalidRequest(problem))
}

fn wrong_kind(name: &str, expected: &str) -> PyErr {
    invalid(format!("column '{name}' was not read as {expected}"))
}

#[pymethods]
impl Table {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.0.columns().iter().map(|(name, _)| name.clone()).collect()
    }

    fn strings(&self, name: &str) -> PyResult<Strings> {
        match self.column(name)? {
            Column::Strings(strings) => Ok(Strings(Arc::clone(strings))),
            _ => Err(wrong_kind(name, "string")),
        }
    }

    fn codes(&self, name: &str) -> PyResult<Buffer> {
        match self.column(name)? {
            Column::Categories { codes, .. } => Ok(Buffer::new(codes.to_vec())),
            _ => Err(wrong_kind(name, "category")),
        }
    }

    fn categories(&self, name: &str) -> PyResult<Vec<String>> {
        match self.column(name)? {
            Column::Categories { categories, .. } => Ok(categories.clone()),
            _ => Err(wrong_kind(name, "category")),
        }
    }

    fn floats(&self, name: &str) -> PyResult<Buffer> {
        match self.column(name)? {
            Column::Floats(values) => Ok(Buffer::new(values.clone())),
            _ => Err(wrong_kind(name, "float")),
        }
    }

    fn integers(&self, name: &str) -> PyResult<(Buffer, Buffer)> {
        match self.column(name)? {
            Column::Integers { values, missing } => Ok((Buffer::new(values.clone()), Buffer::new(missing.clone()))),
            _ => Err(wrong_kind(name, "integer")),
        }
    }

    fn text(&self, name: &str) -> PyResult<(String, Buffer, Buffer)> {
        match self.column(name)? {
            Column::Text { path, offset, nbytes } => Ok((
                path.display().to_string(),
                Buffer::new(offset.clone()),
                Buffer::new(nbytes.clone()),
            )),
            _ => Err(wrong_kind(name, "text")),
        }
    }
}

/// A column and its kind, with `?` behind it if the table may lack the column.
fn wanted((name, kind): (String, String)) -> PyResult<Wanted> {
    let (bare, is_optional) = kind
        .strip_suffix('?')
        .map_or((kind.as_str(), false), |bare| (bare, true));
    let kind = Kind::from_name(bare).ok_or_else(|| {
        invalid(format!(
            "column '{name}': expected string, category, float, integer or text, found '{bare}'"
        ))
    })?;
    Ok(Wanted {
        name,
        kind,
        is_optional,
    })
}

#[pyfunction]
#[pyo3(signature = (path, columns, *, delimiter = ",", missing = vec![String::new()], spill = None, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn read_table(
    py: Python<'_>,
    path: PathBuf,
    columns: Vec<(String, String)>,
    delimiter: &str,
    missing: Vec<String>,
    spill: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Table> {
    let &[delimiter @ 0..0x80] = delimiter.as_bytes() else {
        return Err(invalid(format!(
            "delimiter: expected one ASCII character, found '{delimiter}'"
        )));
    };
    let options = TableOptions {
        columns: columns.into_iter().map(wanted).collect::<PyResult<_>>()?,
        delimiter,
        missing,
        spill,
    };
    watched(py, progress.as_ref(), |progress| table::read(&path, &options, progress)).map(Table)
}

#[pyfunction]
#[pyo3(signature = (path, columns, *, others = None, missing = vec![String::new()], spill = None, progress = None))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn read_json_table(
    py: Python<'_>,
    path: PathBuf,
    columns: Vec<(String, String)>,
    others: Option<&str>,
    missing: Vec<String>,
    spill: Option<PathBuf>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Table> {
    let others = others
        .map(|kind| wanted((String::new(), kind.to_owned())))
        .transpose()?;
    let options = TableOptions {
        columns: columns.into_iter().map(wanted).collect::<PyResult<_>>()?,
        delimiter: b',',
        missing,
        spill,
    };
    let read = |progress: &_| json::read(&path, &options, others.map(|wanted| wanted.kind), progress);
    watched(py, progress.as_ref(), read).map(Table)
}
