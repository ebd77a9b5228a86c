//! A worker process: one reader, as many handlers as there may be jobs in flight, and those who keep the books.
//!
//! ```text
//!  reader ───┐                                        ┌── settler: XACK and what follows, many at once
//!  claimer ──┴──▶ a thread for each job ──▶ channel ──┘
//!  promoter: what was delayed     renewal: what is in flight is not a dead worker's
//! ```
//!
//! Each of them is a thread with a connection of its own, so five connections serve a thousand jobs in flight.

mod claimer;
mod handling;
mod in_flight;
mod promoter;
mod reader;
mod renewal;
mod settler;

use std::error::Error;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use abaca::signal::{Signal, Signals};
use clap::Args;

use crate::Queue;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::link::Patience;
use in_flight::InFlight;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Jobs that this process has begun and not settled, at most
    #[arg(long, default_value_t = 1000)]
    pub(crate) in_flight: usize,
    /// Milliseconds that a job takes
    #[arg(long, default_value_t = 50)]
    pub(crate) work_ms: u64,
    /// A job that its worker has not renewed for so many milliseconds is taken for a dead worker's. A worker renews three times as often
    #[arg(long, default_value_t = 15_000)]
    pub(crate) claim_after: u64,
    /// Milliseconds until a failed job is tried again; twice as many after each further failure, and a random part
    #[arg(long, default_value_t = 200)]
    pub(crate) backoff: u64,
    /// How often a job is tried before it becomes a dead letter
    #[arg(long, default_value_t = 5)]
    pub(crate) attempts: u32,
    /// How often a job is delivered: one that kills its workers becomes a dead letter, too
    #[arg(long, default_value_t = 20)]
    pub(crate) deliveries: u64,
    /// Seconds for what is in flight, after SIGTERM. What is not settled then is left to other workers
    #[arg(long, default_value_t = 20)]
    pub(crate) grace: u64,
    /// Where to write what was done
    #[arg(long)]
    pub(crate) journal: Option<PathBuf>,
}

/// What the threads of a worker share.
struct Worker {
    queue: Queue,
    keys: Keys,
    options: Options,
    /// This process's name in the group. No other process ever has it: what it owns at its death is for others to claim.
    consumer: String,
    in_flight: InFlight,
    journal: Journal,
    patience: Patience,
}

/// Works until SIGTERM or SIGINT, and then drains.
pub(crate) fn run(queue: &Queue, options: Options) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([Signal::Terminate, Signal::Interrupt])?;
    let (outcomes, settled) = mpsc::sync_channel(1024);
    let worker = Arc::new(Worker {
        queue: queue.clone(),
        keys: queue.keys(),
        consumer: consumer(),
        in_flight: InFlight::new(options.in_flight.max(1)),
        journal: Journal::open(options.journal.as_deref())?,
        patience: Patience::endless(),
        options,
    });
    reader::make_group(&mut worker.queue.link(&worker.patience)?, &worker.keys)?;
    let mut threads = vec![
        worker.start("settler", move |worker| settler::run(worker, &settled))?,
        worker.start("promoter", promoter::run)?,
        worker.start("renewal", renewal::run)?,
    ];
    let of_claimer = outcomes.clone();
    let takers = [
        worker.start("claimer", move |worker| claimer::run(worker, &of_claimer))?,
        worker.start("reader", move |worker| reader::run(worker, &outcomes))?,
    ];
    println!("{} works", worker.consumer);

    let signal = signals.wait()?;
    let deadline = Instant::now() + Duration::from_secs(worker.options.grace);
    println!("{}: {signal:?}, {} in flight are finished", worker.consumer, worker.in_flight.count());
    worker.patience.end_at(deadline);
    worker.in_flight.drain();
    let left = worker.in_flight.wait_until_empty(deadline);
    threads.extend(takers);
    if left > 0 {
        return Err(format!("{left} jobs were not settled in time, and are left to other workers").into());
    }
    for thread in threads {
        thread.join().map_err(|_| "a thread of the worker panicked")?;
    }
    println!("{}: nothing is left behind", worker.consumer);
    Ok(())
}

impl Worker {
    /// A thread that does this. If it fails, the process ends: what is in flight is claimed by others.
    fn start(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce(&Arc<Self>) -> Result<(), redis::RedisError> + Send + 'static,
    ) -> std::io::Result<thread::JoinHandle<()>> {
        let (worker, name) = (Arc::clone(self), name.to_owned());
        thread::Builder::new().name(name.clone()).spawn(move || {
            // Near its end, a worker may find its Redis gone.
            if let Err(error) = body(&worker)
                && !worker.in_flight.is_draining()
            {
                eprintln!("error: {name}: {error}");
                std::process::exit(1);
            }
        })
    }

    fn link(&self) -> Result<crate::link::Link, redis::RedisError> {
        self.queue.link(&self.patience)
    }

    fn claim_after(&self) -> Duration {
        Duration::from_millis(self.options.claim_after.max(1))
    }
}

/// A name that no process has had before.
fn consumer() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{:x}", host.trim(), std::process::id(), since.as_nanos())
}
