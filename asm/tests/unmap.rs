//! What a dropped pool leaves in the address space. A test binary of its own: other tests would map into
//! the gap.

use std::fs;

use abaca_asm::stack::{Guard, StackPool};

/// How many of these addresses lie in a mapping of this process, with whatever rights.
fn count_mapped(addresses: &[usize]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("readable");
    let parse = |text| usize::from_str_radix(text, 16).expect("an address");
    let ranges = maps.lines().map(|line| {
        let (start, end) =
            line.split_once(' ').and_then(|(range, _)| range.split_once('-')).expect("a range");
        parse(start)..parse(end)
    });
    ranges.map(|range| addresses.iter().filter(|address| range.contains(address)).count()).sum()
}

#[test]
fn dropping_the_pool_unmaps_stacks_that_were_given_back_or_dropped() {
    for guard in [Guard::Madvise, Guard::Mprotect] {
        let pool = StackPool::with_guard(64 * 1024, guard);
        let mut stacks = Vec::new();
        pool.take_many(200, &mut stacks).expect("stacks");
        let places: Vec<usize> = stacks.iter().map(|stack| stack.bottom().addr()).collect();
        drop(stacks.split_off(150));
        pool.give_many(stacks.into_iter());
        assert_eq!(count_mapped(&places), 200);
        drop(pool);
        assert_eq!(count_mapped(&places), 0);
    }
}
