//! The wheel against a naive oracle: a sorted map of (tick, order of insert).

#![expect(unsafe_code, reason = "the wheel is intrusive")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::{self, NonNull};

use proptest::prelude::*;

use super::wheel::TICK_NS;
use super::*;

/// Timers identified by their index.
fn entries(count: usize) -> Vec<Entry> {
    (0..count).map(|index| Entry::new(ptr::without_provenance(index))).collect()
}

fn insert(wheel: &Wheel, entry: &Entry, deadline_ns: u64) {
    // SAFETY: the tests keep their entries in place until they have cancelled what is left.
    unsafe { wheel.insert(entry, deadline_ns) };
}

fn cancel(wheel: &Wheel, entry: &Entry) {
    // SAFETY: every test has one wheel.
    unsafe { wheel.cancel(entry) };
}

fn index(entry: NonNull<Entry>) -> usize {
    // SAFETY: the tests keep their entries alive.
    unsafe { entry.as_ref() }.owner().addr()
}

fn fired(wheel: &Wheel, now_ns: u64) -> Vec<usize> {
    let mut fired = Vec::new();
    wheel.expire(now_ns, |_| (), |entry| fired.push(index(entry)));
    fired
}

#[test]
fn a_timer_is_never_early_and_less_than_a_tick_late() {
    for start in [0, 1, TICK_NS - 1, 1_000_000_007] {
        for delay in [1, TICK_NS - 1, TICK_NS, 50_000, 1_000_000, 1_000_000_000, 3_600_000_000_000] {
            let wheel = Wheel::new(start);
            let entries = entries(1);
            let deadline = start + delay;
            insert(&wheel, &entries[0], deadline);
            let due = wheel.next_deadline().expect("a timer");
            assert!(deadline <= due && due < deadline + TICK_NS, "{start} + {delay}: {due}");
            assert_eq!(fired(&wheel, due - 1), []);
            assert_eq!(fired(&wheel, due), [0]);
            assert!(wheel.is_empty());
            assert_eq!(wheel.next_deadline(), None);
        }
    }
}

/// Sleeps until each wake-up, and returns how many ticks after its deadline each timer was fired, and the number of wake-ups.
fn lateness(ticks: &[u64]) -> (Vec<u64>, usize) {
    let wheel = Wheel::new(0);
    let entries = entries(ticks.len());
    for (entry, tick) in entries.iter().zip(ticks) {
        insert(&wheel, entry, tick * TICK_NS);
    }
    let (mut late, mut wakes) = (vec![0; ticks.len()], 0);
    while let Some(at) = wheel.next_wake() {
        wakes += 1;
        wheel.expire(at, |_| (), |entry| late[index(entry)] = at / TICK_NS - ticks[index(entry)]);
    }
    (late, wakes)
}

#[test]
fn few_timers_have_wake_ups_of_their_own() {
    let none_late = |ticks: &[u64]| assert!(lateness(ticks).0.iter().all(|late| *late == 0), "{ticks:?}");
    for start in 1..140 {
        none_late(&[start]);
        none_late(&[start, start + 1, start + 2]);
        none_late(&[start, start + 20, start + 40, start + 60, start + 80]);
    }
    // A crowd that is one tick's is woken at that tick.
    none_late(&[7; 100]);
}

#[test]
fn many_timers_share_wake_ups_and_none_is_late_by_more_than_a_span() {
    let ticks: Vec<u64> = (1..10_000).map(|timer| timer * 2 + timer % 3).collect();
    let (late, wakes) = lateness(&ticks);
    assert!(late.iter().all(|late| *late < 24), "at most {:?}", late.iter().max());
    assert!(wakes < ticks.len() / 6, "{wakes} wake-ups for {} timers", ticks.len());
}

#[test]
fn a_lone_timer_after_a_crowd_is_exact_again() {
    let crowd = (1..40).chain([400, 1_000, 1_023, 1_087]);
    let (late, _) = lateness(&crowd.collect::<Vec<_>>());
    assert_eq!(late[39..], [0; 4]);
}

#[test]
fn a_passed_deadline_is_due_at_the_next_tick() {
    let wheel = Wheel::new(10 * TICK_NS);
    let entries = entries(1);
    insert(&wheel, &entries[0], 0);
    assert_eq!(fired(&wheel, 11 * TICK_NS - 1), []);
    assert_eq!(fired(&wheel, 11 * TICK_NS), [0]);
}

#[test]
fn a_callback_that_inserts_what_is_due_does_not_keep_expire_from_ending() {
    let wheel = Wheel::new(0);
    let entries = entries(1);
    insert(&wheel, &entries[0], 1);
    let mut fires = 0;
    wheel.expire(
        1_000_000_000,
        |_| (),
        |entry| {
            fires += 1;
            insert(&wheel, &entries[index(entry)], 0);
        },
    );
    assert_eq!(fires, 1);
    assert_eq!(fired(&wheel, 1_000_000_000 + TICK_NS), [0]);
}

#[test]
fn the_end_of_time_never_comes() {
    let wheel = Wheel::new(0);
    let entries = entries(2);
    insert(&wheel, &entries[0], u64::MAX);
    assert_eq!(wheel.next_deadline(), Some(u64::MAX));
    assert_eq!(fired(&wheel, u64::MAX), []);
    insert(&wheel, &entries[1], u64::MAX - 2 * TICK_NS);
    assert_eq!(fired(&wheel, u64::MAX), []);
    for entry in &entries {
        cancel(&wheel, entry);
    }
    assert!(wheel.is_empty());
}

#[test]
fn a_clock_that_steps_back_fires_nothing() {
    let wheel = Wheel::new(0);
    let entries = entries(1);
    assert_eq!(fired(&wheel, 100 * TICK_NS), []);
    insert(&wheel, &entries[0], 101 * TICK_NS);
    assert_eq!(fired(&wheel, 50 * TICK_NS), []);
    assert_eq!(fired(&wheel, 101 * TICK_NS), [0]);
}

#[test]
fn a_panicking_callback_leaves_the_rest_for_the_next_expire() {
    let wheel = Wheel::new(0);
    let entries = entries(3);
    for (entry, deadline) in entries.iter().zip([TICK_NS, TICK_NS, 700 * TICK_NS]) {
        insert(&wheel, entry, deadline);
    }
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wheel.expire(800 * TICK_NS, |_| (), |_| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(panic.is_err());
    assert!(!entries[0].is_linked());
    assert_eq!(fired(&wheel, 801 * TICK_NS), [1, 2]);
}

/// A time span. Every level, and the borders between slots, are likely.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..3 * TICK_NS,
        (0_u32..51, 0_u64..3)
            .prop_map(|(level, off)| (TICK_NS << level.min(50)).saturating_add(off * TICK_NS)),
        1_000_000_u64..1_000_000_000,
        (0_u32..63).prop_flat_map(|bits| 0..1_u64 << bits),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    /// Inserts (or moves) a timer: which, and how far from now.
    Insert(usize, u64),
    /// The same with a deadline that has passed already.
    InsertPassed(usize, u64),
    Cancel(usize),
    /// Moves time and fires.
    Advance(u64),
    /// Moves time to the end that the wheel asked for.
    AdvanceToNext,
}

/// The action of a timer when it fires.
#[derive(Clone, Debug)]
enum OnFire {
    Nothing,
    InsertAgain(u64),
    Cancel(usize),
    InsertOther(usize, u64),
}

const TIMERS: usize = 24;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TIMERS, span()).prop_map(|(timer, span)| Step::Insert(timer, span)),
        1 => (0..TIMERS, span()).prop_map(|(timer, span)| Step::InsertPassed(timer, span)),
        2 => (0..TIMERS).prop_map(Step::Cancel),
        3 => span().prop_map(Step::Advance),
        3 => Just(Step::AdvanceToNext),
    ]
}

fn on_fire() -> impl Strategy<Value = OnFire> {
    prop_oneof![
        3 => Just(OnFire::Nothing),
        1 => span().prop_map(OnFire::InsertAgain),
        1 => (0..TIMERS).prop_map(OnFire::Cancel),
        1 => (0..TIMERS, span()).prop_map(|(timer, span)| OnFire::InsertOther(timer, span)),
    ]
}

/// Naive timers: every operation looks at all of them.
#[derive(Default)]
struct Oracle {
    /// (tick, number of the insert) -> timer
    timers: BTreeMap<(u64, u64), usize>,
    inserts: u64,
    /// The last tick that has passed.
    elapsed: u64,
}

impl Oracle {
    fn cancel(&mut self, timer: usize) {
        self.timers.retain(|_, &mut other| other != timer);
    }

    fn insert(&mut self, timer: usize, deadline_ns: u64) {
        self.cancel(timer);
        let tick = deadline_ns.div_ceil(TICK_NS).max(self.elapsed + 1);
        self.inserts += 1;
        self.timers.insert((tick, self.inserts), timer);
    }

    /// Takes the first timer that is due by now.
    fn pop(&mut self) -> Option<usize> {
        let (&key, &timer) = self.timers.first_key_value().filter(|(key, _)| key.0 <= self.elapsed)?;
        self.timers.remove(&key);
        Some(timer)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn it_fires_what_a_sorted_map_would(
        start in span(),
        on_fire in prop::collection::vec(on_fire(), TIMERS),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let entries = entries(TIMERS);
        let wheel = Wheel::new(start);
        let oracle = RefCell::new(Oracle { elapsed: start / TICK_NS, ..Oracle::default() });
        let mut now = start;

        let insert_both = |timer: usize, deadline: u64| {
            cancel(&wheel, &entries[timer]);
            insert(&wheel, &entries[timer], deadline);
            oracle.borrow_mut().insert(timer, deadline);
        };
        let cancel_both = |timer: usize| {
            cancel(&wheel, &entries[timer]);
            oracle.borrow_mut().cancel(timer);
        };
        let advance = |to: u64| {
            // The oracle's time moves first: a timer that a callback inserts is due after the end of this `expire`.
            {
                let mut oracle = oracle.borrow_mut();
                oracle.elapsed = oracle.elapsed.max(to / TICK_NS);
            }
            wheel.expire(to, |_| (), |entry| {
                let timer = index(entry);
                assert!(!entries[timer].is_linked());
                assert_eq!(Some(timer), oracle.borrow_mut().pop());
                match on_fire[timer] {
                    OnFire::Nothing => {}
                    OnFire::InsertAgain(span) => insert_both(timer, to.saturating_add(span)),
                    OnFire::Cancel(other) => cancel_both(other),
                    OnFire::InsertOther(other, span) => insert_both(other, to.saturating_add(span)),
                }
            });
            assert_eq!(oracle.borrow_mut().pop(), None, "the wheel missed a timer");
        };

        for step in steps {
            match step {
                Step::Insert(timer, span) => insert_both(timer, now.saturating_add(span)),
                Step::InsertPassed(timer, span) => insert_both(timer, now.saturating_sub(span)),
                Step::Cancel(timer) => cancel_both(timer),
                Step::Advance(span) => {
                    now = now.saturating_add(span);
                    advance(now);
                }
                Step::AdvanceToNext => {
                    now = wheel.next_deadline().map_or(now, |next| next.max(now));
                    advance(now);
                }
            }
            let first = oracle.borrow().timers.first_key_value().map(|(key, _)| key.0);
            prop_assert_eq!(wheel.is_empty(), first.is_none());
            prop_assert_eq!(wheel.next_deadline().is_none(), first.is_none());
            if let (Some(next), Some(first)) = (wheel.next_deadline(), first) {
                prop_assert!(next <= first.saturating_mul(TICK_NS), "{} > {}", next, first);
                let passed = oracle.borrow().elapsed;
                prop_assert!(next == u64::MAX || next / TICK_NS > passed, "an idle worker would spin");
            }
            for (timer, entry) in entries.iter().enumerate() {
                prop_assert_eq!(entry.is_linked(), oracle.borrow().timers.values().any(|&t| t == timer));
            }
        }
        (0..TIMERS).for_each(cancel_both);
        prop_assert!(wheel.is_empty());
    }

    #[test]
    fn waking_at_next_deadline_fires_each_timer_at_its_tick(
        start in span(),
        delays in prop::collection::vec(span(), 1..50),
    ) {
        let entries = entries(delays.len());
        let wheel = Wheel::new(start);
        // Before the end of time, which never comes.
        let last = u64::MAX - 2 * TICK_NS;
        let deadlines: Vec<u64> = delays.iter().map(|delay| start.saturating_add(*delay).min(last)).collect();
        for (entry, &deadline) in entries.iter().zip(&deadlines) {
            insert(&wheel, entry, deadline);
        }
        let (mut fires, mut wakes) = (0, 0);
        while let Some(now) = wheel.next_deadline() {
            wakes += 1;
            wheel.expire(now, |_| (), |entry| {
                let deadline = deadlines[index(entry)].max(start + 1);
                assert!(deadline <= now && now - deadline < TICK_NS, "due at {deadline}, fired at {now}");
                fires += 1;
            });
        }
        prop_assert_eq!(fires, deadlines.len());
        prop_assert!(wakes <= 10 * fires, "each timer cascades at most once for each level");
    }
}

/// Prints the cost of a timer. Run it with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "it measures and asserts only that every timer fired"]
fn cost_of_a_hundred_thousand_sleepers() {
    use std::time::Instant;

    const SLEEPERS: usize = 100_000;
    const MILLISECOND: u64 = 1_000_000;
    /// As far apart as the stacks on which entries really live: every access misses the cache.
    struct Sleeper {
        entry: Entry,
        _stack: [u8; 4096],
    }
    let sleepers: Vec<Sleeper> = (0..SLEEPERS)
        .map(|index| Sleeper { entry: Entry::new(ptr::without_provenance(index)), _stack: [0; 4096] })
        .collect();
    let per_timer = |start: Instant| start.elapsed().as_nanos() as f64 / SLEEPERS as f64;

    for round in 0..3 {
        let wheel = Wheel::new(0);
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let start = Instant::now();
        for sleeper in &sleepers {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            insert(&wheel, &sleeper.entry, MILLISECOND + random % (999 * MILLISECOND));
        }
        let inserts = per_timer(start);
        let start = Instant::now();
        let (mut fires, mut wakes, mut now) = (0, 0, 0);
        while !wheel.is_empty() {
            now += 50_000;
            wakes += 1;
            wheel.expire(now, |_| (), |_| fires += 1);
        }
        let expires = per_timer(start);
        assert_eq!(fires, SLEEPERS);

        let start = Instant::now();
        for sleeper in &sleepers {
            insert(&wheel, &sleeper.entry, now + 30_000 * MILLISECOND);
            cancel(&wheel, &sleeper.entry);
        }
        let timeouts = per_timer(start);
        println!(
            "round {round}: insert {inserts:.1} ns, expire {expires:.1} ns a timer ({wakes} calls), \
             insert and cancel {timeouts:.1} ns"
        );
    }
}
