//! Dumps while runtimes come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use abaca::runtime::Poller::{Thread, Workers};

#[test]
fn dumps_are_taken_while_fibers_start_and_end_and_runtimes_shut_down() {
    let stop = Arc::new(AtomicBool::new(false));
    let (dumps, fibers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (stop, dumps, fibers) = (Arc::clone(&stop), Arc::clone(&dumps), Arc::clone(&fibers));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let dump = abaca::dump();
                    assert!(!dump.to_json().is_empty() && dump.cycles().is_empty());
                    fibers.fetch_add(dump.fibers().len(), Ordering::Relaxed);
                    dumps.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for (workers, poller) in [(1, Workers), (2, Thread), (3, Workers), (8, Thread), (8, Workers), (1, Thread)]
    {
        let runtime = abaca::Runtime::builder().workers(workers).poller(poller).build().unwrap();
        runtime.run(|| {
            abaca::scope(|scope| {
                for n in 0..20 {
                    scope.spawn(move || {
                        for _ in 0..20 {
                            abaca::spawn(move || abaca::sleep(Duration::from_micros(n)));
                            abaca::yield_now();
                        }
                    });
                }
                scope.spawn(|| assert!(!abaca::dump().fibers().is_empty(), "the caller is there at least"));
            });
            drop(abaca::spawn(abaca::park));
        });
    }
    // The threads see fibers as well, wherever they were while the others ran.
    let runtime = abaca::Runtime::builder().workers(1).build().unwrap();
    let parked = runtime.spawn(abaca::park);
    while fibers.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    parked.fiber().unpark();
    runtime.run(|| parked.join().unwrap());
    let before = dumps.load(Ordering::Relaxed);
    while dumps.load(Ordering::Relaxed) < before + 3 {
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
