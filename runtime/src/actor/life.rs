//! The life of an actor, whatever its messages: how it ends, and who is notified.
//!
//! An actor lives until its fiber calls [`end`], once. Before that it may be **terminated**: it is given a reason to end
//! (`pending_exit`), and its fiber is cancelled. The first reason counts. If the body returns all the same, the reason that it
//! returns counts.
//!
//! A link is an entry in both lives. A monitor is an entry in the life that it watches, and one in that of its owner, whose end takes it
//! back. The actor that ends takes the entries out
//! under its lock, so each death is reported once. A link to, or a monitor of, an actor that has ended is reported at once. No
//! two lives are locked at the same time, and no lock is held while others are notified. Nor does the panic of one that is notified,
//! or of a message's destructor, keep the others from being told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::contained::contained;
use super::pid::{ActorId, Pid};
use super::reason::{Down, Exit, ExitReason};
use crate::fiber::JoinHandle;
use crate::park::{WaitQueue, Wakeup};

/// An actor, whatever its messages.
pub(super) trait Process: Send + Sync {
    fn life(&self) -> &Life;

    /// Puts an exit into the mailbox of an actor that traps exits; false for any other.
    fn trap(&self, exit: &Exit) -> bool;

    /// Rejects messages from now on, and drops those that were not received.
    fn close(&self);
}

pub(super) type Watcher = Box<dyn FnOnce(Down) + Send>;

/// See the module's documentation.
pub(super) struct Life {
    pub(super) id: ActorId,
    /// The queue holds those that wait for the actor's end.
    status: WaitQueue<Status>,
}

struct Status {
    /// The reason that was given to a terminated actor.
    pending_exit: Option<ExitReason>,
    /// The reason of an actor that has ended.
    ended: Option<ExitReason>,
    fiber: Option<JoinHandle<()>>,
    /// Whether the spawner knows that the actor has a fiber.
    is_spawned: bool,
    /// The reason of an actor whose closure was dropped before the spawner knew that.
    dropped: Option<ExitReason>,
    links: BTreeMap<ActorId, Pid>,
    watchers: BTreeMap<u64, Watcher>,
    next_watcher: u64,
    /// The monitors that this actor has set: whom, and the key of the watcher there. `None` while it is being set.
    monitors: BTreeMap<u64, Option<(Pid, u64)>>,
    next_monitor: u64,
}

impl Life {
    pub(super) fn new() -> Self {
        let status = Status {
            pending_exit: None,
            ended: None,
            fiber: None,
            is_spawned: false,
            dropped: None,
            links: BTreeMap::new(),
            watchers: BTreeMap::new(),
            next_watcher: 0,
            monitors: BTreeMap::new(),
            next_monitor: 0,
        };
        Self { id: ActorId::next(), status: WaitQueue::new(status) }
    }

    /// Why the actor has ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitReason> {
        self.status.lock().ended.clone()
    }

    /// The reason to end that the actor was given, if it is terminated.
    pub(super) fn pending_exit(&self) -> Option<ExitReason> {
        self.status.lock().pending_exit.clone()
    }

    /// Stores the actor's fiber. The actor may have ended by now, or be terminated; then the fiber is cancelled. Returns the
    /// reason of an actor that will never start.
    fn set_fiber(&self, fiber: JoinHandle<()>) -> Option<ExitReason> {
        let mut status = self.status.lock();
        status.is_spawned = true;
        if status.ended.is_none() && status.pending_exit.is_none() {
            status.fiber = Some(fiber);
            return status.dropped.take();
        }
        let dropped = status.dropped.take();
        drop(status);
        fiber.cancel();
        dropped
    }

    /// Whether the unwinding of the calling fiber ends this actor: it is terminated, or the caller is its fiber.
    pub(super) fn ends_with_caller(&self) -> bool {
        let fiber = {
            let status = self.status.lock();
            if status.pending_exit.is_some() {
                return true;
            }
            status.fiber.as_ref().map(JoinHandle::fiber)
        };
        fiber.is_some_and(|fiber| fiber.id() == crate::fiber::current().id())
    }

    /// Ends the actor for `reason`, at its next blocking call, whether it traps exits or not.
    #[track_caller]
    pub(super) fn terminate(&self, reason: ExitReason) {
        let mut status = self.status.lock();
        if status.ended.is_some() || status.pending_exit.is_some() {
            return;
        }
        status.pending_exit = Some(reason);
        let fiber = status.fiber.take();
        drop(status);
        if let Some(fiber) = fiber {
            fiber.cancel();
        }
    }

    /// Blocks until the actor has ended; `None` when `deadline` passes first.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<ExitReason> {
        loop {
            let status = self.status.lock();
            if let Some(reason) = &status.ended {
                return Some(reason.clone());
            }
            if status.wait(deadline) == Wakeup::TimedOut {
                return None;
            }
        }
    }

    /// Calls `watcher` when the actor ends, and returns its key. If it has ended, calls `watcher` at once and returns `None`.
    pub(super) fn watch(&self, watcher: Watcher) -> Option<u64> {
        let mut status = self.status.lock();
        match status.ended.clone() {
            None => {
                let key = status.next_watcher;
                status.next_watcher += 1;
                status.watchers.insert(key, watcher);
                Some(key)
            }
            Some(reason) => {
                drop(status);
                watcher(Down { from: self.id, reason });
                None
            }
        }
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn watcher_count(&self) -> usize {
        self.status.lock().watchers.len()
    }

    /// Removes a watcher. False if it was not there: it has been called, or will be.
    pub(super) fn unwatch(&self, key: u64) -> bool {
        let watcher = self.status.lock().watchers.remove(&key);
        watcher.is_some()
    }

    /// Sets a monitor on `target`: calls `watcher` when it ends, unless this actor ends before. Returns the monitor's number, or
    /// `None` if `target` has ended, and `watcher` has been called.
    pub(super) fn monitor(
        process: &Arc<impl Process + 'static>,
        target: &Pid,
        watcher: impl FnOnce(Down) + Send + 'static,
    ) -> Option<u64> {
        let number = {
            let mut status = process.life().status.lock();
            let number = status.next_monitor;
            status.next_monitor += 1;
            status.monitors.insert(number, None);
            number
        };
        let this = Arc::clone(process);
        let key = target.life().watch(Box::new(move |down| {
            drop(this.life().forget_monitor(number));
            watcher(down);
        }))?;
        // Without an entry, the watcher has been called meanwhile.
        if let Some(entry) = process.life().status.lock().monitors.get_mut(&number) {
            *entry = Some((target.clone(), key));
        }
        Some(number)
    }

    /// Takes a monitor back. False if the other has ended.
    pub(super) fn demonitor(&self, number: u64) -> bool {
        self.forget_monitor(number).is_some_and(|(target, key)| target.life().unwatch(key))
    }

    fn forget_monitor(&self, number: u64) -> Option<(Pid, u64)> {
        self.status.lock().monitors.remove(&number)?
    }

    /// Enters a link on this side. The error is the reason of an actor that has ended.
    fn enter(&self, other: &Pid) -> Result<(), ExitReason> {
        let mut status = self.status.lock();
        match &status.ended {
            Some(reason) => Err(reason.clone()),
            None => {
                let replaced = status.links.insert(other.id(), other.clone());
                drop(status);
                drop(replaced);
                Ok(())
            }
        }
    }

    fn leave(&self, other: ActorId) {
        let left = self.status.lock().links.remove(&other);
        drop(left);
    }
}

/// Links two actors. If one has ended, the other is notified as if it ended now.
pub(super) fn link(one: &Pid, other: &Pid) {
    if one == other {
        return;
    }
    let (mine, theirs) = (one.life(), other.life());
    if let Err(reason) = mine.enter(other) {
        return tell(other, Exit { from: Some(mine.id), reason });
    }
    if let Err(reason) = theirs.enter(one) {
        mine.leave(theirs.id);
        tell(one, Exit { from: Some(theirs.id), reason });
    } else if mine.ended().is_some() {
        // It ended after the first entry, and may not have seen the second one.
        theirs.leave(mine.id);
    }
}

pub(super) fn unlink(one: &Pid, other: &Pid) {
    one.life().leave(other.id());
    other.life().leave(one.id());
}

/// Notifies `target` of the death of an actor to which it is linked.
fn tell(target: &Pid, exit: Exit) {
    let (Some(from), false) = (exit.from, target.process().trap(&exit)) else { return };
    if exit.reason != ExitReason::Normal {
        target.life().terminate(exit.reason.through_link(from));
    }
}

/// Asks `target` to end: by a message if it traps exits, otherwise by terminating it.
#[track_caller]
pub(super) fn ask_to_end(target: &Pid, reason: ExitReason) {
    let exit = Exit { from: None, reason };
    if !target.process().trap(&exit) && exit.reason != ExitReason::Normal {
        target.life().terminate(exit.reason);
    }
}

/// Stores the fiber of an actor that was spawned just now.
pub(super) fn spawned(process: &Arc<dyn Process>, fiber: JoinHandle<()>) {
    if let Some(reason) = process.life().set_fiber(fiber) {
        end(process, &reason);
    }
}

/// Ends an actor whose closure is dropped before it ran. If that happens while the actor is spawned, the spawner ends it: it
/// learns whether there is a fiber, and if not, why.
pub(super) fn end_unstarted(process: &Arc<dyn Process>, reason: ExitReason) {
    let mut status = process.life().status.lock();
    if status.is_spawned {
        drop(status);
        end(process, &reason);
    } else {
        status.dropped = Some(reason);
    }
}

/// Ends the actor, and notifies its watchers and links. Called once: by its fiber, or for an actor that never starts.
pub(super) fn end(process: &Arc<dyn Process>, reason: &ExitReason) {
    let life = process.life();
    let (links, watchers, monitors, fiber) = {
        let mut status = life.status.lock();
        debug_assert!(status.ended.is_none(), "an actor ends once");
        status.ended = Some(reason.clone());
        let Status { links, watchers, monitors, fiber, .. } = &mut *status;
        (std::mem::take(links), std::mem::take(watchers), std::mem::take(monitors), fiber.take())
    };
    drop(fiber);
    for (target, key) in monitors.into_values().flatten() {
        contained(|| _ = target.life().unwatch(key));
    }
    // Before the messages are dropped: a caller that waits for a reply gets the reason and not `NoReply`.
    for watcher in watchers.into_values() {
        contained(|| watcher(Down { from: life.id, reason: reason.clone() }));
    }
    process.close();
    life.status.lock().notify_all();
    for other in links.into_values() {
        other.life().leave(life.id);
        contained(|| tell(&other, Exit { from: Some(life.id), reason: reason.clone() }));
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a death with a link, a monitor, a wait and another death: it is reported once, and leaves no link.

    use std::sync::Arc;

    use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use loom::thread;

    use super::{Exit, ExitReason, Pid, Process, end, link};
    use crate::actor::cell::Cell;

    /// An actor without a fiber, that traps exits.
    fn actor() -> (Arc<Cell<Exit>>, Pid) {
        let cell = Arc::new(Cell::new(usize::MAX));
        cell.set_trap(Some(|exit| exit));
        (Arc::clone(&cell), Pid::new(cell))
    }

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn a_link_and_a_death_are_told_once() {
        check(|| {
            let ((cell, survivor), (_, mortal)) = (actor(), actor());
            let theirs = mortal.clone();
            let thread = thread::spawn(move || end(theirs.process(), &ExitReason::Killed));
            link(&survivor, &mortal);
            thread.join().unwrap();
            assert_eq!(cell.take().unwrap().from, Some(mortal.id()));
            assert!(cell.take().is_none());
            for pid in [survivor, mortal] {
                assert!(pid.life().status.lock().links.is_empty());
            }
        });
    }

    #[test]
    fn two_linked_deaths_leave_no_link() {
        check(|| {
            let ((_, one), (_, other)) = (actor(), actor());
            link(&one, &other);
            let theirs = other.clone();
            let thread = thread::spawn(move || end(theirs.process(), &ExitReason::Killed));
            end(one.process(), &ExitReason::Killed);
            thread.join().unwrap();
            for pid in [one, other] {
                assert!(pid.life().status.lock().links.is_empty());
            }
        });
    }

    #[test]
    fn a_monitor_is_told_once_or_taken_back() {
        check(|| {
            let (_, mortal) = actor();
            let told = loom::sync::Arc::new(AtomicUsize::new(0));
            let theirs = mortal.clone();
            let thread = thread::spawn(move || end(theirs.process(), &ExitReason::Killed));
            let count = loom::sync::Arc::clone(&told);
            let key = mortal.life().watch(Box::new(move |_| {
                count.fetch_add(1, SeqCst);
            }));
            let taken_back = key.is_some_and(|key| mortal.life().unwatch(key));
            thread.join().unwrap();
            assert_eq!(told.load(SeqCst) + usize::from(taken_back), 1);
        });
    }

    #[test]
    fn a_message_wakes_the_actor_and_a_death_who_waits_for_it() {
        check(|| {
            let (cell, pid) = actor();
            let thread = thread::spawn(move || {
                let exit = cell.receive(None).expect("a message");
                let process: Arc<dyn Process> = cell;
                end(&process, &exit.reason);
            });
            assert!(pid.process().trap(&Exit { from: None, reason: ExitReason::Shutdown }));
            assert_eq!(pid.life().wait(None), Some(ExitReason::Shutdown));
            thread.join().unwrap();
        });
    }
}
