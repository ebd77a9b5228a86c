//! The handling of one entry: a thread, which is a fiber, from the delivery to what became of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use super::Worker;
use crate::entry::Entry;
use crate::handler::{Failure, handle};
use crate::job::Job;

/// What is to become of an entry.
pub(super) struct Outcome {
    pub(super) id: String,
    pub(super) job: Job,
    pub(super) verdict: Verdict,
}

pub(super) enum Verdict {
    Done,
    Retry { delay_ms: u64 },
    Dead { reason: String },
}

/// Handles an entry that is in flight. If there is no thread to be had, the entry is left as a dead worker's would be.
pub(super) fn start(worker: &Arc<Worker>, entry: Entry, outcomes: SyncSender<Outcome>) {
    let (of_thread, id) = (Arc::clone(worker), entry.id.clone());
    let thread = thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let worker = of_thread;
        let outcome = outcome(&worker, entry);
        // Fails if the settler has ended, after the time of grace.
        let _ = outcomes.send(outcome);
    });
    if let Err(error) = thread {
        eprintln!("{id} is left to others: {error}");
        worker.in_flight.end([id.as_str()].into_iter());
    }
}

fn outcome(worker: &Worker, entry: Entry) -> Outcome {
    let job = match Job::of(&entry) {
        Ok(job) => job,
        Err(reason) => {
            let job = Job { name: format!("entry {}", entry.id), attempt: 1 };
            return Outcome { id: entry.id, job, verdict: Verdict::Dead { reason } };
        }
    };
    let work = Duration::from_millis(worker.options.work_ms);
    // A handler that panics has failed. Everything that it shared with others is the journal, whose lines are written whole.
    let handled = catch_unwind(AssertUnwindSafe(|| handle(&entry.id, &job, work, &worker.journal)));
    let verdict = match handled.unwrap_or_else(|_| Err(Failure("the handler panicked".into()))) {
        Ok(()) => Verdict::Done,
        Err(Failure(reason)) if job.attempt >= worker.options.attempts => Verdict::Dead { reason },
        Err(_) => Verdict::Retry { delay_ms: delay_ms(worker.options.backoff, job.attempt, &entry.id) },
    };
    Outcome { id: entry.id, job, verdict }
}

/// Twice as long after each attempt, and up to half as much again, so that what failed together is not tried together.
fn delay_ms(backoff: u64, attempt: u32, id: &str) -> u64 {
    let delay = backoff.saturating_mul(1 << attempt.saturating_sub(1).min(20));
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), id);
    delay + random % (delay / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double() {
        for (attempt, least) in [(1, 100), (2, 200), (5, 1600)] {
            let delay = delay_ms(100, attempt, "1-0");
            assert!((least..least * 3 / 2).contains(&delay), "{attempt}: {delay}");
        }
        assert_eq!(delay_ms(0, 9, "1-0"), 0);
    }
}
