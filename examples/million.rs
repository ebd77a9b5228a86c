//! A million sleeping fibers, each on a guarded stack of its own, on a kernel with stock settings.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use abaca::channel::unbounded;
use abaca::sync::{Condvar, Mutex};
use abaca_examples::{Memory, fail, mappings};
use clap::Parser;

/// Parks fibers, shows what each costs, wakes them all.
#[derive(Parser)]
struct Options {
    /// How many fibers
    #[arg(long, default_value_t = 1_000_000)]
    fibers: u64,
    /// KiB of stack of each (address space; only touched pages cost memory)
    #[arg(long, default_value_t = 256)]
    stack: usize,
}

fn main() {
    let options = Options::parse();
    let runtime = abaca::Runtime::builder().stack_size(options.stack * 1024).build();
    if let Err(error) = runtime.unwrap_or_else(|error| fail(error)).run(|| run(&options)) {
        fail(error);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let fibers = options.fibers.max(1);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (asleep, falls_asleep) = unbounded();
    let before = Memory::now()?;
    let began = Instant::now();
    let handles: Vec<_> = (0..fibers)
        .map(|number| {
            let (gate, asleep) = (Arc::clone(&gate), asleep.clone());
            abaca::spawn(move || {
                asleep.send(()).expect("the main fiber counts");
                let (open, opened) = &*gate;
                drop(opened.wait_while(open.lock().unwrap(), |open| !*open));
                number
            })
        })
        .collect();
    falls_asleep.iter().take(fibers as usize).for_each(drop);
    let sleeping = began.elapsed();
    let after = Memory::now()?;
    let maps = mappings()?;

    let began = Instant::now();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    let sum: u64 = handles.into_iter().map(|handle| handle.join().expect("no fiber panics")).sum();
    let waking = began.elapsed();
    assert_eq!(sum, fibers * (fibers - 1) / 2, "every fiber has returned its number");

    let each = |now: u64, then: u64| now.saturating_sub(then) / fibers;
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count")?;
    println!("fibers asleep           {fibers:>12}   each with a guarded stack of {} KiB", options.stack);
    println!(
        "to spawn and fall asleep{:>12.2} s ({:.1} us each)",
        sleeping.as_secs_f64(),
        sleeping.as_micros() as f64 / fibers as f64
    );
    println!(
        "to wake and join        {:>12.2} s ({:.1} us each)",
        waking.as_secs_f64(),
        waking.as_micros() as f64 / fibers as f64
    );
    println!("memory of each          {:>12} bytes resident", each(after.resident, before.resident));
    println!(
        "                        {:>12} bytes of page tables",
        each(after.page_tables, before.page_tables)
    );
    println!("memory mappings         {maps:>12}   of {} that vm.max_map_count allows", limit.trim());
    println!("OS threads              {:>12}", after.threads);
    Ok(())
}
