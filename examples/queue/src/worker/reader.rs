//! The reader: takes new entries, for all handlers of the process.
//!
//! One connection that blocks instead of one for each handler: Redis serves blocked readers one after the other, and its own memory for
//! each, and entries come by the hundred. It asks for no more than there is room for, so an entry is never delivered to wait here.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use redis::{Connection, RedisError, Value};

use super::Worker;
use super::handling::{Outcome, start};
use crate::entry::entries_read;
use crate::keys::{GROUP, Keys};
use crate::link::Link;

/// How many entries are taken at once, at most.
const AT_ONCE: usize = 256;

/// Milliseconds that Redis waits for an entry. Not for ever: the reader of a stream that is deleted meanwhile is told so by Redis 7.0
/// (UNBLOCKED), by 7.2 and Valkey (NOGROUP), and not at all by 6.2, where only the next attempt finds out.
const BLOCK_MS: usize = 1000;

/// Makes the group, and the stream. Entries that are in the stream already are the group's as well.
pub(super) fn make_group(link: &mut Link, keys: &Keys) -> Result<(), RedisError> {
    let made = link.run(|connection| {
        redis::cmd("XGROUP").arg("CREATE").arg(&keys.jobs).arg(GROUP).arg(0).arg("MKSTREAM").exec(connection)
    });
    match made {
        Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn run(worker: &Arc<Worker>, outcomes: &SyncSender<Outcome>) -> Result<(), RedisError> {
    let mut link = worker.link()?;
    while let Some(room) = worker.in_flight.reserve(AT_ONCE) {
        // If the answer is lost, the entries are this consumer's and nobody handles them: the claimers find them, since nobody renews them.
        let answer = match link.run(|connection| read(worker, room, connection)) {
            Ok(answer) => answer,
            Err(error) => {
                worker.in_flight.begin(room, Vec::new(), |()| "");
                if !is_gone(&error) {
                    return Err(error);
                }
                make_group(&mut link, &worker.keys)?;
                continue;
            }
        };
        let entries = worker.in_flight.begin(room, entries_read(&answer), |entry| &entry.id);
        entries.into_iter().for_each(|entry| start(worker, entry, outcomes.clone()));
    }
    Ok(())
}

fn read(worker: &Worker, room: usize, connection: &mut Connection) -> Result<Value, RedisError> {
    let mut command = redis::cmd("XREADGROUP");
    command.arg("GROUP").arg(GROUP).arg(&worker.consumer).arg("COUNT").arg(room).arg("BLOCK").arg(BLOCK_MS);
    command.arg("STREAMS").arg(&worker.keys.jobs).arg(">").query(connection)
}

/// Whether the stream or its group is no longer there: whoever deleted it has deleted the jobs as well, and new ones may come.
pub(super) fn is_gone(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED"))
}
