//! The renewal: tells Redis that what is in flight here is not a dead worker's.
//!
//! XCLAIM of one's own entry makes it young again; JUSTID does not count it as a delivery. It does not ask whether the entry is still one's
//! own: if another worker has taken it meanwhile, both handle it, whoever ends first settles it, and if one of them dies it is claimed.

use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;

use super::Worker;
use super::reader::is_gone;
use crate::keys::GROUP;

const AT_ONCE: usize = 1000;

/// Goes on while the worker drains.
pub(super) fn run(worker: &Arc<Worker>) -> Result<(), RedisError> {
    let mut link = worker.link()?;
    let period = worker.claim_after() / 3;
    while !worker.in_flight.is_over() {
        let is_draining = worker.in_flight.pause(period);
        for ids in worker.in_flight.ids().chunks(AT_ONCE) {
            let renewed = link.run(|connection| {
                let mut command = redis::cmd("XCLAIM");
                command.arg(&worker.keys.jobs).arg(GROUP).arg(&worker.consumer).arg(0).arg(ids).arg("JUSTID");
                command.exec(connection)
            });
            match renewed {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        if is_draining {
            // A pause is over at once from now on.
            std::thread::sleep(period.min(Duration::from_millis(100)));
        }
    }
    Ok(())
}
