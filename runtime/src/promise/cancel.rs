//! Cancelling promises: upwards from the one that is cancelled, to the tasks on which it depends.
//!
//! A cancellation rejects only tasks (`Promise::task`) and cancels only fibers (`promise::spawn`). Promises that depend on them
//! are then rejected as by any other error: their callbacks run, and may recover. All tasks that are found are rejected
//! before the first callback runs, as in Lwt.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Weak};

use super::callback_queue::CallbackQueue;
use crate::fiber::JoinHandle;

/// A cell, whatever its type.
pub(super) trait Cancel: Send + Sync {
    /// The effect of cancelling the promise now.
    fn on_cancel(self: Arc<Self>) -> OnCancel;

    /// Rejects the promise with `Canceled`.
    fn reject(self: Arc<Self>, queue: &mut CallbackQueue);
}

/// The effect of cancelling a pending promise. Sources are weak, since a source keeps the promises that depend on it alive
/// through its callbacks.
#[derive(Default)]
pub(super) enum OnCancel {
    /// It cannot be cancelled.
    #[default]
    Nothing,
    /// It is rejected.
    Reject,
    /// Its fiber is cancelled. The fiber's end rejects the promise.
    Fiber(JoinHandle<()>),
    /// The promise on which it depends is cancelled.
    Source(Weak<dyn Cancel>),
    /// All promises on which it depends are cancelled.
    Sources(Arc<[Weak<dyn Cancel>]>),
}

impl OnCancel {
    /// The effect now: a fiber is cancelled once, everything else each time.
    pub(super) fn take(&mut self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Reject => Self::Reject,
            Self::Fiber(_) => std::mem::take(self),
            Self::Source(source) => Self::Source(Weak::clone(source)),
            Self::Sources(sources) => Self::Sources(Arc::clone(sources)),
        }
    }
}

impl fmt::Debug for OnCancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Reject => "Reject",
            Self::Fiber(_) => "Fiber",
            Self::Source(_) => "Source",
            Self::Sources(_) => "Sources",
        })
    }
}

/// Cancels `first` and everything on which it depends. Visits each promise once, by a list instead of recursion. Returns a fiber
/// that cannot be cancelled, since the program aborts on panic: the caller's attempt panics with the reason.
pub(super) fn cancel(first: Vec<Arc<dyn Cancel>>, queue: &mut CallbackQueue) -> Option<JoinHandle<()>> {
    let mut left = first;
    let mut seen = HashSet::new();
    while let Some(cell) = left.pop() {
        if !seen.insert(Arc::as_ptr(&cell).cast::<()>()) {
            continue;
        }
        match Arc::clone(&cell).on_cancel() {
            OnCancel::Nothing => {}
            OnCancel::Reject => cell.reject(queue),
            OnCancel::Fiber(handle) if cfg!(panic = "abort") => return Some(handle),
            OnCancel::Fiber(handle) => handle.cancel(),
            OnCancel::Source(source) => left.extend(source.upgrade()),
            // The last is popped first: reversed, the first is.
            OnCancel::Sources(sources) => left.extend(sources.iter().rev().filter_map(Weak::upgrade)),
        }
    }
    None
}
