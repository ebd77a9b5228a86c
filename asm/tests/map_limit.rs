//! The fallback to `mprotect`, up to the limit of mappings. A test binary of its own: it leaves no mapping
//! to others.

use std::fs;
use std::io;

use abaca_asm::stack::{Guard, Stack, StackPool};

#[test]
fn the_error_at_the_map_limit_names_the_limit_and_the_sysctl() {
    let limit: usize =
        fs::read_to_string("/proc/sys/vm/max_map_count").expect("readable").trim().parse().expect("a number");
    if limit > 1 << 20 {
        return eprintln!("the limit of this machine ({limit}) is too high to be reached in a test");
    }
    let pool = StackPool::with_guard(16 * 1024, Guard::Mprotect);
    let mut stacks: Vec<Stack> = Vec::with_capacity(limit);
    let error = loop {
        match pool.take_many(100, &mut stacks) {
            Ok(()) => assert!(stacks.len() <= limit, "two mappings each"),
            Err(error) => break io::Error::from(error),
        }
    };
    // The kernel's refusal is total: give some room before anything else wants to map.
    let reached = stacks.len();
    let text = error.to_string();
    pool.give_many(stacks.into_iter());
    drop(pool);
    assert!(reached > limit / 2 - 500, "only {reached} stacks of {}", limit / 2);
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
    assert!(text.contains(&format!("vm.max_map_count ({limit})")), "{text}");
    assert!(text.contains("sysctl -w vm.max_map_count="), "{text}");
    // And the supply is back.
    let pool = StackPool::with_guard(16 * 1024, Guard::Mprotect);
    let stack = pool.take().expect("a stack");
    pool.give(stack);
}
