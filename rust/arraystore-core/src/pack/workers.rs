//! The threads that fill shards: each takes the next segment, whichever shard it is of.

use std::any::Any;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Compare;
use super::fetch::{Unreadable, examine, fetch, fetch_patch};
use super::plan::{Plan, Segment};
use crate::batch::Context;
use crate::error::{Error, Result};
use crate::extent::Scratch;
use crate::journal::{self, Journal, Outcomes};
use crate::progress::Progress;
use crate::seek_file::{self, Made, Making};

/// So many records one after another that the operating system refuses are no longer the fault of each of them.
const MAX_REFUSED_IN_A_ROW: usize = 100;

/// One shard while it is written.
struct Writing {
    shard: usize,
    /// Opened by whoever writes first.
    file: Mutex<Option<Arc<File>>>,
    /// Those of each segment.
    segments: Mutex<Vec<Option<Filled>>>,
    segments_left: AtomicUsize,
}

/// What was found out about the records of a segment.
struct Filled {
    outcomes: Outcomes,
    tables: Option<Made>,
}

/// What the workers share.
struct Workers<'a> {
    plan: &'a Plan<'a>,
    progress: &'a Progress,
    segments: Vec<Segment>,
    next: AtomicUsize,
    /// Records that were refused, by whichever worker, since the last that was read.
    refused_in_a_row: AtomicUsize,
    /// By number of the shard; `None` for those that are kept.
    writing: Vec<Option<Writing>>,
    finished: Mutex<&'a mut [Option<Outcomes>]>,
    failure: Mutex<Option<Error>>,
    is_stopped: AtomicBool,
}

/// Nothing is left half-changed by a panic under these locks, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes all shards that `finished` lacks, and puts their outcomes there.
///
/// # Errors
///
/// The first error of any thread; the others then stop, and unfinished files are removed.
pub(super) fn write(plan: &Plan<'_>, finished: &mut [Option<Outcomes>], progress: &Progress) -> Result<()> {
    let mut segments = Vec::new();
    let mut writing = Vec::new();
    for (shard, kept) in finished.iter().enumerate() {
        if kept.is_some() {
            writing.push(None);
            continue;
        }
        let of_shard = plan.segments(shard);
        writing.push(Some(Writing {
            shard,
            file: Mutex::new(None),
            segments: Mutex::new(of_shard.iter().map(|_| None).collect()),
            segments_left: AtomicUsize::new(of_shard.len()),
        }));
        segments.extend(of_shard);
    }
    let threads = plan.options.threads.clamp(1, segments.len().max(1));
    let workers = Workers {
        plan,
        progress,
        segments,
        next: AtomicUsize::new(0),
        refused_in_a_row: AtomicUsize::new(0),
        writing,
        finished: Mutex::new(finished),
        failure: Mutex::new(None),
        is_stopped: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        // Where no more threads may be had, those that there are do the work; this one always does.
        let spawn = || std::thread::Builder::new().spawn_scoped(scope, || workers.run());
        (1..threads).map_while(|_| spawn().ok()).for_each(drop);
        workers.run();
    });
    let failure = lock(&workers.failure).take();
    match failure {
        None => Ok(()),
        Some(error) => {
            workers.abandon_unfinished();
            Err(error)
        }
    }
}

impl Workers<'_> {
    fn run(&self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.write_segments()))
            .unwrap_or_else(|panic| Err(Error::Internal(text_of(panic.as_ref()))));
        if let Err(error) = outcome {
            self.is_stopped.store(true, Ordering::Relaxed);
            lock(&self.failure).get_or_insert(error);
        }
    }

    fn write_segments(&self) -> Result<()> {
        let (mut buffer, mut scratch) = (Vec::new(), Scratch::default());
        let mut context = Context::take()?;
        while let Some(segment) = self.segments.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let writing = self.writing[segment.shard]
                .as_ref()
                .ok_or_else(|| Error::Internal("a segment of a shard that is kept".to_owned()))?;
            let outcomes = self.fill(segment, &mut buffer, &mut scratch)?;
            if self.is_stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.write(segment, writing, &buffer)?;
            let tables = match self.plan.options.seek {
                Some(Compare(compare)) => self.try_index(segment, &outcomes, &buffer, compare, &mut context)?,
                None => None,
            };
            lock(&writing.segments)[segment.number] = Some(Filled { outcomes, tables });
            if writing.segments_left.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.finish(writing)?;
            }
        }
        context.keep();
        Ok(())
    }

    /// [`Workers::index`], or nothing if it panics: a store without tables is whole.
    fn try_index(
        &self,
        segment: &Segment,
        outcomes: &Outcomes,
        buffer: &[u8],
        compare: bool,
        context: &mut Context,
    ) -> Result<Option<Made>> {
        let making = Making::new(&mut context.decoder, compare);
        let made = catch_unwind(AssertUnwindSafe(|| self.index(segment, outcomes, buffer, making))).ok();
        if made.is_none() {
            *context = Context::take()?;
        }
        Ok(made)
    }

    /// Makes the seek tables of the records of a segment, whose bytes are in the buffer.
    fn index(&self, segment: &Segment, outcomes: &Outcomes, buffer: &[u8], mut making: Making<'_>) -> Made {
        let plan = self.plan;
        for (at, record) in segment.records.clone().enumerate() {
            let from = usize::try_from(plan.place[record] - plan.place[segment.records.start]).unwrap_or(usize::MAX);
            let nbytes = usize::try_from(outcomes.nbytes[at]).unwrap_or(usize::MAX);
            match from.checked_add(nbytes).and_then(|to| buffer.get(from..to)) {
                Some(jpeg) if nbytes > 0 => making.add_jpeg(jpeg, outcomes.crc32c[at]),
                _ => making.add_none(),
            }
        }
        making.finish()
    }

    /// Fetches and examines the records of a segment; gaps stay zeros.
    fn fill(&self, segment: &Segment, buffer: &mut Vec<u8>, scratch: &mut Scratch) -> Result<Outcomes> {
        let plan = self.plan;
        let mut outcomes = Outcomes::default();
        let start = segment.records.clone().next().map_or(0, |first| plan.place[first]);
        let end = segment
            .records
            .clone()
            .next_back()
            .map_or(0, |last| plan.place[last] + plan.nbytes[last]);
        make_zeros(buffer, end - start)?;
        for record in segment.records.clone() {
            if self.is_stopped.load(Ordering::Relaxed) {
                break;
            }
            let from = usize::try_from(plan.place[record] - start).unwrap_or(usize::MAX);
            let nbytes = usize::try_from(plan.nbytes[record]).unwrap_or(usize::MAX);
            let out = from
                .checked_add(nbytes)
                .and_then(|to| buffer.get_mut(from..to))
                .ok_or_else(|| Error::Internal(format!("record {record} leaves its segment")))?;
            let index = record as u64;
            let found = match &plan.options.tiff {
                Some(form) => fetch_patch(plan.extents, index, form, out, scratch)?,
                None => fetch(plan.extents, index, out, scratch)?
                    .map_or_else(|| Ok(examine(out, plan.extents.crc32(index), &plan.options.check)), Err),
            };
            match found {
                Err(unreadable) => {
                    self.count_refused(index, &unreadable)?;
                    out.fill(0);
                    outcomes.push_unreadable(index, unreadable.problem);
                }
                Ok((outcome, detail)) => {
                    self.refused_in_a_row.store(0, Ordering::Relaxed);
                    outcomes.push(index, &outcome, detail);
                }
            }
            self.progress.advance(1, nbytes as u64)?;
        }
        Ok(outcomes)
    }

    fn count_refused(&self, index: u64, unreadable: &Unreadable) -> Result<()> {
        if unreadable.is_refused && self.refused_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_REFUSED_IN_A_ROW {
            return Err(Error::Source {
                place: self.plan.extents.name(index),
                problem: format!(
                    "{}, nor can the {} files before it: make them readable, or take them out of the source; \
                     what is finished is kept",
                    unreadable.problem,
                    MAX_REFUSED_IN_A_ROW - 1
                ),
            });
        }
        Ok(())
    }

    fn write(&self, segment: &Segment, writing: &Writing, buffer: &[u8]) -> Result<()> {
        let file = self.file(writing)?;
        let Some(first) = segment.records.clone().next() else {
            return Ok(());
        };
        if buffer.is_empty() {
            return Ok(());
        }
        let target = &self.plan.options.target;
        let offset = target.offset(self.plan, writing.shard, self.plan.place[first]);
        file.write_all_at(buffer, offset)
            .map_err(Error::io("write", &target.written(writing.shard)))
    }

    fn file(&self, writing: &Writing) -> Result<Arc<File>> {
        let mut file = lock(&writing.file);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let opened = Arc::new(self.plan.options.target.open(writing.shard)?);
        *file = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Bytes that last, journal, final name: in this order, so that a shard with its final name is whole and has its
    /// journal, and so that what has a journal is whole.
    fn finish(&self, writing: &Writing) -> Result<()> {
        let plan = self.plan;
        let target = &plan.options.target;
        target.seal(plan, writing.shard, &*self.file(writing)?)?;
        let mut outcomes = Outcomes::default();
        let mut made = Vec::new();
        for filled in lock(&writing.segments).drain(..) {
            let filled = filled.ok_or_else(|| Error::Internal("a segment was not written".to_owned()))?;
            outcomes.append(filled.outcomes);
            made.push(filled.tables);
        }
        // Those of all segments, or none.
        let tables = plan
            .options
            .seek
            .and_then(|_| made.into_iter().collect::<Option<Vec<_>>>());
        write_tables(&plan.seek_path(writing.shard), tables.as_deref())?;
        let journal = Journal {
            fingerprint: plan.fingerprint,
            first: plan.shards[writing.shard].start as u64,
            outcomes,
        };
        journal::write(&plan.journal_path(writing.shard), &journal)?;
        target.publish(writing.shard)?;
        // Closed now, not at the end: a store has hundreds of shards.
        *lock(&writing.file) = None;
        lock(&self.finished)[writing.shard] = Some(journal.outcomes);
        Ok(())
    }

    /// Frees the disk, which may be full.
    fn abandon_unfinished(&self) {
        for writing in self.writing.iter().flatten() {
            if lock(&writing.file).is_some() {
                self.plan.options.target.abandon(writing.shard);
            }
        }
    }
}

/// Replaces the seek tables of a shard, before its journal, so that those of what has a journal are whole. If they cannot be
/// written there are none: they can be made later.
fn write_tables(path: &Path, tables: Option<&[Made]>) -> Result<()> {
    let remove = || match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    };
    remove()?;
    match tables.map(|tables| seek_file::write_made(path, tables.iter())) {
        Some(Err(_)) => remove(),
        _ => Ok(()),
    }
}

fn make_zeros(buffer: &mut Vec<u8>, nbytes: u64) -> Result<()> {
    let too_large = || Error::InvalidRequest(format!("no memory for a record of {nbytes} bytes"));
    let nbytes = usize::try_from(nbytes).map_err(|_| too_large())?;
    buffer.clear();
    buffer.try_reserve_exact(nbytes).map_err(|_| too_large())?;
    buffer.resize(nbytes, 0);
    Ok(())
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a worker thread panicked".to_owned())
}
