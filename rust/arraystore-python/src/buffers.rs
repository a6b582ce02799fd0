//! Memory that crosses the border without a copy: arrays that Rust owns and Python reads, and the reverse.
//!
//! The only file of this crate with `unsafe` code.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use arraystore_core::Result;
use arraystore_core::queue::Job;
use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::errors::InvalidRequestError;

/// A C-ordered array that Rust owns; `numpy.asarray` of it makes no copy.
#[pyclass(frozen, module = "arraystore._core")]
pub(crate) struct Buffer {
    /// Dropped with the buffer; until then its memory stays where it is.
    _owner: Box<dyn Send + Sync>,
    memory: Memory,
    nbytes: usize,
    itemsize: isize,
    format: &'static CStr,
    shape: Box<[isize]>,
    strides: Box<[isize]>,
}

/// Where the array begins.
struct Memory(*mut c_void);

// SAFETY: the pointer is only handed to Python, whose users synchronise access to the array as for any other.
unsafe impl Send for Memory {}
// SAFETY: as above; Rust does not follow the pointer again.
unsafe impl Sync for Memory {}

/// An element type and its code in Python's `struct` module.
pub(crate) trait Item: Copy + Send + Sync + 'static {
    const FORMAT: &'static CStr;
}

macro_rules! items {
    ($($type:ty => $format:literal),*) => { $(impl Item for $type { const FORMAT: &'static CStr = $format; })* };
}
items!(u8 => c"B", u16 => c"H", u32 => c"I", u64 => c"Q", i32 => c"i", i64 => c"q", f64 => c"d", bool => c"?");

impl Buffer {
    /// A one-dimensional array.
    pub(crate) fn new<T: Item>(values: Vec<T>) -> Self {
        let len = values.len();
        Self::with_shape::<T, _>(values, &[len])
    }

    /// An array of any shape over memory on the heap, whose type knows what to do with it when it is dropped.
    pub(crate) fn with_shape<T: Item, M: AsMut<[T]> + Send + Sync + 'static>(mut memory: M, shape: &[usize]) -> Self {
        let values = memory.as_mut();
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        let mut strides = vec![0; shape.len()];
        let mut stride = size_of::<T>().cast_signed();
        for (axis, &extent) in shape.iter().enumerate().rev() {
            strides[axis] = stride;
            stride *= extent.cast_signed();
        }
        Self {
            memory: Memory(values.as_mut_ptr().cast()),
            nbytes: size_of_val(values),
            _owner: Box::new(memory),
            itemsize: size_of::<T>().cast_signed(),
            format: T::FORMAT,
            shape: shape.iter().map(|extent| extent.cast_signed()).collect(),
            strides: strides.into(),
        }
    }
}

#[pymethods]
impl Buffer {
    fn __len__(&self) -> usize {
        self.shape.first().map_or(0, |len| len.cast_unsigned())
    }

    #[getter]
    fn shape(&self) -> Vec<isize> {
        self.shape.to_vec()
    }

    #[expect(clippy::needless_pass_by_value, reason = "the signature of the protocol")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, _flags: c_int) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("view is null"));
        }
        let this = slf.get();
        // SAFETY: `view` is a Py_buffer of the caller's, by the protocol. What it points to lives in the frozen object that
        // `view.obj` keeps alive. The array is handed out once, as it is made, so Python is its only user and may write to
        // it. Shape, strides and format are given whatever the flags, which the protocol permits for a C-ordered buffer.
        unsafe {
            (*view).buf = this.memory.0;
            (*view).len = this.nbytes.cast_signed();
            (*view).readonly = 0;
            (*view).itemsize = this.itemsize;
            (*view).format = this.format.as_ptr().cast_mut();
            (*view).ndim = c_int::try_from(this.shape.len()).unwrap_or(0);
            (*view).shape = this.shape.as_ptr().cast_mut();
            (*view).strides = this.strides.as_ptr().cast_mut();
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.clone().into_any().into_ptr();
        }
        Ok(())
    }
}

/// Copies an array argument: another thread may write to it once we detach.
pub(crate) fn copied<T: Element>(argument: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<T>> {
    let buffer = PyBuffer::<T>::get(argument).map_err(|error| {
        InvalidRequestError::new_err((
            format!("{what}: expected an array of {}: {error}", std::any::type_name::<T>()),
            "invalid-request",
        ))
    })?;
    buffer.to_vec(argument.py())
}

/// A writable C-ordered array of the caller's, to be filled while detached.
pub(crate) struct Output<T: Element> {
    buffer: PyBuffer<T>,
}

impl<T: Element> Output<T> {
    /// Checks that the array can be filled.
    pub(crate) fn new(argument: &Bound<'_, PyAny>, what: &str) -> PyResult<Self> {
        let invalid = |problem: String| InvalidRequestError::new_err((format!("{what}: {problem}"), "invalid-request"));
        let buffer = PyBuffer::<T>::get(argument)
            .map_err(|error| invalid(format!("expected an array of {}: {error}", std::any::type_name::<T>())))?;
        if buffer.readonly() {
            return Err(invalid("expected a writable array, found a read-only one".to_owned()));
        }
        if !buffer.is_c_contiguous() {
            return Err(invalid("expected a C-contiguous array, found a strided one".to_owned()));
        }
        Ok(Self { buffer })
    }

    /// The memory to fill.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let len = self.buffer.item_count();
        if len == 0 {
            return &mut [];
        }
        // SAFETY: the buffer is writable and C-contiguous (checked by `new`), holds `len` initialised items, and is held, so
        // that its owner cannot free or resize it. As for NumPy's own `out=`, no other thread may use it during the call.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.buf_ptr().cast(), len) }
    }
}

/// Arrays of the caller's that the threads of a queue fill after we have returned.
pub(crate) struct Filling {
    /// Ended by `drop`, before the arrays are let go.
    job: Job,
    _outputs: Box<dyn Send + Sync>,
}

impl Filling {
    /// Lends arrays to a job. `submit` must give what it gets to the job that it returns, and to nothing else.
    pub(crate) fn start<T: Element + Send + Sync + 'static>(
        mut outputs: Vec<Output<T>>,
        submit: impl FnOnce(Vec<&'static mut [T]>) -> Result<Job>,
    ) -> Result<Self> {
        let lent = outputs
            .iter_mut()
            .map(|output| {
                let memory = output.as_mut_slice();
                // SAFETY: the memory belongs to a buffer that `outputs` holds, wherever that is moved; it is held until no
                // thread of the job uses it (`drop`). Only the job has the slice. In a child after a fork there is no thread.
                unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr(), memory.len()) }
            })
            .collect();
        let job = submit(lent)?;
        Ok(Self {
            job,
            _outputs: Box::new(outputs),
        })
    }

    /// The job.
    pub(crate) fn job(&self) -> &Job {
        &self.job
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.job.cancel();
    }
}
