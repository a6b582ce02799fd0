//! How far a long work is, and the request to stop it: shared by its threads and whoever watches them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::{Error, Result};

/// Counters of one work. All methods may be called from several threads at once.
#[derive(Debug, Default)]
pub struct Progress {
    records: AtomicU64,
    nbytes: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Counts finished work, and asks whether to go on.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] once somebody called [`Progress::stop`].
    pub fn advance(&self, records: u64, nbytes: u64) -> Result<()> {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.nbytes.fetch_add(nbytes, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    /// Records and bytes so far.
    pub fn done(&self) -> (u64, u64) {
        (
            self.records.load(Ordering::Relaxed),
            self.nbytes.load(Ordering::Relaxed),
        )
    }

    /// Asks the work to end as soon as it can.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
