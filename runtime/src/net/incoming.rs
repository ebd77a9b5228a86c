//! The iterators over connections: how they handle an error of accept that is not the listener's own.

use std::io;
use std::time::Duration;

use crate::os::socket::{AcceptError, accept_error, has_run_out};
use crate::time;

/// How long an iterator waits when something has run out: the first pause, then twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The next connection. Skips a connection that its client has given up. While there are no descriptors or no memory, the
/// fiber sleeps, and connections wait in the listener's queue.
///
/// # Errors
///
/// Those of the listener; with `gives_errors`, all of `accept`.
pub(super) fn next<T>(accept: impl Fn() -> io::Result<T>, gives_errors: bool) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    loop {
        match accept() {
            Err(error) if gives_errors => return Err(error),
            Err(error) if accept_error(&error) == AcceptError::Connection => {}
            Err(error) if has_run_out(&error) => {
                time::sleep(pause);
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            accepted => return accepted,
        }
    }
}
