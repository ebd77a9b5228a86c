//! Calls that would wait for something of which no event tells: they are repeated after pauses.

use std::time::{Duration, Instant};

use abaca::hook::descriptors::{Ended, Wishes};
use abaca::hook::{Slept, is_cancelled, sleep_until};

use crate::answer::failed;

const FIRST: Duration = Duration::from_micros(500);
const LONGEST: Duration = Duration::from_millis(16);

/// Makes `call` until it returns something else than `-EAGAIN`, and sleeps in between: at first for half a millisecond, then twice as
/// long each time, up to 16 ms.
pub(crate) fn retry_with_pauses(wishes: impl FnOnce() -> Wishes, mut call: impl FnMut() -> isize) -> Ended {
    let mut wishes = Some(wishes);
    let mut deadline = None;
    let mut pause = FIRST;
    loop {
        match call() {
            result if result != failed(libc::EAGAIN) => return Ended::Done(result),
            _ => {}
        }
        if let Some(wishes) = wishes.take() {
            let Wishes { is_nonblocking, timeout } = wishes();
            if is_nonblocking {
                return Ended::WouldBlock;
            }
            deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        }
        let now = Instant::now();
        if deadline.is_some_and(|at| at <= now) {
            return Ended::TimedOut;
        }
        let until = deadline.map_or(now + pause, |at| at.min(now + pause));
        if is_cancelled() || sleep_until(Some(until)) == Slept::Cancelled {
            return Ended::Cancelled;
        }
        pause = LONGEST.min(pause * 2);
    }
}
