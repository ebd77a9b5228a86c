//! Locks of pthreads in dumps: who has them, and who waits for whom in a circle. The objects are the user's.

#![expect(unsafe_code, reason = "calls C functions")]

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use abaca::observe::{self, Holder};
use libc::{pthread_mutex_t, pthread_rwlock_t};

use crate::support::on_one_worker;

/// Two mutexes and a lock, which the test's threads take in circles.
struct Locks {
    mutexes: [UnsafeCell<pthread_mutex_t>; 2],
    lock: UnsafeCell<pthread_rwlock_t>,
    taken: AtomicUsize,
}

// SAFETY: they are libc's locks.
unsafe impl Sync for Locks {}

impl Locks {
    fn new() -> Arc<Self> {
        let mutex = || UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER);
        let lock = UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER);
        Arc::new(Self { mutexes: [mutex(), mutex()], lock, taken: AtomicUsize::new(0) })
    }

    fn mutex(&self, at: usize) -> *mut pthread_mutex_t {
        self.mutexes[at].get()
    }

    /// All of the test's threads have theirs.
    fn await_others(&self, threads: usize) {
        self.taken.fetch_add(1, Ordering::SeqCst);
        while self.taken.load(Ordering::SeqCst) < threads {
            thread::yield_now();
        }
    }
}

fn cross(locks: &Locks, first: usize) {
    // SAFETY: the mutexes live as long as the threads that use them.
    unsafe {
        libc::pthread_mutex_lock(locks.mutex(first));
        locks.await_others(2);
        libc::pthread_mutex_lock(locks.mutex(1 - first));
        libc::pthread_mutex_unlock(locks.mutex(1 - first));
        libc::pthread_mutex_unlock(locks.mutex(first));
    }
}

#[test]
fn threads_that_wait_for_each_others_mutexes_are_a_circle_that_tells_who_they_are() {
    abaca_transparent::threads_are_fibers().unwrap();
    on_one_worker(|| {
        let locks = Locks::new();
        let threads = ["left", "right"].map(|name| {
            let locks = Arc::clone(&locks);
            let first = usize::from(name == "right");
            Builder::new().name(name.into()).spawn(move || cross(&locks, first)).unwrap()
        });
        let told = loop {
            // Others' tests run beside this one.
            let cycles = observe::check().into_iter().map(|cycle| cycle.to_string());
            if let Some(told) = cycles.into_iter().find(|told| told.contains("'left'")) {
                break told;
            }
            thread::yield_now();
        };
        for part in ["'right'", "waits for the mutex at 0x", "holds (a thread that has begun in ", "locked::"]
        {
            assert!(told.contains(part), "{part}: {told}");
        }
        let dump = abaca::dump();
        let holders = dump.fibers().iter().filter(|fiber| {
            let wait = fiber.wait().filter(|wait| wait.reason() == "mutex");
            let is_held = wait.is_some_and(|wait| matches!(wait.holder(), Some(Holder::Fiber(_))));
            is_held && fiber.routine().is_some_and(|routine| routine.contains("locked::"))
        });
        assert_eq!(holders.count(), 2, "{dump}");
        // A usual mutex lets anybody unlock it, which is the end of the circle.
        // SAFETY: it is locked.
        unsafe { libc::pthread_mutex_unlock(locks.mutex(0)) };
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn who_has_a_lock_to_write_holds_it_and_who_is_joined_is_waited_for() {
    abaca_transparent::threads_are_fibers().unwrap();
    on_one_worker(|| {
        let locks = Locks::new();
        let me = abaca::current().id();
        // SAFETY: the lock lives as long as the threads that use it.
        unsafe { libc::pthread_rwlock_wrlock(locks.lock.get()) };
        let reader = Builder::new().name("reader".into()).spawn({
            let locks = Arc::clone(&locks);
            move || {
                // SAFETY: as above.
                unsafe {
                    libc::pthread_rwlock_rdlock(locks.lock.get());
                    libc::pthread_rwlock_unlock(locks.lock.get());
                }
            }
        });
        let joiner = Builder::new().name("joiner".into()).spawn(move || reader.unwrap().join().unwrap());
        let named = |dump: &observe::Dump, name: &str, is_such: &dyn Fn(&observe::FiberDump) -> bool| {
            let label = ("thread".to_owned(), name.to_owned());
            dump.fibers().iter().any(|fiber| fiber.labels().contains(&label) && is_such(fiber))
        };
        loop {
            let dump = abaca::dump();
            let waits = |fiber: &observe::FiberDump, reason: &str| {
                fiber.wait().filter(|wait| wait.reason() == reason).and_then(observe::Wait::holder).cloned()
            };
            let reads =
                |fiber: &observe::FiberDump| waits(fiber, "reader-writer lock") == Some(Holder::Fiber(me));
            let joins = |fiber: &observe::FiberDump| matches!(waits(fiber, "join"), Some(Holder::Fiber(_)));
            if named(&dump, "reader", &reads) && named(&dump, "joiner", &joins) {
                break;
            }
            thread::yield_now();
        }
        // SAFETY: the caller has it.
        unsafe { libc::pthread_rwlock_unlock(locks.lock.get()) };
        joiner.unwrap().join().unwrap();
    });
}
