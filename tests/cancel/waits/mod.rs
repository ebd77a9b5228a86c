//! Every call that waits, as a wait that never ends by itself.
//!
//! Not here, since they need a process or an actor of their own, or are not unwound: standard input (`system/stdio.rs`),
//! a mailbox (`actor/`), connections of hyper (`future/hyper.rs`), look-ups of names (`net/connect.rs`), and jobs of the
//! blocking pool, files among them, which end before their fiber unwinds (`system/blocking.rs`).

mod channels;
mod descriptors;
mod fibers;
mod locks;
mod processes;
mod sockets;

use std::time::Duration;

/// A time that is never up.
const LONG: Duration = Duration::from_secs(3600);

/// A call that waits.
pub(crate) type Wait = Box<dyn FnOnce() + Send>;

/// The name of a call, and the function that prepares it.
type Setup = (&'static str, fn() -> Wait);

/// Every wait, each with its name, for fibers.
pub(crate) fn in_fibers() -> impl Iterator<Item = (&'static str, Wait)> {
    ready(fibers::WITH_RUNTIME).chain(on_threads())
}

/// The waits that spawn nothing, and so need no runtime.
pub(crate) fn on_threads() -> impl Iterator<Item = (&'static str, Wait)> {
    [fibers::WAITS, locks::WAITS, channels::WAITS, sockets::WAITS, descriptors::WAITS, processes::WAITS]
        .into_iter()
        .flat_map(ready)
}

fn ready(setups: &'static [Setup]) -> impl Iterator<Item = (&'static str, Wait)> {
    setups.iter().map(|(name, setup)| (*name, setup()))
}

/// A wait that keeps `open`, so that no disconnection ends it.
fn keeping<K: Send + 'static, T>(open: K, wait: impl FnOnce() -> T + Send + 'static) -> Wait {
    Box::new(move || {
        let _open = open;
        wait();
    })
}

/// A wait that keeps nothing.
fn wait<T>(wait: impl FnOnce() -> T + Send + 'static) -> Wait {
    keeping((), wait)
}
