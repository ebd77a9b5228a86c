//! How many threads a runtime keeps awake: it follows the load.
//!
//! Where more threads can run than there are processors, each of them waits for the others' time slices, and with it the connections of its
//! worker. One thread that runs two workers in turn has them wait for less, and leaves a processor to the clients that they wait for. Whether that is so
//! depends on who else wants the processors, so it is tried out: while the threads of a runtime wait for processors, the monitor lets
//! one more of them rest for a while, and goes by how many fibers have run before and since.
//!
//! This file has the decisions; `rest.rs` tells what they do. Nothing here is exact: the times are the kernel's accounts, and a window is as long as
//! the monitor makes it.

use std::time::Duration;

use super::Spares;
use crate::os::thread_time;
use crate::scheduler::phase::Phase;
use crate::scheduler::shared::Shared;

/// How long what is compared is counted.
const WINDOW: Duration = Duration::from_millis(20);

/// A window in which the threads have waited for less than this part of it, all together, is one in which they have their processors.
const LEAST_WAITED: f64 = 0.2;

/// How often the workers sleep in a window, at least, where it would help that fewer threads are awake. Those that compute do not.
const LEAST_SLEEPS: u64 = 10;

/// How many windows in a row must say the same.
const WINDOWS: u32 = 2;

/// The part of what was run before that must be run with one thread less.
const ENOUGH: f64 = 0.97;

/// For how long another attempt is put off after one that has failed; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After how long it is tried out whether the threads that rest would help after all.
const TRUSTED: Duration = Duration::from_secs(10);

/// How often something may wait for the worker of a thread that rests, in a window.
const MOST_UNPARKED: usize = 2;

/// What was counted in a window.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// How many fibers have run, in a second.
    rate: f64,
    /// For which part of it the threads have waited for processors, all together.
    waited: f64,
    sleeps: u64,
    /// How many threads that rested were unparked for work.
    unparked: usize,
}

/// The sums so far.
#[derive(Clone, Debug, Default)]
struct Sums {
    at_ns: u64,
    picks: u64,
    sleeps: u64,
    /// The workers' threads, and for how long each has waited.
    waited: Vec<(i32, Duration)>,
}

/// What the monitor is about to find out.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// All threads may be awake. So many windows have said that one should rest; they have run this many fibers.
    Watch { windows: u32, rate: f64 },
    /// One more thread rests since so many windows, and has to run at least this.
    Try { windows: u32, rate: f64, needed: f64 },
    /// It was enough.
    Trust { until_ns: u64 },
}

/// See the module's documentation. The monitor's.
#[derive(Debug)]
pub(in crate::scheduler) struct Load {
    sums: Sums,
    step: Step,
    /// How many threads rest.
    most: usize,
    /// Until when nothing is tried, and for how long after the next failure.
    paused_until_ns: u64,
    pause: Duration,
}

impl Default for Load {
    fn default() -> Self {
        let step = Step::Watch { windows: 0, rate: 0.0 };
        Self { sums: Sums::default(), step, most: 0, paused_until_ns: 0, pause: FIRST_PAUSE }
    }
}

impl Load {
    /// Looks whether the number of threads that rest should change. From the monitor, while it is awake.
    pub(in crate::scheduler) fn look(&mut self, shared: &Shared) {
        let Some(spares) = shared.spares.get() else { return };
        if shared.phase() != Phase::Running {
            return spares.let_rest(0);
        }
        let now_ns = shared.now_ns();
        if !spares.goes_by_load()
            || shared.workers.len() < 2
            || now_ns - self.sums.at_ns < WINDOW.as_nanos() as u64
        {
            return;
        }
        let Some(sums) = Sums::of(shared, now_ns) else { return };
        let window = sums.since(&self.sums, spares);
        self.sums = sums;
        let before = self.most;
        self.take(window, now_ns, shared.workers.len() / 2);
        if self.most != before {
            spares.let_rest(self.most);
        }
    }

    /// Decides by a window, after which it is `now_ns`. At most so many threads can rest.
    fn take(&mut self, window: Window, now_ns: u64, can_rest: usize) {
        let is_slow = window.sleeps >= LEAST_SLEEPS && window.waited >= LEAST_WAITED;
        self.step = match self.step {
            Step::Watch { windows, rate }
                if is_slow && now_ns >= self.paused_until_ns && self.most < can_rest =>
            {
                let rate = rate + window.rate;
                if windows + 1 < WINDOWS {
                    Step::Watch { windows: windows + 1, rate }
                } else {
                    self.most += 1;
                    Step::Try { windows: 0, rate: 0.0, needed: ENOUGH * rate / f64::from(WINDOWS) }
                }
            }
            Step::Watch { .. } => Step::Watch { windows: 0, rate: 0.0 },
            _ if window.unparked > MOST_UNPARKED => self.fail(0, now_ns),
            // In the first window the thread goes to rest.
            Step::Try { windows: 0, rate, needed } => Step::Try { windows: 1, rate, needed },
            Step::Try { windows, rate, needed } => {
                let rate = rate + window.rate;
                if windows < WINDOWS {
                    Step::Try { windows: windows + 1, rate, needed }
                } else if rate / f64::from(WINDOWS) < needed {
                    self.fail(self.most - 1, now_ns)
                } else {
                    self.pause = FIRST_PAUSE;
                    Step::Trust { until_ns: now_ns + TRUSTED.as_nanos() as u64 }
                }
            }
            // The load has gone, or it is time to try again.
            Step::Trust { until_ns } if window.sleeps < LEAST_SLEEPS || now_ns >= until_ns => {
                self.most = 0;
                Step::Watch { windows: 0, rate: 0.0 }
            }
            // It takes yet another thread.
            Step::Trust { .. } if is_slow && self.most < can_rest => Step::Watch { windows: 0, rate: 0.0 },
            trust @ Step::Trust { .. } => trust,
        };
    }

    /// Only so many threads may rest, for a while.
    fn fail(&mut self, most: usize, now_ns: u64) -> Step {
        self.most = most;
        self.paused_until_ns = now_ns + self.pause.as_nanos() as u64;
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        Step::Watch { windows: 0, rate: 0.0 }
    }
}

impl Sums {
    /// The sums at this time. `None` if the kernel does not tell.
    fn of(shared: &Shared, now_ns: u64) -> Option<Self> {
        let mut sums = Self { at_ns: now_ns, ..Self::default() };
        for worker in &shared.workers {
            sums.picks += worker.picks();
            sums.sleeps += worker.counters().sleeps.get();
            let thread_id = worker.thread_id();
            sums.waited.push((thread_id, thread_time::waited(thread_id)?));
        }
        Some(sums)
    }

    fn since(&self, before: &Self, spares: &Spares) -> Window {
        let seconds = Duration::from_nanos(self.at_ns - before.at_ns).as_secs_f64();
        let known = |thread_id: i32| before.waited.iter().find(|(other, _)| *other == thread_id);
        let waited = |&(thread_id, waited): &(i32, Duration)| {
            known(thread_id).map_or(Duration::ZERO, |(_, before)| waited.saturating_sub(*before))
        };
        Window {
            rate: self.picks.saturating_sub(before.picks) as f64 / seconds,
            waited: self.waited.iter().map(waited).sum::<Duration>().as_secs_f64() / seconds,
            sleeps: self.sleeps - before.sleeps,
            unparked: spares.take_unparked(),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SLOW: Window = Window { rate: 100.0, waited: 0.6, sleeps: 100, unparked: 0 };
    const FAST: Window = Window { waited: 0.0, ..SLOW };

    /// How many threads rest after each of these windows.
    fn rest(load: &mut Load, now_ns: &mut u64, windows: &[Window], can_rest: usize) -> Vec<usize> {
        let one = |window: &Window| {
            *now_ns += WINDOW.as_nanos() as u64;
            load.take(*window, *now_ns, can_rest);
            load.most
        };
        windows.iter().map(one).collect()
    }

    #[test]
    fn one_rests_as_long_as_no_less_is_run() {
        let (mut load, mut now_ns) = (Load::default(), 0);
        let busy = Window { waited: 0.0, rate: 98.0, ..SLOW };
        assert_eq!(rest(&mut load, &mut now_ns, &[FAST, SLOW, FAST, SLOW, SLOW], 1), [0, 0, 0, 0, 1]);
        assert_eq!(rest(&mut load, &mut now_ns, &[busy; 9], 1), [1; 9]);
        // The load has gone.
        let idle = Window { sleeps: 0, ..FAST };
        assert_eq!(rest(&mut load, &mut now_ns, &[idle, FAST, SLOW, SLOW], 1), [0, 0, 0, 1]);
    }

    #[test]
    fn one_that_is_missed_wakes_and_is_left_awake_for_longer_each_time() {
        let (mut load, mut now_ns) = (Load::default(), 0);
        let less = Window { waited: 0.0, rate: 90.0, ..SLOW };
        assert_eq!(rest(&mut load, &mut now_ns, &[SLOW, SLOW], 1), [0, 1]);
        for pause in [1, 2, 4] {
            assert_eq!(rest(&mut load, &mut now_ns, &[less; 3], 1), [1, 1, 0]);
            let began_ns = now_ns;
            while rest(&mut load, &mut now_ns, &[SLOW], 1) == [0] {}
            let waited = Duration::from_nanos(now_ns - began_ns);
            assert!((0..3 * WINDOW.as_millis()).contains(&(waited - Duration::from_secs(pause)).as_millis()));
        }
    }

    #[test]
    fn work_that_waits_for_one_that_rests_ends_it() {
        let (mut load, mut now_ns) = (Load::default(), 0);
        let waits = Window { unparked: MOST_UNPARKED + 1, ..FAST };
        assert_eq!(
            rest(&mut load, &mut now_ns, &[SLOW, SLOW, FAST, FAST, FAST, FAST, waits], 1),
            [0, 1, 1, 1, 1, 1, 0]
        );
    }

    #[test]
    fn more_rest_one_after_the_other_and_none_where_workers_compute() {
        let (mut load, mut now_ns) = (Load::default(), 0);
        let computing = Window { sleeps: 0, ..SLOW };
        assert_eq!(rest(&mut load, &mut now_ns, &[computing; 5], 4), [0; 5]);
        let most = rest(&mut load, &mut now_ns, &[SLOW; 60], 4);
        assert_eq!(most.last(), Some(&4));
    }
}
