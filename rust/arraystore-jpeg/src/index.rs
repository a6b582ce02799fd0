//! To make seek tables: entropy-coded data are walked, with as many symbols at once as have their codes in a few bits, since
//! the value of a coefficient need not be known to pass over it.

mod strides;
mod walk;

use std::array;
use std::ops::Range;

use self::strides::Strides;
use self::walk::{Walk, walk};
use crate::Declined;
use crate::entropy::NO_END;
use crate::frame::Frame;
use crate::geometry::Geometry;
use crate::huffman::{Cache, MOST_KEPT};
use crate::seek::SeekTable;
use crate::unstuff::{EOI, End, pad, unstuff};

/// Makes seek tables. It keeps tables and memory from image to image: make one for each thread.
#[derive(Debug, Default)]
pub struct Indexer {
    strides: Cache<Strides>,
    /// Data without stuffing, one image after another.
    stream: Vec<u8>,
    /// Memory for tables.
    seek: Vec<SeekTable>,
}

impl Indexer {
    /// Lets go of memory that a large image left behind, if it is more than `most_nbytes`.
    pub fn shrink(&mut self, most_nbytes: usize) {
        if self.stream.capacity() > most_nbytes {
            self.stream = Vec::new();
        }
    }

    /// Makes the [seek tables](crate::seek) of some JPEGs, with an entry for every `step`-th row of MCUs, and appends each to its
    /// `bytes`. Two together take less time than one after the other.
    ///
    /// A JPEG with restart markers needs none: its table has no bytes.
    ///
    /// # Errors
    ///
    /// [`Declined`] for each JPEG that cannot be decoded here, all of it; its `bytes` are as they were.
    pub fn seek_tables<const N: usize>(
        &mut self,
        jpegs: [&[u8]; N],
        step: u8,
        mut bytes: [&mut Vec<u8>; N],
    ) -> [Result<(), Declined>; N] {
        const { assert!(N <= MOST_KEPT, "the tables of all of them are kept") };
        let Self { strides, stream, seek } = self;
        stream.clear();
        let pieces = jpegs.map(|jpeg| {
            let frame = Frame::parse(jpeg)?;
            strides.find(&frame, |_| Strides::new(&frame))?;
            let bits = piece(frame.scan, stream);
            Ok((frame, bits))
        });
        let walks = array::from_fn(|number| {
            let (frame, bits) = pieces[number].as_ref().map_err(|&declined| declined)?;
            let strides = strides.get(frame).ok_or(NO_END)?;
            let mut seek = seek.pop().unwrap_or_default();
            seek.step = usize::from(step.max(1));
            Ok(Walk::new((stream, bits.clone()?), strides, &Geometry::of(frame), seek))
        });
        let mut found = walk::<N>(walks);
        let outcomes = array::from_fn(|number| {
            let (frame, _) = pieces[number].as_ref().map_err(|&declined| declined)?;
            if frame.restart_interval > 0 {
                return Ok(());
            }
            let seek = found[number].as_mut().map_err(|&mut declined| declined)?;
            let mut stuffing = Stuffing::new(frame.scan);
            for entry in &mut seek.entries {
                entry.bit = stuffing.position_in_file(entry.bit);
            }
            seek.write(frame.sampling.components(), bytes[number]);
            Ok(())
        });
        seek.extend(found.into_iter().flatten());
        outcomes
    }
}

/// Appends the data of a scan without stuffing; returns which bits they are.
fn piece(scan: &[u8], stream: &mut Vec<u8>) -> Result<Range<usize>, Declined> {
    let start = stream.len() * 8;
    let end = unstuff(scan, stream);
    let limit = stream.len() * 8;
    pad(stream);
    match end {
        End::Marker(EOI, _) => Ok(start..limit),
        _ => Err(NO_END),
    }
}

/// Counts the stuffed bytes of a scan.
struct Stuffing<'a> {
    scan: &'a [u8],
    /// A byte of the file, and the same one without stuffing.
    at: (usize, usize),
}

impl<'a> Stuffing<'a> {
    fn new(scan: &'a [u8]) -> Self {
        Self { scan, at: (0, 0) }
    }

    /// The position in the file of a bit behind the last one that was asked for.
    fn position_in_file(&mut self, bit: usize) -> usize {
        let (mut file, mut plain) = self.at;
        while plain < bit / 8 {
            // Up to the next byte that something is stuffed behind.
            let most = bit / 8 - plain;
            let rest = &self.scan[file.min(self.scan.len())..];
            let rest = &rest[..most.min(rest.len())];
            if let Some(found) = memchr::memchr(0xff, rest) {
                file += found + 2;
                plain += found + 1;
            } else {
                file += most;
                plain += most;
            }
        }
        self.at = (file, plain);
        file * 8 + bit % 8
    }
}
