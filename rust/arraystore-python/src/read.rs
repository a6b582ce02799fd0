//! Reading a store: keys, fields and batches. Documented in `arraystore.reader`.

use std::path::PathBuf;
use std::sync::Arc;

use arraystore_core::crop::{Policy, Size};
use arraystore_core::extent::Scratch;
use arraystore_core::field::{Field as CoreField, FieldBytes, FieldParts, Ragged, ReadOptions};
use arraystore_core::images::{Boxes, CropOptions, Image, Output};
use arraystore_core::key_table::KeyTable;
use arraystore_core::letters::LetterCodes;
use arraystore_core::output::{Axes, NormaliseTable, normalise_table};
use arraystore_core::pieces::{Column, Number, Pieces};
use arraystore_core::places::{PlaceSource, Places};
use arraystore_core::progress::Progress;
use arraystore_core::seek_file::{self, SeekFile};
use arraystore_core::source::{MappedFile, Stamp, begin_call};
use arraystore_core::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::buffers::{Buffer, Output as OutputBuffer, copied};
use crate::errors::to_py_err;
use crate::strings::Strings;
use crate::watch::watched;

/// `([(path, offset in the file)], bytes per piece, bytes in all)`.
pub(crate) type GivenPieces = (Vec<(PathBuf, u64)>, u64, u64);

fn pieces((places, piece_nbytes, nbytes): GivenPieces) -> Result<Pieces> {
    Pieces::new(places, piece_nbytes, nbytes)
}

pub(crate) fn column<T: Number>(given: GivenPieces, len: u64, what: &str) -> Result<Column<T>> {
    Column::new(pieces(given)?, len, what)
}

/// `(path, None)` of a folder; `(path, (bytes, time of modification))` of a file.
type GivenSource = (PathBuf, Option<(u64, i64)>);

fn place_source((path, stamp): GivenSource) -> PlaceSource {
    match stamp {
        None => PlaceSource::Folder(path),
        Some((nbytes, modified_ns)) => PlaceSource::File(MappedFile::as_listed(path, Stamp { nbytes, modified_ns })),
    }
}

/// Rows whose bytes are brought into memory before they are copied: little enough to stay in the caches.
const PREPARED_ROWS: usize = 64;

/// The keys of a store.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Keys(pub(crate) Arc<KeyTable>);

#[pymethods]
impl Keys {
    #[new]
    fn new(
        n: u64,
        data: GivenPieces,
        offset: GivenPieces,
        nbytes: GivenPieces,
        crc32c: GivenPieces,
        hash: GivenPieces,
        row: GivenPieces,
    ) -> PyResult<Self> {
        let make = || {
            Ok(KeyTable {
                len: n,
                data: pieces(data)?,
                offset: column(offset, n, "key/offset")?,
                nbytes: column(nbytes, n, "key/nbytes")?,
                crc32c: column(crc32c, n, "key/crc32c")?,
                hash: column(hash, n, "key/hash")?,
                row: column(row, n, "key/row")?,
            })
        };
        make().map(|table| Self(Arc::new(table))).map_err(to_py_err)
    }

    fn __len__(&self) -> usize {
        usize::try_from(self.0.len).unwrap_or(usize::MAX)
    }

    fn get(&self, row: u64) -> PyResult<String> {
        begin_call();
        self.0.get(row).map(str::to_owned).map_err(to_py_err)
    }

    fn take(&self, py: Python<'_>, rows: &Bound<'_, PyAny>) -> PyResult<Strings> {
        let rows = rows_of(rows)?;
        py.detach(|| self.0.take(&rows)).map(Strings::from).map_err(to_py_err)
    }

    #[expect(clippy::needless_pass_by_value, reason = "how a list of Python comes in")]
    fn find(&self, py: Python<'_>, keys: Vec<String>) -> PyResult<Buffer> {
        let rows = py.detach(|| {
            begin_call();
            keys.iter()
                .map(|key| self.0.find(key).map(|row| row.map_or(-1, u64::cast_signed)))
                .collect::<Result<Vec<i64>>>()
        });
        rows.map(Buffer::new).map_err(to_py_err)
    }
}

/// One ragged field of a store.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Field(pub(crate) Arc<CoreField>);

#[pymethods]
impl Field {
    #[new]
    #[pyo3(signature = (
        name, n, *, data, offset, nbytes, crc32c=None, height=None, width=None, status=None, keys=None,
        seek=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the arrays of a field, by keyword")]
    fn new(
        name: String,
        n: u64,
        data: GivenPieces,
        offset: GivenPieces,
        nbytes: GivenPieces,
        crc32c: Option<GivenPieces>,
        height: Option<GivenPieces>,
        width: Option<GivenPieces>,
        status: Option<GivenPieces>,
        keys: Option<&Bound<'_, Keys>>,
        seek: Option<PathBuf>,
    ) -> PyResult<Self> {
        let what = |array: &str| format!("{name}/{array}");
        let make = || {
            Ok(FieldParts {
                bytes: FieldBytes::Here(Ragged {
                    data: pieces(data)?,
                    offset: column(offset, n, &what("offset"))?,
                    crc32c: crc32c.map(|given| column(given, n, &what("crc32c"))).transpose()?,
                }),
                nbytes: column(nbytes, n, &what("nbytes"))?,
                height: height.map(|given| column(given, n, &what("height"))).transpose()?,
                width: width.map(|given| column(given, n, &what("width"))).transpose()?,
                status: status.map(|given| column(given, n, &what("status"))).transpose()?,
                keys: keys.map(|keys| Arc::clone(&keys.get().0)),
                seek: seek.and_then(SeekFile::open),
            })
        };
        let parts = make().map_err(to_py_err)?;
        Ok(Self(Arc::new(CoreField::new(name, n, parts))))
    }

    /// A field whose bytes lie in sources that are read as they are.
    #[staticmethod]
    #[pyo3(signature = (
        name, n, *, sources, source, offset, stored_nbytes, nbytes, encoding, crc32, height, width, status, path=None,
        keys=None, seek=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "the arrays of a field, by keyword")]
    fn elsewhere(
        name: String,
        n: u64,
        sources: Vec<GivenSource>,
        source: GivenPieces,
        offset: GivenPieces,
        stored_nbytes: GivenPieces,
        nbytes: GivenPieces,
        encoding: GivenPieces,
        crc32: GivenPieces,
        height: GivenPieces,
        width: GivenPieces,
        status: GivenPieces,
        path: Option<&Bound<'_, Field>>,
        keys: Option<&Bound<'_, Keys>>,
        seek: Option<PathBuf>,
    ) -> PyResult<Self> {
        let what = |array: &str| format!("{name}/{array}");
        let make = || {
            Ok(FieldParts {
                bytes: FieldBytes::Elsewhere(Places {
                    sources: sources.into_iter().map(place_source).collect(),
                    source: column(source, n, &what("source"))?,
                    offset: column(offset, n, &what("offset"))?,
                    stored_nbytes: column(stored_nbytes, n, &what("stored_nbytes"))?,
                    encoding: column(encoding, n, &what("encoding"))?,
                    crc32: column(crc32, n, &what("crc32"))?,
                    path: path.map(|path| Arc::clone(&path.get().0)),
                }),
                nbytes: column(nbytes, n, &what("nbytes"))?,
                height: Some(column(height, n, &what("height"))?),
                width: Some(column(width, n, &what("width"))?),
                status: Some(column(status, n, &what("status"))?),
                keys: keys.map(|keys| Arc::clone(&keys.get().0)),
                seek: seek.and_then(SeekFile::open),
            })
        };
        let parts = make().map_err(to_py_err)?;
        Ok(Self(Arc::new(CoreField::new(name, n, parts))))
    }

    #[pyo3(signature = (path, *, compare, threads, progress=None))]
    #[expect(clippy::needless_pass_by_value, reason = "how arguments of Python come in")]
    fn write_seek(
        &self,
        py: Python<'_>,
        path: PathBuf,
        compare: bool,
        threads: usize,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(u64, u64, u64)> {
        let field = &*self.0;
        let before = field.parts().seek.as_ref();
        let work = |shown: &Progress| {
            begin_call();
            seek_file::write(field, &path, before, compare, threads, shown)
        };
        let found = watched(py, progress.as_ref(), work)?;
        Ok((found.tables, found.left, found.nbytes))
    }

    fn has_seek(&self) -> bool {
        self.0.parts().seek.is_some()
    }

    fn __len__(&self) -> usize {
        usize::try_from(arraystore_core::extent::Extents::len(&*self.0)).unwrap_or(usize::MAX)
    }

    fn offsets(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(
            py,
            match &self.0.parts().bytes {
                FieldBytes::Here(ragged) => Some(&ragged.offset),
                FieldBytes::Elsewhere(places) => Some(&places.offset),
            },
        )
    }

    /// Numbers that rise as the records lie in their sources.
    fn places(&self, py: Python<'_>) -> PyResult<Buffer> {
        /// No file is longer.
        const MOST_OFFSET_BITS: u32 = 44;
        begin_call();
        let places = py.detach(|| match &self.0.parts().bytes {
            FieldBytes::Here(ragged) => ragged.offset.to_vec(),
            FieldBytes::Elsewhere(places) => {
                let sources = places.source.to_vec()?.into_iter();
                let both = sources.zip(places.offset.to_vec()?);
                Ok(both
                    .map(|(source, offset)| u64::from(source) << MOST_OFFSET_BITS | offset)
                    .collect())
            }
        });
        places.map(Buffer::new).map_err(to_py_err)
    }

    fn encoding(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(
            py,
            match &self.0.parts().bytes {
                FieldBytes::Here(_) => None,
                FieldBytes::Elsewhere(places) => Some(&places.encoding),
            },
        )
    }

    fn checksums(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(
            py,
            match &self.0.parts().bytes {
                FieldBytes::Here(ragged) => ragged.crc32c.as_ref(),
                FieldBytes::Elsewhere(_) => None,
            },
        )
    }

    fn nbytes(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(py, Some(&self.0.parts().nbytes))
    }

    fn status(&self, py: Python<'_>) -> PyResult<Buffer> {
        whole(py, self.0.parts().status.as_ref())
    }

    #[pyo3(signature = (rows, *, threads))]
    fn sizes(&self, py: Python<'_>, rows: &Bound<'_, PyAny>, threads: usize) -> PyResult<Buffer> {
        let rows = rows_of(rows)?;
        let sizes = py.detach(|| self.0.sizes(&rows, threads)).map_err(to_py_err)?;
        Ok(Buffer::with_shape(sizes, &[rows.len(), 2]))
    }

    #[pyo3(signature = (rows, *, verify))]
    fn fetch<'py>(&self, rows: &Bound<'py, PyAny>, verify: bool) -> PyResult<Bound<'py, PyList>> {
        let py = rows.py();
        let rows = rows_of(rows)?;
        let list = PyList::empty(py);
        let mut scratch = Scratch::default();
        // A part at a time: first detached, brought into memory and checked; then attached, copied into objects.
        for part in rows.chunks(PREPARED_ROWS) {
            let gathered = py
                .detach(|| self.0.gather(part, verify, &mut scratch))
                .map_err(to_py_err)?;
            for bytes in gathered.iter() {
                match bytes {
                    Some(bytes) => list.append(PyBytes::new(py, bytes))?,
                    None => list.append(py.None())?,
                }
            }
        }
        Ok(list)
    }

    #[pyo3(signature = (rows, out, *, codes, padding, length, verify))]
    #[expect(clippy::too_many_arguments, reason = "the options of a batch of codes, by keyword")]
    fn encode_letters(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        codes: &[u8],
        padding: u8,
        length: usize,
        verify: bool,
    ) -> PyResult<()> {
        let rows = rows_of(rows)?;
        let mut out = OutputBuffer::<u8>::new(out, "out")?;
        let codes = codes.try_into().map_err(|_| {
            to_py_err(Error::InvalidRequest(
                "codes: expected one for each of 256 bytes".to_owned(),
            ))
        })?;
        let form = LetterCodes { codes, padding, length };
        let memory = out.as_mut_slice();
        py.detach(|| self.0.encode_letters(&rows, form, verify, memory))
            .map_err(to_py_err)
    }

    #[pyo3(signature = (rows, *, verify, threads))]
    fn decode(&self, py: Python<'_>, rows: &Bound<'_, PyAny>, verify: bool, threads: usize) -> PyResult<Vec<Buffer>> {
        let rows = rows_of(rows)?;
        images(py.detach(|| self.0.decode(&rows, ReadOptions { verify, threads })))
    }

    #[pyo3(signature = (rows, boxes, *, verify, threads))]
    fn decode_boxes(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        boxes: &Bound<'_, PyAny>,
        verify: bool,
        threads: usize,
    ) -> PyResult<Vec<Buffer>> {
        let rows = rows_of(rows)?;
        let boxes = copied::<i64>(boxes, "boxes")?;
        let (boxes, _) = boxes.as_chunks::<4>();
        images(py.detach(|| self.0.decode_boxes(&rows, boxes, ReadOptions { verify, threads })))
    }

    #[pyo3(signature = (
        rows, out, *, policy, size, scale, ratio, flip, seed, epoch, boxes, boxes_out, flips_out, channels_first, normalise,
        verify, threads
    ))]
    #[expect(clippy::too_many_arguments, reason = "the options of a batch of crops, by keyword")]
    fn crops(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        policy: &str,
        size: (u32, u32),
        scale: (f64, f64),
        ratio: (f64, f64),
        flip: f64,
        seed: u64,
        epoch: u64,
        boxes: Option<&Bound<'_, PyAny>>,
        boxes_out: Option<&Bound<'_, PyAny>>,
        flips_out: Option<&Bound<'_, PyAny>>,
        channels_first: bool,
        normalise: Option<([f64; 3], [f64; 3])>,
        verify: bool,
        threads: usize,
    ) -> PyResult<()> {
        let rows = rows_of(rows)?;
        let given = boxes.map(|boxes| copied::<i64>(boxes, "boxes")).transpose()?;
        let boxes = match &given {
            Some(given) => Boxes::Given(given.as_chunks::<4>().0),
            None => Boxes::Drawn {
                policy: policy_of(policy, scale, ratio)?,
                seed,
                epoch,
                flip,
            },
        };
        let table = normalise.map(|(mean, std)| normalise_table(mean, std));
        let mut memory = Memory::new(out, table.as_deref())?;
        let crops = CropOptions {
            size: Size {
                height: size.0,
                width: size.1,
            },
            axes: axes_of(channels_first),
        };
        let options = ReadOptions { verify, threads };
        let output = memory.output();
        let done = py
            .detach(|| self.0.crops(&rows, &boxes, output, crops, options))
            .map_err(to_py_err)?;
        if let Some(boxes_out) = boxes_out {
            let mut out = OutputBuffer::<i64>::new(boxes_out, "boxes_out")?;
            for (four, crop) in out.as_mut_slice().chunks_exact_mut(4).zip(&done) {
                let cut = crop.cut;
                four.copy_from_slice(&[cut.top, cut.left, cut.size.height, cut.size.width].map(i64::from));
            }
        }
        if let Some(flips_out) = flips_out {
            let mut out = OutputBuffer::<u8>::new(flips_out, "flips_out")?;
            for (flag, crop) in out.as_mut_slice().iter_mut().zip(&done) {
                *flag = u8::from(crop.flip);
            }
        }
        Ok(())
    }

    #[pyo3(signature = (start, stop, *, threads))]
    fn check(&self, py: Python<'_>, start: u64, stop: u64, threads: usize) -> PyResult<Vec<(u64, String, String)>> {
        let found = py.detach(|| self.0.check(start..stop, threads)).map_err(to_py_err)?;
        Ok(found
            .into_iter()
            .map(|(row, error)| (row, error.code().to_owned(), error.to_string()))
            .collect())
    }
}

/// The caller's array for crops, of either dtype.
enum Memory<'t> {
    Bytes(OutputBuffer<u8>),
    Floats(OutputBuffer<f32>, &'t NormaliseTable),
}

impl<'t> Memory<'t> {
    fn new(out: &Bound<'_, PyAny>, table: Option<&'t NormaliseTable>) -> PyResult<Self> {
        Ok(match table {
            None => Self::Bytes(OutputBuffer::new(out, "out")?),
            Some(table) => Self::Floats(OutputBuffer::new(out, "out")?, table),
        })
    }

    fn output(&mut self) -> Output<'_> {
        match self {
            Self::Bytes(buffer) => Output::Bytes(buffer.as_mut_slice()),
            Self::Floats(buffer, table) => Output::Floats(buffer.as_mut_slice(), table),
        }
    }
}

/// Row numbers that Python has already checked to lie in the store; a negative one is out of range here.
pub(crate) fn rows_of(rows: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
    Ok(copied::<i64>(rows, "rows")?
        .into_iter()
        .map(i64::cast_unsigned)
        .collect())
}

pub(crate) fn whole<T: Number + crate::buffers::Item>(py: Python<'_>, column: Option<&Column<T>>) -> PyResult<Buffer> {
    begin_call();
    let values = py.detach(|| column.map_or_else(|| Ok(Vec::new()), Column::to_vec));
    values.map(Buffer::new).map_err(to_py_err)
}

pub(crate) fn image_buffer(image: Image) -> Buffer {
    let shape = [image.size.height as usize, image.size.width as usize, 3];
    Buffer::with_shape(image.memory, &shape)
}

fn images(decoded: Result<Vec<Image>>) -> PyResult<Vec<Buffer>> {
    decoded
        .map(|images| images.into_iter().map(image_buffer).collect())
        .map_err(to_py_err)
}

pub(crate) fn policy_of(name: &str, scale: (f64, f64), ratio: (f64, f64)) -> PyResult<Policy> {
    match name {
        "random-resized" => Ok(Policy::RandomResized { scale, ratio }),
        "random" => Ok(Policy::Random),
        "center" => Ok(Policy::Center),
        other => Err(to_py_err(Error::InvalidRequest(format!(
            "no crop policy is called {other:?}"
        )))),
    }
}

pub(crate) fn axes_of(channels_first: bool) -> Axes {
    if channels_first {
        Axes::ChannelsFirst
    } else {
        Axes::ChannelsLast
    }
}
