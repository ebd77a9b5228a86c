//! What the models are loaded with, who takes part, and the bars.

use std::net::SocketAddr;
use std::time::Duration;

use super::found;
use crate::load::{Arrivals, Burns, Pace, Plan, Target};
use crate::models::Model;
use crate::priority::Priority;

/// A kind of load.
#[derive(Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    load: Load,
    models: &'static [&'static str],
    /// What this project's models are held to.
    pub bars: &'static [Bar],
}

#[derive(Clone, Copy, Debug)]
enum Load {
    /// An open loop, one request in a hundred of which keeps a CPU busy.
    Mixed { rate: f64, is_random: bool },
    /// A closed loop.
    Closed,
}

/// At most so much of a rival's.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Of which figure.
    pub quantile: Quantile,
    /// How much.
    pub most: f64,
    /// Of whose.
    pub rival: &'static str,
}

/// A figure of the latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    /// 99 of 100 were no longer.
    P99,
    /// 999 of 1,000 were no longer.
    P999,
}

/// Who takes part in the mixed load.
const MIXED: &[&str] = &["abaca", "abaca-own-tls", "threads", "tokio", "tokio-in-place", "go"];

const MIXED_BARS: &[Bar] = &[
    Bar { quantile: Quantile::P99, most: 1.5, rival: "threads" },
    Bar { quantile: Quantile::P99, most: 1.0 / 3.0, rival: "go" },
    Bar { quantile: Quantile::P999, most: 1.0, rival: "go" },
];

/// Who takes part in the closed loop: beside tokio, what has an epoll instance a worker without any runtime, and what one
/// worker and one epoll instance for all make of it.
const CLOSED: &[&str] = &["abaca", "abaca-own-tls", "abaca-1", "abaca-poller", "reactors", "tokio", "go"];

const fn mixed(name: &'static str, rate: f64, is_random: bool) -> Scenario {
    Scenario { name, load: Load::Mixed { rate, is_random }, models: MIXED, bars: MIXED_BARS }
}

/// Every scenario, in the order of the table.
pub static ALL: &[Scenario] = &[
    mixed("mixed, even, 1,000/s", 1000.0, false),
    mixed("mixed, even, 2,000/s", 2000.0, false),
    mixed("mixed, random, 1,000/s", 1000.0, true),
    mixed("mixed, random, 2,000/s", 2000.0, true),
    Scenario {
        name: "closed loop",
        load: Load::Closed,
        models: CLOSED,
        bars: &[Bar { quantile: Quantile::P99, most: 1.0, rival: "tokio" }],
    },
];

/// What a request that keeps a CPU busy asks for: 20 ms.
const BUSY: &str = "/work?cpu_us=20000";

impl Scenario {
    /// Who takes part unless others are chosen.
    pub(super) fn models(&self) -> Vec<&'static Model> {
        found(self.models)
    }

    /// Whether some of the requests keep a CPU busy.
    #[must_use]
    pub fn burns(&self) -> bool {
        matches!(self.load, Load::Mixed { .. })
    }

    /// The load of a server in one of the rounds, each of which has other random times, the same for all models.
    pub(super) fn plan(&self, address: SocketAddr, round: u32) -> Plan {
        let target = Target { address, path: "/".to_owned() };
        let plan = |pace| Plan::new(target, pace, 0, Duration::ZERO);
        match self.load {
            Load::Mixed { rate, is_random } => Plan {
                arrivals: if is_random { Arrivals::Random { seed: round.into() } } else { Arrivals::Even },
                burns: Some(Burns { one_in: 100, path: BUSY.to_owned() }),
                priority: Priority::RealTime,
                ..plan(Pace::Open { rate })
            },
            Load::Closed => Plan { priority: Priority::Equal, ..plan(Pace::Closed) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_take_part_are_models() {
        for scenario in ALL {
            assert_eq!(scenario.models().len(), scenario.models.len(), "{}", scenario.name);
            assert!(scenario.bars.iter().all(|bar| scenario.models.contains(&bar.rival)));
        }
    }
}
