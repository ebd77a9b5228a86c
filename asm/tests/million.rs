//! A million guarded stacks with one touched page each, under whatever `vm.max_map_count` is set.
#![expect(unsafe_code, reason = "touches the stacks")]

use std::fs;

use abaca_asm::stack::{Guard, Stack, StackPool};

const STACKS: usize = 1_000_000;
const STACK_BYTES: usize = 64 * 1024;

/// 4.1 GB for the pages and 0.13 GB for their tables, and some to spare.
const NEEDED_KB: usize = 6 << 20;

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").expect("readable").lines().count()
}

fn available_kb() -> usize {
    let meminfo = fs::read_to_string("/proc/meminfo").expect("readable");
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:")).expect("a line of that name");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

#[test]
fn a_million_touched_stacks_take_a_handful_of_mappings() {
    // 40,000 are already more than separate mappings allow; a small machine stops there.
    let stacks = if available_kb() > NEEDED_KB { STACKS } else { 40_000 };
    let before = mappings();
    let pool = StackPool::new(STACK_BYTES);
    let mut taken: Vec<Stack> = Vec::with_capacity(stacks);
    for count in 1..=stacks {
        if let Err(error) = pool.take_many(1, &mut taken) {
            assert_eq!(pool.guard(), Guard::Mprotect, "stack {count}: {error}");
            // An old kernel: the limit ends the supply, by an error that says so.
            assert!(error.to_string().contains("vm.max_map_count"), "{error}");
            break;
        }
        let top = taken[count - 1].top();
        // SAFETY: the stack is ours.
        unsafe { top.sub(8).cast::<usize>().write(count) };
    }
    assert_eq!(pool.allocated(), taken.len());
    if pool.guard() == Guard::Madvise {
        assert_eq!(taken.len(), stacks);
        assert!(mappings() < before + 64, "{} mappings, {before} before", mappings());
    }
    for (index, stack) in taken.iter().enumerate() {
        // SAFETY: the stack is ours.
        assert_eq!(unsafe { stack.top().sub(8).cast::<usize>().read() }, index + 1);
    }
    pool.give_many(taken.into_iter());
    drop(pool);
    assert!(mappings() < before + 64);
}
