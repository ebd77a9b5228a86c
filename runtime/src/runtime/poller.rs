//! Which threads wait for events of the operating system.

use super::Builder;

/// The threads that wait for events of the operating system; see [`Builder::poller`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Poller {
    /// Each worker has an epoll instance. An idle worker sleeps in it, a busy one looks at it now and then.
    #[default]
    Workers,
    /// One thread waits for all events and hands the wake-ups to the workers.
    Thread,
}

impl Builder {
    /// Sets which threads wait for events of the operating system. Default: the environment variable `ABACA_POLLER` (`workers` or
    /// `thread`), else [`Poller::Workers`].
    ///
    /// ```
    /// use abaca::runtime::Poller;
    ///
    /// let runtime = abaca::Runtime::builder().poller(Poller::Thread).build().unwrap();
    /// assert_eq!(runtime.run(|| 6 * 7), 42);
    /// ```
    pub fn poller(mut self, poller: Poller) -> Self {
        self.poller = Some(poller);
        self
    }
}
