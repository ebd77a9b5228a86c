//! The accept loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Listener;
use super::connections::Connections;
use crate::cancel::{self, CancelToken};
use crate::fiber;
use crate::fiber::{Builder, SpawnError};
use crate::os::socket::{AcceptError, accept_error};

/// How long the loop waits when something has run out: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and spawns, until it is told to stop.
pub(super) struct Acceptor<L, H> {
    pub(super) listener: L,
    pub(super) handler: Arc<H>,
    pub(super) connections: Arc<Connections>,
    pub(super) max_connections: usize,
    pub(super) stack_size: Option<usize>,
    pub(super) stop: CancelToken,
}

impl<L, H> Acceptor<L, H>
where
    L: Listener,
    H: Fn(L::Stream, L::Addr) + Send + Sync + 'static,
{
    /// # Errors
    ///
    /// What ended the loop, unless it was told to stop.
    pub(super) fn run(self) -> io::Result<()> {
        if cfg!(panic = "abort") {
            // There is no unwinding out of an accept: the loop looks when it comes by.
            return self.accept_until_stopped();
        }
        self.stop.run_until_cancelled(|| self.accept_until_stopped()).unwrap_or(Ok(()))
    }

    fn accept_until_stopped(&self) -> io::Result<()> {
        let mut pause = FIRST_PAUSE;
        while !self.stop.is_cancelled() {
            self.connections.wait_below(self.max_connections);
            let has_run_out = match self.listener.accept() {
                // A stop in the middle would lose the connection, or leave its fiber unknown to those who cancel them.
                Ok((stream, address)) => cancel::shield(|| self.start(stream, address)).is_err(),
                Err(error) => match accept_error(&error) {
                    AcceptError::Connection => {
                        // Each of them may have waited for nothing: others run in between.
                        fiber::yield_now();
                        false
                    }
                    AcceptError::Resources => true,
                    AcceptError::Listener => return Err(error),
                },
            };
            if has_run_out {
                self.connections.wait_for_an_end(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            } else {
                pause = FIRST_PAUSE;
            }
        }
        Ok(())
    }

    /// # Errors
    ///
    /// When there is no room for another fiber; the connection is then closed.
    fn start(&self, stream: L::Stream, address: L::Addr) -> Result<(), SpawnError> {
        let builder = self.stack_size.map_or_else(Builder::new, |bytes| Builder::new().stack_size(bytes));
        let connection = self.connections.open(L::idle_handle(&stream));
        let number = connection.number();
        let handler = Arc::clone(&self.handler);
        let serve = move || {
            let _open = connection;
            handler(stream, address);
        };
        let fiber = builder.spawn(serve)?.fiber();
        self.connections.started(number, fiber);
        Ok(())
    }
}
