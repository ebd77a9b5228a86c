//! What is done for a job: the part that a user of such a queue writes.
//!
//! # At least once
//!
//! The queue calls the handler **at least once** for each job, and that is all that any queue can promise whose workers may die: between
//! the effect and the acknowledgement there is always a moment in which a worker has done the one and not the other, and whoever takes the
//! job over cannot know. So a handler is called again for a job
//!
//! * whose worker was killed, or lost its Redis for good, after the handler had begun and before Redis had heard of its end;
//! * whose worker stood still for longer than `--claim-after`, so that another has taken the job for a dead worker's. Both go on;
//! * for which it has itself returned a [`Failure`], or panicked.
//!
//! It is not called again for a job that was acknowledged. And it must do one of three things about the rest: have an effect that is the
//! same when it is had twice (`SET`, not `INCR`; an upsert; a file that is written under another name and then renamed); or remember the
//! job's name **in the same transaction** as the effect, and look there first; or have an effect of which a second does no harm.
//!
//! This one writes a line for each effect, so that the audit can count them.

use std::thread;
use std::time::Duration;

use crate::job::Job;
use crate::journal::Journal;

/// Why a job was not done. It is tried again, later and later, and then becomes a dead letter.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// Does the job of this entry: waits for as long as a call to another service would take, and has its effect.
pub(crate) fn handle(id: &str, job: &Job, work: Duration, journal: &Journal) -> Result<(), Failure> {
    let begun = journal.now();
    thread::sleep(work);
    match Fate::of(&job.name) {
        Fate::Hopeless => return Err(Failure("no such customer".into())),
        Fate::Panics if job.attempt == 1 => panic!("{}: a bug that shows once", job.name),
        Fate::Fails if job.attempt < 3 => return Err(Failure("the service is busy".into())),
        _ => {}
    }
    journal.effect(id, &job.name, begun).map_err(|error| Failure(error.to_string()))
}

/// What the demonstration has in store for a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeds,
    /// Twice, then it succeeds.
    Fails,
    /// Once, then it succeeds.
    Panics,
    /// Always fails: a dead letter in the end.
    Hopeless,
}

impl Fate {
    /// By the number at the end of its name.
    pub(crate) fn of(name: &str) -> Self {
        let number: u64 = name.rsplit(':').next().and_then(|number| number.parse().ok()).unwrap_or(1);
        match number {
            number if number.is_multiple_of(100) => Self::Hopeless,
            number if number.is_multiple_of(33) => Self::Panics,
            number if number.is_multiple_of(10) => Self::Fails,
            _ => Self::Succeeds,
        }
    }
}
