//! The core of arraystore: extents over byte sources, JPEG decode, random crops, and the packing of shards.
//!
//! The crate needs no Python. It promises: no input makes it panic or read outside its buffers; every error names the
//! record or the file; a batch does not depend on its order or on the number of threads.

pub mod arrays;
pub mod batch;
pub mod checksum;
pub mod chunks;
pub mod container;
pub mod crop;
pub mod error;
pub mod export;
pub mod extent;
pub mod field;
mod folder;
pub mod images;
pub use arraystore_jpeg::instructions;
pub mod journal;
pub mod jpeg;
pub mod key_table;
pub mod keys;
pub mod letters;
pub mod members;
pub mod memory;
pub mod order;
pub mod output;
pub mod pack;
pub mod patches;
pub mod pieces;
pub mod pixel_memory;
pub mod places;
pub mod progress;
pub mod queue;
pub mod random;
pub mod resize;
pub mod scan;
pub mod seek_file;
pub mod selected;
pub mod shard;
pub mod source;
pub mod status;
pub mod strings;
pub mod table;
pub mod tiff;
pub mod zip;

pub use error::{Error, Result};
