//! A deadlock of all fibers, and a check for one among some of them.

use std::fmt;

use super::cycle::Cycle;
use super::dump::{Dump, count, elsewhere};

/// All fibers of a runtime wait, and nothing can wake them; see
/// [`on_deadlock`](crate::runtime::Builder::on_deadlock). Its `Display` form has the cycle, if there is one, and all fibers.
#[derive(Clone, Debug)]
pub struct Deadlock {
    dump: Dump,
}

impl Deadlock {
    pub(crate) fn find() -> Self {
        Self { dump: Dump::take(None) }
    }

    /// The fibers, and what each waits for. Its [`cycles`](Dump::cycles) are empty if they do not wait for each other: for a message,
    /// say, that nobody sends.
    pub fn dump(&self) -> &Dump {
        &self.dump
    }

    /// The first sentence, and the cycles.
    pub(crate) fn summary(&self) -> String {
        let fibers = count(self.dump.fibers().len(), "fiber");
        let mut text = format!("deadlock: {fibers}, all waiting, and nothing can wake one\n");
        self.dump.cycles().iter().for_each(|cycle| text.push_str(&cycle.to_string()));
        text
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.summary();
        let sentence = summary.lines().next().unwrap_or_default();
        write!(f, "{sentence}\n{}", self.dump)
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
pub fn check() -> Vec<Cycle> {
    elsewhere(|caller| Dump::take(caller).cycles)
}
