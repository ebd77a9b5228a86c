//! Standing in line for a descriptor: of many who wait for connections of one listener, each connection wakes one.
//!
//! An event wakes who has waited longest. Whoever is woken and finds something wakes the next, since one event may tell of
//! several; whoever is told to wait has proof that nothing is left, and wakes nobody. So a connection costs two wake-ups,
//! however many wait. `poller/README.md` argues why nobody is forgotten. Only for calls that the kernel answers alike
//! whoever makes them: what is nothing for one must be nothing for all.

use std::io;
use std::os::fd::AsFd;

use super::Descriptor;
use super::waited::Waited;
use crate::cell::Reason;
use crate::park::{self, Cost};
use crate::poller::{Node, Place, Way};

/// Whoever was woken owes the next in line a wake-up, however its call ends.
struct Turn<'a>(Place<'a>);

impl Turn<'_> {
    /// Nothing was left: the next event wakes the next in line.
    fn end(self) {
        std::mem::forget(self);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pass_on(park::wake);
    }
}

impl<T: AsFd> Descriptor<T> {
    /// [`retry`](Self::retry) for reading, in line with others.
    ///
    /// # Errors
    ///
    /// As [`retry`](Self::retry).
    pub(crate) fn retry_in_line<R>(
        &self,
        reason: Reason,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut deadline = None;
        let mut turn: Option<Turn<'_>> = None;
        loop {
            let seen = self.source.seen(Way::Read);
            let error = match call(self.get()) {
                Ok(result) => {
                    drop(turn);
                    park::spend(Cost::InputOutput);
                    return Ok(result);
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::WouldBlock => {
                    if let Some(turn) = turn.take() {
                        turn.end();
                    }
                    if self.is_nonblocking() {
                        park::spend(Cost::InVain);
                        return Err(error);
                    }
                    match self.wait_with(Node::in_line, Way::Read, reason, seen, &mut deadline)? {
                        Waited::Event(place) => turn = place.map(Turn),
                        Waited::GaveUp(gave_up) => return Err(gave_up.tell()),
                    }
                }
                io::ErrorKind::Interrupted => {}
                _ => {
                    drop(turn);
                    // It may come back at once for as long as somebody else has not done something: EMFILE of an accept.
                    park::spend(Cost::InVain);
                    return Err(error);
                }
            }
        }
    }
}
