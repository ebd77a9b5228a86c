//! What the models are loaded with, who takes part, and the bars.

use std::net::SocketAddr;
use std::time::Duration;

use super::found;
use crate::load::{Arrivals, Burns, Pace, Plan, Protocol, Target};
use crate::models::Model;
use crate::priority::Priority;

use super::bar::{Bar, Figure};

/// A kind of load.
#[derive(Debug)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    pub(super) load: Load,
    /// How many connections.
    pub connections: usize,
    /// Whether the model has one worker on a CPU of its own, and the generator the others. Then its CPU time is measured.
    pub is_pinned: bool,
    /// What requests ask for.
    pub(super) path: &'static str,
    models: &'static [&'static str],
    /// What this project's models are held to.
    pub bars: &'static [Bar],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Load {
    /// An open loop, one request in a hundred of which keeps a CPU busy.
    Mixed { rate: f64, is_random: bool },
    /// A closed loop.
    Closed(Protocol),
    /// One request on each connection, and then none; memory is measured at once, or after the time of a load.
    Idle { is_later: bool },
}

/// Who takes part in the mixed load.
const MIXED: &[&str] = &["abaca", "abaca-own-tls", "threads", "tokio", "tokio-in-place", "go"];

const MIXED_BARS: &[Bar] = &[
    Bar::most(Figure::P99, 1.5, &["threads"]),
    Bar::most(Figure::P99, 1.0 / 3.0, &["go"]),
    Bar::most(Figure::P999, 1.0, &["go"]),
];

/// Who takes part in the closed loop: beside tokio, what has an epoll instance a worker without any runtime, and what one
/// worker and one epoll instance for all make of it.
const CLOSED: &[&str] = &["abaca", "abaca-own-tls", "abaca-1", "abaca-poller", "reactors", "tokio", "go"];

/// The same of an echo.
const ECHO: &[&str] = &["abaca-echo", "abaca-echo-own-tls", "abaca-echo-1", "epoll-echo", "tokio-echo"];

/// A message of an echo.
const MESSAGE: Protocol = Protocol::Echo(64);

/// 64 connections in a closed loop.
const BASE: Scenario = Scenario {
    name: "",
    load: Load::Closed(Protocol::Http),
    connections: 64,
    is_pinned: false,
    path: "/",
    models: CLOSED,
    bars: &[],
};

const PINNED_ECHO: Scenario = Scenario {
    load: Load::Closed(MESSAGE),
    is_pinned: true,
    models: &["abaca-echo", "tokio-ct-echo", "epoll-echo"],
    ..BASE
};

const JSON: Scenario =
    Scenario { path: "/7", models: &["abaca-json", "abaca-json-own-tls", "tokio-json"], ..BASE };

const IDLE_JSON: Scenario = Scenario {
    load: Load::Idle { is_later: false },
    connections: 3000,
    bars: &[Bar::most(Figure::Bytes, 14_000.0, &[])],
    ..JSON
};

const fn mixed(name: &'static str, rate: f64, is_random: bool) -> Scenario {
    Scenario { name, load: Load::Mixed { rate, is_random }, models: MIXED, bars: MIXED_BARS, ..BASE }
}

/// Every scenario, in the order of the table.
pub static ALL: &[Scenario] = &[
    mixed("mixed, even, 1,000/s", 1000.0, false),
    mixed("mixed, even, 2,000/s", 2000.0, false),
    mixed("mixed, random, 1,000/s", 1000.0, true),
    mixed("mixed, random, 2,000/s", 2000.0, true),
    Scenario {
        name: "closed loop",
        bars: &[Bar::most(Figure::P99, 1.0, &["tokio"]), Bar::least(Figure::Rate, 1.0, &["abaca-1"])],
        ..BASE
    },
    Scenario {
        name: "free echo",
        load: Load::Closed(MESSAGE),
        models: ECHO,
        bars: &[
            Bar::most(Figure::P99, 1.0, &["tokio-echo"]),
            Bar::least(Figure::Rate, 1.0, &["abaca-echo-1"]),
        ],
        ..BASE
    },
    Scenario {
        name: "pinned, echo, 64",
        bars: &[Bar::most(Figure::Cpu, 1.02, &["epoll-echo"])],
        ..PINNED_ECHO
    },
    Scenario {
        name: "pinned, echo, 1,000",
        connections: 1000,
        bars: &[Bar::most(Figure::Cpu, 1.03, &["epoll-echo"])],
        ..PINNED_ECHO
    },
    Scenario {
        name: "pinned, hyper",
        is_pinned: true,
        models: &["abaca-hyper", "hyper", "hyper-ct", "may-minihttp"],
        bars: &[Bar::most(Figure::Cpu, 0.95, &["hyper", "hyper-ct", "may-minihttp"])],
        ..BASE
    },
    Scenario {
        name: "json, loaded",
        bars: &[Bar::least(Figure::Rate, 1.0, &["tokio-json"]), Bar::most(Figure::P99, 1.0, &["tokio-json"])],
        ..JSON
    },
    Scenario { name: "idle, json", ..IDLE_JSON },
    Scenario { name: "idle, json, later", load: Load::Idle { is_later: true }, ..IDLE_JSON },
    Scenario {
        name: "idle, echo",
        load: Load::Idle { is_later: false },
        connections: 3000,
        models: &["abaca-echo", "abaca-echo-32k", "tokio-echo"],
        bars: &[Bar::most(Figure::Bytes, 4_700.0, &[])],
        ..BASE
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
        let target = Target { address, path: self.path.to_owned() };
        let plan = Plan::new(target, Pace::Closed, self.connections, Duration::ZERO);
        match self.load {
            Load::Mixed { rate, is_random } => Plan {
                pace: Pace::Open { rate },
                arrivals: if is_random { Arrivals::Random { seed: round.into() } } else { Arrivals::Even },
                burns: Some(Burns { one_in: 100, path: BUSY.to_owned() }),
                priority: Priority::RealTime,
                ..plan
            },
            Load::Closed(protocol) => Plan { protocol, priority: Priority::Equal, ..plan },
            Load::Idle { .. } => plan,
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
            let mut rivals = scenario.bars.iter().flat_map(|bar| bar.rivals);
            assert!(rivals.all(|rival| scenario.models.contains(rival)), "{}", scenario.name);
        }
    }
}
