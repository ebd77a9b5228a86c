//! Asymmetric coroutines on one loop: a generator that yields what it waits for and is resumed when that is ready.
//!
//! Python's generators in the time before async/await (Tornado, Twisted's inlineCallbacks), Lua's and C++20's coroutines:
//! suspend, resume, destroy, and a loop that knows no more than that. These have a stack each, so that `suspend` works
//! at any depth of calls: the connection's code is the same as that of the thread models.
//!
//! State between two events: on the coroutine's stack.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;

use abaca_asm::coroutine::{Coroutine, Yielder};
use abaca_asm::stack::StackPool;

use super::reactor::{self, Task};
use super::session::{Side, Wants, Way, connect};
use super::{Capacity, Family, Model, Options, always, blocking};

pub(super) const MODEL: Model = Model {
    name: "coroutines",
    about: "one thread, an epoll loop that resumes coroutines",
    state: "the coroutine's stack",
    source: "generators of Python and Lua; Conway 1963",
    family: Family::Stackful,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

/// Parsing a request needs some; only touched pages cost memory.
const STACK_BYTES: usize = 32 * 1024;

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    let stacks = Arc::new(StackPool::new(STACK_BYTES));
    reactor::run(listener, |client| Connection::new(client, &stacks, options))
}

/// A coroutine, and the sockets that it shares with the loop.
struct Connection {
    /// Absent if there was no stack for it.
    coroutine: Option<Coroutine<(), Wants, ()>>,
    sockets: Rc<Sockets>,
}

struct Sockets {
    client: TcpStream,
    backend: OnceCell<TcpStream>,
}

impl Connection {
    fn new(client: TcpStream, stacks: &Arc<StackPool>, options: &Options) -> Self {
        let sockets = Rc::new(Sockets { client, backend: OnceCell::new() });
        let (mine, options) = (Rc::clone(&sockets), *options);
        let coroutine = Coroutine::with_pool(stacks, move |yielder, ()| {
            let client = Suspending { socket: &mine.client, side: Side::Client, yielder };
            let connect = || {
                let socket = connect(options.backend)?;
                let socket = mine.backend.get_or_init(|| socket);
                Ok(Suspending { socket, side: Side::Backend, yielder })
            };
            // A connection ends with its first error, as it does when its client is gone.
            let _ = blocking::converse(client, options.busy_loop, connect);
        });
        let coroutine = coroutine.inspect_err(|error| eprintln!("no stack for a connection: {error}")).ok();
        Self { coroutine, sockets }
    }
}

impl Task for Connection {
    fn advance(&mut self) -> Option<Wants> {
        self.coroutine.as_mut()?.resume(()).into_yield()
    }

    fn with_descriptor<T>(&self, side: Side, f: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match (side, self.sockets.backend.get()) {
            (Side::Backend, Some(backend)) => f(backend.as_fd()),
            _ => f(self.sockets.client.as_fd()),
        }
    }
}

/// A socket whose calls suspend the coroutine instead of blocking its thread.
struct Suspending<'a> {
    socket: &'a TcpStream,
    side: Side,
    yielder: &'a Yielder<(), Wants>,
}

impl Read for Suspending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // What is read here is an answer to what was just sent: it would be in vain to try before waiting.
            self.yielder.suspend((self.side, Way::Read));
            match self.socket.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Suspending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.socket.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.yielder.suspend((self.side, Way::Write));
                }
                outcome => return outcome,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
