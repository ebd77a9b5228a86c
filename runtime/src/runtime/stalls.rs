//! The settings of the stall report.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, Stall};

impl Builder {
    /// How long a fiber may keep its worker, without blocking or yielding and while others wait for it, before that is
    /// reported: once, within half as much again. `None` turns the report off. Default: one second; 10 ms is useful in
    /// development. The least is 1 ms; less is taken for that.
    ///
    /// The report is made by another thread, which neither interrupts the fiber nor any system call that it is in.
    ///
    /// ```
    /// use std::time::Duration;
    /// let builder = abaca::Runtime::builder().stall_threshold(Some(Duration::from_millis(10)));
    /// # drop(builder);
    /// ```
    pub fn stall_threshold(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.reporting.threshold = threshold.into().map(|threshold| threshold.max(Duration::from_millis(1)));
        self
    }

    /// Called with each stall, instead of writing it to standard error. It runs on a thread of its own and may block; while
    /// it does, other stalls of this runtime wait to be reported, if they last. A panic of the callback is reported and
    /// otherwise ignored.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    /// use abaca::runtime::Activity;
    ///
    /// let (stalls, reported) = mpsc::channel();
    /// let runtime = abaca::Runtime::builder()
    ///     .workers(1)
    ///     .stall_threshold(Duration::from_millis(10))
    ///     .on_stall(move |stall| _ = stalls.send(stall.clone()))
    ///     .build()
    ///     .unwrap();
    /// let stall = runtime.run(move || {
    ///     abaca::spawn_local(|| println!("waits for the other one"));
    ///     loop {
    ///         // A long computation.
    ///         if let Ok(stall) = reported.try_recv() {
    ///             break stall;
    ///         }
    ///     }
    /// });
    /// assert_eq!((stall.worker(), stall.fiber_name()), (0, Some("main")));
    /// assert_eq!(stall.activity(), Activity::Computing);
    /// ```
    pub fn on_stall(mut self, callback: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.reporting.callback = Some(Arc::new(callback));
        self
    }

    /// Whether a report says where the fiber is in its code, if it computes. Default: no. Needs the feature `backtrace`.
    ///
    /// The fiber is then interrupted once for each report, by SIGURG, while it computes and never while it waits; a handler that
    /// the program has for SIGURG goes on to get all others. Names are there if the program has debug information.
    #[cfg(feature = "backtrace")]
    pub fn stall_backtrace(mut self, is_on: bool) -> Self {
        self.reporting.has_backtrace = is_on;
        self
    }
}
