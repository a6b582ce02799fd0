//! The core of arraystore: extents over byte sources, JPEG decode, random crops, and the packing of shards.
//!
//! The crate needs no Python. It promises: no input makes it panic or read outside its buffers; every error names the
//! record or the file; a batch does not depend on its order or on the number of threads.

pub mod error;
pub mod extent;
mod folder;
pub mod jpeg {
    //! JPEG.
    pub mod header;
}
pub mod journal;
pub mod keys;
pub mod members;
pub mod pack;
pub mod progress;
pub mod scan;
pub mod shard;
pub mod source;
pub mod status;
pub mod strings;
pub mod zip;

pub use error::{Error, Result};
