//! Models in other languages, which are there when their commands are: the same service, written again in
//! `benches/lab/external`.
//!
//! The process becomes the other program, whose standard input is the listener: so it has the address that was announced,
//! and it still ends with its parent. `toolchain` finds the commands, and compiles what has to be.
//!
//! State between two events: on a goroutine's or virtual thread's stack, which grows on demand; in asyncio's coroutine
//! frames on the heap; on a greenlet's stack, which is copied out and in.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::toolchain::{go, java, python};
use super::{Capacity, Family, Model, Options};

pub(super) const GO: Model = Model {
    name: "go",
    about: "a goroutine per connection on package net",
    state: "the goroutine's stack, which grows on demand",
    source: "Go's runtime",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: || go().map(drop),
    serve: |listener, options| become_program(go(), listener, options),
};

pub(super) const JAVA: Model = Model {
    name: "java",
    about: "a virtual thread per connection on java.net",
    state: "the virtual thread's stack, copied to the heap while it waits",
    source: "Java 21, JEP 444",
    compiles_as_it_runs: true,
    available: || java(1).map(drop),
    serve: |listener, options| become_program(java(options.workers), listener, options),
    ..GO
};

pub(super) const ASYNCIO: Model = Model {
    name: "asyncio",
    about: "a coroutine per connection on Python's asyncio",
    state: "the coroutine's frames on the heap",
    source: "Python 3, PEP 3156 and 492",
    family: Family::Stackless,
    available: || python("asyncio", "asyncio_server.py").map(drop),
    serve: |listener, options| become_program(python("asyncio", "asyncio_server.py"), listener, options),
    ..GO
};

pub(super) const GEVENT: Model = Model {
    name: "gevent",
    about: "a greenlet per connection on Python's gevent",
    state: "the greenlet's stack, copied to the heap while it waits",
    source: "gevent and greenlet",
    available: || python("gevent", "gevent_server.py").map(drop),
    serve: |listener, options| become_program(python("gevent", "gevent_server.py"), listener, options),
    ..GO
};

/// Replaces this process by the program; returns only if that fails.
fn become_program(
    program: Result<Command, String>,
    listener: TcpListener,
    options: &Options,
) -> io::Result<Infallible> {
    let mut command = program.map_err(io::Error::other)?;
    command.arg(options.backend.to_string()).arg(options.workers.to_string());
    Err(command.stdin(OwnedFd::from(listener)).exec())
}
