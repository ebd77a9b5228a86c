//! Waiting for a future, for a limited time.

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::drive;
use crate::time::Elapsed;

/// Waits for a future, for at most `duration`. If it is late, it is dropped.
///
/// If the future is ready when the time is up, it wins. Unlike [`time::timeout`](fn@crate::time::timeout), which ends any
/// blocking call by unwinding, this works with `panic = "abort"` as well; but it ends only the future, and no blocking call
/// that a poll of the future makes.
///
/// # Errors
///
/// * [`Elapsed`]: the time was up before the future was ready.
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
    // A deadline beyond the clock's range never comes.
    let deadline = Instant::now().checked_add(duration);
    let mut future = pin!(future.into_future());
    let first = pin!(std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Ok(output)),
        Poll::Pending if deadline.is_some_and(|at| Instant::now() >= at) => Poll::Ready(Err(Elapsed::new())),
        Poll::Pending => Poll::Pending,
    }));
    drive(first, || deadline)
}
