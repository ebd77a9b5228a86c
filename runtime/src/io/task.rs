//! The operations of a descriptor for async tasks, which are polled instead of blocking: the counterpart of the retry loop.
//!
//! A task that would have to wait leaves a [`Registration`] for that direction: a node in the poller's list that carries its
//! waker. It is linked until an event comes, or until the task takes it back. `poller/README.md` argues why no event is lost. A
//! registration that is still linked has had no event, so the next poll keeps it. One that has had its event is linked again by the next
//! wait: a connection whose task waits for each request allocates one node in its life.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Descriptor, Kind};
use crate::park::{self, Cost};
use crate::poller::{Direction, Snapshot, TaskNode};
use crate::scheduler;

/// A task's wait for one direction of a descriptor. The task calls [`Descriptor::unregister`] before it drops either.
#[derive(Default)]
pub(crate) struct Registration(Option<Arc<TaskNode>>);

impl<T: AsFd> Descriptor<T> {
    /// Transfers bytes: `call` returns how many of `wanted` it moved. `Pending` if it would block; the task is woken when that
    /// may have changed.
    ///
    /// # Errors
    ///
    /// * `Unsupported`: it would have to wait on a plain thread, which has no poller.
    /// * Those of `call`, except `Interrupted`, which is retried.
    pub(crate) fn poll_transfer(
        &self,
        direction: Direction,
        registration: &mut Registration,
        context: &mut Context<'_>,
        wanted: usize,
        mut call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut seen = self.source.snapshot(direction);
        let mut may_call = !seen.is_exhausted();
        loop {
            let would_block = if may_call {
                match call(self.get()) {
                    Ok(moved) => {
                        seen.note(self.kind == Kind::Stream && moved < wanted && moved != 0);
                        park::spend(Cost::SystemCall);
                        return Poll::Ready(Ok(moved));
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            } else {
                true
            };
            if would_block && self.poll_ready(direction, seen, registration, context)?.is_pending() {
                return Poll::Pending;
            }
            seen = self.source.snapshot(direction);
            may_call = true;
        }
    }

    /// [`poll_transfer`](Self::poll_transfer) of a stream's bytes to the task. An idle task may get the end instead.
    pub(crate) fn poll_receive(
        &self,
        registration: &mut Registration,
        context: &mut Context<'_>,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match self.idle() {
            None => self.poll_transfer(Direction::Read, registration, context, wanted, call),
            Some(idle) => self.receive_unless_idle(idle, call, |call| {
                self.poll_transfer(Direction::Read, registration, context, wanted, call)
            }),
        }
    }

    /// `Ready` if there was an event after `seen`; otherwise registers the task for the direction.
    fn poll_ready(
        &self,
        direction: Direction,
        seen: Snapshot<'_>,
        registration: &mut Registration,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if registration.0.as_ref().is_some_and(|node| node.will_wake(context)) {
            return Poll::Pending;
        }
        // An event has unlinked the node, if there is one.
        let ended = registration.0.take();
        if !park::on_fiber() {
            let text = "a task waits for a descriptor only on a fiber: drive it with abaca's block_on there";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, text)));
        }
        let renewed = ended.and_then(|mut node| TaskNode::renew(&mut node, context).then_some(node));
        let node = renewed.unwrap_or_else(|| TaskNode::for_future(context));
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        match self.source.link(self.as_fd(), direction, node.node(), seen, poller) {
            Ok(Some(_)) => {
                registration.0 = Some(node);
                Poll::Pending
            }
            result => {
                node.node().release();
                Poll::Ready(result.map(drop))
            }
        }
    }

    /// Takes the registration back. Only an event that is being reported right now may still wake the task.
    pub(crate) fn unregister(&self, direction: Direction, registration: &mut Registration) {
        if let Some(node) = registration.0.take() {
            self.source.unlink(direction, node.node());
        }
    }
}
