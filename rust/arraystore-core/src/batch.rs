//! A batch: many records worked on by a few threads, each with a context of its own.
//!
//! The threads are scoped: none outlives the call, so nothing can break at `fork`. Contexts (a decoder, a resizer, scratch
//! memory) are dear to make and are kept in one pool for the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::extent::Scratch;
use crate::jpeg::Decoder;
use crate::resize::Resize;

/// What one thread needs to decode, reused from call to call.
pub struct Context {
    /// JPEG to pixels.
    pub decoder: Decoder,
    /// Pixels to other sizes.
    pub resize: Resize,
    /// For bytes that cannot be lent in place.
    pub scratch: Scratch,
    /// An array that was decompressed.
    pub array: Vec<u8>,
}

static IDLE: Mutex<Vec<Context>> = Mutex::new(Vec::new());

/// More idle contexts than this are dropped: as many threads as one would use on a large machine.
const MOST_IDLE: usize = 256;

impl Context {
    /// An idle context, or a new one.
    ///
    /// Never waits: a lock that is held (perhaps, after a fork, for ever) costs a new context and nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Internal`] if libjpeg-turbo has no memory.
    pub fn take() -> Result<Self> {
        if let Some(context) = IDLE.try_lock().ok().and_then(|mut idle| idle.pop()) {
            return Ok(context);
        }
        Ok(Self {
            decoder: Decoder::new()?,
            resize: Resize::default(),
            scratch: Scratch::default(),
            array: Vec::new(),
        })
    }

    /// Lets go of memory that a single large record has needed.
    pub fn shrink(&mut self) {
        self.decoder.shrink();
        self.scratch.shrink();
    }

    /// Gives a context back for the next call.
    pub fn keep(mut self) {
        self.shrink();
        if let Ok(mut idle) = IDLE.try_lock()
            && idle.len() < MOST_IDLE
        {
            idle.push(self);
        }
    }
}

/// Does `work` for every item, in `threads` threads at most, and returns the results in order.
///
/// # Errors
///
/// That of the first item (in order) that failed, whatever the threads; [`Error::Internal`] for a panic.
pub fn map<I, T>(items: I, threads: usize, work: impl Fn(&mut Context, I::Item) -> Result<T> + Sync) -> Result<Vec<T>>
where
    I: ExactSizeIterator + Send,
    I::Item: Send,
    T: Send,
{
    let count = items.len();
    let threads = threads.clamp(1, count.max(1));
    let queue = Mutex::new(items.enumerate());
    let failed = AtomicBool::new(false);
    let worker = || run_worker(&queue, &failed, &work);
    let parts: Vec<Outcome<T>> = if threads == 1 {
        vec![worker()]
    } else {
        std::thread::scope(|scope| {
            // Where no more threads may be had, those that there are do the work.
            let others: Vec<_> = (1..threads)
                .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, worker).ok())
                .collect();
            let own = worker();
            let joined = others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| Outcome {
                    done: Vec::new(),
                    error: Some((0, Error::Internal("a worker thread panicked".to_owned()))),
                })
            });
            std::iter::once(own).chain(joined).collect()
        })
    };
    in_order(parts, count)
}

struct Outcome<T> {
    done: Vec<(usize, T)>,
    error: Option<(usize, Error)>,
}

fn run_worker<I: Iterator, T>(
    queue: &Mutex<std::iter::Enumerate<I>>,
    failed: &AtomicBool,
    work: &impl Fn(&mut Context, I::Item) -> Result<T>,
) -> Outcome<T> {
    let mut outcome = Outcome {
        done: Vec::new(),
        error: None,
    };
    let mut context = match Context::take() {
        Ok(context) => context,
        Err(error) => {
            return Outcome {
                error: Some((0, error)),
                ..outcome
            };
        }
    };
    // Items are taken in order, so all that come before a failed one have been taken already and will be finished: the
    // first error in order is found whatever the threads.
    while !failed.load(Ordering::Relaxed) {
        let next = queue.lock().ok().and_then(|mut items| items.next());
        let Some((position, item)) = next else { break };
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut context, item)));
        match result {
            Ok(Ok(value)) => outcome.done.push((position, value)),
            Ok(Err(error)) => {
                failed.store(true, Ordering::Relaxed);
                outcome.error = Some((position, error));
            }
            Err(_) => {
                failed.store(true, Ordering::Relaxed);
                outcome.error = Some((position, Error::Internal("a worker panicked".to_owned())));
                // What it left in the context is not trusted.
                return outcome;
            }
        }
    }
    context.keep();
    outcome
}

fn in_order<T>(parts: Vec<Outcome<T>>, count: usize) -> Result<Vec<T>> {
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut first: Option<(usize, Error)> = None;
    for part in parts {
        for (position, value) in part.done {
            results[position] = Some(value);
        }
        if let Some((position, error)) = part.error
            && first.as_ref().is_none_or(|(earlier, _)| position < *earlier)
        {
            first = Some((position, error));
        }
    }
    match first {
        Some((_, error)) => Err(error),
        None => results
            .into_iter()
            .map(|result| result.ok_or_else(|| Error::Internal("an item was not worked on".to_owned())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_for_any_number_of_threads() {
        let expected: Vec<u64> = (0..100).map(|item| item * 2).collect();
        for threads in [1, 2, 7, 1000] {
            assert_eq!(
                map(0..100_usize, threads, |_, item| Ok(item as u64 * 2)).unwrap(),
                expected
            );
        }
    }

    #[test]
    fn the_error_is_that_of_the_first_item_that_fails() {
        for threads in [1, 4] {
            let error = map(0..1000_usize, threads, |_, item| {
                if item % 7 == 3 {
                    return Err(Error::InvalidRequest(item.to_string()));
                }
                Ok(())
            });
            assert_eq!(error.unwrap_err().to_string(), "3");
        }
    }

    #[test]
    fn a_panic_in_a_worker_becomes_an_error() {
        for threads in [1, 3] {
            let outcome = map(0..10_usize, threads, |_, item| {
                assert!(item != 5, "five");
                Ok(())
            });
            assert_eq!(outcome.unwrap_err().code(), "internal");
        }
    }

    #[test]
    fn no_items_need_no_work() {
        assert!(map(0..0_usize, 4, |_, _| Ok(())).unwrap().is_empty());
    }
}
