//! may: stackful coroutines on work-stealing threads, as abaca's fibers.
//!
//! The crate may, after Go's goroutines: a coroutine has a stack of its own, calls that would block park it, and it may
//! continue on another thread.
//!
//! State between two events: on the coroutine's stack.
#![expect(unsafe_code, reason = "may takes over a listener by its number only")]

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd};

use ::may::net::TcpStream;

use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "may",
    about: "may's stackful coroutines on work-stealing threads",
    state: "the coroutine's stack",
    source: "the crate may 0.3",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let options = *options;
    ::may::config().set_workers(options.workers);
    // SAFETY: the descriptor is open, and this was its owner.
    let listener = unsafe { ::may::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
    let accepting = ::may::go!(move || -> io::Result<Infallible> {
        loop {
            match listener.accept() {
                Ok((client, _)) => drop(::may::go!(move || converse(client, &options))),
                Err(error) => after_failed_accept(error)?,
            }
        }
    });
    accepting.join().map_err(|_| io::Error::other("the accepting coroutine panicked"))?
}

/// A connection ends with its first error, as it does when its client is gone.
fn converse(client: TcpStream, options: &Options) {
    let connect = || {
        let backend = TcpStream::connect(options.backend)?;
        backend.set_nodelay(true)?;
        Ok(backend)
    };
    let _ = client.set_nodelay(true).and_then(|()| blocking::converse(client, options.busy_loop, connect));
}
