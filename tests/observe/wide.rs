//! The search for leaks where it is hard: in a process with a terabyte of memory, beside a fiber that keeps its worker, and without time.

#![expect(unsafe_code, reason = "maps memory")]

use std::hint::{black_box, spin_loop};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use abaca::Runtime;
use abaca::channel::{bounded, never};
use abaca::observe::{FiberDump, leaks, leaks_within};
use abaca::sync::Mutex;

use super::shapes::{TRIES, searched};

/// A terabyte that may be written, of which a page here and there has been, and others were read.
fn map_a_terabyte() -> bool {
    const BYTES: usize = 1 << 40;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping.
    let at = unsafe { libc::mmap(ptr::null_mut(), BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        println!("not that much memory may be reserved here");
        return false;
    }
    for place in (0..BYTES).step_by(BYTES / 64) {
        // SAFETY: within the mapping.
        unsafe {
            at.cast::<u8>().add(place).write_volatile(1);
            black_box(at.cast::<u8>().add(place + (1 << 22)).read_volatile());
        }
    }
    true
}

pub(crate) fn find_beside_a_terabyte() {
    if map_a_terabyte() {
        crate::shapes::find();
    }
}

/// Calls `look` while a fiber keeps the only worker, on which `others` wait. The hog has `kept` until then.
fn beside_a_hog<T: Send + 'static>(
    kept: T,
    others: usize,
    spawn: impl FnOnce() + Send + 'static,
    look: impl FnOnce(),
) {
    let runtime = Runtime::builder().workers(1).stall_threshold(None).build().unwrap();
    let (runs, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (theirs, ends) = (Arc::clone(&runs), Arc::clone(&stop));
    let hog = runtime.spawn(move || {
        spawn();
        while abaca::observe::parked().iter().map(|(_, fibers)| *fibers as usize).sum::<usize>() < others {
            abaca::yield_now();
        }
        // With a look at them each has an id, by which it is known as the holder of a lock.
        println!("{}", abaca::dump().fibers().len());
        theirs.store(true, SeqCst);
        while !ends.load(SeqCst) {
            spin_loop();
        }
        drop(black_box(kept));
    });
    while !runs.load(SeqCst) {
        std::thread::yield_now();
    }
    look();
    stop.store(true, SeqCst);
    runtime.run(|| hog.join().unwrap());
}

/// Those that a hog's neighbours wait for in vain are found, and those that the hog itself could wake are not.
pub(crate) fn find_beside_a_hog() {
    let leak = || {
        drop(abaca::spawn(|| assert!(never::<u8>().recv().is_err())));
        drop(abaca::spawn(|| {
            let mutex = Mutex::new(());
            let _held = mutex.lock().unwrap();
            drop(mutex.lock());
        }));
    };
    beside_a_hog((), 2, leak, || {
        let found = searched();
        let mut reasons: Vec<_> =
            found.fibers().iter().filter_map(|fiber| Some(fiber.wait()?.reason())).collect();
        reasons.sort_unstable();
        assert_eq!(reasons, ["channel receive", "mutex"], "{found}");
    });
    let (sender, receiver) = bounded::<u8>(0);
    let waits = || drop(abaca::spawn(move || assert!(receiver.recv().is_err())));
    beside_a_hog(sender, 1, waits, || {
        // What the hog has is not known if it does not run for some time.
        let searches = std::iter::repeat_with(leaks).inspect(|found| assert!(found.is_empty(), "{found}"));
        let was_searched = searches.take(TRIES).any(|found| found.not_searched().is_none());
        assert!(was_searched, "in none of {TRIES} tries was there time for the hog");
    });
}

#[test]
fn a_search_for_which_there_is_no_time_says_so() {
    let (sender, receiver) = bounded::<u8>(0);
    abaca::run(|| {
        let builder = abaca::Builder::new().name("has no time".into());
        let waits = builder.spawn(move || assert!(receiver.recv().is_err())).unwrap();
        let is_parked = |fiber: &FiberDump| fiber.name() == Some("has no time") && fiber.wait().is_some();
        while !abaca::dump().fibers().iter().any(is_parked) {
            abaca::yield_now();
        }
        let found = leaks_within(Duration::ZERO);
        assert!(found.is_empty() && found.not_searched().unwrap().contains("time"), "{found}");
        assert!(found.to_string().contains("NOT SEARCHED"), "{found}");
        drop(sender);
        waits.join().unwrap();
    });
}
