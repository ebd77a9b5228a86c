//! A task's waiter: what stands for a future in the queues in which fibers and threads wait.
//!
//! It is a [`Waiter`] on the heap, with the waker of the task that polls the future. The waiter owns one reference to
//! that heap place, which the winning claim takes over into [`Woken::Task`]: so the delivery may come at any time after
//! the claim, when the future is long gone. Its owner claims it in the end if nobody else has (in `drop`).
//!
//! A future is polled again with another waker while a claim is on its way. [`TaskWaiter::poll`] therefore stores the
//! waker *before* it looks at the outcome: a claim that it does not see yet is delivered to the new waker.
//!
//! `model_task_waiter.rs` checks both with loom.

#![expect(unsafe_code, reason = "a reference is counted for the claim")]

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Context, RawWakerVTable, Waker};

use super::{Outcome, Waiter, Woken, contained};
use crate::atomic::Arc;
use crate::queue::SpinLock;

/// What a future owns while it waits. The waiter's address does not change until it is dropped.
pub(crate) struct TaskWaiter(Arc<Task>);

/// See the module's documentation.
pub(crate) struct Task {
    waiter: Waiter,
    waker: SpinLock<Option<Waker>>,
}

impl TaskWaiter {
    /// A waiter that wakes the task of `context`.
    pub(crate) fn new(context: &Context<'_>) -> Self {
        let waker = SpinLock::new(Some(context.waker().clone()));
        let mut task = Arc::new(Task { waiter: Waiter::for_task(NonNull::dangling()), waker });
        // The waiter learns the address before anybody is shown it.
        let address = NonNull::new(Arc::as_ptr(&task).cast_mut()).expect("an Arc's content has an address");
        Arc::get_mut(&mut task).expect("this is the only reference").waiter = Waiter::for_task(address);
        // The waiter's reference, which the claim takes over.
        let _counted = ManuallyDrop::new(Arc::clone(&task));
        Self(task)
    }

    /// Ends the wait without a wake-up; `false` if it has been ended.
    pub(crate) fn give_up(&self) -> bool {
        let Some(Woken::Task(task)) = self.0.waiter.claim(Outcome::Cancelled) else { return false };
        drop(claimed(task));
        true
    }

    /// What others claim. It stays where it is.
    pub(crate) fn waiter(&self) -> &Waiter {
        &self.0.waiter
    }

    /// How the wait ended; while it lasts, the task of `context` will be woken.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Option<Outcome> {
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

impl Drop for TaskWaiter {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// The functions of the wakers that [`block_on`](crate::future::block_on) makes, once it has made one.
static CALM: AtomicPtr<RawWakerVTable> = AtomicPtr::new(ptr::null_mut());

/// Tells of a waker whose like neither block nor call user code.
pub(crate) fn note_calm(waker: &Waker) {
    let vtable = ptr::from_ref(waker.vtable()).cast_mut();
    // Relaxed, here and below: an address that is compared and never followed.
    if CALM.load(Ordering::Relaxed) != vtable {
        CALM.store(vtable, Ordering::Relaxed);
    }
}

/// Whether delivering the wake-up of a claimed task surely neither blocks nor calls user code.
pub(crate) fn is_calm(task: NonNull<Task>) -> bool {
    // SAFETY: the claim's reference keeps it.
    let task = unsafe { task.as_ref() };
    let calm = CALM.load(Ordering::Relaxed).cast_const();
    task.waker.lock().as_ref().is_none_or(|waker| ptr::eq(waker.vtable(), calm))
}

/// Delivers the wake-up of a claimed task.
#[cold]
pub(crate) fn wake_task(task: NonNull<Task>) {
    let waker = claimed(task).waker.lock().take();
    if let Some(waker) = waker {
        // A foreign waker that panics must not unwind through whoever delivers: a worker, or a lock's holder. The panic
        // hook has reported it.
        contained(|| waker.wake());
    }
}

/// The reference that comes with a wake-up.
fn claimed(task: NonNull<Task>) -> Arc<Task> {
    // SAFETY: the address of an `Arc`'s content, with the reference that `TaskWaiter::new` counted for the one claim that
    // wins; a wake-up is delivered once.
    unsafe { Arc::from_raw(task.as_ptr().cast_const()) }
}
