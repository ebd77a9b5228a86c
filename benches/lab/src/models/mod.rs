//! Every concurrency model, in the order of the report.
//!
//! A model is one file: its header says what it is, where it comes from, and where its state lives between two
//! events. What several models share is no model: a connection over blocking calls (`blocking`), one over readiness
//! (`session`), epoll (`readiness`) and loops over it (`reactor`, `event_loop`), promises (`promise`), fork (`process`), other languages'
//! commands (`toolchain`).
//!
//! [`OTHERS`] serve something else, which only bars are about: an echo (`echo`), a service in JSON (`json`), a library that does not
//! give all answers of the lab's service (`may_minihttp`).

mod abaca;
mod actors;
mod blocking;
mod callbacks;
mod compiled;
mod coroutines;
mod dispatcher;
mod echo;
mod event_loop;
mod external;
mod fork;
mod hyper;
mod iterative;
mod json;
mod machine;
mod may;
mod may_minihttp;
mod poll;
mod preforked;
mod prethreaded;
mod process;
mod promise;
mod promised;
mod promises;
mod reactor;
mod reactors;
mod readiness;
mod select;
mod session;
mod threads;
mod tokio;
pub(crate) mod toolchain;
mod uring;
mod uring_connection;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};

use crate::busy_loop::BusyLoop;

/// What a model is told when it starts.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where the delay server listens.
    pub backend: SocketAddr,
    /// Workers of models that have them: reactors, worker threads, schedulers.
    pub workers: usize,
    /// Processes or threads of models that start them in advance, one connection each.
    pub pool: usize,
    /// The loop that burns CPU.
    pub busy_loop: BusyLoop,
}

/// The pool of whoever asks for none: more than there are CPUs, less than there are clients.
pub const DEFAULT_POOL: usize = 64;

/// Where on the way from thread to callback a model stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A process per connection.
    Processes,
    /// A thread of the operating system per connection.
    Threads,
    /// A loop that calls handlers; the program keeps the state by hand.
    Events,
    /// Tasks whose state a compiler (or a hand in its place) keeps in an object: futures, promises.
    Stackless,
    /// Tasks that have a stack each, switched in user space.
    Stackful,
}

/// How many connections a model can serve at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// One: the others wait in the backlog until it closes.
    One,
    /// As many as [`Options::pool`]; the others wait in the backlog.
    Pool,
    /// As many as fit beside the model's own into this many descriptors.
    Descriptors(usize),
    /// As many as memory and the limits of the system allow.
    Limits,
}

impl Capacity {
    /// The number of clients that are served at the same time, each with a backend connection; `None` if only the
    /// system's limits say.
    #[must_use]
    pub fn clients(self, options: &Options) -> Option<usize> {
        match self {
            Self::One => Some(1),
            Self::Pool => Some(options.pool),
            // Two for each client, and a few of the model's own.
            Self::Descriptors(count) => Some((count - 16) / 2),
            Self::Limits => None,
        }
    }
}

/// One way to serve many connections.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Where its state lives between two events, in a few words.
    pub state: &'static str,
    /// The book, paper or system that it follows.
    pub source: &'static str,
    /// Its place among the others.
    pub family: Family,
    /// How many clients it serves at the same time.
    pub capacity: Capacity,
    /// Whether it gets fast only while it runs, since its code is compiled then.
    pub compiles_as_it_runs: bool,
    /// Whether it can run here; if not, why.
    available: fn() -> Result<(), String>,
    serve: fn(TcpListener, &Options) -> io::Result<Infallible>,
}

impl Model {
    /// Whether it can run here. May build what it needs, so it may take a while the first time.
    ///
    /// # Errors
    ///
    /// Why it cannot: no such command, or the kernel refuses.
    pub fn available(&self) -> Result<(), String> {
        (self.available)()
    }

    /// Serves until the process ends. `listener` shares its port (`SO_REUSEPORT`), so that a model can open more.
    ///
    /// # Errors
    ///
    /// What stops the model: a resource that it cannot do without.
    pub fn serve(&self, listener: TcpListener, options: &Options) -> io::Result<Infallible> {
        (self.serve)(listener, options)
    }
}

/// Of models that run wherever this program does.
fn always() -> Result<(), String> {
    Ok(())
}

/// Every model, in the order of the report.
pub static MODELS: &[Model] = &[
    iterative::MODEL,
    fork::MODEL,
    preforked::MODEL,
    threads::MODEL,
    prethreaded::MODEL,
    select::MODEL,
    poll::MODEL,
    callbacks::MODEL,
    dispatcher::MODEL,
    reactors::MODEL,
    uring::MODEL,
    machine::MODEL,
    promises::MODEL,
    coroutines::MODEL,
    tokio::CURRENT_THREAD,
    tokio::MODEL,
    tokio::IN_PLACE,
    hyper::ON_TOKIO,
    may::MODEL,
    abaca::ONE_WORKER,
    abaca::MODEL,
    abaca::POLLER_THREAD,
    abaca::OWN_TLS,
    hyper::ON_ABACA,
    actors::MODEL,
    external::GO,
    external::JAVA,
    external::ASYNCIO,
    external::GEVENT,
];

/// Servers of something else than the lab's service, which [`bars`](crate::bars) are about.
pub static OTHERS: &[Model] = &[
    hyper::ON_TOKIO_CT,
    may_minihttp::MODEL,
    echo::ON_ABACA,
    echo::ON_ABACA_1,
    echo::ON_ABACA_32K,
    echo::ON_ABACA_OWN_TLS,
    echo::ON_EPOLL,
    echo::ON_TOKIO,
    echo::ON_TOKIO_CT,
    json::ON_ABACA,
    json::ON_ABACA_OWN_TLS,
    json::ON_TOKIO,
];

/// The model of this name, or the server of something else.
#[must_use]
pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().chain(OTHERS).find(|model| model.name == name)
}

/// A listener on a port of loopback that the system chooses. Others can listen on the same port.
///
/// # Errors
///
/// What socket(2), bind(2) and listen(2) say.
pub fn listen() -> io::Result<TcpListener> {
    listen_on(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// Connections that wait to be accepted: as many as a burst of the load generator makes.
const BACKLOG: i32 = 4096;

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What an accept loop does about an error: the loop goes on (after a pause, if descriptors or memory have run out),
/// or ends with it.
pub(crate) fn after_failed_accept(error: io::Error) -> io::Result<()> {
    use rustix::io::Errno;
    match Errno::from_io_error(&error) {
        // The client has gone away again.
        Some(Errno::CONNABORTED | Errno::INTR | Errno::AGAIN) => Ok(()),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(())
        }
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for model in MODELS.iter().chain(OTHERS) {
            assert!(std::ptr::eq(find(model.name).expect("it is listed"), model), "{}", model.name);
            assert!(model.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
        }
    }
}
