//! Everything at once: a Redis, producers and workers, of which some are killed; and the count of what came of each job.

use std::collections::HashSet;
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use abaca::signal::{Signal, Signals};
use clap::Parser;

use crate::audit::Audit;
use crate::counters::Counters;
use crate::entry;
use crate::journal::Journal;
use crate::keys::Keys;
use crate::link::{Link, Patience};
use crate::process::Process;
use crate::progress::Progress;
use crate::server::Server;
use crate::temporary_folder;

#[derive(Parser)]
pub(crate) struct Options {
    /// Jobs, of all producers together
    #[arg(long, default_value_t = 50_000)]
    jobs: u64,
    #[arg(long, default_value_t = 2)]
    producers: u64,
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Jobs in flight in each worker, at most
    #[arg(long, default_value_t = 1000)]
    in_flight: usize,
    /// Milliseconds that a job takes
    #[arg(long, default_value_t = 100)]
    work_ms: u64,
    /// Milliseconds after which a worker that does not renew its jobs is taken for dead
    #[arg(long, default_value_t = 3000)]
    claim_after: u64,
    /// Milliseconds until a failed job is tried again, at first
    #[arg(long, default_value_t = 200)]
    backoff: u64,
    /// How many workers are killed (SIGKILL); others take their places
    #[arg(long, default_value_t = 4)]
    kills: u64,
    /// How often Redis is killed, and started again
    #[arg(long, default_value_t = 2)]
    restarts: u64,
}

/// What the demonstration has running.
struct Demo<'a> {
    options: &'a Options,
    are_threads: bool,
    folder: PathBuf,
    server: Server,
    producers: Vec<(String, u64, Process)>,
    workers: Vec<Process>,
    journals: Vec<PathBuf>,
}

const LOOK_EVERY: Duration = Duration::from_millis(50);
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// With nothing settled for so long, something is wrong.
const MOST_STILL: Duration = Duration::from_secs(120);

pub(crate) fn run(options: &Options, are_threads: bool) -> Result<(), Box<dyn Error>> {
    let folder = temporary_folder()?;
    let server = Server::start(&folder)?;
    let (producers, workers, journals) = (Vec::new(), Vec::new(), Vec::new());
    let mut demo =
        Demo { options, are_threads, folder: folder.clone(), server, producers, workers, journals };
    let ended = demo.run();
    drop(demo);
    match ended {
        Ok(()) => Ok(std::fs::remove_dir_all(folder)?),
        Err(error) => Err(format!("{error} (what the processes wrote is in {})", folder.display()).into()),
    }
}

impl Demo<'_> {
    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut signals = Signals::new([Signal::Interrupt, Signal::Terminate])?;
        let begun = Instant::now();
        for number in 1..=self.options.producers {
            let jobs = self.options.jobs / self.options.producers
                + u64::from(number <= self.options.jobs % self.options.producers);
            let name = format!("p{number}");
            let process = self.start_producer(&name, jobs)?;
            self.producers.push((name, jobs, process));
        }
        for _ in 0..self.options.workers {
            self.start_worker()?;
        }
        println!(
            "{} jobs, {} workers; Redis is at {}",
            self.options.jobs,
            self.options.workers,
            self.server.url()
        );
        let (mut link, keys) = (Link::new(&self.server.url(), Patience::endless())?, Keys::new("queue"));
        let events = self.options.kills + self.options.restarts;
        let (mut happened, mut progress, mut shown, mut moved) = (0, Progress::new(), begun, begun);
        let mut before = 0;
        let counters = loop {
            if let Some(signal) = signals.try_wait() {
                return Err(format!("ended by {signal:?}").into());
            }
            let now = Counters::ask(&mut link, &keys)?;
            let settled = now.done + now.dead;
            // At equal parts of the way, so that a slow machine sees as much of it as a fast one.
            if happened < events && settled >= self.options.jobs * (happened + 1) / (events + 1) {
                let what = self.harm(happened)?;
                happened += 1;
                progress.show(&now, &format!("  [{what}]"))?;
                progress.end();
            } else if shown.elapsed() >= SHOW_EVERY {
                progress.show(&now, "")?;
                shown = Instant::now();
            }
            self.look_after_them()?;
            if now.added == self.options.jobs && now.is_idle() && happened == events {
                break now;
            }
            if settled > before {
                (moved, before) = (Instant::now(), settled);
            } else if moved.elapsed() > MOST_STILL {
                return Err(format!("nothing moves: {now:?}").into());
            }
            thread::sleep(LOOK_EVERY);
        };
        progress.show(&counters, "")?;
        progress.end();
        self.drain()?;
        self.count(&mut link, &keys, &counters, begun.elapsed())
    }

    fn arguments(&self, command: &str, rest: &[(&str, String)]) -> Vec<String> {
        let mut arguments = vec![command.to_owned(), "--redis".into(), self.server.url()];
        arguments.extend(rest.iter().flat_map(|(option, value)| [format!("--{option}"), value.clone()]));
        if self.are_threads {
            arguments.push("--threads".into());
        }
        arguments
    }

    fn start_producer(&self, name: &str, jobs: u64) -> io::Result<Process> {
        let arguments = self.arguments("produce", &[("name", name.into()), ("jobs", jobs.to_string())]);
        Process::start(&arguments, &self.folder.join("output"))
    }

    fn start_worker(&mut self) -> io::Result<()> {
        let journal = self.folder.join(format!("journal-{}", self.journals.len()));
        let arguments = self.arguments(
            "work",
            &[
                ("in-flight", self.options.in_flight.to_string()),
                ("work-ms", self.options.work_ms.to_string()),
                ("backoff", self.options.backoff.to_string()),
                ("claim-after", self.options.claim_after.to_string()),
                ("journal", journal.display().to_string()),
            ],
        );
        self.workers.push(Process::start(&arguments, &self.folder.join("output"))?);
        self.journals.push(journal);
        Ok(())
    }

    /// Kills a worker, or Redis: the kinds alternate as long as there are both. A producer that still runs is killed with the first.
    fn harm(&mut self, number: u64) -> io::Result<String> {
        let (kills, restarts) = (self.options.kills, self.options.restarts);
        let both = kills.min(restarts) * 2;
        let is_restart = if number < both { number % 2 == 1 } else { restarts > kills };
        if is_restart {
            self.server.restart()?;
            return Ok("Redis was killed, and started again".into());
        }
        let worker = self.workers.remove(0);
        let mut what = format!("worker {} was killed", worker.id());
        worker.kill()?;
        self.start_worker()?;
        if number == 0
            && let Some(at) =
                self.producers.iter_mut().position(|producer| matches!(producer.2.has_ended(), Ok(None)))
        {
            let (name, jobs, process) = self.producers.remove(at);
            process.kill()?;
            let again = self.start_producer(&name, jobs)?;
            what = format!("{what}, and producer {name}");
            self.producers.push((name, jobs, again));
        }
        Ok(what)
    }

    /// Nobody ends by himself, but for producers that are done.
    fn look_after_them(&mut self) -> Result<(), Box<dyn Error>> {
        for worker in &mut self.workers {
            if let Some(status) = worker.has_ended()? {
                return Err(format!("worker {} has ended: {status}", worker.id()).into());
            }
        }
        for (name, _, producer) in &mut self.producers {
            match producer.has_ended()? {
                Some(status) if !status.success() => {
                    return Err(format!("producer {name} has ended: {status}").into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Box<dyn Error>> {
        self.workers.iter().try_for_each(Process::terminate)?;
        for worker in self.workers.drain(..) {
            let (id, status) = (worker.id(), worker.wait()?);
            if !status.success() {
                return Err(format!("worker {id} did not drain: {status}").into());
            }
        }
        Ok(())
    }

    fn count(
        &self,
        link: &mut Link,
        keys: &Keys,
        counters: &Counters,
        took: Duration,
    ) -> Result<(), Box<dyn Error>> {
        let lines = self.journals.iter().map(|path| match Journal::read(path) {
            // A worker that was killed before it could begin.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        });
        let lines: Vec<_> = lines.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        let letters = entry::all(link, &keys.dead)?;
        let dead: HashSet<String> =
            letters.iter().filter_map(|letter| letter.field("job")).map(str::to_owned).collect();
        let jobs = self.producers.iter().flat_map(|(name, jobs, _)| {
            let name = name.clone();
            (1..=*jobs).map(move |number| format!("{name}:{number}"))
        });
        let audit = Audit::of(jobs, &lines, &dead);
        println!("{audit}");
        println!(
            "{} workers killed, {} restarts of Redis, {} retries; {:.1} s, {:.0} jobs/s",
            self.options.kills,
            self.options.restarts,
            counters.retried,
            took.as_secs_f64(),
            audit.jobs as f64 / took.as_secs_f64()
        );
        let is_agreed = (counters.done as usize, counters.dead as usize) == (audit.done, audit.dead);
        if !is_agreed || counters.trimmed + counters.missing > 0 || letters.len() != dead.len() {
            return Err(format!("Redis counts otherwise: {counters:?}").into());
        }
        if !audit.is_right() {
            return Err("the queue did not keep its promise".into());
        }
        Ok(())
    }
}
