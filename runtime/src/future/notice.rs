//! The notice: what wakes a blocked [`block_on`](super::block_on). A waker that outlives the call wakes nobody.
//!
//! Invariant: after `awake` has become true, nobody waits. Whoever sets it does so under the lock under which the waiting
//! side last looked at it, and then wakes the one that waits.

use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// See the module's documentation.
pub(super) struct Notice {
    state: SpinLock<State>,
}

struct State {
    /// Whether the future asked to be polled since it was polled last.
    awake: bool,
    /// Whoever is in `block_on`, while it waits.
    waiting: WaitList<()>,
}

impl State {
    fn waiting(&mut self) -> &mut WaitList<()> {
        &mut self.waiting
    }
}

impl Notice {
    pub(super) fn new() -> Self {
        Self { state: SpinLock::new(State { awake: false, waiting: WaitList::new() }) }
    }

    /// Takes the wake-up that came since the last one was taken.
    pub(super) fn take(&self) -> bool {
        std::mem::take(&mut self.state.lock().awake)
    }

    /// Waits for a wake-up and takes it, or waits until `deadline`. A fiber that is cancelled meanwhile unwinds from here.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) {
        let state = self.state.lock();
        if state.awake {
            drop(state);
        } else {
            let (outcome, ()) =
                wait_list::wait(state, State::waiting, End::Back, (), Reason::Future, deadline, || ());
            if outcome == Outcome::Cancelled {
                park::unwind();
            }
        }
        self.take();
    }
}

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.awake = true;
        let woken = state.waiting.pop_front();
        drop(state);
        if let Some(woken) = woken {
            park::wake(woken);
        }
    }
}
