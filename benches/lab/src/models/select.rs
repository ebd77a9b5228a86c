//! A select loop: one thread, sets of bits for the descriptors to wait for.
//!
//! select(2) of 4.2BSD (Stevens, *UNIX Network Programming*, chapter 6). A set has room for the descriptors 0 to 1,023;
//! connections beyond that are turned away. Each call copies and scans the sets.
//!
//! State between two events: in a `Session` on the heap, an explicit state machine written by hand.
#![expect(unsafe_code, reason = "select(2) takes descriptors as numbers")]

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};

use rustix::event::{FdSetElement, fd_set_insert, fd_set_num_elements, select};

use super::session::{Session, Wants, Way, accept};
use super::{Capacity, Family, Model, Options, always};

/// The first descriptor that has no place in a set.
const SET_SIZE: RawFd = 1024;

pub(super) const MODEL: Model = Model {
    name: "select",
    about: "one thread, select(2) over sets of at most 1,024 descriptors",
    state: "a state machine on the heap, by hand",
    source: "select(2) of 4.2BSD; Stevens, UNIX Network Programming",
    family: Family::Events,
    capacity: Capacity::Descriptors(SET_SIZE as usize),
    compiles_as_it_runs: false,
    available: always,
    serve,
};

/// The descriptors to read and to write: what to wait for, then what is ready.
struct Sets([Vec<FdSetElement>; 2]);

impl Sets {
    fn insert(&mut self, fd: RawFd, way: Way) {
        fd_set_insert(&mut self.0[way as usize], fd);
    }

    fn contains(&self, fd: RawFd, way: Way) -> bool {
        rustix::event::FdSetIter::new(&self.0[way as usize]).any(|set| set == fd)
    }
}

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let descriptor = |session: &Session, wants: &Wants| session.descriptor(wants.0).as_raw_fd();
    let mut sessions: Vec<(Session, Wants)> = Vec::new();
    loop {
        let empty = || vec![FdSetElement::default(); fd_set_num_elements(SET_SIZE as usize, SET_SIZE)];
        let mut sets = Sets([empty(), empty()]);
        sets.insert(listener.as_raw_fd(), Way::Read);
        for (session, wants) in &sessions {
            sets.insert(descriptor(session, wants), wants.1);
        }
        let [read, write] = &mut sets.0;
        // SAFETY: the sets name descriptors of the listener and of sessions, which are open during the call.
        let selected = unsafe { select(SET_SIZE, Some(read), Some(write), None, None) };
        match selected {
            Err(rustix::io::Errno::INTR) => continue,
            selected => selected?,
        };
        sessions.retain_mut(|(session, wants)| {
            if !sets.contains(descriptor(session, wants), wants.1) {
                return true;
            }
            let next = session.advance();
            // A backend connection may have got a number that no set has room for.
            let next = next.filter(|next| descriptor(session, next) < SET_SIZE);
            next.map(|next| *wants = next).is_some()
        });
        if sets.contains(listener.as_raw_fd(), Way::Read) {
            while let Some(client) = accept(&listener)? {
                if client.as_raw_fd() < SET_SIZE {
                    sessions.push((Session::new(client, options), Session::FIRST));
                }
            }
        }
    }
}
