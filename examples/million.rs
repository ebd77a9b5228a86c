//! A million sleeping fibers, each on a guarded stack of its own, on a kernel with stock settings.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::channel::bounded;
use clap::Parser;

/// Puts fibers to sleep, shows what each costs, then wakes and joins them all
#[derive(Parser)]
struct Options {
    /// How many fibers
    #[arg(long, default_value = "1000000")]
    fibers: NonZero<u64>,
    /// KiB of stack of each: address space, of which only touched pages cost memory
    #[arg(long, value_name = "KIB", default_value = "256")]
    stack: NonZero<u32>,
}

/// About what a sleeping fiber costs: a page of stack, its share of page tables, its cell.
const BYTES_OF_EACH: u64 = 5000;

const STATUS: &str = "/proc/self/status";

fn main() {
    let options = Options::parse();
    let stack_bytes = (options.stack.get() as usize).saturating_mul(1024);
    let runtime = abaca::Runtime::builder().stack_size(stack_bytes).build();
    if let Err(error) = runtime.and_then(|runtime| runtime.run(|| run(&options))) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let fibers = options.fibers.get();
    let needed = fibers.saturating_mul(BYTES_OF_EACH) / 1_000_000;
    let available = kib("/proc/meminfo", "MemAvailable:")? * 1024 / 1_000_000;
    if needed > available {
        let text =
            format!("needs some {needed} MB of memory, but {available} MB are free: try fewer --fibers");
        return Err(io::Error::other(text));
    }
    let memory = || Ok::<_, io::Error>((kib(STATUS, "VmRSS:")? * 1024, kib(STATUS, "VmPTE:")? * 1024));
    let before = memory()?;
    let began = Instant::now();
    let asleep = Arc::new(AtomicU64::new(0));
    let (gate, opens) = bounded::<()>(0);
    let fall_asleep = |number: u64| {
        let (asleep, opens) = (Arc::clone(&asleep), opens.clone());
        abaca::spawn(move || {
            asleep.fetch_add(1, Relaxed);
            // Nothing is ever sent: the gate opens when its sender is dropped.
            let _ = opens.recv();
            number
        })
    };
    let handles: Vec<_> = (0..fibers).map(fall_asleep).collect();
    while asleep.load(Relaxed) < fibers {
        abaca::sleep(Duration::from_millis(20));
    }
    let (spawning, after) = (began.elapsed(), memory()?);
    let mappings = std::fs::read_to_string("/proc/self/maps")?.lines().count();
    let each = |total: Duration| total.as_secs_f64() * 1e6 / fibers as f64;
    println!("fibers asleep    {fibers:>12}  on guarded stacks of {} KiB", options.stack);
    println!("to spawn         {:>12.2}  seconds: {:.1} us each", spawning.as_secs_f64(), each(spawning));
    let (resident, page_tables) =
        (after.0.saturating_sub(before.0) / fibers, after.1.saturating_sub(before.1) / fibers);
    println!("memory of each   {resident:>12}  bytes resident: a page of stack, and the fiber itself");
    println!("                 {page_tables:>12}  bytes of page tables");
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count")?;
    println!("memory mappings  {mappings:>12}  of {} that vm.max_map_count allows", limit.trim());

    let began = Instant::now();
    drop(gate);
    let sum: u64 = handles.into_iter().map(|handle| handle.join().expect("no fiber panics")).sum();
    let waking = began.elapsed();
    assert_eq!(sum, fibers * (fibers - 1) / 2, "every fiber returns its number");
    println!("to wake and join {:>12.2}  seconds: {:.1} us each", waking.as_secs_f64(), each(waking));
    Ok(())
}

/// A figure of the kernel's, in KiB.
fn kib(file: &str, name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    let figure = value.and_then(|value| value.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("{file} does not show {name}")))
}
