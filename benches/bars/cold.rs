//! Fibers that wait for long, with `Builder::compact_after` and without: what is left of each, and what it takes to wake one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use abaca::Runtime;
use abaca::channel::{Receiver, Sender, bounded};
use abaca_benches::memory;
use clap::Args;

/// How many are woken.
const WOKEN: u64 = 5_000;

#[derive(Args)]
pub(crate) struct Options {
    #[arg(long, default_value_t = 20_000)]
    fibers: u64,
    /// The stack of each, in KiB
    #[arg(long, default_value_t = 256)]
    stack: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Do not compact
    #[arg(long)]
    keep: bool,
}

/// Measures, and prints.
pub(crate) fn measure(options: &Options) {
    let builder = Runtime::builder().workers(options.workers).stack_size(options.stack * 1024);
    let builder = if options.keep { builder } else { builder.compact_after(Duration::ZERO) };
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => return eprintln!("not here: {error}"),
    };
    let (sender, receiver) = bounded::<Instant>(1);
    let taken = Arc::new(AtomicU64::new(0));
    let before = [memory::pages(), memory::resident()];
    let began = Instant::now();
    let begun = Arc::new(AtomicU64::new(0));
    for _ in 0..options.fibers {
        let (receiver, taken, begun) = (receiver.clone(), Arc::clone(&taken), Arc::clone(&begun));
        drop(runtime.spawn(move || {
            begun.fetch_add(1, Ordering::Relaxed);
            receive(&receiver, &taken);
        }));
    }
    await_count(options.fibers, || begun.load(Ordering::Relaxed));
    let tell = |state: &str, began: Instant| {
        let each = |now: u64, before: u64| now.saturating_sub(before) / options.fibers;
        let (pages, all) = (each(memory::pages(), before[0]), each(memory::resident(), before[1]));
        println!(
            "{state} after {:.1} s: {pages} + {} = {all} bytes",
            began.elapsed().as_secs_f64(),
            all - pages
        );
    };
    tell("waiting", began);
    let began = Instant::now();
    if !options.keep {
        let cpu = memory::cpu_time();
        await_count(options.fibers, || Runtime::cold_stacks() as u64);
        let each = (memory::cpu_time() - cpu).as_secs_f64() * 1e6 / options.fibers as f64;
        tell("cold", began);
        println!("processor time to make one cold: {each:.2} us");
    }
    let cpu = memory::cpu_time();
    let woken = WOKEN.min(options.fibers);
    // Its end would wake all the others.
    std::mem::forget(sender.clone());
    let waking = runtime.spawn(move || wake(&sender, woken));
    let took = waking.join().expect("it does not panic");
    let each = (memory::cpu_time() - cpu).as_secs_f64() * 1e6 / woken as f64;
    let at = |share: usize| took[(took.len() - 1) * share / 100] as f64 / 1e3;
    println!("to wake one, us: p50 {:.2}, p90 {:.2}, p99 {:.2}", at(50), at(90), at(99));
    println!("processor time to wake one and let it wait anew: {each:.2} us");
    let runs = taken.load(Ordering::Relaxed) as f64 / 1e3 / woken as f64;
    println!("until it runs, us, mean: {runs:.2}; cold afterwards: {}", Runtime::cold_stacks());
    // Without the end of so many fibers.
    std::process::exit(0);
}

/// Receives for ever, and adds up how long the messages were under way, in nanoseconds.
fn receive(receiver: &Receiver<Instant>, taken: &AtomicU64) {
    while let Ok(sent) = receiver.recv() {
        taken.fetch_add(sent.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Wakes one after the other, and returns how long each send took, in nanoseconds and in ascending order.
fn wake(sender: &Sender<Instant>, count: u64) -> Vec<u64> {
    let mut took: Vec<_> = (0..count)
        .map(|_| {
            let began = Instant::now();
            sender.send(began).expect("they receive");
            let took = began.elapsed().as_nanos() as u64;
            abaca::yield_now();
            took
        })
        .collect();
    took.sort_unstable();
    took
}

/// Waits until there are so many, or until their number has not changed for a minute.
fn await_count(wanted: u64, count: impl Fn() -> u64) {
    let (mut last, mut since) = (0, Instant::now());
    while last < wanted && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    println!("{last} of {wanted}");
}
