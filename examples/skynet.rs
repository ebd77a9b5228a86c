//! A tree of a million fibers: each node spawns ten children and adds up what they send.

use std::time::Instant;

use abaca::channel::{Sender, bounded};
use abaca_examples::{Memory, grouped, or_fail, row};
use clap::Parser;

/// Spawns a tree of fibers, ten children to a node, and sums the numbers of its leaves through channels
#[derive(Parser)]
struct Options {
    /// Levels below the root; 6 makes a million leaves
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=8))]
    depth: u32,
    /// Worker threads [default: one per core]
    #[arg(long)]
    workers: Option<usize>,
}

fn main() {
    let options = Options::parse();
    let mut builder = abaca::Runtime::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let runtime = or_fail(builder.build());
    let leaves = 10_u64.pow(options.depth);
    let began = Instant::now();
    let sum = runtime.run(|| {
        let (sender, receiver) = bounded(1);
        abaca::spawn(move || node(&sender, 0, leaves));
        receiver.recv().expect("the root sends its sum")
    });
    let elapsed = began.elapsed();

    let fibers = (10 * leaves - 1) / 9;
    row("leaves", grouped(leaves), "");
    row("fibers", grouped(fibers), format!("on {} workers", runtime.workers()));
    row("sum", grouped(sum), "of the leaves' numbers, 0 to the last");
    let nanos_each = elapsed.as_nanos() / u128::from(fibers);
    row("time", format!("{:.1}", elapsed.as_secs_f64() * 1e3), format!("ms: {nanos_each} ns for each fiber"));
    let memory = or_fail(Memory::now());
    row("peak memory", format!("{:.1}", memory.peak as f64 / 1e6), "MB");
}

/// Sends the sum of the numbers `first..first + leaves`, each of which is a leaf.
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
