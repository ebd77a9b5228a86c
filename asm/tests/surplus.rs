//! What goes back to the kernel while the pool lives, and what stays. A test binary of its own: it counts resident
//! pages and mappings.
#![expect(unsafe_code, reason = "the tests write to stacks, and ask which of their pages are there")]

use std::fs;
use std::sync::RwLock;

use abaca_asm::stack::{Guard, Release, Stack, StackPool, Surplus, overrun_at};
use abaca_asm::{Context, Exit, prepare, switch};

const BOTH: [Guard; 2] = [Guard::Madvise, Guard::Mprotect];
const STACK_BYTES: usize = 64 * 1024;

/// Held alone by the test that counts the process's mappings, since others' stacks may lie where its own have been.
static MAPPINGS: RwLock<()> = RwLock::new(());

/// How many pages of the stack are resident.
fn resident(stack: &Stack) -> usize {
    let bottom = stack.bottom();
    let bytes = (stack.top().addr() - bottom.addr()).next_multiple_of(4096);
    let mut pages = vec![0_u8; bytes.div_ceil(4096)];
    // SAFETY: the range is mapped, and there is room for a byte a page.
    assert_eq!(unsafe { libc::mincore(bottom.cast(), bytes, pages.as_mut_ptr()) }, 0);
    pages.into_iter().filter(|page| page & 1 != 0).count()
}

fn touch(stack: &Stack) {
    let bottom = stack.bottom();
    // SAFETY: the stack is ours.
    unsafe { bottom.write_bytes(0xA5, stack.top().addr() - bottom.addr()) };
}

fn take(pool: &StackPool, count: usize) -> Vec<Stack> {
    let mut stacks = Vec::new();
    while stacks.len() < count {
        pool.take_many(count - stacks.len(), &mut stacks).expect("stacks");
    }
    stacks
}

fn release_all(pool: &StackPool) -> Surplus {
    loop {
        match pool.release_surplus() {
            Surplus::Now => {}
            rest => return rest,
        }
    }
}

/// Which of these addresses lie in a mapping, with whatever rights.
fn mapped(mut addresses: Vec<usize>) -> Vec<usize> {
    let maps = fs::read_to_string("/proc/self/maps").expect("readable");
    let parse = |text| usize::from_str_radix(text, 16).expect("an address");
    let ranges: Vec<_> = maps
        .lines()
        .map(|line| {
            let (start, end) =
                line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
            parse(start)..parse(end)
        })
        .collect();
    // The ranges are sorted, and do not overlap.
    addresses.retain(|address| {
        let range = ranges.get(ranges.partition_point(|range| range.end <= *address));
        range.is_some_and(|range| range.contains(address))
    });
    addresses
}

#[test]
fn memory_that_was_unused_for_a_period_is_released_and_other_memory_stays() {
    let _beside_others = MAPPINGS.read();
    for guard in BOTH {
        let pool = StackPool::with_guard(STACK_BYTES, guard);
        let stacks = take(&pool, 50);
        stacks.iter().for_each(touch);
        pool.give_many(stacks.into_iter());
        pool.end_period();
        assert_eq!(release_all(&pool), Surplus::Later, "all were in use a moment ago");
        let used = take(&pool, 10);
        assert!(used.iter().all(|stack| resident(stack) == 16), "nothing was taken from them");
        pool.give_many(used.into_iter());
        pool.end_period();
        assert_eq!(release_all(&pool), Surplus::Later);
        let all = take(&pool, 50);
        let (warm, bare) = all.split_at(10);
        assert!(warm.iter().all(|stack| resident(stack) == 16), "ten were needed");
        assert!(bare.iter().all(|stack| resident(stack) == 0), "forty were not");
        // A bare stack is as good as new.
        bare.iter().for_each(touch);
        for stack in bare {
            assert!(overrun_at(stack.bottom().addr() - 1).is_some());
        }
        pool.give_many(all.into_iter());
    }
}

#[test]
fn slabs_that_nobody_needs_are_unmapped_and_come_again() {
    let _alone = MAPPINGS.write();
    for guard in BOTH {
        let pool = StackPool::with_guard(STACK_BYTES, guard);
        for _ in 0..3 {
            let mut stacks = take(&pool, 5000);
            let places: Vec<usize> = stacks.iter().map(|stack| stack.bottom().addr()).collect();
            let kept = stacks.swap_remove(1000);
            pool.give_many(stacks.into_iter());
            pool.end_period();
            pool.end_period();
            assert_eq!(release_all(&pool), Surplus::None);
            assert_eq!(pool.allocated(), 1);
            let left = mapped(places);
            assert!(
                left.len() < 2500,
                "{}: the slab in use, the first, and what others have mapped there",
                left.len()
            );
            assert!(left.contains(&kept.bottom().addr()));
            touch(&kept);
            pool.give(kept);
        }
    }
}

#[test]
fn a_pool_with_retired_slabs_and_lost_handles_can_be_dropped() {
    let _beside_others = MAPPINGS.read();
    let pool = StackPool::new(STACK_BYTES);
    let mut stacks = take(&pool, 5000);
    drop(stacks.split_off(4990));
    pool.give_many(stacks.into_iter());
    pool.end_period();
    pool.end_period();
    while pool.release_surplus() == Surplus::Now && pool.allocated() == 10 {
        if format!("{pool:?}").contains("total: 1") {
            break;
        }
    }
    drop(pool);
}

#[test]
fn stacks_are_taken_while_others_go_back() {
    let _beside_others = MAPPINGS.read();
    let pool = StackPool::new(STACK_BYTES);
    std::thread::scope(|threads| {
        let users: Vec<_> = (0..3_usize)
            .map(|seed| {
                let pool = &pool;
                threads.spawn(move || {
                    for round in 0..60 {
                        let stacks = take(pool, 1 + (round * 37 + seed * 11) % 300);
                        for stack in &stacks {
                            // SAFETY: the stack is ours.
                            unsafe { stack.top().sub(8).cast::<usize>().write(seed) };
                        }
                        std::thread::yield_now();
                        for stack in &stacks {
                            // SAFETY: as above.
                            assert_eq!(unsafe { stack.top().sub(8).cast::<usize>().read() }, seed);
                        }
                        pool.give_many(stacks.into_iter());
                    }
                })
            })
            .collect();
        while !users.iter().all(|user| user.is_finished()) {
            pool.end_period();
            pool.release_surplus();
        }
    });
    assert_eq!(pool.allocated(), 0);
    pool.end_period();
    pool.end_period();
    assert_eq!(release_all(&pool), Surplus::None);
}

struct Fiber {
    caller: Context,
    own: Context,
}

/// How deep. An optimised build has small frames, and takes some of the calls into the frame that stays.
const DEPTH: usize = if cfg!(debug_assertions) { 12 } else { 40 };

/// Keeps what it gets in a frame, goes deep, and then waits.
unsafe extern "C" fn go_deep_and_wait(word: usize, fiber: *mut ()) -> Exit {
    #[inline(never)]
    fn deep(depth: usize) -> usize {
        let frame = std::hint::black_box([depth; 100]);
        if depth == 0 { frame[0] } else { deep(depth - 1) + frame[99] }
    }
    let fiber = fiber.cast::<Fiber>();
    let kept = std::hint::black_box([word; 64]);
    let sum = deep(DEPTH);
    // SAFETY: the computation that continued us is suspended in `switch`.
    unsafe {
        let more = switch(&raw mut (*fiber).own, (*fiber).caller, sum);
        Exit { to: (*fiber).caller, word: kept.iter().sum::<usize>() + more }
    }
}

#[test]
fn memory_below_a_suspended_computation_is_released_and_the_computation_goes_on() {
    let _beside_others = MAPPINGS.read();
    let pool = StackPool::new(STACK_BYTES);
    let stack = pool.take().expect("a stack");
    let mut fiber = Fiber { caller: Context::dangling(), own: Context::dangling() };
    let fiber = &raw mut fiber;
    // SAFETY: the stack is fresh and outlives the fiber, each context is continued once, all on this thread.
    unsafe {
        (*fiber).own = prepare(stack.top(), go_deep_and_wait, fiber.cast());
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 2), DEPTH * (DEPTH + 1) / 2);
        let before = resident(&stack);
        assert!(before >= 4, "{before} pages");
        let mut release = Release::new();
        release.add_unused(&stack, (*fiber).own);
        let by_hand = !cfg!(abaca_corosensei);
        assert_ne!(release.is_empty(), by_hand);
        drop(release);
        let after = resident(&stack);
        assert_eq!(after < before / 2 + 1, by_hand, "{after} pages of {before}");
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 1), 129);
        let mut release = Release::new();
        release.add_unused(&stack, Context::dangling());
        assert!(release.is_empty(), "that is on no stack");
    }
    pool.give(stack);
}

/// Goes deep in a coroutine and waits there. Sends the address of something on the coroutine's stack.
#[cfg(feature = "std")]
unsafe extern "C" fn go_deep_and_wait_in_a_coroutine(_: usize, fiber: *mut ()) -> Exit {
    let fiber = fiber.cast::<Fiber>();
    let mut coroutine = abaca_asm::coroutine::Coroutine::<(), (), usize>::new(move |_, ()| {
        let mut bytes = std::hint::black_box([7_u8; 32 * 1024]);
        std::hint::black_box(&mut bytes);
        let bytes = wait(fiber);
        bytes + 1
    });
    /// In a frame of its own, above which the bytes are.
    #[inline(never)]
    fn wait(fiber: *mut Fiber) -> usize {
        let here = 0_u8;
        // SAFETY: the computation that continued the fiber is suspended in `switch`.
        unsafe { switch(&raw mut (*fiber).own, (*fiber).caller, (&raw const here).expose_provenance()) }
    }
    let word = coroutine.resume(()).into_return().expect("it is resumed once");
    // SAFETY: as above.
    Exit { to: unsafe { (*fiber).caller }, word }
}

#[test]
#[cfg(feature = "std")]
fn memory_below_a_coroutine_in_which_a_fiber_is_suspended_is_released() {
    let _beside_others = MAPPINGS.read();
    let pool = StackPool::new(STACK_BYTES);
    let stack = pool.take().expect("a stack");
    let mut fiber = Fiber { caller: Context::dangling(), own: Context::dangling() };
    let fiber = &raw mut fiber;
    // SAFETY: the stack is fresh and outlives the fiber, each context is continued once, all on this thread.
    unsafe {
        (*fiber).own = prepare(stack.top(), go_deep_and_wait_in_a_coroutine, fiber.cast());
        let here = switch(&raw mut (*fiber).caller, (*fiber).own, 0);
        // Below that, some pages, as if a call had gone deep and come back.
        let page = here / 4096 * 4096;
        let below = std::ptr::with_exposed_provenance_mut::<u8>(page - 16 * 4096);
        below.write_bytes(0xA5, 8 * 4096);
        let mut release = Release::new();
        release.add_unused(&stack, (*fiber).own);
        drop(release);
        let by_hand = !cfg!(abaca_corosensei);
        assert_eq!(below.read() == 0, by_hand, "what was below is gone");
        assert_eq!(switch(&raw mut (*fiber).caller, (*fiber).own, 41), 42);
    }
    pool.give(stack);
}
