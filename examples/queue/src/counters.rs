//! How much is where, at one moment.

use std::collections::HashMap;

use redis::{RedisError, Value};

use crate::entry::{list, text};
use crate::keys::{GROUP, Keys};
use crate::link::Link;

/// All jobs that were ever added are in one of these places.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) added: u64,
    /// In the stream, and not delivered to a worker yet.
    pub(crate) waiting: u64,
    /// Delivered to a worker, and not settled.
    pub(crate) pending: u64,
    pub(crate) delayed: u64,
    pub(crate) done: u64,
    pub(crate) dead: u64,
    /// Trimmed or deleted from the stream, by others, while they were pending. They are lost, and known to be.
    pub(crate) trimmed: u64,
    /// In no other place: trimmed or deleted before they were delivered, or not yet found out to be. Lost as well.
    pub(crate) missing: u64,
    /// How often a job was put off after a failure.
    pub(crate) retried: u64,
}

impl Counters {
    /// Asks for all of it at once.
    pub(crate) fn ask(link: &mut Link, keys: &Keys) -> Result<Self, RedisError> {
        type Answers = (HashMap<String, u64>, u64, u64, bool);
        let (hash, in_stream, delayed, is_there): Answers = link.run(|connection| {
            let mut pipeline = redis::pipe();
            pipeline.atomic().cmd("HGETALL").arg(&keys.counters).cmd("XLEN").arg(&keys.jobs);
            pipeline.cmd("ZCARD").arg(&keys.delayed).cmd("EXISTS").arg(&keys.jobs).query(connection)
        })?;
        // XPENDING of a stream that is not there is an error.
        let pending = if is_there { pending(link, keys)? } else { 0 };
        let counter = |name: &str| hash.get(name).copied().unwrap_or(0);
        let (added, done, dead, trimmed) =
            (counter("added"), counter("done"), counter("dead"), counter("trimmed"));
        Ok(Self {
            added,
            done,
            dead,
            trimmed,
            delayed,
            pending,
            waiting: in_stream.saturating_sub(pending),
            missing: added.saturating_sub(done + dead + trimmed + delayed + in_stream),
            retried: counter("retried"),
        })
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting + self.pending + self.delayed == 0
    }
}

/// How many entries are pending. Without the group none is.
fn pending(link: &mut Link, keys: &Keys) -> Result<u64, RedisError> {
    let answer =
        link.run(|connection| redis::cmd("XPENDING").arg(&keys.jobs).arg(GROUP).query::<Value>(connection));
    match answer {
        Ok(summary) => {
            Ok(list(&summary).first().and_then(text).and_then(|text| text.parse().ok()).unwrap_or(0))
        }
        Err(error) if error.code() == Some("NOGROUP") => Ok(0),
        Err(error) => Err(error),
    }
}
