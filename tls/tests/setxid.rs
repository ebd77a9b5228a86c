//! `setgid` and its kind, which libc makes in all threads: they return, wherever they are called, and while fibers run.
#![expect(unsafe_code, reason = "calls libc")]

mod fiber;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abaca_tls::{Carrier, on_carrier};
use fiber::{Fiber, has_blocks, in_child, in_fiber, is_child, suspend};

/// Sets what is set already, in all threads.
fn set_group() {
    // SAFETY: has no preconditions.
    assert_eq!(unsafe { libc::setgid(libc::getgid()) }, 0);
}

#[test]
fn it_returns_in_a_fiber() {
    const NAME: &str = "it_returns_in_a_fiber";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        assert!(in_child(NAME).success());
        return;
    }
    in_fiber(|| {
        set_group();
        suspend();
        set_group();
    });
}

#[test]
fn it_returns_on_the_carrier() {
    const NAME: &str = "it_returns_on_the_carrier";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        assert!(in_child(NAME).success());
        return;
    }
    in_fiber(|| {
        // SAFETY: the closure suspends nothing.
        unsafe { on_carrier(set_group) };
    });
    // SAFETY: as above.
    unsafe { on_carrier(set_group) };
}

#[test]
fn it_returns_in_a_thread_while_others_run_and_make_fibers() {
    const NAME: &str = "it_returns_in_a_thread_while_others_run_and_make_fibers";
    if !has_blocks() {
        return;
    }
    if !is_child(NAME) {
        assert!(in_child(NAME).success());
        return;
    }
    let (stop, rounds) = (&AtomicBool::new(false), &AtomicU32::new(0));
    let never_suspended: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    std::thread::scope(|scope| {
        // A fiber that does not leave its block until the end.
        scope.spawn(move || {
            let carrier = Carrier::of_this_thread().expect("blocks");
            Fiber::new(move || {
                while !never_suspended.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
            .run(&carrier);
        });
        // Blocks that are made and end.
        scope.spawn(move || {
            let carrier = Carrier::of_this_thread().expect("blocks");
            while !stop.load(Ordering::Relaxed) {
                Fiber::new(suspend).run(&carrier);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Others ask as well.
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                set_group();
            }
        });
        let mut calls = 0;
        while rounds.load(Ordering::Relaxed) < 200 || calls < 200 {
            set_group();
            calls += 1;
        }
        stop.store(true, Ordering::Relaxed);
        never_suspended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_panic_on_the_carrier_goes_on_in_the_fiber() {
    if !has_blocks() {
        return;
    }
    in_fiber(|| {
        let fiber = std::thread::current().id();
        let caught = std::panic::catch_unwind(|| {
            // SAFETY: the closure suspends nothing.
            unsafe {
                on_carrier(|| {
                    assert_ne!(std::thread::current().id(), fiber);
                    std::panic::resume_unwind(Box::new(7_u8));
                })
            }
        });
        assert_eq!(caught.expect_err("it has panicked").downcast_ref::<u8>(), Some(&7));
        assert!(!std::thread::panicking());
        // SAFETY: as above.
        assert!(!unsafe { on_carrier(std::thread::panicking) });
        assert_eq!(std::thread::current().id(), fiber);
    });
}

#[test]
fn what_the_kernel_knows_of_a_thread_is_asked_for_on_the_carrier() {
    if !has_blocks() {
        return;
    }
    in_fiber(|| {
        let own = || {
            let (mut policy, mut parameter) = (0, libc::sched_param { sched_priority: 0 });
            // SAFETY: both are written.
            unsafe { libc::pthread_getschedparam(libc::pthread_self(), &raw mut policy, &raw mut parameter) }
        };
        // SAFETY: the closure suspends nothing.
        assert_eq!(unsafe { on_carrier(own) }, 0);
        // No kernel thread has the block's id.
        assert_ne!(own(), 0);
    });
}
