//! The cell: what the handles of one promise share.
//!
//! A cell is **pending**, then either **resolved**, for good, or an **alias** of another cell. A promise that a
//! callback returned becomes an alias of the promise that waits for it (as in Lwt), not the other way round: so
//! a loop of callbacks, each of which waits for the next, keeps two cells alive and not one per round.
//!
//! The outcome is written once, under the lock, and read without it. Neither callbacks nor destructors of the user's
//! run under the lock.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use super::agenda::Agenda;
use super::cancel::{Cancel, OnCancel};
use super::error::Error;
use crate::park::{WaitQueue, Wakeup};
use crate::sync::atomic::{AtomicBool, Ordering};

pub(super) type Callback<T> = Box<dyn FnOnce(&Result<T, Error>, &mut Agenda) + Send>;

/// See the module's documentation.
pub(super) struct Cell<T> {
    outcome: OnceLock<Result<T, Error>>,
    /// Those in the queue block until the stage changes.
    stage: WaitQueue<Stage<T>>,
}

enum Stage<T> {
    Pending(Pending<T>),
    Resolved,
    Alias(Arc<Cell<T>>),
}

struct Pending<T> {
    callbacks: Vec<Entry<T>>,
    /// How many callbacks, about, are spent.
    spent: usize,
    on_cancel: OnCancel,
}

struct Entry<T> {
    call: Callback<T>,
    /// Set when calling it would have no effect any more.
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

    /// The cell that `cell` is an alias of, in the end; itself if of none. Shortens the way there.
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

    /// Whether cancelling is possible at all, and what it would do here.
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
    /// Points an alias at `root` instead; returns what it pointed at, to be dropped without the lock.
    fn replace_alias(&mut self, root: &Arc<Cell<T>>) -> Option<Arc<Cell<T>>> {
        match self {
            Self::Alias(next) => Some(std::mem::replace(next, Arc::clone(root))),
            _ => None,
        }
    }
}

impl<T: Send + Sync + 'static> Cell<T> {
    /// Resolves the promise, wakes who waits for it and puts its callbacks on the agenda. False if it was
    /// resolved already.
    pub(super) fn settle(cell: &Arc<Self>, outcome: Result<T, Error>, agenda: &mut Agenda) -> bool {
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
                agenda.push(move |agenda| root.call_all(pending.callbacks, agenda));
            }
            return true;
        }
    }

    fn call_all(&self, callbacks: Vec<Entry<T>>, agenda: &mut Agenda) {
        let outcome = self.outcome.get().expect("written before its callbacks are called");
        for entry in callbacks {
            (entry.call)(outcome, agenda);
        }
    }

    /// Calls `callback` with the outcome: now if there is one, else when there is, unless `spent` is set by then.
    pub(super) fn when(
        cell: &Arc<Self>,
        spent: Option<Arc<AtomicBool>>,
        callback: impl FnOnce(&Result<T, Error>, &mut Agenda) + Send + 'static,
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
        Agenda::run(|agenda| root.call_all(entry.into_iter().collect(), agenda));
    }

    /// A callback that waited here has become spent. When half of them are, they are dropped: so a promise that many
    /// others raced against does not keep what those left behind.
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
        // Relaxed: only a hint that spares memory; the callback looks again itself.
        self.spent.as_ref().is_some_and(|spent| spent.load(Ordering::Relaxed))
    }
}

impl<T: Clone + Send + Sync + 'static> Cell<T> {
    /// `outer` has waited for a callback, and the callback has returned `inner`: from now on they are one promise.
    ///
    /// A promise that would have to wait for itself is rejected, with `Broken`.
    pub(super) fn follow(outer: &Arc<Self>, inner: &Arc<Self>, agenda: &mut Agenda) {
        loop {
            let (outer, inner) = (Self::root(outer), Self::root(inner));
            if Arc::ptr_eq(&outer, &inner) {
                Self::settle(&outer, Err(super::Broken.into()), agenda);
                return;
            }
            if let Some(outcome) = inner.outcome.get() {
                Self::settle(&outer, outcome.clone(), agenda);
                return;
            }
            if outer.outcome.get().is_some() || inner.merge_into(&outer) {
                return;
            }
        }
    }

    /// Makes this cell an alias of `outer`, if both are pending.
    fn merge_into(&self, outer: &Arc<Self>) -> bool {
        // In the order of their addresses, so that two who merge in opposite directions do not wait for each other.
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
        // They look for the new root.
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

    fn reject(self: Arc<Self>, agenda: &mut Agenda) {
        Self::settle(&self, Err(super::Canceled.into()), agenda);
    }
}

impl<T> Drop for Cell<T> {
    /// A chain of aliases is dropped in a loop: its length is the user's.
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
