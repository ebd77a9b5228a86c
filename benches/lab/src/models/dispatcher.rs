//! An epoll dispatcher and worker threads: one thread waits for all, others do the work.
//!
//! The half-sync/half-async pattern (Schmidt et al., *Pattern-Oriented Software Architecture 2*), as in Java's NIO servers
//! and thread pools behind an acceptor. A ready connection is handed to a worker through a queue, and is armed again
//! (`EPOLLONESHOT`) when the worker is done with it: two system calls and a thread switch more than in a loop, but a
//! long computation holds up one worker instead of everybody.
//!
//! State between two events: in a `Session` on the heap, an explicit state machine written by hand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::session::{Session, Side, Wants, Way, accept};
use super::{Capacity, Family, Model, Options, always};

pub(super) const MODEL: Model = Model {
    name: "dispatcher",
    about: "an epoll thread that hands ready connections to worker threads",
    state: "a state machine on the heap, by hand",
    source: "Schmidt et al., POSA 2: half-sync/half-async",
    family: Family::Events,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

const LISTENER: u64 = 0;

/// A session, and which of its descriptors are in the set.
struct Connection {
    session: Session,
    is_watched: [bool; 2],
}

/// What the threads share. The one-shot flag gives a connection to one worker at a time, so its lock is never
/// contended; the map's lock is held for a lookup.
struct Shared {
    epoll: OwnedFd,
    connections: Mutex<HashMap<u64, Arc<Mutex<Connection>>>>,
}

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener.as_fd(), EventData::new_u64(LISTENER), EventFlags::IN)?;
    let shared = Shared { epoll, connections: Mutex::default() };
    let (ready, queue) = mpsc::channel::<u64>();
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        for _ in 0..options.workers {
            scope.spawn(|| {
                loop {
                    let key = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    // The channel ends with the dispatcher.
                    let Ok(key) = key else { return };
                    shared.work(key);
                }
            });
        }
        shared.dispatch(&listener, options, ready)
    })
}

impl Shared {
    fn dispatch(
        &self,
        listener: &TcpListener,
        options: &Options,
        ready: mpsc::Sender<u64>,
    ) -> io::Result<Infallible> {
        let mut events = Vec::with_capacity(256);
        let mut last_key = LISTENER;
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Err(rustix::io::Errno::INTR) => continue,
                waited => waited?,
            };
            for event in &events {
                let key = event.data.u64();
                if key != LISTENER {
                    ready.send(key).map_err(io::Error::other)?;
                    continue;
                }
                while let Some(client) = accept(listener)? {
                    last_key += 1;
                    let session = Session::new(client, options);
                    let connection = Arc::new(Mutex::new(Connection { session, is_watched: [false; 2] }));
                    self.map(|map| map.insert(last_key, Arc::clone(&connection)));
                    let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
                    self.arm(&mut connection, last_key, Session::FIRST)?;
                }
            }
        }
    }

    /// What a worker does with a ready connection.
    fn work(&self, key: u64) {
        let Some(connection) = self.map(|map| map.get(&key).cloned()) else { return };
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let wants = connection.session.advance();
        let armed = wants.and_then(|wants| self.arm(&mut connection, key, wants).ok());
        if armed.is_none() {
            self.map(|map| map.remove(&key));
        }
    }

    /// Reports the connection once, when it is ready for what it wants.
    fn arm(&self, connection: &mut Connection, key: u64, (side, way): Wants) -> io::Result<()> {
        let flags = if way == Way::Read { EventFlags::IN } else { EventFlags::OUT } | EventFlags::ONESHOT;
        let descriptor = connection.session.descriptor(side);
        let is_watched = &mut connection.is_watched[if side == Side::Client { 0 } else { 1 }];
        let tell = if *is_watched { epoll::modify } else { epoll::add };
        *is_watched = true;
        Ok(tell(&self.epoll, descriptor, EventData::new_u64(key), flags)?)
    }

    fn map<T>(&self, f: impl FnOnce(&mut HashMap<u64, Arc<Mutex<Connection>>>) -> T) -> T {
        f(&mut self.connections.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
