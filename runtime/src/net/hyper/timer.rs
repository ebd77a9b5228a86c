//! hyper's timeouts. Each that is waited for is a fiber, which ends with it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::sync::Notify;

/// Timeouts for connections: `http1::Builder::timer(HyperTimer)`. They are waited for in a runtime.
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
    /// Made when it is first waited for.
    alarm: Option<Arc<Alarm>>,
}

/// What a timeout shares with its fiber.
struct Alarm {
    /// The latest one to wake.
    waker: Mutex<Option<Waker>>,
    /// Nobody waits any more.
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
            // Before the look at the clock: the fiber may have come for it just now.
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
