//! One epoll reactor per core: a loop on each, with a listener of its own on the same port.
//!
//! The event-driven server at its fastest: nginx, lighttpd, Seastar without its own network stack. The kernel spreads
//! connections over the listeners (`SO_REUSEPORT`); a connection stays on its loop, so that nothing is shared.
//!
//! State between two events: in a `Session` on the heap, an explicit state machine written by hand.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::thread;

use super::session::Session;
use super::{Capacity, Family, Model, Options, always, listen_on, reactor};

pub(super) const MODEL: Model = Model {
    name: "reactors",
    about: "one epoll loop per core, spread by SO_REUSEPORT",
    state: "a state machine on the heap, by hand",
    source: "nginx; SO_REUSEPORT of Linux 3.9",
    family: Family::Events,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    on_each_core(listener, options.workers, |listener| {
        reactor::run(listener, |client| Session::new(client, options))
    })
}

/// Runs a loop on each of so many threads, with a listener of its own.
pub(super) fn on_each_core(
    listener: TcpListener,
    count: usize,
    run: impl Fn(TcpListener) -> io::Result<Infallible> + Sync,
) -> io::Result<Infallible> {
    let address = listener.local_addr()?;
    let others = (1..count).map(|_| listen_on(address)).collect::<io::Result<Vec<_>>>()?;
    let run = &run;
    thread::scope(|scope| {
        for listener in others {
            scope.spawn(move || {
                let Err(error) = run(listener);
                eprintln!("a reactor ended: {error}");
                std::process::exit(1);
            });
        }
        run(listener)
    })
}
