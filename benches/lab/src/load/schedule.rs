//! When the requests of an open loop are due, and which of them are busy: a pure function of the plan, so that every server
//! is offered the same.

use std::time::Duration;

use super::plan::{Arrivals, Plan};

/// One request of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// From the first request of an even schedule.
    pub(super) after: Duration,
    pub(super) burns: bool,
}

/// The requests of an open loop at `rate`, in order and without end.
pub(super) fn schedule(plan: &Plan, rate: f64) -> impl Iterator<Item = Planned> + use<> {
    let arrivals = plan.arrivals;
    let one_in = plan.burns.as_ref().map(|burns| u64::from(burns.one_in.max(1)));
    let mut random = match arrivals {
        Arrivals::Even => Random(0),
        Arrivals::Random { seed } => Random(seed),
    };
    let mut seconds = 0.0;
    let mut burning = 0;
    (0_u64..).map(move |number| {
        let after = match arrivals {
            Arrivals::Even => number as f64 / rate,
            Arrivals::Random { .. } => {
                seconds += random.gap() / rate;
                seconds
            }
        };
        let burns = one_in.is_some_and(|one_in| {
            // One of each block, so that their number is exact: the middle one, or any.
            if number.is_multiple_of(one_in) {
                burning = match arrivals {
                    Arrivals::Even => one_in / 2,
                    Arrivals::Random { .. } => random.next() % one_in,
                };
            }
            number % one_in == burning
        });
        Planned { after: Duration::from_secs_f64(after), burns }
    })
}

/// Steele, Lea and Flood's SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The time between two events of a Poisson process that has one event a second on average.
    fn gap(&mut self) -> f64 {
        // 53 bits, of which zero is left out: its logarithm is no number.
        let share = ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -share.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Burns, Pace};

    fn plan(arrivals: Arrivals, one_in: u32) -> Plan {
        let target = "http://127.0.0.1:1/".parse().expect("a target");
        let mut plan = Plan::new(target, Pace::Open { rate: 1000.0 }, 1, Duration::ZERO);
        plan.arrivals = arrivals;
        plan.burns = Some(Burns { one_in, path: String::new() });
        plan
    }

    #[test]
    fn one_of_each_block_burns() {
        for arrivals in [Arrivals::Even, Arrivals::Random { seed: 7 }] {
            let all: Vec<Planned> = schedule(&plan(arrivals, 100), 1000.0).take(10_000).collect();
            for block in all.chunks(100) {
                assert_eq!(block.iter().filter(|one| one.burns).count(), 1, "{arrivals:?}");
            }
        }
    }

    #[test]
    fn even_arrivals_are_as_far_apart_as_the_rate_says() {
        let third = schedule(&plan(Arrivals::Even, 100), 1000.0).nth(3).expect("it has no end");
        assert_eq!(third.after, Duration::from_millis(3));
    }

    #[test]
    fn random_arrivals_keep_the_rate_and_are_the_same_again() {
        let take = |seed| -> Vec<Planned> {
            schedule(&plan(Arrivals::Random { seed }, 100), 1000.0).take(10_000).collect()
        };
        let all = take(1);
        assert_eq!(all, take(1));
        assert_ne!(all, take(2));
        assert!(all.is_sorted_by_key(|one| one.after));
        // Its standard deviation is a hundredth.
        let seconds = all[9_999].after.as_secs_f64();
        assert!((9.5..10.5).contains(&seconds), "{seconds}");
        // A share of 1/e of the gaps is longer than the mean; the standard deviation of their number is 48.
        let long =
            all.windows(2).filter(|two| two[1].after - two[0].after > Duration::from_millis(1)).count();
        assert!((3_440..3_920).contains(&long), "{long}");
    }
}
