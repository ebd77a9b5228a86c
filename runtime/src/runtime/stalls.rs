//! The settings of the report of stalls.

use std::sync::Arc;
use std::time::Duration;

use super::{Builder, Stall};

impl Builder {
    /// Sets how long a fiber may keep its worker before that is reported as a stall: without blocking or yielding, and while
    /// others wait for the worker. Each stall is reported once, at the latest after one and a half times the threshold. `None`
    /// turns the report off. Default: one second; 10 ms is useful in development. The least is 1 ms; shorter ones are taken for
    /// that.
    ///
    /// Another thread makes the report. It interrupts neither the fiber nor a system call that the fiber is in.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let builder = abaca::Runtime::builder();
    /// let strict = builder.clone().stall_threshold(Duration::from_millis(10));
    /// let silent = builder.stall_threshold(None);
    /// # drop((strict, silent));
    /// ```
    pub fn stall_threshold(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.reporting.threshold = threshold.into().map(|threshold| threshold.max(Duration::from_millis(1)));
        self
    }

    /// Sets a callback for stalls, which then are not written to standard error. It runs on a thread of its own and may block.
    /// While it blocks, other stalls of this runtime are not reported; those that last are reported afterwards. A panic of the
    /// callback is reported and otherwise ignored.
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

    /// Sets whether a report shows where the fiber is in its code, if it computes. Default: no. Needs the feature `backtrace`.
    ///
    /// For each report, the fiber is then interrupted once by SIGURG, only while it computes, never while it waits. If the
    /// program has a handler for SIGURG, it still gets all other such signals. The backtrace has names if the program has debug
    /// information.
    #[cfg(feature = "backtrace")]
    pub fn stall_backtrace(mut self, is_on: bool) -> Self {
        self.reporting.has_backtrace = is_on;
        self
    }
}
