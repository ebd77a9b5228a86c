//! A future that is polled in somebody's context.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future whose every poll runs inside of a function; made by [`within`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Within<C, F> {
    context: C,
    // On the heap, so that the whole can be moved while the future is pinned.
    future: Pin<Box<F>>,
}

/// Polls `future` inside of `context` each time: what the future needs around it, such as tokio's runtime, is there while it
/// is polled and gone when its fiber parks.
///
/// `context` is called with a function that polls, which it calls once. A guard that is entered around all of
/// [`block_on`](super::block_on) instead would stay entered on the worker's thread while the fiber is parked, for all of its
/// neighbours.
///
/// ```
/// use std::time::Duration;
/// use abaca::future::{block_on, within};
///
/// let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
/// let handle = tokio.handle();
/// abaca::run(|| {
///     let sleep = async { tokio::time::sleep(Duration::from_millis(1)).await };
///     block_on(within(
///         |poll| {
///             let _entered = handle.enter();
///             poll();
///         },
///         sleep,
///     ));
/// });
/// ```
pub fn within<C, F>(context: C, future: F) -> Within<C, F::IntoFuture>
where
    C: FnMut(&mut dyn FnMut()),
    F: IntoFuture,
{
    Within { context, future: Box::pin(future.into_future()) }
}

impl<C: FnMut(&mut dyn FnMut()) + Unpin, F: Future> Future for Within<C, F> {
    type Output = F::Output;

    /// # Panics
    ///
    /// If the future does, or if the context does not call the function that polls.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let mut polled = None;
        (this.context)(&mut || polled = polled.take().or_else(|| Some(this.future.as_mut().poll(context))));
        polled.expect("the context calls the function that polls")
    }
}

impl<C, F> fmt::Debug for Within<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}
