//! The ends of fibers: the destructors of thread-locals and of pthread keys have run, once, when somebody learns of the end.

#![expect(unsafe_code, reason = "makes a pthread key, and sets its values")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use abaca::Cancelled;
use abaca::actor::{self, ExitReason};

use crate::runtime;

/// How many destructors have run.
type Count = Arc<AtomicUsize>;

struct Counted(Count);

impl Drop for Counted {
    fn drop(&mut self) {
        // Destructors are code of the fiber: they may wait.
        abaca::yield_now();
        self.0.fetch_add(1, SeqCst);
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Counted>> = const { RefCell::new(None) };
    static LAZY: RefCell<Vec<Counted>> = RefCell::new(Vec::with_capacity(1));
}

unsafe extern "C" fn end_of_key(value: *mut c_void) {
    // SAFETY: the value is one that `touch` has set.
    drop(Counted(unsafe { Arc::from_raw(value.cast::<AtomicUsize>()) }));
}

fn key() -> libc::pthread_key_t {
    static KEY: OnceLock<libc::pthread_key_t> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key is written; the destructor takes the values that are set.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(end_of_key)) }, 0);
        key
    })
}

/// The destructors of each fiber.
const EACH: usize = 3;

/// Sets two thread-locals and a pthread key, whose destructors count.
fn touch(count: &Count) {
    LOCAL.set(Some(Counted(Arc::clone(count))));
    LAZY.with_borrow_mut(|list| list.push(Counted(Arc::clone(count))));
    let value = Arc::into_raw(Arc::clone(count)).cast();
    // SAFETY: the key is valid, and had no value in this fiber.
    unsafe {
        assert!(libc::pthread_getspecific(key()).is_null(), "a key has no value in a new fiber");
        assert_eq!(libc::pthread_setspecific(key(), value), 0);
    }
}

#[test]
fn they_have_run_when_a_join_returns_however_the_fiber_ended() {
    for workers in [1, 2] {
        runtime(workers).run(|| {
            for _ in 0..20 {
                let count = Count::default();
                let ends: [fn(); 3] = [
                    || (),
                    || resume_unwind(Box::new(7_u8)),
                    || {
                        abaca::park();
                    },
                ];
                for (number, end) in ends.into_iter().enumerate() {
                    let theirs = Arc::clone(&count);
                    let fiber = abaca::spawn(move || {
                        touch(&theirs);
                        end();
                    });
                    abaca::yield_now();
                    fiber.cancel();
                    let result = fiber.join();
                    // One that was cancelled before it began has touched nothing.
                    let has_begun = count.load(SeqCst) > 0 || Arc::strong_count(&count) > 1;
                    match number {
                        0 if has_begun => assert!(result.is_ok()),
                        1 if has_begun => assert!(result.unwrap_err().is::<u8>()),
                        _ => assert!(result.unwrap_err().is::<Cancelled>()),
                    }
                    let ran = count.swap(0, SeqCst);
                    assert!(ran == EACH || ran == 0, "{ran}");
                    assert_eq!(Arc::strong_count(&count), 1);
                }
            }
        });
    }
}

#[test]
fn they_run_for_each_fiber_of_a_stack() {
    let count = Count::default();
    runtime(1).run(|| {
        for round in 1..=500 {
            let theirs = Arc::clone(&count);
            abaca::spawn(move || touch(&theirs)).join().unwrap();
            assert_eq!(count.load(SeqCst), EACH * round);
        }
    });
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn they_run_for_an_actor_that_is_killed() {
    let count = Count::default();
    let runtime = runtime(1);
    runtime.run(|| {
        let theirs = Arc::clone(&count);
        let (sender, receiver) = abaca::channel::bounded(1);
        let actor = actor::spawn(move |mailbox: &mut actor::Mailbox<()>| {
            touch(&theirs);
            sender.send(()).unwrap();
            mailbox.receive();
        });
        receiver.recv().unwrap();
        actor.kill();
        assert_eq!(actor.wait(), ExitReason::Killed);
    });
    runtime.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(count.load(SeqCst), EACH);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn they_run_for_fibers_that_a_shutdown_ends_and_for_those_that_nobody_joins() {
    for workers in [1, 2] {
        let count = Count::default();
        let runtime = runtime(workers);
        let begun = Count::default();
        for number in 0..50 {
            let (theirs, begun) = (Arc::clone(&count), Arc::clone(&begun));
            drop(runtime.spawn(move || {
                touch(&theirs);
                begun.fetch_add(1, SeqCst);
                if number % 2 == 0 {
                    abaca::park();
                }
            }));
        }
        runtime.run(|| {
            while begun.load(SeqCst) < 50 {
                abaca::yield_now();
            }
        });
        runtime.shutdown(Duration::from_secs(60)).unwrap();
        assert_eq!(count.load(SeqCst), 50 * EACH);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}

#[test]
fn a_destructor_may_spawn_and_join_and_use_other_thread_locals() {
    struct Spawns(Count);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let theirs = Arc::clone(&self.0);
            abaca::spawn(move || touch(&theirs)).join().unwrap();
            // Made in a destructor, and destroyed after it.
            LAZY.with_borrow_mut(|list| list.push(Counted(Arc::clone(&self.0))));
        }
    }
    thread_local!(static SPAWNS: RefCell<Option<Spawns>> = const { RefCell::new(None) });
    let count = Count::default();
    runtime(1).run(|| {
        let theirs = Arc::clone(&count);
        abaca::spawn(move || SPAWNS.set(Some(Spawns(theirs)))).join().unwrap();
        assert_eq!(count.load(SeqCst), EACH + 1);
    });
}
