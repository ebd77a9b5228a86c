//! Who runs a workload: a runtime and its number of workers. It owns the names that the command line, the child
//! protocol and the report share.

use std::fmt;
use std::str::FromStr;

/// A runtime with its number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// This project's fibers.
    Abaca(usize),
    /// tokio's current-thread runtime.
    TokioCt,
    /// tokio's multi-thread runtime.
    Tokio(usize),
    /// may's coroutines.
    May(usize),
    /// Goroutines, `GOMAXPROCS` of them at a time.
    Go(usize),
    /// Java's virtual threads.
    Java(usize),
    /// A thread per task.
    Threads,
    /// A thread per task, with parking_lot's locks and crossbeam's channels.
    Crates,
    /// corosensei's coroutines: no scheduler, only a switch.
    Corosensei,
}

/// Every peer, in the order of the report's columns.
pub const ALL: &[Peer] = &[
    Peer::Abaca(1),
    Peer::Abaca(2),
    Peer::TokioCt,
    Peer::Tokio(1),
    Peer::Tokio(2),
    Peer::May(1),
    Peer::May(2),
    Peer::Go(1),
    Peer::Go(2),
    Peer::Java(1),
    Peer::Java(2),
    Peer::Threads,
    Peer::Crates,
    Peer::Corosensei,
];

impl Peer {
    /// How many workers it runs on; `None` for those to which that does not apply.
    #[must_use]
    pub fn workers(self) -> Option<usize> {
        match self {
            Self::Abaca(workers)
            | Self::Tokio(workers)
            | Self::May(workers)
            | Self::Go(workers)
            | Self::Java(workers) => Some(workers),
            Self::TokioCt => Some(1),
            Self::Threads | Self::Crates | Self::Corosensei => None,
        }
    }

    /// Whether this is the project's own runtime.
    #[must_use]
    pub fn is_abaca(self) -> bool {
        matches!(self, Self::Abaca(_))
    }

    /// Whether this is one of tokio's runtimes.
    #[must_use]
    pub fn is_tokio(self) -> bool {
        matches!(self, Self::TokioCt | Self::Tokio(_))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Abaca(workers) => format!("abaca/{workers}"),
            Self::TokioCt => "tokio-ct".to_owned(),
            Self::Tokio(workers) => format!("tokio/{workers}"),
            Self::May(workers) => format!("may/{workers}"),
            Self::Go(workers) => format!("go/{workers}"),
            Self::Java(workers) => format!("java/{workers}"),
            Self::Threads => "threads".to_owned(),
            Self::Crates => "crates".to_owned(),
            Self::Corosensei => "corosensei".to_owned(),
        };
        f.pad(&name)
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = ALL.iter().find(|peer| peer.to_string() == name);
        known.copied().ok_or_else(|| {
            let names: Vec<String> = ALL.iter().map(Peer::to_string).collect();
            format!("unknown peer {name:?}; the peers are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_peer() {
        for peer in ALL {
            assert_eq!(peer.to_string().parse(), Ok(*peer));
        }
        assert!("abaca/0".parse::<Peer>().is_err());
    }
}
