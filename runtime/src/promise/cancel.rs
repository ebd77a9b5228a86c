//! Cancelling promises: upwards from the one that nobody wants any more, to the tasks that it depends on.
//!
//! Only a task is rejected by a cancellation (`Promise::task`), or its fiber cancelled (`promise::spawn`). What
//! depends on it is then rejected as by any other error: its callbacks run, and may recover. All tasks that are
//! found are rejected before the first callback runs, as in Lwt.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Weak};

use super::agenda::Agenda;
use crate::fiber::JoinHandle;

/// A cell, whatever its type.
pub(super) trait Cancel: Send + Sync {
    /// What cancelling the promise means now.
    fn on_cancel(self: Arc<Self>) -> OnCancel;

    /// Rejects the promise with `Canceled`.
    fn reject(self: Arc<Self>, agenda: &mut Agenda);
}

/// What cancelling a pending promise does. Sources are weak: a source keeps what depends on it alive, through its
/// callbacks.
#[derive(Default)]
pub(super) enum OnCancel {
    /// It cannot be cancelled.
    #[default]
    Nothing,
    /// It is rejected.
    Reject,
    /// Its fiber is cancelled, whose end will reject it.
    Fiber(JoinHandle<()>),
    /// What it depends on is cancelled.
    Source(Weak<dyn Cancel>),
    /// All that it depends on is cancelled.
    Sources(Arc<[Weak<dyn Cancel>]>),
}

impl OnCancel {
    /// What to do now: a fiber is cancelled once, everything else as often as it is asked for.
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

/// Cancels `first` and all that it depends on; visits each once, with a list of its own instead of by recursion.
pub(super) fn cancel(first: Vec<Arc<dyn Cancel>>, agenda: &mut Agenda) {
    let mut left = first;
    let mut seen = HashSet::new();
    while let Some(cell) = left.pop() {
        if !seen.insert(Arc::as_ptr(&cell).cast::<()>()) {
            continue;
        }
        match Arc::clone(&cell).on_cancel() {
            OnCancel::Nothing => {}
            OnCancel::Reject => cell.reject(agenda),
            OnCancel::Fiber(handle) => handle.cancel(),
            OnCancel::Source(source) => left.extend(source.upgrade()),
            // The last is popped first: reversed, the first is.
            OnCancel::Sources(sources) => left.extend(sources.iter().rev().filter_map(Weak::upgrade)),
        }
    }
}
