//! How many picks a worker goes on before its hub looks at everything: 61 where they are short, fewer where each takes its
//! time, so that a timer is late by about a millisecond, or by one turn of a fiber that takes longer than that.

use std::cell::Cell;

/// The most picks of a tick. A prime, as in the Go scheduler, so that it does not resonate.
const LONGEST: u32 = 61;

/// What a worker begins with that knows nothing of its fibers.
const FIRST: u32 = 8;

/// How long a tick may take.
const TARGET_NS: u64 = 1_000_000;

/// After a sleep of this length a worker knows nothing.
const LONG_SLEEP_NS: u64 = 1_000_000;

/// The length of a worker's ticks.
#[derive(Debug)]
pub(super) struct Tick {
    picks: Cell<u32>,
    /// When the last one ended; 0 if nobody looked at the clock then.
    ended_ns: Cell<u64>,
    /// Whether the last one ended with a task that came before those who were ready.
    took_task: Cell<bool>,
}

impl Default for Tick {
    fn default() -> Self {
        Self { picks: Cell::new(FIRST), ended_ns: Cell::new(0), took_task: Cell::new(false) }
    }
}

impl Tick {
    /// How many picks the current one has.
    pub(super) fn picks(&self) -> u32 {
        self.picks.get()
    }

    /// A tick has ended. The clock counts only for one that leads to timers or descriptors.
    pub(super) fn end(&self, now_ns: Option<u64>) {
        let now_ns = now_ns.map_or(0, |now| now.max(1));
        let began_ns = self.ended_ns.replace(now_ns);
        if now_ns == 0 || began_ns == 0 {
            return;
        }
        let (picks, took_ns) = (self.picks.get(), now_ns.saturating_sub(began_ns));
        let fitting = if took_ns > TARGET_NS {
            u64::from(picks) * TARGET_NS / took_ns
        } else if took_ns < TARGET_NS / 2 {
            u64::from(picks) * 2
        } else {
            return;
        };
        self.picks.set(fitting.clamp(1, LONGEST.into()) as u32);
    }

    /// The worker has slept: the time of that says nothing of its fibers.
    pub(super) fn forget(&self, slept_ns: u64) {
        self.ended_ns.set(0);
        if slept_ns >= LONG_SLEEP_NS {
            self.picks.set(self.picks.get().min(FIRST));
        }
    }

    /// Whether a task may now come before those who are ready: after each tick, but where ticks are short only after every
    /// other, or the ready would starve.
    pub(super) fn is_for_a_task(&self) -> bool {
        let is = self.picks.get() == LONGEST || !self.took_task.get();
        self.took_task.set(is);
        is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends ticks whose picks take `pick_ns` each; the picks of all of them.
    fn run(tick: &Tick, now_ns: &mut u64, pick_ns: u64, ticks: usize) -> Vec<u32> {
        let one = |_| {
            *now_ns += pick_ns * u64::from(tick.picks());
            tick.end(Some(*now_ns));
            tick.picks()
        };
        (0..ticks).map(one).collect()
    }

    #[test]
    fn short_turns_have_long_ticks() {
        let tick = Tick::default();
        assert_eq!(run(&tick, &mut 0, 100, 5), [8, 16, 32, 61, 61]);
    }

    #[test]
    fn long_turns_have_short_ticks() {
        let (tick, mut now_ns) = (Tick::default(), 0);
        run(&tick, &mut now_ns, 100, 5);
        // The one that was under way when they began, and no other.
        assert_eq!(run(&tick, &mut now_ns, 50_000_000, 2), [1, 1]);
        assert_eq!(run(&tick, &mut now_ns, 100_000, 6), [2, 4, 8, 8, 8, 8]);
        run(&tick, &mut now_ns, 100, 3);
        assert_eq!(tick.picks(), LONGEST);
    }

    #[test]
    fn a_sleep_is_no_turn() {
        let (tick, mut now_ns) = (Tick::default(), 0);
        run(&tick, &mut now_ns, 100, 5);
        tick.forget(10_000);
        now_ns += 1_000_000_000;
        assert_eq!(run(&tick, &mut now_ns, 100, 2), [LONGEST; 2]);
        tick.forget(LONG_SLEEP_NS);
        assert_eq!(tick.picks(), FIRST);
    }

    #[test]
    fn where_nobody_looks_at_the_clock_nothing_is_learned() {
        let tick = Tick::default();
        tick.end(Some(5));
        tick.end(None);
        tick.end(Some(u64::MAX));
        assert_eq!(tick.picks(), FIRST);
    }

    #[test]
    fn the_ready_have_their_share_of_short_ticks() {
        let tick = Tick::default();
        let tasks: Vec<_> = (0..4).map(|_| tick.is_for_a_task()).collect();
        assert_eq!(tasks, [true, false, true, false]);
        run(&tick, &mut 0, 100, 5);
        assert!((0..4).all(|_| tick.is_for_a_task()));
    }
}
