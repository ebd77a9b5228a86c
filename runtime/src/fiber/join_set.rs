//! A set of fibers whose results are taken in the order in which they end.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use super::{Builder, JoinHandle, SpawnError};
use crate::cell::{Cancelled, Fiber, contained};
use crate::channel::{Receiver, Sender, never, unbounded};
use crate::time::{Elapsed, timeout};

/// A set of fibers that are joined in the order in which they end. Mirrors tokio's `JoinSet`.
///
/// Dropping the set cancels the fibers that are left, and does not wait for them;
/// [`shutdown`](Self::shutdown) does. To let them run on instead, call [`detach_all`](Self::detach_all). As with tokio's, the panic of
/// the destructor of a result that nobody has taken is reported, and otherwise ignored.
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
    /// `None` in a free slot.
    handles: Vec<Option<JoinHandle<()>>>,
    /// The indices of the free slots.
    free: Vec<usize>,
    ended: Receiver<Report<T>>,
    /// Cloned for each fiber. It also keeps the channel connected.
    reporter: Sender<Report<T>>,
}

/// The end of the fiber of one slot.
struct Report<T> {
    index: usize,
    /// `None` if the fiber never ran.
    result: Option<thread::Result<T>>,
}

/// Sends the report when it is dropped, so that a fiber that never runs is reported as well.
struct Reporter<T> {
    report: Option<Report<T>>,
    to: Sender<Report<T>>,
}

impl<T> Drop for Reporter<T> {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            // If the set is gone, it has detached its fibers or does not want their results.
            let _ = self.to.send(report);
        }
    }
}

/// The most slots that a set keeps when it has become empty.
const KEPT: usize = 4096;

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        let (reporter, ended) = unbounded();
        Self { handles: Vec::new(), free: Vec::new(), ended, reporter }
    }

    /// The number of fibers in the set: those that have not ended, and those that have ended and were not joined.
    pub fn len(&self) -> usize {
        self.handles.len() - self.free.len()
    }

    /// Whether the set has no fibers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels all fibers; see [`JoinHandle::cancel`]. They stay in the set until they are joined.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::JoinSet;
    /// let mut set = JoinSet::new();
    /// set.spawn(abaca::park);
    /// set.cancel_all();
    /// assert!(set.join_next().unwrap().unwrap_err().is::<abaca::Cancelled>());
    /// assert!(set.is_empty());
    /// # });
    /// ```
    #[track_caller]
    pub fn cancel_all(&mut self) {
        for handle in self.handles.iter().flatten() {
            handle.cancel();
        }
    }

    /// Takes all fibers out of the set, and lets them run on.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::{JoinSet, channel::bounded};
    /// let (sender, receiver) = bounded(1);
    /// let mut set = JoinSet::new();
    /// set.spawn(move || sender.send("still here").unwrap());
    /// set.detach_all();
    /// drop(set);
    /// assert_eq!(receiver.recv(), Ok("still here"));
    /// # });
    /// ```
    pub fn detach_all(&mut self) {
        self.handles.clear();
        self.free.clear();
        let (reporter, ended) = unbounded();
        self.reporter = reporter;
        self.drop_results(ended);
    }

    /// Drops the results that nobody has taken, each for itself: their destructors are the user's, and may panic. Those to come
    /// are received by `next`.
    fn drop_results(&mut self, next: Receiver<Report<T>>) {
        let ended = std::mem::replace(&mut self.ended, next);
        crate::park::shield(|| ended.try_iter().for_each(|report| contained(|| drop(report))));
        contained(|| drop(ended));
    }

    /// Cancels all fibers and waits for their ends. Their results are dropped.
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    #[track_caller]
    pub fn shutdown(&mut self) {
        self.cancel_all();
        while self.join_next().is_some() {}
    }

    /// Waits for the next fiber to end and takes its result out of the set; `None` if the set is empty.
    ///
    /// If the caller is cancelled while it waits, no result is lost: it is there at the next call.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`]: a payload, which tells how the fiber ended.
    pub fn join_next(&mut self) -> Option<thread::Result<T>> {
        if self.is_empty() {
            return None;
        }
        let report = self.ended.recv().expect("the set has a sender itself");
        Some(self.take_result(report))
    }

    /// Takes the result of a fiber that has ended already out of the set; `None` if there is none. It does not wait.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    pub fn try_join_next(&mut self) -> Option<thread::Result<T>> {
        let report = self.ended.try_recv().ok()?;
        Some(self.take_result(report))
    }

    /// Like [`join_next`](Self::join_next), for at most `duration`. A duration of zero takes a result that is there.
    ///
    /// # Errors
    ///
    /// * [`Elapsed`]: no fiber ended in time. All stay in the set and run on.
    /// * The inner error: as [`join_next`](Self::join_next).
    ///
    /// # Panics
    ///
    /// With `panic = "abort"`, since there is no unwinding then.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use std::time::Duration;
    /// use abaca::JoinSet;
    /// let mut set = JoinSet::new();
    /// set.spawn(abaca::park);
    /// assert!(set.join_next_timeout(Duration::from_millis(1)).is_err());
    /// set.spawn(|| ());
    /// assert!(set.join_next_timeout(Duration::from_secs(60)).unwrap().unwrap().is_ok());
    /// # });
    /// ```
    #[track_caller]
    pub fn join_next_timeout(&mut self, duration: Duration) -> Result<Option<thread::Result<T>>, Elapsed> {
        timeout(duration, || self.join_next())
    }

    /// Waits for all fibers and returns their results, in the order in which they ended.
    ///
    /// # Panics
    ///
    /// With the payload of a fiber that panicked or was cancelled. The set is dropped then, which cancels the others.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::JoinSet;
    /// let mut squares = JoinSet::from_iter((1..=3).map(|n| move || n * n)).join_all();
    /// squares.sort();
    /// assert_eq!(squares, [1, 4, 9]);
    /// # });
    /// ```
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

    fn take_result(&mut self, report: Report<T>) -> thread::Result<T> {
        let handle = self.handles[report.index].take().expect("a fiber reports once");
        self.free.push(report.index);
        if self.is_empty() && self.free.capacity() > KEPT {
            (self.handles, self.free) = (Vec::new(), Vec::new());
        }
        // It has reported, so it is about to end.
        let ended = crate::park::shield(|| handle.join());
        match (report.result, ended) {
            (Some(result), _) => result,
            (None, Err(payload)) => Err(payload),
            (None, Ok(())) => unreachable!("a fiber that ran has a result"),
        }
    }

    /// Reserves a slot for a fiber; returns its index, and the fiber's body, which reports to it.
    fn reserve<F: FnOnce() -> T>(&mut self, f: F) -> (usize, impl FnOnce() + use<F, T>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.handles.push(None);
            self.handles.len() - 1
        });
        let mut reporter =
            Reporter { report: Some(Report { index, result: None }), to: self.reporter.clone() };
        let run = move || {
            let mut result = catch_unwind(AssertUnwindSafe(f));
            if let Err(payload) = &mut result {
                Cancelled::end_unwinding(&mut **payload);
            }
            if let Some(report) = &mut reporter.report {
                report.result = Some(result);
            }
            drop(reporter);
        };
        (index, run)
    }

    /// Puts the handle into the slot that was reserved, or frees the slot and fails.
    #[track_caller]
    fn insert(&mut self, index: usize, spawned: Result<JoinHandle<()>, SpawnError>) -> Fiber {
        match spawned {
            Ok(handle) => {
                let fiber = handle.fiber();
                self.handles[index] = Some(handle);
                fiber
            }
            Err(error) => {
                self.free.push(index);
                // The body was dropped, so it has reported: that report is taken out again.
                let reports: Vec<_> = self.ended.try_iter().collect();
                for report in reports.into_iter().filter(|report| report.index != index) {
                    let _ = self.reporter.send(report);
                }
                error.raise()
            }
        }
    }
}

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns a fiber in the set. The handle that it returns is for [`cancel`](Fiber::cancel) and [`unpark`](Fiber::unpark);
    /// the set joins the fiber.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()).
    #[track_caller]
    pub fn spawn<F>(&mut self, f: F) -> Fiber
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_with(Builder::new(), f)
    }

    /// Like [`spawn`](Self::spawn), with the builder's name and stack size.
    ///
    /// # Panics
    ///
    /// As [`abaca::spawn`](crate::spawn()); also if the builder's [`stack_size`](Builder::stack_size) is 4 GiB or more, or its
    /// [`name`](Builder::name) contains a NUL.
    #[track_caller]
    pub fn spawn_with<F>(&mut self, builder: Builder, f: F) -> Fiber
    where
        F: FnOnce() -> T + Send + 'static,
    {
        builder.check_name();
        let (index, run) = self.reserve(f);
        let spawned = builder.even_at_the_end().spawn(run);
        self.insert(index, spawned)
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
        self.drop_results(never());
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
    #[track_caller]
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
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(closures: I) -> Self {
        let mut set = Self::new();
        set.extend(closures);
        set
    }
}
