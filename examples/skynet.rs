//! A tree of a million fibers: each node spawns ten children and adds up what they send.

use std::time::Instant;

use abaca::channel::{Sender, bounded};
use abaca_examples::{Memory, fail};
use clap::Parser;

/// Spawns a 10-ary tree of fibers and sums the leaves' numbers through channels.
#[derive(Parser)]
struct Options {
    /// Levels below the root; 6 makes a million leaves
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=8))]
    depth: u32,
    /// Worker threads; by default one per core
    #[arg(long)]
    workers: Option<usize>,
}

fn main() {
    let options = Options::parse();
    let mut builder = abaca::Runtime::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let runtime = builder.build().unwrap_or_else(|error| fail(error));
    let leaves = 10_u64.pow(options.depth);
    let began = Instant::now();
    let sum = runtime.run(|| {
        let (sender, receiver) = bounded(1);
        abaca::spawn(move || node(&sender, 0, leaves));
        receiver.recv().expect("the root sends its sum")
    });
    let elapsed = began.elapsed();
    let memory = Memory::now().unwrap_or_else(|error| fail(error));
    let fibers = (10 * leaves - 1) / 9;
    println!("leaves      {leaves:>12}");
    println!("fibers      {fibers:>12}");
    println!("sum         {sum:>12}");
    println!(
        "time        {:>12.1} ms ({:.0} ns per fiber)",
        elapsed.as_secs_f64() * 1e3,
        elapsed.as_nanos() as f64 / fibers as f64
    );
    println!("peak memory {:>12.1} MB", memory.peak as f64 / 1e6);
}

fn node(parent: &Sender<u64>, first: u64, leaves: u64) {
    if leaves == 1 {
        return parent.send(first).expect("the parent receives ten sums");
    }
    let (sender, receiver) = bounded(10);
    for child in 0..10 {
        let sender = sender.clone();
        abaca::spawn(move || node(&sender, first + child * (leaves / 10), leaves / 10));
    }
    let sum = receiver.iter().take(10).sum();
    parent.send(sum).expect("the parent receives ten sums");
}
