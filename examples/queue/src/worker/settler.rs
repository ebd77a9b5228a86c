//! The settler: tells Redis what became of entries, many at once.
//!
//! A Redis that writes its log to the disk before it answers (appendfsync always) takes as long for a hundred acknowledgements as for one.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use redis::RedisError;

use super::Worker;
use super::handling::{Outcome, Verdict};
use crate::script;

const AT_ONCE: usize = 256;

/// Ends when nobody has an entry in flight that could be settled.
pub(super) fn run(worker: &Arc<Worker>, outcomes: &Receiver<Outcome>) -> Result<(), RedisError> {
    let mut link = worker.link()?;
    while let Ok(first) = outcomes.recv() {
        let batch: Vec<Outcome> = std::iter::once(first).chain(outcomes.try_iter()).take(AT_ONCE).collect();
        let mut pipeline = redis::pipe();
        for Outcome { id, job, verdict } in &batch {
            let keys = &worker.keys;
            pipeline.add_command(match verdict {
                Verdict::Done => script::done(keys, id),
                Verdict::Retry { delay_ms } => script::retry(keys, id, job, *delay_ms),
                Verdict::Dead { reason } => script::bury(keys, id, job, reason),
            });
        }
        // 0 means that somebody else has settled the entry: it was taken from this worker, or this is the second attempt after an answer
        // that was lost.
        let settled: Vec<u64> = link.run(|connection| pipeline.query(connection))?;
        let ids = || batch.iter().map(|outcome| outcome.id.as_str());
        let first_here = ids().zip(&settled).filter(|(_, settled)| **settled == 1).map(|(id, _)| id);
        worker.journal.settled(first_here)?;
        worker.in_flight.end(ids());
    }
    Ok(())
}
