//! Signals as blocking calls: a fiber, or a plain thread, waits until the process receives one.
//!
//! Every [`Signals`] that listens for a signal receives it, in all runtimes of the process. Several that arrive before a
//! `Signals` has looked count as one, as they do for the kernel.
//!
//! # Handlers and defaults
//!
//! * A handler that the program or another library (tokio, ctrlc, signal-hook) installed earlier is still called while a
//!   `Signals` listens. A handler that is installed later gets the signal first, and usually passes it on.
//! * The default action of a signal, which for most ends the process, is off while a `Signals` listens for it, and so is
//!   ignoring it. Both are back after the last such `Signals` is dropped. tokio never restores them.
//!
//! # Example
//!
//! ```
//! # abaca::run(|| {
//! use abaca::process::Command;
//! use abaca::signal::{Signal, Signals};
//! let mut signals = Signals::new([Signal::User1, Signal::Terminate]).unwrap();
//! // As an operator would:
//! Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
//! assert_eq!(signals.wait().unwrap(), Signal::Terminate);
//! # });
//! ```

// `os/arrivals/mod.rs` tells how it works.

mod kind;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub use kind::Signal;

use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::arrivals::{self, Subscription};
use crate::os::epoll::{Epoll, EventBuffer};
use crate::os::nowait;
use crate::park::{self, Cost};
use crate::poller::Direction;
use crate::time::{self, Pauses};

/// Receives signals from the moment that it is made; see [the module's page](self).
///
/// It is also an endless iterator that waits for the next signal.
pub struct Signals {
    /// Has an event when a signal of any kind has arrived.
    arrivals: Descriptor<Epoll>,
    wanted: Vec<Wanted>,
}

struct Wanted {
    signal: Signal,
    subscription: Subscription,
}

impl Signals {
    /// Starts to receive these signals.
    ///
    /// # Errors
    ///
    /// * An error without a kind of its own: the process has no more descriptors (EMFILE, ENFILE).
    /// * [`OutOfMemory`](io::ErrorKind::OutOfMemory): the kernel has no memory for them.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let arrivals = Descriptor::new(arrivals::watch()?, Kind::Other);
        let mut wanted: Vec<Wanted> = Vec::new();
        for signal in signals {
            // One that is named twice still arrives once.
            if wanted.iter().all(|before| before.signal != signal) {
                wanted.push(Wanted { signal, subscription: Subscription::new(signal.number())? });
            }
        }
        Ok(Self { arrivals, wanted })
    }

    /// Blocks until one of the signals has arrived, and returns it. If several have arrived, the signal that comes first in the
    /// list of [`new`](Self::new) is returned first.
    ///
    /// # Errors
    ///
    /// * [`OutOfMemory`](io::ErrorKind::OutOfMemory): the kernel has no memory to wait for the descriptor.
    pub fn wait(&mut self) -> io::Result<Signal> {
        Ok(self.wait_until(None)?.expect("without a deadline only a signal ends the wait"))
    }

    /// Like [`wait`](Self::wait), for at most `timeout`. Returns `None` if the time is up first.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use abaca::signal::{Signal, Signals};
    /// let mut signals = Signals::new([Signal::Hangup]).unwrap();
    /// assert_eq!(signals.wait_timeout(Duration::from_millis(1)).unwrap(), None);
    /// ```
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<Signal>> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// Returns one of the signals if it has arrived, else `None`. It does not wait.
    ///
    /// ```
    /// # abaca::run(|| {
    /// use abaca::signal::{Signal, Signals};
    /// let mut signals = Signals::new([Signal::Hangup]).unwrap();
    /// assert_eq!(signals.try_wait(), None);
    /// # });
    /// ```
    pub fn try_wait(&mut self) -> Option<Signal> {
        let arrived = next_of(&mut self.wanted);
        park::spend(if arrived.is_some() { Cost::Call } else { Cost::TryFailed });
        arrived
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<Signal>> {
        let wanted = &mut self.wanted;
        let mut events = EventBuffer::new(1);
        let look = |epoll: &Epoll| {
            let take_away = || epoll.wait(&mut events, Some(Duration::ZERO), |_| ()).map(drop);
            arrivals::look(take_away, || next_of(wanted))
        };
        match self.arrivals.retry(Direction::Read, Reason::Signal, deadline, look, |_| false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if nowait::has_too_many_watchers(&error) => Ok(self.look_until(deadline)),
            result => result.map(Some),
        }
    }

    /// [`wait_until`](Self::wait_until) for a receiver beyond the 500 that the kernel wakes by one descriptor.
    #[cold]
    fn look_until(&mut self, deadline: Option<Instant>) -> Option<Signal> {
        let mut pauses = Pauses::new();
        loop {
            let arrived = next_of(&mut self.wanted);
            let now = Instant::now();
            if arrived.is_some() || deadline.is_some_and(|at| now >= at) {
                return arrived;
            }
            let soon = now + pauses.next_pause();
            time::sleep_until(deadline.map_or(soon, |at| at.min(soon)));
        }
    }
}

fn next_of(wanted: &mut [Wanted]) -> Option<Signal> {
    wanted.iter_mut().find_map(|wanted| wanted.subscription.has_arrived().then_some(wanted.signal))
}

impl Iterator for Signals {
    type Item = io::Result<Signal>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.wait())
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.wanted.iter().map(|wanted| wanted.signal)).finish()
    }
}

/// Blocks until the process receives SIGINT, which Ctrl-C sends. It listens only during the call: a second Ctrl-C has its
/// former effect again, which by default ends the process. Use [`Signals`] to receive more than one.
///
/// # Errors
///
/// As [`Signals::new`] and [`Signals::wait`].
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// # abaca::run(|| {
/// abaca::signal::ctrl_c()?;
/// println!("good bye");
/// # Ok(())
/// # })
/// # }
/// ```
pub fn ctrl_c() -> io::Result<()> {
    Signals::new([Signal::Interrupt])?.wait().map(drop)
}
