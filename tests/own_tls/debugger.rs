//! `gdb/abaca.py` on fibers with storage of their own: a parked one, and one that its worker has left behind on a thread, where it runs.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use crate::hogs::tick;
use crate::{command, is_child, runtime};

/// Never ends.
#[inline(never)]
fn stay_behind() {
    loop {
        std::hint::spin_loop();
    }
}

#[test]
fn gdb_shows_a_fiber_that_its_worker_has_left_behind() {
    if is_child() {
        abaca_tests::let_gdb_attach();
        runtime(1).run(|| {
            static TICKS: AtomicUsize = AtomicUsize::new(0);
            let named = |name: &str| abaca::Builder::new().name(name.into());
            drop(named("waits").spawn(abaca::park));
            drop(named("stays").spawn(stay_behind));
            // It goes on only on a worker that has left.
            tick(&TICKS, TICKS.load(SeqCst) + 20);
            println!("ready");
            abaca::park();
        });
    }
    let folder = std::env::temp_dir().join(format!("abaca-own-core-{}", std::process::id()));
    let test = "debugger::gdb_shows_a_fiber_that_its_worker_has_left_behind";
    abaca_tests::with_gdb(
        &folder,
        || abaca_tests::leaving_a_core(&command(test), &folder),
        |text| {
            for expected in [
                "'stays' on worker 0: running on thread ",
                "'waits' on worker 0: park",
                "stay_behind",
                "thread-locals are at the thread pointer 0x",
            ] {
                assert!(text.contains(expected), "no {expected} in {text}");
            }
        },
    );
}
