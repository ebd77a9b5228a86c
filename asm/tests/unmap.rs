//! What a dropped pool leaves in the address space. A test binary of its own: other tests would map into the gap.

use std::fs;

use abaca_asm::stack::{Guard, StackPool};

/// Whether an address lies in a mapping of this process, with whatever rights.
fn is_mapped(address: usize) -> bool {
    let maps = fs::read_to_string("/proc/self/maps").expect("readable");
    maps.lines().any(|line| {
        let (start, rest) = line.split_once('-').expect("a range");
        let (end, _) = rest.split_once(' ').expect("a range");
        let parse = |text| usize::from_str_radix(text, 16).expect("an address");
        (parse(start)..parse(end)).contains(&address)
    })
}

#[test]
fn dropping_the_pool_unmaps_what_was_given_back_or_dropped() {
    for guard in [Guard::Madvise, Guard::Mprotect] {
        let pool = StackPool::with_guard(64 * 1024, guard);
        let mut stacks = Vec::new();
        pool.take_many(200, &mut stacks).expect("stacks");
        let places: Vec<usize> = stacks.iter().map(|stack| stack.bottom().addr()).collect();
        drop(stacks.split_off(150));
        pool.give_many(stacks.into_iter());
        assert!(places.iter().all(|&place| is_mapped(place)));
        drop(pool);
        assert!(!places.iter().any(|&place| is_mapped(place)));
    }
}
