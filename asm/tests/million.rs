//! A million guarded stacks with one touched page each, under whatever `vm.max_map_count` is set.
#![expect(unsafe_code, reason = "touches the stacks")]

use std::fs;
use std::path::{Path, PathBuf};

use abaca_asm::stack::{Guard, Stack, StackPool};

const STACKS: usize = 1_000_000;
const STACK_BYTES: usize = 64 * 1024;

/// 4.1 GB for the pages and 0.13 GB for their tables, and some to spare.
const NEEDED_KB: usize = 6 << 20;

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").expect("readable").lines().count()
}

/// The memory that the machine has left, or what groups of processes let this one have of it (cgroups), if that is less.
fn available_kb() -> usize {
    let meminfo = fs::read_to_string("/proc/meminfo").expect("readable");
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:")).expect("a line of that name");
    let machine = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups.lines().flat_map(left_in).fold(machine, usize::min)
}

/// What the group of this line of `/proc/self/cgroup` has left, and what the groups have that it is in, as far as they have limits.
fn left_in(line: &str) -> Vec<usize> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { return Vec::new() };
    let (root, limit, used) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max", "memory.current"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        }
        _ => return Vec::new(),
    };
    let group = Path::new(root).join(group.trim_start_matches('/'));
    // A container may see its own group as the root, and have a path of the host's: the root is asked in any case.
    let groups = group.ancestors().take_while(|group| group.starts_with(root)).chain([Path::new(root)]);
    let bytes = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let left = |group: &Path| Some(bytes(group.join(limit))?.saturating_sub(bytes(group.join(used))?) >> 10);
    groups.filter_map(left).collect()
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
