//! What the parts of a block cost, in nanoseconds: the least, and the median of many short batches.
//!
//! ```sh
//! cargo run --release -p abaca-tls --example block_cost
//! ```
#![expect(unsafe_code, reason = "installs blocks")]

use std::cell::Cell;
use std::hint::black_box;
use std::time::Instant;

use abaca_tls::{Block, Carrier, finish, reset, set_thread_pointer, support, thread_pointer};

fn per(name: &str, times: u32, mut f: impl FnMut()) {
    let mut all: Vec<f64> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..times {
                f();
            }
            begun.elapsed().as_nanos() as f64 / f64::from(times)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    println!("{name:<66} {:9.2} {:9.2}", all[0], all[all.len() / 2]);
}

#[inline(never)]
fn within(block: &Block, carrier: &Carrier, f: &mut dyn FnMut()) {
    let own = thread_pointer();
    // SAFETY: nobody else uses the block; this function has no thread-local variables, and `f` is not inlined into it.
    unsafe {
        carrier.lend(block.pointer());
        set_thread_pointer(block.pointer());
        black_box(f)();
        set_thread_pointer(own);
        carrier.take_back(block.pointer());
    }
}

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static DROPS: Cell<Option<Box<u64>>> = const { Cell::new(None) };
}

fn main() {
    let support = match support() {
        Ok(support) => support,
        Err(why) => return println!("{why}"),
    };
    let (major, minor) = support.glibc_version();
    println!("glibc {major}.{minor}, {} bytes of each stack; ns: least, median", support.block_bytes());
    println!("blocks are made by threads: {:?}", support.by_thread());
    let carrier = Carrier::of_this_thread().expect("there are blocks");
    let mut memory = vec![0_u128; 64 * 1024 / 16];
    let lowest: *mut u8 = memory.as_mut_ptr().cast();
    // SAFETY: the memory is ours, and outlives the blocks, of which there is one at a time.
    let new = || unsafe { Block::new(lowest, 64 * 1024) }.expect("a block");
    let block = new();
    per("read the thread pointer", 1000, || {
        black_box(thread_pointer());
    });
    let own = thread_pointer();
    // SAFETY: the same value.
    per("write the thread pointer", 1000, || unsafe { set_thread_pointer(own) });
    // SAFETY: the block is installed nowhere.
    per("lend", 1000, || unsafe { carrier.lend(block.pointer()) });
    // SAFETY: the block is installed nowhere.
    per("lend and take back", 1000, || unsafe {
        carrier.lend(block.pointer());
        carrier.take_back(block.pointer());
    });
    within(&block, &carrier, &mut || {
        // SAFETY: the block is installed, and nothing uses its variables.
        per("finish, with nothing to do", 1000, || unsafe { finish() });
        // SAFETY: as above.
        per("reset", 1000, || unsafe { reset() });
        per("a variable used, finish, reset", 1000, || {
            NUMBER.set(NUMBER.get() + 1);
            // SAFETY: as above.
            unsafe { finish() };
            // SAFETY: as above.
            unsafe { reset() };
        });
        per("a variable with a destructor used, finish, reset", 1000, || {
            DROPS.set(Some(Box::new(1)));
            // SAFETY: as above.
            unsafe { finish() };
            // SAFETY: as above.
            unsafe { reset() };
        });
        per("an id of std's used, finish, reset", 1000, || {
            black_box(std::thread::current().id());
            // SAFETY: as above.
            unsafe { finish() };
            // SAFETY: as above.
            unsafe { reset() };
        });
    });
    drop(block);
    per("make a block and end it", 10, || drop(new()));
    per("spawn a thread and join it", 10, || std::thread::spawn(|| ()).join().expect("it ends"));
}
