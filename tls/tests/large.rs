//! A program with a megabyte of thread-local variables of its own: they are part of each block, which needs a stack for them.
#![expect(unsafe_code, reason = "makes blocks, and installs one")]

mod fiber;

use std::cell::Cell;
use std::io::ErrorKind;

use abaca_tls::{Block, Carrier, finish, reset, set_thread_pointer, thread_pointer};
use fiber::has_blocks;

/// Half of the stack of a test's thread, at whose top they are as well.
const BYTES: usize = 1024 * 1024;

thread_local!(static LARGE: Cell<[u64; BYTES / 8]> = const { Cell::new([5; BYTES / 8]) });

/// Sets each page's first number to `to`, and returns the sum of what was there.
fn replace(to: u64) -> u64 {
    LARGE.with(|large| {
        let numbers = large.as_ptr().cast::<u64>();
        (0..BYTES / 4096)
            // SAFETY: within the variable, to which there is no other reference.
            .map(|page| unsafe { std::ptr::replace(numbers.add(page * 512), to) })
            .sum()
    })
}

#[inline(never)]
fn within(block: &Block, carrier: &Carrier, f: fn()) {
    let own = thread_pointer();
    // SAFETY: the block is used by nobody else; `f` is not inlined.
    unsafe {
        carrier.lend(block.pointer());
        set_thread_pointer(block.pointer());
        std::hint::black_box(f)();
        set_thread_pointer(own);
        carrier.take_back(block.pointer());
    }
}

#[test]
fn large_variables_are_part_of_a_block_and_are_reset() {
    if !has_blocks() {
        return;
    }
    let support = abaca_tls::support().expect("blocks");
    assert!((BYTES..BYTES + 16 * 1024).contains(&support.block_bytes()));
    let mut memory = vec![0_u128; 2 * BYTES / 16];
    let lowest: *mut u8 = memory.as_mut_ptr().cast();
    // SAFETY: the memory is ours, and outlives the block.
    let error = unsafe { Block::new(lowest, BYTES) }.expect_err("there is no room");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // SAFETY: as above.
    let block = unsafe { Block::new(lowest, 2 * BYTES) }.expect("a block");
    let carrier = Carrier::of_this_thread().expect("blocks");
    let pages = u64::try_from(BYTES / 4096).expect("few");
    assert_eq!(replace(1), 5 * pages);
    for _ in 0..3 {
        within(&block, &carrier, || {
            assert_eq!(replace(2), 5 * u64::try_from(BYTES / 4096).expect("few"));
            // SAFETY: the block is installed, and its variables are used no more.
            unsafe { finish() };
            // SAFETY: as above.
            unsafe { reset() };
        });
    }
    assert_eq!(replace(5), pages);
    drop(block);
}
