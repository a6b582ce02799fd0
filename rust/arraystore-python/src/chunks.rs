//! JPEGs of no store into the chunks of an array. Documented in `arraystore.integrations`.

use arraystore_core::Error;
use arraystore_core::chunks::{Chunk, Failure, decode, image_size};
use arraystore_core::crop::{CropBox, Size};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::buffers::Buffer;
use crate::errors::to_py_err;
use crate::read::image_buffer;

/// `(top, left, height, width)`.
type GivenBox = (u32, u32, u32, u32);

/// The wanted part of each chunk; or the number, code and problem of the first that failed.
type Outcome = (Vec<Buffer>, Option<(usize, &'static str, String)>);

#[pyfunction]
#[pyo3(signature = (jpegs, boxes, *, size, fill, threads))]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn decode_chunks(
    py: Python<'_>,
    jpegs: Vec<PyBackedBytes>,
    boxes: Vec<GivenBox>,
    size: (u32, u32),
    fill: u8,
    threads: usize,
) -> PyResult<Outcome> {
    if jpegs.len() != boxes.len() {
        let problem = format!(
            "expected a box for each of {} JPEGs, found {}",
            jpegs.len(),
            boxes.len()
        );
        return Err(to_py_err(Error::InvalidRequest(problem)));
    }
    let pairs = jpegs.iter().zip(&boxes);
    let chunks: Vec<Chunk<'_>> = pairs
        .map(|(jpeg, &(top, left, height, width))| {
            let size = Size { height, width };
            let cut = CropBox { top, left, size };
            Chunk { jpeg, cut }
        })
        .collect();
    let size = Size {
        height: size.0,
        width: size.1,
    };
    let decoded = py.detach(|| decode(&chunks, size, fill, threads)).map_err(to_py_err)?;
    Ok(match decoded {
        Ok(images) => (images.into_iter().map(image_buffer).collect(), None),
        Err((index, failure)) => {
            let (code, problem) = words_of(failure, size);
            (Vec::new(), Some((index, code, problem)))
        }
    })
}

/// Height and width, or the problem.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "extracted arguments are owned")]
pub(crate) fn jpeg_size(py: Python<'_>, jpeg: PyBackedBytes) -> (u32, u32, Option<String>) {
    match py.detach(|| image_size(&jpeg)) {
        Ok(size) => (size.height, size.width, None),
        Err(problem) => (0, 0, Some(problem)),
    }
}

fn words_of(failure: Failure, size: Size) -> (&'static str, String) {
    match failure {
        Failure::Undecodable(problem) => ("decode", format!("cannot decode the JPEG: {problem}")),
        Failure::TooLarge(image) => (
            "image-too-large",
            format!("the image is {image} (height x width), and does not fit into {size}"),
        ),
        Failure::Outside => ("internal", "a part outside the image is no failure".to_owned()),
    }
}
