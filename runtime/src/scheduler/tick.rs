//! The tick: the number of picks after which a worker's hub looks at everything. It is 61 if time slices are short, and less if
//! they are long, so that a timer is late by about a millisecond, or by one time slice that takes longer than that.

use std::cell::Cell;

/// The most picks of a tick. A prime, as in the Go scheduler, so that it does not resonate.
const LONGEST: u32 = 61;

/// The picks of the first tick, when a worker knows nothing of its fibers.
const FIRST: u32 = 8;

/// How long a tick may take.
const TARGET_NS: u64 = 1_000_000;

/// After a sleep of this length a worker begins anew with [`FIRST`].
const LONG_SLEEP_NS: u64 = 1_000_000;

/// While no fiber waits for a timer or a descriptor, the clock is read once in this many ticks, so that the next timer finds
/// ticks of a fitting length.
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

    /// Ends a tick, at this time if the time is known.
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

    /// Forgets the last clock read, after a sleep, whose time says nothing about the fibers. After a long sleep there may be other
    /// fibers, so ticks longer than the first one are shortened. `slept_ns` is called only for such ticks.
    pub(super) fn reset(&self, slept_ns: impl FnOnce() -> u64) {
        self.read_ns.set(0);
        self.untimed.set(0);
        if self.picks.get() > FIRST && slept_ns() >= LONG_SLEEP_NS {
            self.picks.set(FIRST);
        }
    }

    /// Whether an unstarted fiber may now come before the ready ones: after each tick if ticks are long, else only after every
    /// other one, or the ready fibers would starve.
    pub(super) fn may_take_unstarted(&self) -> bool {
        let is = self.picks.get() == LONGEST || !self.took_unstarted.get();
        self.took_unstarted.set(is);
        is
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends ticks whose picks take `pick_ns` each, and returns their numbers of picks.
    fn run(tick: &Tick, now_ns: &mut u64, pick_ns: u64, ticks: usize) -> Vec<u32> {
        let one = |_| {
            *now_ns += pick_ns * u64::from(tick.picks());
            tick.end(Some(*now_ns));
            tick.picks()
        };
        (0..ticks).map(one).collect()
    }

    #[test]
    fn short_time_slices_have_long_ticks() {
        let tick = Tick::default();
        assert_eq!(run(&tick, &mut 0, 100, 5), [8, 16, 32, 61, 61]);
    }

    #[test]
    fn long_time_slices_have_short_ticks() {
        let (tick, mut now_ns) = (Tick::default(), 0);
        run(&tick, &mut now_ns, 100, 5);
        // Only the tick that was under way when they began is long.
        assert_eq!(run(&tick, &mut now_ns, 50_000_000, 2), [1, 1]);
        assert_eq!(run(&tick, &mut now_ns, 100_000, 6), [2, 4, 8, 8, 8, 8]);
        run(&tick, &mut now_ns, 100, 3);
        assert_eq!(tick.picks(), LONGEST);
    }

    #[test]
    fn a_sleep_does_not_count_as_a_time_slice() {
        let (tick, mut now_ns) = (Tick::default(), 0);
        run(&tick, &mut now_ns, 100, 5);
        tick.reset(|| 10_000);
        now_ns += 1_000_000_000;
        assert_eq!(run(&tick, &mut now_ns, 100, 2), [LONGEST; 2]);
        tick.reset(|| LONG_SLEEP_NS);
        assert_eq!(tick.picks(), FIRST);
    }

    #[test]
    fn untimed_ticks_share_the_time_until_the_clock_is_read() {
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
    fn ready_fibers_come_first_after_every_other_short_tick() {
        let tick = Tick::default();
        let taken: Vec<_> = (0..4).map(|_| tick.may_take_unstarted()).collect();
        assert_eq!(taken, [true, false, true, false]);
        run(&tick, &mut 0, 100, 5);
        assert!((0..4).all(|_| tick.may_take_unstarted()));
    }
}
