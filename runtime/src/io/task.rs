//! The operations of a descriptor for tasks, which do not block but are polled: the with_shared_settings of the retry loop.
//!
//! A task that would have to wait leaves an [`Arm`] behind for that direction: a node in the poller's list that carries
//! its waker. It stays until an event, or until the task disarms. `poller/README.md` tells why no edge is lost; an arm
//! that is still linked has had no event since it was made, so it need not be made anew.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Descriptor, Kind};
use crate::park::{self, Cost};
use crate::poller::{Direction, Node, Snapshot};
use crate::scheduler;

/// A task's wait for one direction of a descriptor. Its owner calls [`Descriptor::disarm`] before it drops either.
#[derive(Default)]
pub(crate) struct Arm(Option<Arc<Node>>);

impl<T: AsFd> Descriptor<T> {
    /// A transfer of bytes: `call` says how many of `wanted` it moved. `Pending` when it would block: then the task is
    /// woken when that may have changed.
    ///
    /// # Errors
    ///
    /// Those of `call`, except `Interrupted`, which is retried; `Unsupported` when it would have to wait on a plain
    /// thread, which has no poller.
    pub(crate) fn poll_transfer(
        &self,
        direction: Direction,
        arm: &mut Arm,
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
                        if self.kind == Kind::Stream && moved < wanted && moved != 0 {
                            seen.mark_exhausted();
                        }
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
            if would_block && self.poll_ready(direction, seen, arm, context)?.is_pending() {
                return Poll::Pending;
            }
            seen = self.source.snapshot(direction);
            may_call = true;
        }
    }

    /// [`poll_transfer`](Self::poll_transfer) of what the task reads, or of the end that an idle one is told.
    pub(crate) fn poll_receive(
        &self,
        arm: &mut Arm,
        context: &mut Context<'_>,
        wanted: usize,
        call: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        match self.idle() {
            None => self.poll_transfer(Direction::Read, arm, context, wanted, call),
            Some(idle) => self.receive_unless_idle(idle, call, |call| {
                self.poll_transfer(Direction::Read, arm, context, wanted, call)
            }),
        }
    }

    /// `Ready` if there was an event after `seen`; else arms the direction.
    fn poll_ready(
        &self,
        direction: Direction,
        seen: Snapshot<'_>,
        arm: &mut Arm,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if arm.0.as_ref().is_some_and(|node| node.will_wake(context)) {
            return Poll::Pending;
        }
        self.disarm(direction, arm);
        if !park::on_fiber() {
            let text = "a task waits for a descriptor only on a fiber: drive it with abaca's block_on there";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, text)));
        }
        let node = Node::for_future(context);
        let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
        match self.source.link(self.as_fd(), direction, &node, seen, poller) {
            Ok(Some(_)) => {
                arm.0 = Some(node);
                Poll::Pending
            }
            result => {
                node.release();
                Poll::Ready(result.map(drop))
            }
        }
    }

    /// Nobody is woken because of this arm any more, but by an event that is being reported right now.
    pub(crate) fn disarm(&self, direction: Direction, arm: &mut Arm) {
        if let Some(node) = arm.0.take() {
            self.source.unlink(direction, &node);
        }
    }
}
