//! Iterative: one connection after the other, each to its end.
//!
//! The oldest server there is (Stevens, *UNIX Network Programming*, "iterative server"). While a connection lives, all
//! others wait in the kernel's backlog. It is the baseline of everything else: no concurrency at all.
//!
//! State between two events: on the one stack of the one thread, for the one connection.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "iterative",
    about: "one connection after the other",
    state: "the stack of the only thread",
    source: "Stevens, UNIX Network Programming: the iterative server",
    family: Family::Processes,
    capacity: Capacity::One,
    compiles_as_it_runs: false,
    available: always,
    serve: |listener, options| accept_and_serve(&listener, options),
};

/// The whole server; the pools of the preforked model run one in each process.
pub(super) fn accept_and_serve(listener: &TcpListener, options: &Options) -> io::Result<Infallible> {
    loop {
        match listener.accept() {
            Ok((client, _)) => blocking::converse_std(&client, options),
            Err(error) => after_failed_accept(error)?,
        }
    }
}
