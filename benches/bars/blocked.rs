//! What tasks that block their thread in a C call do to a neighbour: ten in `poll` for 200 ms, beside a ticker that wants
//! to run every millisecond. Fibers and tokio's tasks have one worker.

#![expect(unsafe_code, reason = "calls poll(2) as a C library would")]

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abaca_benches::sample::Sample;

use super::variant::Variant;

/// How many block.
const BLOCKED: u64 = 10;

/// How often the ticker wants to run.
const TICK: Duration = Duration::from_millis(1);

/// The figure `ms`: from when the first was started until the last has come back; `ticker late ms`: the longest that the ticker
/// was late meanwhile.
pub(crate) fn ten_in_poll(variant: Variant, quick: bool) -> Sample {
    let ms = if quick { 1 } else { 200 };
    let (elapsed, late) = match variant {
        Variant::Threads => with_threads(ms),
        Variant::Tokio => with_tokio(ms),
        _ => {
            let runtime = variant.runtime().expect("it is a mode of abaca's fibers");
            runtime.run(move || with_fibers(ms))
        }
    };
    Sample::whole(elapsed).with("ticker late ms", late.as_secs_f64() * 1e3)
}

/// Blocks the thread.
fn poll(ms: i32) {
    // SAFETY: there are no descriptors, so the null pointer is not read.
    let ready = unsafe { libc::poll(ptr::null_mut(), 0, ms) };
    assert_eq!(ready, 0, "nothing but the time can end it");
}

/// How many have come back.
#[derive(Clone, Debug, Default)]
struct Back(Arc<AtomicU64>);

impl Back {
    fn poll(&self, ms: i32) {
        poll(ms);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn are_all(&self) -> bool {
        self.0.load(Ordering::Relaxed) == BLOCKED
    }
}

/// The times at which the ticker wants to run.
struct Ticks {
    due: Instant,
    late: Duration,
}

impl Ticks {
    fn new() -> Self {
        Self { due: Instant::now(), late: Duration::ZERO }
    }

    /// When the ticker runs next.
    fn next(&mut self) -> Instant {
        self.due += TICK;
        self.due
    }

    fn now(&mut self) {
        self.late = self.late.max(self.due.elapsed());
        // What it has missed is missed once.
        self.due = self.due.max(Instant::now() - TICK);
    }
}

fn with_fibers(ms: i32) -> (Duration, Duration) {
    let back = Back::default();
    let (first, ticks) = abaca::channel::bounded(1);
    let watched = back.clone();
    let ticker = abaca::spawn(move || {
        let mut ticks = Ticks::new();
        first.send(()).expect("the receiver is there");
        loop {
            abaca::time::sleep_until(ticks.next());
            ticks.now();
            if watched.are_all() {
                return ticks.late;
            }
        }
    });
    ticks.recv().expect("the ticker runs");
    let began = Instant::now();
    let blocked: Vec<_> = (0..BLOCKED)
        .map(|_| {
            let back = back.clone();
            abaca::spawn(move || back.poll(ms))
        })
        .collect();
    for fiber in blocked {
        fiber.join().expect("it does not panic");
    }
    let elapsed = began.elapsed();
    (elapsed, ticker.join().expect("it does not panic"))
}

fn with_threads(ms: i32) -> (Duration, Duration) {
    use std::thread;
    let back = Back::default();
    let (first, ticks) = std::sync::mpsc::channel();
    let watched = back.clone();
    let ticker = thread::spawn(move || {
        let mut ticks = Ticks::new();
        first.send(()).expect("the receiver is there");
        loop {
            thread::sleep(ticks.next().saturating_duration_since(Instant::now()));
            ticks.now();
            if watched.are_all() {
                return ticks.late;
            }
        }
    });
    ticks.recv().expect("the ticker runs");
    let began = Instant::now();
    let blocked: Vec<_> = (0..BLOCKED)
        .map(|_| {
            let back = back.clone();
            thread::spawn(move || back.poll(ms))
        })
        .collect();
    for thread in blocked {
        thread.join().expect("it does not panic");
    }
    let elapsed = began.elapsed();
    (elapsed, ticker.join().expect("it does not panic"))
}

fn with_tokio(ms: i32) -> (Duration, Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    runtime.expect("a worker starts").block_on(async move {
        let back = Back::default();
        let (first, ticks) = tokio::sync::oneshot::channel();
        let watched = back.clone();
        let ticker = tokio::spawn(async move {
            let mut ticks = Ticks::new();
            first.send(()).expect("the receiver is there");
            loop {
                tokio::time::sleep_until(ticks.next().into()).await;
                ticks.now();
                if watched.are_all() {
                    return ticks.late;
                }
            }
        });
        ticks.await.expect("the ticker runs");
        let began = Instant::now();
        let blocked: Vec<_> = (0..BLOCKED)
            .map(|_| {
                let back = back.clone();
                tokio::spawn(async move { back.poll(ms) })
            })
            .collect();
        for task in blocked {
            task.await.expect("it does not panic");
        }
        let elapsed = began.elapsed();
        (elapsed, ticker.await.expect("it does not panic"))
    })
}
