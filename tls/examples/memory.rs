//! How much memory a parked fiber with a block takes: of its stack's pages, those that are resident.
//!
//! ```sh
//! cargo run --release -p abaca-tls --example memory
//! GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1 cargo run --release -p abaca-tls --example memory
//! ```
#![expect(unsafe_code, reason = "switches stacks with blocks")]

use abaca_asm::stack::{Stack, StackPool};
use abaca_asm::{Context, Exit, prepare, switch};
use abaca_tls::{Block, Carrier, ThreadPointer, set_thread_pointer, support};

const FIBERS: usize = 10_000;

struct Fiber {
    context: Context,
    resumer: Context,
    block: Option<Block>,
    stack: Stack,
}

/// Uses some of its stack, as much as a fiber that waits in a call does, and is suspended.
unsafe extern "C" fn run(_: usize, fiber: *mut ()) -> Exit {
    let fiber = fiber.cast::<Fiber>();
    let mut used = [0_u8; 400];
    std::hint::black_box(&mut used);
    // SAFETY: the resumer is suspended.
    unsafe {
        switch(&raw mut (*fiber).context, (*fiber).resumer, 0);
        std::hint::black_box(&mut used);
        Exit { to: (*fiber).resumer, word: 0 }
    }
}

#[inline(never)]
fn resume(fiber: *mut Fiber, block: Option<ThreadPointer>, carrier: &Carrier) {
    // SAFETY: the fiber is suspended, and this function has no thread-local variable.
    unsafe {
        if let Some(block) = block {
            carrier.lend(block);
            set_thread_pointer(block);
        }
        switch(&raw mut (*fiber).resumer, (*fiber).context, 0);
        if let Some(block) = block {
            set_thread_pointer(carrier.pointer());
            carrier.take_back(block);
        }
    }
}

/// Bytes of the process that are resident.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("a file of the kernel's");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

fn main() {
    let support = match support() {
        Ok(support) => support,
        Err(why) => return println!("{why}"),
    };
    println!("{} bytes of each stack for the block", support.block_bytes());
    let carrier = Carrier::of_this_thread().expect("blocks");
    for with_block in [false, true] {
        let pool = StackPool::new(64 * 1024);
        let mut fibers = Vec::with_capacity(FIBERS);
        let before = resident();
        for _ in 0..FIBERS {
            let stack = pool.take().expect("a stack");
            let bytes = stack.top().addr() - stack.bottom().addr();
            // SAFETY: the stack is this fiber's, and outlives the process.
            let block = with_block.then(|| unsafe { Block::new(stack.bottom(), bytes) }.expect("a block"));
            let top = block.as_ref().map_or(stack.top(), Block::frames_end);
            let fiber = Fiber { context: Context::dangling(), resumer: Context::dangling(), block, stack };
            let fiber = Box::into_raw(Box::new(fiber));
            // SAFETY: the stack is unused below `top`.
            unsafe {
                (*fiber).context = prepare(top, run, fiber.cast());
                resume(fiber, (*fiber).block.as_ref().map(Block::pointer), &carrier);
                std::hint::black_box((*fiber).stack.top());
            }
            fibers.push(fiber);
        }
        let each = (resident() - before) / FIBERS;
        println!(
            "{FIBERS} parked fibers {}: {each} bytes each",
            if with_block { "with blocks" } else { "without" }
        );
        std::mem::forget(pool);
    }
    // Ten thousand blocks take a while to end.
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) }
}
