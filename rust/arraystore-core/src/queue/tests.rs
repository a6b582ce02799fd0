use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::Instant;

use super::*;

/// An item that writes where it is told.
struct Cell(Arc<Vec<AtomicUsize>>, usize);

impl Item for Cell {
    fn clear(&mut self) {
        self.0[self.1].store(0, Ordering::SeqCst);
    }
}

fn cells(count: usize) -> Arc<Vec<AtomicUsize>> {
    Arc::new((0..count).map(|_| AtomicUsize::new(7)).collect())
}

fn items(cells: &Arc<Vec<AtomicUsize>>) -> impl Iterator<Item = Cell> + Send + 'static {
    let cells = Arc::clone(cells);
    (0..cells.len()).map(move |index| Cell(Arc::clone(&cells), index))
}

fn values(cells: &[AtomicUsize]) -> Vec<usize> {
    cells.iter().map(|cell| cell.load(Ordering::SeqCst)).collect()
}

fn finished(job: &Job) -> Vec<(usize, Error)> {
    assert!(job.wait(Duration::from_secs(60)));
    job.failures().unwrap()
}

#[test]
fn all_items_of_all_jobs_are_done_by_any_number_of_threads() {
    for threads in [1, 2, 5] {
        let queue = Queue::new(threads).unwrap();
        let places: Vec<_> = (0..20).map(|_| cells(50)).collect();
        let jobs: Vec<Job> = places
            .iter()
            .map(|place| {
                queue.submit(items(place), |_, cell| {
                    cell.0[cell.1].store(cell.1, Ordering::SeqCst);
                    Ok(())
                })
            })
            .collect();
        for (job, place) in jobs.iter().zip(&places).rev() {
            assert!(finished(job).is_empty());
            assert!(values(place).into_iter().eq(0..50));
        }
    }
}

#[test]
fn what_fails_or_panics_is_named_and_wiped_and_the_rest_is_done() {
    let queue = Queue::new(3).unwrap();
    let place = cells(100);
    let job = queue.submit(items(&place), |_, cell| {
        cell.0[cell.1].store(1, Ordering::SeqCst);
        match cell.1 {
            40 => Err(Error::InvalidRequest("forty".to_owned())),
            11 => std::panic::resume_unwind(Box::new("eleven")),
            _ => Ok(()),
        }
    });
    let failures = finished(&job);
    let found: Vec<_> = failures.iter().map(|(index, error)| (*index, error.code())).collect();
    assert_eq!(found, [(11, "internal"), (40, "invalid-request")]);
    let expected = (0..100).map(|index| usize::from(index != 11 && index != 40));
    assert!(values(&place).into_iter().eq(expected));
}

#[test]
fn a_cancelled_job_waits_for_the_item_that_is_worked_on_and_leaves_out_the_rest() {
    let queue = Queue::new(1).unwrap();
    let (begun, was_begun) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let (place, next) = (cells(10), cells(1));
    let job = queue.submit(items(&place), move |_, cell| {
        begun.send(()).unwrap();
        wait.lock().unwrap().recv().unwrap();
        cell.0[cell.1].store(1, Ordering::SeqCst);
        Ok(())
    });
    was_begun.recv().unwrap();
    assert!(!job.wait(Duration::from_millis(1)));
    std::thread::scope(|scope| {
        scope.spawn(|| job.cancel());
        while !job.state.cancelled.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
    });
    assert_eq!(job.failures().unwrap_err().code(), "interrupted");
    assert_eq!(values(&place), [1, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    // The thread goes on with other jobs.
    let other = queue.submit(items(&next), |_, cell| {
        cell.0[cell.1].store(3, Ordering::SeqCst);
        Ok(())
    });
    assert!(finished(&other).is_empty());
    assert_eq!(values(&next), [3]);
}

#[test]
fn a_queue_that_goes_ends_its_threads_and_jobs() {
    let queue = Queue::new(2).unwrap();
    let place = cells(1_000_000);
    let jobs: Vec<Job> = (0..3)
        .map(|_| {
            queue.submit(items(&place), |_, _| {
                std::thread::sleep(Duration::from_millis(1));
                Ok(())
            })
        })
        .collect();
    let begin = Instant::now();
    drop(queue);
    for job in &jobs {
        assert!(job.wait(Duration::ZERO));
        assert_eq!(job.failures().unwrap_err().code(), "interrupted");
    }
    // A million items take a quarter of an hour.
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn no_items_are_done_at_once() {
    let queue = Queue::new(1).unwrap();
    assert!(finished(&queue.submit(items(&cells(0)), |_, _| Ok(()))).is_empty());
}
