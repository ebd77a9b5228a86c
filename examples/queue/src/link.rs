//! A connection to Redis that comes back: what a server that restarts means for everybody who talks to it.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Connection, RedisError};

const LEAST_PAUSE: Duration = Duration::from_millis(10);
const MOST_PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may take. A server that takes longer counts as gone.
const MOST_SILENCE: Duration = Duration::from_secs(20);

/// How long a server that is away is waited for: the same for all links of a process.
#[derive(Clone)]
pub(crate) struct Patience(Arc<Mutex<Option<Instant>>>);

impl Patience {
    pub(crate) fn endless() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// From now on, until then only.
    pub(crate) fn end_at(&self, when: Instant) {
        *self.0.lock().expect("nobody panics with it") = Some(when);
    }

    fn is_over(&self) -> bool {
        self.0.lock().expect("nobody panics with it").is_some_and(|end| Instant::now() >= end)
    }
}

/// One connection, made anew when it breaks.
pub(crate) struct Link {
    client: Client,
    connection: Option<Connection>,
    patience: Patience,
}

impl Link {
    /// # Errors
    ///
    /// The URL is wrong. Whether the server is there is not looked at yet.
    pub(crate) fn new(url: &str, patience: Patience) -> Result<Self, RedisError> {
        Ok(Self { client: Client::open(url)?, connection: None, patience })
    }

    /// Calls `ask` with a connection, **again** if the connection breaks or the server is not ready. So what it asks for must mean the same
    /// when it is asked for twice: the server may have done it before the connection broke. All scripts of this program are of that kind.
    ///
    /// # Errors
    ///
    /// What the server says no to; or, at the end of the patience, why there is no connection.
    pub(crate) fn run<T>(
        &mut self,
        mut ask: impl FnMut(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        let mut pause = LEAST_PAUSE;
        loop {
            let error = match self.connected().and_then(&mut ask) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_lost = error.is_io_error() || error.is_unrecoverable_error();
            if is_lost {
                // Also after a silence: the answer to the last question would be taken for that to the next.
                self.connection = None;
            }
            if !is_lost && !is_early(&error) || self.patience.is_over() {
                return Err(error);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(MOST_PAUSE);
        }
    }

    fn connected(&mut self) -> Result<&mut Connection, RedisError> {
        if self.connection.is_none() {
            let connection = self.client.get_connection_with_timeout(MOST_SILENCE)?;
            connection.set_read_timeout(Some(MOST_SILENCE))?;
            connection.set_write_timeout(Some(MOST_SILENCE))?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_mut().expect("it was made"))
    }
}

/// Whether the server, or a part of it, will do later what it has refused: it reads its log, or hands its place over.
fn is_early(error: &RedisError) -> bool {
    let codes = ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "READONLY"];
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().all(|(_, error)| codes.contains(&error.code())))
}
