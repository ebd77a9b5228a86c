//! Request and response: a slot on the heap that the server's reply, or the server's death, fills.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pid::Pid;
use super::reason::ExitReason;
use super::reference::{ActorRef, SendError};
use crate::park::{self, Cost, WaitQueue};

/// Why a [`call`](ActorRef::call) was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// The server has ended, for this reason.
    Exited(ExitReason),
    /// The server, which lives, dropped the [`Reply`] without sending.
    NoReply,
    /// The time was up.
    TimedOut,
    /// The server's mailbox is bounded and full.
    Full,
}

/// Answers one [`call`](ActorRef::call); comes in the message. Dropping it answers with
/// [`NoReply`](CallError::NoReply).
///
/// One that is dropped because its server panics is answered with the server's death. A server that catches its own panics
/// answers before, or its caller waits until the time is up.
#[must_use = "the caller waits for an answer"]
pub struct Reply<R> {
    slot: Arc<Slot<R>>,
    server: Pid,
}

/// Where the answer is put.
struct Slot<R>(WaitQueue<Option<Result<R, CallError>>>);

impl<R> Slot<R> {
    /// The first answer counts.
    fn fill(&self, answer: Result<R, CallError>) {
        let mut place = self.0.lock();
        if place.is_some() {
            drop(place);
            drop(answer);
            return;
        }
        *place = Some(answer);
        place.notify_one();
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<R, CallError> {
        let mut place = self.0.lock();
        if place.is_none() {
            let _ = place.wait(deadline);
            place = self.0.lock();
        }
        place.take().unwrap_or(Err(CallError::TimedOut))
    }
}

pub(super) fn call<M, R, F>(server: &ActorRef<M>, timeout: Duration, request: F) -> Result<R, CallError>
where
    M: Send + 'static,
    R: Send + 'static,
    F: FnOnce(Reply<R>) -> M,
{
    /// The server's death no longer concerns the caller, who has an answer or unwinds.
    struct Unwatch<'a>(&'a Pid, u64);
    impl Drop for Unwatch<'_> {
        fn drop(&mut self) {
            self.0.life().unwatch(self.1);
        }
    }
    // A deadline beyond the clock's range never comes.
    let deadline = Instant::now().checked_add(timeout);
    let pid = server.pid();
    let slot = Arc::new(Slot(WaitQueue::new(None)));
    let theirs = Arc::clone(&slot);
    let watch = pid.life().watch(Box::new(move |down| theirs.fill(Err(CallError::Exited(down.reason)))));
    let _unwatch = watch.map(|key| Unwatch(&pid, key));
    if watch.is_some() {
        let reply = Reply { slot: Arc::clone(&slot), server: pid.clone() };
        match server.send(request(reply)) {
            Ok(()) => {}
            Err(SendError::Full(_)) => return Err(CallError::Full),
            // Its watchers were called before its mailbox was closed.
            Err(SendError::Dead(_)) => {}
        }
    }
    slot.wait(deadline)
}

impl<R> Reply<R> {
    /// Answers the call. If the caller has given up the answer is dropped.
    pub fn send(self, answer: R) {
        park::spend(Cost::Call);
        self.slot.fill(Ok(answer));
    }
}

impl<R> Drop for Reply<R> {
    fn drop(&mut self) {
        if std::thread::panicking() && self.server.life().ends_with_caller() {
            return;
        }
        self.slot.fill(Err(CallError::NoReply));
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("server", &self.server.id()).finish_non_exhaustive()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(reason) => write!(f, "the server has ended: {reason}"),
            Self::NoReply => f.write_str("the server did not reply"),
            Self::TimedOut => f.write_str("the server did not reply in time"),
            Self::Full => f.write_str("the server's mailbox is full"),
        }
    }
}

impl std::error::Error for CallError {}
