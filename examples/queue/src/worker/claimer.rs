//! The claimer: takes over what nobody has renewed: entries of dead workers, and those whose delivery was lost on the way.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use redis::{RedisError, Value};

use super::Worker;
use super::handling::{Outcome, Verdict, start};
use super::reader::is_gone;
use crate::entry::{Entry, entries, list, text};
use crate::job::Job;
use crate::keys::GROUP;
use crate::link::Link;
use crate::script;

const AT_ONCE: usize = 100;
/// A consumer that owns nothing and has been silent for so long is forgotten. If it lives, its next read makes it anew.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// An entry that is pending with some worker.
struct Pending {
    id: String,
    deliveries: u64,
}

pub(super) fn run(worker: &Arc<Worker>, outcomes: &SyncSender<Outcome>) -> Result<(), RedisError> {
    let mut link = worker.link()?;
    // Not all workers at the same time.
    let period = worker.claim_after() / 2 + worker.claim_after() * (std::process::id() % 8) / 64;
    while !worker.in_flight.pause(period) {
        match claim_all(worker, &mut link, outcomes) {
            Err(error) if !is_gone(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Looks at all that is pending for too long, once.
fn claim_all(
    worker: &Arc<Worker>,
    link: &mut Link,
    outcomes: &SyncSender<Outcome>,
) -> Result<(), RedisError> {
    let mut from = "-".to_owned();
    loop {
        let pending = pending(worker, link, &from)?;
        let Some(last) = pending.last() else { break };
        from = format!("({}", last.id);
        let mut left: Vec<&Pending> =
            pending.iter().filter(|pending| !worker.in_flight.contains(&pending.id)).collect();
        while !left.is_empty() {
            let Some(room) = worker.in_flight.reserve(left.len()) else { return Ok(()) };
            let now: Vec<&Pending> = left.drain(..room).collect();
            let ids: Vec<&str> = now.iter().map(|pending| pending.id.as_str()).collect();
            let idle_ms = worker.options.claim_after;
            let claimed: Result<Value, _> = link.run(|connection| {
                script::claim(&worker.keys, &worker.consumer, idle_ms, &ids).query(connection)
            });
            // What is not among them was trimmed, or another worker was faster.
            let taken = claimed.as_ref().map(entries).unwrap_or_default();
            for entry in worker.in_flight.begin(room, taken, |entry| &entry.id) {
                let before = now.iter().find(|pending| pending.id == entry.id);
                handle_or_bury(worker, entry, before.map_or(0, |pending| pending.deliveries), outcomes);
            }
            claimed?;
        }
    }
    let idle_ms = u64::try_from(FORGET_AFTER.as_millis()).expect("a minute");
    let _: u64 = link.run(|connection| script::forget(&worker.keys, idle_ms).query(connection))?;
    Ok(())
}

fn pending(worker: &Worker, link: &mut Link, from: &str) -> Result<Vec<Pending>, RedisError> {
    let answer: Value = link.run(|connection| {
        let mut command = redis::cmd("XPENDING");
        command.arg(&worker.keys.jobs).arg(GROUP).arg("IDLE").arg(worker.options.claim_after);
        command.arg(from).arg("+").arg(AT_ONCE).query(connection)
    })?;
    let pending = |value: &Value| {
        let [id, _consumer, _idle, deliveries] = list(value) else { return None };
        Some(Pending { id: text(id)?, deliveries: text(deliveries)?.parse().ok()? })
    };
    Ok(list(&answer).iter().filter_map(pending).collect())
}

/// A job that has ended so many of its workers is not given to another.
fn handle_or_bury(worker: &Arc<Worker>, entry: Entry, deliveries: u64, outcomes: &SyncSender<Outcome>) {
    if deliveries < worker.options.deliveries {
        return start(worker, entry, outcomes.clone());
    }
    let job = Job::of(&entry).unwrap_or_else(|_| Job { name: format!("entry {}", entry.id), attempt: 1 });
    let reason = format!("delivered {deliveries} times, and no worker has come to its end");
    let _ = outcomes.send(Outcome { id: entry.id, job, verdict: Verdict::Dead { reason } });
}
