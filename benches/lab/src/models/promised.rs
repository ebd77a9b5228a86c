//! Calls on sockets as promises: what Lwt_unix is to Lwt.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::event_loop::Source;
use super::promise::{Closed, Promise};
use super::session::{Way, unless_it_blocks};

/// A value of which only the end of the connection can keep us.
pub(super) type Promised<T> = Promise<Result<T, Closed>>;

/// A socket on the loop.
pub(super) type Socket = Rc<Source<TcpStream>>;

/// The promise that a descriptor is ready.
pub(super) fn ready<S: AsFd + 'static>(source: &Source<S>, way: Way) -> Promised<()> {
    let promise = Promise::pending();
    let resolver = promise.clone();
    source.when(way, move || resolver.resolve(Ok(())));
    promise
}

/// The promise of what a call returns that would not block.
pub(super) fn attempt(
    socket: Socket,
    way: Way,
    mut call: impl FnMut(&TcpStream) -> io::Result<usize> + 'static,
) -> Promised<usize> {
    match unless_it_blocks(call(socket.get())) {
        Ok(Some(length)) => Promise::resolved(Ok(length)),
        Ok(None) => once_ready(socket, way, call),
        Err(_) => Promise::resolved(Err(Closed)),
    }
}

/// As `attempt`, for a call that would block if it were tried at once.
pub(super) fn once_ready(
    socket: Socket,
    way: Way,
    call: impl FnMut(&TcpStream) -> io::Result<usize> + 'static,
) -> Promised<usize> {
    ready(&socket, way).and_then(move |()| attempt(socket, way, call))
}

/// The promise that the descriptor of a length is not at its end.
pub(super) fn unless_ended(length: usize) -> Promised<usize> {
    Promise::resolved(if length == 0 { Err(Closed) } else { Ok(length) })
}
