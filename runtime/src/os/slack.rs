//! The timer slack: the delay that the kernel may add to a thread's timeouts.
//!
//! The threads and processes that a thread starts inherit its slack, and it outlives an exec. So the slack is changed only
//! while the thread sleeps, when it can start nothing.

use std::num::NonZeroU64;
use std::time::Duration;

use rustix::thread::{current_timer_slack, set_current_timer_slack};

/// The tight slack, in nanoseconds; the default is 50,000. A timed wait is late by this at most, plus the time to wake an idle
/// core.
const TIGHT_NS: u64 = 1_000;

/// Waits for longer than this keep the usual slack, which hardly matters to them: a server whose connections time out after
/// seconds does not pay for precision.
const PRECISE: Duration = Duration::from_millis(100);

/// Sleeps by calling `wait` with `timeout`. A short sleep has tight slack.
#[inline]
pub(crate) fn sleep<R>(timeout: Option<Duration>, wait: impl FnOnce(Option<Duration>) -> R) -> R {
    match timeout {
        Some(short) if !short.is_zero() && short <= PRECISE => {
            let _tight = Tight::new();
            wait(timeout)
        }
        _ => wait(timeout),
    }
}

/// Keeps the calling thread's slack tight.
struct Tight {
    /// The slack to restore. `None` if it was tight already.
    before: Option<u64>,
}

impl Tight {
    fn new() -> Self {
        let before = Some(of_this_thread()).filter(|before| *before > TIGHT_NS);
        if before.is_some() {
            set(TIGHT_NS);
        }
        Self { before }
    }
}

impl Drop for Tight {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            set(before);
        }
    }
}

/// The calling thread's slack, in nanoseconds. 0 if the kernel does not tell, and for a real-time thread; such slack is left
/// alone.
fn of_this_thread() -> u64 {
    current_timer_slack().unwrap_or(0)
}

fn set(slack_ns: u64) {
    // The call cannot fail for the calling thread.
    let _ = set_current_timer_slack(NonZeroU64::new(slack_ns));
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_short_sleep_is_tight_and_restores_the_slack() {
        const MS: Duration = Duration::from_millis(1);
        for before in [50_000, 30_000, 500] {
            set(before);
            let seen = |timeout| sleep(timeout, |_| of_this_thread());
            assert_eq!(seen(Some(MS)), before.min(TIGHT_NS));
            assert_eq!([seen(None), seen(Some(Duration::ZERO)), seen(Some(MS * 101))], [before; 3]);
            assert_eq!(of_this_thread(), before);
        }
    }
}
