//! Signals as blocking calls: a fiber, or a plain thread, waits until the process is sent one.
//!
//! Everybody who waits for a signal sees it, in however many runtimes. Several that arrive before one has looked count as
//! one, as they do for the kernel.
//!
//! A handler that the program or another library (tokio, ctrlc, signal-hook) had for the signal goes on being called while
//! somebody listens here; one that is installed later gets the signal first, and usually passes it on. What the kernel does
//! with a signal by default (for most: it ends the process), or to ignore it, is off while somebody listens, and on again after
//! the last [`Signals`] for it is gone. tokio never turns it on again.
//!
//! How it works is told in `os/arrivals/mod.rs`.
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

mod kind;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub use kind::Signal;

use crate::cell::Reason;
use crate::io::{Descriptor, Kind};
use crate::os::arrivals::{self, Subscription};
use crate::os::epoll::{Epoll, EventBuffer};
use crate::park::{self, Cost};
use crate::poller::Way;

/// Receives signals, from its making on; see the module's documentation.
///
/// It is an iterator that waits for the next one and never ends.
pub struct Signals {
    /// Has an event when any signal has arrived.
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
    /// When there are no more descriptors.
    pub fn new(signals: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let arrivals = Descriptor::new(arrivals::watch()?, Kind::Other);
        let wanted = signals
            .into_iter()
            .map(|signal| Ok(Wanted { signal, subscription: Subscription::new(signal.number())? }));
        Ok(Self { arrivals, wanted: wanted.collect::<io::Result<_>>()? })
    }

    /// Blocks until one of the signals has arrived. Of several, the one that comes first in [`new`](Self::new) is reported
    /// first.
    ///
    /// # Errors
    ///
    /// When the wait cannot be registered with the poller, for want of memory.
    pub fn wait(&mut self) -> io::Result<Signal> {
        Ok(self.wait_until(None)?.expect("without a deadline only a signal ends the wait"))
    }

    /// [`wait`](Self::wait) for at most `timeout`; `None` when the time is up.
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

    /// One of the signals if it has arrived, without waiting.
    pub fn try_wait(&mut self) -> Option<Signal> {
        let arrived = next_of(&mut self.wanted);
        park::spend(if arrived.is_some() { Cost::Call } else { Cost::InVain });
        arrived
    }

    fn wait_until(&mut self, deadline: Option<Instant>) -> io::Result<Option<Signal>> {
        let wanted = &mut self.wanted;
        let mut events = EventBuffer::new(1);
        let look = |epoll: &Epoll| {
            let take_away = || epoll.wait(&mut events, Some(Duration::ZERO), |_| ()).map(drop);
            arrivals::look(take_away, || next_of(wanted))
        };
        match self.arrivals.retry(Way::Read, Reason::Signal, deadline, look, |_| false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
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

/// Blocks until somebody presses Ctrl-C (SIGINT), once. A second Ctrl-C does again what it did before; use [`Signals`] to
/// receive more than one.
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
