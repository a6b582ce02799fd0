//! The plan of a packing, checked: which records go into which shard.

use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::{PackOptions, Target};
use crate::error::{Error, Result};
use crate::extent::Extents;

/// Bytes that a worker gathers before it writes them.
const SEGMENT_NBYTES: u64 = 4 << 20;

/// A plan without contradictions.
pub(super) struct Plan<'a> {
    pub(super) extents: &'a dyn Extents,
    pub(super) place: &'a [u64],
    pub(super) nbytes: &'a [u64],
    pub(super) options: &'a PackOptions<'a>,
    /// Of the caller, with all places and lengths.
    pub(super) fingerprint: u64,
    /// The records of each shard.
    pub(super) shards: Vec<Range<usize>>,
}

/// Consecutive records of one shard, which are written at once.
pub(super) struct Segment {
    pub(super) shard: usize,
    /// Its number among the segments of its shard.
    pub(super) number: usize,
    pub(super) records: Range<usize>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        extents: &'a dyn Extents,
        place: &'a [u64],
        nbytes: &'a [u64],
        options: &'a PackOptions<'a>,
    ) -> Result<Self> {
        if place.len() != nbytes.len() || extents.len() != place.len() as u64 {
            return Err(Error::InvalidRequest(format!(
                "expected as many places and lengths as records, found {}, {} and {}",
                place.len(),
                nbytes.len(),
                extents.len()
            )));
        }
        check(place, nbytes, options)?;
        if let Some(form) = options.tiff
            && nbytes.iter().any(|&nbytes| nbytes != form.nbytes())
        {
            return Err(Error::InvalidRequest(format!(
                "expected {} bytes for each patch of {form}",
                form.nbytes()
            )));
        }
        Ok(Self {
            extents,
            place,
            nbytes,
            options,
            fingerprint: fingerprint(place, nbytes, options),
            shards: shards(place, options),
        })
    }

    pub(super) fn journal_path(&self, shard: usize) -> PathBuf {
        self.options.journal.join(shard.to_string())
    }

    /// Where the seek tables of the records of a shard are kept.
    pub(super) fn seek_path(&self, shard: usize) -> PathBuf {
        seek_path(&self.options.journal, shard as u64)
    }

    pub(super) fn used_nbytes(&self, shard: usize) -> u64 {
        let options = self.options;
        options.sharding.used_nbytes(options.total_nbytes, shard as u64)
    }

    pub(super) fn file_nbytes(&self, shard: usize) -> u64 {
        self.options.sharding.file_nbytes(self.used_nbytes(shard))
    }

    /// Cuts the records of a shard; there is at least one segment, maybe of no records.
    pub(super) fn segments(&self, shard: usize) -> Vec<Segment> {
        let records = self.shards[shard].clone();
        let mut segments = Vec::new();
        let mut first = records.start;
        for record in records.clone() {
            let end = self.place[record] + self.nbytes[record];
            if record > first && end - self.place[first] > SEGMENT_NBYTES {
                segments.push(first..record);
                first = record;
            }
        }
        segments.push(first..records.end);
        let numbered = segments.into_iter().enumerate();
        numbered
            .map(|(number, records)| Segment { shard, number, records })
            .collect()
    }
}

/// See [`Plan::seek_path`].
pub(super) fn seek_path(journal: &Path, shard: u64) -> PathBuf {
    journal.join(format!("{shard}.seek"))
}

fn check(place: &[u64], nbytes: &[u64], options: &PackOptions<'_>) -> Result<()> {
    let shard_nbytes = options.sharding.shard_nbytes();
    let first = options.first_shard.saturating_mul(shard_nbytes);
    let mut previous_end = 0;
    for (record, (&place, &nbytes)) in place.iter().zip(nbytes).enumerate() {
        let invalid = |problem: &str| {
            Err(Error::InvalidRequest(format!(
                "record {record} of {nbytes} bytes at {place} {problem}"
            )))
        };
        let Some(end) = place.checked_add(nbytes).filter(|&end| end <= options.total_nbytes) else {
            return invalid(&format!("ends behind the array of {} bytes", options.total_nbytes));
        };
        if nbytes > 0 && place < first {
            return invalid(&format!(
                "begins before shard {}, the first to be written",
                options.first_shard
            ));
        }
        if place < previous_end {
            return invalid(&format!(
                "begins before the end of the record before it, {previous_end}"
            ));
        }
        if nbytes > u64::from(u32::MAX) {
            return invalid("is longer than a record may be (4 GiB)");
        }
        if nbytes > 0 && place / shard_nbytes != (end - 1) / shard_nbytes {
            return invalid(&format!("straddles two shards of {shard_nbytes} bytes"));
        }
        previous_end = end;
    }
    Ok(())
}

/// The records of each shard; an empty record at the very end counts to the last.
fn shards(place: &[u64], options: &PackOptions<'_>) -> Vec<Range<usize>> {
    let shard_nbytes = options.sharding.shard_nbytes();
    let count = options.sharding.shards(options.total_nbytes);
    let mut shards = Vec::new();
    let mut first = 0;
    for shard in 0..count {
        let last = if shard + 1 == count {
            place.len()
        } else {
            place.partition_point(|&place| place / shard_nbytes <= shard)
        };
        shards.push(first..last);
        first = last;
    }
    shards
}

fn fingerprint(place: &[u64], nbytes: &[u64], options: &PackOptions<'_>) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(options.check.name().as_bytes());
    if let Some(form) = &options.tiff {
        hasher.update(form.to_string().as_bytes());
    }
    let layout = [
        options.fingerprint,
        options.total_nbytes,
        options.sharding.shard_nbytes(),
        options.sharding.file_nbytes(0),
        place.len() as u64,
    ];
    if let Target::Span { offset, .. } = options.target {
        hasher.update(b"span");
        hasher.update(&offset.to_le_bytes());
    }
    for column in [&layout, place, nbytes] {
        for value in column {
            hasher.update(&value.to_le_bytes());
        }
    }
    hasher.digest()
}
