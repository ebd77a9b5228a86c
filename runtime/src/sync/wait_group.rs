//! `WaitGroup`: waits until all members of a group have finished.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::atomic::{Arc, AtomicUsize, Ordering};
use crate::cell::{Outcome, Reason};
use crate::park::primitive::{self as park, Cost, SpinLock};
use crate::park::wait_list::{self, End, WaitList};

/// Waits for a group of fibers or threads. Each holds a clone, and [`wait`](Self::wait) returns when every clone has
/// been dropped or is itself waiting.
///
/// As `crossbeam_utils::sync::WaitGroup`. A clone is dropped also when its owner panics or is cancelled, so no member waits
/// for ever because of that.
///
/// # Examples
///
/// ```
/// use abaca::sync::WaitGroup;
///
/// let group = WaitGroup::new();
/// for _ in 0..4 {
///     let part = group.clone();
///     std::thread::spawn(move || {
///         // Do the work, then:
///         drop(part);
///     });
/// }
/// group.wait();
/// ```
pub struct WaitGroup {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    /// Clones that have neither been dropped nor begun to wait.
    count: AtomicUsize,
    waiters: SpinLock<WaitList<()>>,
}

// The count is one atomic step per clone: a panic cannot leave it half-changed.
impl UnwindSafe for WaitGroup {}
impl RefUnwindSafe for WaitGroup {}

impl WaitGroup {
    /// Creates a group with one member.
    ///
    /// # Examples
    ///
    /// ```
    /// abaca::sync::WaitGroup::new().wait();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared { count: AtomicUsize::new(1), waiters: SpinLock::new(WaitList::new()) };
        Self { shared: Arc::new(shared) }
    }

    /// Leaves the group, and waits until all other members have left it, by waiting or by being dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use abaca::sync::WaitGroup;
    ///
    /// let group = WaitGroup::new();
    /// let part = group.clone();
    /// let thread = std::thread::spawn(move || drop(part));
    /// group.wait();
    /// # thread.join().unwrap();
    /// ```
    pub fn wait(self) {
        park::spend(Cost::Wait);
        let shared = Arc::clone(&self.shared);
        drop(self);
        let waiters = shared.waiters.lock();
        // Acquire: pairs with the Release of each member that has left. The last one takes this lock after its step, so
        // either this load sees the zero, or the last member finds this waiter in the list.
        if shared.count.load(Ordering::Acquire) == 0 {
            return;
        }
        // The wake-up passes on what the last member knows, which is the work of all members.
        let (outcome, ()) =
            wait_list::wait(waiters, |list| list, End::Back, (), Reason::WaitGroup.of(&*shared), None, || ());
        if outcome == Outcome::Cancelled {
            park::unwind();
        }
    }
}

impl Shared {
    /// The members that have not left.
    pub(crate) fn members(&self) -> usize {
        // Relaxed: a number.
        self.count.load(Ordering::Relaxed)
    }

    /// The complement of the word that each member consists of: the address of the `Arc`, behind whose two counts this is.
    pub(crate) fn key(&self) -> usize {
        !(std::ptr::from_ref(self).addr() - 2 * size_of::<usize>())
    }

    fn leave(&self) {
        // AcqRel: the Release publishes the work of this member; the Acquire lets the last member, which wakes the
        // waiters, pass on the work of all others.
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            wait_list::wake_up_to(&self.waiters, |list| list, usize::MAX);
        }
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for WaitGroup {
    fn clone(&self) -> Self {
        // Relaxed: the clone is made from a member that is still counted. No overflow: the count of the `Arc` is at least as
        // high, and aborts first.
        self.shared.count.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.shared.count.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(all(test, loom))]
mod model {
    //! Every interleaving of a wait with members that leave.

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::WaitGroup;

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn the_wait_ends_after_every_member_and_sees_its_work() {
        check(|| {
            let group = WaitGroup::new();
            let done = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
            let threads = [0, 1].map(|at| {
                let (part, done) = (group.clone(), Arc::clone(&done));
                thread::spawn(move || {
                    #[expect(unsafe_code, reason = "loom's cell checks what it holds")]
                    // SAFETY: each thread has a cell of its own until it leaves the group.
                    done[at].with_mut(|done| unsafe { *done = 1 });
                    drop(part);
                })
            });
            group.wait();
            for cell in done.iter() {
                #[expect(unsafe_code, reason = "loom's cell checks what it holds")]
                // SAFETY: all members have left the group.
                cell.with(|done| assert_eq!(unsafe { *done }, 1));
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn all_may_wait_at_once() {
        check(|| {
            let group = WaitGroup::new();
            let part = group.clone();
            let thread = thread::spawn(move || part.wait());
            group.wait();
            thread.join().unwrap();
        });
    }
}
