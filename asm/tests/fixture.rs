//! Fixtures at the top of stacks: they outlive the release of the stack's pages, and are removed before their slab is unmapped.
#![expect(unsafe_code, reason = "the tests write to stacks")]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use abaca_asm::stack::{Fixture, Release, Stack, StackPool, Surplus};

const STACK_BYTES: usize = 64 * 1024;
const MARK: u64 = 0x5eed_0faf_1b35;

/// The sum of all marks that were removed.
static REMOVED: AtomicUsize = AtomicUsize::new(0);

/// # Safety
///
/// As [`Fixture::remove`] says: the stack is still mapped.
unsafe fn remove(mark: NonNull<()>) {
    // SAFETY: the stack is mapped.
    assert_eq!(unsafe { mark.cast::<u64>().read() }, MARK);
    REMOVED.fetch_add(1, Ordering::Relaxed);
}

/// Stores a mark, the fixture, at the top of the stack, and fills the rest.
fn furnish(stack: &Stack) {
    let mark = stack.top().wrapping_sub(16).cast::<u64>();
    // SAFETY: the stack is ours.
    unsafe {
        stack.bottom().write_bytes(0xA5, stack.top().addr() - stack.bottom().addr());
        mark.write(MARK);
    }
    stack.fixture().expect("the pool has fixtures").store(mark.cast(), Ordering::Release);
}

fn mark_of(stack: &Stack) -> u64 {
    let mark = stack.fixture().expect("the pool has fixtures").load(Ordering::Acquire).cast::<u64>();
    // SAFETY: `furnish` stored it, and the stack is mapped.
    unsafe { mark.read() }
}

#[test]
fn a_fixture_stays_when_the_pages_of_its_stack_go_and_is_removed_before_the_stack() {
    // SAFETY: only `furnish` stores something.
    let pool = unsafe { StackPool::with_fixtures(STACK_BYTES, Fixture { bytes: 16, remove }) };
    // More than the first slab has, so that a slab can be retired.
    let mut stacks = Vec::new();
    while stacks.len() < 100 {
        pool.take_many(100 - stacks.len(), &mut stacks).expect("stacks");
    }
    stacks.iter().for_each(furnish);
    stacks.iter().for_each(|stack| stack.release_below(0));
    let mut release = Release::new();
    stacks.iter().for_each(|stack| release.add(stack));
    drop(release);
    for stack in &stacks {
        assert_eq!(mark_of(stack), MARK);
        // SAFETY: the stack is ours.
        assert_eq!(unsafe { stack.bottom().read() }, 0, "the rest has been released");
    }
    pool.give_many(stacks.drain(..));
    pool.end_period();
    pool.end_period();
    while pool.release_surplus() == Surplus::Now {}
    let retired = REMOVED.load(Ordering::Relaxed);
    assert!(retired > 0, "a slab was unmapped");
    let stack = pool.take().expect("a stack");
    assert_eq!(mark_of(&stack), MARK, "the first slab stays, with its fixtures");
    pool.give(stack);
    drop(pool);
    assert_eq!(REMOVED.load(Ordering::Relaxed), 100);
}

#[test]
fn a_pool_has_no_fixtures_by_default() {
    let pool = StackPool::new(STACK_BYTES);
    let stack = pool.take().expect("a stack");
    assert!(stack.fixture().is_none());
    pool.give(stack);
}
