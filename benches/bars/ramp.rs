//! What many that begin to compute at once do to each other and to a neighbour: how long it takes until each has had its first turn, and
//! how late a ticker is beside them that wants to run every 10 ms.
//!
//! They compute for a second, and until all have begun. So no runtime ends this whose fibers or tasks keep their workers.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abaca_benches::sample::Sample;

use super::variant::Variant;

/// How often the ticker wants to run.
const TICK: Duration = Duration::from_millis(10);

/// For how long one computes that yields now and then.
const BURN: Duration = Duration::from_millis(20);

/// Each of `N` computes without a break.
pub(crate) fn without_break<const N: usize>(variant: Variant, quick: bool) -> Sample {
    measure(variant, quick, N, false)
}

/// Each of `N` yields after each 20 ms.
pub(crate) fn in_burns<const N: usize>(variant: Variant, quick: bool) -> Sample {
    measure(variant, quick, N, true)
}

/// The figures `all begun ms`, `late ms` (the mean of all ticks) and `latest ms`.
fn measure(variant: Variant, quick: bool, computing: usize, yields: bool) -> Sample {
    let least = Duration::from_millis(if quick { 1 } else { 1000 });
    let (model, runtime) = match variant {
        Variant::Threads => (Model::THREADS, None),
        _ => (Model::FIBERS, variant.runtime()),
    };
    let body = move || run(model, least, computing, yields);
    match runtime {
        Some(runtime) => runtime.run(body),
        None => body(),
    }
}

/// Waits for the end of what was spawned.
type Join = Box<dyn FnOnce()>;

/// How to make what is compared.
#[derive(Clone, Copy)]
struct Model {
    spawn: fn(Box<dyn FnOnce() + Send>) -> Join,
    sleep_until: fn(Instant),
    yield_now: fn(),
}

impl Model {
    const FIBERS: Self = Self {
        spawn: |body| {
            let fiber = abaca::spawn(body);
            Box::new(|| fiber.join().expect("it does not panic"))
        },
        sleep_until: abaca::time::sleep_until,
        yield_now: abaca::yield_now,
    };
    const THREADS: Self = Self {
        spawn: |body| {
            let thread = std::thread::spawn(body);
            Box::new(|| thread.join().expect("it does not panic"))
        },
        sleep_until: |due| std::thread::sleep(due.saturating_duration_since(Instant::now())),
        yield_now: std::thread::yield_now,
    };
}

/// What all of them know.
struct Run {
    began: Instant,
    least: Duration,
    computing: u64,
    begun: AtomicU64,
    /// When the last has begun, in nanoseconds since `began`.
    all_begun_ns: AtomicU64,
}

impl Run {
    fn begin_one(&self) {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if begun == self.computing {
            self.all_begun_ns.store(self.began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
    }

    fn goes_on(&self) -> bool {
        self.began.elapsed() < self.least || self.begun.load(Ordering::Relaxed) < self.computing
    }
}

fn run(model: Model, least: Duration, computing: usize, yields: bool) -> Sample {
    let late = Arc::new(Mutex::new(Vec::new()));
    let [ticks, is_over] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let (lateness, first, last) = (Arc::clone(&late), Arc::clone(&ticks), Arc::clone(&is_over));
    let ticker = (model.spawn)(Box::new(move || {
        let mut due = Instant::now();
        let mut late = Vec::new();
        while late.is_empty() || !last.load(Ordering::Relaxed) {
            first.store(true, Ordering::Relaxed);
            due += TICK;
            // At once, if it is late by more than a tick: those that it has missed count as well.
            (model.sleep_until)(due);
            late.push(due.elapsed());
        }
        *lateness.lock().expect("no panic") = late;
    }));
    while !ticks.load(Ordering::Relaxed) {
        (model.sleep_until)(Instant::now() + TICK);
    }
    let run = Arc::new(Run {
        began: Instant::now(),
        least,
        computing: computing as u64,
        begun: AtomicU64::new(0),
        all_begun_ns: AtomicU64::new(0),
    });
    let joins: Vec<_> = (0..computing)
        .map(|_| {
            let run = Arc::clone(&run);
            (model.spawn)(Box::new(move || {
                run.begin_one();
                let mut began = Instant::now();
                while run.goes_on() {
                    spin_loop();
                    if yields && began.elapsed() >= BURN {
                        (model.yield_now)();
                        began = Instant::now();
                    }
                }
            }))
        })
        .collect();
    joins.into_iter().for_each(|join| join());
    is_over.store(true, Ordering::Relaxed);
    let elapsed = run.began.elapsed();
    ticker();
    let late = late.lock().expect("no panic");
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let latest = late.iter().copied().max().expect("one tick at least");
    Sample::whole(elapsed)
        .with("all begun ms", run.all_begun_ns.load(Ordering::Relaxed) as f64 / 1e6)
        .with("late ms", ms(late.iter().sum::<Duration>()) / late.len() as f64)
        .with("latest ms", ms(latest))
}
