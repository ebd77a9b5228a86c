//! A tree of a million fibers: each node spawns ten children and adds up what they send.

use std::io;
use std::time::Instant;

use abaca::channel::{Sender, bounded};
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
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let mut builder = abaca::Runtime::builder();
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let runtime = builder.build()?;
    let leaves = 10_u64.pow(options.depth);
    let began = Instant::now();
    let sum = runtime.run(|| {
        let (sender, receiver) = bounded(1);
        abaca::spawn(move || node(&sender, 0, leaves));
        receiver.recv().expect("the root sends its sum")
    });
    let elapsed = began.elapsed();

    let fibers = (10 * leaves - 1) / 9;
    println!("leaves       {leaves:>14}");
    println!("fibers       {fibers:>14}  on {} workers", runtime.workers());
    println!("sum          {sum:>14}  of the leaves' numbers, 0 to the last");
    let nanos_each = elapsed.as_nanos() / u128::from(fibers);
    println!("time         {:>14.1}  ms: {nanos_each} ns for each fiber", elapsed.as_secs_f64() * 1e3);
    println!("peak memory  {:>14.1}  MB", status("VmHWM:")? as f64 * 1024.0 / 1e6);
    Ok(())
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

/// A figure of this process, as the kernel counts it: KiB of memory, or a number of threads.
fn status(name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let figure = value.and_then(|value| value.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("/proc/self/status does not show {name}")))
}
