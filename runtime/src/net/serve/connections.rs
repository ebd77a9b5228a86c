//! The open connections of a server: counted, waited for, and cancelled in the end.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::cancel;
use crate::cell::Fiber;
use crate::net::IdleHandle;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// See the module's documentation.
pub(super) struct Connections {
    table: Mutex<Table>,
    /// A connection has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Table {
    /// By number.
    open: HashMap<u64, Entry>,
    next: u64,
    /// Those that are idle, now or later, are to end.
    idling_has_ended: bool,
    /// Fibers that are spawned from now on are cancelled at once.
    is_cancelled: bool,
}

struct Entry {
    /// `None` until it is spawned.
    fiber: Option<Fiber>,
    idle: Option<IdleHandle>,
}

/// A connection that is open as long as this lives.
pub(super) struct Connection {
    number: u64,
    connections: Arc<Connections>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A cancellation is not obeyed while the lock is waited for: who is still in the table is waited for in vain.
        cancel::shield(|| self.connections.table().open.remove(&self.number));
        self.connections.ended.notify_all();
    }
}

impl Connections {
    pub(super) fn new() -> Self {
        Self { table: Mutex::new(Table::default()), ended: Condvar::new() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self) -> usize {
        self.table().open.len()
    }

    /// Waits until fewer than `limit` are open.
    pub(super) fn wait_below(&self, limit: usize) {
        let mut table = self.table();
        while table.open.len() >= limit {
            table = self.ended.wait(table).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until one ends, at most for `pause`.
    pub(super) fn wait_for_an_end(&self, pause: Duration) {
        drop(self.ended.wait_timeout(self.table(), pause));
    }

    /// Waits until all have ended, or until `deadline`; how many are left.
    pub(super) fn wait_for_all(&self, deadline: Option<Instant>) -> usize {
        let mut table = self.table();
        while !table.open.is_empty() {
            match deadline.map(|at| at.saturating_duration_since(Instant::now())) {
                None => table = self.ended.wait(table).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break,
                Some(left) => {
                    let waited = self.ended.wait_timeout(table, left);
                    table = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        table.open.len()
    }

    /// Opens a connection; [`started`](Self::started) is to follow.
    pub(super) fn open(self: &Arc<Self>, idle: Option<IdleHandle>) -> Connection {
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        if table.idling_has_ended {
            idle.iter().for_each(IdleHandle::end);
        }
        table.open.insert(number, Entry { fiber: None, idle });
        Connection { number, connections: Arc::clone(self) }
    }

    /// Notes whose fiber serves a connection, unless it has ended already.
    pub(super) fn started(&self, number: u64, fiber: Fiber) {
        let mut table = self.table();
        if table.is_cancelled {
            fiber.cancel();
        }
        if let Some(entry) = table.open.get_mut(&number) {
            entry.fiber = Some(fiber);
        }
    }

    /// Tells those that are idle, now or later, that there will be no further request.
    pub(super) fn end_idling(&self) {
        let mut table = self.table();
        table.idling_has_ended = true;
        table.open.values().filter_map(|entry| entry.idle.as_ref()).for_each(IdleHandle::end);
    }

    /// Cancels all that are open, and what is opened later.
    pub(super) fn cancel(&self) {
        let mut table = self.table();
        table.is_cancelled = true;
        table.open.values().filter_map(|entry| entry.fiber.as_ref()).for_each(Fiber::cancel);
    }
}

impl Connection {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
