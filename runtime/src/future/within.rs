//! A future that is polled inside of a context, such as that of a tokio runtime.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future, each poll of which runs inside of a function; made by [`within`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Within<C, F> {
    context: C,
    // On the heap, so that `Within` can be moved while the future is pinned.
    future: Pin<Box<F>>,
}

/// Polls `future` inside of `context` each time: the context that the future needs, such as that of a tokio runtime, is entered
/// for each poll, and left before the fiber parks.
///
/// `context` is called for each poll with a function that polls, and calls it once. To enter a guard around all of
/// [`block_on`](super::block_on) instead would be wrong: it would stay entered on the worker's thread while the fiber is
/// parked, for all of its neighbours, and tokio panics when the guards of several fibers are dropped in another order than they
/// were made.
///
/// Futures that are `Send` and `'static` can also be [spawned](super#futures-of-tokio) on the tokio runtime.
///
/// Futures of tokio's on many fibers of one worker, each of which borrows and is not `Send`:
///
/// ```
/// use std::rc::Rc;
/// use std::time::Duration;
/// use abaca::future::{block_on, within};
///
/// let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
/// let handle = tokio.handle();
///
/// /// Enters tokio's context while the future is polled.
/// fn on_tokio<F: Future>(handle: &tokio::runtime::Handle, future: F) -> F::Output {
///     let enter = |poll: &mut dyn FnMut()| {
///         let _entered = handle.enter();
///         poll();
///     };
///     block_on(within(enter, future))
/// }
///
/// abaca::run(|| {
///     abaca::scope(|scope| {
///         for n in 0..100 {
///             scope.spawn(move || {
///                 let not_send = Rc::new(n);
///                 let double = async {
///                     tokio::time::sleep(Duration::from_millis(1)).await;
///                     2 * *not_send
///                 };
///                 assert_eq!(on_tokio(handle, double), 2 * n);
///             });
///         }
///     });
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
