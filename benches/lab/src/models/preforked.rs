//! Pre-forked: a pool of processes that all accept from one listener.
//!
//! Apache's prefork model (Stevens, *UNIX Network Programming*, "preforked server, no locking around accept"): fork is
//! paid once, in advance. The kernel wakes one process per connection. As many connections as processes are served;
//! the others wait in the backlog.
//!
//! State between two events: on the stack of the process that took the connection.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use rustix::process::WaitOptions;

use super::process::{fork, reap};
use super::{Capacity, Family, Model, Options, iterative};

pub(super) const MODEL: Model = Model {
    name: "preforked",
    about: "a pool of processes that share a listener",
    state: "the stack of a process of the pool",
    source: "Stevens, UNIX Network Programming: the preforked server; Apache's prefork",
    family: Family::Processes,
    capacity: Capacity::Pool,
    compiles_as_it_runs: false,
    available: super::always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let start = || {
        fork(|| {
            // Each process of the pool is an iterative server.
            let error = iterative::accept_and_serve(&listener, options);
            eprintln!("a process of the pool ended: {error:?}");
        })
    };
    for _ in 0..options.pool {
        start()?;
    }
    loop {
        for _ in 0..reap(WaitOptions::empty()) {
            start()?;
        }
    }
}
