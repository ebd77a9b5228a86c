//! The pauses of a wait for what nothing reports: the other end of a FIFO, a file's lock, room in a full Unix socket's queue, a child that
//! has no descriptor, the end of a thread of the kernel's. The waiting fiber looks, pauses, and looks again.
//!
//! The first looks come soon, so that a short wait stays short. A wait that has lasted for long is late by a small part of that, so that a
//! process that waits for ever does next to nothing.

#![cfg_attr(not(feature = "own-tls"), expect(unreachable_pub, reason = "for hooks, which are not there"))]

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(1);

/// The longest pause in the first second.
const LONG: Duration = Duration::from_millis(32);

/// The longest pause of all.
const LONGEST: Duration = Duration::from_millis(256);

/// Ever longer pauses: 1 ms, then twice as long each time, up to 32 ms or a 32nd of the wait so far, and never above 256 ms.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    waited: Duration,
}

impl Pauses {
    pub(crate) fn new() -> Self {
        Self::starting_with(FIRST)
    }

    /// Pauses of which the first is this one.
    #[must_use]
    pub fn starting_with(first: Duration) -> Self {
        Self { next: first, waited: Duration::ZERO }
    }

    /// The pause before the next look.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.waited += pause;
        self.next = (pause * 2).min(LONG.max(self.waited / 32)).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_grow_with_the_wait_and_end_at_a_quarter_of_a_second() {
        let mut pauses = Pauses::new();
        let first: Vec<_> = (0..7).map(|_| pauses.next_pause().as_millis()).collect();
        assert_eq!(first, [1, 2, 4, 8, 16, 32, 32]);
        let mut waited = Duration::from_millis(95);
        let mut looks = 0;
        while waited < Duration::from_secs(60) {
            let pause = pauses.next_pause();
            assert!(
                pause >= LONG && pause <= LONGEST && pause <= LONG.max(waited / 32),
                "{pause:?} after {waited:?}"
            );
            waited += pause;
            looks += 1;
        }
        assert!(looks < 350, "{looks} looks in a minute");
        assert_eq!(pauses.next_pause(), LONGEST);
    }

    #[test]
    fn those_that_start_sooner_grow_by_the_same_law() {
        let mut pauses = Pauses::starting_with(Duration::from_micros(500));
        let first: Vec<_> = (0..8).map(|_| pauses.next_pause().as_micros()).collect();
        assert_eq!(first, [500, 1000, 2000, 4000, 8000, 16000, 32000, 32000]);
    }
}
