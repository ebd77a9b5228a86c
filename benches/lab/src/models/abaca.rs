//! abaca: a fiber per connection, on one worker (1:N), on a worker per core (M:N), M:N with one poller thread for all, or M:N
//! with thread-local storage for each fiber.
//!
//! The runtime that this lab belongs to. A fiber stays on the worker where it began; each worker polls for its own
//! fibers, unless a thread does that for all.
//!
//! State between two events: on the fiber's stack.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use ::abaca::Runtime;
use ::abaca::net::TcpStream;
use ::abaca::runtime::{Builder, Poller};

use super::{Capacity, Family, Model, Options, after_failed_accept, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "abaca",
    about: "abaca's fibers on work-stealing workers (M:N)",
    state: "the fiber's stack",
    source: "this project",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve: |listener, options| serve(listener, options, |builder| builder.poller(Poller::Workers)),
};

pub(super) const ONE_WORKER: Model = Model {
    name: "abaca-1",
    about: "abaca's fibers on one worker (1:N)",
    serve: |listener, options| serve(listener, options, |builder| builder.workers(1).poller(Poller::Workers)),
    ..MODEL
};

pub(super) const POLLER_THREAD: Model = Model {
    name: "abaca-poller",
    about: "abaca's fibers (M:N) with one thread that polls for all workers",
    serve: |listener, options| serve(listener, options, |builder| builder.poller(Poller::Thread)),
    ..MODEL
};

pub(super) const OWN_TLS: Model = Model {
    name: "abaca-own-tls",
    about: "abaca's fibers (M:N) with storage of their own, on workers that leave a stuck thread",
    available: has_own_tls,
    serve: |listener, options| serve(listener, options, own_tls),
    ..MODEL
};

/// Of models whose fibers have storage of their own.
pub(super) fn has_own_tls() -> Result<(), String> {
    if cfg!(feature = "own-tls") { Ok(()) } else { Err("it needs the lab's feature own-tls".to_owned()) }
}

#[cfg(feature = "own-tls")]
pub(super) fn own_tls(builder: Builder) -> Builder {
    builder.own_tls(true)
}

/// Nobody serves in a model that is not available; the plain one in its place would be a lie.
#[cfg(not(feature = "own-tls"))]
pub(super) fn own_tls(_builder: Builder) -> Builder {
    unreachable!("the model is not available")
}

/// Parsing a request needs some; only touched pages cost memory.
const STACK_BYTES: usize = 32 * 1024;

/// Serves on a runtime as it comes, but for what `set` sets: the only thing in which these models differ.
fn serve(
    listener: TcpListener,
    options: &Options,
    set: impl FnOnce(Builder) -> Builder,
) -> io::Result<Infallible> {
    let options = *options;
    let builder = Runtime::builder().workers(options.workers).stack_size(STACK_BYTES);
    serve_each(set(builder), listener, move |client| converse(client, &options))
}

/// Serves each connection in a fiber of its own.
pub(super) fn serve_each(
    builder: Builder,
    listener: TcpListener,
    converse: impl Fn(TcpStream) + Clone + Send + 'static,
) -> io::Result<Infallible> {
    builder.build()?.run(move || {
        let listener = ::abaca::net::TcpListener::from(listener);
        loop {
            match listener.accept() {
                Ok((client, _)) => {
                    let converse = converse.clone();
                    drop(::abaca::spawn(move || converse(client)));
                }
                Err(error) => after_failed_accept(error)?,
            }
        }
    })
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
