//! Long works, watched: progress is reported, and Ctrl-C or an exception of the callback stops them.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use arraystore_core::progress::Progress;
use arraystore_core::{Error, Result};
use pyo3::prelude::*;

use crate::errors::to_py_err;

const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Does `work` in a thread of its own, detached, and reports about it ten times a second, and once at its end.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    callback: Option<&Py<PyAny>>,
    work: impl FnOnce(&Progress) -> Result<T> + Send,
) -> PyResult<T> {
    let progress = Progress::default();
    let (done, problem) = py.detach(|| {
        std::thread::scope(|scope| {
            let (finished, waiting) = channel::<()>();
            let spawned = std::thread::Builder::new().spawn_scoped(scope, || {
                // Dropped when the work ends, even by a panic: that is the signal.
                let _finished = finished;
                work(&progress)
            });
            let worker = match spawned {
                Ok(worker) => worker,
                Err(error) => {
                    return (
                        Err(Error::io("start a thread in", Path::new("this process"))(error)),
                        None,
                    );
                }
            };
            let mut problem = None;
            while waiting.recv_timeout(REPORT_EVERY) == Err(RecvTimeoutError::Timeout) {
                if problem.is_none() {
                    problem = Python::attach(|py| report(py, callback, &progress)).err();
                    if problem.is_some() {
                        progress.stop();
                    }
                }
            }
            let done = worker
                .join()
                .unwrap_or_else(|_| Err(Error::Internal("a worker thread panicked".to_owned())));
            (done, problem)
        })
    });
    if let Some(problem) = problem {
        return Err(problem);
    }
    let done = done.map_err(to_py_err)?;
    report(py, callback, &progress)?;
    Ok(done)
}

fn report(py: Python<'_>, callback: Option<&Py<PyAny>>, progress: &Progress) -> PyResult<()> {
    py.check_signals()?;
    if let Some(callback) = callback {
        callback.call1(py, progress.done())?;
    }
    Ok(())
}
