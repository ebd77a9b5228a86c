//! The cell, which the handles of one promise share.
//!
//! A cell is **pending**, then either **resolved**, for good, or an **alias** of another cell. If a callback returns a promise,
//! that promise becomes an alias of the promise that waits for it (as in Lwt), not the other way round. So a loop of
//! callbacks, where each waits for the next, keeps two cells alive and not one per round.
//!
//! The outcome is written once, under the lock, and read without it. No callback or destructor of the user runs under the
//! lock.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::callback_queue::CallbackQueue;
use super::cancel::{Cancel, OnCancel};
use super::error::Error;
use crate::park::{WaitQueue, Wakeup};
use crate::sync::atomic::{AtomicBool, Ordering};

pub(super) type Callback<T> = Box<dyn FnOnce(&Result<T, Error>, &mut CallbackQueue) + Send>;

/// See the module's documentation.
pub(super) struct Cell<T> {
    outcome: OnceLock<Result<T, Error>>,
    /// The queue holds those that wait for a change of the stage.
    stage: WaitQueue<Stage<T>>,
}

enum Stage<T> {
    Pending(Pending<T>),
    Resolved,
    Alias(Arc<Cell<T>>),
}

struct Pending<T> {
    callbacks: Vec<Entry<T>>,
    /// How many callbacks are spent, approximately.
    spent: usize,
    on_cancel: OnCancel,
}

struct Entry<T> {
    call: Callback<T>,
    /// Set when a call would have no effect any more.
    spent: Option<Arc<AtomicBool>>,
}

impl<T> Cell<T> {
    pub(super) fn pending(on_cancel: OnCancel) -> Arc<Self> {
        let stage = Stage::Pending(Pending { callbacks: Vec::new(), spent: 0, on_cancel });
        Arc::new(Self { outcome: OnceLock::new(), stage: WaitQueue::new(stage) })
    }

    pub(super) fn resolved(outcome: Result<T, Error>) -> Arc<Self> {
        Arc::new(Self { outcome: OnceLock::from(outcome), stage: WaitQueue::new(Stage::Resolved) })
    }

    /// The cell at the end of the chain of aliases: `cell` itself if it is no alias. Shortens the chain.
    pub(super) fn root(cell: &Arc<Self>) -> Arc<Self> {
        let mut root = Arc::clone(cell);
        while let Some(next) = root.alias() {
            root = next;
        }
        let mut left = Arc::clone(cell);
        while !Arc::ptr_eq(&left, &root) {
            let Some(next) = left.alias() else { break };
            if !Arc::ptr_eq(&next, &root) {
                let old = left.stage.lock().replace_alias(&root);
                drop(old);
            }
            left = next;
        }
        root
    }

    fn alias(&self) -> Option<Arc<Self>> {
        match &*self.stage.lock() {
            Stage::Alias(next) => Some(Arc::clone(next)),
            _ => None,
        }
    }

    /// Calls `f` with the outcome, if there is one.
    pub(super) fn with_outcome<R>(cell: &Arc<Self>, f: impl FnOnce(&Result<T, Error>) -> R) -> Option<R> {
        match cell.outcome.get() {
            Some(outcome) => Some(f(outcome)),
            None => Self::root(cell).outcome.get().map(f),
        }
    }

    /// Blocks until the promise is resolved; `None` when `deadline` passes first.
    pub(super) fn wait(cell: &Arc<Self>, deadline: Option<Instant>) -> Option<Arc<Self>> {
        loop {
            let root = Self::root(cell);
            let stage = root.stage.lock();
            match *stage {
                Stage::Pending(_) => {}
                Stage::Resolved => {
                    drop(stage);
                    return Some(root);
                }
                Stage::Alias(_) => continue,
            }
            if stage.wait(deadline) == Wakeup::TimedOut {
                return None;
            }
        }
    }

    /// Sets the effect of cancelling the promise, if it is pending.
    pub(super) fn set_on_cancel(&self, on_cancel: OnCancel) {
        let mut stage = self.stage.lock();
        let unused = match &mut *stage {
            Stage::Pending(pending) => std::mem::replace(&mut pending.on_cancel, on_cancel),
            _ => on_cancel,
        };
        drop(stage);
        drop(unused);
    }
}

impl<T> Stage<T> {
    /// Points an alias at `root` instead. Returns its old target, which the caller drops without the lock.
    fn replace_alias(&mut self, root: &Arc<Cell<T>>) -> Option<Arc<Cell<T>>> {
        match self {
            Self::Alias(next) => Some(std::mem::replace(next, Arc::clone(root))),
            _ => None,
        }
    }
}

impl<T: Send + Sync + 'static> Cell<T> {
    /// Resolves the promise, wakes those that wait for it, and queues its callbacks. False if it was resolved already.
    pub(super) fn settle(cell: &Arc<Self>, outcome: Result<T, Error>, queue: &mut CallbackQueue) -> bool {
        loop {
            let root = Self::root(cell);
            let mut stage = root.stage.lock();
            match *stage {
                Stage::Pending(_) => {}
                Stage::Resolved => return false,
                Stage::Alias(_) => continue,
            }
            let was = std::mem::replace(&mut *stage, Stage::Resolved);
            let written = root.outcome.set(outcome);
            drop(stage);
            assert!(written.is_ok(), "a pending promise has no outcome");
            root.stage.lock().notify_all();
            if let Stage::Pending(pending) = was
                && !pending.callbacks.is_empty()
            {
                queue.push(move |queue| root.call_all(pending.callbacks, queue));
            }
            return true;
        }
    }

    fn call_all(&self, callbacks: Vec<Entry<T>>, queue: &mut CallbackQueue) {
        let outcome = self.outcome.get().expect("written before its callbacks are called");
        for entry in callbacks {
            queue.call_guarded(|queue| (entry.call)(outcome, queue));
        }
    }

    /// Calls `callback` with the outcome: now if there is one, otherwise later, unless `spent` is set by then.
    pub(super) fn when(
        cell: &Arc<Self>,
        spent: Option<Arc<AtomicBool>>,
        callback: impl FnOnce(&Result<T, Error>, &mut CallbackQueue) + Send + 'static,
    ) {
        let mut entry = Some(Entry { call: Box::new(callback), spent });
        let root = loop {
            let root = Self::root(cell);
            let mut stage = root.stage.lock();
            match &mut *stage {
                Stage::Pending(pending) => return pending.callbacks.extend(entry.take()),
                Stage::Resolved => {}
                Stage::Alias(_) => continue,
            }
            drop(stage);
            break root;
        };
        CallbackQueue::run(|queue| root.call_all(entry.into_iter().collect(), queue));
    }

    /// Notes that a callback that waits here is spent. When more than half of them are, the spent ones are dropped, so that a
    /// promise that has been in many races does not keep the callbacks of those that are over.
    pub(super) fn note_spent(cell: &Arc<Self>) {
        let root = Self::root(cell);
        let mut stage = root.stage.lock();
        let Stage::Pending(pending) = &mut *stage else { return };
        pending.spent += 1;
        if pending.spent * 2 <= pending.callbacks.len() {
            return;
        }
        pending.spent = 0;
        let callbacks = std::mem::take(&mut pending.callbacks);
        let (dead, live): (Vec<_>, Vec<_>) = callbacks.into_iter().partition(Entry::is_spent);
        pending.callbacks = live;
        drop(stage);
        drop(dead);
    }
}

impl<T> Entry<T> {
    fn is_spent(&self) -> bool {
        // Relaxed: only a hint that saves memory; the callback checks for itself.
        self.spent.as_ref().is_some_and(|spent| spent.load(Ordering::Relaxed))
    }
}

impl<T: Clone + Send + Sync + 'static> Cell<T> {
    /// Makes `outer`, which has waited for a callback, and `inner`, which the callback has returned, one promise.
    ///
    /// If a promise would have to wait for itself, it is rejected with `Broken`.
    pub(super) fn follow(outer: &Arc<Self>, inner: &Arc<Self>, queue: &mut CallbackQueue) {
        loop {
            let (outer, inner) = (Self::root(outer), Self::root(inner));
            if Arc::ptr_eq(&outer, &inner) {
                Self::settle(&outer, Err(super::Broken.into()), queue);
                return;
            }
            if let Some(outcome) = inner.outcome.get() {
                // A `clone` of the user's may panic.
                let outcome = queue.call(|| outcome.clone()).and_then(|outcome| outcome);
                Self::settle(&outer, outcome, queue);
                return;
            }
            if outer.outcome.get().is_some() || inner.merge_into(&outer) {
                return;
            }
        }
    }

    /// Makes this cell an alias of `outer`, if both are pending.
    fn merge_into(&self, outer: &Arc<Self>) -> bool {
        // In the order of their addresses, so that two merges in opposite directions do not deadlock.
        let (mut ours, mut theirs);
        if std::ptr::from_ref(self) < Arc::as_ptr(outer) {
            ours = self.stage.lock();
            theirs = outer.stage.lock();
        } else {
            theirs = outer.stage.lock();
            ours = self.stage.lock();
        }
        let (Stage::Pending(from), Stage::Pending(into)) = (&mut *ours, &mut *theirs) else {
            return false;
        };
        into.callbacks.append(&mut from.callbacks);
        into.spent += from.spent;
        let unused = std::mem::replace(&mut into.on_cancel, std::mem::take(&mut from.on_cancel));
        let empty = std::mem::replace(&mut *ours, Stage::Alias(Arc::clone(outer)));
        drop((ours, theirs));
        drop((unused, empty));
        // Those that wait here look for the new root.
        self.stage.lock().notify_all();
        true
    }
}

impl<T: Send + Sync + 'static> Cancel for Cell<T> {
    fn on_cancel(self: Arc<Self>) -> OnCancel {
        let root = Self::root(&self);
        let mut stage = root.stage.lock();
        match &mut *stage {
            Stage::Pending(pending) => pending.on_cancel.take(),
            Stage::Resolved => OnCancel::Nothing,
            Stage::Alias(next) => {
                OnCancel::Source(Arc::downgrade(&(Arc::clone(next) as Arc<dyn Cancel>)) as Weak<_>)
            }
        }
    }

    fn reject(self: Arc<Self>, queue: &mut CallbackQueue) {
        Self::settle(&self, Err(super::Canceled.into()), queue);
    }
}

impl<T> Drop for Cell<T> {
    /// Drops a chain of aliases in a loop, not by recursion: the chain may be of any length.
    fn drop(&mut self) {
        let mut next = self.stage.lock().take_alias();
        while let Some(cell) = next {
            next = Arc::into_inner(cell).and_then(|cell| cell.stage.lock().take_alias());
        }
    }
}

impl<T> Stage<T> {
    fn take_alias(&mut self) -> Option<Arc<Cell<T>>> {
        match std::mem::replace(self, Self::Resolved) {
            Self::Alias(next) => Some(next),
            other => {
                *self = other;
                None
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::Promise;
    use super::*;

    #[test]
    fn copies_that_were_cancelled_leave_no_callback_behind() {
        let (shared, _resolver) = Promise::<u32>::pending();
        for _ in 0..100 {
            shared.protected().cancel();
        }
        let kept = shared.protected();
        let Stage::Pending(pending) = &*shared.cell.stage.lock() else { panic!("nobody has resolved it") };
        assert_eq!(pending.callbacks.len(), 1);
        drop(kept);
    }
}
