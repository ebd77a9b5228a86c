//! What to load, and how.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use crate::priority::Priority;

/// Where requests go: `http://host:port/path?query`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// The path with the query, which begins with `/`.
    pub path: String,
}

/// Why a text is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTargetError(String);

impl fmt::Display for ParseTargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseTargetError {}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(url: &str) -> Result<Self, ParseTargetError> {
        let error = |what: &str| ParseTargetError(format!("{url}: {what}"));
        let rest = url.strip_prefix("http://").ok_or_else(|| error("begin with http://"))?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if path.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err(error("a path has no spaces"));
        }
        // A colon inside brackets is part of the address.
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = host.to_socket_addrs().map_err(|why| error(&why.to_string()))?;
        let address = addresses.next().ok_or_else(|| error("the host has no address"))?;
        Ok(Self { address, path: path.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.address, self.path)
    }
}

/// What is said on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP: `GET` of the target's path.
    Http,
    /// So many bytes, which come back; the target's path means nothing.
    Echo(usize),
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// At a fixed rate, in requests per second over all connections.
    Open {
        /// Requests per second.
        rate: f64,
    },
    /// As soon as the answer to the one before has come, on each connection.
    Closed,
}

/// How the requests of an open loop are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// At equal distances.
    Even,
    /// As those of many clients that know nothing of each other: a Poisson process.
    Random {
        /// What the times are made of: the same times for the same seed.
        seed: u64,
    },
}

/// Requests of an open loop that keep a CPU of the server busy, among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burns {
    /// One request of so many in a row; at least 1.
    pub one_in: u32,
    /// What they ask for.
    pub path: String,
}

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where requests go.
    pub target: Target,
    /// What requests and answers are.
    pub protocol: Protocol,
    /// When they are sent.
    pub pace: Pace,
    /// How many connections share them.
    pub connections: usize,
    /// How long requests are sent and measured.
    pub duration: Duration,
    /// How long requests are sent before they are measured.
    pub warmup: Duration,
    /// How long to wait for answers after that.
    pub patience: Duration,
    /// Whether a connection is used for many requests, or for one, which then includes connecting.
    pub keep_alive: bool,
    /// When the requests of an open loop are due.
    pub arrivals: Arrivals,
    /// The requests of an open loop that keep a CPU busy. They are counted by themselves, and are no part of the latency.
    pub burns: Option<Burns>,
    /// How the generator stands to the server where they share CPUs.
    pub priority: Priority,
}

impl Plan {
    /// A plan of HTTP with keep-alive, even arrivals, no warm-up, a second of patience, and a generator that goes first.
    #[must_use]
    pub fn new(target: Target, pace: Pace, connections: usize, duration: Duration) -> Self {
        let patience = Duration::from_secs(1);
        Self {
            target,
            protocol: Protocol::Http,
            pace,
            connections,
            duration,
            warmup: Duration::ZERO,
            patience,
            keep_alive: true,
            arrivals: Arrivals::Even,
            burns: None,
            priority: Priority::First,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_and_a_path() {
        let target: Target = "http://127.0.0.1:8080/work?cpu_us=5".parse().expect("a target");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!(target.path, "/work?cpu_us=5");
        assert_eq!(target.to_string().parse(), Ok(target));
        assert_eq!(
            "http://127.0.0.1".parse::<Target>().expect("a target").to_string(),
            "http://127.0.0.1:80/"
        );
        assert_eq!("http://[::1]:81/a".parse::<Target>().expect("a target").address.port(), 81);
        for bad in ["127.0.0.1:80", "https://127.0.0.1/", "http://127.0.0.1:80/a b", "http:///"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
