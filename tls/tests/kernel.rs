//! What the kernel has to do with a fiber's storage: signals find it, a child of `fork` keeps it. And what stays the OS thread's.
#![expect(unsafe_code, reason = "calls libc")]

mod fiber;

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};

use abaca_tls::{Block, Carrier, KeepError, keep_with_carrier, set_thread_pointer, thread_pointer};
use fiber::{Fiber, has_blocks, in_fiber, suspend};

thread_local! {
    static MARK: Cell<usize> = const { Cell::new(0) };
    static KEPT: Cell<usize> = const { Cell::new(0) };
}

static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn look(_: c_int) {
    SEEN.store(MARK.get(), Ordering::Relaxed);
}

#[test]
fn a_signals_handler_has_the_storage_of_the_fiber_that_it_interrupts() {
    if !has_blocks() {
        return;
    }
    MARK.set(1);
    in_fiber(|| {
        MARK.set(2);
        // SAFETY: the handler stores a number.
        unsafe {
            let handler: extern "C" fn(c_int) = look;
            libc::signal(libc::SIGUSR1, handler as libc::sighandler_t);
            libc::raise(libc::SIGUSR1);
        }
        assert_eq!(SEEN.load(Ordering::Relaxed), 2);
    });
    assert_eq!(MARK.get(), 1);
}

#[test]
fn a_child_of_fork_goes_on_in_the_fiber() {
    if !has_blocks() {
        return;
    }
    in_fiber(|| {
        MARK.set(2);
        // SAFETY: the child does what a child of a process with threads may do, and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(if MARK.get() == 2 { 7 } else { 8 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert_eq!(libc::WEXITSTATUS(status), 7);
        }
    });
}

#[test]
fn a_variable_can_stay_the_threads() {
    if !has_blocks() {
        return;
    }
    // SAFETY: plain numbers, which nobody keeps a reference to.
    unsafe {
        let bytes = size_of::<usize>();
        assert_eq!(KEPT.with(|kept| keep_with_carrier(kept.as_ptr().cast(), bytes)), Ok(()));
        assert_eq!(KEPT.with(|kept| keep_with_carrier(kept.as_ptr().cast(), bytes)), Ok(()), "once more");
        let elsewhere = 0_usize;
        assert_eq!(keep_with_carrier((&raw const elsewhere).cast(), bytes), Err(KeepError::NotStatic));
        unsafe extern "C" {
            fn __errno_location() -> *mut c_int;
        }
        assert_eq!(keep_with_carrier(__errno_location().cast(), 4), Err(KeepError::OfLibc));
    }
    let count = || {
        assert_eq!(MARK.replace(1), 0);
        KEPT.set(KEPT.get() + 1);
        suspend();
        KEPT.set(KEPT.get() + 1);
    };
    // Not the thread of another test, which may use the same variables.
    std::thread::spawn(move || {
        let carrier = Carrier::of_this_thread().expect("blocks");
        let mut fibers: Vec<_> = (0..3).map(|_| Fiber::new(count)).collect();
        for round in 1..=2 {
            for fiber in &mut fibers {
                fiber.resume(&carrier);
            }
            assert_eq!(KEPT.get(), 3 * round);
        }
        // A reset leaves it alone.
        fibers[0].restart(count);
        fibers[0].run(&carrier);
        assert_eq!((KEPT.get(), MARK.get()), (8, 0));
        // On another thread, its.
        fibers[0].restart(count);
        fibers[0].resume(&carrier);
        let mut moved = fibers.swap_remove(0);
        std::thread::spawn(move || {
            KEPT.set(100);
            moved.run(&Carrier::of_this_thread().expect("blocks"));
            assert_eq!(KEPT.get(), 101);
        })
        .join()
        .expect("no panic");
        assert_eq!(KEPT.get(), 9);
    })
    .join()
    .expect("no panic");
}

#[test]
fn memory_is_allocated_in_one_fiber_and_freed_in_another_and_elsewhere() {
    if !has_blocks() {
        return;
    }
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<u8>>();
    in_fiber(move || {
        for size in 1..2_000 {
            sender.send(vec![1; size * 7 % 3_000]).expect("it is received");
        }
    });
    let all: Vec<_> = receiver.into_iter().collect();
    let (one, other) = (all.clone(), all);
    in_fiber(move || drop(one));
    std::thread::spawn(move || drop(other)).join().expect("no panic");
}

/// What libc tells of the stack of the code that runs with `block`: its lowest address and its size.
#[inline(never)]
fn stack_of(block: &Block, carrier: &Carrier) -> (usize, usize) {
    static TOLD: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    fn look() {
        unsafe extern "C" {
            fn pthread_getattr_np(thread: libc::pthread_t, attributes: *mut libc::pthread_attr_t) -> c_int;
        }
        // SAFETY: all zeroes are a valid value, which the first call overwrites, whatever it returns; the last frees what it has.
        unsafe {
            let mut attributes = std::mem::zeroed();
            // No kernel thread has the id of the block.
            assert_eq!(pthread_getattr_np(libc::pthread_self(), &raw mut attributes), libc::ESRCH);
            let (mut lowest, mut bytes) = (std::ptr::null_mut(), 0);
            assert_eq!(
                libc::pthread_attr_getstack(&raw const attributes, &raw mut lowest, &raw mut bytes),
                0
            );
            libc::pthread_attr_destroy(&raw mut attributes);
            TOLD[0].store(lowest.addr(), Ordering::Relaxed);
            TOLD[1].store(bytes, Ordering::Relaxed);
        }
    }
    let own = thread_pointer();
    // SAFETY: the block is used by nobody else; `look` is not inlined.
    unsafe {
        carrier.lend(block.pointer());
        set_thread_pointer(block.pointer());
        std::hint::black_box(look as fn())();
        set_thread_pointer(own);
        carrier.take_back(block.pointer());
    }
    (TOLD[0].load(Ordering::Relaxed), TOLD[1].load(Ordering::Relaxed))
}

#[test]
fn libc_tells_the_truth_of_stacks_that_are_not_smaller_than_its_least_one() {
    if !has_blocks() {
        return;
    }
    let carrier = Carrier::of_this_thread().expect("blocks");
    let least = abaca_tls::support().expect("blocks").least_stack_bytes();
    assert!(least >= if cfg!(target_arch = "aarch64") { 128 * 1024 } else { 16 * 1024 }, "{least}");
    for bytes in [least - 4096, least, 4 * least] {
        let mut memory = vec![0_u128; bytes / 16];
        let lowest: *mut u8 = memory.as_mut_ptr().cast();
        // SAFETY: the memory is ours, and outlives the block.
        let block = unsafe { Block::new(lowest, bytes) }.expect("there is room");
        let (told, told_bytes) = stack_of(&block, &carrier);
        assert_eq!(told + told_bytes, lowest.addr() + bytes, "where it ends is always true");
        assert_eq!(told_bytes, bytes.max(least));
        drop(block);
    }
}
