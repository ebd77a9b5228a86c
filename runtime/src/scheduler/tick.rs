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

/// While nobody waits for a timer or a descriptor, the clock is read once in this many ticks: the length that they have then is
/// the one with which the next timer finds them.
const UNTIMED: u32 = 8;

/// The length of a worker's ticks.
#[derive(Debug)]
pub(super) struct Tick {
    picks: Cell<u32>,
    /// When the clock was last read; 0 if the worker has slept since.
    read_ns: Cell<u64>,
    /// The number of ticks that have ended since.
    untimed: Cell<u32>,
    /// Whether the last tick ended with an unstarted fiber that came before the ready ones.
    took_unstarted: Cell<bool>,
}

impl Default for Tick {
    fn default() -> Self {
        Self {
            picks: Cell::new(FIRST),
            read_ns: Cell::new(0),
            untimed: Cell::new(0),
            took_unstarted: Cell::new(false),
        }
    }
}

impl Tick {
    /// The number of picks of the current tick.
    pub(super) fn picks(&self) -> u32 {
        self.picks.get()
    }

    /// Whether the clock must be read at the end of this tick, although nobody waits for a timer or a descriptor.
    pub(super) fn needs_time(&self) -> bool {
        self.untimed.get() + 1 >= UNTIMED
    }

    /// A tick has ended, at this time if it is known.
    pub(super) fn end(&self, now_ns: Option<u64>) {
        let ticks = self.untimed.get() + 1;
        let Some(now_ns) = now_ns else { return self.untimed.set(ticks) };
        self.untimed.set(0);
        let began_ns = self.read_ns.replace(now_ns.max(1));
        if began_ns == 0 {
            return;
        }
        let (picks, took_ns) = (self.picks.get(), now_ns.saturating_sub(began_ns) / u64::from(ticks));
        let fitting = if took_ns > TARGET_NS {
            u64::from(picks) * TARGET_NS / took_ns
        } else if took_ns < TARGET_NS / 2 {
            u64::from(picks) * 2
        } else {
            return;
        };
        self.picks.set(fitting.clamp(1, LONGEST.into()) as u32);
    }

    /// The worker has slept: the time of the sleep says nothing about its fibers. After a long sleep, which only ticks longer than
    /// the first ones ask for, the fibers may be others.
    pub(super) fn reset(&self, slept_ns: impl FnOnce() -> u64) {
        self.read_ns.set(0);
        self.untimed.set(0);
        if self.picks.get() > FIRST && slept_ns() >= LONG_SLEEP_NS {
            self.picks.set(FIRST);
        }
    }

    /// Whether a task may now come before those who are ready: after each tick, but where ticks are short only after every
    /// other, or the ready would starve.
    pub(super) fn may_take_unstarted(&self) -> bool {
        let is = self.picks.get() == LONGEST || !self.took_unstarted.get();
        self.took_unstarted.set(is);
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
        tick.reset(|| 10_000);
        now_ns += 1_000_000_000;
        assert_eq!(run(&tick, &mut now_ns, 100, 2), [LONGEST; 2]);
        tick.reset(|| LONG_SLEEP_NS);
        assert_eq!(tick.picks(), FIRST);
    }

    #[test]
    fn ticks_that_nobody_times_share_the_time_until_the_clock_is_read() {
        let (tick, mut now_ns) = (Tick::default(), 0);
        for _ in 0..4 {
            for _ in 1..UNTIMED {
                assert!(!tick.needs_time());
                now_ns += 100 * u64::from(tick.picks());
                tick.end(None);
            }
            assert!(tick.needs_time());
            run(&tick, &mut now_ns, 100, 1);
        }
        assert_eq!(tick.picks(), LONGEST);
    }

    #[test]
    fn the_ready_have_their_share_of_short_ticks() {
        let tick = Tick::default();
        let taken: Vec<_> = (0..4).map(|_| tick.may_take_unstarted()).collect();
        assert_eq!(taken, [true, false, true, false]);
        run(&tick, &mut 0, 100, 5);
        assert!((0..4).all(|_| tick.may_take_unstarted()));
    }
}
