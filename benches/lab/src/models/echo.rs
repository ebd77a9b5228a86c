//! An echo in place of the lab's service: what comes is sent back. On abaca's fibers, on tokio's tasks, and on a bare epoll loop a
//! worker, which is what the kernel takes for it and next to nothing else.
//!
//! State between two events: a buffer of 1 KiB on the fiber's stack, or in the task's future. The loops have one for all.

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd};

use ::abaca::Runtime;
use ::abaca::net::TcpStream;
use ::tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::readiness::{Readiness, Watch};
use super::session::{Way, accept, unless_it_blocks};
use super::{Capacity, Family, Model, abaca, always, reactors, tokio};

/// What is read at a time.
const BUFFER_BYTES: usize = 1024;

/// Fibers on stacks of the default size.
pub(super) const ON_ABACA: Model = Model {
    name: "abaca-echo",
    about: "an echo on abaca's fibers (M:N)",
    state: "the fiber's stack, with a buffer of 1 KiB",
    source: "this project",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve: |listener, options| {
        abaca::serve_each(Runtime::builder().workers(options.workers), listener, on_a_fiber)
    },
};

pub(super) const ON_ABACA_1: Model = Model {
    name: "abaca-echo-1",
    about: "an echo on abaca's fibers on one worker (1:N)",
    serve: |listener, _| abaca::serve_each(Runtime::builder().workers(1), listener, on_a_fiber),
    ..ON_ABACA
};

pub(super) const ON_ABACA_32K: Model = Model {
    name: "abaca-echo-32k",
    about: "an echo on abaca's fibers (M:N) with stacks of 32 KiB",
    serve: |listener, options| {
        let builder = Runtime::builder().workers(options.workers).stack_size(32 * 1024);
        abaca::serve_each(builder, listener, on_a_fiber)
    },
    ..ON_ABACA
};

pub(super) const ON_ABACA_OWN_TLS: Model = Model {
    name: "abaca-echo-own-tls",
    about: "an echo on abaca's fibers (M:N) with storage of their own",
    available: abaca::has_own_tls,
    serve: |listener, options| {
        let builder = abaca::own_tls(Runtime::builder().workers(options.workers));
        abaca::serve_each(builder, listener, on_a_fiber)
    },
    ..ON_ABACA
};

pub(super) const ON_TOKIO: Model = Model {
    name: "tokio-echo",
    about: "an echo on tokio's work-stealing threads",
    state: "the task's future, with a buffer of 1 KiB",
    source: "tokio 1, multi-thread runtime",
    family: Family::Stackless,
    serve: |listener, options| tokio::serve_each(&tokio::threads(options)?, listener, in_a_task),
    ..ON_ABACA
};

pub(super) const ON_TOKIO_CT: Model = Model {
    name: "tokio-ct-echo",
    about: "an echo on tokio, one thread",
    source: "tokio 1, current-thread runtime",
    serve: |listener, _| tokio::serve_each(&tokio::current_thread()?, listener, in_a_task),
    ..ON_TOKIO
};

pub(super) const ON_EPOLL: Model = Model {
    name: "epoll-echo",
    about: "an echo on one epoll loop per core, spread by SO_REUSEPORT",
    state: "none",
    source: "epoll(7)",
    family: Family::Events,
    serve: |listener, options| reactors::on_each_core(listener, options.workers, in_a_loop),
    ..ON_ABACA
};

fn on_a_fiber(mut client: TcpStream) {
    let _ = client.set_nodelay(true);
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(length @ 1..) = client.read(&mut buffer)
        && client.write_all(&buffer[..length]).is_ok()
    {}
}

async fn in_a_task(mut client: ::tokio::net::TcpStream) {
    let _ = client.set_nodelay(true);
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(length @ 1..) = client.read(&mut buffer).await
        && client.write_all(&buffer[..length]).await.is_ok()
    {}
}

/// Each connection has its descriptor's number as its key. One whose client does not read until the socket's buffer is full ends.
fn in_a_loop(listener: TcpListener) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let mut readiness = Readiness::new()?;
    let listening = listener.as_raw_fd() as u64;
    readiness.want(listener.as_fd(), &mut Watch::default(), listening, Way::Read)?;
    let (mut clients, mut keys, mut buffer) = (Vec::new(), Vec::new(), [0; BUFFER_BYTES]);
    loop {
        readiness.wait(None, &mut keys)?;
        for key in keys.drain(..) {
            if key == listening {
                while let Some(client) = accept(&listener)? {
                    let key = client.as_raw_fd() as usize;
                    readiness.want(client.as_fd(), &mut Watch::default(), key as u64, Way::Read)?;
                    clients.resize_with(clients.len().max(key + 1), || None);
                    clients[key] = Some(client);
                }
            } else if let Some(client) = &mut clients[key as usize] {
                match unless_it_blocks(client.read(&mut buffer)) {
                    Ok(None) => {}
                    Ok(Some(length @ 1..)) if client.write_all(&buffer[..length]).is_ok() => {}
                    _ => clients[key as usize] = None,
                }
            }
        }
    }
}
