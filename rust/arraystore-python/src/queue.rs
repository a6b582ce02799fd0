//! Work ahead of a training loop, and the order of its epochs. Documented in `arraystore.loader`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arraystore_core::crop::Size;
use arraystore_core::images::{CropOptions, CropRequest, ViewMemory};
use arraystore_core::order::{Order, Permutation, Windows, order_key, unit_at};
use arraystore_core::output::normalise_table;
use arraystore_core::patches::{PatchField, PatchRequest, patches_ahead};
use arraystore_core::queue::Queue as CoreQueue;
use arraystore_core::{Error, Result};
use pyo3::prelude::*;

use crate::arguments::numbers;
use crate::arrays::ArrayField;
use crate::buffers::{Buffer, Filling, Output};
use crate::errors::to_py_err;
use crate::read::{Field, axes_of, policy_of, rows_of};

/// A field, height and width of its arrays, bytes of an element, and the memory to fill.
type GivenField<'py> = (Bound<'py, ArrayField>, (u32, u32), usize, Bound<'py, PyAny>);

/// How often a wait looks for Ctrl-C.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Threads that work ahead.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Queue(Mutex<Option<CoreQueue>>);

/// Arrays that are being filled.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Job(Filling);

#[pymethods]
impl Queue {
    #[new]
    fn new(threads: usize) -> PyResult<Self> {
        let queue = CoreQueue::new(threads).map_err(to_py_err)?;
        Ok(Self(Mutex::new(Some(queue))))
    }

    #[pyo3(signature = (
        field, rows, out, *, keys, policy, size, scale, ratio, flip, seed, epoch, views, channels_first, normalise, verify
    ))]
    #[expect(clippy::too_many_arguments, reason = "the options of a batch of crops, by keyword")]
    fn crops(
        &self,
        field: &Bound<'_, Field>,
        rows: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyAny>>,
        policy: &str,
        size: (u32, u32),
        scale: (f64, f64),
        ratio: (f64, f64),
        flip: f64,
        seed: u64,
        epoch: u64,
        views: usize,
        channels_first: bool,
        normalise: Option<([f64; 3], [f64; 3])>,
        verify: bool,
    ) -> PyResult<Job> {
        let (height, width) = size;
        let request = CropRequest {
            rows: rows_of(rows)?,
            keys: keys.map(|keys| numbers(keys, "keys")).transpose()?,
            policy: policy_of(policy, scale, ratio)?,
            seed,
            epoch,
            flip,
            views,
            crops: CropOptions {
                size: Size { height, width },
                axes: axes_of(channels_first),
            },
            verify,
        };
        let core = &field.get().0;
        let filling = match normalise {
            None => {
                let outputs = vec![Output::<u8>::new(out, "out")?];
                self.with(|queue| {
                    Filling::start(outputs, |lent| {
                        core.crops_ahead(queue, request, ViewMemory::Bytes(the_one(lent)))
                    })
                })
            }
            Some((mean, std)) => {
                let outputs = vec![Output::<f32>::new(out, "out")?];
                let table = normalise_table(mean, std);
                self.with(|queue| {
                    Filling::start(outputs, |lent| {
                        core.crops_ahead(queue, request, ViewMemory::Floats(the_one(lent), table))
                    })
                })
            }
        };
        filling.map(Job).map_err(to_py_err)
    }

    #[pyo3(signature = (fields, rows, *, keys, size, center, flip, turn, seed, epoch, verify))]
    #[expect(clippy::too_many_arguments, reason = "the options of a batch of patches, by keyword")]
    fn patches(
        &self,
        fields: Vec<GivenField<'_>>,
        rows: &Bound<'_, PyAny>,
        keys: Option<&Bound<'_, PyAny>>,
        size: Option<(u32, u32)>,
        center: bool,
        flip: f64,
        turn: bool,
        seed: u64,
        epoch: u64,
        verify: bool,
    ) -> PyResult<Job> {
        let sized = |(height, width)| Size { height, width };
        let outputs = fields
            .iter()
            .map(|(.., out)| Output::<u8>::new(out, "out"))
            .collect::<PyResult<_>>()?;
        let request = PatchRequest {
            rows: rows_of(rows)?,
            keys: keys.map(|keys| numbers(keys, "keys")).transpose()?,
            fields: fields
                .into_iter()
                .map(|(field, size, element_nbytes, _)| PatchField {
                    field: Arc::clone(&field.get().0),
                    size: sized(size),
                    element_nbytes,
                })
                .collect(),
            size: size.map(sized),
            center,
            seed,
            epoch,
            flip,
            turn,
            verify,
        };
        let filling = self.with(|queue| Filling::start(outputs, |lent| patches_ahead(queue, request, lent)));
        filling.map(Job).map_err(to_py_err)
    }

    /// Ends the threads, after the items that they are working on.
    fn close(&self, py: Python<'_>) {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(queue));
    }
}

impl Queue {
    fn with<T>(&self, work: impl FnOnce(&CoreQueue) -> Result<T>) -> Result<T> {
        let queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || Error::InvalidRequest("the queue was closed".to_owned());
        work(queue.as_ref().ok_or_else(closed)?)
    }
}

#[pymethods]
impl Job {
    /// Waits until all are done; the place and the error of each that failed.
    fn wait(&self, py: Python<'_>) -> PyResult<Vec<(usize, Py<PyAny>)>> {
        let job = self.0.job();
        while !py.detach(|| job.wait(LOOK_EVERY)) {
            py.check_signals()?;
        }
        let failures = job.failures().map_err(to_py_err)?;
        let failures = failures.into_iter();
        Ok(failures
            .map(|(index, error)| (index, to_py_err(error).into_value(py).into_any()))
            .collect())
    }
}

/// The rows that stand at some positions of an epoch.
#[pyfunction]
#[pyo3(signature = (positions, *, n, seed, epoch, window))]
pub(crate) fn order(
    positions: &Bound<'_, PyAny>,
    n: u64,
    seed: u64,
    epoch: u64,
    window: Option<(u64, u64)>,
) -> PyResult<Buffer> {
    let positions = numbers(positions, "positions")?;
    let key = order_key(seed, epoch);
    let make = || match window {
        None => Ok(Order::Full(Permutation::new(n, key))),
        Some((block, blocks)) => Windows::new(n, key, block, blocks).map(Order::Window),
    };
    let rows = make().and_then(|order| order.take(positions.into_iter()));
    rows.map(Buffer::new).map_err(to_py_err)
}

/// A number in [0, 1) for each of some positions of an epoch.
#[pyfunction]
#[pyo3(signature = (positions, *, seed, epoch))]
pub(crate) fn units(positions: &Bound<'_, PyAny>, seed: u64, epoch: u64) -> PyResult<Buffer> {
    let positions = numbers(positions, "positions")?;
    let units: Vec<f64> = positions
        .into_iter()
        .map(|position| unit_at(seed, epoch, position))
        .collect();
    Ok(Buffer::new(units))
}

fn the_one<T>(lent: Vec<&'static mut [T]>) -> &'static mut [T] {
    lent.into_iter().next().unwrap_or_default()
}
