//! A wait for any of several descriptors: one waiter, with a node in the list of each.

#![expect(
    unsafe_code,
    reason = "nodes share the waiter of their frame; descriptors are known by their numbers"
)]

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Instant;

use super::borrow::borrow;
use super::table::{Watched, watched};
use super::{Direction, Ended};
use crate::cell::{Outcome, Reason, Waiter};
use crate::hook::{By, Interrupted, Unattended, interruptible, noted, wait_without_unwinding};
use crate::park::{self, Cost};
use crate::poller::{Entry, Node, Snapshot};
use crate::scheduler;

/// A descriptor, and what to wait for there.
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// The descriptor.
    pub fd: RawFd,
    /// What to wait for.
    pub direction: Direction,
}

/// A descriptor of a wait, with the state in which the look found it.
struct Watching<'a> {
    watched: &'a Watched,
    direction: Direction,
    seen: Snapshot<'a>,
}

/// Where the files of the interests are open now, by their indices; -1 where one is not any more.
pub type Numbers<'a> = &'a dyn Fn(usize) -> RawFd;

/// Calls `look`, which does not wait, until it returns something else than 0, and parks the calling fiber in between, until one of
/// `interests` may have changed, or until `deadline`. `look` is given the numbers of the files, but for the last look of a wait that has ended.
pub fn wait_any(
    interests: &[Interest],
    deadline: Option<Instant>,
    mut look: impl FnMut(Option<Numbers<'_>>) -> isize,
) -> Ended {
    loop {
        match wait_or_attend(interests, deadline, &mut look) {
            Ok(ended) => return ended,
            // None of the files is in use here: a handler that does not return would leave it open for ever.
            Err((result, unattended)) => match (result, unattended.attend()) {
                (0, Interrupted::Looks) => {}
                (0, _) => return Ended::Interrupted,
                _ => return Ended::Done(result),
            },
        }
    }
}

/// [`wait_any`], to the first interruption: then the error is what `look` returns afterwards, and what has interrupted it.
fn wait_or_attend(
    interests: &[Interest],
    deadline: Option<Instant>,
    look: &mut impl FnMut(Option<Numbers<'_>>) -> isize,
) -> Result<Ended, (isize, Unattended)> {
    let all: Vec<(Arc<Watched>, Direction)> =
        interests.iter().map(|interest| (watched(interest.fd), interest.direction)).collect();
    let renewals_of_all =
        || all.iter().fold(0, |sum: u32, (watched, _)| sum.wrapping_add(watched.waits.renewals()));
    let mut renewals = renewals_of_all();
    let mut goes_on = false;
    loop {
        let watching: Vec<Watching<'_>> = all
            .iter()
            .map(|(watched, direction)| {
                let seen = watched.source.snapshot(direction.of_poller());
                Watching { watched, direction: *direction, seen }
            })
            .collect();
        match look(Some(&|index: usize| all[index].0.number().unwrap_or(-1))) {
            0 => {}
            result => {
                park::spend(Cost::SystemCall);
                return Ok(Ended::Done(result));
            }
        }
        let (outcome, unattended) = wait_once(&watching, deadline, goes_on);
        goes_on = renewals_of_all() != renewals;
        renewals = renewals_of_all();
        if unattended.is_interrupted() {
            return Err((look(None), unattended));
        }
        match outcome {
            Outcome::Notified => {}
            Outcome::Cancelled => return Ok(Ended::Cancelled),
            Outcome::TimedOut => {
                return Ok(match look(None) {
                    0 => Ended::TimedOut,
                    result => Ended::Done(result),
                });
            }
        }
    }
}

/// Waits until there may be a change. `goes_on` tells whether the caller has waited before, and only looked since a number was watched anew.
fn wait_once(watching: &[Watching<'_>], deadline: Option<Instant>, goes_on: bool) -> (Outcome, Unattended) {
    let waiter: Waiter = park::waiter();
    // SAFETY: the waiter is in this frame, and so are the nodes, which are dropped before it.
    let nodes: Vec<Node> = watching.iter().map(|_| unsafe { Node::of(&waiter, false) }).collect();
    let mut entries: Vec<(Entry<'_>, &Node)> = Vec::with_capacity(nodes.len());
    let poller = || scheduler::current_poller().expect("a fiber's worker has a poller");
    let mut is_changed = false;
    for (Watching { watched, direction, seen }, node) in watching.iter().zip(&nodes) {
        let Some(fd) = watched.number() else { continue };
        // SAFETY: the number is only passed to epoll.
        let borrowed = unsafe { borrow(fd) };
        match watched.source.link(borrowed, direction.of_poller(), node, *seen, poller) {
            Ok(Some(entry)) => entries.push((entry, node)),
            Ok(None) => {
                is_changed = true;
                break;
            }
            // epoll cannot watch it: it never changes. Or it is not open: a look has said so, or will after a renewal.
            Err(_) => {}
        }
    }
    for Watching { watched, direction, .. } in watching {
        // As of a call that writes.
        watched.waits.begin(goes_on && *direction == Direction::Read);
    }
    // If an event was faster, its wake-up is on its way and must be taken.
    let outcome = if is_changed && waiter.claim(Outcome::Notified).is_some() {
        (Outcome::Notified, Unattended::NONE)
    } else {
        interruptible(By::Waiter(&raw const waiter), |interruption| {
            interruption.wait(&waiter, || noted(wait_without_unwinding(&waiter, Reason::Select, deadline)))
        })
    };
    for (entry, node) in entries {
        entry.unlink(node);
    }
    outcome
}
