//! Sets a thread's panic count, by panics that are in progress on stacks of their own.
//!
//! std counts panics per thread: beginning to unwind adds one, catching subtracts one, and [`panicking`] tells whether
//! the count is above zero. A fiber that is suspended in the middle of unwinding would leave its panics behind on the
//! thread, for its neighbours to see. The count has no setter, but there is a way around that: an unwinding that begins on
//! one thread and is caught on another adds one to the first thread's count and subtracts one from the second's.
//!
//! An [`UnwindingStack`] is a coroutine that holds such unwindings, nested in each other: each is suspended in a destructor,
//! inside of which the next one begins. [`take`] catches unwindings that began elsewhere, until the calling thread's count is
//! zero. [`restore`] begins as many again. The first ones begin on a thread that ends at once, where the count no longer
//! matters. From then on the unwindings that one fiber has begun are there for the next one to catch, so there are as many as
//! fibers were ever suspended unwinding at once.
//!
//! Catching also makes std forget that the thread runs a panic hook: [`end_hook`] is for an unwinding in one.
//!
//! A suspended unwinding takes some hundred bytes: its raising frames are gone by then. While there is one in the process,
//! [`panicking`] has to look at the thread's own count, which takes it a nanosecond longer.

#![expect(unsafe_code, reason = "resumes a coroutine on several threads, one after the other")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, panicking};

use abaca_asm::coroutine::{Coroutine, Yielder};
use abaca_asm::stack::StackPool;

use crate::os;
use crate::os::fork::PerProcess;

/// How many unwindings one stack holds.
const CAPACITY: usize = 64;

/// Some hundred bytes for each unwinding in a release build, a thousand in a debug build, and the rest for the unwinder.
const STACK_BYTES: usize = 256 * 1024;

static STACKS: PerProcess<Arc<StackPool>> = PerProcess::new(|| Arc::new(StackPool::new(STACK_BYTES)));

/// The stacks that no thread uses at the moment.
static IDLE: PerProcess<Vec<UnwindingStack>> = PerProcess::new(Vec::new);

/// The stack of [`end_hook`], with one unwinding.
static RENEWING: PerProcess<Option<UnwindingStack>> = PerProcess::new(|| None);

/// A command to an [`UnwindingStack`].
enum Command {
    /// Begin one more unwinding.
    Begin,
    /// Catch the last one.
    Catch,
}

/// See the module's documentation.
struct UnwindingStack {
    coroutine: Coroutine<Command, (), ()>,
    /// How many unwindings the coroutine is in.
    depth: usize,
}

// SAFETY: a coroutine is bound to its thread because of what its body may keep on its stack. This one's body is `hold`, which
// keeps nothing that belongs to a thread: the addresses of std's counts are computed in `begin` and in the catching, and
// are not used after the next switch.
unsafe impl Send for UnwindingStack {}

impl UnwindingStack {
    fn new() -> Option<Self> {
        let pool = Arc::clone(&STACKS.lock());
        let mut coroutine = Coroutine::with_pool(&pool, hold).ok()?;
        // SAFETY: `hold` keeps nothing that belongs to a thread, as argued for `Send`.
        unsafe { coroutine.unbind() };
        Some(Self { coroutine, depth: 0 })
    }

    /// A stack with `depth` unwindings that began on another thread.
    #[cold]
    fn with(depth: usize) -> Option<Self> {
        let load = move || {
            let mut stack = Self::new()?;
            while stack.depth < depth {
                stack.begin();
            }
            Some(stack)
        };
        let loaded = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&loaded);
        let fill = move || *theirs.lock().unwrap_or_else(PoisonError::into_inner) = load();
        os::thread::start("abaca-panics".into(), fill).ok()?.join().ok()?;
        loaded.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Adds one to the calling thread's count.
    fn begin(&mut self) {
        self.depth += 1;
        self.coroutine.resume(Command::Begin);
    }

    /// Subtracts one from the calling thread's count.
    fn catch(&mut self) {
        self.depth -= 1;
        self.coroutine.resume(Command::Catch);
    }
}

/// The body of the coroutine, at every depth. It returns when the unwinding that it interrupts should go on.
fn hold(yielder: &Yielder<Command, ()>, mut command: Command) {
    while let Command::Begin = command {
        unwind_around(yielder);
        command = yielder.suspend(());
    }
}

/// Unwinds, and calls [`hold`] in the middle of it.
fn unwind_around(yielder: &Yielder<Command, ()>) {
    struct Middle<'a>(&'a Yielder<Command, ()>);
    impl Drop for Middle<'_> {
        fn drop(&mut self) {
            hold(self.0, self.0.suspend(()));
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let _middle = Middle(yielder);
        begin();
    }));
}

/// Begins to unwind. Not inlined, so that no address of a thread's count is kept from the beginning to the catching.
#[inline(never)]
fn begin() -> ! {
    resume_unwind(Box::new(()))
}

fn idle() -> MutexGuard<'static, Vec<UnwindingStack>> {
    IDLE.lock()
}

/// Takes an idle stack that fits, if there is one.
fn take_idle(is_fit: impl Fn(&UnwindingStack) -> bool) -> Option<UnwindingStack> {
    let mut idle = idle();
    let at = idle.iter().rposition(is_fit)?;
    Some(idle.swap_remove(at))
}

/// Sets the calling thread's panic count to zero, and returns what it was. `None` if a thread or a stack could not be
/// created; then the count is unchanged.
pub(super) fn take() -> Option<usize> {
    let mut taken = 0;
    // The limit is for a count that something else has got wrong.
    while panicking() && taken < CAPACITY {
        let Some(mut stack) = take_idle(|stack| stack.depth > 0).or_else(|| UnwindingStack::with(CAPACITY))
        else {
            restore(taken);
            return None;
        };
        stack.catch();
        idle().push(stack);
        taken += 1;
    }
    Some(taken)
}

/// Adds `taken` to the calling thread's panic count: what [`take`] has returned, on this thread or another.
pub(super) fn restore(taken: usize) {
    for _ in 0..taken {
        let mut stack = loop {
            // There is room: `take` has made it. Another thread may be using it at the moment.
            match take_idle(|stack| stack.depth < CAPACITY).or_else(UnwindingStack::new) {
                Some(stack) => break stack,
                None => thread::yield_now(),
            }
        };
        stack.begin();
        idle().push(stack);
    }
}

/// Whether [`end_hook`] may be called from now on: it needs a thread once, and a stack.
#[cold]
pub(crate) fn can_end_hook() -> bool {
    let mut renewing = renewing();
    if renewing.is_none() {
        *renewing = UnwindingStack::with(1);
    }
    renewing.is_some()
}

/// Takes from std the knowledge that the calling thread runs a panic hook, if it does. An unwinding inside of a hook, which std does not
/// expect, would otherwise not be counted when it begins, and be counted when it is caught.
///
/// A panic in the hook later is then a second panic to std, and does not abort at once.
#[cold]
pub(crate) fn end_hook() {
    if let Some(stack) = renewing().as_mut() {
        // Catching forgets the hook, and the count is as before after the next unwinding has begun.
        stack.catch();
        stack.begin();
    }
}

fn renewing() -> MutexGuard<'static, Option<UnwindingStack>> {
    RENEWING.lock()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct OnDrop<F: FnMut()>(F);

    impl<F: FnMut()> Drop for OnDrop<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }

    #[test]
    fn the_count_is_taken_and_restored_at_every_depth() {
        fn nest(depth: usize) {
            let caught = catch_unwind(|| {
                let _drop = OnDrop(|| {
                    assert!(panicking());
                    if depth < 3 {
                        nest(depth + 1);
                    }
                    let taken = take().unwrap();
                    assert_eq!(taken, depth);
                    assert!(!panicking());
                    // A panic of a neighbour meanwhile begins and ends.
                    assert!(catch_unwind(|| begin()).is_err());
                    assert!(!panicking());
                    restore(taken);
                    assert!(panicking());
                });
                begin();
            });
            assert!(caught.is_err());
        }
        for _ in 0..3 {
            nest(1);
            assert!(!panicking());
        }
    }

    #[test]
    fn more_unwindings_are_suspended_than_one_stack_holds() {
        let mut all = Vec::new();
        for _ in 0..3 * CAPACITY {
            let began = thread::spawn(restore_one);
            all.push(began.join().unwrap());
        }
        assert!(all.iter().all(|is_calm| *is_calm));

        fn restore_one() -> bool {
            // As a fiber that was suspended elsewhere and goes on here.
            restore(1);
            assert!(panicking());
            take() == Some(1) && !panicking()
        }
    }
}
