//! A dump and a recording at SIGQUIT: a thread that waits for the signal, and for the end of its runtime.

use std::io::{self, Write};
use std::sync::{Arc, Weak};

use super::Builder;
use crate::os::arrivals::{self, Subscription};
use crate::os::epoll::{Epoll, EventBuffer, EventFd};
use crate::scheduler::{Shared, Trigger};
use crate::{observe, os};

impl Builder {
    /// Sets whether SIGQUIT (`Ctrl-\` on a terminal, `kill -QUIT`) writes a [`dump`](crate::dump) of all fibers to standard error.
    /// Default: no, so that the signal ends the process.
    ///
    /// The program goes on. A handler that was installed before is called as well. A signal that comes while a dump is being written
    /// makes another one. The price is a thread that sleeps. [`Recorder::on_signal`](crate::observe::flight::Recorder::on_signal) has a
    /// recording made as well.
    ///
    /// ```no_run
    /// let runtime = abaca::Runtime::builder().dump_on_sigquit(true).build().unwrap();
    /// runtime.run(|| abaca::sleep(std::time::Duration::from_secs(60)));
    /// ```
    pub fn dump_on_sigquit(mut self, on: bool) -> Self {
        self.dump_on_sigquit = on;
        self
    }
}

/// Ends the thread when its runtime ends.
#[derive(Debug)]
pub(super) struct Listener(Arc<EventFd>);

impl Listener {
    pub(super) fn stop(&self) {
        self.0.notify();
    }
}

/// The thread's body, which returns when the listener is stopped. It writes a dump if that is wanted, and has the runtime make a recording if
/// that makes one.
pub(super) fn listen(
    dumps: bool,
    shared: Weak<Shared>,
) -> io::Result<(Listener, impl FnOnce() + Send + 'static)> {
    const STOP: u64 = 1;
    let signals: Epoll = arrivals::watch()?;
    let mut quit = Subscription::new(arrivals::QUIT)?;
    let stop = Arc::new(EventFd::watched_by(&signals, STOP)?);
    let body_stop = Arc::clone(&stop);
    let body = move || {
        // Its descriptor is watched as long as this runs.
        let _stop = body_stop;
        let (mut buffer, mut is_stopped) = (EventBuffer::new(8), false);
        while !is_stopped {
            let waited = signals.wait(&mut buffer, None, |event| is_stopped |= event.key == STOP);
            if waited.is_err() {
                return;
            }
            if quit.has_arrived() {
                // On a thread of its own, since standard error may be a pipe that nobody reads.
                let shared = shared.clone();
                let _ = os::service::start("abaca-dump".into(), move || {
                    if let Some(shared) = shared.upgrade() {
                        shared.trigger(Trigger::Signal);
                    }
                    if dumps {
                        let text = observe::dump().to_string();
                        let _ = io::stderr().write_all(text.as_bytes());
                    }
                });
            }
        }
    };
    Ok((Listener(stop), body))
}
