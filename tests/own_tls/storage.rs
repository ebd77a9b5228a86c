//! What of a thread is a fiber's: its `Thread`, the locks that know their owner, `errno`, its panics, its generator of random
//! numbers, and the span that it has entered.

#![expect(unsafe_code, reason = "reads and writes errno, and locks mutexes of C")]

use std::cell::UnsafeCell;
use std::collections::HashSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use abaca::coroutine::Coroutine;
use abaca::{Builder, JoinHandle};
use rand::Rng;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::runtime;

/// Two workers, between which each of so many fibers moves.
fn among_fibers<T: Send + 'static>(fibers: usize, body: fn(usize) -> T) -> Vec<T> {
    runtime(2).run(|| {
        let spawn = |number| Builder::new().spawn_roaming(move || body(number)).expect("it roams");
        let handles: Vec<JoinHandle<T>> = (0..fibers).map(spawn).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).collect()
    })
}

fn yield_often() {
    (0..10).for_each(|_| abaca::yield_now());
}

#[test]
fn each_fiber_is_a_thread_of_its_own() {
    let mut seen = HashSet::from([thread::current().id()]);
    // Later fibers have the stacks of earlier ones.
    for _ in 0..3 {
        let ids = among_fibers(100, |_| {
            let thread = thread::current();
            assert_eq!(thread.name(), None);
            yield_often();
            assert_eq!(thread::current().id(), thread.id());
            // The token is the fiber's.
            thread.unpark();
            yield_often();
            thread::park();
            // One that is left is not the next fiber's: that would go on too early some time. It ends with this one.
            thread.unpark();
            thread.id()
        });
        assert!(ids.into_iter().all(|id| seen.insert(id)), "an id is given once");
    }
}

#[test]
fn a_token_that_a_fiber_leaves_is_not_the_next_ones() {
    runtime(1).run(|| {
        for _ in 0..10 {
            abaca::spawn(|| thread::current().unpark()).join().unwrap();
            let (sender, receiver) = abaca::channel::bounded::<thread::Thread>(1);
            let woken = Arc::new(AtomicBool::new(false));
            let theirs = Arc::clone(&woken);
            let parked = abaca::spawn(move || {
                sender.send(thread::current()).unwrap();
                thread::park();
                assert!(theirs.load(SeqCst));
            });
            let thread = receiver.recv().unwrap();
            yield_often();
            woken.store(true, SeqCst);
            thread.unpark();
            parked.join().unwrap();
        }
    });
}

#[test]
fn the_lock_of_standard_output_is_the_fibers_that_holds_it_over_a_wait() {
    runtime(1).run(|| {
        let is_held = Arc::new(AtomicBool::new(false));
        let fibers: Vec<_> = (0..4)
            .map(|_| {
                let is_held = Arc::clone(&is_held);
                abaca::spawn(move || {
                    // The lock is re-entrant: with their worker's storage all would get it at once.
                    let mut lock = std::io::stdout().lock();
                    assert!(!is_held.swap(true, SeqCst));
                    abaca::yield_now();
                    abaca::sleep(std::time::Duration::from_micros(100));
                    // Its owner enters again.
                    std::io::stdout().lock().flush().unwrap();
                    lock.flush().unwrap();
                    assert!(is_held.swap(false, SeqCst));
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

/// A mutex of C that knows its owner.
struct CheckedMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: a mutex is for several threads.
unsafe impl Sync for CheckedMutex {}

static CHECKED: CheckedMutex = CheckedMutex(UnsafeCell::new(libc::PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP));

#[test]
fn a_mutex_of_c_that_knows_its_owner_knows_the_fiber() {
    static GRANTED: AtomicUsize = AtomicUsize::new(0);
    among_fibers(50, |_| {
        let mutex = CHECKED.0.get();
        for _ in 0..20 {
            // SAFETY: an initialised mutex that is never moved nor destroyed.
            let code = unsafe { libc::pthread_mutex_trylock(mutex) };
            if code == 0 {
                GRANTED.fetch_add(1, SeqCst);
                abaca::yield_now();
                // SAFETY: as above; this fiber has locked it.
                unsafe {
                    assert_eq!(libc::pthread_mutex_lock(mutex), libc::EDEADLK);
                    assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
                }
            } else {
                assert_eq!(code, libc::EBUSY);
                // SAFETY: as above; only its owner may unlock it.
                assert_eq!(unsafe { libc::pthread_mutex_unlock(mutex) }, libc::EPERM);
            }
            abaca::yield_now();
        }
    });
    assert!(GRANTED.load(SeqCst) > 0);
}

#[test]
fn errno_is_the_fibers() {
    among_fibers(100, |number| {
        let number = i32::try_from(number).expect("few");
        for _ in 0..10 {
            // SAFETY: the address of the calling thread's variable. It is asked for anew after each wait, as C does.
            unsafe { *libc::__errno_location() = number };
            abaca::yield_now();
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(number));
        }
    });
}

/// Waits when it is dropped by a panic.
struct WaitsInPanic;

impl Drop for WaitsInPanic {
    fn drop(&mut self) {
        assert!(thread::panicking());
        yield_often();
        assert!(thread::panicking());
    }
}

#[test]
fn a_panic_is_the_fibers_and_no_neighbour_sees_it() {
    runtime(1).run(|| {
        let fibers: Vec<_> = (0..100)
            .map(|number| {
                abaca::spawn(move || {
                    yield_often();
                    assert!(!thread::panicking());
                    let caught = catch_unwind(|| {
                        let _waits = (number % 2 == 0).then(|| WaitsInPanic);
                        resume_unwind(Box::new(number));
                    });
                    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&number));
                    assert!(!thread::panicking());
                })
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
}

#[test]
fn each_fiber_has_random_numbers_of_its_own() {
    let drawn = among_fibers(100, |_| {
        let mut random = rand::rng();
        let first: u64 = random.random();
        yield_often();
        let again: u64 = random.random();
        (first, again)
    });
    let all: HashSet<u64> = drawn.into_iter().flat_map(|(first, again)| [first, again]).collect();
    assert_eq!(all.len(), 200);
}

#[test]
fn a_span_is_entered_by_one_fiber_and_never_seen_by_its_neighbours() {
    // The registry keeps a stack of spans for each thread. It has room for 4,096 threads at once. (One that a thread never leaves is
    // a later thread's: that a fiber leaves it is its own matter, as a thread's.)
    tracing_subscriber::registry().with(tracing_subscriber::layer::Identity::new()).init();
    let counts = among_fibers(1_000, |number| {
        assert!(tracing::Span::current().is_none(), "that of the stack's last fiber");
        if number.is_multiple_of(3) {
            yield_often();
            assert!(tracing::Span::current().is_none(), "that of a neighbour");
            return 0;
        }
        let outer = tracing::info_span!("outer", number);
        let entered = outer.enter();
        for _ in 0..5 {
            abaca::yield_now();
            assert_eq!(tracing::Span::current().id(), outer.id());
            tracing::info_span!("inner").in_scope(|| {
                abaca::yield_now();
                assert_ne!(tracing::Span::current().id(), outer.id());
            });
        }
        drop(entered);
        assert!(tracing::Span::current().is_none());
        1
    });
    assert_eq!(counts.iter().sum::<usize>(), 666);
}

#[test]
fn a_coroutine_belongs_to_its_fiber_and_ends_with_it() {
    // Its stack stays with it.
    abaca_tests::leaks::expect_stacks(1);
    struct Unwinds<'a>(&'a AtomicBool);
    impl Drop for Unwinds<'_> {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    static UNWOUND: AtomicBool = AtomicBool::new(false);
    runtime(1).run(|| {
        let new = || {
            Coroutine::<(), (), ()>::new(|yielder, ()| {
                let _unwinds = Unwinds(&UNWOUND);
                yielder.suspend(());
            })
        };
        // Another fiber of its worker may go on with it meanwhile.
        let mut lent = new();
        abaca::spawn_local(move || {
            lent.resume(());
            abaca::spawn_local(move || lent.resume(())).join().unwrap();
        })
        .join()
        .unwrap();
        assert!(UNWOUND.swap(false, SeqCst));

        let mut left_behind = abaca::spawn_local(move || {
            let mut coroutine = new();
            coroutine.resume(());
            coroutine
        })
        .join()
        .unwrap();
        let refusal = catch_unwind(AssertUnwindSafe(|| left_behind.resume(()))).unwrap_err();
        let text = refusal.downcast_ref::<&str>().expect("a panic with a sentence");
        assert!(text.contains("its thread is the fiber that made it"), "{text}");
        drop(left_behind);
        assert!(!UNWOUND.load(SeqCst), "what it holds may have been the fiber's");
    });
}
