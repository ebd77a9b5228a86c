//! A loop on one thread that waits for readiness and advances tasks. Models differ in what a task is.

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use super::readiness::{Readiness, Watch};
use super::session::{Session, Side, Wants, Way, accept};

/// A connection that can be continued.
pub(super) trait Task {
    /// Goes on as far as it can. `None` when it is over.
    fn advance(&mut self) -> Option<Wants>;

    /// The descriptor of a side that it waits for.
    fn with_descriptor<T>(&self, side: Side, f: impl FnOnce(BorrowedFd<'_>) -> T) -> T;
}

impl Task for Session {
    fn advance(&mut self) -> Option<Wants> {
        self.advance()
    }

    fn with_descriptor<T>(&self, side: Side, f: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        f(self.descriptor(side))
    }
}

/// A task with what epoll was told about its two descriptors.
struct Slot<T> {
    task: T,
    wants: Wants,
    watches: [Watch; 2],
}

/// The listener's key. A task's sides have the keys `2 * slot` and `2 * slot + 1`.
const LISTENER: u64 = u64::MAX;

/// Serves `listener`; `start` makes a task of a connection, and the task is advanced at once.
pub(super) fn run<T: Task>(listener: TcpListener, start: impl Fn(TcpStream) -> T) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let mut readiness = Readiness::new()?;
    readiness.want(listener.as_fd(), &mut Watch::default(), LISTENER, Way::Read)?;
    let mut slots: Vec<Option<Slot<T>>> = Vec::new();
    let mut free = Vec::new();
    let mut keys = Vec::new();
    loop {
        readiness.wait(None, &mut keys)?;
        for key in keys.drain(..) {
            if key == LISTENER {
                while let Some(client) = accept(&listener)? {
                    let index = free.pop().unwrap_or_else(|| {
                        slots.push(None);
                        slots.len() - 1
                    });
                    let wants = Session::FIRST;
                    let mut slot = Slot { task: start(client), wants, watches: Default::default() };
                    if slot.go_on(&readiness, index as u64)? {
                        slots[index] = Some(slot);
                    } else {
                        free.push(index);
                    }
                }
                continue;
            }
            let index = (key / 2) as usize;
            let side = if key % 2 == 0 { Side::Client } else { Side::Backend };
            // An event may be for a slot whose task has ended in this batch; if another has begun there, it finds
            // that it was woken in vain.
            let Some(slot) = &mut slots[index] else { continue };
            if slot.wants.0 != side {
                let watch = &mut slot.watches[side as usize];
                slot.task.with_descriptor(side, |fd| readiness.forget(fd, watch))?;
            } else if !slot.go_on(&readiness, index as u64)? {
                slots[index] = None;
                free.push(index);
            }
        }
    }
}

impl<T: Task> Slot<T> {
    /// Advances the task. False when it is over.
    fn go_on(&mut self, readiness: &Readiness, index: u64) -> io::Result<bool> {
        let Some((side, way)) = self.task.advance() else { return Ok(false) };
        self.wants = (side, way);
        let watch = &mut self.watches[side as usize];
        self.task.with_descriptor(side, |fd| readiness.want(fd, watch, 2 * index + side as u64, way))?;
        Ok(true)
    }
}
