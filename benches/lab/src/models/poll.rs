//! A poll loop: one thread hands the kernel the list of all descriptors, again and again.
//!
//! poll(2) of System V (Stevens, *UNIX Network Programming*, chapter 6): as select, without a limit of descriptors, but
//! each call copies and looks at all of them, so that an idle connection costs something at each event of another.
//!
//! State between two events: in a `Session` on the heap, an explicit state machine written by hand.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags};

use super::session::{Session, Wants, Way, accept};
use super::{Capacity, Family, Model, Options, always};

pub(super) const MODEL: Model = Model {
    name: "poll",
    about: "one thread, poll(2) over all descriptors",
    state: "a state machine on the heap, by hand",
    source: "poll(2) of System V; Stevens, UNIX Network Programming",
    family: Family::Events,
    capacity: Capacity::Limits,
    compiles_as_it_runs: false,
    available: always,
    serve,
};

fn serve(listener: TcpListener, options: &Options) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let mut sessions: Vec<(Session, Wants)> = Vec::new();
    let mut is_ready = Vec::new();
    loop {
        let mut descriptors = Vec::with_capacity(sessions.len() + 1);
        descriptors.extend(sessions.iter().map(|(session, (side, way))| {
            let flags = if *way == Way::Read { PollFlags::IN } else { PollFlags::OUT };
            PollFd::from_borrowed_fd(session.descriptor(*side), flags)
        }));
        descriptors.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        match rustix::event::poll(&mut descriptors, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        is_ready.clear();
        is_ready.extend(descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()));
        drop(descriptors);
        // In the order of the descriptors.
        let mut is_ready = is_ready.iter().copied();
        sessions.retain_mut(|(session, wants)| {
            if is_ready.next() != Some(true) {
                return true;
            }
            session.advance().map(|next| *wants = next).is_some()
        });
        if is_ready.next() == Some(true) {
            while let Some(client) = accept(&listener)? {
                sessions.push((Session::new(client, options), Session::FIRST));
            }
        }
    }
}
