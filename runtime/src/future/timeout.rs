//! A future, or the end of the time for it.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::drive;
use crate::time::Elapsed;

/// Waits for a future, for `duration` at most. The future is dropped if it is late.
///
/// The future wins if it is ready when the time is up. Unlike [`time::timeout`](fn@crate::time::timeout), which ends any
/// blocking call by unwinding, this works with `panic = "abort"` too.
///
/// # Errors
///
/// [`Elapsed`] if the time is up first.
///
/// # Panics
///
/// If the future does.
///
/// ```
/// use std::time::Duration;
///
/// # abaca::run(|| {
/// assert_eq!(abaca::future::timeout(Duration::from_secs(60), async { 5 }), Ok(5));
/// assert!(abaca::future::timeout(Duration::from_millis(1), std::future::pending::<()>()).is_err());
/// # });
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    // Beyond the clock's range, the time is never up.
    let deadline = Instant::now().checked_add(duration);
    let mut future = pin!(future.into_future());
    let first = pin!(std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if deadline.is_some_and(|at| Instant::now() >= at) => Poll::Ready(Err(Elapsed::new())),
        Poll::Pending => Poll::Pending,
    }));
    drive(first, || deadline)
}
