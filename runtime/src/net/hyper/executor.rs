//! hyper's futures on fibers.

use hyper::rt::Executor;

use crate::future::block_on;

/// Runs each future on a fiber of its own. HTTP/2 needs one.
///
/// Where nothing can be spawned, as outside of a runtime, it panics as [`spawn`](fn@crate::spawn) does.
///
/// ```
/// use abaca::net::hyper::HyperExecutor;
/// use hyper::rt::Executor;
///
/// # abaca::run(|| {
/// let (sender, receiver) = abaca::channel::bounded(1);
/// HyperExecutor.execute(async move { sender.send("from a fiber").unwrap() });
/// assert_eq!(receiver.recv(), Ok("from a fiber"));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(crate::fiber::spawn(move || block_on(future)));
    }
}
