//! Dumps a hundred thousand parked fibers while others run, and measures for how long these are kept waiting.
//!
//! `cargo run --release --example dump_many` prints the time of the dump, and the longest gap between two turns of a fiber that
//! only yields; `-- 1000` takes fewer fibers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A fiber that yields until `stop`, and notes the longest time between two of its turns.
fn run_beside(stop: &AtomicBool, longest_ns: &AtomicU64) {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        abaca::yield_now();
        let gap = last.elapsed();
        last += gap;
        longest_ns.fetch_max(gap.as_nanos() as u64, Ordering::Relaxed);
    }
}

fn main() {
    let count: usize =
        std::env::args().nth(1).map_or(100_000, |text| text.parse().expect("a number of fibers"));
    abaca::run(move || {
        let fibers: Vec<_> = (0..count).map(|_| abaca::spawn(abaca::park)).collect();
        // Names are looked up once in a program's life.
        while abaca::dump().fibers().iter().filter(|fiber| fiber.wait().is_some()).count() < count {
            abaca::sleep(Duration::from_millis(10));
        }
        let (stop, longest_ns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stops, notes) = (Arc::clone(&stop), Arc::clone(&longest_ns));
        let beside = abaca::spawn(move || run_beside(&stops, &notes));
        let began = Instant::now();
        let dump = abaca::dump();
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        beside.join().expect("it only yields");
        let longest = Duration::from_nanos(longest_ns.load(Ordering::Relaxed));
        println!("{} fibers, {} bytes of text", dump.fibers().len(), dump.to_string().len());
        println!("{took:.1?} for the dump, {longest:.1?} the longest pause of a fiber that runs");
        assert!(dump.fibers().len() >= count, "every fiber is there");
        for fiber in fibers {
            fiber.fiber().unpark();
            fiber.join().expect("it only parks");
        }
    });
}
