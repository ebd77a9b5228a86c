//! Actors under a supervisor: each is a fiber of its own; those that fail at their work are started again.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use abaca::actor::supervisor::{Child, Strategy, Supervisor};
use abaca::actor::{self, ActorRef, Mailbox, Registry};
use clap::Parser;

/// Starts actors under a supervisor, gives each a job at which some fail, and counts those that live afterwards
#[derive(Parser)]
struct Options {
    /// Actors
    #[arg(long, default_value = "10000")]
    actors: NonZero<u64>,
    /// One job in so many is poison, and ends the actor that takes it
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    poison: NonZero<u64>,
}

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
}

/// An actor that does jobs until one is poison. The value that its body returns is its exit reason.
fn clerk(counts: &Arc<Counts>) -> ActorRef<u64> {
    counts.started.fetch_add(1, Relaxed);
    let (counts, mut done) = (Arc::clone(counts), 0_u64);
    actor::spawn(move |mailbox: &mut Mailbox<u64>| {
        loop {
            match mailbox.receive() {
                0 => {
                    counts.failed.fetch_add(1, Relaxed);
                    return Err(format!("poison, after {done} jobs"));
                }
                _job => {
                    done += 1; // The actor's own state needs no lock.
                    counts.done.fetch_add(1, Relaxed);
                }
            }
        }
    })
}

#[abaca::main]
fn main() {
    if let Err(error) = run(&Options::parse()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: &Options) -> io::Result<()> {
    let (actors, poison) = (options.actors.get(), options.poison.get());
    let counts = Arc::new(Counts::default());
    // A restarted actor is a new actor, so it is looked up by its name.
    let registry = Registry::new();
    let (before, began) = (memory()?, Instant::now());
    let failures = actors.div_ceil(poison) as usize;
    let mut supervisor = Supervisor::new(Strategy::OneForOne).intensity(failures, Duration::from_secs(3600));
    for number in 0..actors {
        let (counts, registry, name) = (Arc::clone(&counts), registry.clone(), number.to_string());
        supervisor = supervisor.child(Child::new(name.clone(), move || {
            let clerk = clerk(&counts);
            registry.register(name.clone(), &clerk).expect("its predecessor has ended");
            clerk
        }));
    }
    let supervisor = supervisor.start();
    println!("actors          {actors:>10}");
    println!("to start them   {:>10}  ms", began.elapsed().as_millis());
    let bytes = memory()?.saturating_sub(before) / actors;
    println!("memory of each  {bytes:>10}  bytes, with its name and its place in the supervisor");

    let began = Instant::now();
    for number in 0..actors {
        let clerk = registry.lookup(&number.to_string()).expect("nobody has failed yet");
        clerk.cast(number % poison);
    }
    while counts.done.load(Relaxed) + counts.failed.load(Relaxed) < actors
        || counts.started.load(Relaxed) < actors + counts.failed.load(Relaxed)
    {
        abaca::sleep(Duration::from_millis(1));
    }
    println!("jobs done       {:>10}", counts.done.load(Relaxed));
    println!("failed          {:>10}  and started anew", counts.failed.load(Relaxed));
    println!("to do them      {:>10}  ms", began.elapsed().as_millis());
    let children = supervisor.children().map_err(io::Error::other)?;
    let alive = children.iter().filter(|child| child.pid.as_ref().is_some_and(actor::Pid::is_alive));
    println!("alive           {:>10}", alive.count());

    let began = Instant::now();
    let reason = supervisor.stop();
    println!("to stop them    {:>10}  ms; the supervisor {reason}", began.elapsed().as_millis());
    Ok(())
}

/// The memory of this process in bytes, with its page tables.
fn memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let lines = status.lines().filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"));
    let kib = lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kib.sum::<u64>() * 1024)
}
