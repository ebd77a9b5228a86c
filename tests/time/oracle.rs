//! `Interval`, next to tokio's: which ticks come at once, and when they were due.
//!
//! A period is so long that the time that passes during the test does not count: times are told in whole tenths of it. Nothing
//! is due just now, because tokio's clock has ticks of its own.

use std::time::{Duration, Instant};

use proptest::prelude::*;

const PERIOD: Duration = Duration::from_secs(1000);
const TENTH: Duration = Duration::from_secs(100);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a tick if it is due.
    Tick,
    Reset,
    /// In so many tenths of a period.
    ResetAfter(u32),
    /// So many tenths of a period ago, and half of one.
    ResetAgo(u32),
    Burst,
    Delay,
    Skip,
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    prop_oneof![
        12 => Just(Tick),
        1 => Just(Reset),
        1 => (1..20_u32).prop_map(ResetAfter),
        2 => (0..40_u32).prop_map(ResetAgo),
        1 => Just(Burst),
        1 => Just(Delay),
        1 => Just(Skip),
    ]
}

/// `$tick` takes the tick that is due, if there is one.
macro_rules! transcript {
    ($time:path, $tick:expr, $ago:expr, $steps:expr) => {{
        use $time as time;
        // Half a tenth, which tells the ticks that are due now from those that will be due soon.
        let start = Instant::now() - TENTH * $ago - TENTH / 2;
        let mut interval = time::interval_at(start.into(), PERIOD);
        let mut said = vec![format!("{:?} {:?}", interval.period(), interval.missed_tick_behavior())];
        for step in $steps {
            match *step {
                Step::Tick => {
                    let due: Option<Instant> = $tick(&mut interval);
                    // Some are due before the start.
                    let due =
                        due.map(|due| (due + 100 * PERIOD).duration_since(start).as_secs() / TENTH.as_secs());
                    said.push(format!("{due:?}"));
                }
                Step::Reset => interval.reset(),
                Step::ResetAfter(tenths) => interval.reset_after(TENTH * tenths),
                Step::ResetAgo(tenths) => {
                    interval.reset_at((Instant::now() - TENTH * tenths - TENTH / 2).into());
                }
                Step::Burst => interval.set_missed_tick_behavior(time::MissedTickBehavior::Burst),
                Step::Delay => interval.set_missed_tick_behavior(time::MissedTickBehavior::Delay),
                Step::Skip => interval.set_missed_tick_behavior(time::MissedTickBehavior::Skip),
            }
        }
        said
    }};
}

fn ours(ago: u32, steps: &[Step]) -> Vec<String> {
    let tick =
        |interval: &mut abaca::time::Interval| abaca::time::timeout(Duration::ZERO, || interval.tick()).ok();
    transcript!(abaca::time, tick, ago, steps)
}

/// Inside of a runtime of tokio.
fn theirs(ago: u32, steps: &[Step]) -> Vec<String> {
    let tick = |interval: &mut tokio::time::Interval| {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match interval.poll_tick(&mut context) {
            std::task::Poll::Ready(due) => Some(due.into_std()),
            std::task::Poll::Pending => None,
        }
    };
    transcript!(tokio::time, tick, ago, steps)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_interval_ticks_as_tokios(ago in 0..60_u32, steps in prop::collection::vec(step(), 0..30)) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let theirs = tokio.block_on(async { theirs(ago, &steps) });
        prop_assert_eq!(ours(ago, &steps), theirs);
    }
}
