//! A round: fibers that do each kind of work, one piece after the other, until the time is up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use abaca::net::Server;
use abaca_tests::Choices;

use crate::exchange::{self, Kind};
use crate::feats;
use crate::proxy::{Address, Proxy};

/// What goes on through all rounds: servers, and proxies in front of them.
pub(crate) struct Ground {
    servers: Vec<(Server, Proxy)>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let start = |kind| {
            let (server, address) = exchange::serve(kind);
            (server, Proxy::start(address))
        };
        Self { servers: [Kind::Tcp, Kind::Unix].map(start).into() }
    }

    fn address(&self, kind: Kind) -> Address {
        self.servers[kind as usize].1.address()
    }

    /// Ends the servers, in each of which no connection is left.
    pub(crate) fn close(self) {
        for (server, proxy) in self.servers {
            abaca::blocking::run(|| drop(proxy));
            assert_eq!(server.drain(Duration::from_secs(60)), 0);
        }
    }
}

/// A kind of work: its name, how many fibers do it, and a piece of it.
type Work = (&'static str, u64, fn(&Ground, &mut Choices));

const KINDS: [Work; 11] = [
    ("tcp", 8, |ground, choices| exchange::converse(&ground.address(Kind::Tcp), choices)),
    ("unix", 8, |ground, choices| exchange::converse(&ground.address(Kind::Unix), choices)),
    ("udp", 2, |_, choices| exchange::udp(10, choices.below(u64::MAX))),
    ("unix datagrams", 2, |_, choices| exchange::unix_datagrams(10, choices.below(u64::MAX))),
    ("channels", 4, |_, choices| feats::channels(choices)),
    ("locks", 4, |_, choices| feats::locks(choices)),
    ("timers", 4, |_, choices| feats::timers(choices)),
    ("cancellations", 4, |_, choices| feats::cancellations(choices)),
    ("processes", 2, |_, choices| feats::processes(choices)),
    ("files", 2, |_, choices| feats::files(choices)),
    ("runtimes", 1, |_, choices| feats::runtimes(choices)),
];

/// Fibers of each kind that have not come to their end.
static UNDER_WAY: [AtomicUsize; KINDS.len()] = [const { AtomicUsize::new(0) }; KINDS.len()];

/// Which kinds of work have not come to their end, for a report.
pub(crate) fn under_way() -> String {
    let counts = KINDS.iter().zip(&UNDER_WAY).map(|((name, ..), count)| (name, count.load(SeqCst)));
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}: {count} ")).collect()
}

/// How many pieces of each kind were done.
pub(crate) struct Done([u64; KINDS.len()]);

impl Done {
    /// A kind of which nothing was done.
    pub(crate) fn idle_kind(&self) -> Option<&'static str> {
        self.0.iter().position(|pieces| *pieces == 0).map(|kind| KINDS[kind].0)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KINDS.iter().zip(self.0).try_for_each(|((name, ..), pieces)| write!(f, "{pieces} {name}, "))
    }
}

/// Works until `end`, and then until all pieces that have begun are done.
pub(crate) fn round(ground: &Arc<Ground>, end: Instant, seed: u64, number: u64) -> Done {
    let mut fibers = Vec::new();
    for (kind, (_, count, piece)) in KINDS.into_iter().enumerate() {
        for stream in 0..count {
            let ground = Arc::clone(ground);
            UNDER_WAY[kind].fetch_add(1, SeqCst);
            let fiber = abaca::spawn(move || {
                let mut choices = Choices::new(seed, number << 16 | (kind as u64) << 8 | stream);
                let mut pieces = 0;
                while Instant::now() < end || pieces == 0 {
                    piece(&ground, &mut choices);
                    pieces += 1;
                }
                UNDER_WAY[kind].fetch_sub(1, SeqCst);
                pieces
            });
            fibers.push((kind, fiber));
        }
    }
    let mut done = Done([0; KINDS.len()]);
    for (kind, fiber) in fibers {
        done.0[kind] += fiber.join().unwrap_or_else(|_| panic!("{} failed, round {number}", KINDS[kind].0));
    }
    done
}
