//! Programs that are wrong in one way each, on fibers, for the sanitizers to find: `bash .ci/run sanitizers` fails if one of them
//! passes. Without a sanitizer they mean nothing, and nobody runs them.

#![expect(unsafe_code, reason = "each is wrong on purpose")]

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Reads a box that another fiber has freed.
fn heap_use_after_free() {
    let freed = abaca::spawn(|| Box::into_raw(Box::new(7_u64)).expose_provenance()).join().expect("no panic");
    let freed = std::ptr::with_exposed_provenance_mut::<u64>(freed);
    abaca::yield_now();
    // SAFETY: it came from a box.
    drop(unsafe { Box::from_raw(freed) });
    abaca::yield_now();
    // SAFETY: none: this is the fault.
    black_box(unsafe { freed.read_volatile() });
}

/// Writes past the end of an array in a fiber's frame, after a switch.
fn stack_buffer_overflow() {
    let mut frame = [0_u8; 32];
    let start = black_box(frame.as_mut_ptr());
    abaca::yield_now();
    // SAFETY: none: this is the fault.
    unsafe { start.add(black_box(33)).write_volatile(1) };
    black_box(&frame);
}

/// A fiber and a thread write to the same word; nothing orders them.
fn data_race() {
    static ARRIVED: AtomicU32 = AtomicU32::new(0);
    static mut WORD: u64 = 0;
    let race = || {
        // Relaxed: orders nothing. Only so that both run at once.
        ARRIVED.fetch_add(1, Relaxed);
        while ARRIVED.load(Relaxed) < 2 {
            std::hint::spin_loop();
        }
        for n in 0..1_000 {
            // SAFETY: none: this is the fault.
            unsafe { (&raw mut WORD).write_volatile(n) };
        }
    };
    let other = std::thread::spawn(race);
    race();
    abaca::yield_now();
    other.join().expect("no panic");
}

/// Decides by a word of a fiber's frame that was never written.
fn uninitialised_read() {
    let frame = black_box(MaybeUninit::<[u64; 4]>::uninit());
    abaca::yield_now();
    // SAFETY: none: this is the fault.
    let word = unsafe { frame.as_ptr().cast::<u64>().read_volatile() };
    if black_box(word) == 12_345 {
        println!("as good as any other");
    }
}

fn main() {
    let which = std::env::args().nth(1).expect("which fault");
    abaca::Runtime::builder().workers(2).build().expect("a runtime").run(|| {
        let fault = match which.as_str() {
            "heap-use-after-free" => heap_use_after_free,
            "stack-buffer-overflow" => stack_buffer_overflow,
            "data-race" => data_race,
            "uninitialised-read" => uninitialised_read,
            _ => panic!("no such fault"),
        };
        abaca::spawn(fault).join().expect("no panic");
    });
}
