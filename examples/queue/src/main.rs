//! A work queue on Redis Streams: producers, worker processes with a thousand jobs in flight each, retries, dead letters.
//!
//! `cargo run --release -p abaca-queue` shows all of it with a Redis of its own, kills workers and the server meanwhile, and counts
//! afterwards what came of each job. `README.md` tells the protocol.
//!
//! The program is written as for threads: `std::thread`, `std::sync`, and the crate redis as it is. The first line of `main` makes its
//! threads fibers, and `--threads` leaves that line out.

mod audit;
mod counters;
mod demo;
mod entry;
mod handler;
mod job;
mod journal;
mod keys;
mod link;
mod process;
mod producer;
mod progress;
mod script;
mod server;
mod worker;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use keys::Keys;
use link::{Link, Patience};

/// A work queue on Redis Streams; without a command, all of it at once, with a Redis of its own
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Leave threads what they are, instead of making them fibers
    #[arg(long, global = true)]
    threads: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Everything at once: a Redis of its own, producers, workers, kills, and the count of what came of each job
    Demo(demo::Options),
    /// One worker process; SIGTERM and Ctrl-C let it finish what it has begun
    Work {
        #[command(flatten)]
        queue: Queue,
        #[command(flatten)]
        options: worker::Options,
    },
    /// Adds jobs; a producer that is started again under its name goes on where it was
    Produce {
        #[command(flatten)]
        queue: Queue,
        /// Its name, which no other producer has
        #[arg(long)]
        name: String,
        /// How many jobs, those of earlier runs counted
        #[arg(long)]
        jobs: u64,
    },
    /// How much is where, once or every second
    Status {
        #[command(flatten)]
        queue: Queue,
        #[arg(long)]
        watch: bool,
    },
    /// Prints the dead letters
    Dead {
        #[command(flatten)]
        queue: Queue,
        /// Put them back into the queue, as new
        #[arg(long)]
        requeue: bool,
    },
}

/// Which queue.
#[derive(Args, Clone)]
struct Queue {
    /// Its Redis: redis://HOST:PORT or redis+unix:///PATH
    #[arg(long, default_value = "redis://127.0.0.1/")]
    redis: String,
    /// Its name, the beginning of all its keys
    #[arg(long, default_value = "queue")]
    queue: String,
}

impl Queue {
    fn keys(&self) -> Keys {
        Keys::new(&self.queue)
    }

    /// A connection that waits for a Redis that is away.
    fn link(&self, patience: &Patience) -> Result<Link, redis::RedisError> {
        Link::new(&self.redis, patience.clone())
    }
}

fn main() {
    let options = Options::parse();
    if !options.threads {
        // The one line. From here on each `std::thread::spawn` makes a fiber, and what blocks parks it.
        abaca_transparent::threads_are_fibers().expect("x86_64 Linux with glibc");
    }
    // The main thread stays a thread: so the program itself is one more of what it spawns.
    let ended = std::thread::spawn(move || run(options).map_err(|error| error.to_string())).join();
    if let Err(error) = ended.unwrap_or_else(|_| Err("it panicked".into())) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let patience = Patience::endless();
    match options.command.unwrap_or_else(|| Command::Demo(demo::Options::parse_from(["demo"]))) {
        Command::Demo(demo) => demo::run(&demo, options.threads),
        Command::Work { queue, options } => worker::run(&queue, options),
        Command::Produce { queue, name, jobs } => {
            producer::run(&mut queue.link(&patience)?, &queue.keys(), &name, jobs)
        }
        Command::Status { queue, watch } => progress::show(
            &mut queue.link(&patience)?,
            &queue.keys(),
            watch.then_some(Duration::from_secs(1)),
        ),
        Command::Dead { queue, requeue } => dead_letters(&mut queue.link(&patience)?, &queue.keys(), requeue),
    }
}

fn dead_letters(link: &mut Link, keys: &Keys, requeue: bool) -> Result<(), Box<dyn Error>> {
    for letter in entry::all(link, &keys.dead)? {
        let field = |name| letter.field(name).unwrap_or("?");
        println!("{} after {} attempts: {}", field("job"), field("attempt"), field("reason"));
        if requeue {
            link.run(|connection| script::requeue(keys, &letter.id, field("job")).exec(connection))?;
        }
    }
    Ok(())
}

/// The folder of what a run leaves on disk.
fn temporary_folder() -> std::io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("abaca-queue-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
