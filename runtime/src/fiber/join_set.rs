//! A set of fibers whose results are taken in the order in which they end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use super::{Builder, JoinHandle, SpawnError};
use crate::cell::{Cancelled, Fiber};
use crate::channel::{Receiver, Sender, unbounded};
use crate::time::{Elapsed, timeout};

/// Fibers that are joined in the order in which they end. Dropping the set cancels those that are left. Mirrors tokio's
/// `JoinSet`.
///
/// ```
/// use abaca::JoinSet;
/// # abaca::run(|| {
/// let mut set = JoinSet::new();
/// for number in 0..10 {
///     set.spawn(move || number * number);
/// }
/// let mut sum = 0;
/// while let Some(result) = set.join_next() {
///     sum += result.unwrap();
/// }
/// assert_eq!(sum, 285);
/// # });
/// ```
pub struct JoinSet<T> {
    /// By place; `None` where one has become free.
    members: Vec<Option<JoinHandle<()>>>,
    free: Vec<usize>,
    ended: Receiver<Report<T>>,
    /// For the next member. It also keeps the channel connected.
    reporter: Sender<Report<T>>,
}

struct Report<T> {
    place: usize,
    /// `None` if the fiber never ran.
    result: Option<thread::Result<T>>,
}

/// Reports the end of a member, also of one that never runs.
struct Reporter<T> {
    report: Option<Report<T>>,
    to: Sender<Report<T>>,
}

impl<T> Drop for Reporter<T> {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            // A set that is gone has detached its members or does not want their results.
            let _ = self.to.send(report);
        }
    }
}

/// A set that has become empty keeps so many places.
const KEPT: usize = 4096;

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        let (reporter, ended) = unbounded();
        Self { members: Vec::new(), free: Vec::new(), ended, reporter }
    }

    /// How many fibers are in the set: those that run, and those that have ended and were not joined.
    pub fn len(&self) -> usize {
        self.members.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels all fibers; see [`JoinHandle::cancel`]. They stay in the set until they are joined.
    pub fn cancel_all(&mut self) {
        self.members.iter().flatten().for_each(JoinHandle::cancel);
    }

    /// Takes all fibers out of the set, and lets them run on.
    pub fn detach_all(&mut self) {
        self.members.clear();
        self.free.clear();
        let (reporter, ended) = unbounded();
        (self.reporter, self.ended) = (reporter, ended);
    }

    /// Cancels all fibers and waits for their ends.
    pub fn shutdown(&mut self) {
        self.cancel_all();
        while self.join_next().is_some() {}
    }

    /// Waits for the next fiber to end and takes its result out of the set; `None` if the set is empty.
    ///
    /// If the call is cancelled, no result is lost.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`]: the payload, if that fiber panicked or was cancelled.
    pub fn join_next(&mut self) -> Option<thread::Result<T>> {
        if self.is_empty() {
            return None;
        }
        let report = self.ended.recv().expect("the set has a sender itself");
        Some(self.settle(report))
    }

    /// The result of a fiber that has ended already; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    pub fn try_join_next(&mut self) -> Option<thread::Result<T>> {
        let report = self.ended.try_recv().ok()?;
        Some(self.settle(report))
    }

    /// [`join_next`](Self::join_next), for at most `duration`.
    ///
    /// # Errors
    ///
    /// [`Elapsed`], when no fiber ended in time.
    pub fn join_next_timeout(&mut self, duration: Duration) -> Result<Option<thread::Result<T>>, Elapsed> {
        timeout(duration, || self.join_next())
    }

    /// Waits for all fibers and returns their results, in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If one of them panicked or was cancelled; the others are then cancelled.
    pub fn join_all(mut self) -> Vec<T> {
        let mut results = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next() {
            match result {
                Ok(value) => results.push(value),
                Err(payload) => std::panic::resume_unwind(payload),
            }
        }
        results
    }

    fn settle(&mut self, report: Report<T>) -> thread::Result<T> {
        let member = self.members[report.place].take().expect("a member reports once");
        self.free.push(report.place);
        if self.is_empty() && self.free.capacity() > KEPT {
            (self.members, self.free) = (Vec::new(), Vec::new());
        }
        // It has reported, so it is at its end.
        let ended = crate::park::shield(|| member.join());
        match (report.result, ended) {
            (Some(result), _) => result,
            (None, Err(payload)) => Err(payload),
            (None, Ok(())) => unreachable!("a fiber that ran has a result"),
        }
    }

    fn enter<F: FnOnce() -> T>(&mut self, f: F) -> (usize, impl FnOnce() + use<F, T>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        let mut reporter =
            Reporter { report: Some(Report { place, result: None }), to: self.reporter.clone() };
        let run = move || {
            let mut result = catch_unwind(AssertUnwindSafe(f));
            if let Err(payload) = &mut result {
                Cancelled::land(&mut **payload);
            }
            if let Some(report) = &mut reporter.report {
                report.result = Some(result);
            }
            drop(reporter);
        };
        (place, run)
    }

    fn leave(&mut self, place: usize, spawned: Result<JoinHandle<()>, SpawnError>) -> Fiber {
        match spawned {
            Ok(handle) => {
                let fiber = handle.fiber();
                self.members[place] = Some(handle);
                fiber
            }
            Err(error) => {
                self.free.push(place);
                // The closure was dropped, which was its report.
                let reports: Vec<_> = self.ended.try_iter().collect();
                for report in reports.into_iter().filter(|report| report.place != place) {
                    let _ = self.reporter.send(report);
                }
                error.raise()
            }
        }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns a fiber in the set; its handle is for [`cancel`](Fiber::cancel) and `unpark`.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()).
    pub fn spawn<F>(&mut self, f: F) -> Fiber
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_with(Builder::new(), f)
    }

    /// [`spawn`](Self::spawn), with the builder's name and stack size.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()).
    pub fn spawn_with<F>(&mut self, builder: Builder, f: F) -> Fiber
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let (place, run) = self.enter(f);
        let spawned = builder.spawn(run);
        self.leave(place, spawned)
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.cancel_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, closures: I) {
        for f in closures {
            self.spawn(f);
        }
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(closures: I) -> Self {
        let mut set = Self::new();
        set.extend(closures);
        set
    }
}
