//! Packing: records of any source, put one after another into shard files, or into a span of one file.
//!
//! A plan says where each record goes, so shards are written in any order and by several threads. A shard is written and
//! synced, if it is a file under a temporary name; what was found out about its records is journalled and synced; then a file
//! gets its final name. So a shard with its final name is whole and has its journal, and a part of a span that has its
//! journal is whole, whatever happens; the same call again keeps it.

mod fetch;
mod plan;
mod target;
mod workers;

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::batch::Context;
use crate::error::{Error, Result};
use crate::extent::Extents;
use crate::journal::{self, Journal, Outcomes};
use crate::jpeg::{RGB_CHANNELS, pixel_nbytes};
use crate::pixel_memory::PixelMemory;
use crate::progress::Progress;
use crate::seek_file;
use crate::shard::Sharding;
use crate::status::Status;
use crate::tiff::PatchForm;
use plan::Plan;

pub use target::Target;

/// Decodes the pixels of a JPEG and says what is wrong with them.
pub type DecodeCheck<'a> = &'a (dyn Fn(&[u8]) -> std::result::Result<(), String> + Sync);

/// The usual [`DecodeCheck`]: decodes all pixels with libjpeg-turbo, and takes its warnings for errors.
///
/// # Errors
///
/// libjpeg-turbo's words.
pub fn decodes(jpeg: &[u8]) -> std::result::Result<(), String> {
    let mut context = Context::take().map_err(|error| error.to_string())?;
    let outcome = context
        .decoder
        .turbo()
        .decode(jpeg, |size| PixelMemory::take(pixel_nbytes(size, RGB_CHANNELS)));
    let problem = outcome.map(|_| ());
    context.keep();
    problem
}

/// What is done with each record besides its checksum.
#[derive(Clone, Copy)]
pub enum Check<'a> {
    /// Nothing: it is text.
    None,
    /// Its JPEG markers are walked.
    Header,
    /// Its JPEG markers are walked, and what is sound is decoded.
    Pixels(DecodeCheck<'a>),
}

impl Check<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::Pixels(_) => "pixels",
        }
    }
}

/// Whether each image is decoded by both decoders, see [`seek_file::write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compare(pub bool);

/// Where the shards go, and how they are made.
pub struct PackOptions<'a> {
    /// Where the bytes go.
    pub target: Target,
    /// Directory of the journals, one of the same name for each shard.
    pub journal: PathBuf,
    /// Length of the array.
    pub total_nbytes: u64,
    /// Shards before this one are there already and are left alone; no record lies in them.
    pub first_shard: u64,
    /// How the array is cut.
    pub sharding: Sharding,
    /// A number that differs between plans; places and lengths are mixed into it.
    pub fingerprint: u64,
    /// What is done with each record.
    pub check: Check<'a>,
    /// Whether the seek tables of the records are made while their bytes are at hand, see [`gather_tables`]; and whether
    /// both decoders are compared for them.
    pub seek: Option<Compare>,
    /// For patches, what each TIFF file is to hold: the record is its samples. All other records are the bytes as they are.
    pub tiff: Option<PatchForm>,
    /// Number of threads, at least 1.
    pub threads: usize,
}

/// What packing found out and did.
#[derive(Debug, Default)]
pub struct Packed {
    /// One for each record.
    pub outcomes: Outcomes,
    /// Shards that this call wrote.
    pub shards_written: u64,
    /// Shards that an earlier call had finished.
    pub shards_kept: u64,
}

/// Writes record `k` of `extents`, which has `nbytes[k]` bytes, to `place[k]` of an array; gaps are zeros.
///
/// With `options.tiff` these are the bytes of its samples, whatever its file has; one that is no such patch is zeros.
///
/// # Errors
///
/// [`Error::InvalidRequest`] if the plan is not one: places ascend, no two records overlap, none straddles two shards.
/// [`Error::SourceChanged`] if a record is gone or has another length than planned, or if there are journals of another plan.
/// [`Error::Io`] if a shard cannot be written or an archive not be read; finished shards stay, unfinished files are removed.
/// [`Error::FileTooShort`] if the file of a span ends before it.
/// [`Error::Interrupted`] if `progress` was stopped. A single file that cannot be read is no error but a [`Status`].
pub fn pack(
    extents: &dyn Extents,
    place: &[u64],
    nbytes: &[u64],
    options: &PackOptions<'_>,
    progress: &Progress,
) -> Result<Packed> {
    let plan = Plan::new(extents, place, nbytes, options)?;
    let first_shard = usize::try_from(options.first_shard).unwrap_or(usize::MAX);
    if plan.shards.len() <= first_shard {
        // No bytes to write, so no record has any.
        let mut outcomes = Outcomes::default();
        for _ in place {
            outcomes.push_status(Status::Empty);
        }
        progress.advance(place.len() as u64, 0)?;
        return Ok(Packed {
            outcomes,
            ..Packed::default()
        });
    }
    options.target.prepare(&plan)?;
    std::fs::create_dir_all(&options.journal).map_err(Error::io("create", &options.journal))?;
    let mut finished = Vec::new();
    // Those that are left alone count as finished, with no records.
    finished.resize_with(first_shard, || Some(Outcomes::default()));
    for shard in first_shard..plan.shards.len() {
        let kept = kept(&plan, shard)?;
        if let Some(outcomes) = &kept {
            let nbytes = outcomes.nbytes.iter().map(|&nbytes| u64::from(nbytes)).sum();
            progress.advance(outcomes.nbytes.len() as u64, nbytes)?;
        }
        finished.push(kept);
    }
    let shards_kept = (finished.iter().flatten().count() - first_shard) as u64;
    let missing = finished.iter().enumerate().filter(|(_, kept)| kept.is_none());
    options.target.clear(&plan, missing.map(|(shard, _)| shard))?;
    workers::write(&plan, &mut finished, progress)?;
    let mut packed = Packed {
        shards_written: (finished.len() - first_shard) as u64 - shards_kept,
        shards_kept,
        ..Packed::default()
    };
    for outcomes in finished {
        packed
            .outcomes
            .append(outcomes.ok_or_else(|| Error::Internal("a shard was not written".to_owned()))?);
    }
    Ok(packed)
}

/// Where packing left seek tables, and those that a field had before.
#[derive(Debug, Clone)]
pub struct MadeTables<'a> {
    /// Those that a field had, which come first.
    pub before: Option<&'a Path>,
    /// Where the journals are.
    pub journal: &'a Path,
    /// The shards that were packed.
    pub shards: Range<u64>,
    /// Records of all of them.
    pub total: u64,
}

/// Writes seek tables to `path`, which must not exist: for each record of the field that of the number in `order`. Returns
/// whether they are all there.
///
/// # Errors
///
/// [`Error::Io`].
pub fn gather_tables(made: &MadeTables<'_>, order: &[u64], path: &Path) -> Result<bool> {
    let packed = made.shards.clone().map(|shard| plan::seek_path(made.journal, shard));
    let parts = made.before.map(Path::to_path_buf).into_iter().chain(packed);
    seek_file::gather(parts, made.total, order, path)
}

/// The outcomes of a shard that an earlier call finished, all records of which it could read.
fn kept(plan: &Plan<'_>, shard: usize) -> Result<Option<Outcomes>> {
    let path = plan.journal_path(shard);
    let Some(journal) = journal::read(&path)? else {
        return Ok(None);
    };
    if journal.fingerprint != plan.fingerprint {
        return Err(Error::SourceChanged {
            place: path.display().to_string(),
            problem: "this journal belongs to another plan: sources, options or the table are not the same".to_owned(),
        });
    }
    let Journal { first, outcomes, .. } = journal;
    let records = &plan.shards[shard];
    let is_whole = plan.options.target.is_whole(plan, shard);
    let is_ours = first == records.start as u64 && outcomes.nbytes.len() == records.len();
    // What could not be read may have been on a mount that was about to fail: it is tried again.
    let is_read = !outcomes.status.contains(&(Status::Unreadable as u8));
    Ok((is_whole && is_ours && is_read).then_some(outcomes))
}

#[cfg(test)]
mod tests;
