//! A ward: a sleeping worker that a thread has left for another one, and looks after until somebody begins with it.
//!
//! The thread that was given it may be stuck. So whoever has left it watches its poller as well while it sleeps itself, and comes back to it.

use std::ptr;

use super::sleep::SleepNumber;
use crate::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::scheduler::worker::Worker;

/// See the module's documentation. Set under the lock of `Spares`.
#[derive(Debug)]
pub(super) struct Ward {
    worker: AtomicPtr<Worker>,
    /// The worker's sleep. In a later one it has a thread.
    sleep: AtomicU32,
}

impl Ward {
    pub(super) fn none() -> Self {
        Self { worker: AtomicPtr::new(ptr::null_mut()), sleep: AtomicU32::new(0) }
    }

    /// Makes `worker`, which sleeps, the thread's ward, or nobody.
    pub(super) fn set(&self, worker: Option<&Worker>) {
        let sleeping = worker.and_then(|worker| Some((worker, worker.remote.sleep.current()?)));
        let (worker, sleep) =
            sleeping.map_or((ptr::null(), 0), |(worker, SleepNumber(sleep))| (ptr::from_ref(worker), sleep));
        self.sleep.store(sleep, Ordering::Relaxed);
        // Release: pairs with the Acquire in `get`.
        self.worker.store(worker.cast_mut(), Ordering::Release);
    }

    /// Makes the one that this thread looks after the ward of another, which has none.
    pub(super) fn pass_on(&self, to: &Self) {
        to.set(self.get());
        self.set(None);
    }

    /// The ward, if nobody has begun with it.
    pub(super) fn get(&self) -> Option<&Worker> {
        // Acquire: pairs with the Release in `set`.
        let worker = self.worker.load(Ordering::Acquire);
        #[expect(unsafe_code, reason = "follows the address of a worker")]
        // SAFETY: workers live as long as the runtime, and with it its threads.
        let worker = unsafe { worker.as_ref() }?;
        let sleep = SleepNumber(self.sleep.load(Ordering::Relaxed));
        (worker.remote.sleep.current() == Some(sleep)).then_some(worker)
    }
}
