//! What stays the thread's for speed, malloc's cache and what users add, and is lent to the fibers that run there: what one fiber
//! changes is what the next one finds, on each thread.

#![expect(unsafe_code, reason = "uses up memory by malloc, and lends a variable of its own")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use abaca::{Builder, Runtime};
use abaca_tests::leaks::expect_own_storage;

use crate::{command, is_child, own, passes};

thread_local!(static STEPS: Cell<usize> = const { Cell::new(0) });

const FIBERS: usize = 50;
const ROUNDS: usize = 20;

/// Counts in a variable that is the thread's, with all kinds of waits between two steps. The step is on one thread.
fn count_steps(number: usize) {
    for round in 0..ROUNDS {
        STEPS.set(STEPS.get() + 1);
        match (number + round) % 4 {
            0 => abaca::yield_now(),
            1 => abaca::sleep(std::time::Duration::from_micros(10)),
            2 => _ = abaca::spawn(|| STEPS.set(STEPS.get() + 1)).join(),
            // Long enough to be left behind by its worker, now and then.
            _ => (0..2_000).for_each(|_| std::hint::spin_loop()),
        }
    }
}

/// The steps and those of the fibers that are spawned.
const STEPS_OF_ALL: usize = FIBERS * (ROUNDS + ROUNDS / 4);

/// Runs [`count_steps`] in fibers of this runtime, and sums up what its threads have counted, each when it ends.
fn count_with(builder: abaca::runtime::Builder) {
    let sum = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&sum);
    let builder = builder.on_thread_stop(move || _ = theirs.fetch_add(STEPS.take(), SeqCst));
    expect_own_storage();
    let runtime = builder.own_tls(true).build().unwrap();
    runtime.run(|| {
        let fibers: Vec<_> = (0..FIBERS)
            .map(|number| {
                let builder = Builder::new();
                let body = move || count_steps(number);
                let fiber = if number % 2 == 0 { builder.spawn(body) } else { builder.spawn_roaming(body) };
                fiber.unwrap()
            })
            .collect();
        fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
    });
    drop(runtime);
    assert_eq!(sum.load(SeqCst), STEPS_OF_ALL);
}

#[test]
fn a_variable_that_stays_the_threads_is_counted_up_by_all_fibers() {
    if !is_child() {
        passes(command("lending::a_variable_that_stays_the_threads_is_counted_up_by_all_fibers"));
        return;
    }
    // SAFETY: a plain number, to which nobody keeps a reference over a wait. There is no runtime yet.
    let kept = unsafe {
        STEPS.with(|steps| abaca_tls::keep_with_carrier(steps.as_ptr().cast(), size_of::<usize>()))
    };
    assert_eq!(kept, Ok(()));
    for workers in [1, 2, 4] {
        count_with(Runtime::builder().workers(workers));
        count_with(Runtime::builder().workers(workers).eager_handoff());
        let hooked = Runtime::builder().around_park(|park| park()).around_fiber(|run| run());
        count_with(hooked.workers(workers));
    }
}

/// The address space of the process, in bytes.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    pages.split(' ').next().and_then(|pages| pages.parse::<u64>().ok()).expect("a number") * 4096
}

fn limit_address_space(bytes: u64) {
    // SAFETY: the limit is read and written.
    unsafe {
        let mut limit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut limit), 0);
        limit.rlim_cur = bytes;
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limit), 0);
    }
}

/// Allocates until malloc says no, and frees all. A list through the pieces themselves.
fn exhaust() -> usize {
    let mut count = 0;
    let mut last: *mut c_void = null_mut();
    // SAFETY: each piece has room for a pointer to the one before it, and is freed once.
    unsafe {
        loop {
            let piece = libc::malloc(60_000);
            if piece.is_null() {
                break;
            }
            piece.cast::<*mut c_void>().write(last);
            (last, count) = (piece, count + 1);
        }
        while !last.is_null() {
            let before = last.cast::<*mut c_void>().read();
            libc::free(last);
            last = before;
        }
    }
    count
}

/// malloc exchanges the arena of a thread whose own, the process's first, has no memory left, and counts the threads of each. If the
/// thread did not learn what a fiber has exchanged, the counts would be wrong, and libc ends a process in which that shows.
#[test]
fn an_arena_that_a_fiber_has_exchanged_for_want_of_memory_is_its_threads_arena() {
    if !is_child() {
        let name = "lending::an_arena_that_a_fiber_has_exchanged_for_want_of_memory_is_its_threads_arena";
        let mut command = command(name);
        // The first arena and one more: threads share them.
        command.env("MALLOC_ARENA_MAX", "2");
        passes(command);
        return;
    }
    let (keep, kept) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let mut others = Vec::new();
    // How many workers have had the process's first arena.
    let first = Arc::new(AtomicUsize::new(0));
    // One runtime after the other, since who gets which arena depends on who came before.
    for round in 1..=8 {
        let (theirs, count) = (Arc::clone(&keep), Arc::clone(&kept));
        // Gets one of the two in turn, and keeps it.
        others.push(std::thread::spawn(move || {
            drop(std::hint::black_box(vec![1_u8; 1_000]));
            count.fetch_add(1, SeqCst);
            while theirs.load(SeqCst) {
                std::thread::park();
            }
        }));
        while kept.load(SeqCst) < round {
            std::thread::yield_now();
        }
        let theirs = Arc::clone(&first);
        let builder = own().workers(1).max_spare_threads(0);
        let builder = builder.on_thread_start(move || {
            let carrier = abaca_tls::Carrier::of_this_thread().unwrap();
            theirs.fetch_add(usize::from(carrier.must_take_back()), SeqCst);
        });
        let runtime = builder.build().unwrap();
        runtime.run(|| {
            // Their stacks are there when memory runs out.
            let (sender, receiver) = abaca::channel::bounded::<()>(0);
            let fibers: Vec<_> = (0..4)
                .map(|_| {
                    let receiver = receiver.clone();
                    abaca::spawn(move || {
                        receiver.recv().unwrap_err();
                        limit_address_space(address_space() + (16 << 20));
                        let count = exhaust();
                        limit_address_space(libc::RLIM_INFINITY);
                        count
                    })
                })
                .collect();
            (0..20).for_each(|_| abaca::yield_now());
            drop(sender);
            fibers.into_iter().for_each(|fiber| assert!(fiber.join().unwrap() > 0));
        });
        // Its threads give their arenas up.
        drop(runtime);
    }
    assert!(first.load(SeqCst) > 0, "no worker had the arena that this is about");
    keep.store(false, SeqCst);
    for other in others {
        other.thread().unpark();
        other.join().unwrap();
    }
}
