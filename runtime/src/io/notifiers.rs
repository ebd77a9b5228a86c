//! Those who are to look again when something changes that is no event for the poller.

use std::sync::{Mutex, PoisonError};

use crate::poller::Notifier;

#[derive(Default)]
pub(super) struct Notifiers(Mutex<Vec<Notifier>>);

impl Notifiers {
    /// Adds one, unless it is there. Its lock orders what follows after a [`take`](Self::take) that does not find it.
    pub(super) fn add(&self, notifier: Notifier) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&notifier) {
            all.retain(Notifier::is_in_use);
            all.push(notifier);
        }
    }

    /// Takes all out.
    pub(super) fn take(&self) -> Vec<Notifier> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
