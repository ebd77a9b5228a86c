//! What the iterators over connections do with an error of accept that is not the listener's.

use std::io;
use std::time::Duration;

use crate::os::socket::{AcceptError, accept_error, has_run_out};
use crate::time;

/// How long an iterator waits when something has run out: this, and then twice as long each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The next connection. A connection that its client has given up is passed over; while there are no descriptors or no
/// memory, the connections wait in the listener's queue, and the fiber sleeps.
///
/// # Errors
///
/// Those of the listener; all of `accept` if it `gives_errors` instead of waiting.
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
