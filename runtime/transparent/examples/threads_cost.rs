//! What threads, locks and channels cost as fibers, beside threads of the kernel: alternating, medians of seven.
//!
//! `ABACA_WORKERS=2 cargo run --release -p abaca-transparent --example threads_cost`
//!
//! With the argument `cold`, only the threads that sleep, each time in a new process: the first spawns of a process make all stacks.

#![expect(unsafe_code, reason = "calls libc's own functions beside those that take their place")]

use std::ffi::{CStr, c_int};
use std::fmt::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libc::pthread_mutex_t;

const ROUNDS: usize = 7;

const HEAD: &str = "| what | fibers | threads | ratio | fibers, processor | threads, processor | ratio |\n|---|---|---|---|---|---|---|";

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("cold") => {
            println!("{HEAD}");
            compare("10,000 x the same in a new process", || in_process("fibers"), || in_process("threads"));
            return Ok(());
        }
        Some("threads") => return sleepers(10_000).print(),
        Some("fibers") => {
            abaca_transparent::threads_are_fibers()?;
            return sleepers(10_000).print();
        }
        _ => abaca_transparent::threads_are_fibers()?,
    }
    let one_worker = abaca::Runtime::builder().workers(1).build()?;
    println!("{HEAD}");

    let there_and_back = |n| move || there_and_back(n);
    compare(
        "std::sync::mpsc there and back, ns, one worker",
        || one_worker.run(there_and_back(200_000)),
        || as_thread(there_and_back(20_000)),
    );
    compare(
        "10,000 x thread::spawn, sleep 100 ms, join, ns each",
        || sleepers(10_000),
        || abaca_transparent::as_kernel_threads(|| sleepers(10_000)),
    );
    compare(
        "thread::spawn and join, ns, one worker",
        || one_worker.run(|| spawn_and_join(20_000)),
        || as_thread(|| abaca_transparent::as_kernel_threads(|| spawn_and_join(2_000))),
    );
    let libcs = (own(c"pthread_mutex_lock"), own(c"pthread_mutex_unlock"));
    let ours: (Lock, Lock) = (libc::pthread_mutex_lock, libc::pthread_mutex_unlock);
    compare(
        "pthread_mutex_lock and unlock, ns, on a fiber beside libc's own",
        || one_worker.run(|| locks(ours)),
        || as_thread(move || locks(libcs)),
    );
    compare("the same, on a thread", || as_thread(move || locks(ours)), || as_thread(move || locks(libcs)));
    Ok(())
}

/// Time on the clock, and of all processors together.
#[derive(Clone, Copy)]
struct Time {
    wall: f64,
    processor: f64,
}

impl Time {
    fn print(self) -> std::io::Result<()> {
        println!("{} {}", self.wall, self.processor);
        Ok(())
    }
}

/// What this program prints in a process of its own.
fn in_process(kind: &str) -> Time {
    let own = std::env::current_exe().expect("a path");
    let output = std::process::Command::new(own).arg(kind).output().expect("it starts");
    let output = String::from_utf8(output.stdout).expect("two numbers");
    let numbers: Vec<f64> = output.split_whitespace().flat_map(str::parse).collect();
    let &[wall, processor] = numbers.as_slice() else { panic!("two numbers, not {output:?}") };
    Time { wall, processor }
}

/// Prints the medians of two measurements.
fn compare(what: &str, mut fibers: impl FnMut() -> Time, mut threads: impl FnMut() -> Time) {
    let pairs: Vec<_> = (0..ROUNDS).map(|_| (fibers(), threads())).collect();
    let (fibers, threads): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let mut row = format!("| {what} |");
    for part in [|time: Time| time.wall, |time: Time| time.processor] {
        let median = |all: &[Time]| {
            let mut all: Vec<_> = all.iter().copied().map(part).collect();
            all.sort_by(f64::total_cmp);
            all[ROUNDS / 2]
        };
        let (fibers, threads) = (median(&fibers), median(&threads));
        write!(row, " {fibers:.1} | {threads:.1} | {:.2} |", fibers / threads)
            .expect("a string takes everything");
    }
    println!("{row}");
}

/// A measurement under way.
struct Clock(Instant, f64);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), processor_ns())
    }

    /// Nanoseconds for each of so many.
    fn per_round(&self, rounds: u32) -> Time {
        let wall = self.0.elapsed().as_secs_f64() * 1e9 / f64::from(rounds);
        Time { wall, processor: (processor_ns() - self.1) / f64::from(rounds) }
    }
}

fn processor_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes a local.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Calls `f` on a thread of the kernel.
fn as_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    abaca_transparent::as_kernel_threads(|| thread::spawn(f)).join().expect("the measurement does not panic")
}

/// A thread of the caller's kind.
fn spawn(f: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    if abaca::hook::on_fiber() {
        thread::spawn(f)
    } else {
        abaca_transparent::as_kernel_threads(|| thread::spawn(f))
    }
}

fn there_and_back(rounds: u32) -> Time {
    let (to, from) = mpsc::channel::<u32>();
    let (back, answers) = mpsc::channel();
    let peer = spawn(move || from.iter().for_each(|n| back.send(n).expect("the other is there")));
    let clock = Clock::start();
    for n in 0..rounds {
        to.send(n).expect("the other is there");
        answers.recv().expect("the other is there");
    }
    let result = clock.per_round(rounds);
    drop(to);
    peer.join().expect("it does not panic");
    result
}

fn sleepers(count: u32) -> Time {
    let clock = Clock::start();
    let threads: Vec<_> =
        (0..count).map(|_| thread::spawn(|| thread::sleep(Duration::from_millis(100)))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    clock.per_round(count)
}

fn spawn_and_join(rounds: u32) -> Time {
    let clock = Clock::start();
    (0..rounds).for_each(|_| thread::spawn(|| ()).join().expect("it does not panic"));
    clock.per_round(rounds)
}

type Lock = unsafe extern "C" fn(*mut pthread_mutex_t) -> c_int;

/// libc's own function, whose name is taken.
fn own(name: &CStr) -> Lock {
    // SAFETY: the name ends in a zero byte, and the function has this type.
    unsafe { std::mem::transmute(libc::dlsym(libc::RTLD_NEXT, name.as_ptr())) }
}

fn locks((lock, unlock): (Lock, Lock)) -> Time {
    const LOCKS: u32 = 5_000_000;
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    let (lock, unlock) = std::hint::black_box((lock, unlock));
    let clock = Clock::start();
    for _ in 0..LOCKS {
        // SAFETY: the mutex is initialised, and stays in place.
        unsafe {
            lock(&mut mutex);
            unlock(&mut mutex);
        }
    }
    clock.per_round(LOCKS)
}
