//! The core of arraystore: extents over byte sources, JPEG decode, random crops, and the packing of shards.
//!
//! The crate needs no Python. It promises: no input makes it panic or read outside its buffers; every error names the
//! record or the file; a batch does not depend on its order or on the number of threads.

pub mod error;
pub mod extent;
pub mod source;

pub use error::{Error, Result};
