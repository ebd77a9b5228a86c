//! Pre-threaded: a pool of threads that take turns to accept, under a mutex.
//!
//! Stevens, *UNIX Network Programming*, "prethreaded server, per-thread accept" with a mutex around accept, as Apache
//! had it where the kernel woke every waiter for each connection. As many connections as threads are served; the
//! others wait in the backlog.
//!
//! State between two events: on the stack of the thread that took the connection.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking, threads};

pub(super) const MODEL: Model = Model {
    name: "prethreaded",
    about: "a pool of threads that accept in turns, under a mutex",
    state: "the stack of a thread of the pool",
    source: "Stevens, UNIX Network Programming: the prethreaded server with an accept mutex",
    family: Family::Threads,
    capacity: Capacity::Pool,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let listener = Mutex::new(listener);
    thread::scope(|scope| {
        for _ in 1..options.pool {
            let one = || accept_and_serve(&listener, options);
            thread::Builder::new().stack_size(threads::STACK_BYTES).spawn_scoped(scope, one)?;
        }
        accept_and_serve(&listener, options)
    })
}

fn accept_and_serve(listener: &Mutex<TcpListener>, options: &Options) -> io::Result<Infallible> {
    loop {
        // The guard lives as long as this statement: one thread waits in accept, the others for the mutex.
        let accepted = listener.lock().unwrap_or_else(PoisonError::into_inner).accept();
        match accepted {
            Ok((client, _)) => blocking::converse_std(&client, options),
            Err(error) => after_failed_accept(error)?,
        }
    }
}
