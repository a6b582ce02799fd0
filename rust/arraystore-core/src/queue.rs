//! Work ahead of who needs it: jobs of many items, done one after another by threads that stand ready.
//!
//! A thread takes one item at a time of the first job that has some left, so that no thread waits for the last items of a
//! job while there is another. An item that fails does not end its job. After a `fork` the child has no such threads: a
//! queue and a job know their process, and in another they are let go of without waiting.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::batch::Context;
use crate::error::{Error, Result};
use crate::source::begin_call;

/// One of the items of a job.
pub trait Item: Send {
    /// Wipes the place of the result: the item has failed.
    fn clear(&mut self);
}

/// Threads that stand ready for jobs.
pub struct Queue {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    process: u32,
}

/// Some items that are being worked on.
pub struct Job {
    state: Arc<JobState>,
    shared: Arc<Shared>,
    process: u32,
}

struct Shared {
    line: Mutex<Line>,
    changed: Condvar,
}

/// Jobs that may have items left, and whether there will be more.
#[derive(Default)]
struct Line {
    jobs: VecDeque<Arc<JobState>>,
    closed: bool,
}

struct JobState {
    items: Box<dyn Step>,
    cancelled: AtomicBool,
    stage: Mutex<Stage>,
    finished: Condvar,
}

#[derive(Default)]
struct Stage {
    /// Threads that may have an item.
    active: usize,
    /// No thread will take another.
    exhausted: bool,
    failures: Vec<(usize, Error)>,
}

impl Stage {
    fn is_finished(&self) -> bool {
        self.exhausted && self.active == 0
    }
}

/// Takes the next item and works on it; `None` if there is none.
trait Step: Send + Sync {
    fn step(&self, context: &mut Context) -> Option<(usize, Result<()>)>;
}

struct Items<I, F> {
    left: Mutex<std::iter::Enumerate<I>>,
    work: F,
}

impl<I, F> Step for Items<I, F>
where
    I: Iterator<Item: Item> + Send,
    F: Fn(&mut Context, &mut I::Item) -> Result<()> + Send + Sync,
{
    fn step(&self, context: &mut Context) -> Option<(usize, Result<()>)> {
        let (index, mut item) = held(&self.left).next()?;
        let done = catch_unwind(AssertUnwindSafe(|| (self.work)(context, &mut item)));
        let done = done.unwrap_or_else(|_| {
            // What it left in the context is not trusted; if there is no other, it is at least sound.
            if let Ok(fresh) = Context::take() {
                *context = fresh;
            }
            Err(Error::Internal("a worker panicked".to_owned()))
        });
        if done.is_err() {
            item.clear();
        }
        Some((index, done))
    }
}

impl Queue {
    /// Starts at most so many threads.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if not even one can be started; [`Error::Internal`] if libjpeg-turbo has no memory.
    pub fn new(threads: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            line: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut started = Vec::new();
        for _ in 0..threads.max(1) {
            let (shared, context) = (Arc::clone(&shared), Context::take()?);
            let name = std::thread::Builder::new().name("arraystore".to_owned());
            match name.spawn(move || work(&shared, context)) {
                Ok(thread) => started.push(thread),
                // Those that there are do the work.
                Err(_) if !started.is_empty() => break,
                Err(error) => return Err(Error::io("start a thread in", Path::new("this process"))(error)),
            }
        }
        Ok(Self {
            shared,
            threads: started,
            process: std::process::id(),
        })
    }

    /// Puts items behind those that are already there. `work` is done for each, in any order.
    pub fn submit<I, F>(&self, items: I, work: F) -> Job
    where
        I: Iterator<Item: Item> + Send + 'static,
        F: Fn(&mut Context, &mut I::Item) -> Result<()> + Send + Sync + 'static,
    {
        let state = Arc::new(JobState {
            items: Box::new(Items {
                left: Mutex::new(items.enumerate()),
                work,
            }),
            cancelled: AtomicBool::new(false),
            stage: Mutex::default(),
            finished: Condvar::new(),
        });
        if self.process == std::process::id() {
            begin_call();
            held(&self.shared.line).jobs.push_back(Arc::clone(&state));
            self.shared.changed.notify_all();
        } else {
            // No thread would ever take it.
            state.abandon();
        }
        Job {
            state,
            shared: Arc::clone(&self.shared),
            process: self.process,
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            // To let go of a handle detaches its thread: here, whichever thread was given the same memory since.
            self.threads.drain(..).for_each(std::mem::forget);
            return;
        }
        let jobs = {
            let mut line = held(&self.shared.line);
            line.closed = true;
            std::mem::take(&mut line.jobs)
        };
        for job in jobs {
            job.abandon();
        }
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Job {
    /// Waits until all items are done, but no longer than `most`; tells whether they are.
    #[must_use]
    pub fn wait(&self, most: Duration) -> bool {
        if self.process != std::process::id() {
            return true;
        }
        let stage = held(&self.state.stage);
        let waited = self
            .state
            .finished
            .wait_timeout_while(stage, most, |stage| !stage.is_finished());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_finished()
    }

    /// What failed of a finished job, in the order of its items.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if items were left out: it was cancelled, or its queue is gone.
    pub fn failures(&self) -> Result<Vec<(usize, Error)>> {
        if self.process != std::process::id() || self.state.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let mut failures = std::mem::take(&mut held(&self.state.stage).failures);
        failures.sort_by_key(|(index, _)| *index);
        Ok(failures)
    }

    /// Leaves out all items that no thread has taken, and waits for the others. Nothing uses what the items lend afterwards.
    pub fn cancel(&self) {
        if self.process != std::process::id() {
            return;
        }
        self.shared.forget(&self.state);
        self.state.abandon();
        while !self.wait(Duration::from_secs(3600)) {}
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.wait(Duration::ZERO) {
            self.cancel();
        }
    }
}

impl Shared {
    /// Takes a job out of the line.
    fn forget(&self, job: &Arc<JobState>) {
        held(&self.line).jobs.retain(|other| !Arc::ptr_eq(other, job));
    }
}

impl JobState {
    /// No thread will take an item of it.
    fn abandon(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        held(&self.stage).exhausted = true;
        self.finished.notify_all();
    }

    /// Takes items until there are none.
    fn exhaust(&self, context: &mut Context) {
        while !self.cancelled.load(Ordering::Relaxed) {
            match self.items.step(context) {
                None => return,
                Some((_, Ok(()))) => {}
                Some((index, Err(error))) => held(&self.stage).failures.push((index, error)),
            }
        }
    }
}

/// What each thread does.
fn work(shared: &Shared, mut context: Context) {
    while let Some(job) = next_job(shared) {
        job.exhaust(&mut context);
        context.shrink();
        shared.forget(&job);
        let mut stage = held(&job.stage);
        stage.exhausted = true;
        stage.active -= 1;
        if stage.is_finished() {
            job.finished.notify_all();
        }
    }
    context.keep();
}

/// The first job of the line, once there is one; `None` if there will be none.
fn next_job(shared: &Shared) -> Option<Arc<JobState>> {
    let line = held(&shared.line);
    let waited = shared
        .changed
        .wait_while(line, |line| line.jobs.is_empty() && !line.closed);
    let line = waited.unwrap_or_else(PoisonError::into_inner);
    let job = Arc::clone(line.jobs.front()?);
    // Counted while the job is in the line: who takes it out sees the count.
    held(&job.stage).active += 1;
    Some(job)
}

/// Locks; what a panic left behind is sound, since none of ours happens between two halves of a change.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
