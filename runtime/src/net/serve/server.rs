//! A server's owner: asks it to stop, and waits for its end.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::connections::Connections;
use crate::cancel::CancellationToken;
use crate::sync::Mutex;

/// A server that runs: made by [`TcpListener::serve`](crate::net::TcpListener::serve) and its kin. Dropping it lets
/// the server run on, as dropping a join handle does.
///
/// To end it gracefully, [`stop`](Self::stop) it, from whoever hears of a signal say, and [`drain`](Self::drain) it.
///
/// With `panic = "abort"` nothing can be cancelled: a stop takes effect with the next connection, and what a drain
/// has waited for in vain, handlers and the accept loop, runs on.
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
    /// A server, and what tells it of the accept loop's end.
    pub(super) fn new(stop: CancellationToken, connections: Arc<Connections>) -> (Self, Ending) {
        let end = Arc::default();
        let ending = Ending(Arc::clone(&end));
        (Self { stop, connections, end }, ending)
    }

    /// Accepts no more connections, and closes the listener; those that are open go on. Returns at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// A handle by which others stop the server.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Blocks until the server accepts no more connections, because it was stopped or because its listener failed.
    /// The listener is closed then; connections may be open still.
    ///
    /// # Errors
    ///
    /// The error of the listener, if that was it; it is told once.
    pub fn stopped(&self) -> io::Result<()> {
        self.end.has_come.cancelled();
        self.end.error.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// Stops the server, waits at most for `timeout` until the connections have ended, and cancels the handlers that are left;
    /// returns how many that were. All have ended then.
    ///
    /// A handler that waits for the next request reads the end of its connection at once; one that is busy with a request
    /// does so when it comes back for the next. [`IdleHandle`](crate::net::IdleHandle) says what the runtime takes for which. So
    /// connections that are kept alive do not hold up the drain, and no request that has begun is cut short before the time
    /// is up. With a `timeout` of zero all are cancelled at once.
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
    /// As [`Server::stop`].
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
