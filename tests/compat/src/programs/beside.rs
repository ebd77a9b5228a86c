//! Libraries that wait for other threads of the process, which are OS threads beside the fibers.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{Gone, Program, Version, WAITS_FOR_A_THREAD, always, text};
use crate::call::{Answer, Call};
use crate::seen;

/// A program that waits for a thread.
pub(super) const THREADS: Program = Program {
    name: "",
    version: Version::Toolchain,
    is_there: always,
    slow: |_| Ok(String::new()),
    look: None,
    gone: Gone::Never,
    goes_on: WAITS_FOR_A_THREAD,
};

pub(super) const PROGRAMS: &[Program] = &[
    Program { name: "std::thread and mpsc", slow: by_std, ..THREADS },
    Program { name: "crossbeam", version: Version::Of("crossbeam"), slow: by_crossbeam, ..THREADS },
    Program { name: "parking_lot", version: Version::Of("parking_lot"), slow: by_parking_lot, ..THREADS },
    Program { name: "rayon beside it", version: Version::Of("rayon"), slow: by_rayon, ..THREADS },
];

pub(super) fn serve(time: Duration) {
    let _served = seen::begin();
    std::thread::sleep(time);
}

fn by_std(call: &Call<'_>) -> Answer {
    let (sender, receiver) = std::sync::mpsc::channel();
    let time = call.time;
    call.ready();
    let thread = std::thread::spawn(move || {
        serve(time);
        sender.send("done").unwrap();
    });
    let answer = receiver.recv().map_err(text)?;
    thread.join().unwrap();
    Ok(answer.into())
}

/// Waits for one of two channels; the other stays empty.
fn by_crossbeam(call: &Call<'_>) -> Answer {
    let (sender, receiver) = crossbeam::channel::unbounded();
    let (_never, nothing) = crossbeam::channel::bounded::<()>(0);
    let time = call.time;
    call.ready();
    let thread = std::thread::spawn(move || {
        serve(time);
        sender.send("done").unwrap();
    });
    let answer = crossbeam::channel::select! {
        recv(nothing) -> _ => Err("nothing was sent".to_owned()),
        recv(receiver) -> answer => answer.map_err(text),
    };
    thread.join().unwrap();
    answer.map(str::to_owned)
}

fn by_parking_lot(call: &Call<'_>) -> Answer {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let time = call.time;
    call.ready();
    let thread = std::thread::spawn({
        let shared = shared.clone();
        move || {
            // The lock is held, then the condition is awaited.
            let mut value = shared.0.lock();
            serve(time);
            *value = 42;
            drop(value);
            shared.1.notify_one();
        }
    });
    let mut value = shared.0.lock();
    while *value == 0 {
        shared.1.wait(&mut value);
    }
    let answer = value.to_string();
    drop(value);
    thread.join().unwrap();
    Ok(answer)
}

/// A pool of ten threads, as many as there are calls.
fn by_rayon(call: &Call<'_>) -> Answer {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| rayon::ThreadPoolBuilder::new().num_threads(10).build().unwrap());
    let time = call.time;
    call.ready();
    let answer: u32 = pool.install(|| {
        serve(time);
        (0..100).into_par_iter().sum()
    });
    Ok(answer.to_string())
}
