//! A pipeline: fibers that pass numbers on through channels, with a deadline and a signal to stop.

use std::time::{Duration, Instant};

use abaca::channel::{Receiver, Sender, after, bounded, select, tick};
use clap::{Parser, value_parser};

/// Sends numbers through a line of stages, until all have passed or the time is up
#[derive(Parser)]
struct Options {
    /// How many numbers
    #[arg(long, default_value_t = 1_000_000)]
    items: u64,
    /// Stages between the source and the end
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=100_000))]
    stages: u32,
    /// Numbers that wait between two stages
    #[arg(long, default_value_t = 64)]
    buffer: usize,
    /// When to stop, in seconds
    #[arg(long, default_value = "10", value_parser = seconds)]
    seconds: Duration,
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
    let runtime = builder.build().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        std::process::exit(1)
    });
    let began = Instant::now();
    let end = runtime.run(|| pipeline(&options));
    let elapsed = began.elapsed();

    let extent = if end.is_late { "when the time was up" } else { "which are all" };
    println!("items       {:>12}  {extent}", end.items);
    println!("sum         {:>12}  each is {} more than it was", end.sum, options.stages);
    println!("time        {:>12.3}  seconds", elapsed.as_secs_f64());
    let messages = end.items * u64::from(options.stages + 1);
    let rate = messages as f64 / elapsed.as_secs_f64();
    println!("messages/s  {rate:>12.0}  through {} channels", options.stages + 1);
}

/// A duration from an option: seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// The result of the pipeline.
#[derive(Default)]
struct End {
    items: u64,
    sum: u64,
    is_late: bool,
}

fn pipeline(options: &Options) -> End {
    let (stop, stopped) = bounded::<()>(1);
    let (source, mut last) = bounded(options.buffer);
    let items = options.items;
    abaca::spawn(move || produce(items, &source, &stopped));
    for _ in 0..options.stages {
        let (sender, next) = bounded(options.buffer);
        abaca::spawn(move || last.iter().try_for_each(|item| sender.send(item + 1)));
        last = next;
    }

    let mut end = End::default();
    let deadline = after(options.seconds);
    let report = tick(Duration::from_secs(1));
    loop {
        select! {
            recv(last) -> item => match item {
                Ok(item) => {
                    end.items += 1;
                    end.sum += item;
                }
                // All senders are gone, one after the other, and all items have arrived.
                Err(_) => return end,
            },
            recv(report) -> _ => eprintln!("{} items so far", end.items),
            recv(deadline) -> _ => {
                end.is_late = end.items < items;
                // Fails when the source has ended already.
                let _ = stop.send(());
            }
        }
    }
}

/// Sends `0..items`, or fewer when it is told to stop.
fn produce(items: u64, first: &Sender<u64>, stopped: &Receiver<()>) {
    for item in 0..items {
        select! {
            send(first, item) -> sent => sent.expect("the first stage receives until this is gone"),
            recv(stopped) -> _ => return,
        }
    }
}
