//! Arguments that Python gives in more than one form.

use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;

use crate::errors::InvalidRequestError;

fn invalid(problem: String) -> PyErr {
    InvalidRequestError::new_err((problem, "invalid-request"))
}

fn converted<T: Element + Copy + TryInto<u64>>(argument: &Bound<'_, PyAny>, what: &str) -> PyResult<Option<Vec<u64>>> {
    let Ok(buffer) = PyBuffer::<T>::get(argument) else {
        return Ok(None);
    };
    let values = buffer.to_vec(argument.py())?;
    let unsigned: Option<Vec<u64>> = values.into_iter().map(|value| value.try_into().ok()).collect();
    unsigned
        .map(Some)
        .ok_or_else(|| invalid(format!("{what}: expected no negative number")))
}

/// A copy of an array of numbers that are not negative: uint64, int64, uint32 or int32.
pub(crate) fn numbers(argument: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<u64>> {
    let wide =
        converted::<u64>(argument, what)?.map_or_else(|| converted::<i64>(argument, what), |found| Ok(Some(found)))?;
    let narrow = wide.map_or_else(|| converted::<u32>(argument, what), |found| Ok(Some(found)))?;
    let found = narrow.map_or_else(|| converted::<i32>(argument, what), |found| Ok(Some(found)))?;
    found.ok_or_else(|| invalid(format!("{what}: expected an array of uint64, int64, uint32 or int32")))
}

/// A copy of the bytes of a C-ordered array of any type.
pub(crate) fn raw_bytes(argument: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let view = argument
        .py()
        .import("builtins")?
        .getattr("memoryview")?
        .call1((argument,))?;
    if view.getattr("nbytes")?.extract::<usize>()? == 0 {
        return Ok(Vec::new());
    }
    let bytes = view.call_method1("cast", ("B",))?;
    PyBuffer::<u8>::get(&bytes)?.to_vec(argument.py())
}
