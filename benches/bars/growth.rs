//! Hot paths on one worker, and the same work on two workers that use the same objects: what the lines of the cache that they share
//! cost, beside the writes to such lines that ARCHITECTURE.md counts.
//!
//! Each figure is taken twice: `ns`, the time of an operation by the clock, which two workers would halve if they shared nothing,
//! and `cpu ns`, the processor time of all workers for it, which would stay as it is.

use std::hint::black_box;
use std::io::Read;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use abaca::Fiber;
use abaca::channel::{Receiver, Sender, bounded};
use abaca::net::TcpListener;
use abaca::sync::Mutex;
use abaca_benches::memory;
use abaca_benches::sample::Sample;
use rustix::time::{ClockId, clock_gettime};

use super::variant::Variant;

/// Fibers that each spawn another and join it, many times.
pub(crate) fn spawn_and_join(variant: Variant, quick: bool) -> Sample {
    let each = if quick { 100 } else { 2_000_000 };
    apart(variant, each, move |_| {
        for number in 0..each {
            black_box(abaca::spawn(move || number).join().expect("it does not panic"));
        }
    })
}

/// A fiber that spawns a thousand and joins them, many times; the other worker steals its part.
pub(crate) fn steal(variant: Variant, quick: bool) -> Sample {
    const BATCH: u64 = 1000;
    let rounds = if quick { 1 } else { 2000 };
    let runtime = runtime(variant);
    runtime.run(move || {
        let measured = Measured::begin();
        for _ in 0..rounds {
            let fibers: Vec<_> = (0..BATCH).map(|number| abaca::spawn(move || black_box(number))).collect();
            for fiber in fibers {
                fiber.join().expect("it does not panic");
            }
        }
        measured.end(rounds * BATCH, Duration::ZERO)
    })
}

/// Pairs whose two fibers wake each other by turns. Those of a pair are on one worker.
pub(crate) fn wake_near(variant: Variant, quick: bool) -> Sample {
    wake(variant, quick, |pair| pair)
}

/// The same, with the fibers of each pair on different workers, if there are two.
pub(crate) fn wake_far(variant: Variant, quick: bool) -> Sample {
    wake(variant, quick, |pair| 1 - pair)
}

/// How many pairs each worker begins: enough that it rarely finds nothing to do.
const PAIRS: usize = 32;

/// `other` is where the partners are of those that began at a place.
fn wake(variant: Variant, quick: bool, other: fn(usize) -> usize) -> Sample {
    let each = if quick { 10 } else { 50_000 };
    let pairs: Pairs = Arc::new([0, 1].map(|_| (0..PAIRS).map(|_| Pair::default()).collect()));
    apart(variant, 2 * PAIRS as u64 * each, move |place| {
        let begin = |pairs: &Pairs, place: usize, side: usize| -> Vec<_> {
            let start = |number: usize| {
                let pairs = Arc::clone(pairs);
                abaca::spawn_local(move || pairs[place][number].wake_by_turns(side, each))
            };
            (0..PAIRS).map(start).collect()
        };
        let fibers = [begin(&pairs, place, 0), begin(&pairs, other(place), 1)];
        for fiber in fibers.into_iter().flatten() {
            fiber.join().expect("it does not panic");
        }
    })
}

/// Those that began at each place.
type Pairs = Arc<[Vec<Pair>; 2]>;

/// Two fibers that take turns.
#[derive(Default)]
struct Pair {
    /// Turns so far; it is that of the side whose number it has modulo two.
    turn: AtomicU64,
    sides: [OnceLock<Fiber>; 2],
}

impl Pair {
    fn wake_by_turns(&self, side: usize, each: u64) {
        self.sides[side].get_or_init(abaca::current);
        let other = loop {
            match self.sides[1 - side].get() {
                Some(other) => break other,
                None => abaca::yield_now(),
            }
        };
        for number in 0..each {
            while self.turn.load(Ordering::Acquire) != 2 * number + side as u64 {
                abaca::park();
            }
            self.turn.store(2 * number + side as u64 + 1, Ordering::Release);
            other.unpark();
        }
    }
}

/// A channel of 128 places: a fiber sends and another receives, on different workers if there are two.
pub(crate) fn channel(variant: Variant, quick: bool) -> Sample {
    let messages: u64 = if quick { 100 } else { 20_000_000 };
    let (sender, receiver) = bounded::<u64>(128);
    let ends = [End::Sends(sender), End::Receives(receiver)].map(|end| Mutex::new(Some(end)));
    // Each place counts as half of the messages.
    apart(variant, messages / 2, move |place| {
        let end = ends[place].lock().expect("no panic").take().expect("an end for each");
        match end {
            End::Sends(sender) => {
                for number in 0..messages {
                    sender.send(number).expect("there is a receiver");
                }
            }
            End::Receives(receiver) => assert_eq!(receiver.iter().count() as u64, messages),
        }
    })
}

enum End {
    Sends(Sender<u64>),
    Receives(Receiver<u64>),
}

/// One mutex that all lock, and hold for one addition.
pub(crate) fn mutex(variant: Variant, quick: bool) -> Sample {
    let each = if quick { 100 } else { 20_000_000 };
    let count = Arc::new(Mutex::new(0_u64));
    apart(variant, each, move |_| {
        for _ in 0..each {
            *count.lock().expect("no panic") += 1;
        }
    })
}

/// Connections of an OS thread that are accepted, one fiber each, read to their end and closed. The client's part of the
/// processor time is not counted.
pub(crate) fn accept(variant: Variant, quick: bool) -> Sample {
    let connections = if quick { 10 } else { 20_000 };
    let runtime = runtime(variant);
    runtime.run(move || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let measured = Measured::begin();
        let client = std::thread::spawn(move || {
            for _ in 0..connections {
                drop(std::net::TcpStream::connect(address).expect("it listens"));
            }
            let used = clock_gettime(ClockId::ThreadCPUTime);
            Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
        });
        let served: Vec<_> = (0..connections)
            .map(|_| {
                let (mut stream, _) = listener.accept().expect("a client");
                abaca::spawn(move || stream.read(&mut [0]).expect("its end"))
            })
            .collect();
        for fiber in served {
            assert_eq!(fiber.join().expect("it does not panic"), 0);
        }
        measured.end(connections, client.join().expect("it does not panic"))
    })
}

fn runtime(variant: Variant) -> abaca::Runtime {
    variant.runtime().expect("growth is that of abaca's fibers")
}

/// Runs `body` at two places: both on the one worker, or each on one of two. `each` is how many operations are of one place.
fn apart(variant: Variant, each: u64, body: impl Fn(usize) + Send + Sync + 'static) -> Sample {
    let runtime = runtime(variant);
    let workers = runtime.workers();
    let (body, begun) = (Arc::new(body), Arc::new(AtomicUsize::new(0)));
    runtime.run(move || {
        let measured = Measured::begin();
        let places = [0, 1].map(|place| {
            let (body, begun) = (Arc::clone(&body), Arc::clone(&begun));
            abaca::spawn(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                // Who waits here keeps its worker, so the other place is another's.
                while workers == 2 && begun.load(Ordering::Relaxed) < 2 {
                    std::thread::yield_now();
                }
                body(place);
            })
        });
        for place in places {
            place.join().expect("it does not panic");
        }
        measured.end(2 * each, Duration::ZERO)
    })
}

/// When a measurement began.
struct Measured {
    at: Instant,
    cpu: Duration,
}

impl Measured {
    fn begin() -> Self {
        Self { at: Instant::now(), cpu: memory::cpu_time() }
    }

    /// The figures `ns` and `cpu ns` of so many operations. `others` is processor time that is not theirs.
    fn end(self, operations: u64, others: Duration) -> Sample {
        let cpu = (memory::cpu_time() - self.cpu).saturating_sub(others);
        let sample = Sample::per_operation(self.at.elapsed(), operations);
        sample.with("cpu ns", cpu.as_secs_f64() * 1e9 / operations as f64)
    }
}
