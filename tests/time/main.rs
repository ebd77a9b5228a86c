//! `abaca::time`: deadlines around any blocking code, and intervals. (`tests/cancel` has the deadlines in every call.)

// Looks at the end for what is left behind.
use abaca_tests as _;

mod extremes;
mod oracle;

use std::time::{Duration, Instant};

use abaca::time::{self, Elapsed, MissedTickBehavior, interval, interval_at, timeout, timeout_at};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

/// On a fiber, and on a plain thread.
fn on_both(f: impl Fn() + Send + Sync) {
    abaca::run(&f);
    f();
}

#[test]
fn a_result_in_time_is_passed_on() {
    on_both(|| {
        assert_eq!(timeout(LONG, || "in time"), Ok("in time"));
        assert_eq!(timeout(Duration::MAX, || 1), Ok(1), "beyond the clock's range");
        assert_eq!(timeout_at(Instant::now() + LONG, || 2), Ok(2));
    });
}

#[test]
fn code_that_does_not_block_is_not_interrupted() {
    on_both(|| assert_eq!(timeout(Duration::ZERO, || 3), Ok(3)));
}

#[test]
fn the_end_of_the_time_is_an_error_that_is_an_io_error_too() {
    on_both(|| {
        let error: Elapsed = timeout(SHORT, || time::sleep(LONG)).unwrap_err();
        assert_eq!(error.to_string(), "deadline has elapsed");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
        assert!(timeout_at(Instant::now(), abaca::park).is_err());
    });
}

#[test]
fn a_call_has_its_own_deadline_inside_of_a_timeout() {
    on_both(|| {
        let (_sender, receiver) = abaca::channel::unbounded::<u8>();
        let inner = timeout(LONG, || receiver.recv_timeout(SHORT)).expect("not the outer one");
        assert!(inner.unwrap_err().is_timeout());
        assert!(timeout(SHORT, || receiver.recv_timeout(LONG)).is_err());
        // The sooner of two in the same call, whichever comes first.
        assert!(timeout(SHORT, || abaca::park_timeout(LONG)).is_err());
        assert!(timeout(LONG, || abaca::park_timeout(SHORT)).is_ok());
    });
}

#[test]
fn many_timeouts_on_one_worker_do_not_disturb_each_other() {
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    runtime.run(|| {
        let fibers: Vec<_> = (0..1000_u64)
            .map(|number| {
                abaca::spawn(move || {
                    let limit = Duration::from_micros(1 + number * 7 % 500);
                    (0..10).filter(|_| timeout(limit, abaca::park).is_err()).count()
                })
            })
            .collect();
        for fiber in fibers {
            assert_eq!(fiber.join().unwrap(), 10);
        }
    });
}

#[test]
fn a_timeout_that_fails_ends_the_borrow() {
    on_both(|| {
        let mut log = vec![1];
        let late = timeout(SHORT, || {
            log.push(2);
            abaca::park();
            log.push(3);
        });
        assert!(late.is_err());
        assert_eq!(log, [1, 2]);
    });
}

#[test]
fn an_interval_ticks_at_once_and_then_every_period() {
    on_both(|| {
        let mut ticks = interval(SHORT);
        let first = ticks.tick();
        assert!(first <= Instant::now());
        for number in 1..5 {
            let due = ticks.tick();
            assert_eq!(due, first + SHORT * number);
            assert!(Instant::now() >= due, "never early");
        }
        assert_eq!(ticks.period(), SHORT);
        let start = Instant::now() + SHORT;
        assert!(interval_at(start, SHORT).take(3).eq((0..3).map(|number| start + SHORT * number)));
    });
}

/// The due times of the next ticks, in periods after the first, of an interval that began so many tenths of a period ago.
fn ticks_after(behavior: MissedTickBehavior, tenths: u32, count: usize) -> Vec<f64> {
    let period = Duration::from_secs(100);
    let start = Instant::now() - period * tenths / 10;
    let mut ticks = interval_at(start, period);
    ticks.set_missed_tick_behavior(behavior);
    assert_eq!(ticks.missed_tick_behavior(), behavior);
    let mut dues = Vec::new();
    for _ in 0..count {
        // A tick that is not due yet is not waited for: it is the last.
        match timeout(Duration::ZERO, || ticks.tick()) {
            Ok(due) => dues.push(due.duration_since(start).as_secs_f64() / period.as_secs_f64()),
            Err(_) => break,
        }
    }
    dues
}

#[test]
fn missed_ticks_come_at_once_are_delayed_or_skipped() {
    abaca::run(|| {
        assert_eq!(ticks_after(MissedTickBehavior::Burst, 35, 9), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(ticks_after(MissedTickBehavior::Skip, 35, 9), [0.0]);
        assert_eq!(ticks_after(MissedTickBehavior::Delay, 35, 9), [0.0]);
        assert_eq!(MissedTickBehavior::default(), MissedTickBehavior::Burst);
    });
}

#[test]
fn a_late_tick_sets_the_time_of_the_next() {
    abaca::run(|| {
        let period = Duration::from_millis(20);
        let start = Instant::now() - period * 5 / 2;
        for (behavior, at_least, is_aligned) in
            [(MissedTickBehavior::Skip, 3 * period, true), (MissedTickBehavior::Delay, 7 * period / 2, false)]
        {
            let mut ticks = interval_at(start, period);
            ticks.set_missed_tick_behavior(behavior);
            assert_eq!(ticks.tick(), start);
            let since = ticks.tick().duration_since(start);
            assert!(since >= at_least, "{behavior:?}: {since:?}");
            assert_eq!(
                since.as_nanos().is_multiple_of(period.as_nanos()),
                is_aligned,
                "{behavior:?}: {since:?}"
            );
        }
    });
}

#[test]
fn an_interval_can_be_reset() {
    abaca::run(|| {
        let mut ticks = interval(LONG);
        ticks.tick();
        assert!(timeout(SHORT, || ticks.tick()).is_err(), "the tick is not lost by that");
        ticks.reset_immediately();
        ticks.tick();
        ticks.reset_after(SHORT);
        ticks.tick();
        let at = Instant::now() + SHORT;
        ticks.reset_at(at);
        assert_eq!(ticks.tick(), at);
        ticks.reset();
        assert!(timeout(SHORT, || ticks.tick()).is_err());
    });
}

#[test]
#[should_panic(expected = "more than zero")]
fn a_period_of_zero_panics() {
    interval(Duration::ZERO);
}
