//! Ballast: panics that are under way on stacks of their own, by which a thread's count of panics is set.
//!
//! std counts panics per thread: beginning to unwind adds one, catching takes one off, and [`panicking`] is whether
//! the count is above zero. A fiber that is suspended in the middle of unwinding would leave its panics behind on the
//! thread, for its neighbours to see. The count has no setter, but it has a seam: an unwinding that begins on one thread
//! and is caught on another adds one there and takes one off here.
//!
//! A ballast is a coroutine that holds such unwindings, nested in each other: each is suspended in a destructor, inside
//! of which the next one begins. To [`lift`] the panics off the calling thread, unwindings that began elsewhere are
//! caught here; to [`lower`] them again, as many are begun. The first ones begin on a thread that ends at once, where
//! nobody asks for the count any more. From then on what one fiber has begun is there for the next one to catch, so
//! there are as many as fibers were ever suspended unwinding at once.
//!
//! An unwinding that is suspended takes some hundred bytes: its raising frames are gone by then. While there is one
//! in the process, [`panicking`] has to look at the thread's own count, which takes it a nanosecond longer.

#![expect(unsafe_code, reason = "resumes a coroutine on several threads, one after the other")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::{self, panicking};

use abaca_asm::coroutine::{Coroutine, Yielder};
use abaca_asm::stack::StackPool;

use crate::os;

/// How many unwindings one stack holds.
const CAPACITY: usize = 64;

/// Some hundred bytes for each of them in a release build, a thousand in a debug build, and the rest for the unwinder.
const STACK_BYTES: usize = 256 * 1024;

static STACKS: LazyLock<Arc<StackPool>> = LazyLock::new(|| Arc::new(StackPool::new(STACK_BYTES)));

/// Those that nobody uses at the moment.
static IDLE: Mutex<Vec<Ballast>> = Mutex::new(Vec::new());

/// What a ballast is told.
enum Order {
    /// Begin one more unwinding.
    Begin,
    /// Catch the last one.
    Catch,
}

/// See the module's documentation.
struct Ballast {
    coroutine: Coroutine<Order, (), ()>,
    /// How many unwindings it is in.
    depth: usize,
}

// SAFETY: a coroutine is bound to its thread for what its body may keep on its stack. This one's body is `hold`, which
// keeps nothing that belongs to a thread: the addresses of std's counts are computed in `begin` and in the catching, and
// used up before the next switch.
unsafe impl Send for Ballast {}

impl Ballast {
    fn new() -> Option<Self> {
        let mut coroutine = Coroutine::with_pool(&STACKS, hold).ok()?;
        // SAFETY: `hold` keeps nothing that belongs to a thread, as argued for `Send`.
        unsafe { coroutine.unbind() };
        Some(Self { coroutine, depth: 0 })
    }

    /// As many unwindings as it holds, that began on another thread.
    #[cold]
    fn loaded() -> Option<Self> {
        let load = || {
            let mut ballast = Self::new()?;
            while ballast.depth < CAPACITY {
                ballast.begin();
            }
            Some(ballast)
        };
        let loaded = Arc::new(Mutex::new(None));
        let theirs = Arc::clone(&loaded);
        let fill = move || *theirs.lock().unwrap_or_else(PoisonError::into_inner) = load();
        os::thread::start("abaca-ballast".into(), fill).ok()?.join().ok()?;
        loaded.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Adds one to the calling thread's count.
    fn begin(&mut self) {
        self.depth += 1;
        self.coroutine.resume(Order::Begin);
    }

    /// Takes one off the calling thread's count.
    fn catch(&mut self) {
        self.depth -= 1;
        self.coroutine.resume(Order::Catch);
    }
}

/// The body of a ballast, at every depth: it returns when the unwinding in whose middle it is shall go on.
fn hold(yielder: &Yielder<Order, ()>, mut order: Order) {
    while let Order::Begin = order {
        unwind_around(yielder);
        order = yielder.suspend(());
    }
}

/// Unwinds, and holds on in the middle of it.
fn unwind_around(yielder: &Yielder<Order, ()>) {
    struct Middle<'a>(&'a Yielder<Order, ()>);
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

/// Not inlined, so that no address of a thread's count is kept from the beginning to the catching.
#[inline(never)]
fn begin() -> ! {
    resume_unwind(Box::new(()))
}

fn idle() -> MutexGuard<'static, Vec<Ballast>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of those that nobody uses, if one is fit.
fn take(is_fit: impl Fn(&Ballast) -> bool) -> Option<Ballast> {
    let mut idle = idle();
    let at = idle.iter().rposition(is_fit)?;
    Some(idle.swap_remove(at))
}

/// Takes all panics off the calling thread's count; how many. `None` if a thread or a stack could not be had: nothing has
/// changed then.
pub(super) fn lift() -> Option<usize> {
    let mut lifted = 0;
    // The limit is for a count that something else has got wrong.
    while panicking() && lifted < CAPACITY {
        let Some(mut ballast) = take(|ballast| ballast.depth > 0).or_else(Ballast::loaded) else {
            lower(lifted);
            return None;
        };
        ballast.catch();
        idle().push(ballast);
        lifted += 1;
    }
    Some(lifted)
}

/// Adds as many panics to the calling thread's count as [`lift`] has taken off it, or off another one's.
pub(super) fn lower(lifted: usize) {
    for _ in 0..lifted {
        let mut ballast = loop {
            // There is room for it: `lift` has made it. It may be in use at the moment.
            match take(|ballast| ballast.depth < CAPACITY).or_else(Ballast::new) {
                Some(ballast) => break ballast,
                None => thread::yield_now(),
            }
        };
        ballast.begin();
        idle().push(ballast);
    }
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
    fn panics_are_lifted_off_the_thread_and_lowered_again_at_every_depth() {
        fn nest(depth: usize) {
            let caught = catch_unwind(|| {
                let _drop = OnDrop(|| {
                    assert!(panicking());
                    if depth < 3 {
                        nest(depth + 1);
                    }
                    let lifted = lift().unwrap();
                    assert_eq!(lifted, depth);
                    assert!(!panicking());
                    // What others do meanwhile has an end of its own.
                    assert!(catch_unwind(|| begin()).is_err());
                    assert!(!panicking());
                    lower(lifted);
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
    fn more_are_lifted_at_once_than_one_stack_holds() {
        let mut all = Vec::new();
        for _ in 0..3 * CAPACITY {
            let began = thread::spawn(lower_one);
            all.push(began.join().unwrap());
        }
        assert!(all.iter().all(|calm| *calm));

        fn lower_one() -> bool {
            // As a fiber that was lifted elsewhere and goes on here.
            lower(1);
            assert!(panicking());
            lift() == Some(1) && !panicking()
        }
    }
}
