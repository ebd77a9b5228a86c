//! A hand-compiled state machine: what a compiler makes of `async fn`, written out.
//!
//! The lowering of Rust, C# and C++: each function with an `await` becomes an object with one variant per await point,
//! which holds the locals that live across it; a caller's object contains its callee's. To continue means to poll from
//! the outside in, to wait means to return `Pending` from the inside out. `Converse` awaits `SendAll` and `Exchange`, and
//! those await `Ready` (the three are in `compiled.rs`).
//!
//! State between two events: in the variants of the outermost object, on the heap.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::compiled::{Exchange, Io, Ready, SendAll};
use super::reactor::{self, Task};
use super::session::{Side, Wants, Way, unless_it_blocks};
use super::{Capacity, Family, Model, Options, always};
use crate::service::{Conversation, Step};

pub(super) const MODEL: Model = Model {
    name: "machine",
    about: "one thread, futures compiled by hand, polled by an epoll loop",
    state: "nested enum variants in one heap object",
    source: "the lowering of async fn in Rust and C#",
    family: Family::Stackless,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    reactor::run(listener, |client| Converse {
        io: Io { client, backend: None, wants: (Side::Client, Way::Read) },
        backend_address: options.backend,
        conversation: Conversation::new(options.busy_loop),
        state: State::Receiving(Ready::default()),
    })
}

/// `async fn converse(client)`: the whole connection.
struct Converse {
    io: Io,
    backend_address: SocketAddr,
    conversation: Conversation,
    state: State,
}

/// Its await points.
enum State {
    Receiving(Ready),
    Sending(SendAll, Step),
    Waiting(Exchange),
}

impl Future for Converse {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, backend_address, conversation, state } = self.get_mut();
        loop {
            *state = match state {
                State::Receiving(readable) => {
                    ready!(readable.poll(io, (Side::Client, Way::Read), cx));
                    match unless_it_blocks(io.client.read(conversation.room()))? {
                        None => State::Receiving(Ready::default()),
                        Some(0) => return Poll::Ready(Ok(())),
                        Some(length) => {
                            conversation.received(length);
                            State::Sending(SendAll::default(), conversation.step())
                        }
                    }
                }
                State::Sending(sending, step) => {
                    ready!(sending.poll(io, conversation, cx))?;
                    match *step {
                        Step::Read => State::Receiving(Ready::default()),
                        Step::Wait(wait) => State::Waiting(Exchange::new(wait)),
                        Step::Close => return Poll::Ready(Ok(())),
                    }
                }
                State::Waiting(exchange) => {
                    ready!(exchange.poll(io, *backend_address, cx))?;
                    State::Sending(SendAll::default(), conversation.step())
                }
            }
        }
    }
}

impl Task for Converse {
    fn advance(&mut self) -> Option<Wants> {
        // The loop polls whoever is ready, so the waker has nothing to tell.
        let polled = Pin::new(&mut *self).poll(&mut Context::from_waker(Waker::noop()));
        polled.is_pending().then_some(self.io.wants)
    }

    fn with_descriptor<T>(&self, side: Side, f: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match (side, &self.io.backend) {
            (Side::Backend, Some(backend)) => f(backend.as_fd()),
            _ => f(self.io.client.as_fd()),
        }
    }
}
