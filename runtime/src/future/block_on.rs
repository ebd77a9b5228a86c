//! `block_on`: a fiber (or thread) that waits for a future.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::Notify;

/// What the waker of a [`block_on`] wakes.
struct Call(Notify);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// Drives a future on the calling fiber or thread, which blocks until it is ready. When the fiber is cancelled, the
/// future is dropped.
///
/// ```
/// # abaca::run(|| {
/// assert_eq!(abaca::future::block_on(async { 6 * 7 }), 42);
/// # });
/// ```
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let call = Arc::new(Call(Notify::new()));
    let waker = Waker::from(Arc::clone(&call));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        call.0.notified();
    }
}
