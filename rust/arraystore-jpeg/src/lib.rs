//! Decodes small JPEGs, and boxes of them, with the pixels of libjpeg-turbo, bit for bit, in a fraction of its time.
//!
//! Three things make it fast: a [seek table](seek) tells where each row of MCUs begins, so that a box needs only its own
//! rows; several of these rows are decoded in turn in one loop, which hides the latency of Huffman decoding; and blocks are
//! sorted by how many coefficients they have before they are transformed.
//!
//! What is rare or damaged is [declined](Declined): libjpeg-turbo then decides. What is decoded here has no flaw that
//! libjpeg-turbo would warn of.

mod decoder;
mod entropy;
mod frame;
mod geometry;
mod huffman;
mod index;
pub mod instructions;
mod kernels;
mod pixels;
pub mod prefetch;
mod quantisation;
pub mod seek;
mod unstuff;

pub use decoder::Decoder;
pub use frame::{Frame, Sampling};
pub use geometry::Area;
pub use index::Indexer;

/// Why an image is not decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// It is of a kind that is left to libjpeg-turbo.
    #[error("{0}")]
    Kind(&'static str),
    /// Its data are not as they should be, or not as its seek table says.
    #[error("{0}")]
    Data(&'static str),
}
