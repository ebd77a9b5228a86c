//! The pool of stacks: shapes, guards, reuse, accounting, and when memory goes back to the system.
#![expect(unsafe_code, reason = "the tests write to stacks and fault on guards in child processes")]

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use abaca_asm::stack::{Guard, Overrun, Stack, StackPool, overrun_at};

const BOTH: [Guard; 2] = [Guard::Madvise, Guard::Mprotect];

fn page_bytes() -> usize {
    // SAFETY: has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("a page size")
}

/// How the kernel ended a child process that wrote one byte to `address`: the number of the signal, or 0.
fn signal_of_write(address: *mut u8) -> i32 {
    // SAFETY: the child only writes and exits, it takes no lock and allocates nothing.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork");
    if child == 0 {
        // SAFETY: the point is to find out whether this is allowed; if it is not, the child dies.
        unsafe {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            address.write_volatile(1);
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
}

#[test]
fn every_byte_between_bottom_and_top_can_be_used() {
    for guard in BOTH {
        for bytes in [0, 1, 4096, 5000, 64 * 1024] {
            let pool = StackPool::with_guard(bytes, guard);
            assert!(pool.stack_bytes() >= bytes.max(1) && pool.stack_bytes().is_multiple_of(page_bytes()));
            let stack = pool.take().expect("a stack");
            assert_eq!(stack.top().addr() % 16, 0);
            let usable = stack.top().addr() - stack.bottom().addr();
            assert!((pool.stack_bytes() - 448..=pool.stack_bytes()).contains(&usable));
            // SAFETY: the stack is ours.
            unsafe { stack.bottom().write_bytes(0xA5, usable) };
            pool.give(stack);
        }
    }
}

#[test]
fn a_write_below_the_bottom_dies_by_sigsegv() {
    for guard in BOTH {
        let pool = StackPool::with_guard(16 * 1024, guard);
        let mut stacks = Vec::new();
        pool.take_many(20, &mut stacks).expect("stacks");
        assert!(guard == Guard::Madvise || pool.guard() == guard);
        for stack in [&stacks[0], &stacks[1], &stacks[19]] {
            assert_eq!(stack.guard().end, stack.bottom().addr());
            assert!(stack.guard().len() >= 64 * 1024, "frames of C code are larger than a page");
            assert_eq!(signal_of_write(stack.bottom()), 0);
            assert_eq!(signal_of_write(stack.bottom().wrapping_sub(1)), libc::SIGSEGV);
            for page in stack.guard().step_by(page_bytes()) {
                assert_eq!(signal_of_write(stack.bottom().with_addr(page)), libc::SIGSEGV);
            }
        }
        pool.give_many(stacks.into_iter());
    }
}

#[test]
fn releasing_memory_keeps_the_top_and_the_guard() {
    for guard in BOTH {
        let pool = StackPool::with_guard(64 * 1024, guard);
        let _first = pool.take().expect("a stack");
        let stack = pool.take().expect("a stack");
        let usable = stack.top().addr() - stack.bottom().addr();
        assert_ne!(stack.top().addr() % page_bytes(), 0, "the second stack has a top inside a page");
        // SAFETY: the stack is ours.
        unsafe { stack.bottom().write_bytes(0xA5, usable) };
        // The page of the top and what remains of the next one.
        stack.release_below(page_bytes());
        let kept = page_bytes() + stack.top().addr() % page_bytes();
        // SAFETY: the stack is ours.
        let byte = |below_top: usize| unsafe { stack.top().sub(below_top).read_volatile() };
        assert_eq!((byte(1), byte(kept)), (0xA5, 0xA5));
        assert_eq!((byte(kept + 1), byte(usable)), (0, 0));
        assert_eq!(signal_of_write(stack.bottom().wrapping_sub(1)), libc::SIGSEGV);
        // More than there is: nothing happens.
        stack.release_below(usize::MAX);
        assert_eq!(byte(1), 0xA5);
        // Nothing is kept, but the rest of the page above the top is not the stack's to give.
        stack.release_below(0);
        assert_eq!((byte(1), byte(stack.top().addr() % page_bytes() + 1)), (0xA5, 0));
        pool.give(stack);
    }
}

#[test]
fn populating_the_top_makes_its_pages_resident_and_leaves_all_contents() {
    let pool = StackPool::new(64 * 1024);
    let _first = pool.take().expect("a stack");
    let stack = pool.take().expect("a stack");
    let pages = pool.stack_bytes() / page_bytes();
    let residents = || {
        let mut residents = vec![0_u8; pages];
        // SAFETY: the memory is mapped, and there is a byte for each of its pages.
        let result =
            unsafe { libc::mincore(stack.bottom().cast(), pool.stack_bytes(), residents.as_mut_ptr()) };
        assert_eq!(result, 0);
        residents.iter().map(|resident| usize::from(resident & 1)).sum::<usize>()
    };
    assert_eq!(residents(), 0);
    // SAFETY: the stack is ours.
    unsafe { stack.top().sub(1).write(0xA5) };
    // A kernel that is too old, and an emulator, do nothing.
    // SAFETY: the page is the stack's.
    let bottom = unsafe { libc::madvise(stack.bottom().cast(), page_bytes(), libc::MADV_POPULATE_WRITE) };
    let can = bottom == 0 && residents() == 2;
    // The page of the top, and the one below, in which its bytes end.
    stack.populate_top(page_bytes());
    assert_eq!(residents(), if can { 3 } else { 1 });
    stack.populate_top(usize::MAX);
    assert_eq!(residents(), if can { pages } else { 1 });
    // SAFETY: as above.
    assert_eq!(unsafe { stack.top().sub(1).read() }, 0xA5);
    assert_eq!(signal_of_write(stack.bottom().wrapping_sub(1)), libc::SIGSEGV);
    pool.give(stack);
}

#[test]
fn stacks_are_an_odd_number_of_pages_apart() {
    for pages in 1..20 {
        let pool = StackPool::new(pages * page_bytes());
        let mut stacks = Vec::new();
        pool.take_many(2, &mut stacks).expect("stacks");
        let stride = stacks[1].bottom().addr().abs_diff(stacks[0].bottom().addr());
        assert_eq!((stride / page_bytes()) % 2, 1, "{pages} pages");
        assert_eq!(stride % page_bytes(), 0);
        pool.give_many(stacks.into_iter());
    }
}

#[test]
fn the_tops_of_neighbours_lie_on_different_cache_lines_of_their_pages() {
    let pool = StackPool::new(16 * 1024);
    let mut stacks = Vec::new();
    pool.take_many(8, &mut stacks).expect("stacks");
    let lines: HashSet<usize> = stacks.iter().map(|stack| stack.top().addr() % page_bytes() / 64).collect();
    assert_eq!(lines.len(), 8);
    pool.give_many(stacks.into_iter());
}

#[test]
fn the_stack_given_back_last_is_taken_first() {
    let pool = StackPool::new(16 * 1024);
    let mut stacks = Vec::new();
    pool.take_many(3, &mut stacks).expect("stacks");
    let tops: Vec<_> = stacks.iter().map(Stack::top).collect();
    pool.give_many(stacks.into_iter());
    let again: Vec<_> = (0..3).map(|_| pool.take().expect("a stack")).collect();
    assert!(again.iter().map(Stack::top).eq(tops.into_iter().rev()));
    again.into_iter().for_each(|stack| pool.give(stack));
}

#[test]
fn no_two_handles_share_memory_and_the_count_is_right() {
    let pool = StackPool::new(16 * 1024);
    let mut stacks = Vec::new();
    while stacks.len() < 3000 {
        pool.take_many(3000 - stacks.len(), &mut stacks).expect("stacks");
        assert_eq!(pool.allocated(), stacks.len());
    }
    let mut ranges: Vec<_> = stacks.iter().map(|stack| (stack.guard().start, stack.top().addr())).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    pool.give_many(stacks.into_iter());
    assert_eq!(pool.allocated(), 0);
}

#[test]
fn a_stack_that_was_given_back_has_no_owner() {
    let pool = StackPool::new(16 * 1024);
    for _ in 0..2 {
        let stack = pool.take().expect("a stack");
        assert!(stack.owner().load(Ordering::Relaxed).is_null());
        stack.owner().store(std::ptr::without_provenance_mut(7), Ordering::Release);
        pool.give(stack);
    }
}

#[test]
fn an_address_in_a_guard_leads_to_its_stack() {
    for guard in BOTH {
        let pool = StackPool::with_guard(16 * 1024, guard);
        let mut stacks = Vec::new();
        pool.take_many(70, &mut stacks).expect("stacks");
        let mut owner = 7;
        for stack in [&stacks[0], &stacks[1], &stacks[69]] {
            stack.owner().store((&raw mut owner).cast(), Ordering::Release);
            for address in stack.guard().step_by(page_bytes()).chain([stack.guard().end - 1]) {
                let overrun = overrun_for_sure(address);
                assert_eq!((overrun.guard, overrun.stack_bytes), (stack.guard(), pool.stack_bytes()));
                assert_eq!(overrun.owner, (&raw mut owner).cast());
            }
            assert_eq!(overrun_at(stack.bottom().addr()), None);
            assert_eq!(overrun_at(stack.top().addr() - 1), None);
        }
        let guard = stacks[69].guard();
        pool.give_many(stacks.into_iter());
        assert!(overrun_for_sure(guard.start).owner.is_null(), "the pool still has it");
        drop(pool);
    }
    assert_eq!(overrun_at(0), None);
    let local = 0_u8;
    assert_eq!(overrun_at((&raw const local).addr()), None);
}

/// What [`overrun_at`] finds of an address in a guard. It finds nothing while the holder of the list's lock is preempted for long,
/// as on a busy machine: then it is asked again.
fn overrun_for_sure(address: usize) -> Overrun {
    std::iter::repeat_with(|| overrun_at(address))
        .flatten()
        .next()
        .expect("it is asked until it finds the stack")
}

#[test]
fn addresses_are_looked_up_while_slabs_come_and_go() {
    let pool = StackPool::new(16 * 1024);
    let stack = pool.take().expect("a stack");
    thread::scope(|scope| {
        let churn = || {
            for _ in 0..200 {
                let pool = StackPool::new(16 * 1024);
                let stack = pool.take().expect("a stack");
                assert_eq!(overrun_for_sure(stack.guard().start).guard, stack.guard());
                pool.give(stack);
            }
        };
        let churning = [scope.spawn(churn), scope.spawn(churn)];
        while !churning.iter().all(|thread| thread.is_finished()) {
            assert_eq!(overrun_for_sure(stack.guard().start).guard, stack.guard());
        }
    });
    pool.give(stack);
}

#[test]
fn giving_a_stack_to_another_pool_panics() {
    let (pool, other) = (StackPool::new(16 * 1024), StackPool::new(16 * 1024));
    let stack = pool.take().expect("a stack");
    let refused = panic::catch_unwind(AssertUnwindSafe(|| other.give(stack)));
    assert!(refused.is_err());
    assert_eq!((pool.allocated(), other.allocated()), (1, 0));
}

#[test]
fn a_handle_outlives_its_pool() {
    let pool = StackPool::new(64 * 1024);
    let stack = pool.take().expect("a stack");
    drop(pool);
    // SAFETY: the handle is ours, so the memory must still be there.
    unsafe { stack.bottom().write_volatile(1) };
    assert!(stack.owner().load(Ordering::Relaxed).is_null());
}

#[test]
fn threads_share_a_pool() {
    let pool = StackPool::new(16 * 1024);
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (pool, taken) = (&pool, &taken);
            scope.spawn(move || {
                let mut own: Vec<Stack> = Vec::new();
                for step in 0..500 {
                    if (step * 7 + seed).is_multiple_of(3) {
                        own.drain(..).for_each(|stack| pool.give(stack));
                    }
                    let stack = pool.take().expect("a stack");
                    // Only one thread has the stack, so the bytes stay as they were written.
                    stack.owner().store(std::ptr::without_provenance_mut(seed + 1), Ordering::Relaxed);
                    taken.fetch_add(1, Ordering::Relaxed);
                    own.push(stack);
                    let all_ours = |stack: &Stack| stack.owner().load(Ordering::Relaxed).addr() == seed + 1;
                    assert!(own.iter().all(all_ours));
                }
                pool.give_many(own.into_iter());
            });
        }
    });
    assert_eq!(taken.into_inner(), 2_000);
    assert_eq!(pool.allocated(), 0);
}

#[test]
fn a_stack_too_large_to_map_is_an_error() {
    let pool = StackPool::new(1 << 60);
    let error = std::io::Error::from(pool.take().expect_err("no address space is that large"));
    assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    assert_eq!(pool.allocated(), 0);
    assert!(pool.take_many(3, &mut Vec::new()).is_err());
}
