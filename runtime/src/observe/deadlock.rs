//! A deadlock of all fibers, and a check for one among some of them.

use std::fmt;

use super::collect;
use super::cycle::{self, Cycle};
use super::dump::{Dump, count, elsewhere};
use super::text;

/// How many fibers are named that wait for each other in no circle that is known.
const NAMED: usize = 8;

/// All fibers of a runtime wait, and nothing can wake them; see
/// [`on_deadlock`](crate::runtime::Builder::on_deadlock). Its `Display` form has the cycle, if there is one, and all fibers.
#[derive(Clone, Debug)]
pub struct Deadlock {
    dump: Dump,
    /// Circles through channels, if there are no others.
    by_channels: Vec<Cycle>,
}

impl Deadlock {
    pub(crate) fn find() -> Self {
        let mut collection = collect::collect();
        collection.sort();
        let cycles = cycle::confirmed(&collection);
        let by_channels = if cycles.is_empty() { cycle::by_channels(&collection) } else { Vec::new() };
        Self { dump: Dump::of(collection, cycles, None), by_channels }
    }

    /// The fibers, and what each waits for. Its [`cycles`](Dump::cycles) are empty if they do not wait for each other's locks or ends: for a
    /// message, say, that nobody sends.
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// The first sentence, and the cycles. Where none is known, what some of the fibers wait for.
    pub(crate) fn summary(&self) -> String {
        let mut summary = self.sentence() + "\n";
        let cycles = self.dump.cycles().iter().chain(&self.by_channels);
        cycles.for_each(|cycle| summary.push_str(&cycle.to_string()));
        if self.dump.cycles().is_empty() && self.by_channels.is_empty() {
            let fibers = self.dump.fibers();
            fibers.iter().take(NAMED).for_each(|fiber| summary.push_str(&(text::line(fiber) + "\n")));
            if fibers.len() > NAMED {
                summary.push_str("...\n");
            }
        }
        summary
    }

    fn sentence(&self) -> String {
        let fibers = count(self.dump.fibers().len(), "fiber");
        format!("deadlock: {fibers}, all waiting, and nothing can wake one")
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.sentence())?;
        self.by_channels.iter().try_for_each(|cycle| write!(f, "{cycle}"))?;
        write!(f, "{}", self.dump)
    }
}

/// Looks for fibers that wait for each other in a circle, among all fibers of the process: a deadlock of some, while others go on.
///
/// What counts is what is certain: a mutex, a reader-writer lock that is held to write, a `Once` whose closure runs, a join. It is
/// looked at twice, 20 ms apart, and a wait that a deadline ends does not count. Only a cancellation ends such a cycle. As for the rest
/// it is a [`dump`](crate::dump), and may be called from anywhere.
///
/// ```
/// # abaca::run(|| {
/// use std::sync::Arc;
/// use abaca::sync::Mutex;
///
/// let locks = Arc::new((Mutex::new(()), Mutex::new(())));
/// let theirs = Arc::clone(&locks);
/// let held = locks.0.lock().unwrap();
/// let fiber = abaca::spawn(move || {
///     let _first = theirs.1.lock().unwrap();
///     drop(theirs.0.lock().unwrap());
/// });
/// abaca::yield_now();
/// assert!(abaca::observe::check().is_empty());
/// // Taking the second lock here as well would close the circle.
/// drop(held);
/// fiber.join().unwrap();
/// # });
/// ```
#[must_use]
pub fn check() -> Vec<Cycle> {
    elsewhere(|caller| Dump::take(caller).cycles)
}
