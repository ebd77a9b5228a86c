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
use crate::atomic::{AtomicBool, Ordering};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

pub(super) type Callback<T> = Box<dyn FnOnce(&Result<T, Error>, &mut Agenda) + Send>;

/// See the module's documentation.
pub(super) struct Cell<T> {
    outcome: OnceLock<Result<T, Error>>,
    state: SpinLock<State<T>>,
}

struct State<T> {
    stage: Stage<T>,
    /// Who blocks until the stage changes.
    waiting: WaitList<()>,
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

impl<T> State<T> {
    fn waiting(&mut self) -> &mut WaitList<()> {
        &mut self.waiting
    }
}

impl<T> Cell<T> {
    pub(super) fn pending(on_cancel: OnCancel) -> Arc<Self> {
        let stage = Stage::Pending(Pending { callbacks: Vec::new(), spent: 0, on_cancel });
        Arc::new(Self {
            outcome: OnceLock::new(),
            state: SpinLock::new(State { stage, waiting: WaitList::new() }),
        })
    }

    pub(super) fn resolved(outcome: Result<T, Error>) -> Arc<Self> {
        Arc::new(Self {
            outcome: OnceLock::from(outcome),
            state: SpinLock::new(State { stage: Stage::Resolved, waiting: WaitList::new() }),
        })
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
                let old = left.state.lock().replace_alias(&root);
                drop(old);
            }
            left = next;
        }
        root
    }

    fn alias(&self) -> Option<Arc<Self>> {
        match &self.state.lock().stage {
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
            let state = root.state.lock();
            match state.stage {
                Stage::Pending(_) => {}
                Stage::Resolved => {
                    drop(state);
                    return Some(root);
                }
                Stage::Alias(_) => continue,
            }
            match wait_list::wait(state, State::waiting, End::Back, (), Reason::Promise, deadline, || ()).0 {
                Outcome::Notified => {}
                Outcome::TimedOut => return None,
                Outcome::Cancelled => park::unwind(),
            }
        }
    }

    fn wake_all(&self) {
        wait_list::wake_up_to(&self.state, State::waiting, usize::MAX);
    }

    /// Whether cancelling is possible at all, and what it would do here.
    pub(super) fn set_on_cancel(&self, on_cancel: OnCancel) {
        let mut state = self.state.lock();
        let unused = match &mut state.stage {
            Stage::Pending(pending) => std::mem::replace(&mut pending.on_cancel, on_cancel),
            _ => on_cancel,
        };
        drop(state);
        drop(unused);
    }
}

impl<T> State<T> {
    /// Points an alias at `root` instead; returns what it pointed at, to be dropped without the lock.
    fn replace_alias(&mut self, root: &Arc<Cell<T>>) -> Option<Arc<Cell<T>>> {
        match &mut self.stage {
            Stage::Alias(next) => Some(std::mem::replace(next, Arc::clone(root))),
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
            let mut state = root.state.lock();
            match &state.stage {
                Stage::Pending(_) => {}
                Stage::Resolved => return false,
                Stage::Alias(_) => continue,
            }
            let stage = std::mem::replace(&mut state.stage, Stage::Resolved);
            let written = root.outcome.set(outcome);
            drop(state);
            assert!(written.is_ok(), "a pending promise has no outcome");
            root.wake_all();
            if let Stage::Pending(pending) = stage
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
            let mut state = root.state.lock();
            match &mut state.stage {
                Stage::Pending(pending) => return pending.callbacks.extend(entry.take()),
                Stage::Resolved => {}
                Stage::Alias(_) => continue,
            }
            drop(state);
            break root;
        };
        Agenda::run(|agenda| root.call_all(entry.into_iter().collect(), agenda));
    }

    /// A callback that waited here has become spent. When half of them are, they are dropped: so a promise that many
    /// others raced against does not keep what those left behind.
    pub(super) fn note_spent(cell: &Arc<Self>) {
        let root = Self::root(cell);
        let mut state = root.state.lock();
        let Stage::Pending(pending) = &mut state.stage else { return };
        pending.spent += 1;
        if pending.spent * 2 <= pending.callbacks.len() {
            return;
        }
        pending.spent = 0;
        let callbacks = std::mem::take(&mut pending.callbacks);
        let (dead, live): (Vec<_>, Vec<_>) = callbacks.into_iter().partition(Entry::is_spent);
        pending.callbacks = live;
        drop(state);
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
            ours = self.state.lock();
            theirs = outer.state.lock();
        } else {
            theirs = outer.state.lock();
            ours = self.state.lock();
        }
        let (Stage::Pending(from), Stage::Pending(into)) = (&mut ours.stage, &mut theirs.stage) else {
            return false;
        };
        into.callbacks.append(&mut from.callbacks);
        into.spent += from.spent;
        let unused = std::mem::replace(&mut into.on_cancel, std::mem::take(&mut from.on_cancel));
        let empty = std::mem::replace(&mut ours.stage, Stage::Alias(Arc::clone(outer)));
        drop((ours, theirs));
        drop((unused, empty));
        // They look for the new root.
        self.wake_all();
        true
    }
}

impl<T: Send + Sync + 'static> Cancel for Cell<T> {
    fn on_cancel(self: Arc<Self>) -> OnCancel {
        let root = Self::root(&self);
        let mut state = root.state.lock();
        match &mut state.stage {
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
        let mut next = self.state.lock().take_alias();
        while let Some(cell) = next {
            next = Arc::into_inner(cell).and_then(|cell| cell.state.lock().take_alias());
        }
    }
}

impl<T> State<T> {
    fn take_alias(&mut self) -> Option<Arc<Cell<T>>> {
        match std::mem::replace(&mut self.stage, Stage::Resolved) {
            Stage::Alias(next) => Some(next),
            other => {
                self.stage = other;
                None
            }
        }
    }
}
