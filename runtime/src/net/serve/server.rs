//! The handle of a running server, which stops it and waits for its end.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::connections::Connections;
use crate::cancel::CancellationToken;
use crate::park::{self, Cost};
use crate::sync::Mutex;

/// A running server, from [`TcpListener::serve`](crate::net::TcpListener::serve) or [`ServeOptions::serve`](super::ServeOptions::serve).
/// Dropping it leaves the server running, as dropping a join handle detaches the fiber.
///
/// To end it gracefully, wait for a [signal](crate::signal) and [`drain`](Self::drain) it; see the
/// [example](crate::net#a-server).
///
/// With `panic = "abort"` nothing can be cancelled: a stop takes effect with the next connection, and handlers that have not
/// ended when the time of a drain is up run on, as does the accept loop.
pub struct Server {
    stop: CancellationToken,
    connections: Arc<Connections>,
    end: Arc<End>,
}

/// Stops its server: see [`Server::stop_handle`].
#[derive(Clone, Debug)]
pub struct StopHandle(CancellationToken);

/// The end of the accept loop.
#[derive(Default)]
struct End {
    has_come: CancellationToken,
    error: Mutex<Option<io::Error>>,
}

/// Held by the accept loop: dropping it is its end.
pub(super) struct Ending(Arc<End>);

impl Server {
    /// A server, and the guard by which its accept loop reports its end.
    pub(super) fn new(stop: CancellationToken, connections: Arc<Connections>) -> (Self, Ending) {
        let end = Arc::default();
        let ending = Ending(Arc::clone(&end));
        (Self { stop, connections, end }, ending)
    }

    /// Stops accepting connections, and closes the listener. Open connections go on. Returns at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// A handle that stops the server, for other fibers and threads.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        park::spend(Cost::Call);
        self.connections.count()
    }

    /// Blocks until the server accepts no more connections, because it was stopped or because its listener failed.
    /// The listener is closed then; connections may still be open.
    ///
    /// # Errors
    ///
    /// The error of the listener that ended the server; only the first call returns it.
    ///
    /// A fiber that is cancelled while it waits unwinds.
    pub fn stopped(&self) -> io::Result<()> {
        self.end.has_come.cancelled();
        self.end.error.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// Stops the server, waits at most for `timeout` until the connections have ended, and then cancels the handlers that are
    /// left. Returns how many were cancelled. When it returns, all handlers have ended.
    ///
    /// A handler that waits for the next request reads the end of its connection at once; a busy handler reads it when it comes
    /// back for the next request. [`IdleHandle`](crate::net::IdleHandle) defines "idle". So connections that are kept alive do
    /// not hold up the drain, and no request is cut short before the time is up. With a `timeout` of zero all handlers are
    /// cancelled at once.
    pub fn drain(self, timeout: Duration) -> usize {
        // A deadline beyond the clock's range never comes.
        let deadline = Instant::now().checked_add(timeout);
        self.stop();
        if cfg!(panic = "abort") {
            self.end.has_come.cancelled_timeout(timeout);
            self.connections.end_idling();
            return self.connections.wait_for_all(deadline);
        }
        self.end.has_come.cancelled();
        if !timeout.is_zero() {
            self.connections.end_idling();
        }
        let left = self.connections.wait_for_all(deadline);
        if left > 0 {
            self.connections.cancel();
            self.connections.wait_for_all(None);
        }
        left
    }
}

impl StopHandle {
    /// Stops the server, as [`Server::stop`] does.
    pub fn stop(&self) {
        self.0.cancel();
    }
}

impl Ending {
    pub(super) fn fail(&self, error: io::Error) {
        *self.0.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.has_come.cancel();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .field("is_stopped", &self.end.has_come.is_cancelled())
            .finish()
    }
}
