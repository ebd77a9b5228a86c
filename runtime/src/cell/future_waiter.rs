//! A future's waiter, which represents the future in the queues in which fibers and threads wait.
//!
//! It is a [`Waiter`] in a heap allocation, with the waker of the task that polls the future. The waiter owns one reference to
//! the allocation, which the winning claim takes over into [`Wakeup::Future`]. So the wake-up may be delivered at any time after
//! the claim, even after the future has been dropped. The owner claims the waiter when it is dropped, unless it was claimed.
//!
//! A future may be polled again with another waker while a claim is under way. [`FutureWaiter::poll`] therefore stores the
//! waker *before* it looks at the outcome: a claim that it does not see yet is delivered to the new waker.
//!
//! What waits again and again need not allocate each time: [`FutureWaiter::renew`] uses the allocation once more, if its owner's is the
//! only reference. Then no claim is under way.
//!
//! `model_future_waiter.rs` checks all of it with loom.

#![expect(unsafe_code, reason = "a reference is counted for the claim")]

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Context, RawWakerVTable, Waker};

use super::{Outcome, Waiter, Wakeup, contained};
use crate::atomic::Arc;
use crate::queue::SpinLock;

/// A future's waiter, owned by the future while it waits. The waiter's address does not change until it is dropped.
pub(crate) struct FutureWaiter(Arc<Task>);

/// See the module's documentation.
pub(crate) struct Task {
    waiter: Waiter,
    waker: SpinLock<Option<Waker>>,
}

impl FutureWaiter {
    /// A waiter that wakes the task of `context`.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let waker = SpinLock::new(Some(context.waker().clone()));
        let mut task = Arc::new(Task { waiter: Waiter::for_future(NonNull::dangling()), waker });
        // The waiter gets the address before any other code sees the waiter.
        let address = NonNull::new(Arc::as_ptr(&task).cast_mut()).expect("an Arc's content has an address");
        Arc::get_mut(&mut task).expect("this is the only reference").waiter = Waiter::for_future(address);
        // This is the waiter's reference, which the claim takes over.
        let _counted = ManuallyDrop::new(Arc::clone(&task));
        Self(task)
    }

    /// Makes it wait anew, for the task of `context`. Returns false, and changes nothing, unless the wait has ended, and who has
    /// ended it is done with the allocation. The task's wake-up may be on its way yet.
    #[cfg_attr(
        not(any(feature = "hyper", test)),
        allow(dead_code, reason = "the feature has the only waits that come again and again")
    )]
    pub(crate) fn renew(&mut self, context: &Context<'_>) -> bool {
        let address = NonNull::new(Arc::as_ptr(&self.0).cast_mut()).expect("an Arc's content has an address");
        // The waiter's reference is there until whoever has claimed it has taken the waker.
        let Some(task) = Arc::get_mut(&mut self.0) else { return false };
        task.waiter = Waiter::for_future(address);
        let old = task.waker.lock().replace(context.waker().clone());
        drop(old);
        // As in `new`.
        let _counted = ManuallyDrop::new(Arc::clone(&self.0));
        true
    }

    /// Ends the wait without a wake-up. Returns false if the wait has ended already.
    pub(crate) fn give_up(&self) -> bool {
        let Some(Wakeup::Future(task)) = self.0.waiter.claim(Outcome::Cancelled) else { return false };
        drop(claimed(task));
        true
    }

    /// The waiter that wakers claim. It does not move.
    pub(crate) fn waiter(&self) -> &Waiter {
        &self.0.waiter
    }

    /// The outcome of the wait. If it is `None`, the task of `context` will be woken when the wait ends.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Option<Outcome> {
        if let Some(outcome) = self.0.waiter.outcome() {
            return Some(outcome);
        }
        let waker = self.0.waker.lock();
        let is_known = waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker()));
        drop(waker);
        if !is_known {
            // Foreign code clones and drops wakers, so the lock is not held meanwhile.
            let new = context.waker().clone();
            let old = self.0.waker.lock().replace(new);
            drop(old);
        }
        self.0.waiter.outcome()
    }
}

impl Drop for FutureWaiter {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The vtable of the wakers that [`block_on`](crate::future::block_on) makes, once it has made one.
static OWN_WAKER: AtomicPtr<RawWakerVTable> = AtomicPtr::new(ptr::null_mut());

/// Registers a waker of the runtime's own. Wakers with its vtable neither block nor call user code.
pub(crate) fn note_own_waker(waker: &Waker) {
    let vtable = ptr::from_ref(waker.vtable()).cast_mut();
    // Relaxed, here and below: an address that is compared and never followed.
    if OWN_WAKER.load(Ordering::Relaxed) != vtable {
        OWN_WAKER.store(vtable, Ordering::Relaxed);
    }
}

/// Whether the wake-up of a claimed task goes to a waker of the runtime's own, which neither blocks nor calls user code, or to
/// none.
pub(crate) fn has_own_waker(task: NonNull<Task>) -> bool {
    // SAFETY: the claim's reference keeps the task alive.
    let task = unsafe { task.as_ref() };
    let own = OWN_WAKER.load(Ordering::Relaxed).cast_const();
    task.waker.lock().as_ref().is_none_or(|waker| ptr::eq(waker.vtable(), own))
}

/// Delivers the wake-up of a claimed task.
#[cold]
pub(crate) fn wake_task(task: NonNull<Task>) {
    let waker = claimed(task).waker.lock().take();
    if let Some(waker) = waker {
        // A panic of a foreign waker must not unwind through the caller, which may be a worker or a lock's holder. The panic
        // hook has reported it.
        contained(|| waker.wake());
    }
}

/// The reference that comes with a wake-up.
fn claimed(task: NonNull<Task>) -> Arc<Task> {
    // SAFETY: the address of an `Arc`'s content, with the reference that `FutureWaiter::new` counted for the one claim that
    // wins; a wake-up is delivered once.
    unsafe { Arc::from_raw(task.as_ptr().cast_const()) }
}
