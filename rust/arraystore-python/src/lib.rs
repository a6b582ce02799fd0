//! The Python module `arraystore._core`: arguments, detaching from the interpreter, exceptions.
//!
//! Documented where it is used: in the public functions of the Python package. Types are in `arraystore/_core.pyi`.

mod arguments;
mod arrays;
mod buffers;
mod chunks;
mod errors;
mod export;
mod ingest;
mod pack;
mod queue;
mod read;
mod strings;
mod table;
mod watch;

use pyo3::prelude::*;

/// `arraystore._core`.
#[pymodule(gil_used = false)]
mod _core {
    use super::{PyModule, PyModuleMethods, PyResult};
    use pyo3::Bound;

    #[pymodule_export]
    use super::arrays::{ArrayField, tiff_form};
    #[pymodule_export]
    use super::buffers::Buffer;
    #[pymodule_export]
    use super::chunks::{decode_chunks, jpeg_size};
    #[pymodule_export]
    use super::read::{Field, Keys};

    #[pymodule_export]
    use super::export::{file_paths, write_table, write_tree, write_zip};
    #[pymodule_export]
    use super::ingest::{Extents, Members, differing, index_keys, join_members, match_keys, scan_sources};
    #[pymodule_export]
    use super::pack::{
        PackResult, crc32c, file_crc32c, gather_seek_tables, pack_records, release_memory, write_sharded,
    };
    #[pymodule_export]
    use super::queue::{Job, Queue, order, units};
    #[pymodule_export]
    use super::strings::Strings;
    #[pymodule_export]
    use super::table::{Table, read_json_table, read_table};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
