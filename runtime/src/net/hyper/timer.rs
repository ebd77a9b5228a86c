//! hyper's timeouts. Each timeout that is waited for has a fiber, which ends with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::sync::Notify;

/// Timeouts for connections: `http1::Builder::timer(HyperTimer)`. A wait needs a runtime: outside of one it panics as
/// [`spawn`](fn@crate::spawn) does.
///
/// ```
/// use std::time::Duration;
/// use abaca::future::block_on;
/// use abaca::net::hyper::HyperTimer;
/// use hyper::rt::Timer;
///
/// # abaca::run(|| {
/// let started = HyperTimer.now();
/// block_on(HyperTimer.sleep(Duration::from_millis(1)));
/// assert!(started.elapsed() >= Duration::from_millis(1));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping { deadline: Instant::now().checked_add(duration), alarm: None })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping { deadline: Some(deadline), alarm: None })
    }
}

/// A timeout that is, or will be, waited for.
struct Sleeping {
    /// `None`: beyond the clock's range, so it never ends.
    deadline: Option<Instant>,
    /// Made at the first poll.
    alarm: Option<Arc<Alarm>>,
}

/// The state that a timeout shares with its fiber.
struct Alarm {
    /// The waker of the latest poll.
    waker: Mutex<Option<Waker>>,
    /// Notified when the timeout is dropped.
    off: Notify,
}

impl Alarm {
    fn exchange(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut self.waker.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }
}

impl Sleep for Sleeping {}

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let waker = Some(context.waker().clone());
        if let Some(alarm) = &self.alarm {
            // Before the clock is read: the fiber may just have taken the old waker.
            alarm.exchange(waker);
        } else if deadline > Instant::now() {
            let alarm = Arc::new(Alarm { waker: Mutex::new(waker), off: Notify::new() });
            self.alarm = Some(Arc::clone(&alarm));
            crate::fiber::spawn(move || {
                let left = deadline.saturating_duration_since(Instant::now());
                if !alarm.off.notified_timeout(left)
                    && let Some(waker) = alarm.exchange(None)
                {
                    waker.wake();
                }
            });
        }
        if Instant::now() < deadline { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Sleeping {
    fn drop(&mut self) {
        if let Some(alarm) = &self.alarm {
            alarm.off.notify_one();
        }
    }
}
