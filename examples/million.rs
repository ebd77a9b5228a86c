//! A million sleeping fibers, each on a guarded stack of its own, on a kernel with stock settings.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::channel::bounded;
use abaca_examples::{Memory, grouped, mappings, or_fail, progress, row};
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

fn main() {
    let options = Options::parse();
    let stack_bytes = (options.stack.get() as usize).saturating_mul(1024);
    let runtime = abaca::Runtime::builder().stack_size(stack_bytes).build();
    or_fail(runtime.and_then(|runtime| runtime.run(|| run(&options))));
}

fn run(options: &Options) -> io::Result<()> {
    let fibers = options.fibers.get();
    let (needed, available) = (fibers.saturating_mul(BYTES_OF_EACH), Memory::available()?);
    if needed > available {
        let (needed, available) = (needed / 1_000_000, available / 1_000_000);
        let text =
            format!("needs some {needed} MB of memory, but {available} MB are free: try fewer --fibers");
        return Err(io::Error::other(text));
    }
    let before = Memory::now()?;
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
        progress(format_args!("{} fibers asleep", grouped(asleep.load(Relaxed))));
        abaca::sleep(Duration::from_millis(20));
    }
    let (spawning, after, mappings) = (began.elapsed(), Memory::now()?, mappings()?);
    let each = |total: Duration| format!("seconds: {:.1} us each", total.as_secs_f64() * 1e6 / fibers as f64);
    row("fibers asleep", grouped(fibers), format_args!("on guarded stacks of {} KiB", options.stack));
    row("to spawn", format!("{:.2}", spawning.as_secs_f64()), each(spawning));
    let resident = after.resident.saturating_sub(before.resident) / fibers;
    row("memory of each", grouped(resident), "bytes resident: a page of stack, and the fiber itself");
    let page_tables = after.page_tables.saturating_sub(before.page_tables) / fibers;
    row("", grouped(page_tables), "bytes of page tables");
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count")?;
    row(
        "memory mappings",
        grouped(mappings),
        format_args!("of {} that vm.max_map_count allows", limit.trim()),
    );
    row("OS threads", after.threads, "");

    progress("waking and joining them all");
    let began = Instant::now();
    drop(gate);
    let sum: u64 = handles.into_iter().map(|handle| handle.join().expect("no fiber panics")).sum();
    let waking = began.elapsed();
    assert_eq!(sum, fibers * (fibers - 1) / 2, "every fiber returns its number");
    row("to wake and join", format!("{:.2}", waking.as_secs_f64()), each(waking));
    Ok(())
}
